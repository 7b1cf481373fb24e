package main

import (
	"cmp"
	"strings"

	"github.com/fltool/fltool/loadgen"
)

// pick reads --scenario and gives what was not asked for its default: a scenario has
// rounds or a hold, not both.
func (f *simulateFlags) pick(set func(name string) bool) (err error) {
	if len(f.staged) > 0 {
		return f.pickStages()
	}
	if f.scenario == "" {
		if !set("rounds") && !set("hold") {
			f.rounds = 3
		}
		if f.rounds == 0 && f.hold == 0 {
			return usageError("", "no rounds and no hold is nothing to do")
		}
		return nil
	}
	if f.befalls, err = loadgen.ParseScenario(f.scenario); err != nil {
		name, _, _ := strings.Cut(f.scenario, ":")
		return usageError(didYouMean(near(name, loadgen.ScenarioNames()), ""), "--scenario %v", err)
	}
	if f.befalls.Name == loadgen.ScenarioHostile && f.unsafe {
		return usageError("without a key list anybody is a worker, and all gets through", "--scenario hostile goes without --unsafe")
	}
	if f.befalls.Name == loadgen.ScenarioSlow && f.unsafe {
		return usageError("without a key list a slow update would be a worker's", "--scenario slow goes without --unsafe")
	}
	if !set("think") {
		f.think = f.befalls.Think()
	}
	other, mine, is := "hold", "rounds", f.befalls.Rounds() > 0
	if !is {
		other, mine = mine, other
	}
	if set(other) {
		return usageError("", "--scenario %s has %s: it goes without --%s", f.befalls.Name, plural[mine], other)
	}
	if is {
		f.rounds = cmp.Or(f.rounds, f.befalls.Rounds())
	} else {
		f.hold = cmp.Or(f.hold, f.befalls.Hold())
	}
	return nil
}

// pickStages reads --stages, which say how many workers there are, and for how long.
func (f *simulateFlags) pickStages() error {
	for _, text := range f.staged {
		s, err := loadgen.ParseStage(text)
		if err != nil {
			shape, _, _ := strings.Cut(text, ":")
			return usageError(stageHint(shape, err), "--stages %q: %v", text, err)
		}
		f.stages = append(f.stages, s)
	}
	f.workers, f.hold = loadgen.MostWorkers(f.stages), loadgen.StagesTime(f.stages)
	if f.workers == 0 {
		return usageError("for example --stages hold:1000,for=5m", "--stages: none of them asks for a worker")
	}
	return nil
}

// plural is what a scenario has of that which a flag names.
var plural = map[string]string{"rounds": "rounds", "hold": "held polls"}
