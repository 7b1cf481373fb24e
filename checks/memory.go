package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

// The memory of held polls, and of models under way.
var memoryChecks = []Check{
	{
		ID: "host/memory", Title: "memory for held polls", Severity: reports.SeverityError, On: OnEach,
		Reads:   []string{"/proc/meminfo", "/proc/net/tcp"},
		Formula: "memory",
		Why: `A held poll costs the application memory (dc_federated on gunicorn 34 to 38 KiB) and every proxy on the host
(nginx 10.5 KiB), plain HTTP. dc_federated compresses the model anew for each download and holds it until it is sent: with
--model-size given as many downloads at once are counted as there are workers, as over slow links.`,
		Symptom: "the OOM killer ends the application; every poll is cut",
		Mend:    "More memory, or fewer workers on this host.",
		Eval:    evalMemory,
	},
	{
		ID: "host/cgroup-memory", Title: "memory of the container or service", Severity: reports.SeverityError, On: OnEach,
		Reads:   []string{"memory.max, memory.high, memory.current and memory.stat of the control group and all above it (v1 and v2)"},
		Formula: "memory",
		Why: `A container's or a service's memory limit ends its processes while the host has plenty left. Above memory.high
they are not killed but slowed down, and a server's memory can't be given back: it crawls.`,
		Symptom: "Memory cgroup out of memory: Killed process; the container restarts",
		Mend:    "Raise --memory of the container or MemoryMax= of the unit.",
		Eval:    evalCgroupMemory,
	},
	{
		ID: "host/oom-kills", Title: "nothing was killed for want of memory", Severity: reports.SeverityWarn, On: OnEach,
		Reads:   []string{"oom_kill in memory.events of the control group and all above it (v1: memory.oom_control)"},
		Why:     `The counter tells that processes of the application's or nginx's group were killed at their memory limit since the group began. What was killed held polls.`,
		Symptom: "all polls of a process are cut at once; Memory cgroup out of memory in the kernel's log",
		Mend:    "Raise the memory limit, or find what grows: old nginx processes after reloads, models in flight. The counter starts anew with the service or container.",
		Eval:    evalOOMKills,
	},
}

// here are the hops of this host: the application and what runs before it. Where no
// server runs, one like dc_federated's is assumed.
func (c Case) here() (hops []kinds.Hop, o *Judgement) {
	if c.carriesApp() {
		h, none := c.server()
		switch {
		case none == nil:
			hops = append(hops, h)
		case none.Status == reports.StatusUnknown:
			return nil, none
		default:
			hops = append(hops, kinds.Hop{Kind: kinds.Gunicorn})
		}
	}
	if c.Role == "app" {
		return hops, nil
	}
	if !c.HasNginx.Known() {
		o := cantTell("nginx", c.HasNginx)
		return nil, &o
	}
	fronts, o := c.fronts()
	if o != nil {
		return nil, o
	}
	for _, h := range fronts {
		if len(h.Processes) > 0 && h.Kind != kinds.Nginx { // what is only stated runs elsewhere
			hops = append(hops, h)
		}
	}
	if c.HasNginx.V || len(hops) == 0 {
		hops = append(hops, kinds.Hop{Kind: kinds.Nginx})
	}
	return hops, nil
}

// cost is the memory of one worker.
type cost struct {
	most, least int64 // of its poll
	model       int64 // of its model or update under way; 0 where nobody stated a size
}

// cost sums up what hops take for a worker.
func (c Case) cost(hops []kinds.Hop) (sum cost, o *Judgement) {
	for _, h := range hops {
		a := h.Memory()
		switch {
		case a.Status == kinds.NA:
			continue
		case !a.Is():
			o := unanswered(a)
			return sum, &o
		}
		model := int64(0)
		if !c.Demand.ModelAssumed {
			model = max(int64(a.V.Download*float64(c.Demand.ModelBytes)), int64(a.V.Upload*float64(c.anUpdate())))
		}
		sum.most, sum.least, sum.model = sum.most+a.V.Most, sum.least+a.V.Least, sum.model+model
	}
	return sum, nil
}

