package checks

import (
	"cmp"
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

// Whether nginx accepts its config, and passes polls on by it.
var routeChecks = []Check{
	{
		ID: "nginx/config", Title: "nginx accepts its config", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		Reads: []string{"nginx.conf and all that it includes"},
		Why: `With a config that nginx refuses it does not start; one that runs stays on an older config, so that what
the files say is not what is in force.`,
		Symptom: "nginx: [emerg] … and after a reload nothing changes",
		Mend:    "Run nginx -t, fix what it names, and reload.",
		Eval:    onConfig(evalNginxConfig),
	},
	{
		ID: "nginx/route", Title: "nginx passes polls to the application", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After: []string{"nginx/config"},
		Reads: []string{"every server and location of nginx, and their proxy_pass"},
		Why: `The server is chosen by listen and server_name, the location by path. Where no location passes polls to
the application's address nginx answers them itself, or something else does. A dead upstream is a 502.`,
		Symptom: "404 or a welcome page instead of an answer of the application; dc_federated's workers spin on any reply",
		Mend:    "Add a location with proxy_pass to the application; name the way by --fl-url or --upstream where fltool looks at the wrong one.",
		Eval:    onConfig(evalRoute),
	},
	{
		ID: "nginx/misplaced-files", Title: "no file for nginx lies where it reads none", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"/etc/var/nginx, /etc/nginx/sites_available and the like"},
		Why: `dc_federated's notes name /etc/var/nginx/nginx.conf and sites_available; Debian and Ubuntu read
/etc/nginx/nginx.conf, and of sites-available only what has a link in sites-enabled.`,
		Symptom: "my edits do nothing",
		Mend:    "Move the file to /etc/nginx/sites-available and link it in /etc/nginx/sites-enabled.",
		Eval:    onConfig(evalStrays),
	},
}

func evalNginxConfig(c Case, n *facts.Nginx) Judgement {
	var refused []nginx.Problem
	for _, p := range n.Problems {
		if p.Refused {
			refused = append(refused, p)
		}
	}
	if len(refused) > 0 {
		first := refused[0]
		got := first.Text
		if first.Hint != "" {
			got += ": " + first.Hint
		}
		for _, p := range refused[1:min(len(refused), 4)] {
			got += fmt.Sprintf("; %s: %s", cmp.Or(p.Source, n.Path), p.Text)
		}
		if more := len(refused) - 4; more > 0 {
			got += fmt.Sprintf("; and %d more", more)
		}
		return fail(got, "a config that nginx accepts", cmp.Or(first.Source, n.Path), reports.Remedy{Text: "fix it, run nginx -t, and reload; until then nginx runs on an older config, or not at all"})
	}
	if n.Incomplete != "" {
		return unknownFor("%s", n.Incomplete)
	}
	got := "read"
	if n.Build.Version != "" {
		got += ", nginx " + n.Build.Version
	}
	if len(n.Absent) > 0 {
		got += fmt.Sprintf("; %s (%s) is not here: what it may set is taken for nginx's default", n.Absent[0].Text, n.Absent[0].Source)
	}
	return pass(got, n.Path)
}

func evalRoute(c Case, n *facts.Nginx) Judgement {
	to := c.Asked.Upstream
	if to == "" {
		to = fmt.Sprintf("port %d", c.Asked.Port)
	}
	if len(n.Sites) == 0 {
		if n.Incomplete != "" || n.Fragment {
			o, _ := c.noSites(n)
			return o
		}
		got := "no location passes polls to " + to
		if len(n.Elsewhere) > 0 {
			got += "; others: " + n.Elsewhere[0]
		}
		return fail(got, "a server and location that do", n.Path,
			reports.Remedy{Text: "fltool nginx render writes a config; name the way by --fl-url or --upstream where there is one"})
	}
	s := &n.Sites[0]
	for i := range n.Sites {
		if r := n.Sites[i].Routes[facts.RoutePoll]; r.Err != "" {
			return c.noWay(r)
		}
	}
	at := s.At(facts.RoutePoll)
	if at == nil || at.Pass == nil {
		return fail("the server of "+s.Source+" answers polls itself", "a location that passes them on", s.Source,
			reports.Remedy{Text: "add a location with proxy_pass to the application, or name another --fl-url", Then: "reload"})
	}
	if at.Incomplete != "" {
		return unknownFor("whether location %s of %s answers polls itself: %s", at.Name(), at.Source, at.Incomplete)
	}
	got := fmt.Sprintf("location %s passes to %s", at.Name(), at.Pass.Raw)
	for _, on := range s.Way(facts.RoutePoll)[1:] {
		if on.Pass != nil {
			got += fmt.Sprintf(", that is this nginx: location %s of %s to %s", on.Name(), on.Source, on.Pass.Raw)
		}
	}
	if n.Guessed && !c.Lint {
		return fail(got+"; nothing passes to "+to, "proxy_pass to "+to, at.Pass.Source,
			reports.Remedy{Text: "if that is the application say so by --upstream or --port; else add a location with proxy_pass to it"})
	}
	if at.Upstream != nil && len(at.Upstream.Peers) > 1 {
		got += fmt.Sprintf(", %d addresses", len(at.Upstream.Peers))
	}
	return pass(got, at.Pass.Source)
}

func evalStrays(_ Case, n *facts.Nginx) Judgement {
	if len(n.Strays) == 0 {
		return pass("none", n.Path)
	}
	s := n.Strays[0]
	return fail(s.Path+": "+s.Why, "files below /etc/nginx that nginx.conf includes", s.Path,
		reports.Remedy{Text: "move what is in it to /etc/nginx/sites-available and link it in /etc/nginx/sites-enabled, then remove " + s.Path, Then: "reload"})
}
