package checks

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
)

// A Formula turns a limit into the number of workers it supports. All of them
// are in this file; the prover sets each limit low and measures.
type Formula struct {
	Name   string
	Text   string // in words and signs
	Source string // what it rests on
	Proof  string // the experiments that proved it, by the names that prove -list gives them, or Unproven
}

// Unproven marks a formula that no experiment of this project has proved yet.
const Unproven = "unproven"

// Itself is the source and proof of what is measured on the spot.
const Itself = "the run itself"

const measured = "measured on Linux 6.18 with nginx 1.22.1, gunicorn 20.1 and gevent 22.10"

// Formulas lists them.
func Formulas() []Formula { return slices.Clone(formulas) }

var formulas = []Formula{
	{"app-descriptors", "hard: NOFILE − what the server has open beside its connections (13 at least; of fltool serve 12); safe: the same, by two where updates are larger than what the server keeps in memory (bottle: 100 KiB), which --model-size or --update-size states", measured + ": gunicorn holds 13 descriptors itself, fltool serve 10 and one each for --state and --ops-listen; a poll takes one, an update in a file a second", "fltool-descriptors, gunicorn-descriptors, uploads-descriptors"},
	{"gunicorn-connections", "hard: worker_connections; safe: (worker_connections − 64) / 2, since idle keep-alive connections count, and a worker that comes anew holds two for a while", measured, "gunicorn-connections, gunicorn-reconnect"},
	{"holds", "what its kind holds: threads, or processes × threads, where each held poll blocks one; else the bound that it is given", "documentation and sources of each kind", "gunicorn-threads, waitress-threads, uwsgi-threads, uvicorn-limit, grpc-pool, haproxy-maxconn, haproxy-server-maxconn, apache-workers, caddy-connections"},
	{"proxy-descriptors", "(NOFILE − own) / descriptors a poll of the process that holds them, two of most proxies; times the processes where each poll has a thread", "measured of HAProxy 2.6, Caddy 2.6 and Apache 2.4: two a poll", "haproxy-descriptors"},
	{"nginx-descriptors", "hard: (NOFILE − own) / 2 a process, added up; safe: of one process, by 3 where --model-size or --update-size states updates that nginx keeps in a file first, since connections may all go to one; own: 5, the log files, the processes, and the listeners, with reuseport once a process; 10 at least", measured + ": 40 → 15", "nginx-descriptors, nginx-descriptors-logs, nginx-uploads"},
	{"nginx-slots", "hard: (worker_connections − listeners − 1) / 2 a process (/ 4 where nginx passes polls to itself or a stream server stands before http, and so on), added up over the processes, with accept_mutex on as well; safe: (worker_connections · 15/16 − listeners − 1) / 2 of one process, since nginx cuts idle clients once fewer than 1/16 of the slots are free, and connections may all go to one process; with reuseport on every listen safe is n of p processes where 9/8·n/p + 3·√(n/p·(1 − 1/p)) is one process's, since a crowd's connections come while those before them close", measured + ": 512 → 239 and 255, 1024 → 481 and 511; likely, and the odds of more: make nginx-odds", "nginx-512-burst, nginx-512-steady, nginx-1024-burst, nginx-1024-steady, nginx-512-reuse, nginx-512-upstream-idle, nginx-512-tls, nginx-4x512-burst, nginx-4x512-steady, nginx-accept-mutex, nginx-reuseport, nginx-reload"},
	{"nginx-limit-conn", "workers = limit_conn, where all come from one address or the key is no address; hard: no limit where each has an address of its own", "nginx's documentation of limit_conn: a held poll counts for as long as it is held", "nginx-limit-conn"},
	{"nginx-limit-req", "workers = burst + 1, and (burst + 1 + a second of rate) / 8, where all come from one address; without nodelay its delay, 0 where none is set, instead of burst, as nginx lets what is above wait: after a restart each asks for 3 things, and for 5 more if a round ends then; when it ends all ask for a challenge at once. And not more than rate · hold / 2: whenever a hold ends its worker asks for a challenge and polls anew, for ever", "nginx's documentation of limit_req: burst + 1 requests at once", "nginx-limit-req"},
	{"nginx-max-conns", "workers = the sum of max_conns of the upstream's servers, a process unless a zone is shared", "nginx's documentation of upstream servers", "nginx-max-conns"},
	{"ports", "workers = ip_local_port_range less ip_local_reserved_ports, times the upstream's addresses, for one source address", measured + ": 28232 by default", "nginx-ports"},
	{"host-files", "workers = (fs.file-max − descriptors of other programs) / descriptors a poll on this host: 1 of the application and 2 of nginx", "documentation of the kernel's fs.file-max", Unproven},
	{"nr-open", "workers = fs.nr_open − 13: no NOFILE can be higher; behind nginx (fs.nr_open − 10) / 2", "documentation of the kernel's fs.nr_open", Unproven},
	{"memory", "workers = (memory available + that of polls held now) / memory a poll on this host, without TLS and without models in flight: of the application 38 KiB (hard: 34 KiB) and of nginx 10.5 KiB", measured + ": gunicorn holds a poll of dc_federated's in 34 to 38 KiB, the kernel's part included", "gunicorn-memory"},
	{"conntrack", "workers = (nf_conntrack_max less other flows) / flows a poll on this host: 1 of its client, 1 of its connection before, closed while it was idle, and where nginx is there 1 between it and the application and 5 that the round before has closed (hard: its client's alone, and on two hosts the one behind nginx)", "documentation of the kernel's nf_conntrack", "conntrack"},
	{"tasks", "workers = pids.max, TasksMax or NPROC less the tasks in use, where each held poll blocks a thread (gthread); no limit where polls share one (gevent)", "documentation of the kernel's pids controller", "gunicorn-tasks"},
	{"held-run", "safe: the fewest polls held at any moment of a run that came with more workers; hard: the most", Itself, Itself},
}

