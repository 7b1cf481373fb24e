package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// Options are what a run needs besides its Plan. The zero value is good.
type Options struct {
	Dial      Dialer             // instead of the network, for tests
	Record    *Recorder          // of every request; the caller closes it
	ServerPID int                // of the server, to measure it where it runs on this host; 0: unknown
	Exited    <-chan error       // yields when the server that the caller started has ended
	Progress  func(Progress)     // called about every tenth of a second, from one goroutine
	Env       func(*reports.Env) // adds what only the caller knows: the tool, its command
}

// Progress is how far a run has come.
type Progress struct {
	Elapsed   time.Duration
	Workers   int
	Held      int
	Sent      int64
	Done      int64
	Errors    int64
	Round     int // the highest that a worker has finished
	Rounds    int // asked of each worker
	Finished  int // workers that are done
	Lost      int
	Remaining time.Duration // of the hold; 0 where nobody can know
	Over      bool          // the run has ended: the last call
}

// run is one run while it lasts.
type run struct {
	plan    Plan
	opts    Options
	start   time.Time
	workers []*worker
	digest  wire.Digest
	held    *gauge
	t       *transport
	s       *scheduler

	done, errs     atomic.Int64
	finished, lost atomic.Int64 // workers
	pending        atomic.Int64 // workers that are neither through with their rounds nor lost
	round          atomic.Int64

	mu      sync.Mutex
	classes map[string]int // of errors, since the last tick of the timeline
}

// Run does what the plan says and reports it. Cancelling ctx ends the run at
// once, with a report of what was done. The error is a plan that can't be run or
// a recorder that failed; what the server did wrong stands in the report.
func Run(ctx context.Context, plan Plan, opts Options) (reports.Report, error) {
	if err := plan.check(); err != nil {
		return reports.Report{}, err
	}
	// Half the garbage of Go's default: what is left of the arrivals' would count as
	// memory of held polls.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	samples := sample(opts.ServerPID)
	defer samples.stop()
	r, err := newRun(ctx, plan, opts)
	if err != nil {
		return reports.Report{}, err
	}
	books, timeline, ending := r.drive(ctx, samples)
	return r.report(books, timeline, ending, samples), nil
}

func newRun(ctx context.Context, plan Plan, opts Options) (*run, error) {
	zlibbed, digest, err := wire.CompressUpdate(strings.NewReader(string(plan.Update)))
	if err != nil {
		return nil, err
	}
	plan.Update = nil // the compressed one is all that is sent
	form, err := wire.NewUpdateForm(zlibbed)
	if err != nil {
		return nil, err
	}
	address, err := resolve(ctx, plan.Target, plan.Sources)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if plan.Target.Scheme == "https" {
		plan.TLS = plan.TLS.Clone()
		if plan.TLS == nil {
			plan.TLS = &tls.Config{}
		}
		setDefault(&plan.TLS.ServerName, plan.Target.Hostname())
	} else {
		plan.TLS = nil
	}
	r := &run{plan: plan, opts: opts, digest: digest, held: newGauge()}
	r.workers = make([]*worker, plan.Workers)
	for i := range r.workers {
		w := &worker{index: i, no: plan.FirstNo + i, through: plan.Rounds == 0, rng: *rand.NewPCG(plan.Seed, uint64(plan.FirstNo+i))}
		if plan.Keys != nil {
			w.key = plan.Keys[i]
		}
		r.workers[i] = w
	}
	if plan.Rounds > 0 {
		r.pending.Store(int64(plan.Workers))
	}
	r.t = &transport{
		plan: &r.plan, workers: r.workers, form: form, held: r.held, models: newModels(), hands: newHands(),
		address: address,
		head: "Host: " + plan.Target.Host + "\r\nUser-Agent: fltool\r\nAccept-Encoding: gzip\r\nAccept: */*\r\n" +
			"Connection: keep-alive\r\n",
	}
	switch {
	case opts.Dial != nil:
		r.t.dialers = []Dialer{opts.Dial}
	case len(plan.Sources) == 0:
		r.t.dialers = []Dialer{netDialer(netip.Addr{})}
	}
	for _, source := range plan.Sources {
		r.t.dialers = append(r.t.dialers, netDialer(source))
	}
	return r, nil
}

// ending is how a run came to its end.
type ending struct {
	held        int           // fewest polls held during the hold
	hold        time.Duration // how long that was
	interrupted bool
	stalled     int    // workers that waited for a lost one when the run was ended
	forgone     int    // updates that were refused and not sent again
	forgoneAs   string // the first of them
	exited      error  // of the server that the caller started
}

