package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

// gauges are the metrics of Prometheus, each with its help and its lines.
type gauges struct {
	order []string
	help  map[string]string
	lines map[string][]string
}

// labels are names and values in turn.
func (g *gauges) set(name, help string, value float64, labels ...string) {
	if _, known := g.help[name]; !known {
		g.order = append(g.order, name)
		g.help[name] = help
	}
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelValue.Replace(reports.Clean(labels[i+1]))+`"`)
	}
	line := name
	if len(pairs) > 0 {
		line += "{" + strings.Join(pairs, ",") + "}"
	}
	line += " " + strconv.FormatFloat(value, 'g', -1, 64)
	g.lines[name] = append(g.lines[name], line)
}

var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// Prometheus writes a preflight's ledger in Prometheus's text format: what each limit
// supports, what is in use and the headroom, and how each check is answered. A limit
// that is unknown has no number, and says so. See
// https://prometheus.io/docs/instrumenting/exposition_formats/.
func Prometheus(w io.Writer, r reports.Report) error {
	g := gauges{help: map[string]string{}, lines: map[string][]string{}}
	for _, v := range reports.Verdicts {
		g.set("fltool_verdict", "The answer of fltool: 1 at the one that it is.", oneIf(r.Verdict == v), "verdict", string(v))
	}
	g.set("fltool_demand_workers", "Workers that are asked for.", float64(r.Demand.Workers))
	if t, err := time.Parse(time.RFC3339Nano, r.Env.Started); err == nil {
		g.set("fltool_read_timestamp_seconds", "When the host was read.", float64(t.UnixMilli())/1000)
	}
	g.capacity(r)
	for _, h := range r.Hosts {
		if n, known := h.Holds(); known {
			g.set("fltool_host_workers", "Workers that one of many hosts surely holds; absent where that is unknown.", float64(n), "host", h.Name, "role", h.Role)
		}
	}
	told := map[string]bool{}
	for _, f := range r.Findings {
		labels := []string{"check", f.Check, "part", f.Host, "hop", f.Hop, "severity", string(f.Severity), "status", string(f.Status)}
		if key := strings.Join(labels, "\x00"); f.Status != reports.StatusNA && !told[key] {
			told[key] = true
			g.set("fltool_check", "1 for each check that applies, with its status.", 1, labels...)
		}
	}
	var b strings.Builder
	for _, name := range g.order {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s\n", name, g.help[name], name, strings.Join(g.lines[name], "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// capacity are the answer and the ledger.
func (g *gauges) capacity(r reports.Report) {
	k := r.Capacity
	if k == nil {
		return
	}
	n, known := k.Workers, r.Kind != reports.KindPreflight
	if !known {
		n, known = (reports.Host{Capacity: k}).Holds()
	}
	g.set("fltool_capacity_known", "Whether no limit is unknown.", oneIf(known))
	if known {
		g.set("fltool_capacity_workers", "Workers that all limits surely support; absent where one is unknown.", float64(n))
	}
	var told [][]string
	for _, x := range k.Ledger {
		labels := []string{"check", x.Limit, "part", x.Host, "hop", x.Hop, "waived", strconv.FormatBool(x.Waived)}
		if slices.ContainsFunc(told, func(l []string) bool { return slices.Equal(l, labels) }) {
			continue // one series a limit: the first is as any
		}
		told = append(told, labels)
		g.set("fltool_limit_known", "Whether the number of workers that a limit supports is known, or that it never limits them.", oneIf(!x.Unknown()), labels...)
		if x.Workers != nil {
			g.set("fltool_limit_workers", "Workers that a limit surely supports; absent where that is unknown, or no limit.", float64(*x.Workers), labels...)
		}
		if x.Headroom != nil {
			g.set("fltool_limit_headroom_workers", "Workers that a limit supports beyond those asked for.", float64(*x.Headroom), labels...)
		}
		if x.InUse != nil {
			g.set("fltool_limit_in_use", "What is in use of a limit now, in its unit.", float64(*x.InUse), append(slices.Clone(labels), "unit", x.InUseUnit)...)
		}
	}
}