// The constants of the formulas.
const (
	appBaseFDs       = 13  // of the application itself: gunicorn's, and what is assumed of others
	nginxFewFDs      = 10  // of one nginx worker process itself, at least
	nginxSpareFDs    = 256 // above worker_connections: what nginx opens itself, and bodies on disk
	nginxFDsPerPoll  = 2   // client and upstream
	tcpPagesPerSock  = 1   // buffered at once while models are sent
	timeWaitSeconds  = 60  // a closed connection keeps its port for
	requestsPerRound = 5   // challenge, model, update, challenge, poll
	requestsPerHold  = 2   // challenge, poll
	requestsAtOnce   = 8   // after a restart: register, challenge, poll; and a round
	reloadTasks      = 32  // processes and threads that a restart beside the old needs
	maxWorkers       = math.MaxInt32
)

// workers turns a count into a number of workers: never negative, and within
// what an int holds anywhere.
func workers(n int64) int { return int(min(max(n, 0), maxWorkers)) }

// times is so many workers in each of some processes.
func times(n, processes int) int { return workers(int64(n) * int64(processes)) }

// byDescriptors is app-descriptors, and nginx-descriptors for one process.
func byDescriptors(limit facts.Limit, perWorker, base int64) int {
	if limit == facts.Unlimited {
		return maxWorkers
	}
	return workers((int64(limit) - base) / perWorker)
}

// descriptorsFor is the inverse: the NOFILE for n workers.
func descriptorsFor(n int, perWorker, base int64) int64 { return int64(n)*perWorker + base }

// nginxOwn is how many descriptors a worker process of nginx holds itself: stdin,
// stdout, stderr, epoll and its eventfd; logs; a channel to each process; listeners.
func nginxOwn(n *facts.Nginx, processes int) int64 {
	p := int64(processes)
	return max(nginxFewFDs, 5+int64(n.Logs)+p+int64(n.Listeners-n.Reuseport)+int64(n.Reuseport)*p)
}

// rlimitFor is the worker_rlimit_nofile that goes with worker_connections.
func rlimitFor(connections, own int64) int64 { return connections + max(nginxSpareFDs, own+64) }

// byPorts is ports.
func byPorts(p facts.PortRange, addresses int) int {
	return workers(int64(p.Usable()) * int64(addresses))
}

// byHostFiles is host-files.
func byHostFiles(fileMax, others, perPoll int64) int {
	return workers((fileMax - max(others, 0)) / perPoll)
}

// hostFilesFor is the inverse: the fs.file-max for n workers.
func hostFilesFor(n int, others, perPoll int64) int64 { return max(others, 0) + int64(n)*perPoll }

// memoryFor is the inverse of memory: the bytes for n workers.
func memoryFor(n int, perPoll int64) int64 { return int64(n) * perPoll }

// byMemory is memory.
func byMemory(available, held, perPoll int64) int {
	return workers((available + held*perPoll) / perPoll)
}

// byConntrack is conntrack.
func byConntrack(most, others, perPoll int64) int {
	return workers((most - max(others, 0)) / perPoll)
}

// conntrackFor is the inverse: the nf_conntrack_max for n workers.
func conntrackFor(n int, others, perPoll int64) int64 { return int64(n)*perPoll + max(others, 0) }

