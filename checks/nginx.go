package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var nginxChecks = []Check{
	{
		ID: "nginx/unit-pending", Title: "the running nginx has its unit's limit", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"/proc/PID/limits of the master", "nginx.service and its drop-ins"},
		Why: `systemd applies LimitNOFILE= when it starts a service; a reload of nginx starts new workers under the
old master and its old limit.`,
		Symptom: "the unit says one thing and nginx still fails at another",
		Mend:    "Restart nginx, not reload. Held polls are cut by that.",
		Eval:    evalNginxPending,
	},
	{
		ID: "nginx/nofile", Title: "descriptors of nginx", Severity: reports.SeverityError, On: OnProxy,
		After:   []string{"nginx/worker-rlimit-nofile", "nginx/rlimit-pending", "nginx/unit-pending"},
		Reads:   []string{"/proc/PID/limits of the running workers (worker_rlimit_nofile, else what the master was given)"},
		Formula: "nginx-descriptors",
		Why: `A proxied poll takes two descriptors of one nginx worker process: the client's connection and the
upstream's. nginx -t warns only where worker_connections exceed the limit, not where they are equal and half is missing.`,
		Symptom: "accept4() failed (24: Too many open files); socket() failed (24: Too many open files) while connecting to upstream, which is a 500",
		Mend:    "Set worker_rlimit_nofile to more than twice the workers, or LimitNOFILE= of nginx.service in a drop-in, then restart nginx.",
		Eval:    evalNginxNoFile,
	},
	{
		ID: "nginx/selinux", Title: "SELinux lets nginx reach the application", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"/sys/fs/selinux/enforce and booleans, else /etc/selinux/config", "nginx's upstreams"},
		Why: `Where SELinux is enforced nginx (httpd_t) may connect to the ports of web servers alone, such as 80, 8008 and
9000, unless the boolean httpd_can_network_connect is on.`,
		Symptom: "connect() to 127.0.0.1:5000 failed (13: Permission denied) while connecting to upstream: a 502 for every poll",
		Mend:    "setsebool -P httpd_can_network_connect on",
		Eval:    onConfig(evalSELinux),
	},
	{
		ID: "nginx/draining", Title: "no nginx of before a reload lingers", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"/proc/PID/cmdline"},
		Why: `After a reload old worker processes stay until their last poll ends. Each keeps its connections,
descriptors and memory beside the new ones.`,
		Symptom: "memory and descriptors of nginx grow with every reload",
		Mend:    "Set worker_shutdown_timeout, or reload between rounds.",
		Eval:    evalDraining,
	},
}

// nginxWorkers are the running worker processes that take new connections.
func (c Case) nginxWorkers() (ws []facts.Process) {
	for _, p := range c.Processes.V {
		if p.Kind == facts.KindNginx && p.Part == "worker" && !p.Draining {
			ws = append(ws, p)
		}
	}
	return ws
}

// withNginx runs a check that is about nginx alone.
func withNginx(eval func(Case) Judgement) func(Case) Judgement {
	return func(c Case) Judgement {
		switch {
		case !c.HasNginx.Known():
			return cantTell("nginx", c.HasNginx)
		case !c.HasNginx.V:
			return notApplicable("no nginx here")
		case !c.Processes.Known():
			return cantTell("processes", c.Processes)
		}
		return eval(c)
	}
}

