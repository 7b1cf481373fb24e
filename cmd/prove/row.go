package main

import (
	"fmt"
	"strings"
)

// A row is one experiment: it sets a limit low, predicts by what preflight says
// of the deployment, loads it, and measures.
type row struct {
	id      string
	check   string // id of the check that is proved
	formula string // of the ledger that is proved; "" where the check has none, or it is not about that
	limit   string // what is set
	set     string // to what
	unit    string // of predicted and measured
	quick   bool   // part of the subset that ends within two minutes
	run     func(*room) (Measurement, error)

	clients []string // classes of errors that are the symptom, where no log tells of it
}

// A Prediction is what preflight promises before the load starts. Where a limit
// has one bound, both are the same.
type Prediction struct {
	Safe float64 `json:"safe"`
	Hard float64 `json:"hard"`
}

// A Measurement is what the load found, and the symptom that preflight had named.
type Measurement struct {
	Value   float64 `json:"value"`
	Symptom string  `json:"symptom"` // the line, counter or class of errors; "" where there was none
}

// A bound is which of the ledger's two is meant.
type bound int

const (
	both bound = iota
	safe
	hard
)

// of picks the bound, for so many times what it is about.
func (b bound) of(p Prediction, times float64) Prediction {
	switch b {
	case safe:
		p.Hard = p.Safe
	case hard:
		p.Safe = p.Hard
	}
	return p.scale(times)
}

// Precision of a prediction with one bound.
const (
	tolerance = 0.02 // of the prediction
	one       = 1    // worker
)

// scale mutates a prediction.
func (p Prediction) scale(by float64) Prediction { return Prediction{p.Safe * by, p.Hard * by} }

// holds says whether a measurement bears a prediction out: between its bounds
// where there are two, within two in a hundred and one worker where there is one.
func (p Prediction) holds(measured float64) bool {
	if p.Safe == p.Hard {
		off := measured - p.Safe
		return max(off, -off) <= tolerance*p.Safe+one
	}
	return p.Safe <= measured && measured <= p.Hard
}

func (p Prediction) String() string {
	if p.Safe == p.Hard {
		return number(p.Safe)
	}
	return number(p.Safe) + "–" + number(p.Hard)
}

// number writes a whole number as such and others with one decimal.
func number(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// A result is a row that has been run.
type result struct {
	row
	predicted Prediction
	told      bool // predicted
	measured  Measurement
	err       error
	cannot    string // why it can't be run here: then it proves and refutes nothing
}

// skipped says whether the row can't be run here.
func (r result) skipped() bool { return r.cannot != "" && r.err == nil }

// why says why a row failed; "" where it passed.
func (r result) why() string {
	switch {
	case r.skipped():
		return "cannot be run here: " + r.cannot
	case r.err != nil:
		return r.err.Error()
	case !r.told:
		return "nothing was predicted"
	case !r.predicted.holds(r.measured.Value):
		return "measured is not as predicted"
	case r.measured.Symptom == "":
		return "no symptom of " + r.check + " was seen"
	}
	return ""
}
