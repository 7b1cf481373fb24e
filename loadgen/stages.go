package loadgen

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ArrivalEvery is the time between two arrivals where nobody says how fast workers come: a
// fleet that comes as fast as it can is a storm, and what it leaves behind in memory is not
// what holding costs.
const ArrivalEvery = time.Millisecond

// Stage is a load for a time: how many workers are held. The workers of the stage before
// stay, more come or the surplus leaves.
type Stage struct {
	Shape   string        // one of StageShapes
	For     time.Duration // of each part of it, from when all are held; of a ramp, in which the number gets there
	numbers map[string]float64
}

// The shapes of a stage.
const (
	ShapeHold  = "hold"  // so many
	ShapeRamp  = "ramp"  // evenly to so many
	ShapeSpike = "spike" // so many, who come as fast as they can
	ShapeSteps = "steps" // from so many to so many, by so many
	ShapeWave  = "wave"  // from so many to so many and back, so many times
	ShapeChurn = "churn" // so many, of whom some leave each second and come back
)

// stageShape is what there is to say of a shape beforehand. What is given without a name is
// its workers.
type stageShape struct {
	name    string
	numbers []number
	levels  func(of map[string]float64) []float64
}

// mostLevels bounds what a shape becomes.
const mostLevels = 100

var (
	ofWorkers = number{name: "workers", least: 1, most: 1e7, whole: true}
	orNone    = number{name: "workers", most: 1e7, whole: true}
)

func named(name string, n number) number {
	n.name = name
	return n
}

func flat(of map[string]float64) []float64 { return []float64{of["workers"]} }

func stageShapes() []stageShape {
	return []stageShape{
		{ShapeHold, []number{orNone}, flat},
		{ShapeRamp, []number{orNone}, flat},
		{ShapeSpike, []number{ofWorkers}, flat},
		{ShapeSteps, []number{named("from", orNone), named("to", ofWorkers), named("by", ofWorkers)}, func(of map[string]float64) (all []float64) {
			if of["to"] < of["from"] || (of["to"]-of["from"])/of["by"] >= mostLevels {
				return nil
			}
			for n := of["from"]; n < of["to"]; n += of["by"] {
				all = append(all, n)
			}
			return append(all, of["to"])
		}},
		{ShapeWave, []number{named("from", orNone), named("to", orNone), {name: "times", least: 1, most: mostLevels / 2, whole: true}}, func(of map[string]float64) (all []float64) {
			for range int(of["times"]) {
				all = append(all, of["from"], of["to"])
			}
			return append(all, of["from"])
		}},
		{ShapeChurn, []number{ofWorkers, {name: "leave", least: .001, most: 1000, unit: "/s"}}, flat},
	}
}

// StageShapes are the words that ParseStage takes.
func StageShapes() (names []string) {
	for _, s := range stageShapes() {
		names = append(names, s.name)
	}
	return names
}

// StageParts are what a stage of that shape has beside its time; nil of no shape.
func StageParts(shape string) (names []string) {
	for _, s := range stageShapes() {
		if s.name == shape {
			for _, n := range s.numbers {
				names = append(names, n.name)
			}
		}
	}
	return names
}

func partsOf(shape string) string { return strings.Join(append(StageParts(shape), stageFor), ", ") }

// StageError is what is wrong with a part of a stage.
type StageError struct{ Part, Reason string }

func (e *StageError) Error() string { return e.Part + ": " + e.Reason }

// The time of a stage, as ParseStage takes it.
const (
	stageFor     = "for"
	longestStage = 1000 * time.Hour
)

