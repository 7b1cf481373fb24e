package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// shapes are the stages that have a word of their own. Each is a few stages in turn,
// each of which holds so many workers for the time of "for".
var shapes = map[string]func(p plan, value *yaml.Node) ([]load, error){
	"hold": func(p plan, value *yaml.Node) ([]load, error) {
		n, err := p.workers(value)
		return []load{{workers: n}}, err
	},
	"ramp": func(p plan, value *yaml.Node) ([]load, error) {
		n, err := p.workers(value)
		return []load{{workers: n, arrive: true}}, err
	},
	"spike": func(p plan, value *yaml.Node) ([]load, error) {
		n, err := p.workers(value)
		return []load{{workers: n, atOnce: true}}, err
	},
	"steps": func(p plan, value *yaml.Node) (all []load, err error) {
		of, err := p.numbers(value, "from", "to", "by")
		if err != nil {
			return nil, err
		}
		if of["by"] == 0 || of["to"] < of["from"] || (of["to"]-of["from"])/of["by"] >= mostStages {
			return nil, p.wrong(value, "for example {from: 100, to: 1000, by: 300}", "steps: want from, up to to, in fewer than %d steps", mostStages)
		}
		for n := of["from"]; n < of["to"]; n += of["by"] {
			all = append(all, load{workers: n})
		}
		return append(all, load{workers: of["to"]}), nil
	},
	"wave": func(p plan, value *yaml.Node) (all []load, err error) {
		of, err := p.numbers(value, "from", "to", "times")
		if err != nil {
			return nil, err
		}
		if of["times"] > mostStages/2 {
			return nil, p.wrong(value, "", "wave: want at most %d times", mostStages/2)
		}
		for range of["times"] {
			all = append(all, load{workers: of["from"]}, load{workers: of["to"]})
		}
		return append(all, load{workers: of["from"]}), nil
	},
}

// mostStages bounds what a shape becomes.
const mostStages = 100

// load is a stage of a shape.
type load struct {
	workers int
	arrive  bool // the time is that over which they arrive; then they are held for a moment
	atOnce  bool // they arrive as fast as they can
}

// moment is how long those are held who only had to arrive.
const moment = time.Second

// stage reads one stage of a plan, which may stand for several: flags of the command, or
// a shape with "for" and perhaps more flags.
func (p plan) stage(node *yaml.Node) (stages [][]planFlag, err error) {
	keys, err := p.mapping(node, "a stage")
	if err != nil {
		return nil, err
	}
	length, timed := keys.take("for")
	if !timed {
		flags, err := p.flagsOf(keys)
		return [][]planFlag{flags}, err
	}
	var shape pair
	found := false
	for _, name := range []string{"steps", "wave", "spike", "hold", "ramp"} { // beside a hold, ramp is the flag
		if shape, found = keys.take(name); found {
			break
		}
	}
	if !found {
		return nil, p.wrong(length.key, "for example {hold: 1000, for: 5m}", "for: there is no hold, ramp, spike, steps or wave that it is the time of")
	}
	if len(p.command) != 1 || p.command[0] != defaultCommand {
		return nil, p.wrong(shape.key, "", "%s: only simulate has such a stage", shape.key.Value)
	}
	text, err := p.scalar(length.value)
	if err != nil {
		return nil, err
	}
	last, err := time.ParseDuration(text)
	if err != nil || last <= 0 {
		return nil, p.wrong(length.value, "", "for: %q: want a time such as 90s, 10m or 6h", text)
	}
	loads, err := shapes[shape.key.Value](p, shape.value)
	if err != nil {
		return nil, err
	}
	more, err := p.flagsOf(keys)
	if err != nil {
		return nil, err
	}
	at := place{shape.key.Line, shape.key.Column}
	for _, l := range loads {
		set := map[string]string{"workers": strconv.Itoa(l.workers), "hold": last.String()}
		switch {
		case l.arrive:
			set["ramp"], set["hold"] = last.String(), moment.String()
		case l.atOnce:
			set["ramp"] = "0"
		}
		var flags []planFlag
		for _, name := range []string{"workers", "ramp", "hold"} {
			if v, ok := set[name]; ok {
				flags = append(flags, planFlag{name, []string{v}, at})
			}
		}
		stages = append(stages, over(flags, more))
	}
	return stages, nil
}

// workers is a number of workers.
func (p plan) workers(value *yaml.Node) (int, error) {
	text, err := p.scalar(value)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostWorkers {
		return 0, p.wrong(value, "", "%q: want a number of workers", text)
	}
	return n, nil
}

// numbers are those of a shape that has several, all of them.
func (p plan) numbers(value *yaml.Node, names ...string) (map[string]int, error) {
	keys, err := p.mapping(value, "it")
	if err != nil {
		return nil, err
	}
	of := map[string]int{}
	for _, name := range names {
		x, ok := keys.take(name)
		if !ok {
			return nil, p.wrong(value, "", "%s is missing: it has %s", name, listed(names, "and"))
		}
		if of[name], err = p.workers(x.value); err != nil {
			return nil, err
		}
	}
	if len(keys) > 0 {
		return nil, p.wrong(keys[0].key, "", "%s: it has %s", keys[0].key.Value, listed(names, "and"))
	}
	return of, nil
}

// over puts flags over others: where both have a flag, the upper one's values stand.
func over(lower, upper []planFlag) []planFlag {
	all := slices.DeleteFunc(slices.Clone(lower), func(f planFlag) bool {
		return slices.ContainsFunc(upper, func(u planFlag) bool { return u.name == f.name })
	})
	return append(all, upper...)
}

// stageTitle says what is particular to a stage.
func stageTitle(number, of int, flags []planFlag) string {
	title := fmt.Sprintf("stage %d of %d:", number, of)
	for _, f := range flags {
		for _, v := range f.values {
			title += fmt.Sprintf(" --%s=%s", f.name, resolved(v, number))
		}
	}
	return title
}
