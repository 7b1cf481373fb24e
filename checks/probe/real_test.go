package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/checks/facts"
)

// loseAll makes the kernel drop all that comes in for a connection, without a
// word: as a firewall does that has forgotten it.
func loseAll(c net.Conn) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	return errors.Join(err, failed)
}

// A connection whose packets are lost is told from one that is held, by the
// kernel's real keep-alive probes.
func TestSilenceForReal(t *testing.T) {
	for _, c := range []struct {
		lost bool
		end  string
	}{{true, facts.EndSilence}, {false, facts.EndHeld}} {
		t.Run(c.end, func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{})
			f := &fake{poll: func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if c.lost {
					if err := loseAll(conn); err != nil {
						t.Error(err)
					}
				}
				<-done
			}}
			o := everything(t, start(t, f, f).URL)
			o.BodyMax = 0
			p := run(t, o, f)
			close(done)
			if h := p.Hold.V; h == nil || h.End != c.end || h.Seconds < o.Hold.Seconds() {
				t.Errorf("%+v, %s; want %s", h, p.Hold.Why(), c.end)
			}
		})
	}
}

const inNamespace = "FLTOOL_TEST_NAMESPACE"

// IPv6, and addresses to which there is no way, in a network of the test's own
// that has loopback and nothing else.
func TestReachForReal(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReachForReal$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil && os.Getenv("CI") == "" {
			t.Skipf("no namespace can be made here: %v", err)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	loopbackUp(t)
	f := &fake{poll: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	s := startAt(t, f, f, l).URL
	_, port, _ := net.SplitHostPort(l.Addr().String())

	// The address in the URL.
	p := run(t, everything(t, s), f)
	if !p.Loopback || len(p.IPv4.V) != 0 || len(p.IPv6.V) != 1 || !p.IPv6.V[0].Open || !isServer(p.Alive.V) {
		t.Errorf("[::1]: %+v %+v %+v", p.IPv4, p.IPv6, p.Alive)
	}
	if h := p.Hold.V; h == nil || h.End != facts.EndHeld {
		t.Errorf("[::1]: hold %+v, %s", h, p.Hold.Why())
	}

	// A name with an address that refuses, two without a way to them, and one that answers.
	o := questions(t, "http://fl.example.org:"+port)
	o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")}, nil
	}
	p = run(t, o, nil)
	want := map[string]facts.Endpoint{"127.0.0.1": {Err: "connection refused"}, "192.0.2.1": {NoWay: true}, "2001:db8::1": {NoWay: true}, "::1": {Open: true}}
	for _, got := range append(p.IPv4.V, p.IPv6.V...) {
		host, _, _ := net.SplitHostPort(got.Address)
		w, ok := want[host]
		delete(want, host)
		if !ok || got.Open != w.Open || got.NoWay != w.NoWay || w.Err != "" && got.Err != w.Err {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
	if len(want) > 0 || !isServer(p.Alive.V) {
		t.Errorf("not tried: %v; alive: %+v", want, p.Alive)
	}
}

func loopbackUp(t *testing.T) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}
