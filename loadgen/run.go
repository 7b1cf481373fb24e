package loadgen

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/lot"
	"github.com/fltool/fltool/server/wire"
)

// Setup is what a run needs besides its Plan. The zero value is good.
type Setup struct {
	Dial      Dialer             // instead of the network, for tests
	Record    *Recorder          // of every request; the caller closes it
	ServerPID int                // of the server, to measure it where it runs on this host; 0: unknown
	Own       bool               // the server ends with the run: the polls that it holds are not freed
	Exited    <-chan error       // yields when the server that the caller started has ended
	Progress  Follower           // called about every tenth of a second, from one goroutine
	Acts      []Act              // a drill: what is done while the workers are held, or play their rounds
	Patience  time.Duration      // longest wait for all to be held again after the last act, of a drill or of the scenario
	Env       func(*reports.Env) // adds what only the caller knows: the tool, its command
}

// run is one run while it lasts.
type run struct {
	plan    Plan
	opts    Setup
	start   time.Time
	workers []*worker
	digest  wire.Digest
	held    *gauge
	t       *transport
	s       *scheduler
	keep    keeping
	queue   *queue
	drill   *drill // nil without acts
	play    play
	staging *staging // nil without stages
	address string   // of the target, resolved
	dialers []Dialer // to it, one a source address

	done, errs     atomic.Int64
	finished, lost atomic.Int64 // workers
	registered     atomic.Int64 // workers that are
	away           atomic.Int64 // workers that have left the fleet, or with stages have not come
	wanted         atomic.Int64 // workers that are asked for at this moment
	pending        atomic.Int64 // workers that are neither through with their rounds nor lost
	round          atomic.Int64
	answered       atomic.Int64 // when a worker other than the keeper last had a good answer, ns since the start

	mu      sync.Mutex
	classes map[string]int // of errors, since the last tick of the timeline
}

// Run does what the plan says and reports it. Cancelling ctx ends the run at
// once, with a report of what was done. The error is a plan that can't be run or
// a recorder that failed; what the server did wrong stands in the report.
func Run(ctx context.Context, plan Plan, opts Setup) (reports.Report, error) {
	if err := plan.check(); err != nil {
		return reports.Report{}, err
	}
	if plan.Hold > 0 {
		// Half the garbage of Go's default: what is left of the arrivals' would count as
		// memory of held polls.
		defer debug.SetGCPercent(debug.SetGCPercent(50))
	}
	held := newGauge()
	samples := sample(opts.ServerPID, held)
	defer samples.stop()
	r, err := newRun(ctx, plan, opts, held)
	if err != nil {
		return reports.Report{}, err
	}
	r.t.pressed = &samples.pressed
	books, timeline, ending := r.drive(ctx, samples)
	rep := r.report(books, timeline, ending, samples)
	if !opts.Own && ending.exited == nil {
		if left, why := r.free(); left > 0 {
			rep.Held.Unfreed = left
			rep.Notes = append(rep.Notes, fmt.Sprintf("the server may still hold %d polls of this run, until its next model: the requests that end them had no success (%s)", left, why.detail))
		}
	}
	r.t.close()
	if r.play.close != nil {
		r.play.close(&rep)
	}
	if opts.Exited == nil {
		samples.outlived(rep.Resources)
	}
	return rep, nil
}

