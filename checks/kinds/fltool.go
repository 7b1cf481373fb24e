package kinds

import (
	"path"
	"slices"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// Fltool is fltool serve.
var Fltool = &Kind{
	Spec: facts.Spec{
		Kind: facts.KindFltool, Role: facts.RoleServer,
		Match: func(args []string) bool { return path.Base(args[0]) == "fltool" && slices.Contains(args, "serve") },
		Read:  readFltool,
	},
	Commands: []string{"fltool serve"},
	Source:   "this project's server, and its benches",
	Proof:    "fltool-descriptors",

	Holds:       always(is(Bound{Unlimited, Unlimited, ""}, "no limit of its own", ownServer)),
	Connections: always(na[Bound]("it bounds no connections of workers")),
	Tasks:       always(is(int64(0), "no thread", ownServer)),
	Descriptors: func(h Hop) Answer[Files] {
		v := h.Text("keep-updates")
		if !v.Known() && len(h.Settings) > 0 {
			return cant[Files]("--keep-updates", v)
		}
		f := Files{Own: 12, Poll: 1}
		if v.V == "true" {
			f.Upload = 2 // its file
		}
		return is(f, "one a poll", ownServer)
	},
	Memory: always(is(Cost{Most: 18 << 10, Least: 3 << 9, Download: 0.05}, "1.5 to 18 KiB a poll", ownServer)),
	Silence: func(h Hop) Answer[time.Duration] {
		v := h.Seconds("max-hold")
		switch {
		case !v.Known():
			return cant[time.Duration]("--max-hold", v)
		case v.V == 0:
			return is(Forever, "no timeout", v.Source)
		}
		// It ends a poll with a text, on which workers poll again.
		return is(Forever, "ends polls with a text after "+Short(v.V), v.Source)
	},
	Body: func(h Hop) Answer[int64] {
		v := h.Text("max-update")
		if !v.Known() {
			return cant[int64]("--max-update-size", v)
		}
		n, err := bytes(v.V)
		if err != nil {
			return unknown[int64](v.Source + ": " + err.Error())
		}
		return is(n, v.V, v.Source)
	},
	Keepalive: always(is(Forever, "for ever", ownServer)),
	Restart:   always(is(Ending{Grace: Forever, Does: "answers held polls with a text and ends"}, "answers held polls", ownServer)),
	State:     always(is(int64(1), "1 process", ownServer)),
	Backlog:   always(is(Unlimited, "as much as the kernel gives", "Go's net package")),
}

const ownServer = "docs/serve.md"

var fltoolFlags = []flag{
	{name: "max-hold", long: "--max-hold", def: "0", exact: true},
	{name: "max-update", long: "--max-update-size", def: "100MB", exact: true},
	{name: "keep-updates", long: "--keep-updates", alone: true},
}

func readFltool(_ facts.Root, p facts.Program) facts.Details {
	line := commandLine{args: p.Args[1:], from: p.From, unexpanded: p.Unexpanded}
	s := over(defaults(fltoolFlags, "fltool serve's default"), line.parse(fltoolFlags))
	if v := s["max-hold"]; v.Known() { // a time as Go writes them
		d, err := time.ParseDuration(v.V)
		if err != nil && v.V != "0" {
			s["max-hold"] = unread(err)
		} else {
			s["max-hold"] = known(secondsText(d), v.Source)
		}
	}
	return facts.Details{Settings: s}
}
