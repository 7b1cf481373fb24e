package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// process is one that was started, and ends with this one.
type process struct {
	*exec.Cmd
	mu   sync.Mutex
	said strings.Builder
	done chan struct{}
}

// start starts a command; what it says on both streams is kept.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{Cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // its children may hold the pipe
	if cmd.Cancel != nil {          // killed, nginx would leave its processes behind
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said.Len() < 1<<20 { // more is of no use
		p.said.Write(b)
	}
	return len(b), nil
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGINT) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = p.Process.Kill()
		<-p.done
	}
}

// until waits until a condition holds.
func (p *process) until(ctx context.Context, what string, within time.Duration, ready func() bool) error {
	deadline := time.Now().Add(within)
	for !ready() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			if ready() {
				return nil
			}
			return fmt.Errorf("%s: %s ended: %s", what, p.Path, last(p.output()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s: %s", what, within, last(p.output()))
		}
	}
	return nil
}

// says waits until the output matches, and gives the first group.
func (p *process) says(ctx context.Context, re string) (string, error) {
	pattern, found := regexp.MustCompile(re), ""
	err := p.until(ctx, "waiting for "+re, time.Minute, func() bool {
		if m := pattern.FindStringSubmatch(p.output()); m != nil {
			found = m[1]
		}
		return found != ""
	})
	return found, err
}

func last(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[max(0, len(s)-300):]
}

// cpu is what a process that has ended used of the processors.
func (p *process) cpu() time.Duration {
	<-p.done
	return p.ProcessState.UserTime() + p.ProcessState.SystemTime()
}

func rss(pid int) (float64, error) {
	u, err := facts.ReadUsage(facts.NewRoot("/"), pid)
	return float64(u.RSSBytes), err
}

// freeAddress is one that nothing listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// sink is the server that peers of the generator are driven against: it takes
// connections, counts their requests, and either answers each at once or none until
// it is closed. It is as lean as can be, so that it does not slow them down.
type sink struct {
	l    net.Listener
	hold bool

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	asked  int
}

func newSink(hold bool) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{l: l, hold: hold, conns: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			s.mu.Lock()
			s.conns[conn] = true
			if s.closed { // meanwhile
				_ = conn.Close()
			}
			s.mu.Unlock()
			go s.serve(conn)
		}
	}()
	return s, nil
}

var sinkAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 1024)
	for {
		for blank := false; !blank; { // a request without a body
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			blank = len(line) <= 2
		}
		s.mu.Lock()
		s.asked++
		s.mu.Unlock()
		if s.hold {
			_, _ = io.Copy(io.Discard, r) // until either end closes
			return
		}
		if _, err := conn.Write(sinkAnswer); err != nil {
			return
		}
	}
}

func (s *sink) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *sink) close() {
	_ = s.l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *sink) url() string { return "http://" + s.l.Addr().String() + "/" }

// ended says whether the process has.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// childOf is a child of a process, whichever of its threads started it; 0 while there
// is none.
func childOf(pid int) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is good
	for _, list := range lists {
		b, _ := os.ReadFile(list) // the thread may have ended
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				return child
			}
		}
	}
	return 0
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
