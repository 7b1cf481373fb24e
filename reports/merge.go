package reports

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
)

// clockSkew is how far the starts of shards may lie apart before the report
// says so: the timeline is out by as much.
const clockSkew = 5 * time.Second

// MergeError says why reports don't add up to one run. Of counts, from 0, the
// reports concerned, so that a caller who knows their files can name them.
type MergeError struct {
	Reason string
	Of     []int
}

func (e *MergeError) Error() string { return e.Reason }

func mergeError(of []int, format string, a ...any) error {
	return &MergeError{Reason: fmt.Sprintf(format, a...), Of: of}
}

// Merge adds the shards of one run up to the report of the whole. All shards
// must be there once, with the same demand and target; a single report that is
// no shard stays as it is. The order of the reports does not matter.
//
// What adds up exactly: counts, histograms, bytes, errors and the workers they
// hit (no two shards drive the same worker), lost workers. Beyond that:
//
//   - Held: asked, steady and peak add. The hold is as long as all shards held at
//     once, and refused where they never did. Meanwhile the steady sum is a safe
//     bound (fewest held at any moment); the peak sum is reached only if the shards
//     peaked at the same moment, which the timeline shows to its step.
//   - Stages: counts add. One begins with the first shard's and is over with the last's, and
//     is refused where they never held it at once.
//   - Drill and scenario: counts add, peaks too; a share of all was held again when the
//     slowest shard had it.
//   - Rounds, by model version: workers, failed and told add. Seconds and
//     fan-out are the longest of any shard: a round ends with its last worker
//     anywhere. Where a start is a shard's own view (the first round, fan-out
//     from "client"), the earliest start is unknown, and so is what it adds.
//   - Timeline: by the longest step of any shard, each shifted by its start.
//   - Resources: a server seen by several shards counts once, with the larger
//     figures, and without its slope per worker, since each shard put it down
//     to its own workers alone. Generators are listed, by host.
//   - Generator: the worst of all; reconnects add.
//   - Thresholds are judged anew, on the whole.
//   - Verdict: the worst. Reasons name their shards. Starts far apart or a round
//     that a shard did not see warn; shards of which nothing shows that they
//     ran at the same time are refused.
func Merge(rs []Report) (Report, error) {
	if len(rs) == 0 {
		return Report{}, errors.New("no report to merge")
	}
	if len(rs) == 1 && rs[0].Shard == nil {
		return rs[0], nil
	}
	if err := checkShards(rs); err != nil {
		return Report{}, err
	}
	rs = slices.Clone(rs)
	sort.Slice(rs, func(i, j int) bool { return rs[i].Shard.Index < rs[j].Shard.Index })

	sum, err := addUp(rs)
	if err != nil {
		return Report{}, err
	}
	if from, to, held := heldTogether(rs); held {
		all := *sum.Held
		all.HoldSeconds = max(0, to.Sub(from).Seconds())
		sum.Held = &all
	}
	sum.Reasons = nil
	concerns, verdict := compareShards(rs, sum)
	sum.Verdict = Worse(sum.Verdict, verdict)
	for i, t := range sum.Thresholds {
		t, err := t.Judge(sum)
		if err != nil {
			return Report{}, err
		}
		sum.Thresholds[i] = t
		if !t.Pass {
			sum.Verdict = Worse(sum.Verdict, sum.missing())
			sum.Reasons = append(sum.Reasons, "the whole run "+t.Missed())
		}
	}
	sum.Reasons = append(sum.Reasons, shardReasons(rs)...)
	if verdict == VerdictRefused {
		sum.Reasons = append(concerns, sum.Reasons...)
	} else {
		sum.Reasons = append(sum.Reasons, concerns...)
	}
	return sum, nil
}

// SoFar adds up what the shards of a run have seen of it so far, one of each, and judges
// nothing. The timeline ends where the first of them does.
func SoFar(rs []Report) (Report, error) {
	sum, err := addUp(rs)
	if err != nil {
		return Report{}, err
	}
	for _, r := range rs {
		ticks := shiftTimeline(r.Timeline, r.Env.start(), sum.Env.start(), sum.step())
		last := 0.
		if n := len(ticks); n > 0 {
			last = ticks[n-1].T
		}
		sum.Timeline = slices.DeleteFunc(sum.Timeline, func(t Tick) bool { return t.T >= last+sum.step() })
	}
	return sum, nil
}

// addUp is the sum of all, in their order.
func addUp(rs []Report) (Report, error) {
	step := slices.MaxFunc(rs, func(a, b Report) int { return cmp.Compare(a.step(), b.step()) }).step()
	sum := part(rs[0], step)
	for _, r := range rs[1:] {
		var err error
		if sum, err = add(sum, part(r, step)); err != nil {
			return Report{}, err
		}
	}
	sum.bound()
	return sum, nil
}

// list writes at most n of the words out.
func list(words []string, n int) string {
	switch {
	case len(words) > n:
		return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
	case len(words) > 1:
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	}
	return strings.Join(words, "")
}

