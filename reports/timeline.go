package reports

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Tick is a moment of a run; they are at even distances, but for the last. Sent, done,
// errors and latencies are those since the tick before.
type Tick struct {
	T       float64        `json:"t"`                 // seconds since the start
	Held    int            `json:"held"`              // polls held at that moment
	Asked   int            `json:"asked,omitempty"`   // workers asked for at that moment; absent: as many as the demand has
	Dip     int            `json:"dip,omitempty"`     // by so many fewer were held at some moment since the tick before
	Workers map[string]int `json:"workers,omitempty"` // that have come, by what they do: see Phases
	Sent    int            `json:"sent"`
	Done    int            `json:"done"`
	Errors  int            `json:"errors"`
	Classes map[string]int `json:"classes,omitempty"` // the errors by class
	Latency map[int]int    `json:"latency,omitempty"` // answers, but those to held polls, by LatencyBand
}

// What a worker does.
const (
	PhaseHeld        = "held"        // waits in a poll for the next model
	PhaseDownloading = "downloading" // was notified, and fetches the model
	PhaseThinking    = "thinking"    // makes its update
	PhaseUploading   = "uploading"   // sends it, and waits for the answer
	PhaseJoining     = "joining"     // is on its way to a poll that is held: registers, asks for a challenge
	PhaseRetrying    = "retrying"    // its last request failed, and it waits to send it again
	PhaseDone        = "done"        // with all that it had to do
	PhaseLost        = "lost"        // gave up
)

// Phases are all of them.
var Phases = []string{
	PhaseHeld, PhaseDownloading, PhaseThinking, PhaseUploading, PhaseJoining, PhaseRetrying, PhaseDone, PhaseLost,
}

// A timeline has MaxTicks at most: one that is full goes on with half as many at twice
// the distance, of which FinestStep is the first. A second is one of those distances.
const (
	MaxTicks   = 256
	FinestStep = time.Second / 64
)

// The bands of latency: four to the factor of ten, from 10 µs to 1000 s. Shorter and
// longer ones are in the first and the last.
const (
	minBand = 4
	maxBand = 35
)

// LatencyBand is the band that a latency is in: from 10^(band/4) µs to 10^((band+1)/4) µs.
func LatencyBand(d time.Duration) int {
	us := max(float64(d)/float64(time.Microsecond), 1)
	return min(max(int(math.Floor(4*math.Log10(us)+1e-9)), minBand), maxBand)
}

// BandFrom is the shortest latency of a band.
func BandFrom(band int) time.Duration {
	return time.Duration(math.Pow(10, float64(band)/4) * float64(time.Microsecond))
}

// step is that of the report's timeline, in seconds.
func (r Report) step() float64 {
	if r.Step == 0 {
		return 1
	}
	return r.Step
}

// validStep says whether timelines of such steps add up: each is a power of two.
func validStep(s float64) bool {
	frac, exp := math.Frexp(s)
	return s == 0 || frac == .5 && exp > -6 && exp < 31
}

// shiftTimeline counts a timeline from another start, in whole steps.
func shiftTimeline(ticks []Tick, from, to time.Time, step float64) []Tick {
	by := from.Round(seconds(step)).Sub(to.Round(seconds(step))).Seconds()
	ticks = slices.Clone(ticks)
	for i := range ticks {
		ticks[i].T += by
	}
	return ticks
}

// maxGap is how many ticks what was held is taken to last where ticks are missing; a
// longer gap stays a gap.
const maxGap = 10

// Coarsen puts ticks that are one step apart, or about so, on another that is as long or
// longer: those that fall together add, and what was held lasts over a tick that came
// late.
func Coarsen(ticks []Tick, from, to float64) []Tick {
	var out []Tick
	for _, t := range ticks {
		t.T = max(0, math.Ceil((t.T-from/2)/to)*to)
		if len(out) == 0 {
			out = append(out, t)
			continue
		}
		if last := &out[len(out)-1]; t.T <= last.T {
			*last = followedBy(*last, t)
			continue
		}
		if last := out[len(out)-1]; t.T-last.T <= maxGap*to {
			for at := last.T + to; at < t.T; at += to {
				out = append(out, Tick{T: at, Held: last.Held, Asked: last.Asked, Workers: last.Workers})
			}
		}
		out = append(out, t)
	}
	return out
}

// followedBy is one tick in place of two that follow each other, at the time of the first.
func followedBy(a, b Tick) Tick {
	lowest := min(a.Held-a.Dip, b.Held-b.Dip)
	return Tick{
		T: a.T, Held: b.Held, Asked: b.Asked, Dip: b.Held - lowest, Workers: b.Workers,
		Sent: a.Sent + b.Sent, Done: a.Done + b.Done, Errors: a.Errors + b.Errors,
		Classes: addCounts(a.Classes, b.Classes), Latency: addCounts(a.Latency, b.Latency),
	}
}

// addTimelines adds two timelines of one step, tick by tick.
func addTimelines(a, b []Tick) []Tick {
	sum := union(a, b, func(t Tick) float64 { return t.T }, func(x, y Tick) Tick {
		return Tick{
			T: x.T, Held: x.Held + y.Held, Asked: x.Asked + y.Asked, Dip: x.Dip + y.Dip, Workers: addCounts(x.Workers, y.Workers),
			Sent: x.Sent + y.Sent, Done: x.Done + y.Done, Errors: x.Errors + y.Errors,
			Classes: addCounts(x.Classes, y.Classes), Latency: addCounts(x.Latency, y.Latency),
		}
	})
	sort.Slice(sum, func(i, j int) bool { return sum[i].T < sum[j].T })
	return sum
}

// bound gives a timeline as many ticks as one may have.
func (r *Report) bound() {
	for len(r.Timeline) > MaxTicks {
		r.Timeline, r.Step = Coarsen(r.Timeline, r.step(), 2*r.step()), 2*r.step()
	}
}

func shiftLost(lost []Lost, from, to time.Time) []Lost {
	lost = slices.Clone(lost)
	for i := range lost {
		lost[i].Seconds += from.Sub(to).Seconds()
	}
	return lost
}

func shiftRounds(rounds []Round, from, to time.Time) []Round {
	rounds, by := slices.Clone(rounds), from.Sub(to).Seconds()
	for i := range rounds {
		if p := rounds[i].Passed; p != nil {
			rounds[i].Passed = &Passed{p.Published + by, p.Notified + by, p.Downloaded + by, p.Thought + by, p.Accepted + by}
		}
	}
	return rounds
}

func addPassed(a, b Passed) Passed {
	return Passed{
		Published: min(a.Published, b.Published), Notified: max(a.Notified, b.Notified), Downloaded: max(a.Downloaded, b.Downloaded),
		Thought: max(a.Thought, b.Thought), Accepted: max(a.Accepted, b.Accepted),
	}
}
