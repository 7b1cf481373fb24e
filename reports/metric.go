package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// metric is one figure that a threshold or a comparison may name. Less of it
// is better, but for "held" and "capacity".
type metric struct {
	unit string // "s", "B", "1" (a share or a ratio), "×" (so many times) or "" (a count)
	of   func(Report) (float64, bool)
}

// needs says what a run must do to measure a metric of the gates; every run
// measures the others of them.
var needs = map[string]func(Demand) bool{
	"round.mean": makesRounds, "fanout.mean": makesRounds, "bytesPerWorkerRound": makesRounds,
	"server.cpuPerRound": makesRounds, "server.cpuRatio": makesRounds,
	"server.rssPerWorker": holds, "server.fdsPerWorker": holds,
	"server.rssGrowth": untold, "server.fdsGrowth": untold, "capacity": untold,
}

// untold are the metrics that no demand tells of: of a server that outlives the run, and
// of a search. Where they are not measured nobody misses them.
func untold(Demand) bool { return false }

func makesRounds(d Demand) bool { return d.Rounds > 0 }
func holds(d Demand) bool       { return d.HoldSeconds > 0 }

// metrics are the figures of a report by name. The percentiles of every series
// come on top: "fanout.p99", "poll.max", ….
var metrics = map[string]metric{
	"round": {"s", func(r Report) (float64, bool) { return worst(r.Rounds, func(x Round) float64 { return x.Seconds }) }},
	"fanout": {"s", func(r Report) (float64, bool) {
		return worst(r.Rounds, func(x Round) float64 { return x.FanoutSeconds })
	}},
	"round.mean": {"s", func(r Report) (float64, bool) { return mean(r.Rounds, func(x Round) float64 { return x.Seconds }) }},
	"fanout.mean": {"s", func(r Report) (float64, bool) {
		return mean(r.Rounds, func(x Round) float64 { return x.FanoutSeconds })
	}},
	"errors": {"1", errorShare},
	"lost":   {"", func(r Report) (float64, bool) { return float64(len(r.Lost)), r.measured() }},
	"held": {"", func(r Report) (float64, bool) {
		if r.Held == nil || r.Held.HoldSeconds == 0 {
			return 0, false // nothing was to be held steadily
		}
		return float64(r.Held.Steady), true
	}},
	"server.rss": {"B", resource("server", func(x Resource) float64 { return float64(x.RSSPeakBytes) })},
	"server.cpu": {"s", resource("server", func(x Resource) float64 { return x.CPUSeconds })},
	"server.cpuPerRound": {"s", func(r Report) (float64, bool) {
		cpu, ok := resource("server", func(x Resource) float64 { return x.CPUSeconds })(r)
		return cpu / float64(max(len(r.Rounds), 1)), ok && len(r.Rounds) > 0
	}},
	// The machine's pace, which its other tenants change, is in both and cancels
	// out. It tells of the server as long as the generator stays the same.
	"server.cpuRatio": {"1", func(r Report) (float64, bool) {
		server, ok := resource("server", func(x Resource) float64 { return x.CPUSeconds })(r)
		var generators float64
		for _, x := range r.Resources {
			if x.Process == "generator" {
				generators += x.CPUSeconds
			}
		}
		if !ok || len(r.Rounds) == 0 || generators <= 0 {
			return 0, false
		}
		return server / generators, true
	}},
	"bytesPerWorkerRound": {"B", func(r Report) (float64, bool) {
		var updates int
		for _, x := range r.Rounds {
			updates += x.Workers
		}
		if r.Bytes == nil || updates == 0 {
			return 0, false
		}
		return float64(r.Bytes.Sent+r.Bytes.Received) / float64(updates), true
	}},
	"server.rssGrowth": {"1", perWorker("server", func(x Resource) *float64 { return x.RSSGrowth })},
	"server.fdsGrowth": {"", perWorker("server", func(x Resource) *float64 { return x.FDsGrowth })},
	"capacity": {"", func(r Report) (float64, bool) {
		if r.Capacity == nil || r.Kind != KindCapacity || r.Verdict == VerdictRefused {
			return 0, false
		}
		return float64(r.Capacity.Workers), true
	}},
	"hostile.through": {"", hostile(func(k HostileKind) int { return k.Through })},
	"hostile.held":    {"", hostile(func(k HostileKind) int { return k.Held })},
	"hostile.broken":  {"", hostile(func(k HostileKind) int { return k.Broken })},
	"slow.ended":      {"", slow(func(r Report) float64 { return float64(r.Scenario.Slow.Sum().Ended) })},
	"slow.open":       {"", slow(func(r Report) float64 { return float64(r.Scenario.Slow.Sum().Open) })},
	"honestErrors":    {"", slow(func(r Report) float64 { return float64(failedRequests(r)) })},
	"slowdown": {"×", func(r Report) (float64, bool) {
		if r.Scenario == nil || r.Scenario.Cost == nil {
			return 0, false
		}
		return r.Scenario.Cost.Ratio()
	}},
	"unserved":               {"", unserved},
	"ghosts.peak":            {"", churn(func(c *Churn) (int, bool) { return c.GhostsPeak, true })},
	"ghosts.doubled":         {"", churn(func(c *Churn) (int, bool) { return c.Doubled, true })},
	"ghosts.open":            {"", churn(func(c *Churn) (int, bool) { return c.Open, true })},
	"server.fdsOfGhosts":     {"", churn((*Churn).FDsKept)},
	"abandoned.unheard":      {"", abandon(func(a *Abandon) (float64, bool) { return float64(a.Unheard), true })},
	"server.fdsPerAbandoned": {"", abandon((*Abandon).Growth)},
	"cut":                    {"", drilled(func(d *Drill) float64 { return float64(d.Cut) })},
	"texts":                  {"", drilled(func(d *Drill) float64 { return float64(d.Text) })},
	"serverErrors":           {"", drilled(func(d *Drill) float64 { return float64(d.ServerErrors) })},
	"failures":               {"", drilled(failures)},
	"away":                   {"", drilled(func(d *Drill) float64 { return float64(d.Away) })},
	"ended":                  {"", drilled(func(d *Drill) float64 { return float64(d.Ended) })},
	"connects.peak":          {"/s", drilled(func(d *Drill) float64 { return float64(d.ConnectsPeak) })},
	"connections.peak":       {"", drilled(func(d *Drill) float64 { return float64(d.Connections) })},
	"requestsPerLost": {"", func(r Report) (float64, bool) {
		if r.Drill == nil {
			return 0, false
		}
		lost := r.Drill.Cut + r.Drill.Text + r.Drill.ServerErrors
		return float64(r.Drill.Requests) / float64(max(lost, 1)), true
	}},
	"modelsMissed":        {"", drilled(func(d *Drill) float64 { return float64(d.ModelsMissed) })},
	"updatesLost":         {"", judged(func(d *Drill) float64 { return float64(d.UpdatesLost) })},
	"updatesTwice":        {"", judged(func(d *Drill) float64 { return float64(d.UpdatesTwice) })},
	"recovered.p50":       {"s", recovered(.5)},
	"recovered.p90":       {"s", recovered(.9)},
	"recovered.p99":       {"s", recovered(.99)},
	"recovered.max":       {"s", recovered(1)},
	"server.fds":          {"", resource("server", func(x Resource) float64 { return float64(x.FDsPeak) })},
	"server.rssPerWorker": {"B", perWorker("server", func(x Resource) *float64 { return x.RSSPerWorkerBytes })},
	"server.fdsPerWorker": {"", perWorker("server", func(x Resource) *float64 { return x.FDsPerWorker })},
}

