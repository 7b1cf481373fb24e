package loadgen

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/reports"
)

// Scenario is what befalls a fleet in a run, by name and numbers. The zero value is
// nothing: the rounds and the hold of the plan.
type Scenario struct {
	Name    string
	numbers map[string]float64 // all that the scenario has
}

// The scenarios.
const (
	ScenarioRounds  = "rounds"
	ScenarioHold    = "hold"
	ScenarioStorm   = "storm"
	ScenarioAbandon = "abandon"
	ScenarioChurn   = "churn"
	ScenarioFlaky   = "flaky"
	ScenarioHostile = "hostile"
	ScenarioSlow    = "slow"
)

// scenarioKind is what there is to say of a scenario beforehand.
type scenarioKind struct {
	name    string
	rounds  int           // by default; 0: polls are held
	hold    time.Duration // by default: how long, or how long at most where it ends by itself
	think   string        // by default, as ParseThink reads it; "": no time
	each    int           // connections of this process for each worker; 0: one
	harsh   bool          // wants consent for any number of workers
	numbers []number
	quorum  func(Scenario, int) int  // updates that end a round of so many workers, by default; nil: one of each
	play    func(*run) (play, error) // nil: the plan says all
}

// number is one of a scenario's.
type number struct {
	name        string
	is          float64 // by default
	least, most float64
	whole       bool
	unit        string // may stand behind the value
}

// play is a scenario while its run lasts, as what it adds to the workers' rounds and
// holds. What it does not need is nil.
type play struct {
	acts   []Act
	look   func()                // ten times a second, from one goroutine
	heard  func(*worker)         // what became of a worker's request, before it steps on
	gone   func(*worker)         // takes a worker that has left the fleet
	lost   func(*worker)         // sees a worker give up
	end    func(context.Context) // once the run is over, before its connections are closed
	report func(*reports.Report) // its figures, and what they make of the verdict
	close  func(*reports.Report) // once no connection is open any more
}

// scenarioKinds are all of them, those first that only name what the plan says.
func scenarioKinds() []scenarioKind {
	return []scenarioKind{
		{name: ScenarioRounds, rounds: 3},
		{name: ScenarioHold, hold: 30 * time.Second},
		{name: ScenarioStorm, hold: time.Minute, harsh: true, play: storm},
		{name: ScenarioAbandon, hold: time.Minute, play: abandon, numbers: []number{
			{name: "times", is: 20, least: 1, most: 1e6, whole: true}, {name: "after", is: 1, least: 0, most: 3600},
		}},
		{name: ScenarioChurn, rounds: 6, think: "uniform:1s-3s", each: 2, quorum: (Scenario).steady, play: churning, numbers: []number{
			{name: "join", is: 5, least: 0, most: 1000, unit: "/s"}, {name: "leave", is: 3, least: 0, most: 1000, unit: "/s"},
			{name: "vanish", is: 2, least: 0, most: 1000, unit: "/s"}, {name: "away", is: 10, least: 1, most: 90, unit: "%"},
		}},
		{name: ScenarioFlaky, rounds: 3, each: 3, quorum: func(_ Scenario, workers int) int { return workers }, play: flaky, numbers: []number{
			{name: "every", is: 8000, least: 1, most: 1e12}, {name: "delay", is: .2, least: 0, most: 3600}, {name: "silence", is: 2, least: 0, most: 3600},
		}},
		{name: ScenarioHostile, rounds: 6, harsh: true, play: raid, numbers: []number{
			{name: "requests", is: 10_000, least: 1, most: 1e9, whole: true}, {name: "connections", is: 8, least: 1, most: 1000, whole: true},
		}},
		{name: ScenarioSlow, rounds: 6, harsh: true, play: slowly, numbers: []number{
			{name: "clients", is: 20, least: 1, most: 1000, whole: true}, {name: "rate", is: 10, least: 1, most: 1e9},
		}},
	}
}