// fits judges whether polls fit into what is free, and warns where they do but not
// with a model under way for each worker, as when all download over slow links.
func (c Case) fits(free, held int64, k cost, inUse facts.Value[int64], got, source string, fix func() reports.Remedy) Judgement {
	bounds := Capacity{Safe: byMemory(free, held, k.most), Hard: byMemory(free, held, k.least), InUse: inUse, Unit: "bytes"}
	want := fmt.Sprintf("%s: %.1f KiB a poll", size(memoryFor(c.Demand.Workers, k.most)), float64(k.most)/1024)
	o := c.limits(bounds, got, want, source, fix)
	polls, models := memoryFor(c.Demand.Workers, k.most), memoryFor(c.Demand.Workers, k.model)
	if o.Status == reports.StatusPass && polls+models > free+memoryFor(int(held), k.most) {
		o.Status, o.Mild, o.Remedy = reports.StatusFail, true, fix()
		o.Want = fmt.Sprintf("%s where all %d workers load %s at once over slow links; %d such downloads fit", size(polls+models), c.Demand.Workers,
			facts.Bytes(c.anUpdate()), max(0, (free-polls)/k.model))
		o.Remedy.Text += ", or let a proxy in front take the downloads up (nginx: proxy_buffering on, and room for its temporary files)"
	}
	return o
}

func evalMemory(c Case) Judgement {
	v := c.Memory
	if !v.Known() {
		return cantTell("memory", v)
	}
	hops, o := c.here()
	if o != nil {
		return *o
	}
	k, o := c.cost(hops)
	if o != nil {
		return *o
	}
	held := max(c.held(false), c.held(true))
	return c.fits(v.V.AvailableBytes, held, k, facts.Value[int64]{V: v.V.TotalBytes - v.V.AvailableBytes, Source: v.Source},
		fmt.Sprintf("%s free of %s", size(v.V.AvailableBytes), size(v.V.TotalBytes)), v.Source,
		func() reports.Remedy {
			return reports.Remedy{Text: "give the host more memory, or spread the workers over several hosts"}
		})
}

