package kinds

import (
	"fmt"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// number answers with a setting that is a count. set is what changes it, with a
// place for the number: "--backlog %d".
func number(name, set string) func(Hop) Answer[int64] {
	return func(h Hop) Answer[int64] {
		return counted(h, name, set, func(n int64) string { return fmt.Sprint(n) })
	}
}

// processCount answers with a setting that says how many processes there are.
func processCount(name, set string) func(Hop) Answer[int64] {
	return func(h Hop) Answer[int64] { return counted(h, name, set, processes) }
}

// byteCount answers with a setting that is a number of bytes.
func byteCount(name, set string) func(Hop) Answer[int64] {
	return func(h Hop) Answer[int64] { return counted(h, name, set, facts.Bytes) }
}

func counted(h Hop, name, set string, got func(int64) string) Answer[int64] {
	v := h.Count(name)
	if !v.Known() {
		return cant[int64](name, v)
	}
	return is(v.V, got(v.V), v.Source).settable(by(set))
}

// seconds answers with a setting that is a time in seconds.
func seconds(name, set string) func(Hop) Answer[time.Duration] {
	return func(h Hop) Answer[time.Duration] {
		v := h.Seconds(name)
		if !v.Known() {
			return cant[time.Duration](name, v)
		}
		return is(v.V, Short(v.V), v.Source).settable(by(set))
	}
}

// by writes a number where set has its place.
func by(set string) func(int64) string {
	return func(n int64) string { return fmt.Sprintf(set, n) }
}