// ScenarioNames are the names that ParseScenario takes.
func ScenarioNames() []string {
	var names []string
	for _, k := range scenarioKinds() {
		names = append(names, k.name)
	}
	return names
}

// ParseScenario reads "storm", or "NAME:NUMBER=VALUE,…" for one with numbers, of which
// those that are not given have their defaults.
func ParseScenario(s string) (Scenario, error) {
	name, list, given := strings.Cut(s, ":")
	kind, err := kindOf(name)
	if err != nil {
		return Scenario{}, err
	}
	sc := Scenario{Name: name, numbers: map[string]float64{}}
	for _, n := range kind.numbers {
		sc.numbers[n.name] = n.is
	}
	if !given {
		return sc, nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(pair, "=")
		i := slices.IndexFunc(kind.numbers, func(n number) bool { return n.name == key })
		if i < 0 {
			return Scenario{}, fmt.Errorf("%q: %s has %s", s, name, kind.numberList())
		}
		n := kind.numbers[i]
		v, err := strconv.ParseFloat(strings.TrimSuffix(value, n.unit), 64)
		if err != nil || !(v >= n.least && v <= n.most) || n.whole && v != math.Trunc(v) {
			return Scenario{}, fmt.Errorf("%q: want a %s from %g to %g%s", s, n.name, n.least, n.most, n.unit)
		}
		sc.numbers[key] = v
	}
	return sc, nil
}

func kindOf(name string) (scenarioKind, error) {
	for _, k := range scenarioKinds() {
		if k.name == name {
			return k, nil
		}
	}
	return scenarioKind{}, fmt.Errorf("%q: want one of %s", name, strings.Join(ScenarioNames(), ", "))
}

func (k scenarioKind) numberList() string {
	if len(k.numbers) == 0 {
		return "no numbers"
	}
	var all []string
	for _, n := range k.numbers {
		all = append(all, n.text(n.is))
	}
	return strings.Join(all, ", ")
}

func (n number) text(v float64) string { return fmt.Sprintf("%s=%g%s", n.name, v, n.unit) }

// String is what ParseScenario reads, with all numbers.
func (s Scenario) String() string {
	if len(s.numbers) == 0 {
		return s.Name
	}
	var all []string
	for _, n := range s.kind().numbers {
		all = append(all, n.text(s.numbers[n.name]))
	}
	slices.Sort(all)
	return s.Name + ":" + strings.Join(all, ",")
}

func (s Scenario) kind() scenarioKind {
	k, _ := kindOf(s.Name) // the zero value's is empty, as it should be
	return k
}

// Rounds are those that the scenario plays by default; 0: it holds polls.
func (s Scenario) Rounds() int { return s.kind().rounds }

// Hold is how long it holds polls by default, at most where it ends by itself.
func (s Scenario) Hold() time.Duration { return s.kind().hold }

// Think is what its workers' time between model and update is by default, as ParseThink
// reads it.
func (s Scenario) Think() string { return cmp.Or(s.kind().think, "0") }

// Quorum is how many updates of so many workers end a round of its server's by default;
// 0: one of each.
func (s Scenario) Quorum(workers int) int {
	if of := s.kind().quorum; of != nil {
		return of(s, workers)
	}
	return 0
}

// Plays says whether something befalls the fleet beside its rounds and holds.
func (s Scenario) Plays() bool { return s.kind().play != nil }

// Connections are those that this process has for each worker.
func (s Scenario) Connections() int { return max(1, s.kind().each) }

// Harsh says whether a server may be driven so only by its owner's consent, however few
// the workers.
func (s Scenario) Harsh() bool { return s.kind().harsh }

// begin sets up what the plan's scenario adds to a run.
func (r *run) begin() (err error) {
	if len(r.plan.Stages) > 0 {
		r.staging = newStaging(r)
		r.play = play{heard: r.staging.heard, gone: r.staging.gone, lost: r.staging.lost}
	}
	if k := r.plan.Scenario.kind(); k.play != nil {
		r.play, err = k.play(r)
	}
	return err
}
