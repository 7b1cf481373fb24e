package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Gate is the metrics that decide a comparison, by name.
type Gate map[string]Limit

// Limit is how much worse a metric of the gate may get before that counts.
type Limit struct {
	Share    float64 // of the base; of an absolute metric a difference in its unit
	Required bool    // not to have measured it is no verdict, whatever the runs do
}

// limits of all metrics that a gate may have.
var limits = map[string]float64{
	"round.mean":          .10,
	"fanout.mean":         .10,
	"bytesPerWorkerRound": .02,
	"server.cpuPerRound":  .05,
	"server.cpuRatio":     .05,
	"server.rssPerWorker": .10, // of one build it varies by several percent from run to run
	"server.fdsPerWorker": .05,
	"errors":              .001,
	"server.rssGrowth":    .05,
	"server.fdsGrowth":    5,
	"capacity":            .05,
}

// absolute are the metrics of a gate that are compared by difference: of next to
// nothing every change is large.
var absolute = map[string]bool{"errors": true, "server.rssGrowth": true, "server.fdsGrowth": true}

// ByDifference says whether changes of a metric are differences in its unit, not
// shares.
func ByDifference(metric string) bool { return absolute[metric] }

// MoreIsBetter says of which metrics more is better; of all others less is.
func MoreIsBetter(metric string) bool { return metric == "held" || metric == "capacity" }

// shorthands are the names that people use for the metrics of a gate.
var shorthands = map[string]string{
	"round": "round.mean", "fanout": "fanout.mean", "bytes": "bytesPerWorkerRound",
	"server.cpu": "server.cpuPerRound", "server.rss": "server.rssPerWorker", "server.fds": "server.fdsPerWorker",
}

// DefaultGate has the metrics that decide between runs made on a quiet machine.
func DefaultGate() Gate {
	g := AllGate()
	delete(g, "server.cpuRatio") // says no more where the machine is quiet, and less where the generator changed
	return g
}

// QuietGate has the metrics that decide between runs made at other times on a machine
// whose other tenants change: no wall time, and the server's CPU time beside the
// generator's.
func QuietGate() Gate {
	g := AllGate()
	for _, name := range []string{"round.mean", "fanout.mean", "server.cpuPerRound"} {
		delete(g, name)
	}
	return g
}

// InTurnGate has the metrics that decide between runs of both sides made in turn on one
// machine: it changes its pace for both alike, so the server's CPU time needs no other
// beside it, and varies less from run to run than its ratio to the generator's.
func InTurnGate() Gate {
	g := QuietGate()
	delete(g, "server.cpuRatio")
	g["server.cpuPerRound"] = Limit{Share: limits["server.cpuPerRound"]}
	return g
}

// AllGate has every metric that a gate may have, with its default limit.
func AllGate() Gate {
	g := Gate{}
	for name, share := range limits {
		g[name] = Limit{Share: share}
	}
	return g
}

// GateOf gives the gate of just these metrics, all required.
func GateOf(names []string) (Gate, error) {
	only := Gate{}
	for _, name := range names {
		full, err := gateName(name)
		if err != nil {
			return nil, err
		}
		only[full] = Limit{Share: limits[full], Required: true}
	}
	return only, nil
}

// SetLimit sets a limit, "round=10%" or "errors=0.1%". The metric is then in
// the gate, and required.
func (g Gate) SetLimit(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("limit %q: want METRIC=SHARE, such as round=10%%", s)
	}
	full, err := gateName(name)
	if err != nil {
		return fmt.Errorf("limit %q: %w", s, err)
	}
	// The grammar of a share is that of a threshold's.
	t, err := ParseThreshold("errors<" + value)
	if err != nil {
		return fmt.Errorf("limit %q: %q is no share, such as 10%%", s, value)
	}
	if bare := !strings.HasSuffix(value, "%"); bare && t.Limit >= 1 && full != "server.fdsGrowth" {
		return fmt.Errorf("limit %q: that is %.0f %%; write %s=%s%% for a share", s, 100*t.Limit, name, value)
	}
	g[full] = Limit{Share: t.Limit, Required: true}
	return nil
}

func gateName(name string) (string, error) {
	if full, short := shorthands[name]; short {
		name = full
	}
	if _, known := limits[name]; !known {
		return "", fmt.Errorf("no comparison is decided by %q; want %s", name, strings.Join(slices.Sorted(maps.Keys(limits)), ", "))
	}
	return name, nil
}