// ParseStage reads "hold:1000,for=5m", "ramp:1000,for=30s", "spike:3000,for=20s",
// "steps:from=100,to=1000,by=300,for=1m", "wave:from=100,to=1000,times=3,for=1m" or
// "churn:workers=1000,leave=5,for=5m". The error is a *StageError.
func ParseStage(text string) (Stage, error) {
	name, list, _ := strings.Cut(text, ":")
	shapes := stageShapes()
	i := slices.IndexFunc(shapes, func(s stageShape) bool { return s.name == name })
	if i < 0 {
		return Stage{}, &StageError{name, "want one of " + strings.Join(StageShapes(), ", ") + ", such as hold:1000,for=5m"}
	}
	s := Stage{Shape: name, numbers: map[string]float64{}}
	for item := range strings.SplitSeq(list, ",") {
		key, value, named := strings.Cut(item, "=")
		if !named {
			key, value = ofWorkers.name, item
		}
		if key == stageFor && s.For == 0 {
			var err error
			if s.For, err = time.ParseDuration(value); err != nil || s.For <= 0 || s.For > longestStage {
				return s, &StageError{key, fmt.Sprintf("%q: want a time such as 90s, 10m or 6h", value)}
			}
			continue
		}
		at := slices.IndexFunc(shapes[i].numbers, func(n number) bool { return n.name == key })
		if at < 0 {
			return s, &StageError{key, "no such part; there are " + partsOf(name)}
		}
		n := shapes[i].numbers[at]
		v, err := strconv.ParseFloat(strings.TrimSuffix(value, n.unit), 64)
		if _, twice := s.numbers[key]; twice {
			return s, &StageError{key, "it is there twice"}
		}
		if err != nil || !(v >= n.least && v <= n.most) || n.whole && v != math.Trunc(v) {
			return s, &StageError{key, fmt.Sprintf("%q: want a number from %.10g to %.10g%s", value, n.least, n.most, n.unit)}
		}
		s.numbers[key] = v
	}
	for _, part := range append(StageParts(name), stageFor) {
		if _, is := s.numbers[part]; !is && (part != stageFor || s.For == 0) {
			return s, &StageError{part, "it is missing; there are " + partsOf(name)}
		}
	}
	if len(s.levels()) == 0 {
		return s, &StageError{"by", fmt.Sprintf("want from, up to to, in fewer than %d steps, such as from=100,to=1000,by=300", mostLevels)}
	}
	return s, nil
}

// levels are how many workers it asks for in turn.
func (s Stage) levels() []float64 {
	for _, shape := range stageShapes() {
		if shape.name == s.Shape {
			return shape.levels(s.numbers)
		}
	}
	return nil
}

// String is what ParseStage reads.
func (s Stage) String() string {
	text := s.Shape + ":"
	for _, part := range StageParts(s.Shape) {
		text += fmt.Sprintf("%s=%.10g,", part, s.numbers[part])
	}
	return text + stageFor + "=" + s.For.String()
}

// StagesText is all stages, as reports have them.
func StagesText(all []Stage) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, " ")
}

// leg is a part of the way of a fleet through its stages: so many workers are wanted, and
// held for a time.
type leg struct {
	stage   int // number of the stage, from 1
	shape   string
	from    int           // workers that were wanted before
	workers int           // that are wanted
	over    time.Duration // in which the number goes from one to the other, evenly
	hold    time.Duration // from when all are held
	leave   float64       // workers a second that leave meanwhile, and come back
}

// legs are the way through stages.
func legs(stages []Stage) (all []leg) {
	from := 0
	for i, s := range stages {
		for _, level := range s.levels() {
			l := leg{stage: i + 1, shape: s.Shape, from: from, workers: int(level), hold: s.For, leave: s.numbers["leave"]}
			switch s.Shape {
			case ShapeRamp:
				l.over, l.hold = s.For, 0
			case ShapeSpike:
			default:
				l.over = time.Duration(max(from, l.workers)-min(from, l.workers)) * ArrivalEvery
			}
			all = append(all, l)
			from = l.workers
		}
	}
	return all
}

// wanted is how many workers are, so long after the leg began.
func (l leg) wanted(since time.Duration) int {
	if since >= l.over {
		return l.workers
	}
	return l.from + int(float64(l.workers-l.from)*since.Seconds()/l.over.Seconds())
}

// MostWorkers is the most that are wanted at a time, all of whom need a key.
func MostWorkers(stages []Stage) (most int) {
	for _, l := range legs(stages) {
		most = max(most, l.workers)
	}
	return most
}

// StagesTime is how long stages take at the least.
func StagesTime(stages []Stage) (sum time.Duration) {
	for _, l := range legs(stages) {
		sum += l.over + l.hold
	}
	return sum
}
