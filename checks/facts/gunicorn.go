package facts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Gunicorn is what gunicorn is set to, from its built-in defaults, its config
// file, GUNICORN_CMD_ARGS and its command line, each overriding the one before.
// Python is never run: what a config file computes is unknown.
type Gunicorn struct {
	WorkerClass       Value[string]  `json:"workerClass"` // "sync", "gthread", "gevent", "eventlet", …
	WorkerConnections Value[int]     `json:"workerConnections"`
	Workers           Value[int]     `json:"workers"` // processes
	Threads           Value[int]     `json:"threads"`
	Timeout           Value[float64] `json:"timeoutSeconds"`
	GracefulTimeout   Value[float64] `json:"gracefulTimeoutSeconds"`
	Keepalive         Value[float64] `json:"keepaliveSeconds"`
	Backlog           Value[int]     `json:"backlog"`
	Hidden            bool           `json:"hidden,omitempty"`   // the process's title hides its arguments
	Embedded          bool           `json:"embedded,omitempty"` // within another program, as dc_federated's: that may set defaults of its own
	EnvArgs           bool           `json:"envArgs,omitempty"`  // GUNICORN_CMD_ARGS is set
}

// gunicornOption is one setting: its name in a config file and its flags.
type gunicornOption struct {
	name, short, long, def string
}

var gunicornOptions = []gunicornOption{
	{"worker_class", "-k", "--worker-class", "sync"},
	{"worker_connections", "", "--worker-connections", "1000"},
	{"workers", "-w", "--workers", "1"},
	{"threads", "", "--threads", "1"},
	{"timeout", "-t", "--timeout", "30"},
	{"graceful_timeout", "", "--graceful-timeout", "30"},
	{"keepalive", "", "--keep-alive", "2"},
	{"backlog", "", "--backlog", "2048"},
}

// These two lead to the config file and are not settings of interest themselves.
var gunicornPaths = []gunicornOption{
	{"config", "-c", "--config", ""},
	{"chdir", "", "--chdir", ""},
}

// layer is what one source sets; unknown where it sets it in a way that can't
// be read.
type layer map[string]Value[string]

// gunicornSource is where gunicorn's settings come from.
type gunicornSource struct {
	args     []string // after the program's name
	argsFrom string
	unit     bool                     // args are as a unit writes them: $NAME and %i are not expanded
	env      map[string]Value[string] // GUNICORN_CMD_ARGS, WEB_CONCURRENCY; absent where not set
	envErr   error                    // the environment could not be read
	files    error                    // why its files are not to be seen here
	cwd      string
	cwdErr   error
	embedded bool
	class    Value[string] // what an embedded gunicorn seems to run
}

// processGunicorn reads the settings of a running master or lone process.
func processGunicorn(r Root, c candidate) *Gunicorn {
	src := gunicornSource{argsFrom: fmt.Sprintf("/proc/%d/cmdline", c.PID), embedded: c.embeds}
	envFile := fmt.Sprintf("/proc/%d/environ", c.PID)
	env, err := readArgs(r, envFile)
	src.envErr = err
	src.env = pickEnv(env, envFile)
	src.files = elsewhere(r, c.PID)
	src.cwd, src.cwdErr = r.Readlink(fmt.Sprintf("/proc/%d/cwd", c.PID))
	switch i := gunicornAt(c.args); {
	case i >= 0:
		src.args = c.args[i+1:]
	case c.embeds:
		src.args = c.args[min(2, len(c.args)):] // python server.py …: gunicorn reads the rest, too
		src.class = read(fmt.Sprintf("/proc/%d/maps", c.PID), func() (string, error) { return loadedClass(r, c.PID) })
	default: // setproctitle wrote over the arguments
		g := allUnknown(fmt.Errorf("%s: the process's title hides its arguments", src.argsFrom))
		g.Hidden = true
		return g
	}
	return resolveGunicorn(r, src)
}

// loadedClass tells the worker class of an embedded gunicorn from the compiled
// libraries in its memory.
func loadedClass(r Root, pid int) (string, error) {
	name := fmt.Sprintf("/proc/%d/maps", pid)
	s, err := r.ReadString(name)
	if err != nil {
		return "", err
	}
	if strings.Contains(s, "/gevent/") {
		return "gevent", nil
	}
	return "", fmt.Errorf("%s: gevent is not loaded, and the program sets the worker class itself", name)
}

