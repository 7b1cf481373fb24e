package checks

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/symptoms"
	"github.com/fltool/fltool/reports"
)

// Limits that the behaviour of a server can show and that no single check is of.
const (
	BindingCPU     = "cpu"
	BindingMemory  = "memory"
	BindingLatency = "latency"
	BindingRefused = "refused connections"
	BindingPlaces  = "connections" // as many as it answers, and no more
)

// A Binding is the limit that a server's behaviour shows, and what shows it.
type Binding struct {
	Limit    string // a check's id or one of the above; "" where it can't be told
	Evidence []string
	Places   int // workers that the server answered, and no more; 0: it met no such limit
}

// nearly is the share of a limit from which a peak that was sampled counts as
// having met it.
const nearly = .98

// busy is the share of the cores from which they count as saturated.
const busy = .9

// Bind reads off the report of a level that did not hold, and what the logs said
// meanwhile, which limit it was. What a server says outranks what it does, and
// that what its clients felt. Several logs may be given; symptoms add up.
func Bind(r reports.Report, said []symptoms.Found) Binding {
	for _, of := range []func(reports.Report, []symptoms.Found) Binding{
		bySaid, byOpenFiles, byEnd, byMemoryLevel, byPlaces, byQueue, byRefusal, byCPU, byLatency,
	} {
		if b := of(r, said); b.Limit != "" {
			b.Evidence = append(b.Evidence, felt(r)...)
			if r.Held != nil {
				b.Places = r.Held.Places
			}
			return b
		}
	}
	return Binding{Evidence: slices.Concat(open(said), felt(r))}
}

// bySaid takes the check of the most frequent symptom that leaves no doubt and is no
// other's consequence.
func bySaid(r reports.Report, said []symptoms.Found) Binding {
	for _, e := range r.Errors { // an error page or a text may quote it
		log, err := symptoms.Scan(strings.NewReader(e.Example))
		if err != nil {
			continue // a text in memory: nothing to be read
		}
		said = slices.Concat(said, log.Found)
	}
	sum := map[string]symptoms.Found{} // by check
	for _, s := range said {
		id := s.Check()
		if id == "" || id == "app/found" {
			continue // one of several, or a server that is gone, whatever ended it
		}
		if was, ok := sum[id]; ok {
			was.Lines += s.Lines
			s = was
		}
		sum[id] = s
	}
	limit := ""
	for id, s := range sum {
		c, _ := ByID(id)
		if slices.ContainsFunc(c.After, func(cause string) bool { _, ok := sum[cause]; return ok }) {
			continue
		}
		if best := sum[limit]; limit == "" || s.Lines > best.Lines || s.Lines == best.Lines && id < limit {
			limit = id
		}
	}
	if limit == "" {
		return Binding{}
	}
	best := sum[limit]
	return Binding{Limit: limit, Evidence: []string{fmt.Sprintf("%s such as: %s", count(best.Lines, "line", "lines"), strings.TrimSpace(best.Example))}}
}

// open is what logs said that may have one of several causes.
func open(said []symptoms.Found) (out []string) {
	for _, s := range said {
		if len(s.Causes) > 1 {
			out = append(out, fmt.Sprintf("%s of several possible causes: %s", count(s.Lines, "line", "lines"), strings.TrimSpace(s.Example)))
		}
	}
	return out
}

func serverOf(r reports.Report) (reports.Resource, bool) {
	i := slices.IndexFunc(r.Resources, func(x reports.Resource) bool { return x.Process == "server" })
	if i < 0 {
		return reports.Resource{}, false
	}
	return r.Resources[i], true
}

func byOpenFiles(r reports.Report, _ []symptoms.Found) Binding {
	x, ok := serverOf(r)
	peak := cmp.Or(x.FDsFullest, x.FDsPeak)
	if !ok || x.FDLimit <= 0 || float64(peak) < nearly*float64(x.FDLimit) {
		return Binding{}
	}
	return Binding{Limit: "app/nofile", Evidence: []string{fmt.Sprintf("the server had %d of %d descriptors open", peak, x.FDLimit)}}
}

var killed = regexp.MustCompile(`the server ended .*signal: killed`)

func byEnd(r reports.Report, _ []symptoms.Found) Binding {
	for _, why := range r.Reasons {
		if killed.MatchString(why) {
			return Binding{Limit: BindingMemory, Evidence: []string{"the server was killed, as the kernel does when memory ends (its log tells)"}}
		}
	}
	return Binding{}
}

func byMemoryLevel(r reports.Report, _ []symptoms.Found) Binding {
	for _, t := range missed(r) {
		if t.Metric == "server.rss" || t.Metric == "server.rssPerWorker" {
			return Binding{Limit: BindingMemory, Evidence: []string{t.Missed()}}
		}
	}
	return Binding{}
}

func byPlaces(r reports.Report, _ []symptoms.Found) Binding {
	if r.Held == nil || r.Held.Places == 0 {
		return Binding{}
	}
	return Binding{Limit: BindingPlaces, Evidence: []string{fmt.Sprintf("exactly %s a place, and the other %d got not one byte",
		count(r.Held.Places, "worker had", "workers had"), r.Held.Asked-r.Held.Places)}}
}

