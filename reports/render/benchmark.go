package render

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Benchmark writes the figures of a run in Go's benchmark format, one line a
// run, so that benchstat compares runs: concatenate those of several. What
// would keep it from comparing two versions on one machine is a comment. A
// refused run gives no figures: they would not be the server's. A preflight gives a
// line a limit. See
// https://go.dev/design/14313-benchmark-format.
func Benchmark(w io.Writer, r reports.Report) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, %s: %s\n", reports.Clean(r.Env.Tool), r.Verdict, reports.Clean(headline(r)))
	for _, kv := range [][2]string{{"cpu", r.Env.CPU}, {"kernel", r.Env.Kernel}} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", kv[0], reports.Clean(kv[1]))
		}
	}
	d := r.Demand
	name := fmt.Sprintf("Benchmark%s%s/workers=%d", strings.ToUpper(string(r.Kind[:1])), r.Kind[1:], d.Workers)
	if d.Rounds > 0 {
		name += fmt.Sprintf("/rounds=%d", d.Rounds)
	}
	if d.HoldSeconds > 0 {
		name += fmt.Sprintf("/hold=%gs", d.HoldSeconds)
	}
	if d.ModelBytes > 0 {
		name += fmt.Sprintf("/model=%dB", d.ModelBytes)
	}
	if d.UpdateBytes > 0 {
		name += fmt.Sprintf("/update=%dB", d.UpdateBytes)
	}
	cpus := ""
	if r.Env.CPUs > 0 {
		cpus = fmt.Sprintf("-%d", r.Env.CPUs)
	}
	if r.Kind == reports.KindPreflight {
		b.WriteString(ledgerLines(r.Capacity, name, cpus))
	}
	for _, h := range r.Hosts {
		if n, known := h.Holds(); known {
			fmt.Fprintf(&b, "%s/host=%s 1 %d workers\n", name, strings.Join(strings.Fields(reports.Clean(h.Name)), "_"), n)
		}
	}
	name += cpus
	if line := benchmarkFigures(r); line != "" && r.Verdict != reports.VerdictRefused {
		fmt.Fprintf(&b, "%s 1%s\n", name, line)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// ledgerLines are a line a limit that is known, of the workers it supports, and one
// of the whole where no limit is unknown.
func ledgerLines(c *reports.Capacity, name, cpus string) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	known := c.Limit != ""
	for _, x := range c.Ledger {
		if x.NoLimit {
			fmt.Fprintf(&b, "# %s: no limit\n", reports.Clean(x.Limit))
			continue
		}
		if x.Unknown() {
			fmt.Fprintf(&b, "# %s: unknown\n", reports.Clean(x.Limit))
			known = known && x.Waived
			continue
		}
		of := "/limit=" + strings.ReplaceAll(reports.Clean(x.Limit), "/", "-") // a slash would end the key
		if x.Host != "" {
			of += "/host=" + reports.Clean(x.Host)
		}
		fmt.Fprintf(&b, "%s%s%s 1 %d workers", name, of, cpus, *x.Workers)
		if x.WorkersHard != nil {
			fmt.Fprintf(&b, " %d hard-workers", *x.WorkersHard)
		}
		b.WriteByte('\n')
	}
	if known {
		fmt.Fprintf(&b, "%s%s 1 %d workers\n", name, cpus, c.Workers)
	}
	return b.String()
}

// benchmarkFigures are pairs of value and unit. The unit carries the metric's
// name, as benchstat wants it: "round-sec", "server.rss-B".
func benchmarkFigures(r reports.Report) string {
	var b strings.Builder
	for _, name := range reports.MetricNames() {
		v, unit, ok, err := r.Metric(name)
		if err != nil || !ok {
			continue
		}
		switch unit {
		case "s":
			name += "-sec"
		case "B":
			name += "-B"
		case "1":
			name += "-share"
		}
		fmt.Fprintf(&b, " %s %s", strconv.FormatFloat(v, 'g', 6, 64), name)
	}
	return b.String()
}
