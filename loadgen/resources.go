package loadgen

import (
	"context"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// sampleEvery is how often the processes' memory and descriptors are looked at.
const sampleEvery = 250 * time.Millisecond

// What a poll takes at least, in descriptors and in bytes, of a process that holds it:
// one that grew by less holds none, and was measured in place of the one that does.
const (
	leastFDs = .1
	leastRSS = 100
)

// mostSamples bounds the samples kept of a hold.
const mostSamples = 4096

// watched is a process whose use of the machine is followed, with its descendants.
type watched struct {
	name    string // "server" or "generator"
	tree    tree
	first   facts.Usage
	last    facts.Usage
	peakRSS int64
	peakFDs int
	steady  []heldUsage // while polls were held
	recent  []cpuAt     // of the last second and the sample before it
	cores   float64     // kept busy, over the last second
	peakCPU float64     // the most of them
	members int         // of the tree
	fullest fullest     // of them
}

// heldUsage is a process's use of the machine while so many polls were held.
type heldUsage struct {
	facts.Usage
	held int64
}

// sampler follows the processes of a run.
type sampler struct {
	held    *gauge
	mu      sync.Mutex // of what was noted of the processes
	procs   []*watched
	holding atomic.Bool     // the samples count as steady
	before  map[string]bool // connections that the server had accepted when the run began, by their other ends; nil: unknown
	places  int             // that it had accepted since by the end; -1: unknown
	began   time.Time
	garbage garbage             // of this process when the run began
	host    facts.ProcessorTime // when the run began
	now     facts.ProcessorTime // when last looked
	pressed atomic.Bool         // lately server and generator had all that there is of the CPUs
	stop    context.CancelFunc
	done    chan struct{}
}

// sample starts to follow this process and, unless serverPID is 0, the server's.
// It takes its first sample before it returns.
func sample(serverPID int, held *gauge) *sampler {
	root := facts.NewRoot("/")
	s := &sampler{held: held, began: time.Now(), garbage: collected(), done: make(chan struct{})}
	if serverPID != 0 {
		s.procs = append(s.procs, &watched{name: "server", tree: tree{root: root, pid: serverPID}})
	}
	s.procs = append(s.procs, &watched{name: "generator", tree: tree{root: root, pid: os.Getpid(), alone: true}})
	s.look()
	for _, p := range s.procs {
		p.first = p.last
	}
	s.before = s.accepted()
	s.host, _ = facts.ReadProcessorTime(root) // else nothing is told of others
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		defer close(s.done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.look()
			}
		}
	}()
	return s
}

// look takes a sample of each process; one that is gone keeps its last.
func (s *sampler) look() {
	pair := 0.
	for _, p := range s.procs {
		u, err := p.tree.read()
		if err != nil {
			continue
		}
		pair += u.CPUSeconds - p.last.CPUSeconds
		s.mu.Lock()
		p.note(u)
		if s.holding.Load() {
			p.hold(heldUsage{u, s.held.now.Load()})
		}
		s.mu.Unlock()
	}
	now, err := facts.ReadProcessorTime(s.procs[0].tree.root)
	if err != nil {
		return // nothing is known of the host, so nothing is said to have been pressed
	}
	s.pressed.Store(len(s.procs) > 1 && s.now.Idle > 0 && press(s.now, now, pair))
	s.now = now
}

// press says whether a pair of server and generator that used so many seconds of CPU
// between two moments had all that there was: no more than a tenth was idle, and at
// least half of all was theirs.
func press(before, now facts.ProcessorTime, pair float64) bool {
	idle := now.Idle - before.Idle
	all := idle + now.Busy - before.Busy + now.Stolen - before.Stolen
	return all > 0 && idle <= all/10 && pair >= all/2
}

// uses are what the processes used when they were last looked at.
func (s *sampler) uses() []reports.Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []reports.Use
	for _, p := range s.procs {
		all = append(all, reports.Use{
			Process: p.name, RSSBytes: p.last.RSSBytes, Cores: p.cores, FDs: p.last.FDs, FDLimit: p.fullest.limit,
		})
	}
	return all
}

// cpuAt is the processor time used until a moment.
type cpuAt struct {
	at  time.Time
	cpu float64
}

// busy keeps the most cores that were busy over a second.
func (p *watched) busy(now time.Time, cpu float64) {
	p.recent = append(p.recent, cpuAt{now, cpu})
	for len(p.recent) > 1 && now.Sub(p.recent[1].at) >= time.Second {
		p.recent = p.recent[1:]
	}
	if over := now.Sub(p.recent[0].at); over >= time.Second {
		p.cores = (cpu - p.recent[0].cpu) / over.Seconds()
		p.peakCPU = max(p.peakCPU, p.cores)
	}
}

// note takes a sample.
func (p *watched) note(u facts.Usage) {
	p.last, p.members, p.fullest = u, len(p.tree.members), p.tree.fullest
	p.busy(time.Now(), u.CPUSeconds)
	p.peakRSS = max(p.peakRSS, u.RSSBytes)
	p.peakFDs = max(p.peakFDs, u.FDs)
}

// hold keeps a sample of a time when polls were held.
func (p *watched) hold(u heldUsage) {
	if len(p.steady) == mostSamples {
		// A hold of days: every other sample tells as much.
		for i := range mostSamples / 2 {
			p.steady[i] = p.steady[2*i]
		}
		p.steady = p.steady[:mostSamples/2]
	}
	p.steady = append(p.steady, u)
}

