package checks

import (
	"fmt"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// probeChecks judge what a deployment answered from outside.
var probeChecks = []Check{
	{
		ID: "probe/reachable", Title: "every address of the URL takes connections", Severity: reports.SeverityError, On: OnURL,
		Reads: []string{"a connection to each IPv4 and IPv6 address of the URL's host"},
		Why: `Python's workers try the addresses of a name one after another and wait for each. An IPv6 address that
is published and answers nothing costs every request that wait, and a worker on a network without IPv4 its service.`,
		Symptom: "some workers can't connect, or only after a long wait, and others can",
		Mend:    "Listen on both families (listen [::]:443 in nginx), open the firewall for both, or take the dead address out of the DNS.",
		Eval:    evalReachable,
	},
	{
		ID: "probe/tls", Title: "workers can trust the URL's TLS", Severity: reports.SeverityError, On: OnURL,
		After: []string{"probe/reachable", "tls/valid", "tls/chain", "tls/names", "tls/protocols"},
		Reads: []string{"a TLS handshake with the URL's host"},
		Why: `A worker refuses a certificate that has expired, names another host, or leads to no authority that it
trusts. The commonest fault is a chain without its intermediate, which browsers forgive and Python does not.`,
		Symptom: "SSLCertVerificationError in every worker; the server's log shows nothing",
		Mend: `Give nginx the leaf and its intermediates in one file (ssl_certificate fullchain.pem), renew what has
expired, and allow TLSv1.2 and TLSv1.3. With an authority of your own give --ca, and the workers its certificate.`,
		Eval: evalTLS,
	},
	{
		ID: "probe/tls-expiry", Title: "the certificates are good for another month", Severity: reports.SeverityWarn, On: OnURL,
		After:   []string{"probe/tls", "tls/valid", "tls/expiry"},
		Reads:   []string{"a TLS handshake with the URL's host"},
		Why:     "On the day that a certificate expires all workers stop at once. Renewal by an ACME client happens 30 days before; a later date means that it has stopped.",
		Symptom: "SSLCertVerificationError: certificate has expired, on a day that can be named now",
		Mend:    "Renew the certificate, reload nginx, and see why the timer did not (systemctl list-timers).",
		Eval:    evalTLSExpiry,
	},
	{
		ID: "probe/plain-http", Title: "port 80 leads to https", Severity: reports.SeverityWarn, On: OnURL,
		After: []string{"probe/reachable", "nginx/plain-http"},
		Reads: []string{"GET /challenge_phrase/fltool-probe at port 80 beside an https URL", "else the URL"},
		Why: `Over plain http anybody on the way reads the model and can hand out another: workers sign what they
send, and nothing signs what they get. The admin's password goes in clear, too.`,
		Symptom: "nothing; until somebody looks",
		Mend:    "Answer port 80 with a redirect to https, or not at all. fltool's URL should begin with https.",
		Eval:    evalPlain,
	},
}

// probed runs a check about what was asked from outside, with the fact that it
// judges.
func probed[T any](fact func(*facts.Probe) facts.Value[T], eval func(Case, facts.Value[T]) Judgement) func(Case) Judgement {
	return func(c Case) Judgement {
		switch {
		case !c.Probe.Known():
			return cantTell("probe", c.Probe)
		case c.Probe.V == nil:
			return notApplicable("no --url was asked")
		}
		v := fact(c.Probe.V)
		if !v.Known() {
			return Judgement{Status: reports.StatusUnknown, Reason: v.Why(), Source: v.Source}
		}
		return eval(c, v)
	}
}

func evalReachable(c Case) Judgement {
	if !c.Probe.Known() {
		return cantTell("probe", c.Probe)
	}
	if c.Probe.V == nil {
		return notApplicable("no --url was asked")
	}
	p := c.Probe.V
	var open, shut, noWay []string
	var why string
	for _, family := range []facts.Value[[]facts.Endpoint]{p.IPv4, p.IPv6} {
		for _, r := range family.V {
			switch {
			case r.Open:
				open = append(open, r.Address)
			case r.NoWay:
				noWay = append(noWay, r.Address)
			default:
				shut = append(shut, r.Address)
				why = r.Err
			}
		}
	}
	source := p.IPv4.Source
	if source == "" {
		source = p.IPv6.Source
	}
	switch {
	case len(shut) > 0 && source != "":
		got := fmt.Sprintf("%s: %s", strings.Join(shut, ", "), why)
		if len(open) > 0 {
			got += "; " + strings.Join(open, ", ") + " answers"
		}
		return fail(got, "a connection to each address that the name has", source,
			reports.Remedy{Text: "is nginx running, does it listen on that address family, and does the firewall let the port through? Else take the address out of the DNS"})
	case !p.IPv4.Known():
		return cantTell("IPv4", p.IPv4)
	case !p.IPv6.Known():
		return cantTell("IPv6", p.IPv6)
	case len(noWay) > 0:
		return unknownFor("%s: there is no way to it from here; ask from a host that has that address family", strings.Join(noWay, ", "))
	case len(open) == 0:
		return fail("the name has no address", "at least one", source, reports.Remedy{Text: "publish an A or AAAA record for the name"})
	}
	families := ""
	if len(p.IPv6.V) == 0 {
		families = "; it has no IPv6"
	} else if len(p.IPv4.V) == 0 {
		families = "; it has no IPv4"
	}
	return pass(strings.Join(open, ", ")+families, source)
}

var evalTLS = probed(func(p *facts.Probe) facts.Value[*facts.TLS] { return p.TLS }, func(_ Case, v facts.Value[*facts.TLS]) Judgement {
	t := v.V
	if t == nil {
		return notApplicable("the URL is plain http")
	}
	if t.Version == "TLS 1.0" || t.Version == "TLS 1.1" {
		return fail(t.Version+" at best", "TLS 1.2 or 1.3: Python refuses the older", v.Source,
			reports.Remedy{Text: "write ssl_protocols TLSv1.2 TLSv1.3; in nginx", Then: "reload"})
	}
	if !t.Trusted {
		r := reports.Remedy{Text: "give nginx the whole chain (fullchain.pem), for this name and not expired; with an authority of your own give --ca FILE"}
		if strings.Contains(t.Why, "expired") {
			r = reports.Remedy{Text: "renew the certificate", Then: "reload"}
		}
		o := fail(t.Why, "a chain that workers trust, for the URL's name", v.Source, r)
		if t.Waived {
			o.Reason = "--insecure was given: the rest was asked all the same"
		}
		return o
	}
	got := fmt.Sprintf("%s, a chain of %d", t.Version, len(t.Chain))
	if t.Protocol != "" {
		got += ", " + t.Protocol + " on offer"
	}
	return pass(got, v.Source)
})

func evalTLSExpiry(c Case) Judgement {
	return probed(func(p *facts.Probe) facts.Value[*facts.TLS] { return p.TLS }, func(c Case, v facts.Value[*facts.TLS]) Judgement {
		if v.V == nil {
			return notApplicable("the URL is plain http")
		}
		at, err := time.Parse(time.RFC3339, c.Probe.V.At)
		if err != nil {
			return unknownFor("when the probe was made is not known")
		}
		var soonest time.Time
		var whose string
		for _, cert := range v.V.Chain {
			end, err := time.Parse(time.RFC3339, cert.NotAfter)
			if err != nil {
				return unknownFor("%s: its end can't be read", cert.Subject)
			}
			if soonest.IsZero() || end.Before(soonest) {
				soonest, whose = end, cert.Subject
			}
		}
		if soonest.IsZero() {
			return unknownFor("no certificate was seen")
		}
		days := int(soonest.Sub(at).Hours() / 24)
		got := fmt.Sprintf("%s ends on %s, in %s", whose, soonest.Format(time.DateOnly), count(days, "day", "days"))
		if soonest.Before(at) {
			got = fmt.Sprintf("%s ended on %s", whose, soonest.Format(time.DateOnly))
		}
		if days < daysLeft {
			return fail(got, fmt.Sprintf("%d days at least", daysLeft), v.Source,
				reports.Remedy{Text: "renew it and reload nginx; see why the timer of the ACME client did not", Then: "reload"})
		}
		return pass(got, v.Source)
	})(c)
}

var evalPlain = probed(func(p *facts.Probe) facts.Value[*facts.PortAnswer] { return p.Plain }, func(c Case, v facts.Value[*facts.PortAnswer]) Judgement {
	p := c.Probe.V
	remedy := reports.Remedy{Text: "answer port 80 with: return 301 https://$host$request_uri;", Then: "reload"}
	switch a := v.V; {
	case strings.HasPrefix(p.URL, "http:") && p.Loopback:
		return notApplicable("asked over loopback")
	case strings.HasPrefix(p.URL, "http:"):
		return fail("the URL is plain http", "https", "the URL", reports.Remedy{Text: "get a certificate, serve https, and give workers and fltool the https URL"})
	case a == nil:
		return notApplicable("https is not on port 443")
	case !a.Open:
		return pass("port 80 takes no connection: "+a.Err, v.Source)
	case a.Answer == nil:
		return unknownFor("port 80 takes connections: %s", a.Err)
	case a.Answer.Status >= 300 && a.Answer.Status < 400 && strings.HasPrefix(a.Answer.Location, "https://"):
		return pass(fmt.Sprintf("HTTP %d to https", a.Answer.Status), v.Source)
	case isServerAnswer(*a.Answer):
		return fail("the server answers over plain http, too", "a redirect to https", v.Source, remedy)
	default:
		return pass(fmt.Sprintf("HTTP %d, not the server", a.Answer.Status), v.Source)
	}
})
