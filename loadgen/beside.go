package loadgen

import (
	"context"
	"sync"
	"time"

	"github.com/fltool/fltool/reports"
)

// beside is what strangers do to the server while the workers play the second half of
// their rounds: the first half tells what rounds cost without.
type beside struct {
	r    *run
	do   func(context.Context) error
	stop context.CancelFunc // of what is done

	began time.Duration // since the start of the run; 0: not yet
	doing sync.WaitGroup
	err   error
}

func newBeside(r *run, do func(context.Context) error) *beside { return &beside{r: r, do: do} }

// look begins once half of the rounds are over.
func (b *beside) look() {
	if b.began > 0 || int(b.r.round.Load()) < max(1, b.r.plan.Rounds/2) {
		return
	}
	b.began = time.Since(b.r.start)
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.doing.Go(func() { b.err = b.do(ctx) })
}

// end waits until all is done, or ctx ends.
func (b *beside) end(ctx context.Context) {
	if b.began == 0 {
		return
	}
	defer b.stop()
	defer context.AfterFunc(ctx, b.stop)()
	b.doing.Wait()
}

// halt ends what is done, which would go on else.
func (b *beside) halt(context.Context) {
	if b.began > 0 {
		b.stop()
		b.doing.Wait()
	}
}

// cost compares the rounds that were over before it began with those that began after.
// By a quorum the first begins with the first worker, and the others are still to come:
// it is left out where there are others.
func (b *beside) cost(rounds []reports.Round) (c reports.Cost) {
	for _, x := range rounds {
		switch p := x.Passed; {
		case p == nil || x.Open || b.began == 0, x.Number == 1 && b.r.plan.Quorum > 0 && b.r.plan.Rounds > 3:
		case p.Accepted <= b.began.Seconds():
			c.RoundsBefore++
			c.SecondsBefore += x.Seconds
		case p.Published >= b.began.Seconds():
			c.RoundsMeanwhile++
			c.SecondsMeanwhile += x.Seconds
		}
	}
	c.SecondsBefore /= float64(max(1, c.RoundsBefore))
	c.SecondsMeanwhile /= float64(max(1, c.RoundsMeanwhile))
	return c
}