// unitGunicorn reads the settings that a unit would start gunicorn with; nil
// where it starts something else.
func unitGunicorn(r Root, all []setting) *Gunicorn {
	src := gunicornSource{unit: true, cwd: "/"}
	// Variables of files override those of Environment=, wherever they stand.
	var set, fromFiles map[string]Value[string]
	var setErr, filesErr error
	start := -1
	for _, s := range all {
		if s.section != "Service" {
			continue
		}
		switch s.key {
		case "WorkingDirectory":
			src.cwd, src.cwdErr = cmp.Or(strings.TrimPrefix(s.value, "-"), "/"), nil
			if !path.IsAbs(src.cwd) || strings.Contains(src.cwd, "%") {
				src.cwdErr = fmt.Errorf("%s: which directory %s is shows only while it runs", s.source, src.cwd)
			}
		case "Environment":
			if s.value == "" {
				set, setErr = nil, nil
				continue
			}
			picked, err := unitEnvironment(s)
			if err != nil {
				setErr = err
			}
			set = merged(set, picked)
		case "EnvironmentFile":
			if s.value == "" {
				fromFiles, filesErr = nil, nil
				continue
			}
			picked, err := environmentFile(r, s)
			if err != nil {
				filesErr = err
			}
			fromFiles = merged(fromFiles, picked)
		case "ExecStart":
			words, err := splitWords(strings.TrimLeft(s.value, "-@:+!"))
			if err != nil || len(words) == 0 {
				start = -1
				continue
			}
			if start = gunicornAt(words); start >= 0 {
				src.args, src.argsFrom = words[start+1:], s.source
			}
		}
	}
	if start < 0 {
		return nil
	}
	src.env, src.envErr = merged(set, fromFiles), cmp.Or(setErr, filesErr)
	return resolveGunicorn(r, src)
}

// merged is over's variables, and those of under that it has not.
func merged(under, over map[string]Value[string]) map[string]Value[string] {
	out := make(map[string]Value[string])
	maps.Copy(out, under)
	maps.Copy(out, over)
	return out
}

// unitEnvironment reads Environment=, where systemd expands %i and the like.
func unitEnvironment(s setting) (map[string]Value[string], error) {
	words, err := splitWords(s.value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.source, err)
	}
	picked := pickEnv(words, s.source)
	for name, v := range picked {
		if strings.Contains(strings.ReplaceAll(v.V, "%%", ""), "%") {
			picked[name] = Value[string]{Err: fmt.Sprintf("%s: %s holds what only systemd expands", s.source, name)}
		}
	}
	return picked, nil
}

// environmentFile reads the file of EnvironmentFile=, which after a "-" may be
// missing.
func environmentFile(r Root, s setting) (map[string]Value[string], error) {
	name, optional := strings.CutPrefix(s.value, "-")
	if strings.ContainsAny(name, "%*?[") {
		return nil, fmt.Errorf("%s: which files %s names is known to systemd alone", s.source, name)
	}
	b, err := r.ReadFile(name)
	switch {
	case optional && absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return pickEnv(parseEnvFile(string(b)), name), nil
}

// pickEnv keeps the two variables that gunicorn heeds. Nothing else of an
// environment is looked at: it holds secrets.
func pickEnv(env []string, from string) map[string]Value[string] {
	out := make(map[string]Value[string])
	for _, e := range env {
		for _, name := range []string{"GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"} {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				out[name] = known(v, from+" "+name)
			}
		}
	}
	return out
}

// parseEnvFile reads systemd's EnvironmentFile: NAME=value, perhaps quoted.
func parseEnvFile(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || line[0] == '#' || line[0] == ';' {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		out = append(out, strings.TrimSpace(name)+"="+value)
	}
	return out
}

