package facts

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// kernelNoFile is what a process has where nothing ever set a limit.
var kernelNoFile = Bound{Soft: 1024, Hard: 4096}

// openrc reads a service of OpenRC: the last of rc_ulimit in rc.conf, its conf.d and
// its script counts (openrc-run(8)), else what PID 1 has. ok is false where there
// is no such script.
func (s services) openrc(name string) (u *Unit, ok bool, err error) {
	name = strings.TrimSuffix(name, ".service")
	script := "/etc/init.d/" + name
	text, err := s.r.ReadString(script)
	if absent(err) || err == nil && !strings.Contains(firstLine(text), "openrc-run") {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	u = &Unit{
		Name: name + ".service", Init: ByOpenRC, Files: []string{script}, NoFile: known(kernelNoFile, "the kernel's default"),
		TasksMax:  Value[Limit]{Err: "OpenRC sets none"},
		MemoryMax: known(Unlimited, script), RuntimeMax: known(time.Duration(0), script),
	}
	if s.pid1.own.Known() {
		u.NoFile = s.pid1.own
	}
	set := make(map[string]string)
	for _, file := range []string{"/etc/rc.conf", "/etc/conf.d/" + name, script} {
		b, err := s.r.ReadFile(file)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, true, err
		}
		u.Files = append(u.Files, file)
		for _, a := range parseShellSettings(string(b)) {
			set[a.key] = a.value
			if a.key != "rc_ulimit" {
				continue
			}
			if b, ok := parseUlimit(a.value, u.NoFile.V); ok {
				u.NoFile, u.NoFileSet = known(b, fmt.Sprintf("%s:%d", file, a.line)), true
			}
		}
	}
	u.program, u.Executable = set["command"], path.Base(set["command"])
	start := setting{"Service", "ExecStart", set["command"] + " " + set["command_args"], script}
	u.settings = []setting{{"Service", "WorkingDirectory", set["directory"], script}, start}
	return u, true, nil
}

type shellSetting struct {
	key, value string
	line       int
}

var shellAssignment = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// parseShellSettings reads assignments that stand on a line of their own, without
// expansions.
func parseShellSettings(text string) []shellSetting {
	var out []shellSetting
	n := 0
	for line := range strings.Lines(text) {
		n++
		m := shellAssignment.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		words, err := SplitWords(m[2])
		if err != nil {
			continue
		}
		value := ""
		if len(words) > 0 {
			value = words[0]
		}
		out = append(out, shellSetting{m[1], value, n})
	}
	return out
}

// parseUlimit reads what ulimit is told of open files: "-n 65536", "-Hn 4096",
// "-u 5 -n unlimited". Without H or S it sets both.
func parseUlimit(args string, has Bound) (b Bound, found bool) {
	b = has
	f := strings.Fields(args)
	hard, soft := false, false
	for i := 0; i < len(f); i++ {
		flags, ok := strings.CutPrefix(f[i], "-")
		if !ok {
			continue
		}
		hard, soft = hard || strings.Contains(flags, "H"), soft || strings.Contains(flags, "S")
		if !strings.Contains(flags, "n") || i+1 == len(f) {
			continue
		}
		l, err := parseLimit(f[i+1])
		if err != nil {
			return has, false
		}
		if hard || !soft {
			b.Hard = l
		}
		if soft || !hard {
			b.Soft = l
		}
		found = true
	}
	if less(b.Hard, b.Soft) {
		b.Soft = b.Hard
	}
	return b, found
}