// part is a shard as a merged report of one, whose timeline has such steps, so that add
// takes two of a kind. It shares nothing that add changes.
func part(r Report, step float64) Report {
	r.Shard = nil
	r.Shards = []Env{r.Env}
	r.Env.Command = nil // each shard has its own
	r.Series = slices.Clone(r.Series)
	for i, s := range r.Series {
		var h Histogram
		h.Add(s.Histogram)
		r.Series[i].Histogram = h
	}
	r.Resources = slices.Clone(r.Resources)
	for i, x := range r.Resources {
		if x.Host == "" {
			x.Host = r.Env.Hostname
		}
		if x.Process == "server" {
			x.RSSPerWorkerBytes, x.FDsPerWorker = nil, nil
		}
		r.Resources[i] = x
	}
	r.Timeline, r.Step = Coarsen(r.Timeline, r.step(), step), step
	r.Thresholds = slices.Clone(r.Thresholds)
	return r
}

// add is the sum of two parts of a run, in their order. It is associative, but
// for the rounding of the seconds by which lost workers are shifted.
func add(a, b Report) (Report, error) {
	sum := a
	sum.Env = addEnv(a.Env, b.Env)
	sum.Shards = slices.Concat(a.Shards, b.Shards)
	sum.Verdict = Worse(a.Verdict, b.Verdict)
	start := sum.Env.start()

	sum.Held = merged(a.Held, b.Held, addHeld)
	sum.Stages = addStages(shiftStages(a.Stages, a.Env.start(), start), shiftStages(b.Stages, b.Env.start(), start))
	sum.Scenario = merged(a.Scenario, b.Scenario, addScenario)
	sum.Drill = merged(shiftDrill(a.Drill, a.Env.start(), start), shiftDrill(b.Drill, b.Env.start(), start), addDrill)
	sum.Rounds = union(shiftRounds(a.Rounds, a.Env.start(), start), shiftRounds(b.Rounds, b.Env.start(), start), roundKey, addRound)
	sort.SliceStable(sum.Rounds, func(i, j int) bool { return sum.Rounds[i].Number < sum.Rounds[j].Number })
	for _, s := range slices.Concat(a.Series, b.Series) {
		if s.Count > 0 && s.Histogram.Count() != s.Count {
			return Report{}, fmt.Errorf("series %q has no histogram, so it does not add up", s.Name)
		}
	}
	sum.Series = union(a.Series, b.Series, func(s Series) string { return s.Name }, addSeries)
	sum.Timeline = addTimelines(
		shiftTimeline(a.Timeline, a.Env.start(), start, a.step()), shiftTimeline(b.Timeline, b.Env.start(), start, b.step()))
	sum.Errors = union(a.Errors, b.Errors, func(e ErrorClass) string { return e.Class }, addErrors)
	sum.Lost = slices.Concat(shiftLost(a.Lost, a.Env.start(), start), shiftLost(b.Lost, b.Env.start(), start))
	sort.SliceStable(sum.Lost, func(i, j int) bool { return sum.Lost[i].Seconds < sum.Lost[j].Seconds })
	sum.Bytes = merged(a.Bytes, b.Bytes, func(a, b Bytes) Bytes {
		return Bytes{Sent: a.Sent + b.Sent, Received: a.Received + b.Received}
	})
	sum.Resources = addResources(a.Resources, b.Resources)
	sum.Generator = merged(a.Generator, b.Generator, addGenerator)
	return sum, nil
}

// merged adds two values of which either may be absent.
func merged[T any](a, b *T, add func(a, b T) T) *T {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := add(*a, *b)
	return &s
}

// union adds the values of equal keys and keeps the others, in the order in
// which keys first appear.
func union[T any, K comparable](a, b []T, key func(T) K, add func(a, b T) T) []T {
	var sum []T
	at := map[K]int{}
	for _, v := range slices.Concat(a, b) {
		if i, ok := at[key(v)]; ok {
			sum[i] = add(sum[i], v)
			continue
		}
		at[key(v)] = len(sum)
		sum = append(sum, v)
	}
	return sum
}

// start is zero where the start is not told; checkShards sees to that.
func (e Env) start() time.Time {
	t, _ := e.started()
	return t
}

func addEnv(a, b Env) Env {
	sa, sb := a.start(), b.start()
	start, end := sa, sa.Add(seconds(a.Seconds))
	if sb.Before(start) {
		start = sb
	}
	if e := sb.Add(seconds(b.Seconds)); e.After(end) {
		end = e
	}
	return Env{
		Tool:     common(a.Tool, b.Tool),
		Target:   common(a.Target, b.Target),
		Started:  start.UTC().Format(time.RFC3339Nano),
		Seconds:  end.Sub(start).Seconds(),
		Hostname: common(a.Hostname, b.Hostname),
		Kernel:   common(a.Kernel, b.Kernel),
		CPU:      common(a.CPU, b.CPU),
		CPUs:     common(a.CPUs, b.CPUs),
		Go:       common(a.Go, b.Go),
		Seed:     common(a.Seed, b.Seed),
	}
}

