package kinds

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

var gunicornFlags = []flag{
	{name: "worker_class", short: "-k", long: "--worker-class", def: "sync"},
	{name: "worker_connections", long: "--worker-connections", def: "1000"},
	{name: "workers", short: "-w", long: "--workers", def: "1"},
	{name: "threads", long: "--threads", def: "1"},
	{name: "timeout", short: "-t", long: "--timeout", def: "30"},
	{name: "graceful_timeout", long: "--graceful-timeout", def: "30"},
	{name: "keepalive", long: "--keep-alive", def: "2"},
	{name: "backlog", long: "--backlog", def: "2048"},
	{name: "max_requests", long: "--max-requests", def: "0"},
}

// These lead to the config file and are no settings of interest themselves.
var gunicornPaths = []flag{
	{name: "config", short: "-c", long: "--config"},
	{name: "chdir", long: "--chdir"},
	{name: "max_requests_jitter", long: "--max-requests-jitter"}, // that it is no abbreviation
}

// gunicornOthers are flags that units often give a variable.
var gunicornOthers = []string{"-b", "--bind", "-n", "--name", "-u", "--user", "-g", "--group", "-p", "--pid", "--umask",
	"--log-level", "--log-file", "--error-logfile", "--access-logfile"}

// gunicornAt finds the argument that is gunicorn. -1: it is none.
func gunicornAt(args []string) int {
	return programAt(args, "gunicorn", "gunicorn3", "gunicorn.app.wsgiapp")
}

// looksLikeGunicorn knows a program that runs gunicorn inside by the file that its
// processes beat their hearts by. What a distribution ships, but Python, does not:
// of its many processes nobody's descriptors are looked through.
func looksLikeGunicorn(r facts.Root, p facts.Program) bool {
	exe, err := r.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
	shipped := err == nil && strings.HasPrefix(exe, "/usr/") && !strings.HasPrefix(exe, "/usr/local/")
	if shipped && !strings.Contains(path.Base(exe), "py") {
		return false
	}
	return r.HasOpen(p.PID, "/wgunicorn-")
}

// readGunicorn reads gunicorn's settings: from its built-in defaults, its config
// file, GUNICORN_CMD_ARGS and its command line, each overriding the one before.
// Python is never run: what a config file computes is unknown.
func readGunicorn(r facts.Root, p facts.Program) facts.Details {
	s := gunicornSettings(r, p)
	for name := range s {
		if slices.ContainsFunc(gunicornPaths, func(f flag) bool { return f.name == name }) {
			delete(s, name)
		}
	}
	return facts.Details{Settings: s}
}

func gunicornSettings(r facts.Root, p facts.Program) layer {
	at := gunicornAt(p.Args)
	flags := slices.Concat(gunicornFlags, gunicornPaths)
	base := defaults(gunicornFlags, "gunicorn's default")
	base["heeds"] = known(gunicornArgs, "gunicorn's documentation")
	args := commandLine{from: p.From, unexpanded: p.Unexpanded, others: gunicornOthers}
	switch {
	case at >= 0:
		args.args = p.Args[at+1:]
	case strings.HasPrefix(p.Args[0], "gunicorn: "): // setproctitle wrote over the arguments
		s := every(gunicornFlags, fmt.Errorf("%s: the process's title hides its arguments", p.From))
		s["hidden"] = known("true", p.From)
		return s
	default:
		base = defaults(gunicornFlags, "gunicorn's default, unless its program sets another")
		base["embedded"] = known("true", p.From)
		base["worker_class"] = embeddedClass(r, p.PID)
		base["timeout"] = unread(errors.New("set by the program that runs gunicorn inside"))
		base["heeds"] = bottleHeeds(r, p)
		args.args = p.Args[min(2, len(p.Args)):] // python server.py …: gunicorn reads the rest, too
	}
	base = over(base, variable(p, gunicornWorkers, "workers"))
	switch heeds := base["heeds"]; {
	case !heeds.Known(): // whatever these set may count or not
		var doubted layer
		if _, ok := p.Env[gunicornArgs]; ok {
			doubted = maybe(flagsIn(p, gunicornArgs, gunicornFlags), heeds.Why())
		}
		return settled(over(base, maybe(args.parse(gunicornFlags), heeds.Why()), doubted), p)
	case heeds.V != gunicornArgs:
		return settled(base, p)
	}
	line, env := args.parse(flags), flagsIn(p, gunicornArgs, flags)
	under := over(base, gunicornConfig(r, p, line, env), env)
	if _, ok := p.Env[gunicornArgs]; ok {
		under[gunicornArgs] = known("set", p.Env[gunicornArgs].Source)
	}
	if p.EnvErr != nil { // it may override all but the arguments
		under = over(under, every(gunicornFlags, p.EnvErr))
	}
	return settled(over(under, line), p)
}

// maybe makes unknown what a layer would set.
func maybe(l layer, why string) layer {
	out := make(layer)
	for name := range l {
		out[name] = unread(errors.New(why))
	}
	return out
}

// settled is what gunicorn itself makes of its settings, and what can be
// counted where it runs.
func settled(s layer, p facts.Program) layer {
	if !s["workers"].Known() && p.Workers > 0 {
		s["workers"] = known(strconv.Itoa(p.Workers), fmt.Sprintf("%d processes that run", p.Workers))
	}
	for _, f := range gunicornFlags {
		if v := s[f.name]; v.Known() && f.name != "worker_class" {
			s[f.name] = known(strings.ReplaceAll(v.V, "_", ""), v.Source)
		}
	}
	c := s["worker_class"]
	if !c.Known() {
		return s
	}
	c.V = workerClass(c.V)
	// gunicorn itself turns a sync worker with threads into gthread.
	if n, err := strconv.Atoi(s["threads"].V); c.V == "sync" && err == nil && n > 1 {
		c.V = "gthread"
	}
	s["worker_class"] = c
	return s
}

