package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

func notes(r reports.Report) section {
	return section{title: "About these figures", notes: slices.Clone(r.Notes)}
}

func resources(r reports.Report) section {
	hosts := slices.ContainsFunc(r.Resources, func(x reports.Resource) bool { return x.Host != "" && x.Host != r.Env.Hostname })
	g := &grid{head: []string{"process", "RSS peak", "per worker", "CPU", "fds peak", "of", "per worker"}, text: []int{0}}
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
		g.rows = append(g.rows, []string{count(i + 1), e.Hostname, e.Started, seconds(e.Seconds), count(e.CPUs), e.Kernel})
	}
	return section{title: "Shards", detail: true, grid: g}
}

func environment(r reports.Report) section {
	e := r.Env
	s := section{title: "Made by", detail: true}
	var host []string
	for _, v := range []string{e.Hostname, e.Kernel, e.CPU} {
		if v != "" {
			host = append(host, v)
		}
	}
	if e.CPUs > 0 {
		host = append(host, Plural(e.CPUs, "CPU")+" usable")
	}
	s.notes = append(s.notes, strings.Join(slices.DeleteFunc([]string{e.Tool, e.Go, strings.Join(host, ", ")}, func(v string) bool { return v == "" }), "; "))
	if e.Started != "" {
		s.notes = append(s.notes, "started "+e.Started+", took "+seconds(e.Seconds))
	}
	if e.Target != "" {
		s.notes = append(s.notes, "target "+e.Target)
	}
	return s
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
