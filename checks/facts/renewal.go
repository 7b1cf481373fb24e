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

// Where certbot's hooks and jobs of cron stand.
var (
	jobDirs = []string{"/etc/letsencrypt/renewal-hooks/deploy", "/etc/letsencrypt/renewal-hooks/post", "/etc/letsencrypt/renewal-hooks/pre",
		"/etc/letsencrypt/renewal", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/var/spool/cron/crontabs", "/var/spool/cron"}
	jobFiles = []string{"/etc/letsencrypt/cli.ini", "/etc/crontab"}
)

// restarts find a service that a shell's line restarts or stops. try-restart and
// condrestart are restarts, too.
var restarts = []*regexp.Regexp{
	regexp.MustCompile(`\bsystemctl\s+(?:-\S+\s+)*(?:try-|cond)?(?:restart|stop)\s+(?:-\S+\s+)*([\w@.-]+)`),
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
	for _, file := range files {
		b, err := r.ReadFile(file)
		switch {
		case absent(err):
			continue
		case err != nil:
			return unknown[[]Restart](err)
		}
		out = append(out, parseRestarts(string(b), file)...)
	}
	return known(out, "certbot's hooks and cron's jobs")
}

func parseRestarts(text, file string) (out []Restart) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, e := range restarts {
			for _, m := range e.FindAllStringSubmatch(line, -1) {
				out = append(out, Restart{Service: strings.TrimSuffix(m[1], ".service"), Source: fmt.Sprintf("%s:%d", file, n)})
			}
		}
	}
	return out
}
