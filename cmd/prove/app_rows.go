package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/fltool/fltool/reports"
)

const (
	appPort = 5000
	appAddr = "127.0.0.1:5000"
	appURL  = "http://" + appAddr
)

// apps are applications that hold polls: of WSGI, of ASGI, and of gRPC with clients.
//
//go:embed app.py bottled.py asgi.py appfl_server.py appfl_clients.py
var apps embed.FS

// gunicorn starts Debian's gunicorn with the plain application.
func (r *room) gunicorn(env []string, nofile int, args ...string) (*process, error) {
	return r.wsgi("app", env, nofile, args...)
}

// wsgi starts Debian's gunicorn with an application by the name of its module.
func (r *room) wsgi(module string, env []string, nofile int, args ...string) (*process, error) {
	return r.python(env, nofile, "/usr/bin/gunicorn",
		append([]string{"--worker-class", "gevent", "--bind", appAddr, "--keep-alive", "30"}, append(args, module+":app")...)...)
}

// python starts a server of the applications in Python at the application's address.
func (r *room) python(env []string, nofile int, name string, args ...string) (*process, error) {
	if err := os.CopyFS(r.dir, apps); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	p, err := r.start(append(env, "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"), nofile, name, args...)
	if err != nil {
		return nil, err
	}
	return p, r.listening(appAddr, p)
}

// serve starts the reference server.
func (r *room) serve(nofile int) (*process, error) {
	p, err := r.start(nil, nofile, r.fltool, "serve", "--listen", appAddr, "--unsafe", "--round", "1000000", "--model-size", "1KB",
		"--state", filepath.Join(r.dir, "state"), "--ops-listen", "127.0.0.1:5001")
	if err != nil {
		return nil, err
	}
	return p, r.listening(appAddr, p)
}

var appRows = []row{
	{
		id: "fltool-descriptors", check: "app/nofile", formula: "app-descriptors", limit: "NOFILE of fltool serve", set: "200", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.serve(200); err != nil {
				return Measurement{}, err
			}
			return r.overload(both, appURL, 260)
		},
	},
	{
		id: "gunicorn-descriptors", check: "app/nofile", formula: "app-descriptors", limit: "NOFILE of gunicorn", set: "200", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.gunicorn(nil, 200, "--worker-connections", "2000"); err != nil {
				return Measurement{}, err
			}
			return r.overload(both, appURL, 260)
		},
	},
	{
		id: "gunicorn-connections", check: "app/worker-connections", formula: "gunicorn-connections", limit: "gunicorn's worker_connections, hard bound", set: "200", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.gunicorn(nil, 0, "--worker-connections", "200", "--timeout", "3"); err != nil {
				return Measurement{}, err
			}
			return r.overload(hard, appURL, 260, "--hold", "6s", "--round-timeout", "9s")
		},
		clients: []string{"timed out", "reset"}, // no log tells of it
	},
	{
		id: "gunicorn-reconnect", check: "app/worker-connections", formula: "gunicorn-connections", limit: "gunicorn's worker_connections, safe bound", set: "200", unit: "workers",
		run:     (*room).reconnect,
		clients: []string{"timed out", "reset"},
	},
	{
		id: "gunicorn-threads", check: "app/worker-class", formula: "holds", limit: "gunicorn's threads", set: "2 × 40", unit: "workers",
		run: func(r *room) (Measurement, error) {
			// Held for longer than its timeout, which kills sync workers alone.
			if _, err := r.gunicorn(nil, 0, "--worker-class", "gthread", "--workers", "2", "--threads", "40", "--timeout", "3"); err != nil {
				return Measurement{}, err
			}
			return r.overload(both, appURL, 130, "--ramp", "10s", "--hold", "6s", "--round-timeout", "20s") // or polls that wait for a thread look held
		},
		clients: []string{"timed out", "reset"},
	},
	{
		id: "accept-queue", check: "app/accept-queue", limit: "gunicorn's backlog", set: "64", unit: "connections", quick: true,
		run: (*room).acceptQueue,
	},
}

// overload predicts, loads with more workers than that, and measures the polls
// that are held while the rest have tried long enough.
func (r *room) overload(b bound, target string, workers int, args ...string) (Measurement, error) {
	if _, err := r.predict(b, 1); err != nil {
		return Measurement{}, err
	}
	rep, err := r.simulate(target, workers, args...)
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.symptom(rep)
	return Measurement{float64(rep.Held.Steady), s}, err
}

// reconnect lets as many workers as the safe bound go away and come anew, beside
// connections that are no worker's. gunicorn does not see that a client of a held
// poll is gone, so the polls of those that went keep their connections.
func (r *room) reconnect() (Measurement, error) {
	if _, err := r.gunicorn(nil, 0, "--worker-connections", "200"); err != nil {
		return Measurement{}, err
	}
	p, err := r.predict(safe, 1)
	if err != nil {
		return Measurement{}, err
	}
	for range strangers {
		c, err := net.Dial("tcp", appAddr)
		if err != nil {
			return Measurement{}, err
		}
		defer c.Close()
	}
	old, err := r.simulate(appURL, int(p.Safe), "--hold", "1s")
	if err != nil {
		return Measurement{}, err
	}
	if old.Held.Steady != int(p.Safe) {
		return Measurement{}, fmt.Errorf("only %d of %.0f workers were held at first", old.Held.Steady, p.Safe)
	}
	rep, err := r.simulate(appURL, 200)
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.symptom(rep)
	return Measurement{float64(rep.Held.Steady), s}, err
}

// strangers are the connections of others that the safe bound of gunicorn leaves
// room for.
const strangers = 64

// acceptQueue lets a burst meet a server whose event loop stands still, and
// looks how long the queue gets.
func (r *room) acceptQueue() (Measurement, error) {
	if _, err := r.gunicorn([]string{"STALL=4"}, 0, "--backlog", "64", "--worker-connections", "2000"); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(1<<20, inWorkers); err != nil {
		return Measurement{}, err
	}
	var longest int
	err := r.during(func() error { return r.queue(appPort, &longest) },
		func() error { _, err := r.simulate(appURL, 400); return err })
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.found("host/listen-overflows")
	return Measurement{float64(longest), s}, err
}

func inWorkers(n int64) reports.Demand { return reports.Demand{Workers: int(n), HoldSeconds: 60} }

// inHold is a demand for a hold of so many ms.
func inHold(ms int64) reports.Demand {
	return reports.Demand{Workers: 1, HoldSeconds: float64(ms) / 1000}
}

var rows = slices.Concat(appRows, serverRows, grpcRows, nginxRows, proxyRows, timeoutRows, transferRows, kernelRows)
