package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

var slotChecks = []Check{
	{
		ID: "nginx/worker-connections", Title: "connection slots of nginx", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After:   []string{"nginx/config"},
		Reads:   []string{"worker_connections, worker_processes, accept_mutex and the listeners of nginx.conf"},
		Formula: "nginx-slots",
		Why: `A proxied poll takes two of the worker_connections of one process: 512 are built in, Debian sets 768.
Processes share the work unevenly, above all when workers come one by one; with several, one may be full while others
idle. nginx closes idle clients before it runs out, and a closed client is a cut connection.`,
		Symptom: "N worker_connections are not enough, reusing connections; then connections closed without an answer, or a 500",
		Mend:    "Raise worker_connections in the events block, and worker_rlimit_nofile above it.",
		Eval:    onMain(evalSlots),
	},
	{
		ID: "nginx/worker-rlimit-nofile", Title: "descriptors that nginx.conf asks for", Severity: reports.SeverityError, On: OnProxy, Lint: true,
		After:   []string{"nginx/config"},
		Reads:   []string{"worker_rlimit_nofile of nginx.conf"},
		Formula: "nginx-descriptors",
		Why: `worker_rlimit_nofile replaces what the unit or the shell gave to nginx's worker processes. Each held poll
takes two descriptors, and each body that is spilled to disk a third.`,
		Symptom: "accept4() failed (24: Too many open files), and 500 where the upstream's socket is the one too many",
		Mend:    "Set worker_rlimit_nofile at the top of nginx.conf, above worker_connections.",
		Eval:    onMain(evalRlimit),
	},
	{
		ID: "nginx/rlimit-pending", Title: "nginx's processes have what nginx.conf asks for", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"worker_rlimit_nofile of nginx.conf", "/proc/PID/limits of the running workers"},
		Why: `A changed worker_rlimit_nofile is in force after a reload. Above the hard limit it needs CAP_SYS_RESOURCE;
without it nginx says so in its log once and goes on with the old limit.`,
		Symptom: "setrlimit(RLIMIT_NOFILE, N) failed (1: Operation not permitted)",
		Mend:    "Reload nginx; where that does not help, raise the hard limit of its unit or container.",
		Eval:    onConfig(evalRlimitPending),
	},
	{
		ID: "nginx/rlimit-slots", Title: "a descriptor for every connection slot", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"worker_connections and worker_rlimit_nofile of nginx.conf"},
		Why: `Every slot in use is a descriptor, and logs, listeners and bodies on disk take more. nginx -t warns only
where worker_connections exceed the limit and says nothing where they are equal, as in dc_federated's notes.`,
		Symptom: "too many open files before worker_connections are reached",
		Mend:    "Set worker_rlimit_nofile to worker_connections and 256.",
		Eval:    onMain(evalRlimitSlots),
	},
	{
		ID: "nginx/accept-mutex", Title: "nginx's processes share connections", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"accept_mutex and worker_processes of nginx.conf"},
		Why: `With accept_mutex on the process that has the mutex accepts all that waits: of 300 polls on four processes
one held 300, the others none. It has been off by default since 1.11.3.`,
		Symptom: "one process is full, the rest idle",
		Mend:    "Remove accept_mutex on; where evenness matters add reuseport to listen.",
		Eval:    onMain(evalAcceptMutex),
	},
	{
		ID: "nginx/listen-backlog", Title: "nginx's accept queue takes a burst of reconnects", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"backlog of nginx's listen", "net.core.somaxconn"},
		Why: `After a restart all workers connect at once. nginx asks for a queue of 511, and the kernel cuts it to
net.core.somaxconn.`,
		Symptom: "slow connects of 1 s, 3 s, 7 s after a restart; ListenOverflows grows",
		Mend:    "Add backlog=N to listen and raise net.core.somaxconn. A changed backlog needs a restart in some versions.",
		Eval:    onSites(evalListenBacklog),
	},
	{
		ID: "nginx/shutdown-timeout", Title: "processes of before a reload end some time", Severity: reports.SeverityInfo, On: OnProxy, Lint: true,
		Reads: []string{"worker_shutdown_timeout of nginx.conf"},
		Why: `On a reload the old worker processes stay until their last poll ends: twice the slots, descriptors and
memory. worker_shutdown_timeout ends them, and then cuts what they hold: a poll cut without a reply ends dc_federated's
worker for good. A restart cuts all polls at once, whatever is set.`,
		Symptom: "nginx: worker process is shutting down, for days; or polls cut some time after a reload",
		Mend:    "Set worker_shutdown_timeout to the longest hold, and reload between rounds.",
		Eval:    onMain(evalShutdownTimeout),
	},
}

