package facts

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Kinds that facts themselves must tell apart; the catalogue has more.
const (
	KindNginx  = "nginx"
	KindFltool = "fltool"
	KindOther  = "other" // a program that no kind of the catalogue knows
)

// Process is one of a hop on the way to the application. Of its command line and
// environment only named settings are kept.
type Process struct {
	PID      int    `json:"pid"`
	PPID     int    `json:"ppid"`
	Kind     string `json:"kind"` // of the catalogue, or KindOther
	Role     Role   `json:"role"`
	Part     string `json:"part,omitempty"`     // "master" or "worker"; "" where one process is all
	Draining bool   `json:"draining,omitempty"` // takes nothing new, as nginx's of before a reload
	Name     string `json:"name"`               // the kernel's, 15 characters

	User     Value[string]     `json:"user"`            // name, or the id where /etc/passwd has none
	Exe      Value[string]     `json:"exe"`             // file of the program
	NetNS    string            `json:"netns,omitempty"` // its network namespace, where that is not the host's
	Limits   Value[Limits]     `json:"limits"`
	FDs      Value[int]        `json:"fds"` // open now
	RSSBytes Value[int64]      `json:"rssBytes"`
	Threads  Value[int]        `json:"threads"`
	Listen   Value[[]Listener] `json:"listen"` // of masters and lone processes: the group's
	Unit     Value[string]     `json:"unit"`   // of systemd; "" none
	Origin   Value[Origin]     `json:"origin"` // who started it
	Cgroup   Value[Cgroup]     `json:"cgroup"`

	// Of masters and lone processes:
	Version  Value[string] `json:"version,omitzero"`
	Settings Settings      `json:"settings,omitempty"`
	Passes   Value[[]Pass] `json:"passes,omitzero"`
}

// Serves says whether the process is of the application, not of what stands before it.
func (p Process) Serves() bool { return p.Role == RoleServer }

// ListensOn says whether the process is known to listen on the port.
func (p Process) ListensOn(port uint16) bool {
	return slices.ContainsFunc(p.Listen.V, func(l Listener) bool { return l.Addr.Port() == port })
}

// PassesTo says whether the process is known to pass requests on to a port.
func (p Process) PassesTo(port int) bool {
	return slices.ContainsFunc(p.Passes.V, func(to Pass) bool { _, n := splitAddress(to.To); return n == port && n != 0 })
}

// HoldsPolls says whether polls' descriptors are this process's: masters hold none.
func (p Process) HoldsPolls() bool { return p.Part != "master" }

// complete reads what is judged about a process.
func complete(r Root, specs []Spec, g *group, c *candidate, net *networks) Process {
	p := c.Process
	at := func(file string) string { return fmt.Sprintf("/proc/%d/%s", p.PID, file) }
	p.Limits = read(at("limits"), func() (Limits, error) { return ReadLimits(r, p.PID) })
	u, err := ReadUsage(r, p.PID)
	p.RSSBytes, p.FDs = known(u.RSSBytes, at("stat")), known(u.FDs, at("fd"))
	if err != nil {
		if u.RSSBytes == 0 {
			p.RSSBytes = unknown[int64](err)
		}
		p.FDs = unknown[int](err)
	}
	p.User, p.Threads = readOwner(r, p.PID)
	p.Exe = read(at("exe"), func() (string, error) { return r.Readlink(at("exe")) })
	cg, unit, err := readCgroup(r, p.PID)
	p.Cgroup, p.Unit = known(cg, at("cgroup")), known(unit, at("cgroup"))
	if err != nil {
		p.Cgroup, p.Unit = unknown[Cgroup](err), unknown[string](err)
	}
	p.Origin = read(at("cgroup"), func() (Origin, error) {
		o, err := readOrigin(r, p.PID)
		return o.locate(r), err
	})
	if c != g.leader {
		p.Listen = Value[[]Listener]{Err: "told of the master"}
		return p
	}
	p.Listen = g.listen(net)
	d := g.read(r, specs)
	p.Version, p.Settings, p.Passes = d.Version, d.Settings, d.Passes
	return p
}

// readOwner reads the effective user and the number of threads.
func readOwner(r Root, pid int) (Value[string], Value[int]) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	s, err := r.ReadString(file)
	if err != nil {
		return unknown[string](err), unknown[int](err)
	}
	uid, threads, err := parseStatus(s)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
		return unknown[string](err), unknown[int](err)
	}
	user := uid
	if b, err := r.ReadFile("/etc/passwd"); err == nil {
		if a, ok := parsePasswd(string(b), uid); ok && userName.MatchString(a.name) {
			user = a.name
		}
	}
	return known(user, file), known(threads, file)
}

// parseStatus reads the effective user id and the count of threads.
func parseStatus(s string) (uid string, threads int, err error) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 3 && f[0] == "Uid:":
			if _, err := strconv.ParseUint(f[2], 10, 32); err != nil {
				return "", 0, fmt.Errorf("%q is no user id", f[2])
			}
			uid = f[2]
		case len(f) == 2 && f[0] == "Threads:":
			if threads, err = strconv.Atoi(f[1]); err != nil || threads < 0 {
				return "", 0, fmt.Errorf("%q is no count of threads", f[1])
			}
		}
	}
	if uid == "" || threads == 0 {
		return "", 0, fmt.Errorf("no lines Uid and Threads")
	}
	return uid, threads, nil
}

// readHasNginx says whether nginx runs or is installed.
func readHasNginx(r Root, procs Value[[]Process], unit *Unit) Value[bool] {
	for _, p := range procs.V {
		if p.Kind == KindNginx {
			return known(true, fmt.Sprintf("process %d", p.PID))
		}
	}
	for _, name := range []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx", "/etc/nginx/nginx.conf"} {
		if r.Exists(name) {
			return known(true, name)
		}
	}
	if unit != nil && r.Exists(unit.program) { // NixOS: in its store
		return known(true, unit.Files[0])
	}
	if !procs.Known() {
		return unknown[bool](fmt.Errorf("%s", procs.Why()))
	}
	return known(false, "no nginx runs or is installed")
}

// HasOpen says whether one of a process's first descriptors leads to a file whose
// name holds the text.
func (r Root) HasOpen(pid int, text string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := r.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names[:min(len(names), maxScannedFDs)], func(n string) bool {
		target, err := r.Readlink(path.Join(dir, n))
		return err == nil && strings.Contains(target, text)
	})
}
