package server

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/fltool/fltool/server/wire"
)

// A server in a process of its own is the test binary with this variable set to a
// childConfig: for what can be seen from outside only, such as memory and death.
const childEnv = "FLTOOL_SERVER_TEST_CHILD"

// profileEnv names the file that a child writes a profile of its CPU to, for who
// asks where a benchmark's goes.
const profileEnv = "FLTOOL_SERVER_TEST_PROFILE"

type childConfig struct {
	KeyList     string // path
	Round       string
	ModelSize   int
	State       string
	KeepUpdates bool
	MaxConns    int
	Naive       bool // the baseline in place of the server
	TLS         bool // with a certificate that nobody should trust
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := runChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// net/http itself lingers half a second after an answer that closes.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

func runChild(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	list, err := wire.ReadKeyList(c.KeyList)
	if err != nil {
		return err
	}
	cfg := Config{Keys: list.IDs, Model: incompressible(c.ModelSize), State: c.State, KeepUpdates: c.KeepUpdates, MaxConnections: c.MaxConns}
	if cfg.Round, err = ParsePolicy(c.Round); err != nil {
		return err
	}
	var certs *tls.Config
	if c.TLS {
		if certs, _, err = selfSigned(); err != nil {
			return err
		}
	}
	naive := &http.Server{Handler: newNaive(cfg), TLSConfig: certs}
	serve, serveTLS := naive.Serve, func(l net.Listener) error { return naive.ServeTLS(l, "", "") }
	if !c.Naive {
		s, err := New(cfg)
		if err != nil {
			return err
		}
		serve, serveTLS = s.Serve, func(l net.Listener) error { return s.ServeTLS(l, certs) }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	if c.TLS {
		serve = serveTLS
	}
	stop := func() {}
	if path := os.Getenv(profileEnv); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		stop = pprof.StopCPUProfile
	}
	// The process ends with its parent, however that ends.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
		os.Exit(0)
	}()
	return serve(l)
}

// child is a running one.
type child struct {
	*exec.Cmd
	stdin io.Closer
	addr  string
	tls   bool
}

func startChild(tb testing.TB, c childConfig) *child {
	tb.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	k := &child{Cmd: cmd, stdin: stdin, tls: c.TLS}
	tb.Cleanup(k.kill)
	if k.addr, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		tb.Fatal("no address from the child: ", err)
	}
	k.addr = strings.TrimSpace(k.addr)
	return k
}

// end ends the child, its profile written.
func (k *child) end() {
	_ = k.stdin.Close()
	_ = k.Wait()
}

// kill ends the child the hard way, as kill -9 does.
func (k *child) kill() {
	_ = k.Process.Kill() // it may have ended by itself
	_ = k.Wait()
}
