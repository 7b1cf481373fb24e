package facts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Program is how a program was started, or would be by a unit. It lives only
// while facts are gathered: arguments and environments hold secrets.
type Program struct {
	PID        int                      // 0: it does not run
	Args       []string                 // its own name first
	From       string                   // where Args stand: "/proc/300/cmdline", "/etc/systemd/system/fl.service:7"
	Unexpanded bool                     // Args are as a unit writes them: $NAME and %i stand for other texts
	Env        map[string]Value[string] // of the variables that kinds heed, those that are set
	EnvErr     error                    // the environment could not be read in full
	Cwd        string
	CwdErr     error
	FilesErr   error // why the files that it names are not to be seen here: it is in a container
	Distrust   error // why its title is not believed: it is another user's, or in a container
	Workers    int   // processes of its own that run beside it now
}

// A Spec is how facts know a kind of program, and read what it is set to. The
// catalogue in checks/kinds has one for each kind.
type Spec struct {
	Kind  string
	Role  Role
	Env   []string // variables that it heeds, "NAME_*" all that begin so; nothing else of an environment is kept
	Title []Title  // what it writes over its arguments
	// Match says whether the arguments, the program's own name first, are of this
	// kind. It does no I/O.
	Match func(args []string) bool
	// Look says so of a running program that no Match knows, by what it has open and
	// what its file holds. nil: never.
	Look func(Root, Program) bool
	Slow bool // Look is asked only of a program that may be the application
	// Read reads settings and where the program passes requests on. nil: it has none.
	Read func(Root, Program) Details
}

// Role is a kind's place on the way from workers to the application.
type Role string

// The roles.
const (
	RoleServer    Role = "server"    // answers polls: the application
	RoleProxy     Role = "proxy"     // speaks HTTP on both sides
	RoleForwarder Role = "forwarder" // passes bytes or packets on
)

// Title is the start of what a kind of process writes over its arguments.
type Title struct {
	Prefix   string
	Part     string // "master" or "worker"
	Draining string // a text in it says that the process takes nothing new; "": it never does
}

// Settings are what a program is set to, by the names of its own settings and as
// it writes them. One that is not there is unknown.
type Settings map[string]Value[string]

// Get is a setting.
func (s Settings) Get(name string) Value[string] {
	v, ok := s[name]
	if !ok {
		return Value[string]{Err: name + ": not read"}
	}
	return v
}

// Details are what is known of a program beyond how it was started.
type Details struct {
	Version  Value[string]
	Settings Settings
	Passes   Value[[]Pass] // where it passes requests on; unknown where that can't be told
}

// Pass is a way on from a proxy or forwarder.
type Pass struct {
	To       string   `json:"to"`                 // "127.0.0.1:5000", "app:5000", "unix:/run/fl.sock"
	From     []string `json:"from,omitempty"`     // addresses that it is taken from: ":80"; none: any of the program's
	Settings Settings `json:"settings,omitempty"` // in force on this way alone
	Source   string   `json:"source"`             // where it is set
}

// specOf finds the kind of a program by its arguments.
func specOf(specs []Spec, args []string) (*Spec, Title) {
	if len(args) == 0 || args[0] == "" {
		return nil, Title{}
	}
	for i := range specs {
		for _, t := range specs[i].Title {
			if strings.HasPrefix(args[0], t.Prefix) {
				return &specs[i], t
			}
		}
	}
	for i := range specs {
		if m := specs[i].Match; m != nil && m(args) {
			return &specs[i], Title{}
		}
	}
	return nil, Title{}
}

// heeded are the variables that any kind heeds.
func heeded(specs []Spec) (names []string) {
	for _, s := range specs {
		names = append(names, s.Env...)
	}
	return names
}

// program is how a running process was started.
func program(r Root, specs []Spec, c candidate, workers int) Program {
	from := fmt.Sprintf("/proc/%d/", c.PID)
	p := Program{PID: c.PID, Args: c.args, From: from + "cmdline", Workers: workers}
	env, err := readArgs(r, from+"environ")
	p.EnvErr, p.Env = err, pickEnv(env, from+"environ", heeded(specs))
	p.Cwd, p.CwdErr = r.Readlink(from + "cwd")
	p.FilesErr, p.Distrust = elsewhere(r, c.PID), distrust(r, c.PID)
	return p
}