// percentiles of a series by their suffix.
var percentiles = map[string]func(Series) float64{
	"p50":  func(s Series) float64 { return s.P50 },
	"p90":  func(s Series) float64 { return s.P90 },
	"p99":  func(s Series) float64 { return s.P99 },
	"p999": func(s Series) float64 { return s.P999 },
	"max":  func(s Series) float64 { return s.Max },
}

// The series whose percentiles a metric may name, and what they are called.
var metricSeries = map[string]string{
	"fanout":   "wakeup", // a worker's wake-up is its part of the fan-out
	"register": "register", "challenge": "challenge", "poll": "poll", "model": "model", "update": "update",
	"lag": "lag",
}

// metricList says in words what MetricNames lists.
func metricList() string {
	return fmt.Sprintf("%s, and .%s of %s", strings.Join(slices.Sorted(maps.Keys(metrics)), ", "),
		strings.Join(slices.Sorted(maps.Keys(percentiles)), ", ."), list(slices.Sorted(maps.Keys(metricSeries)), len(metricSeries)))
}

// MetricNames are the names that Metric knows, sorted.
func MetricNames() []string {
	names := slices.Collect(maps.Keys(metrics))
	for s := range metricSeries {
		for p := range percentiles {
			names = append(names, s+"."+p)
		}
	}
	slices.Sort(names)
	return names
}

