package checks

import (
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var renewalChecks = []Check{
	{
		ID: "host/renewal", Title: "no job restarts what holds polls", Severity: reports.SeverityWarn, On: OnEach,
		Reads: []string{"certbot's renewal-hooks, renewal/*.conf and cli.ini below /etc/letsencrypt", "dehydrated's hooks", "/etc/crontab, /etc/cron.*, /etc/periodic and root's crontabs",
			"services that systemd's timers start", "logrotate's scripts", "scripts that these call, below /usr/local, /opt, /etc, /srv and homes"},
		Why: `A restart cuts every held poll without a reply, which ends dc_federated's workers for good. certbot renews a certificate every
two months, and hooks that restart nginx then are copied from guide to guide; a reload is enough for a new certificate.`,
		Symptom: "every two months, at night, all polls are cut and the fleet is gone",
		Mend:    "Reload instead: systemctl reload nginx. Restart only between rounds, by hand.",
		Eval:    evalRenewal,
	},
}

func evalRenewal(c Case) Judgement {
	v := c.Restarts
	switch {
	case !v.Known():
		return cantTell("hooks and jobs", v)
	case !c.Processes.Known():
		return cantTell("processes", c.Processes)
	}
	holders := map[string]bool{}
	for _, p := range c.Processes.V {
		if !p.Unit.Known() {
			return cantTell("unit", p.Unit)
		}
		holders[p.Kind], holders[strings.TrimSuffix(p.Unit.V, ".service")] = true, true
	}
	if c.Role != "app" {
		if !c.HasNginx.Known() {
			return cantTell("nginx", c.HasNginx)
		}
		holders[facts.KindNginx] = holders[facts.KindNginx] || c.HasNginx.V
	}
	if u := c.Service; u.V != nil {
		holders[strings.TrimSuffix(u.V.Name, ".service")] = true
	} else if !u.Known() {
		return cantTell("unit", u)
	}
	delete(holders, "")
	for _, r := range v.V {
		if holders[r.Service] {
			return fail("restarts "+r.Service, "a reload", r.Source,
				reports.Remedy{Text: "reload instead: systemctl reload " + r.Service})
		}
	}
	return pass("none", v.Source)
}
