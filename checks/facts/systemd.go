package facts

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
)

// unitDirs are the system manager's, in order of precedence.
var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// managerDefault is the NOFILE that systemd gives services since version 240.
var managerDefault = Bound{Soft: 1024, Hard: 524288}

// Unit is a service as systemd merges it from its file and drop-ins.
type Unit struct {
	Name       string       `json:"name"` // "fl.service"
	Files      []string     `json:"files"`
	NoFile     Value[Bound] `json:"nofile"`               // LimitNOFILE= or the manager's default
	NoFileSet  bool         `json:"nofileSet"`            // the unit or a drop-in sets it
	TasksMax   Value[Limit] `json:"tasksMax"`             // unknown where it is a share or the default
	MemoryMax  Value[Limit] `json:"memoryMax"`            // bytes
	Ignored    []string     `json:"ignored,omitempty"`    // file:line of settings that systemd can't parse and skips
	MainPID    int          `json:"mainPid,omitempty"`    // 0: not running, or not to be seen from here
	Gunicorn   *Gunicorn    `json:"gunicorn,omitempty"`   // as ExecStart would start it
	Executable string       `json:"executable,omitempty"` // base name of ExecStart's program
	Scripted   bool         `json:"scripted,omitempty"`   // it is an interpreter or a script, or can't be seen: what it runs inside is not known

	program string // ExecStart's, with its path
}

// serviceName adds ".service" where it is missing.
func serviceName(s string) string {
	if s == "" || strings.HasSuffix(s, ".service") {
		return s
	}
	return s + ".service"
}

// setting is one line of a unit file.
type setting struct {
	section, key, value string
	source              string // file:line
}

