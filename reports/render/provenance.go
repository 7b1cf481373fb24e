package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

func notes(r reports.Report) section {
	return section{title: "About these figures", notes: slices.Clone(r.Notes)}
}

func resources(r reports.Report) section {
	hosts := slices.ContainsFunc(r.Resources, func(x reports.Resource) bool { return x.Host != "" && x.Host != r.Env.Hostname })
	g := &grid{head: []string{"process", "RSS peak", "per worker", "CPU", "fds peak", "limit", "per worker"}, text: []int{0}}
	for _, x := range r.Resources {
		name := x.Process
		if hosts && x.Host != "" {
			name += " on " + x.Host
		}
		if x.Processes > 1 {
			name += fmt.Sprintf(", %d processes", x.Processes)
		}
		rss, fds, limit := "", "", ""
		if x.RSSPerWorkerBytes != nil {
			rss = size(*x.RSSPerWorkerBytes)
		}
		if x.FDsPerWorker != nil {
			fds = digits(*x.FDsPerWorker)
		}
		switch {
		case x.FDLimit < 0:
			limit = "unlimited"
		case x.FDLimit > 0:
			limit = count(x.FDLimit)
			if x.Processes > 1 {
				limit += " each"
			}
		}
		g.rows = append(g.rows, []string{name, size(float64(x.RSSPeakBytes)), rss, seconds(x.CPUSeconds), count(x.FDsPeak), limit, fds})
	}
	s := section{title: "Resources", detail: true, grid: g}
	if b := r.Bytes; b != nil {
		s.notes = []string{fmt.Sprintf("%s sent to the server, %s received", size(float64(b.Sent)), size(float64(b.Received)))}
	}
	return s
}

func generator(r reports.Report) section {
	g := r.Generator
	if g == nil {
		return section{}
	}
	left := func(n int64, of string) string {
		if n < 0 {
			return "unknown " + of
		}
		return count(n) + " " + of
	}
	state := "it kept up"
	if g.Refused != "" {
		state = "it did not keep up: " + g.Refused
	}
	return section{title: "Health of the load generator", detail: true, notes: []string{state}, grid: &grid{
		head: []string{"figure", "value"},
		rows: [][]string{
			{"lag from due to sent", fmt.Sprintf("p50 %s, p99 %s, max %s", seconds(g.LagP50Seconds), seconds(g.LagP99Seconds), seconds(g.LagMaxSeconds))},
			{"CPU", percent(g.CPUShare) + " of all cores"},
			{"garbage collection", fmt.Sprintf("%s of its CPU, pauses %s in all", percent(g.GCCPUShare), seconds(g.GCPauseSeconds))},
			{"left at the worst", left(g.FDsLeft, "descriptors") + ", " + left(g.PortsLeft, "ports")},
			{"idle connections redialled", count(g.Reconnects)},
		},
		text: []int{0, 1},
	}}
}

func shards(r reports.Report) section {
	g := &grid{head: []string{"shard", "host", "started", "took", "CPUs", "kernel"}, text: []int{1, 2, 5}}
	for i, e := range r.Shards {
		g.rows = append(g.rows, []string{count(i + 1), e.Hostname, moment(e.Started), seconds(e.Seconds), count(e.CPUs), e.Kernel})
	}
	return section{title: "Shards", detail: true, grid: g}
}

func environment(r reports.Report) section {
	e := r.Env
	s := section{title: "Made by", detail: true, head: true}
	s.notes = append(s.notes, strings.Join(slices.DeleteFunc([]string{e.Tool, e.Go, host(e)}, func(v string) bool { return v == "" }), "; "))
	if e.Started != "" {
		s.notes = append(s.notes, "started "+moment(e.Started)+", took "+seconds(e.Seconds))
	}
	if e.Target != "" {
		s.notes = append(s.notes, "target "+e.Target)
	}
	return s
}

// host is where a report was made.
func host(e reports.Env) string {
	var parts []string
	for _, v := range []string{e.Hostname, e.Kernel, e.CPU} {
		if v != "" {
			parts = append(parts, v)
		}
	}
	if e.CPUs > 0 {
		parts = append(parts, Plural(e.CPUs, "CPU")+" usable")
	}
	return strings.Join(parts, ", ")
}

// moment is a time of RFC 3339 to the second, as people write it.
func moment(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// facts are what was asked for, of what, where and when.
func facts(r reports.Report) []particular {
	var all []particular
	add := func(label string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
		if text := reports.Clean(strings.Join(parts, ", ")); text != "" {
			all = append(all, particular{label: label, text: text})
		}
	}
	add("asked for", demand(r.Demand)...)
	add("target", r.Env.Target)
	when := ""
	if r.Env.Started != "" {
		when = moment(r.Env.Started)
	}
	took := ""
	if r.Env.Seconds > 0 {
		took = "took " + seconds(r.Env.Seconds)
	}
	add("when", when, took)
	add("where", host(r.Env))
	add("made by", r.Env.Tool, r.Env.Go)
	return all
}

// demand is what was asked for, in words.
func demand(d reports.Demand) []string {
	if d.Workers == 0 {
		return nil
	}
	parts := []string{Plural(d.Workers, "worker")}
	if d.Rounds > 0 {
		parts = append(parts, Plural(d.Rounds, "round"))
	}
	switch {
	case d.Stages != "":
		parts = append(parts, "polls held in "+Plural(len(strings.Fields(d.Stages)), "stage"))
	case d.HoldSeconds > 0:
		parts = append(parts, "polls held for "+Duration(d.HoldSeconds))
	}
	if d.ModelBytes > 0 {
		of := "a model of " + size(float64(d.ModelBytes))
		if d.ModelAssumed {
			of += " (assumed)"
		}
		parts = append(parts, of)
	}
	if d.UpdateBytes > 0 {
		parts = append(parts, "updates of "+size(float64(d.UpdateBytes)))
	}
	if d.RampSeconds > 0 {
		parts = append(parts, "arriving over "+Duration(d.RampSeconds))
	}
	return parts
}

const againTitle = "To run it again"

func again(r reports.Report) section {
	s := section{title: againTitle}
	if len(r.Env.Command) > 0 {
		s.commands = append(s.commands, shell(r.Env.Command))
	}
	for _, e := range r.Shards {
		if len(e.Command) > 0 {
			s.commands = append(s.commands, shell(e.Command))
		}
	}
	return s
}