var evalNginxNoFile = withNginx(func(c Case) Judgement {
	ws := c.nginxWorkers()
	if len(ws) == 0 {
		return c.plannedNoFile()
	}
	own, err := c.nginxOwn()
	if err != "" {
		return unknownFor("nginx's own descriptors: %s", err)
	}
	least, most := c.nginxFDs(c.Nginx.V)
	safe, together, hard := maxWorkers, int64(0), int64(0)
	var inUse facts.Value[int64]
	tightest := ws[0]
	for _, p := range ws {
		if !p.Limits.Known() {
			return cantTell(fmt.Sprintf("NOFILE of nginx %d", p.PID), p.Limits)
		}
		hard += int64(byDescriptors(p.Limits.V.NoFile.Soft, least, own))
		n := byDescriptors(p.Limits.V.NoFile.Soft, most, own)
		together += int64(n)
		if n < safe {
			safe, tightest = n, p
		}
		inUse = addUse(inUse, p.FDs)
	}
	limit := tightest.Limits.V.NoFile
	need := descriptorsFor(c.Demand.Workers, most, own)
	got := fmt.Sprintf("%v in each of nginx's %d processes", limit.Soft, len(ws))
	if len(ws) == 1 {
		got = fmt.Sprintf("%v in nginx %d", limit.Soft, tightest.PID)
	}
	k, odds := c.shared(c.Nginx.V, Capacity{Safe: safe, Hard: workers(hard), InUse: inUse, Unit: "fds"}, workers(together))
	return c.limits(k, got+odds, fmt.Sprintf("%d: %s and %d", need, fdsText(least, most), own), tightest.Limits.Source,
		func() reports.Remedy { return c.nginxNoFileRemedy(limit, need) })
})

// nginxOwn is how many descriptors a process of this host's nginx holds itself;
// the error says why that is unknown. Without a config it is what any nginx has.
func (c Case) nginxOwn() (own int64, err string) {
	switch {
	case !c.Nginx.Known():
		return 0, c.Nginx.Why()
	case c.Nginx.V == nil:
		return nginxFewFDs, ""
	}
	processes, _ := c.nginxProcesses(c.Nginx.V)
	return nginxOwn(c.Nginx.V, processes), ""
}

// hops is how many times a held poll stands in this host's nginx.
func (c Case) hops() int {
	if c.Nginx.V == nil {
		return 1
	}
	return c.Nginx.V.Hops()
}

// nginxFDs is how many descriptors of nginx a worker takes: those of its held poll,
// and one more a hop while it sends an update of which nginx keeps a file.
func (c Case) nginxFDs(n *facts.Nginx) (least, most int64) {
	least = nginxFDsPerPoll
	if n == nil {
		return least, least
	}
	hops := int64(n.Hops())
	least *= hops
	if c.Demand.ModelAssumed || c.anUpdate() == 0 {
		return least, least
	}
	for i := range n.Sites {
		at := n.Sites[i].At(facts.RouteUpdate)
		if at != nil && at.Pass != nil && c.spools(at) {
			return least, least + hops
		}
	}
	return least, least
}

// spools says whether updates go to a file of nginx's first; where that is unknown
// they may.
func (c Case) spools(at *facts.Location) bool {
	whole, buffer, always := at.ProxyRequestBuffering, at.ClientBodyBufferSize, at.ClientBodyInFileOnly
	if !always.Known() || always.V != "off" {
		return true
	}
	return !(whole.Known() && !whole.V) && !(buffer.Known() && BodyBytes(c.anUpdate()) <= buffer.V)
}

// fdsText says what nginx's descriptors are for.
func fdsText(least, most int64) string {
	if most > least {
		return fmt.Sprintf("%d a worker, of which %d while it sends an update that goes to a file first,", most, most-least)
	}
	return fmt.Sprintf("%d a poll", least)
}

// plannedNoFile is of an nginx that does not run: what its config, else its unit
// would give it.
func (c Case) plannedNoFile() Judgement {
	if !c.Nginx.Known() {
		return cantTell("nginx's config", c.Nginx)
	}
	n := c.Nginx.V
	if n == nil || len(n.Sites) == 0 {
		return notApplicable("nginx does not run, and its config passes nothing to the application")
	}
	v := n.Main.WorkerRlimitNofile
	if !v.Known() {
		return cantTell("worker_rlimit_nofile", v)
	}
	if !c.NginxUnit.Known() {
		return cantTell("nginx.service", c.NginxUnit)
	}
	limit := facts.Bound{Soft: facts.Limit(v.V), Hard: facts.Unlimited}
	from := v.Source
	if v.V == 0 {
		u := c.NginxUnit.V
		if u == nil {
			return unknownFor("nginx does not run, and no unit tells what it would be given: start it, so that its limits can be read")
		}
		if !u.NoFile.Known() {
			return cantTell("LimitNOFILE of nginx.service", u.NoFile)
		}
		limit, from = u.NoFile.V, u.NoFile.Source
	}
	processes, known := c.nginxProcesses(n)
	if !known {
		return unknownFor("how many processes nginx would start, each of which has a descriptor of every other")
	}
	own := nginxOwn(n, processes)
	least, most := c.nginxFDs(n)
	safe, hard := byDescriptors(limit.Soft, most, own), byDescriptors(limit.Soft, least, own)
	need := descriptorsFor(c.Demand.Workers, most, own)
	k, odds := c.shared(n, Capacity{Safe: safe, Hard: times(hard, processes), InUse: facts.Value[int64]{Err: "nginx does not run"}}, times(safe, processes))
	return c.limits(k,
		fmt.Sprintf("%v, once nginx is started%s", limit.Soft, odds), fmt.Sprintf("%d: %s and %d", need, fdsText(least, most), own), from,
		func() reports.Remedy { return c.nginxNoFileRemedy(limit, need) })
}