// parseUnit reads a unit file: sections, "key=value", comments, lines continued
// by a backslash. Lines that are none of these are skipped, as systemd does.
func parseUnit(text, file string) []setting {
	var out []setting
	section, pending := "", ""
	n, start := 0, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" && pending == "" {
			continue
		}
		if trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
			continue // within a continued line, too
		}
		if pending == "" {
			start = n
		}
		if cont, ok := strings.CutSuffix(line, `\`); ok {
			pending += cont + " "
			continue
		}
		full := strings.TrimSpace(pending + line)
		pending = ""
		if name, ok := strings.CutPrefix(full, "["); ok && strings.HasSuffix(name, "]") {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(full, "=")
		if !ok {
			continue
		}
		out = append(out, setting{section, strings.TrimSpace(key), strings.TrimSpace(value), fmt.Sprintf("%s:%d", file, start)})
	}
	return out
}

// unitFiles finds a unit's file and its drop-ins in the order they apply. Of
// drop-ins of one name the more specific and the earlier directory's counts.
func unitFiles(r Root, name string) (main string, dropins []string, err error) {
	names := []string{name}
	if i := strings.IndexByte(name, '@'); i >= 0 { // an instance: its template's files, too
		names = append(names, name[:i+1]+".service")
	}
	for _, n := range names {
		for _, dir := range unitDirs {
			file := path.Join(dir, n)
			if main == "" && masked(r, file) {
				return "", nil, errNoUnit(file + " is masked")
			}
			if main == "" && r.Exists(file) {
				main = file
			}
		}
	}
	var dirs []string
	for _, n := range names {
		stem := strings.TrimSuffix(n, ".service")
		variants := []string{n}
		for i := len(stem) - 1; i > 0; i-- { // "a-b-.service.d", "a-.service.d"
			if stem[i] == '-' {
				variants = append(variants, stem[:i+1]+".service")
			}
		}
		for _, v := range variants {
			for _, dir := range unitDirs {
				dirs = append(dirs, path.Join(dir, v+".d"))
			}
		}
	}
	for _, dir := range unitDirs {
		dirs = append(dirs, path.Join(dir, "service.d"))
	}
	dropins, err = mergeDirs(r, dirs, ".conf")
	return main, dropins, err
}

// errNoUnit says that a unit has no file, or none that counts, and why.
type errNoUnit string

func (e errNoUnit) Error() string { return string(e) }

func noUnitFile(name string) error { return errNoUnit("no unit file of " + name) }

// readUnit reads a service as systemd would merge it now. What runs may still
// have older settings.
func readUnit(r Root, name string) (*Unit, error) {
	if !unitName.MatchString(name) {
		return nil, noUnitFile(name)
	}
	main, dropins, err := unitFiles(r, name)
	if err != nil {
		return nil, err
	}
	if main == "" {
		return nil, noUnitFile(name)
	}
	var all []setting
	u := &Unit{Name: name}
	for _, file := range append([]string{main}, dropins...) {
		b, err := r.ReadFile(file)
		if err != nil {
			if file != main && absent(err) { // a link to nothing
				continue
			}
			return nil, err
		}
		u.Files = append(u.Files, file)
		all = append(all, parseUnit(string(b), file)...)
	}
	u.merge(all)
	if !u.NoFileSet {
		u.NoFile = readManagerDefault(r)
	}
	u.Gunicorn = unitGunicorn(r, all)
	u.Scripted = u.Gunicorn == nil && scripted(r, u.program)
	return u, nil
}

// merge applies settings in order: the last one counts, an empty one resets.
func (u *Unit) merge(all []setting) {
	u.MemoryMax = known(Unlimited, "systemd's default")
	u.TasksMax = Value[Limit]{Err: "TasksMax= is not set; the manager's default is a share of the host's"}
	for _, s := range all {
		if s.section != "Service" {
			continue
		}
		switch s.key {
		case "LimitNOFILE":
			if s.value == "" {
				u.NoFile, u.NoFileSet = Value[Bound]{}, false
				continue
			}
			b, err := parseUnitBound(s.value)
			if err != nil {
				u.Ignored = append(u.Ignored, s.source)
				continue
			}
			u.NoFile, u.NoFileSet = known(b, s.source), true
		case "TasksMax":
			u.TasksMax = unitLimit(s)
		case "MemoryMax", "MemoryLimit":
			u.MemoryMax = unitLimit(s)
		case "ExecStart":
			if words, err := splitWords(strings.TrimLeft(s.value, "-@:+!")); err == nil && len(words) > 0 {
				u.program, u.Executable = words[0], path.Base(words[0])
			}
		}
	}
}

// interpreter is the name of a program that runs another, which may be gunicorn.
var interpreter = regexp.MustCompile(`^(python.*|pypy.*|env|[a-z]*sh|uv|poetry|pipenv|conda|nice|setpriv|prlimit|numactl|taskset|chrt)$`)

// scripted says whether a program is, or may be, one that runs another inside.
func scripted(r Root, program string) bool {
	switch base := path.Base(program); {
	case base == "fltool":
		return false
	case interpreter.MatchString(base):
		return true
	}
	f, err := r.Open(program)
	if err != nil {
		return true
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	return err != nil || string(head) != "\x7fELF"
}

// unitLimit reads TasksMax= and MemoryMax=: a count with a suffix, or none.
// Shares of the host ("50%") are not worked out.
func unitLimit(s setting) Value[Limit] {
	v := s.value
	scale := int64(1)
	if i := strings.IndexAny("KMGT", lastByte(v)); v != "" && i >= 0 {
		scale, v = 1<<(10*(i+1)), v[:len(v)-1]
	}
	l, err := parseUnitLimit(v)
	if err != nil || l > 1<<62/Limit(scale) {
		return Value[Limit]{Err: fmt.Sprintf("%s: %s=%s is not a plain count", s.source, s.key, s.value)}
	}
	if l != Unlimited {
		l *= Limit(scale)
	}
	return known(l, s.source)
}

// parseUnitLimit reads a count or systemd's one word for none, "infinity": a
// line with "unlimited" is skipped by systemd.
func parseUnitLimit(s string) (Limit, error) {
	if s == "unlimited" || s == "max" {
		return 0, fmt.Errorf("%q is no limit to systemd", s)
	}
	return parseLimit(s)
}

func lastByte(s string) string {
	if s == "" {
		return "\x00"
	}
	return s[len(s)-1:]
}

// parseUnitBound reads "soft:hard" or one value for both.
func parseUnitBound(s string) (Bound, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	var b Bound
	var err error
	if b.Soft, err = parseUnitLimit(strings.TrimSpace(soft)); err != nil {
		return b, err
	}
	if b.Hard, err = parseUnitLimit(strings.TrimSpace(hard)); err != nil {
		return b, err
	}
	if b.Hard != Unlimited && (b.Soft == Unlimited || b.Soft > b.Hard) {
		return b, fmt.Errorf("soft limit above the hard one")
	}
	return b, nil
}

// readManagerDefault is DefaultLimitNOFILE= of system.conf, else the built-in.
func readManagerDefault(r Root) Value[Bound] {
	dirs := []string{"/etc/systemd/system.conf.d", "/run/systemd/system.conf.d", "/usr/lib/systemd/system.conf.d", "/lib/systemd/system.conf.d"}
	dropins, err := mergeDirs(r, dirs, ".conf")
	if err != nil {
		return unknown[Bound](err)
	}
	v := known(managerDefault, "systemd's default")
	for _, file := range append([]string{"/etc/systemd/system.conf"}, dropins...) {
		b, err := r.ReadFile(file)
		if absent(err) {
			continue
		}
		if err != nil {
			return unknown[Bound](err)
		}
		for _, s := range parseUnit(string(b), file) {
			if s.section != "Manager" || s.key != "DefaultLimitNOFILE" {
				continue
			}
			if bound, err := parseUnitBound(s.value); err == nil {
				v = known(bound, s.source)
			}
		}
	}
	return v
}

// readService reads the unit that was asked for, else that of the application's
// running process. Asking for one that does not exist is an error.
func readService(r Root, name string, procs Value[[]Process]) (Value[*Unit], error) {
	asked := name != ""
	main := 0
	for _, p := range procs.V {
		if p.Serves() && p.Unit.V != "" && (name == "" || p.Unit.V == name) && (main == 0 || p.Part != "worker") {
			name, main = p.Unit.V, p.PID
		}
	}
	if name == "" {
		if !procs.Known() {
			return unknown[*Unit](fmt.Errorf("%s", procs.Why())), nil
		}
		return known[*Unit](nil, "no service asked for or running"), nil
	}
	u, err := readUnit(r, name)
	if err != nil {
		if _, none := err.(errNoUnit); none && asked {
			return Value[*Unit]{}, err
		}
		return unknown[*Unit](err), nil
	}
	u.MainPID = main
	return known(u, u.Files[0]), nil
}

func readNginxUnit(r Root) Value[*Unit] {
	u, err := readUnit(r, "nginx.service")
	if err != nil {
		if _, none := err.(errNoUnit); none {
			return known[*Unit](nil, err.Error())
		}
		return unknown[*Unit](err)
	}
	return known(u, u.Files[0])
}