// resolveGunicorn applies the layers.
func resolveGunicorn(r Root, src gunicornSource) *Gunicorn {
	layers := []layer{make(layer)}
	for _, o := range gunicornOptions {
		from := "gunicorn's default"
		if src.embedded {
			from = "gunicorn's default, unless its program sets another"
		}
		layers[0][o.name] = known(o.def, from)
	}
	if src.embedded {
		layers[0]["worker_class"] = src.class
		layers[0]["timeout"] = Value[string]{Err: "set by the program that runs gunicorn inside"}
	}
	if v, ok := src.env["WEB_CONCURRENCY"]; ok {
		layers[0]["workers"] = v
	}
	args := parseGunicornArgs(src.args, src.argsFrom, src.unit)
	env := layer{}
	envArgs, hasEnv := src.env["GUNICORN_CMD_ARGS"]
	switch {
	case hasEnv && !envArgs.Known():
		env = everySetting(errors.New(envArgs.Why()))
	case hasEnv:
		words, err := splitWords(envArgs.V)
		if err != nil {
			return allUnknown(fmt.Errorf("%s: %w", envArgs.Source, err))
		}
		env = parseGunicornArgs(words, envArgs.Source, false)
	}
	layers = append(layers, configLayer(r, src, args, env), env, args)

	g := &Gunicorn{Embedded: src.embedded, EnvArgs: hasEnv}
	get := func(name string) Value[string] {
		var v Value[string]
		for i, l := range layers {
			if s, ok := l[name]; ok {
				v = s
			}
			// An environment that can't be read may override all but the arguments.
			if i == 2 && src.envErr != nil {
				v = unknown[string](src.envErr)
			}
		}
		return v
	}
	count := func(name string) Value[int] {
		return convert(get(name), func(s string) (int, error) {
			n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
			if err != nil || n < 0 {
				return 0, fmt.Errorf("%s: %q is no count", name, s)
			}
			return n, nil
		})
	}
	seconds := func(name string) Value[float64] {
		return convert(get(name), func(s string) (float64, error) {
			n, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 31)
			if err != nil {
				return 0, fmt.Errorf("%s: %q is no time in seconds", name, s)
			}
			return float64(n), nil
		})
	}
	g.WorkerClass = convert(get("worker_class"), workerClass)
	g.WorkerConnections, g.Workers = count("worker_connections"), count("workers")
	g.Threads, g.Backlog = count("threads"), count("backlog")
	g.Timeout, g.GracefulTimeout, g.Keepalive = seconds("timeout"), seconds("graceful_timeout"), seconds("keepalive")
	// gunicorn itself turns a sync worker with threads into gthread.
	if g.WorkerClass.V == "sync" && g.Threads.Known() && g.Threads.V > 1 {
		g.WorkerClass.V = "gthread"
	}
	return g
}

// workerClass shortens what gunicorn accepts: "egg:gunicorn#gevent" and
// "gunicorn.workers.ggevent.GeventWorker" are "gevent".
func workerClass(s string) (string, error) {
	s = strings.TrimPrefix(s, "egg:gunicorn#")
	if mod, ok := strings.CutPrefix(s, "gunicorn.workers."); ok {
		mod, _, _ = strings.Cut(mod, ".")
		switch mod {
		case "ggevent":
			return "gevent", nil
		case "geventlet":
			return "eventlet", nil
		default:
			return mod, nil
		}
	}
	return s, nil
}

// configLayer reads the config file that arguments, else the environment, else
// gunicorn's default name.
func configLayer(r Root, src gunicornSource, args, env layer) layer {
	if src.files != nil {
		return everySetting(src.files)
	}
	name, given := args["config"]
	if !given {
		name, given = env["config"]
	}
	if given && !name.Known() {
		return everySetting(errors.New(name.Why()))
	}
	file := "gunicorn.conf.py"
	if given {
		file = strings.TrimPrefix(name.V, "file:")
		if strings.HasPrefix(file, "python:") {
			return everySetting(fmt.Errorf("%s: settings are in the module %s, which is not run", name.Source, file))
		}
	}
	if !path.IsAbs(file) {
		dir := src.cwd
		if src.cwdErr != nil {
			return everySetting(src.cwdErr)
		}
		if chdir, ok := args["chdir"]; ok && src.unit { // a running process is there already
			if !chdir.Known() {
				return everySetting(errors.New(chdir.Why()))
			}
			dir = chdir.V
		}
		file = path.Join(dir, file)
	}
	b, err := r.ReadFile(file)
	if err != nil {
		if absent(err) && !given {
			return nil
		}
		return everySetting(err)
	}
	return parseGunicornConfig(string(b), file)
}

// everySetting is a layer that may set all and of which nothing is known.
func everySetting(err error) layer {
	l := make(layer)
	for _, o := range gunicornOptions {
		l[o.name] = unknown[string](err)
	}
	return l
}

// otherValues are flags of gunicorn that units often give a variable.
var otherValues = []string{"-b", "--bind", "-n", "--name", "-u", "--user", "-g", "--group", "-p", "--pid", "--umask",
	"--log-level", "--log-file", "--error-logfile", "--access-logfile"}

// unexpanded tells a word of a unit that holds $NAME, ${NAME} or %i, which only
// systemd expands.
func unexpanded(word string) bool { return firstUnexpanded(word) >= 0 }

// firstUnexpanded is where the first of these stands, "$$" and "%%" left out.
func firstUnexpanded(word string) int {
	return strings.IndexAny(strings.NewReplacer("$$", "", "%%", "").Replace(word), "$%")
}

// splits tells a $NAME, which systemd replaces by as many words as its value has.
func splits(word string) bool {
	return strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "${") && !strings.HasPrefix(word, "$$")
}

// mayBeFlags tells a word of a unit that may come to be any flag.
func mayBeFlags(word string) bool {
	flag, _, _ := strings.Cut(word, "=")
	return firstUnexpanded(strings.TrimLeft(word, "-")) == 0 || strings.HasPrefix(word, "--") && unexpanded(flag)
}

