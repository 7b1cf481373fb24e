package checks

import (
	"maps"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// What the user states beside what was read.
var statedChecks = []Check{{
	ID: "app/stated", Title: "what is stated agrees with what was read", Severity: reports.SeverityWarn, On: OnApp,
	Reads: []string{"--holds, --hop"},
	Why: `What is stated by --holds and --hop counts before what was read: it is meant for what no file tells. Where the
settings were read, and hold less or wait less long, the answer rests on the statement alone; and what is stated of a
server that is not the application counts for nothing.`,
	Symptom: "preflight says YES, and the host holds as many polls as its settings let it",
	Mend:    "State what can't be read, and leave the rest to what was read.",
	Eval:    evalStated,
}}

func evalStated(c Case) Judgement {
	if len(c.Asked.Hops) == 0 && c.Asked.Holds == 0 {
		return notApplicable("nothing is stated")
	}
	server, o := c.server()
	if o != nil {
		return *o
	}
	hops, o := c.fronts()
	if o != nil {
		return *o
	}
	stated, _ := c.stated() // the server was found by it
	var odd, alone []string
	for _, name := range slices.Sorted(maps.Keys(stated)) {
		if k := kinds.ByName(name); name != "" && k.Role == facts.RoleServer && k != kinds.Other && k != server.Kind {
			odd = append(odd, name+" is stated, and "+server.Name()+" is the application")
		}
	}
	for _, h := range append(hops, server) {
		more, unread := c.way(h).StatedBeyond()
		for _, s := range more {
			odd = append(odd, h.Name()+": "+s)
		}
		for _, s := range unread {
			alone = append(alone, h.Name()+": "+s)
		}
	}
	if len(odd) > 0 {
		return fail(strings.Join(odd, "; "), "what was read, or less", "stated",
			reports.Remedy{Text: "leave the statement away, or change the setting that was read"})
	}
	if len(alone) > 0 {
		return unknownFor("nothing was read to hold it against: %s", strings.Join(alone, "; "))
	}
	return pass("stated: nothing beyond what was read", "stated")
}
