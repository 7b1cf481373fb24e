package reports

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Sizing is what a measured server needs to carry more workers than it holds: in
// replicas, and for each of them.
type Sizing struct {
	Workers     int      `json:"workers"`               // to carry
	Spare       int      `json:"spare"`                 // replicas that may be gone meanwhile
	Needed      int      `json:"needed"`                // replicas without the spare ones
	Each        int      `json:"each"`                  // workers that one holds, as measured
	AtLeast     bool     `json:"atLeast,omitempty"`     // the generator was the limit: one may hold more, and fewer do
	SharedState bool     `json:"sharedState,omitempty"` // as the user states: any replica serves any worker
	Figures     []Figure `json:"figures"`
	Unknown     []string `json:"unknown,omitempty"` // what can't be told, and why
	Notes       []string `json:"notes,omitempty"`
}

// Figure is one number to deploy with.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`  // "B", "s"
	Bound string  `json:"bound,omitempty"` // "at least" or "at most"; "": neither
	Rests string  `json:"rests"`           // on what
}

// The names of the figures.
const (
	FigureReplicas      = "replicas"
	FigureMemoryRequest = "memory request"
	FigureMemoryLimit   = "memory limit"
	FigureDescriptors   = "descriptors"
	FigureGrace         = "grace period"
	FigureSurge         = "surge of workers"
	FigureScaleAt       = "scale at"
)

// Figure finds a figure by its name; false where it is not known.
func (s Sizing) Figure(name string) (Figure, bool) {
	i := slices.IndexFunc(s.Figures, func(f Figure) bool { return f.Name == name })
	if i < 0 {
		return Figure{}, false
	}
	return s.Figures[i], true
}

// SizingFor says what is to be carried.
type SizingFor struct {
	Workers      int     // at least 1
	Spare        int     // replicas, 0 or more
	SharedState  bool    // see Sizing
	DrainSeconds float64 // that the server takes to end by itself, where that is known; 0: not known
}

// Size tells from the report of a search for capacity what is needed. Its error says
// why the report tells nothing.
func Size(r Report, need SizingFor) (*Sizing, error) {
	switch {
	case r.Kind != KindCapacity || r.Capacity == nil:
		return nil, errors.New("it is no report of a measured capacity")
	case r.Capacity.Workers < 1:
		return nil, errors.New("no level held, so nothing can be planned")
	case need.Workers < 1 || need.Spare < 0:
		return nil, fmt.Errorf("%d workers with %d spare", need.Workers, need.Spare)
	}
	each := r.Capacity.Workers
	s := &Sizing{Workers: need.Workers, Spare: need.Spare, Each: each, AtLeast: r.Capacity.AtLeast, SharedState: need.SharedState}
	s.Needed = (need.Workers + each - 1) / each
	s.replicas()
	s.memory(r)
	s.descriptors(r)
	s.grace(r, need.DrainSeconds)
	s.surge()
	s.notes()
	return s, nil
}

func (s *Sizing) add(name string, value float64, unit, bound, rests string) {
	s.Figures = append(s.Figures, Figure{Name: name, Value: value, Unit: unit, Bound: bound, Rests: rests})
}

func (s *Sizing) replicas() {
	measured, bound := fmt.Sprintf("%d workers a replica, measured", s.Each), ""
	if s.AtLeast {
		measured, bound = fmt.Sprintf("at least %d workers a replica: more were not tried, or the generator was the limit", s.Each), "at most"
	}
	s.add(FigureReplicas, float64(s.Needed+s.Spare), "", bound, fmt.Sprintf("%d for %d workers and %d spare; %s", s.Needed, s.Workers, s.Spare, measured))
}

// usage is what a server used with so many workers, by the line through the levels, or
// as that level measured it; perWorker is 0 where no line tells.
func usage(r Report, of string, level func(Resource) float64, workers int) (peak, perWorker float64, rests string, ok bool) {
	for _, s := range r.Slopes {
		if s.Of != of || s.PerWorker <= 0 {
			continue
		}
		value, _, high := s.At(workers)
		perWorker, peak = s.PerWorker, value
		rests = fmt.Sprintf("the line through %d sizes at %d workers", s.Sizes(), workers)
		if high != nil {
			peak, rests = *high, rests+", the upper end of its 95 % interval"
		}
		if most := slices.Max(s.Workers); float64(workers) > most {
			rests += fmt.Sprintf(", %.1f times beyond the last", float64(workers)/most)
		}
		return peak, perWorker, rests, true
	}
	for _, l := range r.Levels {
		if l.Workers != workers || l.Verdict == VerdictFail || l.Verdict == VerdictRefused {
			continue
		}
		for _, x := range l.Resources {
			if x.Process == "server" && level(x) > peak {
				peak = level(x)
			}
		}
	}
	return peak, 0, fmt.Sprintf("the peak at %d workers", workers), peak > 0
}

