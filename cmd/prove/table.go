package main

import (
	"fmt"
	"io"
)

// outcome is a row that has ended, in a line.
func outcome(r result) string {
	if r.skipped() {
		return r.why()
	}
	s := fmt.Sprintf("measured %s: pass", number(r.measured.Value))
	if why := r.why(); why != "" {
		s = fmt.Sprintf("measured %s: FAIL: %s", number(r.measured.Value), why)
	}
	if r.measured.Symptom != "" {
		s += "\n     " + cut(r.measured.Symptom, 74)
	}
	return s
}

// table prints all rows, in 80 columns.
func table(w io.Writer, results []result) {
	fmt.Fprintf(w, "%-24s %-7s %15s %9s  %-7s %s\n", "row", "set to", "predicted", "measured", "symptom", "result")
	for _, r := range results {
		predicted, measured, symptom, verdict := "-", "-", "none", "pass"
		if r.told {
			predicted = r.predicted.String()
		}
		if r.err == nil && r.cannot == "" {
			measured = number(r.measured.Value)
		}
		if r.measured.Symptom != "" {
			symptom = "seen"
		}
		switch {
		case r.skipped():
			verdict = "can't"
		case r.why() != "":
			verdict = "FAIL"
		}
		fmt.Fprintf(w, "%-24s %-7s %15s %9s  %-7s %s\n", r.id, r.set, predicted, measured, symptom, verdict)
	}
}

// verdict sums up and gives the exit code.
func verdict(w io.Writer, results []result, asked int, mutate bool) int {
	failed, refuted, cannot := 0, 0, 0
	for _, r := range results {
		switch {
		case r.skipped():
			cannot++
			continue
		case r.why() != "":
			failed++
		}
		// What broke, or showed no symptom, refutes no prediction.
		if r.err == nil && r.told && r.measured.Symptom != "" && !r.predicted.holds(r.measured.Value) {
			refuted++
		}
	}
	fmt.Fprintf(w, "\n%d of %d rows run, %d failed", len(results)-cannot, asked, failed)
	if cannot > 0 {
		fmt.Fprintf(w, ", %d cannot be run here", cannot)
	}
	switch {
	case len(results) < asked:
		fmt.Fprintln(w)
		return exitFail
	case cannot > 0 && (mutate && refuted == asked-cannot || !mutate && failed == 0):
		fmt.Fprintln(w)
		return exitCant
	case mutate && refuted == asked:
		fmt.Fprintf(w, ", as every one must with predictions times %v\n", mutation)
		return exitGood
	case mutate:
		fmt.Fprintf(w, ", %d by what they measured; with predictions times\n%v every one must\n", refuted, mutation)
		return exitFail
	case failed > 0:
		fmt.Fprintln(w)
		return exitFail
	}
	fmt.Fprintln(w)
	return exitGood
}

// cut shortens a line to so many columns.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