// flowsPerPoll is how many tracked connections a poll makes on a host: that of its
// client, where that comes there, and that between nginx and the application,
// which over loopback is tracked only where loopback is. Without upstream
// keep-alive nginx opens one a request, and for two minutes after a round those
// are tracked, too.
func flowsPerPoll(client, upstream, loopback bool) (least, most int64) {
	if client {
		least, most = 1, 2 // and one that a hop closed while the worker trained
	}
	if upstream {
		most += 1 + requestsPerRound
	}
	if upstream && !loopback {
		least++
	}
	return least, most
}

// portsAfterRound is how many local ports n workers take in the minute after a
// round where closed connections keep theirs: their polls', and at worst all the
// round's requests'.
func portsAfterRound(n int) int { return n * (1 + requestsPerRound) }

// tcpPagesFor is how many pages the kernel buffers when n workers have something
// in flight on each of their sockets.
func tcpPagesFor(n int, inUse, socketsPerPoll int64) int64 {
	return inUse + int64(n)*socketsPerPoll*tcpPagesPerSock
}

// byTasks is tasks.
func byTasks(free, held int64) int { return workers(free + held) }

// tasksFor is the inverse: the limit for n workers beside what else is in use.
func tasksFor(n int, inUse, held int64) int64 { return int64(n) + max(inUse-held, 0) }

// maxLimitConn is the largest limit_conn that nginx takes; one address has no more
// ports towards another.
const maxLimitConn = 1<<16 - 1

// limitConnFor is a limit_conn that n workers behind one address live with: a
// poll each, and one more connection where there are that many.
func limitConnFor(n int) int { return min(2*n, maxLimitConn) }

// byRequests is nginx-limit-req.
func byRequests(l nginx.LimitReq) int64 {
	burst := l.Burst
	if !l.Nodelay { // what is above delay waits its turn
		burst = min(burst, l.Delay)
	}
	atOnce := min(burst, maxWorkers) + 1
	return min(atOnce, (atOnce+int64(min(l.Rate, maxWorkers)))/requestsAtOnce)
}

// bySteadyRate is nginx-limit-req's other bound: how many workers a rate of requests
// a second carries for ever, where each asks for some things a hold.
func bySteadyRate(rate float64, hold time.Duration, asks int) int64 {
	if hold <= 0 || asks == 0 {
		return maxWorkers
	}
	return int64(min(rate*hold.Seconds()/float64(asks), maxWorkers))
}

// steadyRateFor is the inverse: the rate for n workers, and half as much again.
func steadyRateFor(n int, hold time.Duration) int64 {
	if hold <= 0 {
		return 1
	}
	return int64(float64(n)*requestsPerHold/hold.Seconds()*1.5) + 1
}

// limitReqFor is a burst that n workers behind one address live with: four rounds
// that follow each other at once, or a restart and three.
func limitReqFor(n int) int { return 4 * requestsPerRound * n }

// bySlots is nginx-slots for one process.
func bySlots(connections int64, hops, listeners int) (safe, hard int) {
	fixed := int64(listeners) + 1 // the channel to the master
	perPoll := nginxFDsPerPoll * int64(hops)
	hard = workers((connections - fixed) / perPoll)
	return min(hard, workers((connections-connections/16-fixed)/perPoll)), hard
}

// slotsFor is the inverse: the least worker_connections whose safe bound is n, where
// connections are spread evenly over so many processes.
func slotsFor(n, hops, listeners, even int) int64 {
	c := (int64(n/even)*nginxFDsPerPoll*int64(hops) + int64(listeners) + 1) * 16 / 15
	for {
		if safe, _ := bySlots(c, hops, listeners); spread(safe, even) >= n {
			return c
		}
		c++
	}
}

// spread is how many connections p processes take of which each takes most, where
// the kernel gives each connection to any of them alike, as with reuseport: as many
// as leave the mean of a process, and an eighth for connections that come while those
// before them close, three standard deviations below its bound.
func spread(most, p int) int {
	if p < 2 {
		return most
	}
	fits := func(n int) bool {
		mean := float64(n) / float64(p)
		return mean*9/8+3*math.Sqrt(mean*(1-1/float64(p))) <= float64(most)
	}
	return sort.Search(workers(int64(most)*int64(p)), func(n int) bool { return !fits(n + 1) })
}

// formBytes is what multipart/form-data puts around an update: boundaries,
// heads of the parts and the signature.
const formBytes = 2 << 10

// BodyBytes is the largest body, in bytes, of an update of n bytes that zlib can't
// compress: 5 bytes for each stored block, a head and a checksum.
func BodyBytes(n int64) int64 { return n + (n/16383+1)*5 + 6 + formBytes }

// UpdateBytes is the inverse: the largest update, in bytes, whose body is surely not
// larger than n bytes; 0: none.
func UpdateBytes(n int64) int64 {
	update := max((n-6-formBytes)/16388*16383, 0)
	for BodyBytes(update+1) <= n {
		update++
	}
	return update
}