const twice = "and all workers once more, come again while their old polls are still held"

func (s *Sizing) memory(r Report) {
	peak, perWorker, rests, ok := usage(r, "server.rss", func(x Resource) float64 { return float64(x.RSSPeakBytes) }, s.Each)
	if !ok {
		s.Unknown = append(s.Unknown, "memory: the server's process was not measured (--server-pid, --server-command)")
		return
	}
	request, limit := megabytes(peak), megabytes(peak+perWorker*float64(s.Each))
	if perWorker == 0 {
		limit = megabytes(2 * peak)
	}
	s.add(FigureMemoryRequest, request, "B", "", rests)
	s.add(FigureMemoryLimit, limit, "B", "", "the request, "+twice)
}

// megabytes rounds up to whole MiB.
func megabytes(b float64) float64 { return math.Ceil(b/(1<<20)) * (1 << 20) }

func (s *Sizing) descriptors(r Report) {
	peak, perWorker, rests, ok := usage(r, "server.fds", func(x Resource) float64 { return float64(max(x.FDsPeak, x.FDsFullest)) }, s.Each)
	if !ok {
		s.Unknown = append(s.Unknown, "descriptors: the server's process was not measured (--server-pid, --server-command)")
		return
	}
	most := peak + perWorker*float64(s.Each)
	if perWorker == 0 {
		most = 2 * peak
	}
	s.add(FigureDescriptors, math.Ceil(most), "", "at least", rests+", "+twice)
}

func (s *Sizing) grace(r Report, drain float64) {
	const margin = 5
	if drain > 0 {
		s.add(FigureGrace, math.Ceil(drain)+margin, "s", "at least", fmt.Sprintf("the server ends by itself within %g s (--drain-timeout), and %d s more", drain, margin))
		return
	}
	slowest := 0.
	for _, l := range r.Levels {
		for _, x := range l.Rounds {
			if l.Workers <= s.Each && !x.Open {
				slowest = max(slowest, x.Seconds)
			}
		}
	}
	if slowest == 0 {
		s.Unknown = append(s.Unknown, "grace period: no round was measured, and how long the server takes to end is not known (--rounds-per-level)")
		return
	}
	s.add(FigureGrace, math.Ceil(slowest)+margin, "s", "at least", fmt.Sprintf("the slowest round took %.1f s, in which models and updates are on their way, and %d s more", slowest, margin))
}

func (s *Sizing) surge() {
	share := (s.Workers + s.Needed - 1) / s.Needed
	s.add(FigureSurge, float64(share), "", "", "that come again at once when a node with one replica is drained: an even share of all")
	if s.Spare > 0 {
		all := s.Needed + s.Spare
		s.add(FigureScaleAt, float64((s.Workers+all-1)/all), "", "", fmt.Sprintf("held polls a replica: %d workers on all %d replicas", s.Workers, all))
	}
}

func (s *Sizing) notes() {
	if s.SharedState {
		s.Notes = append(s.Notes, "that any replica serves any worker is your word (--shared-state): dc_federated and fltool serve keep registrations, rounds and the model in one process")
		if s.Spare == 0 {
			s.Notes = append(s.Notes, "without a spare replica the workers of one that is gone have no place")
		}
		return
	}
	if s.Needed+s.Spare == 1 {
		s.Notes = append(s.Notes, "one replica: its workers wait until it is back, and without a state on disk it has forgotten them")
		return
	}
	s.Notes = append(s.Notes,
		fmt.Sprintf("each replica is a federation of its own, with its own model, rounds and registrations: these are %d federations of up to %d workers, not one of %d", s.Needed, s.Each, s.Workers),
		"a worker has to reach the same replica always: give each federation an address of its own; another replica answers it with Unregistered Worker or Invalid Worker",
		"a spare replica takes new workers, and none of another's: a replica that is gone comes back with its state (fltool serve --state), or its workers register anew, which those of dc_federated do only when they are started again",
		"for one federation of all workers the server itself has to hold them: --plan tells what that would take")
}
