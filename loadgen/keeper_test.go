package loadgen

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fltool/fltool/reports"
)

// TestEndsWhileKeeperAsks ends a run while the keeper finds out whether the server has
// room: the bubble is left with nothing.
func TestEndsWhileKeeperAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 3
		target, dial := servePipes(t, newFake(workers))
		ctx, end := context.WithCancel(t.Context())
		var dialled atomic.Int64
		p := testPlan(target, workers)
		p.Rounds, p.Hold = 0, time.Hour
		rep, err := Run(ctx, p, Setup{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dialled.Add(1) != workers+1 {
				return dial(ctx, network, address)
			}
			end()
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if err != nil || dialled.Load() <= workers || rep.Verdict != reports.VerdictRefused || rep.Held.Kept != 0 {
			t.Errorf("%v, %d connections, %s %q, held %+v", err, dialled.Load(), rep.Verdict, rep.Reasons, *rep.Held)
		}
	})
}
