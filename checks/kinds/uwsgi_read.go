package kinds

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// Where a long option begins another one stands first: a text is an abbreviation of
// the first that it begins.
var uwsgiFlags = []flag{
	{name: "processes", short: "-p", long: "--processes", def: "1"},
	{name: "processes", long: "--workers", def: "1"},
	{name: "threads", long: "--threads", def: "1"},
	{name: "gevent", long: "--gevent", def: "0"},
	{name: "async", long: "--async", def: "0", exact: true},
	{name: "asyncio", long: "--asyncio", def: "0"},
	{name: "tornado", long: "--tornado", def: "0"},
	{name: "http", long: "--http", exact: true},
	{name: "http", long: "--https", exact: true},
	{name: "http", long: "--http2", exact: true},
	{name: "http-timeout", long: "--http-timeout", def: "60", exact: true},
	{name: "http-keepalive", long: "--http-keepalive", def: "0", exact: true},
	{name: "harakiri", short: "-t", long: "--harakiri", def: "0", exact: true},
	{name: "listen", short: "-l", long: "--listen", def: "100"},
	{name: "limit-post", long: "--limit-post", def: "0"},
	{name: "worker-reload-mercy", long: "--worker-reload-mercy", def: "60"},
	{name: "max-requests", short: "-R", long: "--max-requests", def: "0", exact: true},
	{name: "max-worker-lifetime", long: "--max-worker-lifetime", def: "0", exact: true},
	{name: "reload-on-rss", long: "--reload-on-rss", def: "0"},
	{name: "evil-reload-on-rss", long: "--evil-reload-on-rss", def: "0"},
	{name: "reload-on-as", long: "--reload-on-as", def: "0"},
	{name: "evil-reload-on-as", long: "--evil-reload-on-as", def: "0"},
}

// uwsgiOthers are flags that units often give a variable.
var uwsgiOthers = []string{"-s", "--socket", "--uwsgi-socket", "--http-socket", "--uid", "--gid", "--pidfile", "--chdir", "--logto", "--daemonize", "--master-fifo",
	"--wsgi-file", "-w", "--module", "--mount", "--virtualenv", "-H", "--home", "--stats", "--plugin", "--plugins"}

// uwsgiElsewhere are options that read settings from where they are not followed.
var uwsgiElsewhere = []string{"emperor", "xml", "yaml", "yml", "json", "config", "ldap", "sqlite3", "zeromq", "vassals-dir"}

// uwsgiAt finds the argument that is uWSGI. -1: it is none.
func uwsgiAt(args []string) int {
	if name := path.Base(args[0]); name == "uwsgi" || strings.HasPrefix(name, "uwsgi_python") || strings.HasPrefix(name, "uwsgi-core") || name == "pyuwsgi" {
		return 0
	}
	return programAt(args, "uwsgi", "pyuwsgi")
}

// readUWSGI reads uWSGI's settings: the built-in ones, the environment's, then its
// command line, where the last word counts and a file counts where it is named; a
// file without a flag counts last, as measured.
func readUWSGI(r facts.Root, p facts.Program) facts.Details {
	if uwsgiAt(p.Args) < 0 {
		s := every(uwsgiFlags, fmt.Errorf("%s: the process's title hides its arguments", p.From))
		s["hidden"] = known("true", p.From)
		return facts.Details{Settings: s}
	}
	u := uwsgiReader{r: r, p: p}
	var env layer
	if p.EnvErr != nil {
		env = every(uwsgiFlags, p.EnvErr)
	}
	line := p.Args[uwsgiAt(p.Args)+1:]
	s := over(defaults(uwsgiFlags, "uWSGI's default"), env, variables(p, "UWSGI_", uwsgiFlags))
	from := 0
	parse := func(to int) {
		s = over(s, commandLine{args: line[from:to], from: p.From, unexpanded: p.Unexpanded, others: uwsgiOthers}.parse(uwsgiFlags))
	}
	var bare []string
	for i := 0; i < len(line); i++ {
		name, value, inline := strings.Cut(line[i], "=")
		option, long := strings.CutPrefix(name, "--")
		switch {
		case long && slices.Contains(uwsgiElsewhere, option):
			return facts.Details{Settings: every(uwsgiFlags, fmt.Errorf("%s: settings are where %s leads, and that is not read", p.From, name))}
		case long && (option == "ini" || option == "inherit"):
			parse(i)
			if !inline && i+1 < len(line) {
				i++
				value = line[i]
			}
			s, from = over(s, u.file(value, 0)), i+1
		case !strings.HasPrefix(line[i], "-") && isUWSGIFile(line[i]) && (i == 0 || !strings.HasPrefix(line[i-1], "-") || strings.Contains(line[i-1], "=")):
			bare = append(bare, line[i])
		}
	}
	parse(len(line))
	for _, file := range bare {
		s = over(s, u.file(file, 0))
	}
	return facts.Details{Settings: s}
}

// isUWSGIFile tells a file of settings by its name.
func isUWSGIFile(s string) bool {
	name, _, _ := strings.Cut(s, ":")
	return slices.Contains([]string{".ini", ".xml", ".yml", ".yaml", ".json", ".js"}, path.Ext(name))
}

// uwsgiReader reads files of settings, and those that these name.
type uwsgiReader struct {
	r facts.Root
	p facts.Program
}

// maxFiles bounds how deep files name others.
const maxFiles = 8

// file reads "/etc/uwsgi/app.ini", or "/etc/uwsgi/all.ini:section".
func (u uwsgiReader) file(name string, depth int) layer {
	name, section, ok := strings.Cut(name, ":")
	if !ok {
		section = "uwsgi"
	}
	switch {
	case depth > maxFiles:
		return every(uwsgiFlags, fmt.Errorf("%s: files name each other", name))
	case path.Ext(name) != ".ini":
		return every(uwsgiFlags, fmt.Errorf("%s: settings are in a file that is no .ini, which is not read", name))
	}
	text, file, err := beside(u.r, u.p, name)
	if err != nil {
		return every(uwsgiFlags, err)
	}
	return u.ini(text, file, section, depth)
}

// ini reads a section. What a condition or a placeholder decides is unknown.
func (u uwsgiReader) ini(text, file, section string, depth int) layer {
	out := make(layer)
	n, in, conditions := 0, "", 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		source := fmt.Sprintf("%s:%d", file, n)
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
			continue
		case line[0] == '[':
			in, _, _ = strings.Cut(line[1:], "]")
			continue
		case in != section:
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok {
			value = "1"
		}
		computed := strings.Contains(value, "$(") || strings.Contains(value, "@(") || strings.Contains(value, "%")
		switch {
		case strings.HasPrefix(key, "if-") || key == "for" || strings.HasPrefix(key, "for-"):
			conditions++
		case key == "endif" || key == "endfor" || key == "end-if" || key == "end-for":
			conditions--
		case slices.Contains(uwsgiElsewhere, key), (key == "ini" || key == "inherit" || key == "include") && (computed || conditions > 0):
			out = every(uwsgiFlags, fmt.Errorf("%s: settings are where %s leads, and that is not read", source, key))
		case key == "ini" || key == "inherit" || key == "include":
			out = over(out, u.file(value, depth+1))
		}
		for _, f := range uwsgiFlags {
			if f.long != "--"+key && (f.short != "-"+key || f.short == "") {
				continue
			}
			switch {
			case computed:
				out[f.name] = unread(errors.New(source + ": is computed when uWSGI starts"))
			case conditions > 0:
				out[f.name] = unread(errors.New(source + ": counts where a condition holds"))
			default:
				out[f.name] = known(value, source)
			}
		}
	}
	return out
}
