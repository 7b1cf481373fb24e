package facts

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The kinds of server that a process may be.
const (
	KindGunicorn = "gunicorn" // a dc_federated server, too: it runs gunicorn inside
	KindNginx    = "nginx"
	KindFltool   = "fltool"
	KindGo       = "go"
	KindOther    = "other"
)

// Process is one that serves. Of its command line and environment only named
// settings are kept.
type Process struct {
	PID      int    `json:"pid"`
	PPID     int    `json:"ppid"`
	Kind     string `json:"kind"`
	Part     string `json:"part,omitempty"`     // "master" or "worker"; "" where one process is all
	Draining bool   `json:"draining,omitempty"` // an nginx worker of before a reload
	Name     string `json:"name"`               // the kernel's, 15 characters

	User     Value[string]     `json:"user"` // name, or the id where /etc/passwd has none
	Limits   Value[Limits]     `json:"limits"`
	FDs      Value[int]        `json:"fds"` // open now
	RSSBytes Value[int64]      `json:"rssBytes"`
	Threads  Value[int]        `json:"threads"`
	Listen   Value[[]Listener] `json:"listen"` // of masters and lone processes
	Unit     Value[string]     `json:"unit"`   // of systemd; "" none
	Origin   Value[Origin]     `json:"origin"` // who started it
	Cgroup   Value[Cgroup]     `json:"cgroup"`
	Gunicorn *Gunicorn         `json:"gunicorn,omitempty"` // settings; of masters and lone processes
}

// Serves says whether the process is of the application, not of the proxy.
func (p Process) Serves() bool { return p.Kind != KindNginx }

// ListensOn says whether the process is known to listen on the port.
func (p Process) ListensOn(port uint16) bool {
	return slices.ContainsFunc(p.Listen.V, func(l Listener) bool { return l.Addr.Port() == port })
}

// HoldsPolls says whether polls' descriptors are this process's: masters hold none.
func (p Process) HoldsPolls() bool { return p.Part != "master" }

// candidate is a process as far as its name and arguments tell.
type candidate struct {
	Process
	args    []string
	sockets []uint64 // inodes
	embeds  bool     // gunicorn within another Python program
}

// readProcesses finds the processes that serve. A PID that was asked for and
// does not exist is an error.
func readProcesses(r Root, asked Asked) (Value[[]Process], error) {
	names, err := r.ReadDir("/proc")
	if err != nil {
		if asked.PID != 0 {
			return Value[[]Process]{}, err
		}
		if absent(err) {
			return known([]Process{}, nothingRuns), nil
		}
		return unknown[[]Process](err), nil
	}
	var all []candidate
	pids := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 {
			continue
		}
		pids++
		c, err := readCandidate(r, pid)
		if err != nil {
			if pid == asked.PID {
				return Value[[]Process]{}, fmt.Errorf("process %d: %w", pid, err)
			}
			if absent(err) || errors.Is(err, syscall.ESRCH) {
				continue // it ended meanwhile
			}
			return unknown[[]Process](err), nil // it might be the one
		}
		all = append(all, c)
	}
	if asked.PID == 0 && len(all) == 0 {
		if pids > 0 {
			return unknown[[]Process](errors.New("/proc shows processes that can't be read")), nil
		}
		return known([]Process{}, nothingRuns), nil
	}
	tcp, tcpErr := readTCP(r)
	chosen, err := choose(r, all, asked, tcp)
	if err == errDenied {
		return unknown[[]Process](err), nil
	}
	if err != nil {
		return Value[[]Process]{}, err
	}
	out := make([]Process, 0, len(chosen))
	for _, c := range chosen {
		out = append(out, complete(r, c, tcp, tcpErr))
	}
	return known(out, "/proc"), nil
}

// nothingRuns is the source of an empty list where the root is files alone.
const nothingRuns = "no running host: files alone"

// readCandidate reads the command line and the stat line.
func readCandidate(r Root, pid int) (candidate, error) {
	args, err := readArgs(r, fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return candidate{}, err
	}
	stat, err := readStat(r, pid)
	if err != nil {
		return candidate{}, err
	}
	c := candidate{Process: Process{PID: pid, PPID: stat.ppid, Name: stat.name}, args: args}
	c.Kind, c.Part, c.Draining = classify(args)
	return c, nil
}

// readArgs reads a list of texts that end in NUL.
func readArgs(r Root, name string) ([]string, error) {
	b, err := r.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range bytes.Split(bytes.TrimRight(b, "\x00"), []byte{0}) {
		out = append(out, string(a))
	}
	return out, nil
}

