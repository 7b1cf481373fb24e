package facts

import (
	"cmp"
	"fmt"
	"path"
	"strings"
)

// Session is how PAM limits what comes by one of its services.
type Session struct {
	Service string `json:"service"`        // "sshd", "login", "cron"
	Limited bool   `json:"limited"`        // pam_limits is in its stack: limits.conf counts
	Why     string `json:"why"`            // where that is said; of what is not limited, why not
	Conf    string `json:"conf,omitempty"` // conf= of the module: the one file that it reads
	SetAll  bool   `json:"setAll,omitempty"`
}

// pamDirs hold the stacks: the administrator's, then the vendor's.
var pamDirs = []string{"/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"}

// readLoginSession is how logins are limited: sshd's, where there is one, since
// servers are reached by it; else the console's.
func readLoginSession(r Root, container bool) (Session, error) {
	if container && pamFile(r, "sshd") == "" {
		return Session{Service: "login", Why: "this is a container, and its runtime asks no PAM"}, nil
	}
	conf := []string{"/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config", "/usr/share/openssh/sshd_config"}
	for _, file := range conf {
		if !r.Exists(file) {
			continue
		}
		v, source, err := sshdSetting(r, file, "usepam", 0)
		if err != nil {
			return Session{}, err
		}
		if v != "yes" { // sshd's own default is no
			return Session{Service: "sshd", Why: cmp.Or(source, file) + ": UsePAM " + cmp.Or(v, "is not set")}, nil
		}
		break
	}
	if pamFile(r, "sshd") != "" {
		return readSession(r, "sshd")
	}
	return readSession(r, "login")
}

// sshdSetting finds a setting of sshd_config; of several the first counts, those
// of included files in their place.
func sshdSetting(r Root, file, key string, depth int) (value, source string, err error) {
	b, err := r.ReadFile(file)
	if absent(err) || depth > maxIncludes {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	for _, l := range parseSSHD(string(b)) {
		switch l.key {
		case key:
			return strings.ToLower(l.values[0]), fmt.Sprintf("%s:%d", file, l.line), nil
		case "include":
			for _, pattern := range l.values {
				if !path.IsAbs(pattern) {
					pattern = "/etc/ssh/" + pattern
				}
				names, err := r.ReadDir(path.Dir(pattern))
				if err != nil && !absent(err) {
					return "", "", err
				}
				for _, name := range names {
					if ok, _ := path.Match(path.Base(pattern), name); !ok {
						continue
					}
					if v, src, err := sshdSetting(r, path.Join(path.Dir(pattern), name), key, depth+1); v != "" || err != nil {
						return v, src, err
					}
				}
			}
		}
	}
	return "", "", nil
}

type sshdLine struct {
	key    string // in small letters
	values []string
	line   int
}

// parseSSHD reads sshd_config(5) up to its first Match, which goes to the end of
// the file: what is within counts for some users alone.
func parseSSHD(text string) []sshdLine {
	var out []sshdLine
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(strings.Replace(line, "=", " ", 1))
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		l := sshdLine{key: strings.ToLower(f[0]), line: n}
		if l.key == "match" {
			break
		}
		for _, v := range f[1:] {
			l.values = append(l.values, strings.Trim(v, `"`))
		}
		out = append(out, l)
	}
	return out
}

// maxIncludes bounds files that include one another.
const maxIncludes = 16

// pamFile is where a service's stack stands; "": nowhere.
func pamFile(r Root, service string) string {
	for _, dir := range pamDirs {
		if at := path.Join(dir, service); r.Exists(at) {
			return at
		}
	}
	return ""
}

// readSession follows a service's stack to pam_limits. A root that has limits.conf
// or systemd and no stacks at all is a part of a host, and taken to have it.
func readSession(r Root, service string) (Session, error) {
	s := Session{Service: service}
	file := pamFile(r, service)
	if file == "" {
		some := false
		for _, dir := range pamDirs {
			some = some || r.Exists(dir)
		}
		switch {
		case !some && (r.Exists("/etc/security") || readSystemd(r).V):
			s.Limited, s.Why = true, "no pam.d says otherwise"
			return s, nil
		case !some:
			s.Why = "no PAM is here"
			return s, nil
		}
		if file = pamFile(r, "other"); file == "" {
			s.Why = "pam.d has no " + service
			return s, nil
		}
	}
	found, err := pamStack(r, file, &s, 0)
	if err != nil {
		return Session{}, err
	}
	if !found {
		s.Why = file + " has no pam_limits"
	}
	return s, nil
}

// pamStack looks through a stack and what it includes.
func pamStack(r Root, file string, s *Session, depth int) (found bool, err error) {
	if depth > maxIncludes {
		return false, nil
	}
	b, err := r.ReadFile(file)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, l := range parsePAM(string(b)) {
		switch {
		case l.include != "":
			next := pamFile(r, l.include)
			if path.IsAbs(l.include) {
				next = l.include
			}
			if next == "" {
				continue
			}
			if found, err := pamStack(r, next, s, depth+1); found || err != nil {
				return found, err
			}
		case path.Base(l.module) == "pam_limits.so" || l.module == "pam_limits":
			s.Limited, s.Why = true, fmt.Sprintf("%s:%d", file, l.line)
			for _, a := range l.args {
				if conf, ok := strings.CutPrefix(a, "conf="); ok {
					s.Conf = conf
				}
				s.SetAll = s.SetAll || a == "set_all"
			}
			return true, nil
		}
	}
	return false, nil
}

// pamLine is one module, or one file to include, of the session's stack.
type pamLine struct {
	include, module string
	args            []string
	line            int
}

// parsePAM keeps what pam.conf(5) says of sessions.
func parsePAM(text string) []pamLine {
	var out []pamLine
	pending, n := "", 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(strings.TrimRight(line, "\r\n"), "#")
		if cont, ok := strings.CutSuffix(line, `\`); ok {
			pending += cont + " "
			continue
		}
		line, pending = pending+line, ""
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "@include" {
			out = append(out, pamLine{include: f[1], line: n})
			continue
		}
		if len(f) < 3 || strings.ToLower(strings.TrimPrefix(f[0], "-")) != "session" {
			continue
		}
		rest := f[1:]
		control := rest[0]
		if strings.HasPrefix(control, "[") { // "[success=ok default=ignore]"
			for len(rest) > 1 && !strings.HasSuffix(rest[0], "]") {
				rest = rest[1:]
			}
		}
		if len(rest) < 2 {
			continue
		}
		switch control {
		case "include", "substack":
			out = append(out, pamLine{include: rest[1], line: n})
		default:
			out = append(out, pamLine{module: rest[1], args: rest[2:], line: n})
		}
	}
	return out
}
