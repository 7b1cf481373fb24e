package checks

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

var (
	writeAt   = regexp.MustCompile(`at /n\.conf:(\d+) write: ([^;]+;)`)
	addTo     = regexp.MustCompile(`(?:add to|in) (the top|the events block|the server|location \S+|the server of) (?:of )?/n\.conf(?::(\d+))?:? (?:add: )?(.*[;}])`)
	ofListen  = regexp.MustCompile(`add to the listen of /n\.conf:(\d+): (\S+)`)
	before    = regexp.MustCompile(`at /n\.conf:(\d+) write before it: allow NETWORK;`)
	inBlock   = regexp.MustCompile(`in location \S+ of /n\.conf:(\d+) write: (\S+) ([^;]+;)`)
	inHTTP    = regexp.MustCompile(`in http write: ([^;]+;)`)
	aWord     = regexp.MustCompile(`at /n\.conf:(\d+) write: (backlog|limit_except)([= ][^;]+)$`)
	remove    = regexp.MustCompile(`(?:remove (\S+) at /n\.conf:(\d+)|at /n\.conf:(\d+) remove (\S+) )`)
	besides   = regexp.MustCompile(`and at /n\.conf:(\d+) (rate=\S+);`)
	maxConns  = regexp.MustCompile(` max_conns=\d+`)
	twoPeers  = regexp.MustCompile(`(server [^;]+;) server [^;]+;`)
	firstWord = regexp.MustCompile(`^\S+`)
)

// apply does to a config what a remedy says, as a person would.
func apply(t *testing.T, config, remedy string) string {
	t.Helper()
	lines := strings.Split(config, "\n")
	at := func(s string) *string {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > len(lines) {
			t.Fatalf("%s: no line %q", remedy, s)
		}
		return &lines[n-1]
	}
	within := func(line *string, block, what string) {
		i := strings.Index(*line, block)
		if j := strings.Index((*line)[max(i, 0):], "{"); i >= 0 && j >= 0 {
			*line = (*line)[:i+j+1] + " " + what + (*line)[i+j+1:]
		}
	}
	// What goes into the top moves all lines: it comes last.
	top := ""
	for _, m := range besides.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = regexp.MustCompile(`rate=[^;\s]+`).ReplaceAllString(*at(m[1]), m[2])
	}
	for _, m := range before.FindAllStringSubmatch(remedy, -1) {
		*at(m[1]) = strings.Replace(*at(m[1]), "deny ", "allow 127.0.0.1; deny ", 1)
	}
	for _, m := range inBlock.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[1])
		has := regexp.MustCompile(m[2] + `\s[^;]*;`)
		if i := slices.IndexFunc(lines[n-1:], has.MatchString); i >= 0 {
			lines[n-1+i] = has.ReplaceAllString(lines[n-1+i], m[2]+" "+m[3])
		} else {
			within(&lines[n-1], "location", m[2]+" "+m[3])
		}
	}
	for _, m := range inHTTP.FindAllStringSubmatch(remedy, -1) {
		for i := range lines {
			within(&lines[i], "http", m[1])
		}
	}
	for _, m := range aWord.FindAllStringSubmatch(remedy, -1) {
		until := map[string]string{"backlog": `=\d+`, "limit_except": `\s[^{]*`}[m[2]]
		*at(m[1]) = regexp.MustCompile(m[2]+until).ReplaceAllLiteralString(*at(m[1]), m[2]+m[3]+" ")
	}
	for _, m := range remove.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[2] + m[3])
		what := regexp.MustCompile(`\b` + m[1] + m[4] + `\b( \([^{]*\{[^}]*\}|\s*;| )`)
		if i := slices.IndexFunc(lines[n-1:], what.MatchString); i >= 0 {
			lines[n-1+i] = what.ReplaceAllLiteralString(lines[n-1+i], "")
		}
	}
	for _, m := range writeAt.FindAllStringSubmatch(remedy, -1) {
		name := firstWord.FindString(m[2])
		if name == "deny" {
			name = "allow"
		}
		*at(m[1]) = regexp.MustCompile(name+`\s[^;]*;`).ReplaceAllLiteralString(*at(m[1]), m[2])
	}
	for _, m := range ofListen.FindAllStringSubmatch(remedy, -1) {
		n, _ := strconv.Atoi(m[1])
		i := slices.IndexFunc(lines[n-1:], func(l string) bool { return strings.Contains(l, "listen ") })
		lines[n-1+i] = strings.Replace(lines[n-1+i], ";", " "+m[2]+";", 1)
	}
	const server = "in the server of "
	for _, part := range strings.Split(inBlock.ReplaceAllString(remedy, ""), "; "+server) {
		m := addTo.FindStringSubmatch(part)
		if m == nil {
			m = addTo.FindStringSubmatch(server + part)
		}
		if m == nil {
			continue
		}
		switch m[1] {
		case "the top":
			top += m[3] + "\n"
		case "the events block":
			for i := range lines {
				within(&lines[i], "events", m[3])
			}
		case "the server", "the server of":
			within(at(m[2]), "server", m[3])
		default:
			within(at(m[2]), "location", m[3])
		}
	}
	text := top + strings.Join(lines, "\n")
	switch {
	case strings.Contains(remedy, "remove max_conns"):
		text = maxConns.ReplaceAllString(text, "")
	case strings.Contains(remedy, "leave one server"):
		text = twoPeers.ReplaceAllString(text, "$1")
	}
	return text
}

// fix does what a check says until the check passes: one remedy may bring out the
// next, as more slots want more descriptors.
func fix(t *testing.T, text, id string) string {
	t.Helper()
	for range 6 {
		f := lintText(t, text, "", crowd)[id]
		if f.Status == reports.StatusPass || f.Status == reports.StatusNA {
			return text
		}
		if f.Remedy.Text == "" {
			t.Fatalf("%s has no remedy: %+v", id, f)
		}
		after := apply(t, text, f.Remedy.Text)
		if after == text {
			t.Fatalf("the remedy of %s changes nothing: %s", id, f.Remedy.Text)
		}
		text = after
	}
	f := lintText(t, text, "", crowd)[id]
	t.Fatalf("after its remedies %s is %s: %s%s\n%s\n%s", id, f.Status, f.Got, f.Reason, f.Remedy.Text, text)
	return ""
}
