package reports

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// environment is what makes figures differ besides what is compared.
var environment = []struct {
	name string
	of   func(Env) string
}{
	{"tool", func(e Env) string { return e.Tool }},
	{"go", func(e Env) string { return e.Go }},
	{"CPU", func(e Env) string { return e.CPU }},
	{"CPUs", func(e Env) string { return strings.TrimPrefix(fmt.Sprint(e.CPUs), "0") }},
	{"kernel", func(e Env) string { return e.Kernel }},
	{"host", func(e Env) string { return e.Hostname }},
}

// environments lists in what the runs differ, and gives what is known to be the
// same in all, by name.
func environments(base, new []Report) (differ []string, same map[string]string) {
	of := func(rs []Report, f func(Env) string) string {
		set := map[string]bool{}
		for _, r := range rs {
			set[cmp.Or(f(r.Env), "unknown")] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(set)), " or ")
	}
	same = map[string]string{}
	for _, x := range environment {
		b, n := of(base, x.of), of(new, x.of)
		switch {
		case b != n:
			differ = append(differ, fmt.Sprintf("%s: base %s, new %s", x.name, b, n))
		case b != "unknown":
			same[x.name] = b
		}
	}
	return append(differ, DemandDifferences(base, new)...), same
}

// describe says when the runs were made, and what all have in common.
func describe(base, new []Report, same map[string]string) []string {
	var lines []string
	for _, set := range []struct {
		side string
		runs []Report
	}{{"base", base}, {"new", new}} {
		var started []string
		for _, r := range set.runs {
			if r.Env.Started != "" {
				started = append(started, r.Env.start().UTC().Format(time.RFC3339))
			}
		}
		if len(started) > 0 {
			lines = append(lines, fmt.Sprintf("%s: started %s to %s", set.side, slices.Min(started), slices.Max(started)))
		}
	}
	var all []string
	for _, x := range environment {
		switch v := same[x.name]; {
		case v == "":
		case x.name == "CPUs" || x.name == "host":
			all = append(all, x.name+" "+v)
		default: // it says itself what it is
			all = append(all, v)
		}
	}
	if len(all) > 0 {
		lines = append(lines, "all: "+strings.Join(all, ", "))
	}
	for _, kind := range kindsOf(slices.Concat(base, new)) {
		lines = append(lines, fmt.Sprintf("%s: %s", kind.name, kind.demand.words()))
	}
	return lines
}

func (d Demand) words() string {
	count := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	words := count(d.Workers, "worker")
	for _, x := range []struct {
		asked bool
		text  string
	}{
		{d.Rounds > 0, count(d.Rounds, "round")},
		{d.HoldSeconds > 0, fmt.Sprintf("held for %g s", d.HoldSeconds)},
		{d.Stages != "", "in stages " + d.Stages},
		{d.RampSeconds > 0, fmt.Sprintf("arriving over %g s", d.RampSeconds)},
		{d.ModelBytes > 0, fmt.Sprintf("models of %d bytes", d.ModelBytes)},
		{d.UpdateBytes > 0, fmt.Sprintf("updates of %d bytes", d.UpdateBytes)},
	} {
		if x.asked {
			words += ", " + x.text
		}
	}
	return words
}

// DemandDifferences lists in what the demands of runs of one kind differ.
func DemandDifferences(base, new []Report) []string {
	first := map[string]Demand{}
	differ := map[string]bool{}
	for _, r := range slices.Concat(base, new) {
		kind := KindOfRun(r.Demand)
		if _, seen := first[kind]; !seen {
			first[kind] = r.Demand
		}
		for _, d := range Differences(first[kind], r.Demand) {
			differ["demand: "+d] = true
		}
	}
	return slices.Sorted(maps.Keys(differ))
}

// Differences lists the fields in which two of the document's flat structs
// differ, by their JSON names, as "workers 1000 and 500".
func Differences[T Env | Demand](a, b T) []string {
	var d []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if x, y := va.Field(i).Interface(), vb.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
			d = append(d, fmt.Sprintf("%s %v and %v", name, x, y))
		}
	}
	return d
}