// drive runs the attack to its end.
func (r *run) drive(ctx context.Context, samples *sampler) ([]*book, []reports.Tick, ending) {
	r.start = time.Now()
	r.t.start = r.start
	if r.opts.Record != nil {
		r.opts.Record.start = r.start
	}
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.t.ctx = inner
	r.s = newScheduler(r.t, len(r.workers))
	r.s.arrive(r.workers, r.plan.Ramp)
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{
			Transport:     r.t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		vegeta.Workers(1), vegeta.MaxWorkers(uint64(len(r.workers))), vegeta.MaxBody(longestText),
	)
	results := attacker.Attack(r.s.target, r.s, 0, "")

	books := make([]*book, runtime.GOMAXPROCS(0))
	shards := make([]chan *worker, len(books))
	var stepping sync.WaitGroup
	for i := range books {
		books[i] = newBook()
		shards[i] = make(chan *worker, len(r.workers))
		stepping.Go(func() {
			for w := range shards[i] {
				r.step(w, books[i])
			}
		})
	}
	consumed := make(chan struct{})
	go func() {
		defer close(consumed)
		for res := range results {
			w := r.route(res)
			shards[w.index%len(shards)] <- w
		}
		for _, s := range shards {
			close(s)
		}
	}()

	timeline, end := r.supervise(ctx, samples)
	cancel()
	close(r.s.ended)
	r.t.stop()
	<-consumed
	stepping.Wait()
	r.t.close()
	r.t.hands.stop()
	return books, timeline, end
}

// route finds the worker of a result and books what is not the worker's own.
func (r *run) route(res *vegeta.Result) *worker {
	u, fragment, _ := strings.Cut(res.URL, "#")
	w, err := r.t.workerOf(fragment)
	if err != nil {
		panic(err) // the URL is ours: transport.target made it
	}
	w.review(&r.plan)
	r.done.Add(1)
	if f := w.out.fail; f != nil && f.class != classReconnect && f.class != classStopped {
		r.errs.Add(1)
		r.mu.Lock()
		if r.classes == nil {
			r.classes = map[string]int{}
		}
		r.classes[string(f.class)]++
		r.mu.Unlock()
	}
	if r.opts.Record != nil && w.out.begun {
		r.opts.Record.record(res, w, u)
	}
	return w
}

// step takes a worker one request further.
func (r *run) step(w *worker, b *book) {
	now := time.Since(r.start)
	at, was := w.step, w.through
	b.enter(w)
	fate, delay := w.advance(&r.plan, now)
	if !was && (w.through || fate == fateLost) {
		r.pending.Add(-1)
	}
	switch fate {
	case fateNext:
		w.sign(&r.plan, r.digest)
		if n := int64(w.rounds); n > r.round.Load() {
			r.round.Store(n) // a racing shard may put it back for a moment; it is for progress only
		}
		r.s.at(w, w.out.done+delay)
	case fateDone:
		r.finished.Add(1)
	case fateLost:
		b.lose(w, at, now)
		r.lost.Add(1)
		if !w.polled {
			r.held.settled.Add(1)
		}
	}
}

// supervise waits for the end of the run and keeps the timeline meanwhile.
func (r *run) supervise(ctx context.Context, samples *sampler) ([]reports.Tick, ending) {
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	var (
		timeline     []reports.Tick
		last         reports.Tick // running sums
		holdFrom     time.Time
		settledSince time.Time
		stalledSince time.Time
		end          ending
		all          = int64(len(r.workers))
	)
	second := func(now time.Time) {
		sum := reports.Tick{Sent: int(r.t.sent.Load()), Done: int(r.done.Load()), Errors: int(r.errs.Load())}
		r.mu.Lock()
		classes := r.classes
		r.classes = nil
		r.mu.Unlock()
		timeline = append(timeline, reports.Tick{
			T: now.Sub(r.start).Seconds(), Held: int(r.held.now.Load()),
			Sent: sum.Sent - last.Sent, Done: sum.Done - last.Done, Errors: sum.Errors - last.Errors, Classes: classes,
		})
		last = sum
	}
	tell := func(now time.Time, over bool) {
		if r.opts.Progress == nil {
			return
		}
		p := Progress{
			Elapsed: now.Sub(r.start), Workers: len(r.workers), Held: int(r.held.now.Load()),
			Sent: r.t.sent.Load(), Done: r.done.Load(), Errors: r.errs.Load(),
			Round: int(r.round.Load()), Rounds: r.plan.Rounds,
			Finished: int(r.finished.Load()), Lost: int(r.lost.Load()), Over: over,
		}
		if !holdFrom.IsZero() {
			p.Remaining = max(0, r.plan.Hold-now.Sub(holdFrom))
		}
		r.opts.Progress(p)
	}
	finish := func() ([]reports.Tick, ending) {
		tell(time.Now(), true)
		second(time.Now())
		if !holdFrom.IsZero() {
			end.held, end.hold = r.held.fewest(), time.Since(holdFrom)
		}
		samples.last()
		return timeline, end
	}
	nextSecond := r.start.Add(time.Second)
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			end.interrupted = true
			return finish()
		case end.exited = <-r.opts.Exited:
			if end.exited == nil {
				end.exited = errors.New("it ended without an error")
			}
			return finish()
		case now = <-tick.C:
		}
		if !now.Before(nextSecond) {
			second(now)
			nextSecond = nextSecond.Add(time.Second)
		}
		pending := r.pending.Load() // before held: who is through has left its round's poll
		finished, lost, held := r.finished.Load(), r.lost.Load(), r.held.now.Load()
		tell(now, false)
		switch {
		case finished+lost == all:
			return finish()
		case r.plan.Hold > 0 && holdFrom.IsZero() && pending == 0:
			// All are held or lost. Where the server ends holds early some are always between
			// two polls: then it is enough that each has come so far.
			if settledSince.IsZero() && r.held.settled.Load() == all {
				settledSince = now
			}
			if held+lost == all || !settledSince.IsZero() && now.Sub(settledSince) >= r.plan.Grace {
				holdFrom = now
				debug.FreeOSMemory() // what the arrivals left behind is not the holding's
				r.held.watch()
				samples.holding.Store(true)
			}
		case !holdFrom.IsZero():
			if now.Sub(holdFrom) >= r.plan.Hold {
				return finish()
			}
		case lost > 0 && finished+lost+held == all:
			// The lost one may be all that the held ones wait for.
			if stalledSince.IsZero() {
				stalledSince = now
			} else if now.Sub(stalledSince) >= r.plan.Grace {
				end.stalled = int(held)
				return finish()
			}
		default:
			stalledSince = time.Time{}
		}
	}
}