// unitProgram is how a unit starts its program; false where it names none.
func unitProgram(r Root, specs []Spec, all []setting) (Program, bool) {
	p := Program{Unexpanded: true, Cwd: "/"}
	names := heeded(specs)
	// Variables of files override those of Environment=, wherever they stand.
	var set, fromFiles map[string]Value[string]
	var setErr, filesErr error
	for _, s := range all {
		if s.section != "Service" {
			continue
		}
		switch s.key {
		case "WorkingDirectory":
			p.Cwd, p.CwdErr = cmp.Or(strings.TrimPrefix(s.value, "-"), "/"), nil
			if !path.IsAbs(p.Cwd) || strings.Contains(p.Cwd, "%") {
				p.CwdErr = fmt.Errorf("%s: which directory %s is shows only while it runs", s.source, p.Cwd)
			}
		case "Environment":
			if s.value == "" {
				set, setErr = nil, nil
				continue
			}
			picked, err := unitEnvironment(s, names)
			if err != nil {
				setErr = err
			}
			set = merged(set, picked)
		case "EnvironmentFile":
			if s.value == "" {
				fromFiles, filesErr = nil, nil
				continue
			}
			picked, err := environmentFile(r, s, names)
			if err != nil {
				filesErr = err
			}
			fromFiles = merged(fromFiles, picked)
		case "ExecStart":
			words, err := SplitWords(strings.TrimLeft(s.value, "-@:+!"))
			p.Args, p.From = nil, s.source
			if err == nil {
				p.Args = words
			}
		}
	}
	p.Env, p.EnvErr = merged(set, fromFiles), cmp.Or(setErr, filesErr)
	return p, len(p.Args) > 0
}

// identify tells what a unit would start, and how that is set.
func identify(r Root, specs []Spec, u *Unit) {
	p, ok := unitProgram(r, specs, u.settings)
	if ok {
		if s, _ := specOf(specs, p.Args); s != nil {
			u.Kind, u.Role = s.Kind, s.Role
			if s.Read != nil {
				d := s.Read(r, p)
				u.Version, u.Settings = d.Version, d.Settings
			}
		}
	}
	u.Scripted = u.Kind == "" && scripted(r, u.program)
}

// merged is over's variables, and those of under that it has not.
func merged(under, over map[string]Value[string]) map[string]Value[string] {
	out := make(map[string]Value[string])
	maps.Copy(out, under)
	maps.Copy(out, over)
	return out
}

// unitEnvironment reads Environment=, where systemd expands %i and the like.
func unitEnvironment(s setting, names []string) (map[string]Value[string], error) {
	words, err := SplitWords(s.value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.source, err)
	}
	picked := pickEnv(words, s.source, names)
	for name, v := range picked {
		if strings.Contains(strings.ReplaceAll(v.V, "%%", ""), "%") {
			picked[name] = Value[string]{Err: fmt.Sprintf("%s: %s holds what only systemd expands", s.source, name)}
		}
	}
	return picked, nil
}

// environmentFile reads the file of EnvironmentFile=, which after a "-" may be
// missing.
func environmentFile(r Root, s setting, names []string) (map[string]Value[string], error) {
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
	return pickEnv(parseEnvFile(string(b)), name, names), nil
}

// pickEnv keeps the variables of these names. Nothing else of an environment is
// looked at: it holds secrets.
func pickEnv(env []string, from string, names []string) map[string]Value[string] {
	out := make(map[string]Value[string])
	for _, e := range env {
		if name, v, ok := strings.Cut(e, "="); ok && slices.ContainsFunc(names, func(n string) bool {
			start, some := strings.CutSuffix(n, "*")
			return n == name || some && strings.HasPrefix(name, start)
		}) {
			out[name] = known(v, from+" "+name)
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

// SplitWords splits as a POSIX shell does without expansions, which is what
// gunicorn does with GUNICORN_CMD_ARGS and, nearly, systemd with ExecStart=.
func SplitWords(s string) ([]string, error) {
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
