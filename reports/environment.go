package reports

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// environments lists in what the runs differ that makes figures differ.
func environments(base, new []Report) []string {
	of := func(rs []Report, f func(Report) string) string {
		set := map[string]bool{}
		for _, r := range rs {
			set[cmp.Or(f(r), "unknown")] = true
		}
		return strings.Join(slices.Sorted(maps.Keys(set)), " or ")
	}
	var differ []string
	for _, x := range []struct {
		name string
		of   func(Report) string
	}{
		{"tool", func(r Report) string { return r.Env.Tool }},
		{"go", func(r Report) string { return r.Env.Go }},
		{"CPU", func(r Report) string { return r.Env.CPU }},
		{"CPUs", func(r Report) string { return fmt.Sprint(r.Env.CPUs) }},
		{"kernel", func(r Report) string { return r.Env.Kernel }},
		{"host", func(r Report) string { return r.Env.Hostname }},
	} {
		if b, n := of(base, x.of), of(new, x.of); b != n {
			differ = append(differ, fmt.Sprintf("%s: base %s, new %s", x.name, b, n))
		}
	}
	return append(differ, DemandDifferences(base, new)...)
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
