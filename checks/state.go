package checks

import (
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// Whether the application's state is in one process.
var stateChecks = []Check{{
	ID: "app/processes", Title: "one process holds the application's state", Severity: reports.SeverityError, On: OnApp,
	Reads: []string{"the server's command line and environment, such as WEB_CONCURRENCY"},
	Why: `dc_federated keeps registrations, challenges and the model's version in memory. With two worker
processes each has its own, and a worker talks to either as it happens.`,
	Symptom: "Unregistered Worker and Invalid Worker at random, and rounds that never end",
	Mend:    "Run one process: --workers 1, and no WEB_CONCURRENCY.",
	Eval: ofServer(func(c Case, h kinds.Hop) Judgement {
		a := h.State()
		switch {
		case !a.Is():
			return unanswered(a)
		case a.V > 1:
			return fail(a.Got, "1: its state is in memory", a.Source, c.fix(h, a.Set, 1, a.Source))
		}
		return pass(a.Got, a.Source)
	}),
}}
