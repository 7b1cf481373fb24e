package loadgen

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// sampleEvery is how often the processes' memory and descriptors are looked at.
const sampleEvery = 250 * time.Millisecond

// mostSamples bounds the samples kept of a hold.
const mostSamples = 4096

// watched is one process whose use of the machine is followed.
type watched struct {
	name    string // "server" or "generator"
	pid     int
	first   facts.Usage
	last    facts.Usage
	peakRSS int64
	peakFDs int
	steady  []facts.Usage // while all polls were held
	recent  []cpuAt       // of the last second and the sample before it
	peakCPU float64       // cores
}

// sampler follows the processes of a run.
type sampler struct {
	root    facts.Root
	procs   []*watched
	holding atomic.Bool // the samples count as steady
	began   time.Time
	stop    context.CancelFunc
	done    chan struct{}
}

// sample starts to follow this process and, unless serverPID is 0, the server's.
// It takes its first sample before it returns.
func sample(serverPID int) *sampler {
	s := &sampler{root: facts.NewRoot("/"), began: time.Now(), done: make(chan struct{})}
	if serverPID != 0 {
		s.procs = append(s.procs, &watched{name: "server", pid: serverPID})
	}
	s.procs = append(s.procs, &watched{name: "generator", pid: os.Getpid()})
	for _, p := range s.procs {
		p.look(s.root, false)
		p.first = p.last
	}
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
				for _, p := range s.procs {
					p.look(s.root, s.holding.Load())
				}
			}
		}
	}()
	return s
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
		p.peakCPU = max(p.peakCPU, (cpu-p.recent[0].cpu)/over.Seconds())
	}
}

// look takes a sample; a process that is gone keeps its last one.
func (p *watched) look(root facts.Root, steady bool) {
	u, err := facts.ReadUsage(root, p.pid)
	if err != nil && u.RSSBytes == 0 {
		return
	}
	p.last = u
	p.busy(time.Now(), u.CPUSeconds)
	p.peakRSS = max(p.peakRSS, u.RSSBytes)
	p.peakFDs = max(p.peakFDs, u.FDs)
	if steady {
		if len(p.steady) == mostSamples {
			// A hold of days: every other sample tells as much.
			for i := range mostSamples / 2 {
				p.steady[i] = p.steady[2*i]
			}
			p.steady = p.steady[:mostSamples/2]
		}
		p.steady = append(p.steady, u)
	}
}

// last takes a last sample while all connections are still there.
func (s *sampler) last() {
	s.stop()
	<-s.done
	for _, p := range s.procs {
		p.look(s.root, s.holding.Load())
	}
}

// end takes a sample of what is left and gives what each process used; held is the number
// of polls that were held while the samples were steady.
func (s *sampler) end(held int) []reports.Resource {
	var all []reports.Resource
	for _, p := range s.procs {
		p.look(s.root, false)
		r := reports.Resource{
			Process: p.name, PID: p.pid, RSSPeakBytes: p.peakRSS,
			CPUSeconds: p.last.CPUSeconds - p.first.CPUSeconds, CPUPeak: p.peakCPU, FDsPeak: p.peakFDs,
		}
		if limits, err := facts.ReadLimits(s.root, p.pid); err == nil {
			r.FDLimit = int64(limits.NoFile.Soft)
		}
		if held > 0 && len(p.steady) > 0 {
			rss := float64(median(p.steady, func(u facts.Usage) int64 { return u.RSSBytes })-p.first.RSSBytes) / float64(held)
			fds := float64(median(p.steady, func(u facts.Usage) int64 { return int64(u.FDs) })-int64(p.first.FDs)) / float64(held)
			r.RSSPerWorkerBytes = &rss
			if p.first.FDs >= 0 { // else another user's, which can't be counted
				r.FDsPerWorker = &fds
			}
		}
		all = append(all, r)
	}
	return all
}

// health is how the generator itself fared; own is its resource.
func (s *sampler) health(own reports.Resource, lag reports.Histogram, portsLeft int64, reconnects int) *reports.Generator {
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	g := &reports.Generator{
		LagP50Seconds: lag.Quantile(.5).Seconds(), LagP99Seconds: lag.Quantile(.99).Seconds(), LagMaxSeconds: lag.Max().Seconds(),
		CPUShare:       own.CPUSeconds / time.Since(s.began).Seconds() / float64(runtime.GOMAXPROCS(0)),
		GCPauseSeconds: gc.PauseTotal.Seconds(),
		FDsLeft:        -1, PortsLeft: portsLeft, Reconnects: reconnects,
	}
	if own.FDLimit > 0 {
		g.FDsLeft = own.FDLimit - int64(own.FDsPeak)
	}
	cpu := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(cpu)
	if all := cpu[0].Value.Float64() + cpu[1].Value.Float64(); all > 0 {
		g.GCCPUShare = cpu[0].Value.Float64() / all
	}
	return g
}

func median(us []facts.Usage, of func(facts.Usage) int64) int64 {
	vs := make([]int64, len(us))
	for i, u := range us {
		vs[i] = of(u)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}
