package facts

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
)

// TasksMaxUnset is why the TasksMax of a unit that sets none is not known.
const TasksMaxUnset = "TasksMax= is not set; the manager's default is a share of the host's"

// Unit is a service as systemd merges it from its file and drop-ins.
type Unit struct {
	Name       string               `json:"name"`           // "fl.service"; of an alias the unit's own
	User       string               `json:"user,omitempty"` // whose manager runs it; "" the system's
	Files      []string             `json:"files"`
	NoFile     Value[Bound]         `json:"nofile"`               // what it gets of LimitNOFILE=, the manager's default or PAM
	Asked      string               `json:"asked,omitempty"`      // LimitNOFILE= where it gets another than it asks for: "infinity"
	NoFileSet  bool                 `json:"nofileSet"`            // the unit or a drop-in sets it
	AtLeast    bool                 `json:"atLeast,omitempty"`    // the default of an unknown systemd: its hard limit may be higher
	Refused    string               `json:"refused,omitempty"`    // why systemd would not start it
	TasksMax   Value[Limit]         `json:"tasksMax"`             // unknown where it is a share or the default
	MemoryMax  Value[Limit]         `json:"memoryMax"`            // bytes, and MemoryHigh= where that is less
	RuntimeMax Value[time.Duration] `json:"runtimeMax,omitzero"`  // RuntimeMaxSec=, after which systemd ends the service; 0: never
	Ignored    []string             `json:"ignored,omitempty"`    // file:line of settings that systemd can't parse and skips
	MainPID    int                  `json:"mainPid,omitempty"`    // 0: not running, or not to be seen from here
	Executable string               `json:"executable,omitempty"` // base name of ExecStart's program
	Scripted   bool                 `json:"scripted,omitempty"`   // it is an interpreter or a script, or can't be seen: what it runs inside is not known
	Init       string               `json:"init,omitempty"`       // "openrc": whose script it is; "" systemd's unit
	Setter     string               `json:"setter,omitempty"`     // what sets another limit after systemd did: "ulimit at /etc/systemd/system/fl.service:8"
	Container  string               `json:"container,omitempty"`  // what it starts a container with: "podman"; its own limit is not the container's
	Template   string               `json:"template,omitempty"`   // file that a generator made it of: a quadlet
	PAM        string               `json:"pam,omitempty"`        // PAMName= of a stack whose pam_limits decides

	Kind     string        `json:"kind,omitempty"` // of what ExecStart would start; "": none that is known
	Role     Role          `json:"role,omitempty"`
	Version  Value[string] `json:"version,omitzero"`
	Settings Settings      `json:"settings,omitempty"`

	program  string // ExecStart's, with its path
	start    string // ExecStart's words
	runAs    string
	cwd      string
	settings []setting
}

// errNoUnit says that a unit has no file, or none that counts, and why.
type errNoUnit string

func (e errNoUnit) Error() string { return string(e) }

func noUnitFile(name string) error { return errNoUnit("no unit file of " + name) }

// services reads units as the host's managers would merge and start them.
type services struct {
	r       Root
	os      Value[OS]
	version Value[int]
	pid1    ceiling
}

func newServices(r Root, o Value[OS], sys Sysctls, pid1 Value[Limits], mayRaise Value[bool]) services {
	version := readSystemdVersion(r, o)
	return services{r: r, os: o, version: version, pid1: ceiling{
		nrOpen: sys.NROpen, own: managersOwn(pid1, sys.NROpen, version, o), mayRaise: mayRaise,
	}}
}

