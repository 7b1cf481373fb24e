package main

import (
	"testing"

	"github.com/fltool/fltool/reports"
)

func TestMostHit(t *testing.T) {
	reconnect := reports.ErrorClass{Class: reports.ClassReconnect, Workers: 9}
	few, many := reports.ErrorClass{Class: "reset", Count: 50, Workers: 2}, reports.ErrorClass{Class: "5xx", Count: 4, Workers: 4}
	if got := mostHit([]reports.ErrorClass{reconnect, few, many}); got != "5xx" {
		t.Error(got)
	}
	if got := mostHit([]reports.ErrorClass{reconnect}); got != "" {
		t.Error(got)
	}
}