// perWorker is the growth since the first sample for each poll that was held, of
// memory in bytes and of descriptors; ok is false if none was.
func (p *watched) perWorker() (rss, fds float64, ok bool) {
	if len(p.steady) == 0 {
		return 0, 0, false
	}
	held := float64(median(p.steady, func(u heldUsage) int64 { return u.held }))
	rss = float64(median(p.steady, func(u heldUsage) int64 { return u.RSSBytes }) - p.first.RSSBytes)
	fds = float64(median(p.steady, func(u heldUsage) int64 { return int64(u.FDs) }) - int64(p.first.FDs))
	return rss / held, fds / held, held > 0
}

// last takes a last sample while all connections are still there.
func (s *sampler) last() {
	s.stop()
	<-s.done
	s.look()
	s.holding.Store(false)
	s.places = s.taken()
}

// taken is how many connections the server has accepted since the run began; -1: unknown.
func (s *sampler) taken() int {
	now := s.accepted()
	if now == nil || s.before == nil {
		return -1
	}
	maps.DeleteFunc(now, func(end string, _ bool) bool { return s.before[end] })
	return len(now)
}

// accepted are the connections that the server has accepted, by their other ends; nil
// where nobody can tell.
func (s *sampler) accepted() map[string]bool {
	p := s.procs[0]
	if p.name != "server" {
		return nil
	}
	now := tree{root: p.tree.root, pid: p.tree.pid} // its own: samples may be taken meanwhile
	if _, err := now.read(); err != nil {
		return nil
	}
	ends, err := facts.Accepted(now.root, now.members)
	if err != nil {
		return nil
	}
	all := make(map[string]bool, len(ends))
	for _, end := range ends {
		all[end] = true
	}
	return all
}

// resources are what each process has used.
func (s *sampler) resources() []reports.Resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []reports.Resource
	for _, p := range s.procs {
		r := reports.Resource{
			Process: p.name, PID: p.tree.pid, RSSPeakBytes: p.peakRSS,
			CPUSeconds: p.last.CPUSeconds - p.first.CPUSeconds, CPUPeak: p.peakCPU, FDsPeak: p.peakFDs,
			FDLimit: p.fullest.limit,
		}
		if p.members > 1 {
			r.Processes, r.FDsFullest = p.members, p.fullest.fds
		}
		counted := p.first.FDs >= 0 // else another user's
		rss, fds, ok := p.perWorker()
		if holds := counted && fds >= leastFDs || !counted && rss >= leastRSS; ok && holds {
			r.RSSPerWorkerBytes = &rss
			if counted {
				r.FDsPerWorker = &fds
			}
		}
		all = append(all, r)
	}
	return all
}

// outlived adds to the server's resource what is left of the run with a server that
// goes on, once it has let go of the run's connections or had the time for it.
func (s *sampler) outlived(all []reports.Resource) {
	p := s.procs[0]
	if p.name != "server" || p.first.RSSBytes == 0 {
		return
	}
	const patience = time.Second
	u, err := p.tree.read()
	for deadline := time.Now().Add(patience); err == nil && u.FDs > p.first.FDs && time.Now().Before(deadline); {
		time.Sleep(sampleEvery / 10)
		u, err = p.tree.read()
	}
	if err != nil {
		return // it has ended, which the errors tell
	}
	rss := float64(u.RSSBytes-p.first.RSSBytes) / float64(p.first.RSSBytes)
	all[0].RSSGrowth = &rss
	if p.first.FDs >= 0 && u.FDs >= 0 {
		fds := float64(u.FDs - p.first.FDs)
		all[0].FDsGrowth = &fds
	}
}

// health is how the generator itself fared; own is its resource.
func (s *sampler) health(own reports.Resource, lag, spare reports.Histogram, portsLeft int64, reconnects int) *reports.Generator {
	gc := collected()
	g := &reports.Generator{
		LagP50Seconds: lag.Quantile(.5).Seconds(), LagP99Seconds: lag.Quantile(.99).Seconds(), LagMaxSeconds: lag.Max().Seconds(),
		SpareLagP99Seconds: spare.Quantile(.99).Seconds(),
		CPUShare:           own.CPUSeconds / time.Since(s.began).Seconds() / float64(runtime.GOMAXPROCS(0)),
		GCPauseSeconds:     (gc.pauses - s.garbage.pauses).Seconds(),
		FDsLeft:            -1, PortsLeft: portsLeft, Reconnects: reconnects,
	}
	if now, err := facts.ReadProcessorTime(facts.NewRoot("/")); err == nil && s.host.Idle > 0 {
		others, stolen := now.Busy-s.host.Busy, now.Stolen-s.host.Stolen
		all := others + stolen + now.Idle - s.host.Idle
		s.mu.Lock()
		for _, p := range s.procs {
			others -= p.last.CPUSeconds - p.first.CPUSeconds
		}
		s.mu.Unlock()
		if all > 0 {
			g.OthersCPUShare, g.StolenCPUShare = max(0, others/all), max(0, stolen/all)
		}
	}
	if own.FDLimit > 0 {
		g.FDsLeft = own.FDLimit - int64(own.FDsPeak)
	}
	collecting, rest := gc.collecting-s.garbage.collecting, gc.rest-s.garbage.rest
	if all := collecting + rest; all > 0 {
		g.GCCPUShare = collecting / all
	}
	return g
}

// garbage is what its collection has cost this process so far.
type garbage struct {
	pauses           time.Duration
	collecting, rest float64 // seconds of CPU, of the collector and of all else
}

func collected() garbage {
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	cpu := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(cpu)
	return garbage{gc.PauseTotal, cpu[0].Value.Float64(), cpu[1].Value.Float64()}
}

func median(us []heldUsage, of func(heldUsage) int64) int64 {
	vs := make([]int64, len(us))
	for i, u := range us {
		vs[i] = of(u)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}
