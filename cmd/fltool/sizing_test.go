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