// unit reads a service as systemd would merge it now. What runs may still have
// older settings.
func (s services) unit(m manager, name string) (*Unit, error) {
	if !unitName.MatchString(name) {
		return nil, noUnitFile(name)
	}
	main, dropins, err := m.find(s.r, name)
	if err != nil {
		return nil, err
	}
	if main == "" {
		return nil, noUnitFile(name)
	}
	var all []setting
	own, _ := m.names(s.r, name)
	u := &Unit{Name: own, User: m.user}
	for _, file := range append([]string{main}, dropins...) {
		b, err := s.r.ReadFile(file)
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
	if _, instance := splitInstance(own); instance != "" {
		u.runAs = strings.ReplaceAll(strings.ReplaceAll(u.runAs, "%i", instance), "%I", instance)
	}
	if m.user == "" {
		s.limit(u, m, s.pid1)
	} else {
		s.limit(u, m, s.userCeiling(m.user))
	}
	u.settings = all
	u.Container, u.Setter = setters(s.r, all, u.cwd)
	return u, nil
}

// limit turns what a unit asks for into what it gets.
func (s services) limit(u *Unit, m manager, top ceiling) {
	if !u.NoFileSet {
		u.NoFile, u.AtLeast = s.managerDefault(m, top)
	}
	if !u.NoFile.Known() {
		return
	}
	ask := u.NoFile.V
	got, refused, err := top.grant(ask)
	if refused != "" && u.AtLeast {
		err = errors.New("systemd's version and so its default hard limit are not known")
	}
	switch {
	case err != nil:
		u.NoFile = Value[Bound]{Err: u.NoFile.Source + ": " + err.Error()}
		return
	case refused != "":
		u.Refused = refused
		u.NoFile.V = Bound{}
	case got != ask:
		u.NoFile.V = got
		if u.Asked = ask.Hard.String(); ask.Hard == Unlimited {
			u.Asked = "infinity"
		}
	}
	if u.PAM == "" || u.runAs == "" || u.Refused != "" {
		u.PAM = ""
		return
	}
	// pam_limits comes after systemd's own limits, and wins.
	session, err := readSession(s.r, u.PAM)
	if err != nil {
		u.NoFile = unknown[Bound](err)
		return
	}
	if !session.Limited {
		u.PAM = ""
		return
	}
	login, source, err := s.login(u.runAs, session, Limits{NoFile: u.NoFile.V, NProc: Bound{Unlimited, Unlimited}}, u.NoFile.Source)
	switch {
	case err != nil:
		u.NoFile = unknown[Bound](err)
	case login.Limits.NoFile != u.NoFile.V || len(login.Lines) > 0:
		u.NoFile, u.AtLeast = known(login.Limits.NoFile, source), false
	default:
		u.PAM = ""
	}
}

// managerDefault is DefaultLimitNOFILE= of system.conf, else the built-in; of a
// user's manager what it has itself. atLeast: the hard limit may be higher.
func (s services) managerDefault(m manager, top ceiling) (v Value[Bound], atLeast bool) {
	files, err := m.confFiles(s.r)
	if err != nil {
		return unknown[Bound](err), false
	}
	b, sure := managerDefault(s.version, s.os)
	v, atLeast = known(b, "systemd's default"), !sure
	if m.user != "" {
		v, atLeast = top.own, false
	}
	for _, file := range files {
		b, err := s.r.ReadFile(file)
		if absent(err) {
			continue
		}
		if err != nil {
			return unknown[Bound](err), false
		}
		for _, s := range parseUnit(string(b), file) {
			if s.section != "Manager" || s.key != "DefaultLimitNOFILE" {
				continue
			}
			if bound, err := parseUnitBound(s.value); err == nil {
				v, atLeast = known(bound, s.source), false
			}
		}
	}
	return v, atLeast
}

// merge applies settings in order: the last one counts. An empty one resets all
// but LimitNOFILE=, of which systemd says that it can't parse it.
func (u *Unit) merge(all []setting) {
	u.MemoryMax = known(Unlimited, "systemd's default")
	u.RuntimeMax = known(time.Duration(0), "systemd's default")
	high := u.MemoryMax
	u.TasksMax = Value[Limit]{Err: TasksMaxUnset}
	for _, s := range all {
		if s.key == "SourcePath" { // [Unit], but podman's generator wrote it elsewhere, too
			u.Template = s.value
		}
		if s.section != "Service" {
			continue
		}
		switch s.key {
		case "LimitNOFILE":
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
		case "MemoryHigh":
			high = unitLimit(s)
		case "RuntimeMaxSec":
			if s.value != "" { // systemd skips it
				u.RuntimeMax = unitTime(s)
			}
		case "User":
			u.runAs = s.value
		case "PAMName":
			u.PAM = s.value
		case "WorkingDirectory":
			u.cwd = strings.TrimPrefix(s.value, "-")
		case "ExecStart":
			if words, err := SplitWords(strings.TrimLeft(s.value, "-@:+!")); err == nil && len(words) > 0 {
				u.program, u.Executable, u.start = words[0], path.Base(words[0]), strings.Join(words, " ")
			}
		}
	}
	if !high.Known() && u.MemoryMax.Known() || u.MemoryMax.Known() && less(high.V, u.MemoryMax.V) {
		u.MemoryMax = high
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

// readService reads the unit that was asked for, else that of the application's
// running process. Asking for one that does not exist is an error.
func (s services) readService(name string, procs Value[[]Process]) (Value[*Unit], error) {
	asked := name != ""
	m := systemManager
	main := 0
	for _, p := range procs.V {
		if p.Serves() && p.Unit.V != "" && (!asked || p.Unit.V == name) && (main == 0 || p.Part != "worker") {
			name, main = p.Unit.V, p.PID
			m = systemManager
			if p.Origin.V.User != "" {
				a, err := readAccount(s.r, p.Origin.V.User)
				if err != nil {
					return unknown[*Unit](err), nil
				}
				m = userManager(a)
			}
		}
	}
	if name == "" {
		if !procs.Known() {
			return unknown[*Unit](fmt.Errorf("%s", procs.Why())), nil
		}
		return known[*Unit](nil, "no service asked for or running"), nil
	}
	u, err := s.unit(m, name)
	if _, none := err.(errNoUnit); none {
		if script, ok, scriptErr := s.openrc(name); ok {
			u, err = script, scriptErr
		}
	}
	if err != nil {
		if _, none := err.(errNoUnit); none && asked {
			return Value[*Unit]{}, err
		}
		return unknown[*Unit](err), nil
	}
	u.MainPID = main
	return known(u, u.Files[0]), nil
}

func (s services) readNginxUnit() Value[*Unit] {
	u, err := s.unit(systemManager, "nginx.service")
	if err != nil {
		if _, none := err.(errNoUnit); none {
			return known[*Unit](nil, err.Error())
		}
		return unknown[*Unit](err)
	}
	return known(u, u.Files[0])
}