// Metric is the figure of that name in a report and its unit ("s", "B", "1" of
// a share, "×" of so many times, "" of a count). It is absent (false) where nothing was measured;
// the error is an unknown name.
func (r Report) Metric(name string) (value float64, unit string, ok bool, err error) {
	if m, known := metrics[name]; known {
		value, ok = m.of(r)
		return value, m.unit, ok, nil
	}
	prefix, suffix, _ := strings.Cut(name, ".")
	of, series := percentiles[suffix], metricSeries[prefix]
	if of == nil || series == "" {
		return 0, "", false, fmt.Errorf("unknown metric %q", name)
	}
	for _, s := range r.Series {
		if s.Name == series && s.Count > 0 {
			return of(s), s.Unit, true, nil
		}
	}
	return 0, "s", false, nil
}

// ended are the rounds that have a length: one that nobody saw the end of has none.
func ended(rounds []Round) []Round {
	return slices.DeleteFunc(slices.Clone(rounds), func(x Round) bool { return x.Open })
}

func worst(rounds []Round, of func(Round) float64) (float64, bool) {
	var w float64
	rounds = ended(rounds)
	for _, x := range rounds {
		w = max(w, of(x))
	}
	return w, len(rounds) > 0
}

func mean(rounds []Round, of func(Round) float64) (float64, bool) {
	var sum float64
	rounds = ended(rounds)
	for _, x := range rounds {
		sum += of(x)
	}
	return sum / float64(max(len(rounds), 1)), len(rounds) > 0
}

// ClassReconnect is the class of requests that met the end of their idle
// connection and were sent again: no errors, and counted apart.
const ClassReconnect = "reconnect"

// errorShare is the share of all requests that failed.
func errorShare(r Report) (float64, bool) {
	var sent int
	for _, t := range r.Timeline {
		sent += t.Sent
	}
	if sent == 0 {
		return 0, false
	}
	return float64(failedRequests(r)) / float64(sent), true
}

// failedRequests leaves out those that were sent again over a new connection.
func failedRequests(r Report) (failed int) {
	for _, e := range r.Errors {
		if e.Class != ClassReconnect {
			failed += e.Count
		}
	}
	return failed
}

func resource(process string, of func(Resource) float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		for _, x := range r.Resources {
			if x.Process == process {
				return of(x), true
			}
		}
		return 0, false
	}
}

func perWorker(process string, of func(Resource) *float64) func(Report) (float64, bool) {
	return func(r Report) (float64, bool) {
		for _, x := range r.Resources {
			if v := of(x); x.Process == process && v != nil {
				return *v, true
			}
		}
		return 0, false
	}
}