// nginxNoFileRemedy prefers the unit's drop-in, since nginx's own file is not
// fltool's to edit.
func (c Case) nginxNoFileRemedy(limit facts.Bound, need int64) reports.Remedy {
	unit := ""
	if c.NginxUnit.V != nil {
		unit = c.NginxUnit.V.Name
	}
	hard := c.attainable(unit, c.nginxHard(limit.Hard))
	if hard.Below(need) {
		return reports.Remedy{Text: fmt.Sprintf("no process here may raise its hard limit of %v. Raise it where this container or machine is started (docker run --ulimit nofile=%d), or spread the workers over several proxies", hard, roomy(need))}
	}
	target := c.target(need, hard)
	if r, ok := c.selinuxRemedy(unit, limit, need, target); ok {
		return r
	}
	if n := c.Nginx.V; c.Nginx.Known() && n != nil && n.Main.WorkerRlimitNofile.Known() && n.Main.WorkerRlimitNofile.V > 0 {
		return write(n.Main.WorkerRlimitNofile, "the top", n.Path, fmt.Sprintf("worker_rlimit_nofile %d;", target), "it overrides what the unit gives")
	}
	line := fmt.Sprintf("worker_rlimit_nofile %d;", target)
	if c.Systemd.V && unit != "" {
		return c.nginxUnitRemedy(unit, target, "give nginx more descriptors by a drop-in")
	}
	return reports.Remedy{Text: "write at the top of nginx.conf: " + line, Then: "restart"}
}

var evalNginxPending = withNginx(func(c Case) Judgement {
	if !c.NginxUnit.Known() {
		return cantTell("nginx.service", c.NginxUnit)
	}
	u := c.NginxUnit.V
	if u == nil {
		return notApplicable("no systemd service runs it")
	}
	if !u.NoFileSet {
		return notApplicable("nginx.service sets no LimitNOFILE")
	}
	var masters []facts.Process
	for _, p := range c.Processes.V {
		if p.Kind == facts.KindNginx && p.Part == "master" {
			masters = append(masters, p)
		}
	}
	if len(masters) == 0 {
		return notApplicable("nginx does not run")
	}
	return pending(u, masters, c.Processes.V)
})

var evalDraining = withNginx(func(c Case) Judgement {
	var old []facts.Process
	for _, p := range c.Processes.V {
		if p.Kind == facts.KindNginx && p.Draining {
			old = append(old, p)
		}
	}
	if len(old) == 0 {
		return pass("none", c.Processes.Source)
	}
	return fail(count(len(old), "old worker process", "old worker processes"), "none: each keeps its slots, descriptors and memory", fmt.Sprintf("/proc/%d/cmdline", old[0].PID),
		reports.Remedy{Text: "set worker_shutdown_timeout in nginx.conf, or reload between rounds", Then: "reload"})
})

// addUse adds what a process uses to a sum that is unknown once any part is.
func addUse(sum facts.Value[int64], use facts.Value[int]) facts.Value[int64] {
	switch {
	case !use.Known():
		return facts.Value[int64]{Err: use.Why()}
	case sum.Err != "":
		return sum
	}
	return facts.Value[int64]{V: sum.V + int64(use.V), Source: use.Source}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
