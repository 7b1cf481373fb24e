package facts

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Restart is a line of what runs by itself, now and then, that restarts a service.
type Restart struct {
	Service string `json:"service"` // "nginx", without .service
	Source  string `json:"source"`  // "/etc/letsencrypt/renewal-hooks/deploy/01-nginx.sh:2"
}

// Where certbot's and dehydrated's hooks, jobs of cron and logrotate's scripts stand.
var (
	jobDirs = []string{"/etc/letsencrypt/renewal-hooks/deploy", "/etc/letsencrypt/renewal-hooks/post", "/etc/letsencrypt/renewal-hooks/pre",
		"/etc/letsencrypt/renewal", "/etc/dehydrated", "/etc/logrotate.d",
		"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs",
		"/etc/crontabs", "/etc/periodic/15min", "/etc/periodic/hourly", "/etc/periodic/daily", "/etc/periodic/weekly", "/etc/periodic/monthly"}
	jobFiles = []string{"/etc/letsencrypt/cli.ini", "/etc/crontab", "/etc/logrotate.conf"}
)

// restarts find the services that a shell's line restarts or stops. try-restart and
// condrestart are restarts, too.
var restarts = []*regexp.Regexp{
	regexp.MustCompile(`\bsystemctl\s+(?:-\S+\s+)*(?:try-|cond)?(?:restart|stop)((?:[ \t]+[\w@.-]+)+)`),
	regexp.MustCompile(`\bsupervisorctl\s+(?:-\S+\s+)*(?:restart|stop)((?:[ \t]+[\w@.-]+)+)`),
	regexp.MustCompile(`\b(?:service|rc-service|invoke-rc\.d)\s+([\w@.-]+)\s+(?:try-|cond)?(?:restart|stop)\b`),
	regexp.MustCompile(`/etc/init\.d/([\w@.-]+)\s+(?:restart|stop)\b`),
	regexp.MustCompile(`\b(nginx)\s+-s\s+(?:stop|quit)\b`),
}

// readRestarts reads which services jobs restart: of a line only the name of the
// service is kept.
func readRestarts(r Root) Value[[]Restart] {
	files := slices.Clone(jobFiles)
	for _, dir := range jobDirs {
		names, err := r.ReadDir(dir)
		switch {
		case absent(err):
		case err != nil:
			return unknown[[]Restart](err)
		}
		for _, n := range names {
			if file := path.Join(dir, n); !r.IsDir(file) {
				files = append(files, file)
			}
		}
	}
	out := []Restart{}
	seen := make(map[string]bool)
	for _, file := range append(files, timedUnits(r)...) {
		b, err := r.ReadFile(file)
		switch {
		case absent(err):
			continue
		case err != nil:
			return unknown[[]Restart](err)
		}
		out = append(out, parseRestarts(string(b), file)...)
		for _, script := range called(r, string(b)) {
			if seen[script] {
				continue
			}
			seen[script] = true
			if b, err := r.ReadFile(script); err == nil { // others than root may not read it, and it need not exist
				out = append(out, parseRestarts(string(b), script)...)
			}
		}
	}
	return known(out, "hooks of certificates, cron's jobs, timers")
}

// timedUnits are the files of services that timers start, drop-ins included.
func timedUnits(r Root) (files []string) {
	seen := make(map[string]bool)
	for _, dir := range systemManager.units {
		names, err := r.ReadDir(dir)
		if err != nil {
			continue // most of them do not exist
		}
		for _, n := range names {
			stem, ok := strings.CutSuffix(n, ".timer")
			if !ok || seen[n] {
				continue
			}
			seen[n] = true
			service := stem + ".service"
			if text, err := r.ReadString(path.Join(dir, n)); err == nil {
				for line := range strings.Lines(text) {
					if unit, ok := strings.CutPrefix(strings.TrimSpace(line), "Unit="); ok {
						service = unit
					}
				}
			}
			files = append(files, serviceFiles(r, service)...)
		}
	}
	return files
}

// serviceFiles are a unit's file and its drop-ins, each that may count.
func serviceFiles(r Root, service string) (files []string) {
	for _, dir := range systemManager.units {
		if file := path.Join(dir, service); len(files) == 0 && r.Exists(file) {
			files = append(files, file)
		}
	}
	for _, dir := range systemManager.units {
		names, err := r.ReadDir(path.Join(dir, service+".d"))
		if err != nil {
			continue
		}
		for _, n := range names {
			if strings.HasSuffix(n, ".conf") {
				files = append(files, path.Join(dir, service+".d", n))
			}
		}
	}
	return files
}

// called are scripts that lines call by their paths, where somebody's own stand.
func called(r Root, text string) (scripts []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, name := range ownScript.FindAllString(line, -1) {
			if f, err := r.Open(name); err == nil {
				info, err := f.Stat()
				f.Close()
				if err == nil && info.Size() <= 64<<10 {
					scripts = append(scripts, name)
				}
			}
		}
	}
	return scripts
}

var ownScript = regexp.MustCompile(`/(?:usr/local|opt|root|home|srv|etc)/[\w./@+-]*\w`)

func parseRestarts(text, file string) (out []Restart) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, e := range restarts {
			for _, m := range e.FindAllStringSubmatch(line, -1) {
				for service := range strings.FieldsSeq(m[1]) {
					if !strings.HasPrefix(service, "-") {
						out = append(out, Restart{Service: strings.TrimSuffix(service, ".service"), Source: fmt.Sprintf("%s:%d", file, n)})
					}
				}
			}
		}
	}
	return out
}
