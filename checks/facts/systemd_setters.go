package facts

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// limitWords are programs and calls that set a limit after systemd did.
var limitWords = regexp.MustCompile(`\b(ulimit|prlimit|softlimit|s6-softlimit|chpst|setrlimit|minfds)\b`)

// runtimes start containers, whose limits are their own.
var runtimes = map[string]bool{"podman": true, "docker": true, "nerdctl": true, "docker-compose": true, "podman-compose": true, "lxc-start": true, "systemd-nspawn": true}

// supervisors set limits of what they start, or may.
var supervisors = map[string]bool{"supervisord": true, "pm2": true, "pm2-runtime": true, "runsvdir": true, "s6-svscan": true, "circusd": true}

// setters looks through what a unit starts for something that sets another limit:
// a container's runtime, a supervisor, or ulimit in its words or its script.
func setters(r Root, all []setting, cwd string) (container, setter string) {
	for _, s := range all {
		if s.section != "Service" || s.key != "ExecStart" {
			continue
		}
		container, setter = "", ""
		words, err := SplitWords(strings.TrimLeft(s.value, "-@:+!"))
		if err != nil || len(words) == 0 {
			continue
		}
		switch base := path.Base(words[0]); {
		case runtimes[base]:
			container = base
			continue
		case base == "su" || base == "runuser" || base == "sudo":
			setter = fmt.Sprintf("the session that %s opens at %s (User= needs none; its limits are those of limits.conf)", base, s.source)
			continue
		case supervisors[base]:
			setter = base + ", started at " + s.source
			continue
		}
		if m := limitWords.FindString(s.value); m != "" {
			setter = m + " at " + s.source
			continue
		}
		for _, w := range words {
			if at := scriptSetter(r, w, cwd); at != "" {
				setter = at
				break
			}
		}
	}
	return container, setter
}

// maxScript bounds a script that is looked through, in bytes.
const maxScript = 1 << 20

// scriptSetter finds a word that sets limits in a script; "" in what is none.
func scriptSetter(r Root, file, cwd string) string {
	if !strings.ContainsAny(file, "/.") || strings.ContainsAny(file, "=:$%") {
		return ""
	}
	if !path.IsAbs(file) {
		file = path.Join("/", cwd, file)
	}
	b, err := r.ReadFile(file)
	if err != nil || len(b) > maxScript || bytes.IndexByte(b, 0) >= 0 || bytes.HasPrefix(b, []byte("\x7fELF")) {
		return ""
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if m := limitWords.FindString(line); m != "" {
			return fmt.Sprintf("%s at %s:%d", m, file, n)
		}
	}
	return ""
}