// nginxProcesses is how many worker processes there are, or will be.
func (c Case) nginxProcesses(n *facts.Nginx) (count int, known bool) {
	if c.Processes.Known() {
		if ws := c.nginxWorkers(); len(ws) > 0 {
			return len(ws), true
		}
	}
	return c.configuredProcesses(n)
}

// configuredProcesses is how many worker processes the config asks for.
func (c Case) configuredProcesses(n *facts.Nginx) (count int, known bool) {
	v := n.Main.WorkerProcesses
	switch {
	case !v.Known():
		return 1, false
	case v.V > 0:
		return int(min(v.V, 4096)), true
	case c.Host.CPUs.Known():
		return c.Host.CPUs.V, true
	}
	return 1, false
}

func evalSlots(c Case, n *facts.Nginx) Judgement {
	v := n.Events.WorkerConnections
	if !v.Known() {
		return cantTell("worker_connections", v)
	}
	safe, hard := bySlots(v.V, n.Hops(), n.Listeners)
	got, want, why := fmt.Sprint(v.V), "in one process", "one process must hold all, since any may get them all"
	processes, known := c.nginxProcesses(n)
	even := 1 // processes over which connections spread evenly
	switch {
	case processes > 1 && n.Reuseport > 0 && n.Reuseport == n.Listeners:
		even, hard = processes, times(hard, processes)
		safe = spread(safe, even)
		got += fmt.Sprintf(" in each of %d processes, with reuseport", processes)
		want, why = fmt.Sprintf("in each of %d processes", processes), "more slots for each process"
	case processes > 1:
		hard = times(hard, processes)
		got += fmt.Sprintf(" in each of %d processes", processes)
	case !known:
		got += " a process"
	}
	need := slotsFor(c.Demand.Workers, n.Hops(), n.Listeners, even)
	inUse := facts.Value[int64]{Err: "connections were not counted"}
	if c.Processes.Known() && len(c.nginxWorkers()) > 0 {
		inUse = c.connections(true)
		inUse.V *= nginxFDsPerPoll * int64(n.Hops())
	}
	k, odds := c.shared(n, Capacity{Safe: safe, Hard: hard, InUse: inUse, Unit: "slots"}, hard)
	return c.limits(k, got+odds, fmt.Sprintf("%d %s: %d a poll, and 1/16 free so that idle clients are kept", need, want, nginxFDsPerPoll*n.Hops()),
		source(v, n.Path), func() reports.Remedy {
			if one, _ := bySlots(v.V, n.Hops(), n.Listeners); known && even == 1 && spread(one, processes) >= c.Demand.Workers {
				why += " (or add reuseport to every listen, which spreads them over the processes)"
			}
			return write(v, "the events block", n.Path, fmt.Sprintf("worker_connections %d;", need), why)
		})
}

