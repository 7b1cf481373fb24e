package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/fltool/fltool/reports"
)

// The benchmarks run the whole tool as a user would, both ends on this machine,
// and give what its own report says.

func BenchmarkRounds(b *testing.B) {
	for _, workers := range []int{1000, 5000} {
		b.Run("workers="+strconv.Itoa(workers), func(b *testing.B) {
			for b.Loop() {
				r := simulate(b, "--workers", strconv.Itoa(workers), "--rounds", "3")
				b.ReportMetric(slices.MaxFunc(r.Rounds, func(a, b reports.Round) int { return cmp.Compare(a.Seconds, b.Seconds) }).Seconds, "worst-round-s")
				b.ReportMetric(slices.MaxFunc(r.Rounds, func(a, b reports.Round) int { return cmp.Compare(a.FanoutSeconds, b.FanoutSeconds) }).FanoutSeconds, "worst-fanout-s")
				for _, p := range r.Resources {
					b.ReportMetric(p.CPUSeconds/float64(len(r.Rounds)*workers)*1e6, p.Process+"-cpu-µs/worker-round")
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func BenchmarkHold(b *testing.B) {
	for b.Loop() {
		r := simulate(b, "--workers", "5000", "--hold", "10s")
		for _, p := range r.Resources {
			b.ReportMetric(*p.RSSPerWorkerBytes, p.Process+"-B/worker")
			b.ReportMetric(float64(p.RSSPeakBytes)/5000, p.Process+"-peak-B/worker")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkBodies moves models and updates of 13 MB.
func BenchmarkBodies(b *testing.B) {
	for b.Loop() {
		r := simulate(b, "--workers", "100", "--rounds", "2", "--model-size", "13MB", "--update-size", "13MB")
		for _, p := range r.Resources {
			b.ReportMetric(float64(p.RSSPeakBytes)/1e6, p.Process+"-peak-MB")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// simulate runs fltool simulate and gives its report, which must be a pass.
func simulate(b *testing.B, args ...string) reports.Report {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "fltool", append([]string{"simulate", "--format", "json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.Fatal(err)
	}
	r, err := reports.Decode(io.Reader(bytes.NewReader(out)))
	if err != nil {
		b.Fatal(err)
	}
	if r.Verdict != reports.VerdictPass {
		b.Fatalf("%s: %v", r.Verdict, r.Reasons)
	}
	return r
}
