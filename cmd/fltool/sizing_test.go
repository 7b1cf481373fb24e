package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEmittedCommand: what a manifest starts is a command line that fltool takes.
func TestEmittedCommand(t *testing.T) {
	text, err := os.ReadFile("../../reports/render/testdata/manifest-kubernetes-process.golden")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`args: \[(.*)\]`).FindSubmatch(text)
	if m == nil {
		t.Fatal("it starts nothing")
	}
	if err := accepts(strings.Split(strings.ReplaceAll(string(m[1]), `"`, ""), ", ")); err != nil {
		t.Error(err)
	}
}

// TestAlertsHaveMetrics: no alert waits for a metric that nothing exports.
func TestAlertsHaveMetrics(t *testing.T) {
	exported := ""
	for _, file := range []string{"../../reports/render/testdata/preflight.prometheus.golden", "watch.go", "../../server/metrics.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		exported += string(text)
	}
	text, err := os.ReadFile("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\bfltool_\w+`).FindAllString(string(text), -1)
	if len(names) < 8 {
		t.Fatalf("only %d metrics in the rules", len(names))
	}
	for _, name := range names {
		if !strings.Contains(exported, name) && !strings.Contains(exported, `"`+strings.TrimPrefix(name, "fltool_")+`"`) {
			t.Errorf("nothing exports %s", name)
		}
	}
}
