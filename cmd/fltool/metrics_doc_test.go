package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// Every metric that a service level may name stands in a table of the manual: of those
// that are percentiles one is enough.
func TestMetricsAreDocumented(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "|") {
				tables.WriteString(line)
			}
		}
	}
	said := func(name string) bool { return strings.Contains(tables.String(), "`"+name+"`") }
	names := reports.MetricNames()
	if len(names) < 50 {
		t.Fatalf("only %d metrics", len(names))
	}
	for _, name := range names {
		of := name
		if i := strings.LastIndexByte(name, '.'); i > 0 && strings.HasPrefix(name[i:], ".p") || strings.HasSuffix(name, ".max") {
			of = name[:strings.LastIndexByte(name, '.')]
		}
		if !said(name) && !said(of+".p99") && !said(of+".p50") {
			t.Errorf("no table of docs has %s", name)
		}
	}
}
