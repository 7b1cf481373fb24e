package checks

import (
	"os"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/checks/kinds"
)

// The whole run on this machine: every fact read, every check asked.
func BenchmarkPreflight(b *testing.B) { benchmarkHost(b, "/") }

// The same on a made-up host of 2000 processes.
func BenchmarkPreflightOf2000(b *testing.B) {
	procs := []factstest.Process{{PID: 100, Args: []string{"/usr/bin/gunicorn", "-k", "gevent", "a:a"}, Listen: []string{"0100007F:1388"}, Cwd: "/"}}
	for pid := 1000; len(procs) < 2000; pid++ {
		procs = append(procs, factstest.Process{PID: pid, Args: []string{"/usr/lib/postgresql/15/bin/postgres", "-D", "/srv"}, Links: []string{"socket:[9]"}})
	}
	benchmarkHost(b, factstest.Host(b, procs...))
}

func benchmarkHost(b *testing.B, root string) {
	for b.Loop() {
		f, err := facts.Gather(facts.NewRoot(root), facts.Scope{Specs: kinds.Specs(), Parent: os.Getppid(), Now: time.Unix(0, 0)})
		if err != nil {
			b.Fatal(err)
		}
		Run(OneHost(f), Defaults, nil, time.Unix(0, 0))
	}
}

// The judgement alone.
func BenchmarkRun(b *testing.B) {
	d := OneHost(tuned())
	for b.Loop() {
		Run(d, Defaults, nil, time.Unix(0, 0))
	}
}
