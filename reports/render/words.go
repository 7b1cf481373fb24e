package render

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

// headline answers the question that the report was made for, in one sentence.
func headline(r reports.Report) string {
	switch {
	case r.Kind == reports.KindPreflight:
		_, _, rest := answerTo(r)
		return strings.Join(append([]string{rest}, holding(r)...), " ")
	case r.Kind == reports.KindCapacity:
		return capacityHeadline(r)
	case r.Kind == reports.KindDrill || r.Drill != nil:
		return joined(drillHeadline(r), scenarioHeadline(r.Scenario))
	case r.Kind == reports.KindHosts:
		return hostsHeadline(r)
	case r.Kind == reports.KindDrift:
		return driftHeadline(r)
	case r.Verdict == reports.VerdictRefused:
		return "nothing can be said of the server"
	}
	return joined(simulateHeadline(r), scenarioHeadline(r.Scenario))
}

// joined is two parts of a sentence, the second of which there need not be.
func joined(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}

func simulateHeadline(r reports.Report) string {
	var parts []string
	workers := Plural(r.Demand.Workers, "worker")
	switch {
	case r.Shard != nil:
		workers += fmt.Sprintf(" (shard %d of %d alone)", r.Shard.Index, r.Shard.Count)
	case len(r.Shards) > 0:
		workers += fmt.Sprintf(" from %s", Plural(len(r.Shards), "shard"))
	}
	switch h := r.Held; {
	case h == nil && len(r.Rounds) == 0 && len(r.Series) == 0:
		return workers + ": nothing was measured"
	case r.Demand.Rounds > 0:
		ended, failed := 0, 0
		for _, x := range r.Rounds {
			switch {
			case x.Open: // it is no round without all workers, but none at all
				continue
			case x.Failed > 0:
				failed++
			}
			ended++
		}
		parts = append(parts, fmt.Sprintf("%s, %d of %s", workers, ended, Plural(r.Demand.Rounds, "round")))
		if failed > 0 {
			parts[0] += fmt.Sprintf(" (%d without all workers)", failed)
		}
		if slowest := slowestRound(r.Rounds); slowest > 0 {
			parts[0] += ", the slowest " + seconds(slowest)
		}
	case h != nil && len(r.Stages) > 0:
		parts = append(parts, fmt.Sprintf("up to %s: %s", workers, stagesHeld(r)))
	case h != nil:
		parts = append(parts, fmt.Sprintf("%s: %s of %s held for %s", workers, count(h.Steady), count(h.Asked), seconds(h.HoldSeconds)))
	default:
		parts = append(parts, workers)
	}
	lost := "none lost"
	if n := len(r.Lost); n > 0 {
		lost = count(n) + " lost"
	}
	errors := 0
	for _, e := range r.Errors {
		if e.Class != reports.ClassReconnect {
			errors += e.Count
		}
	}
	if errors > 0 {
		return strings.Join(append(parts, lost+", "+Plural(errors, "error")), "; ")
	}
	return strings.Join(append(parts, lost+", no errors"), "; ")
}

func slowestRound(rounds []reports.Round) float64 {
	var slowest float64
	for _, x := range rounds {
		if !x.Open {
			slowest = max(slowest, x.Seconds)
		}
	}
	return slowest
}

func capacityHeadline(r reports.Report) string {
	if r.Capacity == nil {
		return "no level was held"
	}
	s := "holds "
	if r.Verdict == reports.VerdictRefused {
		s = "can't tell: it holds "
	}
	if r.Capacity.AtLeast {
		s += "at least "
	}
	s += Plural(r.Capacity.Workers, "worker")
	if r.Demand.Workers > 0 {
		s += fmt.Sprintf(" (%s asked for)", count(r.Demand.Workers))
	}
	if r.Capacity.Limit != "" {
		s += "; the limit is " + r.Capacity.Limit
	}
	return s
}

// limitUnknown says whether nothing is known of how many workers a capacity allows:
// the limit that it names is unknown, and so are all others.
func limitUnknown(c reports.Capacity) bool {
	return c.AtMost == nil && slices.ContainsFunc(c.Ledger, func(r reports.Row) bool {
		return r.Limit == c.Limit && r.Unknown() && !r.Waived
	})
}

func atLeast(c *reports.Capacity) string {
	if c.AtLeast {
		return "at least " + count(c.Workers)
	}
	return count(c.Workers)
}

// Plural is a number and its noun: "1 worker", "2 workers".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

func count[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// seconds writes a time with three digits and the unit that suits it.
func seconds(s float64) string {
	switch d := math.Abs(s); {
	case d == 0:
		return "0 s"
	case d < .9995e-3:
		return digits(s*1e6) + " µs"
	case d < .9995:
		return digits(s*1e3) + " ms"
	case d < 600:
		return digits(s) + " s"
	case d < 1e9:
		return Duration(math.Round(s))
	}
	return fmt.Sprintf("%.3g s", s)
}

// Duration writes a time in seconds that somebody chose, as it would be typed:
// "6h", "1m30s".
func Duration(s float64) string {
	t := time.Duration(s * float64(time.Second)).String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return t
}

// size writes bytes with three digits and a binary unit.
func size(b float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; math.Abs(b) >= 999.5 && i < len(units)-1; i++ {
		b /= 1024
	}
	return digits(b) + " " + units[i]
}

// percent writes a share.
func percent(share float64) string { return digits(share*100) + " %" }

// digits writes a number with three significant digits, or all of its integer
// part, without an exponent.
func digits(x float64) string {
	a := math.Abs(x)
	switch {
	case a == 0 || a >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= .9995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

// figure writes a metric's value in its unit.
func figure(v float64, unit string) string {
	switch unit {
	case "s":
		return seconds(v)
	case "B":
		return size(v)
	case "1":
		return percent(v)
	case "":
		return digits(v)
	}
	return digits(v) + " " + unit
}

var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// shell quotes a command for a POSIX shell.
func shell(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		if words[i] = a; !plainWord.MatchString(a) {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
