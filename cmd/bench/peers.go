package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// peer is what a user would pick instead, measured the same way.
type peer struct {
	name    string
	measure func(context.Context, *bench) (float64, error)
}

// How many polls peers hold, and how many play rounds.
const (
	peerPolls   = 2000
	peerWorkers = 1000
)

// unlimited is a command with all the descriptors that it may have.
func unlimited(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -n "$(ulimit -H -n)" && exec "$0" "$@"`, name}, args...)...)
}

// server is one that was started for a run.
type server struct {
	*process
	url  string
	args []string // that simulate needs for it
}

func (s server) memory(ctx context.Context, b *bench, more ...string) (float64, error) {
	args := append([]string{"--workers", strconv.Itoa(peerPolls), "--hold", "5s", anyLag, "--target", s.url, "--server-pid", strconv.Itoa(s.Process.Pid)}, s.args...)
	r, err := b.simulate(ctx, append(args, more...)...)
	if err != nil {
		return 0, err
	}
	return slope(r, "server")
}

// naive is the server on net/http.
func (b *bench) naive(ctx context.Context, tls bool) (server, error) {
	args := []string{naiveArg, "server"}
	s := server{args: []string{"--unsafe"}}
	scheme := "http://"
	if tls {
		cert := filepath.Join(b.dir, "cert.pem") // which the row's own run has made
		args = append(args, cert, filepath.Join(b.dir, "key.pem"))
		s.args = append(s.args, "--ca", cert)
		scheme = "https://"
	}
	p, err := start(unlimited(ctx, b.self, args...))
	if err != nil {
		return s, err
	}
	address, err := p.says(ctx, `listening on (\S+)`)
	s.process, s.url = p, scheme+address
	if err != nil {
		p.stop()
	}
	return s, err
}

// python is the stand-in for dc_federated's server: bottle, gunicorn, gevent, PyNaCl.
func (b *bench) python(ctx context.Context, workers int, env ...string) (server, error) {
	keys, err := b.keys(ctx, workers)
	if err != nil {
		return server{}, err
	}
	cmd := unlimited(ctx, "/usr/bin/python3", "-m", "gunicorn", "-k", "gevent", "--worker-connections", "100000", "--backlog", "4096",
		"-b", "127.0.0.1:0", "--chdir", filepath.Join("loadgen", "testdata"), "server:app")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "KEYS="+filepath.Join(keys, wire.KeyListFile))
	cmd.Env = append(cmd.Env, env...)
	p, err := start(cmd)
	if err != nil {
		return server{}, err
	}
	url, err := p.says(ctx, `Listening at: (\S+)`)
	if err == nil {
		_, err = p.says(ctx, `(Booting worker)`)
	}
	if err != nil {
		p.stop()
	}
	return server{p, url, []string{"--keys", keys}}, err
}

// nginx is nginx as fltool renders it, before fltool serve.
func (b *bench) nginx(ctx context.Context, workers int, hold time.Duration) (front, app server, err error) {
	program, err := b.tool("nginx")
	if err != nil {
		return front, app, err
	}
	keys, err := b.keys(ctx, workers)
	if err != nil {
		return front, app, err
	}
	if app.process, err = start(exec.CommandContext(ctx, b.fltool, "serve", "--listen", "127.0.0.1:0", "--keys", keys)); err != nil {
		return front, app, err
	}
	defer func() {
		if err != nil {
			app.stop()
		}
	}()
	upstream, err := app.says(ctx, `listening on http://(\S+)`)
	if err != nil {
		return front, app, err
	}
	address, err := freeAddress()
	if err != nil {
		return front, app, err
	}
	conf, err := exec.CommandContext(ctx, b.fltool, "nginx", "render", "--workers", strconv.Itoa(workers), "--hold", hold.String(),
		"--model-size", "1MB", "--listen", address, "--upstream", upstream, "--upstream-keepalive", "75s").Output()
	if err != nil {
		return front, app, fmt.Errorf("nginx render: %w", err)
	}
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return front, app, err
	}
	own := "http {\n    access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		own += fmt.Sprintf("    %s_temp_path %s/%s;\n", kind, dir, kind)
	}
	file := filepath.Join(dir, "nginx.conf")
	text := strings.Replace(string(conf), "worker_processes auto;", "worker_processes 2;", 1)
	if err := os.WriteFile(file, []byte(strings.Replace(text, "http {\n", own, 1)), 0o600); err != nil {
		return front, app, err
	}
	log := filepath.Join(dir, "error.log")
	user := "" // whom a master that is not root can't choose
	if os.Getuid() == 0 {
		user = "user root; "
	}
	cmd := unlimited(ctx, program, "-p", dir, "-c", file, "-e", log, "-g", user+"daemon off; pid "+dir+"/pid; error_log "+log+" warn;")
	if front.process, err = start(cmd); err != nil {
		return front, app, err
	}
	front.url, front.args = "http://"+address, []string{"--keys", keys}
	if err = front.until(ctx, "nginx", time.Minute, func() bool { return listens(address) }); err != nil {
		front.stop()
	}
	return front, app, err
}

func naiveMemory(tls bool) func(context.Context, *bench) (float64, error) {
	return func(ctx context.Context, b *bench) (float64, error) {
		s, err := b.naive(ctx, tls)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		return s.memory(ctx, b)
	}
}

func nginxMemory(ctx context.Context, b *bench) (float64, error) {
	front, app, err := b.nginx(ctx, peerPolls, time.Minute)
	if err != nil {
		return 0, err
	}
	defer app.stop()
	defer front.stop()
	return front.memory(ctx, b)
}

func pythonMemory(ctx context.Context, b *bench) (float64, error) {
	s, err := b.python(ctx, peerPolls)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	return s.memory(ctx, b)
}

// pythonRounds plays rounds against it.
func (b *bench) pythonRounds(ctx context.Context) (reports.Report, error) {
	return once(b, "python rounds", func() (reports.Report, error) {
		s, err := b.python(ctx, peerWorkers)
		if err != nil {
			return reports.Report{}, err
		}
		defer s.stop()
		return b.simulate(ctx, append(s.args, "--workers", strconv.Itoa(peerWorkers), "--rounds", "3", "--target", s.url)...)
	})
}

func pythonFanout(ctx context.Context, b *bench) (float64, error) {
	r, err := b.pythonRounds(ctx)
	if err != nil {
		return 0, err
	}
	return slowestFanout(r)
}

func pythonRound(ctx context.Context, b *bench) (float64, error) {
	r, err := b.pythonRounds(ctx)
	if err != nil {
		return 0, err
	}
	return overFloor(b, r)
}

func pythonDownload(ctx context.Context, b *bench) (float64, error) {
	const workers = 5
	s, err := b.python(ctx, workers, "MODEL="+strconv.Itoa(downloadBytes))
	if err != nil {
		return 0, err
	}
	defer s.stop()
	r, err := b.simulate(ctx, append(s.args, "--workers", strconv.Itoa(workers), "--rounds", "2", "--target", s.url, "--server-pid", strconv.Itoa(s.Process.Pid))...)
	if err != nil {
		return 0, err
	}
	return perDownload(r)
}
