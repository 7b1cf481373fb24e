package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

const (
	appPort = 5000
	appAddr = "127.0.0.1:5000"
	appURL  = "http://" + appAddr
)

// appPy is a WSGI application that holds polls.
//
//go:embed app.py
var appPy []byte

// gunicorn starts Debian's gunicorn with the application.
func (r *room) gunicorn(env []string, nofile int, args ...string) (*process, error) {
	if err := os.WriteFile(filepath.Join(r.dir, "app.py"), appPy, 0o644); err != nil {
		return nil, err
	}
	p, err := r.start(append(env, "PYTHONDONTWRITEBYTECODE=1"), nofile, "/usr/bin/gunicorn",
		append([]string{"--worker-class", "gevent", "--bind", appAddr, "--keep-alive", "30"}, append(args, "app:app")...)...)
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

const nofileSet = 200

var appRows = []row{
	{
		id: "fltool-descriptors", check: "app/nofile", limit: "NOFILE of fltool serve", set: strconv.Itoa(nofileSet), unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.serve(nofileSet); err != nil {
				return Measurement{}, err
			}
			return r.overload(appURL, 260)
		},
	},
	{
		id: "gunicorn-descriptors", check: "app/nofile", limit: "NOFILE of gunicorn", set: strconv.Itoa(nofileSet), unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.gunicorn(nil, nofileSet, "--worker-connections", "2000"); err != nil {
				return Measurement{}, err
			}
			return r.overload(appURL, 260)
		},
	},
	{
		id: "gunicorn-connections", check: "app/worker-connections", limit: "worker_connections of gunicorn", set: "200", unit: "workers", quick: true,
		run: func(r *room) (Measurement, error) {
			if _, err := r.gunicorn(nil, 0, "--worker-connections", "200"); err != nil {
				return Measurement{}, err
			}
			if _, err := r.predict(); err != nil {
				return Measurement{}, err
			}
			rep, err := r.simulate(appURL, 260)
			if err != nil {
				return Measurement{}, err
			}
			return Measurement{float64(rep.Held.Steady), errorsOf(rep, "timed out", "reset")}, nil
		},
	},
	{
		id: "accept-queue", check: "app/accept-queue", limit: "backlog of gunicorn", set: "64", unit: "connections", quick: true,
		run: (*room).acceptQueue,
	},
}

// overload predicts, loads and measures the polls held steadily, with the
// symptom in the logs.
func (r *room) overload(target string, workers int, args ...string) (Measurement, error) {
	if _, err := r.predict(); err != nil {
		return Measurement{}, err
	}
	rep, err := r.simulate(target, workers, args...)
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.logged(r.row.check)
	fmt.Fprintf(os.Stderr, "%+v %+v\n", rep.Held, rep.Errors)
	return Measurement{float64(rep.Held.Steady), s}, err
}

// acceptQueue lets a burst meet a server whose event loop stands still, and
// looks how long the queue gets.
func (r *room) acceptQueue() (Measurement, error) {
	if _, err := r.gunicorn([]string{"STALL=4"}, 0, "--backlog", "64", "--worker-connections", "2000"); err != nil {
		return Measurement{}, err
	}
	if _, err := r.largest(1<<20, func(n int64) reports.Demand { return reports.Demand{Workers: int(n), HoldSeconds: 60} }); err != nil {
		return Measurement{}, err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := r.simulate(appURL, 400)
		loaded <- err
	}()
	longest := 0
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-loaded:
			if err != nil {
				return Measurement{}, err
			}
			s, err := r.overflows()
			return Measurement{float64(longest), s}, err
		case <-tick.C:
		}
		f, err := facts.Gather(facts.NewRoot("/"), facts.Options{Asked: facts.Asked{Port: appPort}, Now: time.Now()})
		if err != nil {
			return Measurement{}, err
		}
		for _, p := range f.Processes.V {
			for _, l := range p.Listen.V {
				longest = max(longest, l.Queued)
			}
		}
	}
}

// overflows is the kernel's counter, as preflight finds it.
func (r *room) overflows() (string, error) {
	rep, err := r.preflight()
	if err != nil {
		return "", err
	}
	for _, f := range rep.Findings {
		if f.Check == "host/listen-overflows" && f.Status == reports.StatusWarn {
			return f.Got, nil
		}
	}
	return "", nil
}

var rows = appRows