// classify tells from its arguments what a process is; kind "" is not yet known.
func classify(args []string) (kind, part string, draining bool) {
	if len(args) == 0 || args[0] == "" {
		return "", "", false
	}
	title := args[0]
	switch {
	case strings.HasPrefix(title, "nginx: master process"):
		return KindNginx, "master", false
	case strings.HasPrefix(title, "nginx: worker process"):
		return KindNginx, "worker", strings.Contains(title, "shutting down")
	case strings.HasPrefix(title, "nginx: "): // cache manager and loader hold no polls
		return KindNginx, "master", false
	case strings.HasPrefix(title, "gunicorn: master"):
		return KindGunicorn, "master", false
	case strings.HasPrefix(title, "gunicorn: worker"):
		return KindGunicorn, "worker", false
	case path.Base(title) == "fltool" && slices.Contains(args, "serve"):
		return KindFltool, "", false
	}
	if i := gunicornAt(args); i >= 0 {
		return KindGunicorn, "", false
	}
	return "", "", false
}

// gunicornAt finds the argument that is gunicorn: the program, the script of an
// interpreter, or its "-m" module. -1: it is none.
func gunicornAt(args []string) int {
	for i, a := range args[:min(len(args), 4)] {
		switch path.Base(a) {
		case "gunicorn", "gunicorn3", "gunicorn.app.wsgiapp":
			if i == 0 || strings.HasPrefix(path.Base(args[0]), "python") || strings.HasPrefix(path.Base(args[0]), "pypy") {
				return i
			}
		}
	}
	return -1
}

// choose keeps the processes that were asked for, else those that look the
// part: nginx always, and the application by its port, its kind or its service.
func choose(r Root, all []candidate, asked Asked, tcp tcpTable) ([]candidate, error) {
	byPID := make(map[int]*candidate, len(all))
	for i := range all {
		byPID[all[i].PID] = &all[i]
	}
	onPort := make(map[uint64]bool) // inodes that listen on the port
	for inode, l := range tcp.listeners {
		if int(l.Addr.Port()) == asked.Port {
			onPort[inode] = true
		}
	}
	var apps []*candidate
	switch {
	case asked.PID != 0:
		c := byPID[asked.PID]
		if c == nil {
			return nil, fmt.Errorf("process %d does not run", asked.PID)
		}
		if c.Kind != KindNginx {
			apps = append(apps, c)
		}
	case asked.Service != "":
		for i := range all {
			if _, unit, err := readCgroup(r, all[i].PID); unit == asked.Service && err == nil {
				apps = append(apps, &all[i])
			}
		}
	default:
		var err error
		if apps, err = lookThePart(r, all, byPID, onPort); err != nil {
			return nil, err
		}
	}
	// Children of what was chosen belong to it.
	in := make(map[int]bool)
	for _, c := range apps {
		in[c.PID] = true
	}
	for grew := true; grew; {
		grew = false
		for i := range all {
			if c := &all[i]; !in[c.PID] && in[c.PPID] && c.Kind != KindNginx {
				in[c.PID], grew = true, true
				apps = append(apps, c)
			}
		}
	}
	name(r, apps, byPID, in)
	var out []candidate
	for i := range all {
		if in[all[i].PID] || all[i].Kind == KindNginx {
			out = append(out, all[i])
		}
	}
	slices.SortFunc(out, func(a, b candidate) int { return a.PID - b.PID })
	return out, nil
}

// lookThePart finds the application by name, and by its port where somebody
// listens there.
func lookThePart(r Root, all []candidate, byPID map[int]*candidate, onPort map[uint64]bool) ([]*candidate, error) {
	denied := false
	look := func(c *candidate) {
		var err error
		if c.sockets, err = readSockets(r, c.PID); err != nil && !absent(err) {
			denied = true
		}
	}
	listens := func(c *candidate) bool {
		return slices.ContainsFunc(c.sockets, func(n uint64) bool { return onPort[n] })
	}
	var named []*candidate
	for i := range all {
		if k := all[i].Kind; k == KindGunicorn || k == KindFltool {
			look(&all[i])
			named = append(named, &all[i])
		}
	}
	if len(onPort) == 0 {
		return named, nil
	}
	on := slices.DeleteFunc(slices.Clone(named), func(c *candidate) bool { return !listens(c) && !listens(parent(byPID, c)) })
	if len(on) > 0 {
		return on, nil
	}
	if len(named) > 0 && denied {
		return named, nil
	}
	// Nobody with a familiar name is on the port: look who is.
	for i := range all {
		if all[i].Kind == KindNginx || all[i].args[0] == "" { // kernel threads have no arguments
			continue
		}
		if look(&all[i]); listens(&all[i]) {
			on = append(on, &all[i])
		}
	}
	if len(on) == 0 && denied {
		return nil, errDenied
	}
	return on, nil
}