func evalRlimit(c Case, n *facts.Nginx) Judgement {
	v := n.Main.WorkerRlimitNofile
	if !v.Known() {
		return cantTell("worker_rlimit_nofile", v)
	}
	limit, got := v.V, fmt.Sprint(v.V)
	if limit == 0 {
		if !c.Lint {
			return notApplicable("not set; nginx/nofile judges what nginx was given")
		}
		limit, got = 1024, "not set, and 1024 is systemd's default"
	}
	processes, known := c.configuredProcesses(n)
	if !known && !c.Lint {
		return unknownFor("how many processes nginx starts, each of which has a descriptor of every other")
	}
	own := nginxOwn(n, processes)
	least, most := c.nginxFDs(n)
	safe, hard := byDescriptors(facts.Limit(limit), most, own), byDescriptors(facts.Limit(limit), least, own)
	need := max(rlimitFor(slotsFor(c.Demand.Workers, n.Hops(), n.Listeners, 1), own), descriptorsFor(c.Demand.Workers, most, own))
	k, odds := c.shared(n, Capacity{Safe: safe, Hard: times(hard, processes), InUse: facts.Value[int64]{Err: "see nginx/nofile"}}, times(safe, processes))
	return c.limits(k, got+odds,
		fmt.Sprintf("%d: %s and %d, above worker_connections", need, fdsText(least, most), own), source(v, n.Path), func() reports.Remedy {
			hard := c.attainable("nginx.service", facts.Unlimited)
			if masters := c.nginxMasters(); len(masters) > 0 {
				hard = c.attainable("nginx.service", c.nginxHard(facts.Unlimited))
			} else if c.MayRaise.Known() && !c.MayRaise.V && c.Ceiling.Known() {
				hard = c.Ceiling.V.NoFile.Hard
			}
			if hard.Below(descriptorsFor(c.Demand.Workers, most, own)) {
				return reports.Remedy{Text: fmt.Sprintf("no process here may raise its hard limit of %v: raise it where this container or machine is started, or spread the workers over several proxies", hard)}
			}
			limit := need
			if hard.Below(need) {
				limit = int64(hard)
			}
			return write(v, "the top", n.Path, fmt.Sprintf("worker_rlimit_nofile %d;", limit), "give nginx's processes more descriptors")
		})
}

func evalRlimitPending(c Case, n *facts.Nginx) Judgement {
	v := n.Main.WorkerRlimitNofile
	if !v.Known() {
		return cantTell("worker_rlimit_nofile", v)
	}
	if v.V == 0 {
		return notApplicable("worker_rlimit_nofile is not set")
	}
	if !c.Processes.Known() {
		return cantTell("processes", c.Processes)
	}
	ws := c.nginxWorkers()
	if len(ws) == 0 {
		return notApplicable("nginx does not run")
	}
	var bad Judgement
	for _, p := range ws {
		if !p.Limits.Known() {
			return cantTell(fmt.Sprintf("NOFILE of nginx %d", p.PID), p.Limits)
		}
		if got := p.Limits.V.NoFile.Soft; got != facts.Limit(v.V) {
			bad = fail(fmt.Sprintf("NOFILE %v in nginx %d", got, p.PID), fmt.Sprintf("%d, as at %s", v.V, v.Source), p.Limits.Source,
				reports.Remedy{Text: "reload nginx, between rounds; where the limit stays, its hard limit is lower and has to be raised in the unit or where the container is started", Then: "reload"})
		}
	}
	if bad.Status != "" {
		if c.selinuxForbids() {
			bad.Remedy = reports.Remedy{Text: "SELinux forbids nginx to set it, and neither a reload nor a restart helps: setsebool -P httpd_setrlimit on, then restart nginx; or give nginx.service LimitNOFILE= in a drop-in", Then: "restart"}
		}
		return bad
	}
	return pass(fmt.Sprint(v.V), v.Source)
}

