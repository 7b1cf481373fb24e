package checks

import (
	"fmt"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/reports"
)

var hostChecks = []Check{
	{
		ID: "host/nr-open", Title: "ceiling of any process's descriptors", Severity: reports.SeverityError, On: OnEach,
		Reads:   []string{"fs.nr_open"},
		Formula: "nr-open",
		Why: `No NOFILE can be set above fs.nr_open, by root neither. A unit that asks for more gets what PID 1 has, or does not
start (status=205/LIMITS) where that is too much as well; a line of limits.conf that does changes nothing or keeps the user out.`,
		Symptom: "setrlimit: Operation not permitted, even as root",
		Mend:    "Raise fs.nr_open in sysctl.d.",
		Eval:    evalNROpen,
	},
	{
		ID: "host/file-max", Title: "descriptors of the whole host", Severity: reports.SeverityError, On: OnEach,
		Reads:   []string{"fs.file-max", "/proc/sys/fs/file-nr", "/proc/PID/fd"},
		Formula: "host-files",
		Why:     `fs.file-max bounds the open files of all processes together. A poll takes one of the application and two of nginx.`,
		Symptom: "Too many open files in system (ENFILE, error 23)",
		Mend:    "Raise fs.file-max in sysctl.d.",
		Eval:    evalFileMax,
	},
	{
		ID: "host/port-range", Title: "local ports between nginx and the application", Severity: reports.SeverityError, On: OnProxy,
		Reads:   []string{"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "/proc/net/tcp"},
		Formula: "ports",
		Why: `nginx opens a connection to the application for every held poll, and each takes a local port for that
one destination. A unix socket takes none; more upstream addresses or proxy_bind multiply the range.`,
		Symptom: "connect() to 127.0.0.1:5000 failed (99: Cannot assign requested address) while connecting to upstream: a 502 or 500",
		Mend:    "Widen net.ipv4.ip_local_port_range in sysctl.d, and reserve the ports that services listen on; beyond 64000 use a unix socket or several upstream ports.",
		Eval:    evalPortRange,
	},
	{
		ID: "host/time-wait", Title: "ports of connections just closed", Severity: reports.SeverityWarn, On: OnProxy,
		Reads: []string{"net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_range", "/proc/net/tcp", "/proc/net/sockstat"},
		Why: `Without upstream keep-alive nginx closes a connection per request, and a closed one keeps its port for
60 s: a round is five requests a worker. Over loopback the kernel reuses such ports at once (tcp_tw_reuse = 2).`,
		Symptom: "in the minute after a round connects fail with error 99",
		Mend:    "Set net.ipv4.tcp_tw_reuse = 1, or use upstream keep-alive or a unix socket.",
		Eval:    evalTimeWait,
	},
	{
		ID: "host/conntrack", Title: "the connection-tracking table", Severity: reports.SeverityError, On: OnEach,
		Reads:   []string{"nf_conntrack_max", "nf_conntrack_count", "/proc/net/tcp"},
		Formula: "conntrack",
		Why: `Where a firewall or NAT tracks connections, each held poll is an entry, and behind nginx a second one, on one
host where loopback is tracked, too. Without upstream keep-alive nginx opens a connection a request, and closed ones stay
for two minutes: five a worker and round. A full table drops new connections of everybody. The size is the whole kernel's; each
network namespace has entries of its own.`,
		Symptom: "nf_conntrack: table full, dropping packet; connects time out",
		Mend:    "Raise net.netfilter.nf_conntrack_max in sysctl.d.",
		Eval:    evalConntrack,
	},
	{
		ID: "host/sysctl-pending", Title: "the kernel has what sysctl.d sets", Severity: reports.SeverityWarn, On: OnEach,
		Reads: []string{"sysctl.d in /etc and /run", "/proc/sys"},
		Why: `A file in sysctl.d counts when the host starts or when somebody applies it. A value set by hand is gone after
the next start; one that a file sets may have been overridden since: kube-proxy sets nf_conntrack_max by the number of cores.`,
		Symptom: "the file says one thing and the kernel refuses at another; or all is well until the host is rebooted",
		Mend:    "Run sysctl --system, or write what is right into sysctl.d; with kube-proxy set conntrack.maxPerCore and conntrack.min in its configuration.",
		Eval:    evalSysctlPending,
	},
	{
		ID: "host/tcp-mem", Title: "the kernel's memory for TCP", Severity: reports.SeverityWarn, On: OnEach,
		Reads: []string{"net.ipv4.tcp_mem", "/proc/net/sockstat"},
		Why: `tcp_mem bounds what all sockets buffer. Held polls buffer nothing, but when a round ends every
connection has a model or an answer in flight: at least a page each.`,
		Symptom: "TCP: out of memory -- consider tuning tcp_mem; downloads crawl",
		Mend:    "Raise net.ipv4.tcp_mem in sysctl.d.",
		Eval:    evalTCPMem,
	},
	{
		ID: "host/syn-backlog", Title: "half-open connections in a burst", Severity: reports.SeverityInfo, On: OnEach,
		Reads:   []string{"net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies"},
		Why:     `When all workers connect at once their handshakes queue here. With SYN cookies an overflow costs options, not connections.`,
		Symptom: "slow connects in a burst",
		Mend:    "Set net.ipv4.tcp_syncookies = 1, or raise net.ipv4.tcp_max_syn_backlog.",
		Eval:    evalSynBacklog,
	},
	{
		ID: "host/listen-overflows", Title: "accept queues have not overflowed", Severity: reports.SeverityWarn, On: OnEach,
		Reads:   []string{"ListenOverflows and ListenDrops in /proc/net/netstat"},
		Why:     `The counter tells that some server's accept queue was full since the host started: connections waited a second or more, or were lost.`,
		Symptom: "connects that take 1 s, 3 s, 7 s; TCP: request_sock_TCP: Possible SYN flooding on port",
		Mend:    "Find the listener by ss -ltn (Recv-Q above Send-Q), then raise its backlog and net.core.somaxconn. The counter starts anew with the host.",
		Eval:    evalOverflows,
	},
	{
		ID: "host/tcp-keepalive", Title: "dead peers are found before long", Severity: reports.SeverityInfo, On: OnEach,
		Reads: []string{"net.ipv4.tcp_keepalive_time"},
		Why: `A worker whose network goes away silently leaves a held poll behind. Where keep-alive probes are asked
for (so_keepalive, proxy_socket_keepalive) they start after this time, two hours by default; NATs drop idle connections after minutes.`,
		Symptom: "held polls that no worker waits for, each pinning a slot and descriptors",
		Mend:    "Set net.ipv4.tcp_keepalive_time = 300, and ask for probes in nginx.",
		Eval:    evalTCPKeepalive,
	},
}

// kernelNROpen is the kernel's own default.
const kernelNROpen = 1 << 20

func evalNROpen(c Case) Judgement {
	v := c.Sysctls.NROpen
	if !v.Known() {
		return cantTell("fs.nr_open", v)
	}
	n := byDescriptors(facts.Limit(v.V), 1, appBaseFDs)
	need := descriptorsFor(c.Demand.Workers, 1, appBaseFDs)
	if c.Role != "app" {
		if !c.HasNginx.Known() {
			return cantTell("nginx", c.HasNginx)
		}
		if c.HasNginx.V {
			perPoll := int64(nginxFDsPerPoll * c.hops())
			// What more it holds itself is next to nothing of so many.
			n = min(n, byDescriptors(facts.Limit(v.V), perPoll, nginxFewFDs))
			need = descriptorsFor(c.Demand.Workers, perPoll, nginxFewFDs)
		}
	}
	return c.limits(Capacity{Safe: n, Hard: n}, fmt.Sprint(v.V), fmt.Sprint(need), v.Source, func() reports.Remedy {
		// Never below what the other remedies set NOFILE to: a unit that asks for
		// more than fs.nr_open does not start.
		return c.sysctlRemedy("raise the ceiling of NOFILE", fmt.Sprintf("fs.nr_open = %d", max(kernelNROpen, roomy(need))))
	})
}

// fdsPerPoll is what a poll takes on this host; o: why that can't be told.
func (c Case) fdsPerPoll() (n int64, o *Judgement) {
	hops, o := c.here()
	if o != nil {
		return 0, o
	}
	for _, h := range hops {
		a := h.Descriptors()
		switch {
		case a.Status == kinds.NA:
		case !a.Is():
			o := unanswered(a)
			return 0, &o
		case h.Kind == kinds.Nginx:
			n += a.V.Poll * int64(c.hops())
		default:
			n += a.V.Poll
		}
	}
	return max(n, 1), nil
}

func evalFileMax(c Case) Judgement {
	most, used := c.Sysctls.FileMax, c.Files
	if !most.Known() {
		return cantTell("fs.file-max", most)
	}
	if !used.Known() {
		return cantTell("open files", used)
	}
	per, o := c.fdsPerPoll()
	if o != nil {
		return *o
	}
	own := int64(0)
	for _, p := range c.Processes.V {
		if p.FDs.Known() {
			own += int64(p.FDs.V)
		}
	}
	others := used.V.Allocated - own
	n := byHostFiles(most.V, others, per)
	need := hostFilesFor(c.Demand.Workers, others, per)
	return c.limits(Capacity{Safe: n, Hard: n, InUse: facts.Value[int64]{V: used.V.Allocated, Source: used.Source}, Unit: "fds"},
		bounded(most.V), fmt.Sprintf("%d: %d a poll, others' %d", need, per, max(others, 0)), most.Source, func() reports.Remedy {
			return c.sysctlRemedy("raise the host's open files", fmt.Sprintf("fs.file-max = %d", powerOfTwo(2*need)))
		})
}

// bounded writes a kernel's maximum; newer systems set file-max to no limit at all.
func bounded(n int64) string {
	if n >= 1<<60 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func evalConntrack(c Case) Judgement {
	v := c.Conntrack
	if !v.Known() {
		return cantTell("conntrack", v)
	}
	if v.V == nil {
		return notApplicable("the kernel tracks no connections")
	}
	if c.Role != "app" && !c.HasNginx.Known() {
		return cantTell("nginx", c.HasNginx)
	}
	behind := c.Role == "app" || c.HasNginx.V && c.overTCP()
	local := c.loopback()
	least, most := flowsPerPoll(c.Role != "app", behind, c.Role == "" && local.Known() && local.V)
	others := v.V.Count - c.held(false) - c.held(true)
	need := conntrackFor(c.Demand.Workers, others, most)
	return c.limits(Capacity{Safe: byConntrack(v.V.Max, others, most), Hard: byConntrack(v.V.Max, others, least), InUse: facts.Value[int64]{V: v.V.Count, Source: conntrackCount}, Unit: "flows"},
		fmt.Sprint(v.V.Max), fmt.Sprintf("%d: %d a poll, others' %d", need, most, max(others, 0)), v.Source, func() reports.Remedy {
			return c.conntrackRemedy(powerOfTwo(2 * need))
		})
}

const conntrackCount = "/proc/sys/net/netfilter/nf_conntrack_count"

func evalTCPMem(c Case) Judgement {
	v := c.Sysctls.TCPMem
	if !v.Known() {
		return cantTell("net.ipv4.tcp_mem", v)
	}
	if !c.Sockets.Known() {
		return cantTell("sockets", c.Sockets)
	}
	per, o := c.fdsPerPoll() // every descriptor of a poll is a socket
	if o != nil {
		return *o
	}
	page := c.Sockets.V.PageBytes
	if page == 0 {
		return unknownFor("the size of the kernel's pages")
	}
	need := tcpPagesFor(c.Demand.Workers, c.Sockets.V.MemBytes/page, per)
	pressure := v.V[1]
	if need <= pressure {
		return pass(fmt.Sprintf("%s before pressure", size(pressure*page)), v.Source)
	}
	return fail(fmt.Sprintf("%s before pressure", size(pressure*page)), size(need*page)+" when a round ends", v.Source,
		c.sysctlRemedy("let sockets buffer more", fmt.Sprintf("net.ipv4.tcp_mem = %d %d %d", need, 2*need, 4*need)))
}

func evalSynBacklog(c Case) Judgement {
	cookies, backlog := c.Sysctls.SynCookies, c.Sysctls.SynBacklog
	if !cookies.Known() {
		return cantTell("tcp_syncookies", cookies)
	}
	if cookies.V != 0 {
		return pass("SYN cookies are on", cookies.Source)
	}
	if !backlog.Known() {
		return cantTell("tcp_max_syn_backlog", backlog)
	}
	if backlog.V >= int64(c.Demand.Workers) {
		return pass(fmt.Sprint(backlog.V), backlog.Source)
	}
	return fail(fmt.Sprintf("%d, and no SYN cookies", backlog.V), fmt.Sprintf("%d, or cookies", c.Demand.Workers), backlog.Source,
		c.sysctlRemedy("answer bursts with SYN cookies", "net.ipv4.tcp_syncookies = 1"))
}

func evalOverflows(c Case) Judgement {
	v := c.Listen
	if !v.Known() {
		return cantTell("counters", v)
	}
	if v.V.Overflows == 0 {
		return pass("0 since the host started", v.Source)
	}
	return fail(fmt.Sprintf("%d since the host started", v.V.Overflows), "0", v.Source,
		reports.Remedy{Text: "find the listener by its Recv-Q, then raise its backlog and net.core.somaxconn", Commands: []string{"ss -ltn"}})
}

func evalTCPKeepalive(c Case) Judgement {
	v := c.Sysctls.KeepaliveTime
	if !v.Known() {
		return cantTell("tcp_keepalive_time", v)
	}
	const enough = 600 // seconds: the order of the idle times after which NATs forget
	if v.V <= enough {
		return pass(seconds(float64(v.V)), v.Source)
	}
	return fail(seconds(float64(v.V)), "minutes, as NATs forget", v.Source,
		c.sysctlRemedy("probe silent connections sooner", "net.ipv4.tcp_keepalive_time = 300"))
}