// common is what both say, or nothing.
func common[T comparable](a, b T) T {
	if a != b {
		var none T
		return none
	}
	return a
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func addHeld(a, b Held) Held {
	a.Asked += b.Asked
	a.Peak += b.Peak
	a.Steady += b.Steady
	a.NeverHeld += b.NeverHeld
	a.LostWhile += b.LostWhile
	a.RepollsAsked += b.RepollsAsked
	a.Places = addPlaces(a.Places, a.Asked-b.Asked, b.Places, b.Asked)
	a.Kept += b.Kept
	a.Unfreed += b.Unfreed
	a.NeverCauses = addCounts(a.NeverCauses, b.NeverCauses)
	a.LostCauses = addCounts(a.LostCauses, b.LostCauses)
	a.HoldSeconds = min(a.HoldSeconds, b.HoldSeconds) // that long, all held
	return a
}

// addPlaces adds the places that a server had for the workers that each asked for, where it
// met a limit: all of a shard that met none had one.
func addPlaces(a, ofA, b, ofB int) int {
	if a+b == 0 {
		return 0
	}
	return cmp.Or(a, ofA) + cmp.Or(b, ofB)
}

func addCounts[K comparable](a, b map[K]int) map[K]int {
	if len(a) == 0 {
		return b
	}
	sum := maps.Clone(a)
	for class, n := range b {
		sum[class] += n
	}
	return sum
}

// roundKey is the version that a round started from: shards that joined late
// count rounds differently.
func roundKey(r Round) string {
	if r.Version == "" {
		return fmt.Sprintf("round %d", r.Number)
	}
	return r.Version
}

func addRound(a, b Round) Round {
	a.Number = max(a.Number, b.Number)
	a.Workers += b.Workers
	a.Late += b.Late
	a.Failed += b.Failed
	a.Told += b.Told
	a.Open = a.Open && b.Open
	a.Seconds = max(a.Seconds, b.Seconds)
	a.FanoutSeconds = max(a.FanoutSeconds, b.FanoutSeconds)
	if a.FanoutFrom != b.FanoutFrom {
		a.FanoutFrom = "client" // the weaker evidence
	}
	a.Passed = merged(a.Passed, b.Passed, addPassed)
	return a
}

func addSeries(a, b Series) Series {
	var h Histogram
	h.Add(a.Histogram)
	h.Add(b.Histogram)
	return h.Series(a.Name)
}

func addErrors(a, b ErrorClass) ErrorClass {
	a.Count += b.Count
	a.Workers += b.Workers
	if a.Example == "" {
		a.Example = b.Example
	}
	return a
}

func addResources(a, b []Resource) []Resource {
	sum := slices.Clone(a)
	for _, x := range b {
		i := slices.IndexFunc(sum, func(y Resource) bool {
			return x.Process == "server" && y.Process == "server" && x.Host == y.Host && x.PID == y.PID
		})
		if i < 0 {
			sum = append(sum, x)
			continue
		}
		sum[i].RSSPeakBytes = max(sum[i].RSSPeakBytes, x.RSSPeakBytes)
		sum[i].CPUSeconds = max(sum[i].CPUSeconds, x.CPUSeconds)
		sum[i].CPUPeak = max(sum[i].CPUPeak, x.CPUPeak)
		sum[i].FDsPeak = max(sum[i].FDsPeak, x.FDsPeak)
		sum[i].FDsFullest = max(sum[i].FDsFullest, x.FDsFullest)
	}
	return sum
}

func addGenerator(a, b Generator) Generator {
	refused := a.Refused
	if refused == "" {
		refused = b.Refused
	}
	return Generator{
		LagP50Seconds:      max(a.LagP50Seconds, b.LagP50Seconds),
		LagP99Seconds:      max(a.LagP99Seconds, b.LagP99Seconds),
		LagMaxSeconds:      max(a.LagMaxSeconds, b.LagMaxSeconds),
		SpareLagP99Seconds: max(a.SpareLagP99Seconds, b.SpareLagP99Seconds),
		Slowed:             cmp.Or(a.Slowed, b.Slowed),
		CPUShare:           max(a.CPUShare, b.CPUShare),
		GCPauseSeconds:     max(a.GCPauseSeconds, b.GCPauseSeconds),
		GCCPUShare:         max(a.GCCPUShare, b.GCCPUShare),
		OthersCPUShare:     max(a.OthersCPUShare, b.OthersCPUShare),
		StolenCPUShare:     max(a.StolenCPUShare, b.StolenCPUShare),
		FDsLeft:            min(a.FDsLeft, b.FDsLeft), // -1, unknown, wins
		PortsLeft:          min(a.PortsLeft, b.PortsLeft),
		Reconnects:         a.Reconnects + b.Reconnects,
		Refused:            refused,
	}
}