func evalCgroupMemory(c Case) Judgement {
	if !c.Processes.Known() {
		return cantTell("processes", c.Processes)
	}
	stated, err := c.stated()
	if err != "" {
		return unknownFor("%s", err)
	}
	// What shares a limit shares its memory.
	type group struct {
		limit facts.CgroupLimit
		hops  []kinds.Hop
	}
	groups := make(map[string]*group)
	add := func(v facts.Value[facts.Cgroup], h kinds.Hop) {
		l := v.V.Memory
		if l.Max == facts.Unlimited {
			return
		}
		g := groups[l.Source]
		h.Stated = stated.of(h.Kind)
		if g == nil {
			g = &group{limit: l}
			groups[l.Source] = g
		}
		if !slices.ContainsFunc(g.hops, func(other kinds.Hop) bool { return other.Kind == h.Kind }) {
			g.hops = append(g.hops, h)
		}
	}
	// planned is the limit of a unit that does not run.
	planned := func(u *facts.Unit, h kinds.Hop) {
		add(facts.Value[facts.Cgroup]{V: facts.Cgroup{Memory: facts.CgroupLimit{Max: u.MemoryMax.V, Source: u.MemoryMax.Source}}}, h)
	}
	serves, proxies := false, false
	for _, p := range c.Processes.V {
		if !p.HoldsPolls() {
			continue
		}
		if !p.Cgroup.Known() {
			return cantTell("control group", p.Cgroup)
		}
		add(p.Cgroup, kinds.Hop{Kind: kinds.ByName(p.Kind), Settings: p.Settings})
		serves, proxies = serves || p.Serves(), proxies || p.Kind == facts.KindNginx
	}
	if u := c.Service; !serves && c.carriesApp() {
		if !u.Known() {
			return cantTell("unit", u)
		}
		switch {
		case u.V != nil:
			if !u.V.MemoryMax.Known() {
				return cantTell("MemoryMax", u.V.MemoryMax)
			}
			planned(u.V, kinds.Hop{Kind: kinds.ByName(cmp.Or(u.V.Kind, kinds.Gunicorn.Kind)), Settings: u.V.Settings})
		case !c.Shell.Known():
			return cantTell("this shell", c.Shell)
		case c.Shell.V != nil:
			if !c.Shell.V.Cgroup.Known() {
				return cantTell("control group of this shell", c.Shell.V.Cgroup)
			}
			add(c.Shell.V.Cgroup, kinds.Hop{Kind: kinds.Gunicorn})
		}
	}
	if u := c.NginxUnit; !proxies && c.Role != "app" {
		switch {
		case !c.HasNginx.Known():
			return cantTell("nginx", c.HasNginx)
		case !c.HasNginx.V:
		case !u.Known():
			return cantTell("nginx.service", u)
		case u.V == nil:
		case !u.V.MemoryMax.Known():
			return cantTell("MemoryMax of nginx.service", u.V.MemoryMax)
		default:
			planned(u.V, kinds.Hop{Kind: kinds.Nginx})
		}
	}
	var tightest *group
	least, free, held := 0, int64(0), int64(0)
	var per cost
	for _, g := range groups {
		each, o := c.cost(g.hops)
		if o != nil {
			return *o
		}
		left, now := int64(g.limit.Max)-g.limit.InUse, int64(0)
		for _, h := range g.hops {
			now = max(now, c.held(h.Kind == kinds.Nginx))
		}
		n := byMemory(left, now, each.most)
		if tightest == nil || n < least || n == least && g.limit.Source < tightest.limit.Source {
			tightest, least, free, held, per = g, n, left, now, each
		}
	}
	if tightest == nil {
		return notApplicable("no memory limit is set")
	}
	l := tightest.limit
	got := fmt.Sprintf("%s used of %s", size(l.InUse), size(int64(l.Max)))
	fix := "raise the memory limit of the container (--memory, resources.limits.memory) or of the unit (MemoryMax=)"
	if strings.HasSuffix(l.Source, "memory.high") {
		got += "; above that processes are slowed down"
		fix = "raise memory.high: MemoryHigh= of the unit, or what the container is started with"
	}
	return c.fits(free, held, per, facts.Value[int64]{V: l.InUse, Source: l.Source}, got, l.Source,
		func() reports.Remedy {
			return reports.Remedy{Text: fix, Then: "restart"}
		})
}

// evalOOMKills asks whether the limits of the application's and nginx's groups
// have killed.
func evalOOMKills(c Case) Judgement {
	if !c.Processes.Known() {
		return cantTell("processes", c.Processes)
	}
	var most facts.Value[int64]
	limited := false
	for _, p := range c.Processes.V {
		if !p.Cgroup.Known() {
			return cantTell("control group", p.Cgroup)
		}
		l := p.Cgroup.V.Memory
		if l.Max == facts.Unlimited {
			continue
		}
		limited = true
		if !l.Hits.Known() {
			return cantTell("kills", l.Hits)
		}
		if l.Hits.V >= most.V {
			most = l.Hits
		}
	}
	switch {
	case !limited:
		return notApplicable("no memory limit is set")
	case most.V == 0:
		return pass("0 since the group began", most.Source)
	}
	return fail(count(int(min(most.V, maxWorkers)), "process was", "processes were")+" killed at the memory limit", "0", most.Source,
		reports.Remedy{Text: "raise the memory limit of the container or unit, or find what grows: see host/cgroup-memory, nginx/draining and the kernel's log"})
}