// report puts together what was seen.
func (r *run) report(books []*book, timeline []reports.Tick, end ending, samples *sampler) reports.Report {
	all := newBook()
	for _, b := range books {
		all.add(b)
	}
	rounds, wakeup := all.close(r.start)
	resources := samples.end(end.held)
	rep := reports.Report{
		Schema: reports.Schema, Kind: reports.KindSimulate,
		Env: environment(r.start, &r.plan),
		Demand: reports.Demand{
			Workers: r.plan.Workers, Rounds: r.plan.Rounds, HoldSeconds: r.plan.Hold.Seconds(), RampSeconds: r.plan.Ramp.Seconds(),
			UpdateBytes: r.plan.updateSize,
		},
		Rounds: rounds, Timeline: timeline, Lost: all.lost, Resources: resources,
		Bytes:     &reports.Bytes{Sent: r.t.bytes.out.Load(), Received: r.t.bytes.in.Load()},
		Generator: samples.health(resources[len(resources)-1], all.lag, r.portsLeft(), all.reconnects()+int(r.held.reconnects.Load())),
	}
	if r.opts.Env != nil {
		r.opts.Env(&rep.Env)
	}
	for s := range steps {
		if h := all.steps[s]; h.Count() > 0 {
			rep.Series = append(rep.Series, h.Series(s.String()))
		}
	}
	for name, h := range map[string]reports.Histogram{"wakeup": wakeup, "lag": all.lag} {
		if h.Count() > 0 {
			rep.Series = append(rep.Series, h.Series(name))
		}
	}
	for _, e := range all.errors {
		rep.Errors = append(rep.Errors, *e)
	}
	sortReport(&rep)
	rep.Held = r.heldReport(end, all)
	end.forgone, end.forgoneAs = all.forgone, all.forgoneAs
	rep.Verdict, rep.Reasons = verdict(&r.plan, &rep, end)
	return rep
}

func (r *run) heldReport(end ending, b *book) *reports.Held {
	h := &reports.Held{
		Asked: len(r.workers), Peak: int(r.held.peak.Load()), Steady: end.held,
		HoldSeconds: end.hold.Seconds(), RepollsAsked: b.repolls,
	}
	for _, w := range r.workers {
		switch {
		case !w.parked && r.plan.Hold > 0: // in rounds the next model may be there before a worker asks
			h.NeverHeld++
			h.NeverCauses = count(h.NeverCauses, w.last)
		case w.dropped != "":
			h.LostWhile++
			h.LostCauses = count(h.LostCauses, &failure{class: w.dropped})
		}
	}
	return h
}

func count(m map[string]int, f *failure) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	if f == nil {
		f = failed("not reached", "")
	}
	m[string(f.class)]++
	return m
}

// portsLeft is how many local ports were free at the worst; -1 where unknown.
func (r *run) portsLeft() int64 {
	ports, err := facts.ReadPortRange(facts.NewRoot("/"))
	if err != nil {
		return -1
	}
	return int64(ports.Usable()*len(r.t.dialers) - len(r.workers))
}

// environment is where and how the run was made.
func environment(start time.Time, p *Plan) reports.Env {
	host := facts.ReadHost(facts.NewRoot("/"))
	target := url.URL{Scheme: p.Target.Scheme, Host: p.Target.Host}
	return reports.Env{
		Target: target.String(), Started: start.UTC().Format(time.RFC3339Nano), Seconds: time.Since(start).Seconds(),
		Hostname: host.Hostname.V, Kernel: host.Kernel.V, CPU: host.CPU.V, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		Seed: p.Seed,
	}
}