// workerClass shortens what gunicorn accepts: "egg:gunicorn#gevent" and
// "gunicorn.workers.ggevent.GeventWorker" are "gevent".
func workerClass(s string) string {
	s = strings.TrimPrefix(s, "egg:gunicorn#")
	if mod, ok := strings.CutPrefix(s, "gunicorn.workers."); ok {
		mod, _, _ = strings.Cut(mod, ".")
		switch mod {
		case "ggevent", "geventlet", "gtornado":
			return mod[1:]
		}
		return mod
	}
	switch s {
	case "gevent_wsgi", "gevent_pywsgi": // gevent's own server, with as many connections
		return "gevent"
	case "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker", "uvicorn_worker.UvicornWorker", "uvicorn_worker.UvicornH11Worker":
		return "uvicorn"
	}
	return s
}

// embeddedClass tells the worker class of an embedded gunicorn from the compiled
// libraries in its memory.
func embeddedClass(r facts.Root, pid int) facts.Value[string] {
	name := fmt.Sprintf("/proc/%d/maps", pid)
	s, err := r.ReadString(name)
	if err != nil {
		return unread(err)
	}
	if strings.Contains(s, "/gevent/") {
		return known("gevent", name)
	}
	return unread(fmt.Errorf("%s: gevent is not loaded, and the program sets the worker class itself", name))
}

var bottleVersion = regexp.MustCompile(`(?m)^__version__\s*=\s*['"](\d+)\.(\d+)`)

// bottleHeeds says whether the bottle that runs gunicorn inside lets it read
// GUNICORN_CMD_ARGS and the command line: up to 0.12 it does, from 0.13 on its
// adapter replaces gunicorn's way to load settings.
func bottleHeeds(r facts.Root, p facts.Program) facts.Value[string] {
	if p.FilesErr != nil {
		return unread(p.FilesErr)
	}
	for _, dir := range pythonPath(r, p) {
		file := path.Join(dir, "bottle.py")
		b, err := r.ReadFile(file)
		if err != nil {
			continue // not there: the next directory's counts, as for Python
		}
		m := bottleVersion.FindSubmatch(b)
		if m == nil {
			return unread(fmt.Errorf("%s names no version", file))
		}
		major, _ := strconv.Atoi(string(m[1])) // digits: the expression says so
		minor, _ := strconv.Atoi(string(m[2]))
		if major > 0 || minor > 12 {
			return known("nothing", fmt.Sprintf("%s %d.%d", file, major, minor))
		}
		return known(gunicornArgs, fmt.Sprintf("%s %d.%d", file, major, minor))
	}
	return unread(fmt.Errorf("bottle's version was not found, and from 0.13 on gunicorn inside it reads no %s", gunicornArgs))
}

// pythonPath is where a program of Python looks for modules: beside its script, in
// the interpreter's own environment, and in the system's.
func pythonPath(r facts.Root, p facts.Program) (dirs []string) {
	if len(p.Args) > 1 && path.IsAbs(p.Args[1]) {
		dirs = append(dirs, path.Dir(p.Args[1]))
	}
	if p.CwdErr == nil && path.IsAbs(p.Cwd) {
		dirs = append(dirs, p.Cwd)
	}
	prefixes := []string{"/usr/local", "/usr"}
	if path.IsAbs(p.Args[0]) {
		prefixes = append([]string{path.Dir(path.Dir(p.Args[0]))}, prefixes...)
	}
	for _, prefix := range prefixes {
		names, err := r.ReadDir(path.Join(prefix, "lib"))
		if err != nil {
			continue
		}
		for _, n := range names {
			if strings.HasPrefix(n, "python3") {
				dirs = append(dirs, path.Join(prefix, "lib", n, "site-packages"), path.Join(prefix, "lib", n, "dist-packages"))
			}
		}
	}
	return dirs
}

// gunicornConfig reads the config file that arguments name, else the environment,
// else gunicorn's default name.
func gunicornConfig(r facts.Root, p facts.Program, args, env layer) layer {
	if p.FilesErr != nil {
		return every(gunicornFlags, p.FilesErr)
	}
	name, given := args["config"]
	if !given {
		name, given = env["config"]
	}
	if given && !name.Known() {
		return every(gunicornFlags, errors.New(name.Why()))
	}
	file := "gunicorn.conf.py"
	if given {
		file = strings.TrimPrefix(name.V, "file:")
		if strings.HasPrefix(file, "python:") {
			return every(gunicornFlags, fmt.Errorf("%s: settings are in the module %s, which is not run", name.Source, file))
		}
	}
	if !path.IsAbs(file) {
		if p.CwdErr != nil {
			return every(gunicornFlags, p.CwdErr)
		}
		dir := p.Cwd
		if chdir, ok := args["chdir"]; ok && p.PID == 0 { // a running process is there already
			if !chdir.Known() {
				return every(gunicornFlags, errors.New(chdir.Why()))
			}
			dir = chdir.V
		}
		file = path.Join(dir, file)
	}
	b, err := r.ReadFile(file)
	if err != nil {
		if facts.Absent(err) && !given {
			return nil
		}
		return every(gunicornFlags, err)
	}
	return parseGunicornConfig(string(b), file)
}