func evalRlimitSlots(c Case, n *facts.Nginx) Judgement {
	limit, slots := n.Main.WorkerRlimitNofile, n.Events.WorkerConnections
	if !limit.Known() {
		return cantTell("worker_rlimit_nofile", limit)
	}
	if !slots.Known() {
		return cantTell("worker_connections", slots)
	}
	if limit.V == 0 {
		return notApplicable("worker_rlimit_nofile is not set")
	}
	got := fmt.Sprintf("%d descriptors for %d connections", limit.V, slots.V)
	processes, _ := c.nginxProcesses(n)
	own := nginxOwn(n, processes)
	if limit.V >= slots.V+own {
		return pass(got, limit.Source)
	}
	return fail(got, fmt.Sprintf("%d at least; a poll takes two, so that %d connections are %d workers", slots.V+own, slots.V, slots.V/2), limit.Source,
		write(limit, "the top", n.Path, fmt.Sprintf("worker_rlimit_nofile %d;", rlimitFor(slots.V, own)), "a descriptor for every slot, and some for files"))
}

func evalAcceptMutex(c Case, n *facts.Nginx) Judgement {
	if p := n.Main.WorkerProcesses; p.Known() && p.V == 1 {
		return notApplicable("there is one process")
	}
	v := n.Events.AcceptMutex
	switch {
	case !v.Known() && v.IsDefault(): // nginx's version is unknown, and 1.11.3 is of 2016
		return pass("not set: off from nginx 1.11.3 on", source(v, n.Path))
	case !v.Known():
		return cantTell("accept_mutex", v)
	}
	if !v.V {
		return pass("off", source(v, n.Path))
	}
	return fail("on", "off: with it one process takes nearly all", source(v, n.Path),
		write(v, "the events block", n.Path, "accept_mutex off;", "let all processes accept"))
}

func evalListenBacklog(c Case, n *facts.Nginx, s *facts.Site) Judgement {
	if len(s.Sockets) == 0 {
		return unknownFor("what the server of %s listens at", s.Source)
	}
	least := s.Sockets[0].Backlog
	for _, socket := range s.Sockets {
		if !socket.Backlog.Known() {
			return cantTell("backlog", socket.Backlog)
		}
		if socket.Backlog.V < least.V {
			least = socket.Backlog
		}
	}
	got, queue := fmt.Sprint(least.V), least.V
	if !c.Lint {
		cut := c.Sysctls.SoMaxConn
		if !cut.Known() {
			return cantTell("net.core.somaxconn", cut)
		}
		if cut.V < queue {
			got, queue = fmt.Sprintf("%d, cut to somaxconn %d", queue, cut.V), cut.V
		}
	}
	if queue >= int64(c.Demand.Workers) {
		return pass(got, source(least, s.Source))
	}
	want := powerOfTwo(int64(c.Demand.Workers))
	r := reports.Remedy{Text: fmt.Sprintf("add to the listen of %s: backlog=%d", s.Source, want), Then: "restart"}
	if least.Source != "" && !least.IsDefault() {
		r.Text = fmt.Sprintf("at %s write: backlog=%d", least.Source, want)
	}
	if !c.Lint && c.Sysctls.SoMaxConn.V < want {
		k := c.sysctlRemedy("let the kernel queue every worker", fmt.Sprintf("net.core.somaxconn = %d", want))
		if least.V < want {
			k = both(k, r)
		}
		r = k
		r.Then = "restart"
	}
	return fail(got, fmt.Sprintf("%d, all workers at once", c.Demand.Workers), source(least, s.Source), r)
}

func evalShutdownTimeout(c Case, n *facts.Nginx) Judgement {
	v := n.Main.WorkerShutdownTimeout
	if !v.Known() {
		return cantTell("worker_shutdown_timeout", v)
	}
	want := max(c.hold(), minuteAtLeast)
	line := write(v, "the top", n.Path, "worker_shutdown_timeout "+nginxTime(want)+";", "end old processes when the polls they hold would end")
	switch {
	case v.V == 0:
		return fail("not set: old processes stay for ever", nginxTime(want), source(v, n.Path), line)
	case v.V < c.hold():
		return fail(short(v.V)+": a reload cuts longer holds", nginxTime(want), source(v, n.Path), line)
	}
	return pass(short(v.V), source(v, n.Path))
}
