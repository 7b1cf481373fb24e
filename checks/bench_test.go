package checks

import (
	"os"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// The whole run on this machine: every fact read, every check asked.
func BenchmarkPreflight(b *testing.B) {
	for b.Loop() {
		f, err := facts.Gather(facts.NewRoot("/"), facts.Scope{Parent: os.Getppid(), Now: time.Unix(0, 0)})
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
