package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// What workers get for a model while the application restarts.
var fallbackChecks = []Check{
	{
		ID: "nginx/model-fallback", Title: "a restart of the application ends no worker", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"error_page in force for models, and the named location that it leads to"},
		Why: `dc_federated's worker that was notified of a model and gets 502, 503 or 504 for it ends for good: it can't read the
page as a model. With an answer that is a stream of the right kind and holds no model, it polls again. Answered by nginx so,
none of 200 workers ended while their server was restarted and killed 18 times (make restarts).`,
		Symptom: "a part of the workers is gone after each deploy: zlib.error in their logs",
		Mend:    "Answer 502, 503 and 504 of /return_global_model as fltool nginx render does.",
		Eval:    onSites(evalFallback),
	},
}

func evalFallback(c Case, _ *facts.Nginx, s *facts.Site) Judgement {
	r, at := s.Routes[facts.RouteModel], s.At(facts.RouteModel)
	switch {
	case r.Err != "":
		return c.noWay(r)
	case at == nil || at.Pass == nil:
		return notApplicable("nginx passes no such request on")
	case at.ErrorPage.Err != "":
		return cantTell("error_page", at.ErrorPage)
	case len(r.Instead) != len(facts.Unreachable):
		return unknownFor("the facts do not have what nginx answers with in place of an error")
	}
	body := nginx.Fallback{Body: wire.NoModel}
	whole, err := body.Text()
	if err != nil {
		return unknownFor("%v", err)
	}
	for i, in := range r.Instead {
		switch {
		case in == nil || in.Status != "=200":
			return fail(fmt.Sprintf("%d for a model ends the worker that asked", facts.Unreachable[i]), "200 with a body that holds no model", at.Source,
				reports.Remedy{Text: "give " + r.Path + " the location that fltool nginx render writes for it, with the charset_map above it", Then: "reload"})
		case in.Text != whole:
			return unknownFor("whether what %s answers with is a stream without a model", in.To)
		}
	}
	return pass("answered with no model by "+r.Instead[0].To, r.Instead[0].Source)
}
