package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Every row runs in a room of its own: a process namespace, a network namespace
// with nothing but loopback, and a mount namespace with its own /proc. Nothing
// in it sees the host's servers, its ports or its counters, preflight included,
// and the kernel ends all that is in it when its first process ends, however
// that happens.

// roomArg is the first argument of the process that is a room's first.
const roomArg = "in-a-room"

// longest bounds one row, whatever hangs in it.
const longest = 10 * time.Minute

// A message is what a room tells: first its namespace, then the prediction,
// written down before the load starts, then the measurement or the error.
type message struct {
	NetNS       string       `json:"netns,omitempty"`
	Prediction  *Prediction  `json:"prediction,omitempty"`
	Measurement *Measurement `json:"measurement,omitempty"`
	Error       string       `json:"error,omitempty"`
	Line        string       `json:"line,omitempty"`   // of the odds of nginx
	Cannot      string       `json:"cannot,omitempty"` // why the row can't be run here
}

// cannot is the error of a row that this environment does not let run.
type cannot struct{ why string }

func (c *cannot) Error() string { return "cannot be run here: " + c.why }

// play runs a row in a room and gives every message to tell as it comes. It
// leaves neither process, namespace nor file behind; the error says what it left
// or why the room could not be made.
func play(ctx context.Context, id, fltool string, tell func(message)) (err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find prove itself: %w", err)
	}
	dir, err := os.MkdirTemp("", "prove-"+id+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disband(filepath.Base(dir)), os.RemoveAll(dir)) }()
	runtime.LockOSThread() // a room ends with the thread that made it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, roomArg, id, dir, fltool)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // a terminal's Ctrl-C comes to prove alone, which ends the room
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make a room of namespaces (root, or user namespaces, are needed): %w", err)
	}
	var netns string
	measured := false
	dec := json.NewDecoder(out)
	for {
		var m message
		if err = dec.Decode(&m); err != nil {
			break
		}
		if m.NetNS != "" {
			netns = m.NetNS
		}
		measured = measured || m.Measurement != nil || m.Error != "" || m.Cannot != ""
		tell(m)
	}
	ended := cmd.Wait() // all in the room have ended when its first process has
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("not done after %v", longest)
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("hear from the room: %w", err)
	case ended != nil:
		return fmt.Errorf("the room: %w", ended)
	case !measured:
		return errors.New("the room ended without a measurement")
	}
	return leftBehind(netns)
}

// leftBehind looks for processes that live in a room's network namespace.
func leftBehind(netns string) error {
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	for _, l := range links {
		if ns, err := os.Readlink(l); err == nil && ns == netns { // others' may not be read, and end meanwhile
			return fmt.Errorf("left behind: process %s", strings.Split(l, "/")[2])
		}
	}
	return nil
}

// A room is what a row sees from inside.
type room struct {
	ctx    context.Context
	dir    string // for all its files; the caller removes it
	fltool string // path of the binary that is proved
	out    *json.Encoder
	row    row
	procs  []*process
	join   string // control group of what is started; "": prove's own
}

// enter is the life of a room's first process.
func enter(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s is for prove itself", roomArg)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &room{ctx: ctx, dir: args[1], fltool: args[2], out: json.NewEncoder(os.Stdout)}
	for _, w := range slices.Concat(rows, oddsRows) {
		if w.id == args[0] {
			r.row = w
		}
	}
	if r.row.run == nil {
		return fmt.Errorf("no row %q", args[0])
	}
	if err := furnish(r.dir); err != nil {
		return err
	}
	netns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	if err := r.out.Encode(message{NetNS: netns}); err != nil {
		return err
	}
	m, err := r.row.run(r)
	var no *cannot
	switch {
	case errors.As(err, &no):
		return r.out.Encode(message{Cannot: no.why})
	case err != nil:
		return r.out.Encode(message{Error: err.Error()})
	}
	return r.out.Encode(message{Measurement: &m})
}

// furnish gives the namespaces their own /proc, files in memory that nobody else
// sees, and a loopback that is up.
func furnish(dir string) error {
	if os.Getpid() != 1 {
		return errors.New("not in a process namespace of its own")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to the room: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256m,mode=0755"); err != nil {
		return fmt.Errorf("mount a file system for the room: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("loopback up: %w", err)
	}
	return nil
}

// sysctl sets a kernel setting of the room's network namespace.
func sysctl(name, value string) error {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl %s: %w", name, err)
	}
	return nil
}

// A process is one that a room started.
type process struct {
	cmd  *exec.Cmd
	log  string // file of its stdout and stderr
	done chan struct{}
}

// start runs a program in the room with its output in a log. Where nofile is
// positive, it is the program's soft and hard limit of descriptors: a Go program
// raises its own soft limit to the hard one.
func (r *room) start(env []string, nofile int, name string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", filepath.Base(name), len(r.procs))), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s is needed and not installed (make setup)", name)
	}
	argv := append([]string{path}, args...)
	if nofile > 0 {
		argv = append([]string{"prlimit", "--nofile=" + strconv.Itoa(nofile)}, argv...)
	}
	if r.join != "" {
		argv = append([]string{"sh", "-c", `echo 0 >"$0" && exec "$@"`, filepath.Join(r.join, "cgroup.procs")}, argv...)
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = r.dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		// Its exit code is of no use: what it had to say is in the log.
		_ = p.cmd.Wait()
		close(p.done)
	}()
	r.procs = append(r.procs, p)
	return p, nil
}

// tail is the end of a process's log, for errors.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// until waits for a condition, at most for so long.
func (r *room) until(what string, most time.Duration, ok func() (bool, error)) error {
	deadline := time.Now().Add(most)
	for {
		done, err := ok()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		case done:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: not within %v", what, most)
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		}
		time.Sleep(50 * time.Millisecond)
	}
}