// parseGunicornArgs reads flags as Python's argparse does, as far as our
// options go. An abbreviated flag that might mean one of ours makes it unknown.
// In a unit's, words that systemd is yet to expand make unknown what they may set.
func parseGunicornArgs(args []string, from string, unit bool) layer {
	out := make(layer)
	options := append(append([]gunicornOption{}, gunicornOptions...), gunicornPaths...)
	anything := func(word string) {
		for _, o := range options {
			out[o.name] = Value[string]{Err: fmt.Sprintf("%s: %s may set it, and only systemd expands that", from, word)}
		}
	}
	given := func(value string) Value[string] {
		if unit && splits(value) {
			anything(value)
		}
		if unit && unexpanded(value) {
			return Value[string]{Err: fmt.Sprintf("%s: %s, which only systemd expands", from, value)}
		}
		return known(value, from)
	}
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			break
		}
		if unit && mayBeFlags(args[i]) {
			anything(args[i])
			continue
		}
		if unit && slices.Contains(otherValues, args[i]) && i+1 < len(args) && !splits(args[i+1]) {
			i++
			continue
		}
		flag, value, inline := strings.Cut(args[i], "=")
		for _, o := range options {
			long := strings.HasPrefix(flag, "--")
			switch {
			case flag == o.long || flag == o.short && o.short != "":
				if !inline {
					if i+1 >= len(args) {
						out[o.name] = Value[string]{Err: fmt.Sprintf("%s: %s has no value", from, flag)}
						continue
					}
					i++
					value = args[i]
				}
				out[o.name] = given(value)
			case !long && o.short != "" && len(args[i]) > 2 && strings.HasPrefix(args[i], o.short):
				out[o.name] = given(strings.TrimPrefix(args[i][2:], "="))
			case long && len(flag) > 2 && strings.HasPrefix(o.long, flag):
				out[o.name] = Value[string]{Err: fmt.Sprintf("%s: %s is abbreviated", from, flag)}
			default:
				continue
			}
			break
		}
	}
	return out
}

var (
	assignment = regexp.MustCompile(`^([a-z_]+)\s*=\s*(.*)$`)
	anyUse     = regexp.MustCompile(`\b(worker_class|worker_connections|workers|threads|timeout|graceful_timeout|keepalive|backlog)\b\s*(?::[^=]*)?[-+*/|&%]?=[^=]`)
	literal    = regexp.MustCompile(`^(?:([0-9_]+)|"([^"\\]*)"|'([^'\\]*)')\s*(?:#.*)?$`)
	computed   = regexp.MustCompile(`\b(exec|eval|globals|locals|import\s+\*|from\s+\S+\s+import)\b`)
)

// parseGunicornConfig reads a Python file for the settings that are plain
// literals at its top level. A setting that is assigned in any other way is
// unknown, and so is every setting once the file does what could set any.
func parseGunicornConfig(text, file string) layer {
	out := make(layer)
	n, inText := 0, false
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n ")
		if marks := strings.Count(line, `"""`) + strings.Count(line, `'''`); inText || marks > 0 {
			inText = inText != (marks%2 == 1)
			continue // a text over several lines, and what shares a line with its marks
		}
		code := strings.TrimSpace(line)
		if code == "" || code[0] == '#' {
			continue
		}
		source := fmt.Sprintf("%s:%d", file, n)
		if computed.MatchString(code) {
			for _, o := range gunicornOptions {
				out[o.name] = Value[string]{Err: source + ": may set it, and Python is not run"}
			}
			continue
		}
		if m := assignment.FindStringSubmatch(line); m != nil {
			if v := literal.FindStringSubmatch(m[2]); v != nil {
				out[m[1]] = known(v[1]+v[2]+v[3], source)
				continue
			}
		}
		for _, m := range anyUse.FindAllStringSubmatch(line+" ", -1) {
			out[m[1]] = Value[string]{Err: source + ": is computed, and Python is not run"}
		}
	}
	return out
}

func allUnknown(err error) *Gunicorn {
	return &Gunicorn{
		WorkerClass: unknown[string](err), WorkerConnections: unknown[int](err), Workers: unknown[int](err),
		Threads: unknown[int](err), Timeout: unknown[float64](err), GracefulTimeout: unknown[float64](err),
		Keepalive: unknown[float64](err), Backlog: unknown[int](err),
	}
}

// splitWords splits as a POSIX shell does without expansions, which is what
// gunicorn does with GUNICORN_CMD_ARGS and, nearly, systemd with ExecStart=.
func splitWords(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\':
			if i++; i == len(s) {
				return nil, errors.New("ends in a backslash")
			}
			word.WriteByte(s[i])
			in = true
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}