func byQueue(r reports.Report, _ []symptoms.Found) Binding {
	if r.Queue == nil || r.Queue.Overflows == 0 || !slices.ContainsFunc(r.Errors, func(e reports.ErrorClass) bool { return e.Class == "timed out" || e.Class == "reset" }) {
		return Binding{}
	}
	return Binding{Limit: "app/accept-queue", Evidence: []string{fmt.Sprintf("%s the accept queue full (the kernel's ListenOverflows)", count(int(r.Queue.Overflows), "connection found", "connections found"))}}
}

func byRefusal(r reports.Report, _ []symptoms.Found) Binding {
	for _, e := range r.Errors {
		if e.Class == "refused" && e.Count > 0 {
			return Binding{Limit: BindingRefused, Evidence: []string{count(e.Count, "connection was refused", "connections were refused")}}
		}
	}
	return Binding{}
}

// byCPU wants saturated cores and something that was late: cores may be busy
// without harm.
func byCPU(r reports.Report, _ []symptoms.Found) Binding {
	x, ok := serverOf(r)
	if !ok || x.CPUPeak == 0 || r.Env.CPUs == 0 || !late(r) {
		return Binding{}
	}
	cores := float64(r.Env.CPUs)
	was := fmt.Sprintf("the server kept %.1f of %d cores busy", x.CPUPeak, r.Env.CPUs)
	own := 0.
	for _, g := range r.Resources {
		if g.Process == "generator" && (g.Host == "" || g.Host == x.Host) {
			own = g.CPUPeak
		}
	}
	switch {
	case x.CPUPeak >= busy*cores:
		return Binding{Limit: BindingCPU, Evidence: []string{was}}
	case x.CPUPeak+own >= busy*cores:
		return Binding{Limit: BindingCPU, Evidence: []string{was + fmt.Sprintf(", the generator beside it %.1f: with the generator elsewhere it may hold more", own)}}
	case x.CPUPeak >= busy && x.CPUPeak <= 1.1:
		return Binding{Limit: BindingCPU, Evidence: []string{was + ": one, as a server does that runs on one thread"}}
	}
	return Binding{}
}

// late says whether workers waited too long.
func late(r reports.Report) bool {
	return slices.ContainsFunc(missed(r), func(t reports.Threshold) bool { return t.Unit == "s" }) ||
		slices.ContainsFunc(r.Errors, func(e reports.ErrorClass) bool { return e.Class == "timed out" })
}

func byLatency(r reports.Report, _ []symptoms.Found) Binding {
	var slow []string
	for _, t := range missed(r) {
		if t.Unit == "s" {
			slow = append(slow, t.Missed())
		}
	}
	for _, e := range r.Errors {
		if e.Class != reports.ClassReconnect && e.Class != "timed out" {
			return Binding{} // something broke: that it was slow as well explains nothing
		}
	}
	if len(slow) == 0 {
		return Binding{}
	}
	return Binding{Limit: BindingLatency, Evidence: slow}
}

// missed are the service levels that were measured and missed: one without samples
// says nothing of any limit.
func missed(r reports.Report) []reports.Threshold {
	return slices.DeleteFunc(slices.Clone(r.Thresholds), func(t reports.Threshold) bool { return t.Pass || t.Got == nil })
}

// felt is what clients met with, the most frequent first.
func felt(r reports.Report) []string {
	var out []string
	for _, e := range r.Errors {
		if e.Class != reports.ClassReconnect {
			out = append(out, fmt.Sprintf("%d × %s, such as %s", e.Count, e.Class, e.Example))
		}
	}
	return out
}

// Predict sets a measured capacity beside the ledger: the smallest safe bound
// that is known, and the limits that are not, any of which might be smaller.
func Predict(c reports.Capacity, ledger []reports.Row) reports.Capacity {
	c.Ledger = slices.Clone(ledger)
	for _, row := range ledger {
		switch {
		case row.Waived, row.NoLimit:
		case row.Unknown():
			c.Unknown = append(c.Unknown, row.Limit)
		case c.Predicted == nil || *row.Workers < *c.Predicted:
			n := *row.Workers
			c.Predicted, c.PredictedBy = &n, row.Limit
		}
	}
	return c
}

// Name says which limit a measured capacity showed, and puts the measurement into
// the ledger's row of it. A number of connections alone is the limit whose row foretold
// it.
func Name(c reports.Capacity, b Binding) reports.Capacity {
	c.Limit, c.Evidence = b.Limit, b.Evidence
	if b.Limit == BindingPlaces {
		c.Limit, c.Evidence = foretold(c, b)
	}
	c.Ledger = slices.Clone(c.Ledger)
	for i := range c.Ledger {
		if c.Ledger[i].Limit == c.Limit && c.Limit != "" {
			n := c.Workers
			c.Ledger[i].Measured = &n
		}
	}
	return c
}

// foretold is the limit whose hard bound a number of connections is, or is next to:
// others than workers have some, too.
func foretold(c reports.Capacity, b Binding) (limit string, evidence []string) {
	const next = 2
	limit, evidence = b.Limit, b.Evidence
	nearest := next + 1
	for _, row := range c.Ledger {
		bound := row.WorkersHard
		if bound == nil {
			bound = row.Workers
		}
		if bound == nil || row.Waived {
			continue
		}
		if off := max(*bound-b.Places, b.Places-*bound); off < nearest {
			nearest, limit = off, row.Limit
			evidence = append([]string{fmt.Sprintf("%s, which %s foretold (%d)", b.Evidence[0], row.Limit, *bound)}, b.Evidence[1:]...)
		}
	}
	return limit, evidence
}
