package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

var proxyLimitChecks = []Check{
	{
		ID: "proxy/nofile", Title: "descriptors of a proxy or forwarder", Severity: reports.SeverityError, On: OnHop,
		Reads:   []string{"/proc/PID/limits of the hop's processes"},
		Formula: "proxy-descriptors",
		Why: `A held poll takes two descriptors of a proxy: one towards the worker and one towards the application. docker-proxy
and podman's rootlessport are such proxies, too: each connection to a published port takes two.`,
		Symptom: "Too many open files in the proxy's log; new connections hang or are reset, while held ones stay",
		Mend:    "Raise LimitNOFILE of the proxy's service, or ulimit -n where it is started.",
		Eval:    ofFront(evalProxyFiles),
	},
}

func evalProxyFiles(c Case, h kinds.Hop) Judgement {
	a := h.Descriptors()
	switch {
	case len(h.Processes) == 0:
		return notApplicable("it does not run on this host")
	case !a.Is():
		return unanswered(a)
	case a.V.Poll == 0:
		return notApplicable("polls take none of its descriptors")
	}
	var least facts.Value[facts.Limits]
	holders := 0
	for _, p := range h.Processes {
		if !p.HoldsPolls() || p.Draining {
			continue
		}
		if !p.Limits.Known() {
			return cantTell("limits", p.Limits)
		}
		soft := p.Limits.V.NoFile.Soft
		if holders == 0 || soft != facts.Unlimited && (least.V.NoFile.Soft == facts.Unlimited || soft < least.V.NoFile.Soft) {
			least = p.Limits
		}
		holders++
	}
	if holders == 0 {
		return unknownFor("which of its processes hold polls")
	}
	soft := least.V.NoFile.Soft
	n := byDescriptors(soft, a.V.Poll, a.V.Own)
	if t := h.Tasks(); t.Is() && t.V > 0 { // processes share polls by their threads
		n = workers(int64(n) * int64(holders))
	}
	need := descriptorsFor(c.Demand.Workers, a.V.Poll, a.V.Own)
	return c.limits(Capacity{Safe: n, Hard: n}, fmt.Sprintf("NOFILE %s", soft), fmt.Sprintf("%d: %d a poll and %d of its own", need, a.V.Poll, a.V.Own), least.Source,
		func() reports.Remedy {
			if h.Kind.Role == facts.RoleForwarder { // to restart what starts it may stop all containers
				return reports.Remedy{Text: fmt.Sprintf("give what starts %s LimitNOFILE=%d, which counts for containers that are started after it; or publish the port without it (dockerd: userland-proxy false)",
					h.Kind.Kind, roomy(need))}
			}
			unit := h.Processes[0].Unit
			if unit.Known() && unit.V != "" && c.Systemd.V {
				return c.unitRemedy(unit.V, "", fmt.Sprintf("LimitNOFILE=%d", roomy(need)), "give "+h.Kind.Kind+" more descriptors")
			}
			return reports.Remedy{Text: fmt.Sprintf("start %s with ulimit -n %d", h.Kind.Kind, roomy(need)), Then: "restart"}
		})
}