func newRun(ctx context.Context, plan Plan, opts Setup, held *gauge) (*run, error) {
	if plan.Update.form.ContentType == "" {
		var err error
		if plan.Update, err = NewUpdate(nil); err != nil {
			return nil, err
		}
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
	r := &run{plan: plan, opts: opts, digest: plan.Update.digest, held: held, address: address}
	r.wanted.Store(int64(plan.Workers))
	r.workers = make([]*worker, plan.Workers)
	for i := range r.workers {
		w := &worker{index: i, no: plan.FirstNo + i, through: plan.Rounds == 0, rng: *rand.NewPCG(plan.Seed, uint64(plan.FirstNo+i))}
		if plan.Keys != nil {
			w.with(plan.Keys[i])
		}
		r.workers[i] = w
	}
	if plan.Rounds > 0 {
		r.pending.Store(int64(plan.Workers))
	}
	if plan.Hold > 0 && plan.Workers > 1 && !opts.Own {
		r.keep.begin()
	}
	r.t = &transport{
		plan: &r.plan, workers: r.workers, form: plan.Update.form, held: r.held, census: &census{}, models: newModels(),
		places: newPlaces(plan.Workers), lot: lot.New(),
		head: "Host: " + plan.Target.Host + "\r\nUser-Agent: fltool\r\nAccept-Encoding: gzip\r\nAccept: */*\r\n" +
			"Connection: keep-alive\r\n",
	}
	if plan.Quorum > 0 {
		r.t.quorum = newQuorum(plan.Rounds)
	}
	switch {
	case opts.Dial != nil:
		r.dialers = []Dialer{opts.Dial}
	case len(plan.Sources) == 0:
		r.dialers = []Dialer{netDialer(netip.Addr{})}
	}
	for _, source := range plan.Sources {
		r.dialers = append(r.dialers, netDialer(source))
	}
	r.t.address, r.t.dialers = r.address, r.dialers
	return r, r.begin()
}

// drive runs the attack to its end.
func (r *run) drive(ctx context.Context, samples *sampler) ([]*book, *line, ending) {
	r.queue = watchQueue(r.t.address)
	r.start = time.Now()
	r.t.start = r.start
	if r.opts.Record != nil {
		r.opts.Record.start = r.start
	}
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.t.ctx = inner
	if acts := slices.Concat(r.opts.Acts, r.play.acts); len(acts) > 0 {
		r.drill = newDrill(inner, acts, r.opts.Patience, len(r.workers))
		r.t.dialled = r.drill.dialled
	}
	r.s = newScheduler(r.t, len(r.workers))
	r.t.parking = newParking(func(w *worker) { r.s.due <- w }, r.t.unneeded)
	if r.staging == nil {
		r.s.arrive(r.workers, r.plan.Ramp, r.plan.RampOpen)
	}
	books := make([]*book, runtime.GOMAXPROCS(0))
	for i := range books {
		books[i] = newBook()
	}
	hits := &crew{t: r.t, s: r.s, step: func(w *worker) *worker {
		r.book(w)
		return r.step(w, books[w.index%len(books)])
	}}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: hits, CheckRedirect: stays}),
		vegeta.Workers(1), vegeta.MaxWorkers(uint64(r.t.places.most(len(r.workers)))),
	)
	results := attacker.Attack(r.s.target, r.s, 0, "")
	attacked := make(chan struct{})
	go func() {
		defer close(attacked)
		for range results { // the books have it all
		}
	}()

	timeline, end := r.supervise(ctx, samples, books)
	if r.play.end != nil {
		r.play.end(ctx)
	}
	r.keep.end()
	cancel()
	close(r.s.ended)
	r.t.stop()
	<-attacked
	for _, w := range r.workers {
		w.hit = nil
	}
	if r.drill != nil {
		r.drill.doing.Wait()
	}
	r.keep.asking.Wait()
	for _, w := range r.t.parking.close(r.workers) {
		r.t.cut(w)
		r.book(w)
		if r.drill != nil {
			r.drill.enter(w, &r.plan) // it was held to the end
		}
	}
	return books, timeline, end
}

// book books what became of a request, but for what its worker's shard keeps.
func (r *run) book(w *worker) {
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
		method, _ := w.request()
		r.opts.Record.record(w, method, r.t.url(w))
	}
}

// step takes a worker one request further, and gives it back if the next is due at once.
func (r *run) step(w *worker, b *book) *worker {
	now := time.Since(r.start)
	at, was := w.step, w.through
	w.waits = w.asksToHold(&r.plan) && r.mayKeep(w) && r.keep.waits(w)
	dropped := w.dropped
	b.enter(w)
	if w.dropped != dropped {
		r.held.cut.Add(1)
	}
	if r.drill != nil {
		r.drill.enter(w, &r.plan)
	}
	if r.play.heard != nil {
		r.play.heard(w)
	}
	if at == stepRegister && w.out.fail == nil && !w.known {
		w.known = true
		r.registered.Add(1)
	}
	if w.out.fail == nil && !r.keep.is(w) {
		r.answered.Store(int64(w.out.done)) // a racing shard may put it back by a moment
	}
	if q := r.t.quorum; q != nil {
		var last bool
		if w.over, last = q.over(w); last {
			r.t.parking.endAll(r.workers, r.t.enough)
		}
	}
	fate, delay := w.advance(&r.plan, now)
	if fate == fateNext && r.surplus(w) {
		fate = fateGone
		r.t.drop(w)
	}
	r.t.census.move(w, w.until(fate))
	if !was && (w.through || fate == fateLost) {
		r.pending.Add(-1)
	}
	switch fate {
	case fateNext:
		if r.keep.rests(w) {
			return nil
		}
		w.sign(&r.plan, r.digest)
		if n := int64(w.rounds); at == stepModel && n > r.round.Load() {
			r.round.Store(n) // a racing shard may put it back for a moment; it is for progress only
		}
		if r.s.unless(w, w.out.done+delay) {
			return w
		}
	case fateDone:
		r.finished.Add(1)
	case fateGone:
		r.away.Add(1)
		r.play.gone(w)
	case fateLost:
		b.lose(w, at, now)
		r.lost.Add(1)
		r.keep.lost(w)
		if r.play.lost != nil {
			r.play.lost(w)
		}
		if !w.polled {
			r.held.settled.Add(1)
		}
	}
	return nil
}
