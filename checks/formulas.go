package checks

import (
	"math"
	"slices"

	"github.com/fltool/fltool/checks/facts"
)

// A Formula turns a limit into the number of workers it supports. All of them
// are in this file; the prover sets each limit low and measures.
type Formula struct {
	Name   string
	Text   string // in words and signs
	Source string // what it rests on
	Proof  string // the experiment that proved it, or Unproven
}

// Unproven marks a formula that no experiment of this project has proved yet.
const Unproven = "unproven"

const measured = "measured on Linux 6.18 with nginx 1.22.1, gunicorn 20.1 and gevent 22.10"

// Formulas lists them.
func Formulas() []Formula { return slices.Clone(formulas) }

var formulas = []Formula{
	{"app-descriptors", "workers = NOFILE − 13; of fltool serve − 12", measured + ": gunicorn holds 13 descriptors itself, fltool serve 10 and one each for --state and --ops-listen; a poll takes one", Unproven},
	{"gunicorn-connections", "hard: worker_connections − 1; safe: (worker_connections − 64) / 2, since idle keep-alive connections count, and a worker that comes anew holds two for a while", measured, Unproven},
	{"gunicorn-blocking", "workers = processes × threads: each held poll blocks one", "gunicorn's documentation of sync and gthread workers", Unproven},
	{"nginx-descriptors", "(NOFILE − 10) / 2 a process; safe: one process, since connections may all go to one; hard: the sum of all", measured + ": 40 → 15", Unproven},
	{"ports", "workers = ip_local_port_range less ip_local_reserved_ports, for one source and one upstream address", measured + ": 28232 by default", Unproven},
	{"host-files", "workers = (fs.file-max − descriptors of other programs) / descriptors a poll on this host: 1 of the application and 2 of nginx", "documentation of the kernel's fs.file-max", Unproven},
	{"nr-open", "workers = fs.nr_open − 13: no NOFILE can be higher; behind nginx (fs.nr_open − 10) / 2", "documentation of the kernel's fs.nr_open", Unproven},
	{"memory", "workers = (memory available + that of polls held now) / memory a poll on this host: 38 KiB of the application and 10.5 KiB of nginx, without TLS and without models in flight", measured, Unproven},
	{"conntrack", "hard: nf_conntrack_max less other flows; safe: half, where loopback is tracked too", "documentation of the kernel's nf_conntrack", Unproven},
	{"held-run", "safe: the fewest polls held at any moment of a run that came with more workers; hard: the most", "the run itself", "the run itself"},
}

// The constants of the formulas.
const (
	appBaseFDs       = 13       // of the application itself: gunicorn's, and what is assumed of others
	fltoolBaseFDs    = 12       // of fltool serve itself
	nginxBaseFDs     = 10       // of one nginx worker, listeners and logs included
	nginxFDsPerPoll  = 2        // client and upstream
	gunicornSpare    = 64       // connections that are no worker's
	appBytesPerPoll  = 38 << 10 // gunicorn with gevent: 33 to 38 KiB
	nginxBytes2      = 21 << 10 // of two polls: 10.5 KiB each
	tcpPagesPerSock  = 1        // buffered at once while models are sent
	timeWaitSeconds  = 60       // a closed connection keeps its port for
	requestsPerRound = 5        // challenge, poll, challenge, model, update
	reloadTasks      = 32       // processes and threads that a restart beside the old needs
	maxWorkers       = math.MaxInt32
)

// workers turns a count into a number of workers: never negative, and within
// what an int holds anywhere.
func workers(n int64) int { return int(min(max(n, 0), maxWorkers)) }

// byDescriptors is app-descriptors.
func byDescriptors(limit facts.Limit, base int64) int {
	if limit == facts.Unlimited {
		return maxWorkers
	}
	return workers(int64(limit) - base)
}

// nginxByDescriptors is nginx-descriptors for one process.
func nginxByDescriptors(limit facts.Limit) int {
	if limit == facts.Unlimited {
		return maxWorkers
	}
	return workers((int64(limit) - nginxBaseFDs) / nginxFDsPerPoll)
}

// byGunicornConnections is gunicorn-connections.
func byGunicornConnections(connections int) (safe, hard int) {
	hard = workers(int64(connections) - 1)
	return min(hard, workers((int64(connections)-gunicornSpare)/2)), hard
}

// gunicornConnectionsFor is the inverse: what n workers need.
func gunicornConnectionsFor(n int) int { return 2*n + gunicornSpare }

// byBlocking is gunicorn-blocking.
func byBlocking(processes, threads int) int { return workers(int64(processes) * int64(threads)) }

// byPorts is ports.
func byPorts(p facts.PortRange) int { return workers(int64(p.Usable())) }

// byHostFiles is host-files.
func byHostFiles(fileMax, others, perPoll int64) int {
	return workers((fileMax - max(others, 0)) / perPoll)
}

// byMemory is memory.
func byMemory(available, held, perPoll int64) int {
	return workers((available + held*perPoll) / perPoll)
}

// byConntrack is conntrack.
func byConntrack(most, others int64) (safe, hard int) {
	free := most - max(others, 0)
	return workers(free / 2), workers(free)
}