// errDenied says that the application could not be told from other processes.
var errDenied = errors.New("the process that listens on the port may not be read: run as root, or name it by --service")

func parent(byPID map[int]*candidate, c *candidate) *candidate {
	if p := byPID[c.PPID]; p != nil {
		return p
	}
	return c
}

// name settles kind and part of the application's processes.
func name(r Root, apps []*candidate, byPID map[int]*candidate, in map[int]bool) {
	children := make(map[int]int)
	for _, c := range apps {
		if in[c.PPID] {
			children[c.PPID]++
		}
	}
	for _, c := range apps {
		if c.Kind == "" {
			c.Kind = kindOfProgram(r, c)
		}
	}
	for _, c := range apps {
		if p := byPID[c.PPID]; in[c.PPID] && c.Kind == KindOther && p.Kind != KindOther {
			c.Kind, c.embeds = p.Kind, p.embeds // gunicorn's children are its workers, whatever they look like
		}
		if c.Part != "" || c.Kind != KindGunicorn {
			continue
		}
		switch {
		case in[c.PPID]: // whatever it starts itself
			c.Part = "worker"
		case children[c.PID] > 0:
			c.Part = "master"
		}
	}
}

// kindOfProgram looks beyond the arguments: the heartbeat file of gunicorn, and
// the mark that Go leaves in what it builds.
func kindOfProgram(r Root, c *candidate) string {
	dir := fmt.Sprintf("/proc/%d/fd", c.PID)
	if names, err := r.ReadDir(dir); err == nil {
		for _, n := range names[:min(len(names), maxScannedFDs)] {
			if target, err := r.Readlink(path.Join(dir, n)); err == nil && strings.Contains(target, "/wgunicorn-") {
				c.embeds = true
				return KindGunicorn
			}
		}
	}
	exe, err := r.Path(fmt.Sprintf("/proc/%d/exe", c.PID))
	if err == nil {
		if _, err := buildinfo.ReadFile(exe); err == nil {
			return KindGo
		}
	}
	return KindOther
}

// maxScannedFDs bounds the descriptors looked at: a listener is opened before
// its connections, and a process that holds thousands is not read through.
const maxScannedFDs = 256

// readSockets lists the inodes of a process's first sockets.
func readSockets(r Root, pid int) ([]uint64, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := r.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(names, func(a, b string) int { // numeric: low descriptors are the old ones
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	var out []uint64
	for _, n := range names[:min(len(names), maxScannedFDs)] {
		target, err := r.Readlink(path.Join(dir, n))
		if err != nil {
			continue
		}
		if s, ok := strings.CutPrefix(target, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				out = append(out, inode)
			}
		}
	}
	return out, nil
}

// complete reads what is judged about a process.
func complete(r Root, c candidate, tcp tcpTable, tcpErr error) Process {
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
	cg, unit, err := readCgroup(r, p.PID)
	p.Cgroup, p.Unit = known(cg, at("cgroup")), known(unit, at("cgroup"))
	if err != nil {
		p.Cgroup, p.Unit = unknown[Cgroup](err), unknown[string](err)
	}
	p.Origin = read(at("cgroup"), func() (Origin, error) {
		o, err := readOrigin(r, p.PID)
		return o.locate(r), err
	})
	if p.Part == "worker" {
		p.Listen = Value[[]Listener]{Err: "told of the master"}
	} else {
		p.Listen = readListen(r, c, tcp, tcpErr)
	}
	if p.Kind == KindGunicorn && p.Part != "worker" {
		p.Gunicorn = processGunicorn(r, c)
	}
	return p
}

func readListen(r Root, c candidate, tcp tcpTable, tcpErr error) Value[[]Listener] {
	if tcpErr != nil {
		return unknown[[]Listener](tcpErr)
	}
	inodes, err := readSockets(r, c.PID)
	if err != nil {
		return unknown[[]Listener](err)
	}
	out := []Listener{}
	for _, inode := range inodes {
		if l, ok := tcp.listeners[inode]; ok {
			out = append(out, l)
		}
	}
	return known(out, fmt.Sprintf("/proc/%d/fd", c.PID))
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
