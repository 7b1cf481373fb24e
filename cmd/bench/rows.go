package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// row is one figure: what it is, at most how much it may be, and how it is measured.
type row struct {
	id, figure, unit string
	most             float64
	measure          func(context.Context, *bench) (float64, error)
	peers            []peer
}

// The sizes of the table.
const (
	many          = 15000
	soaked        = 10000
	downloadBytes = 13_000_000
)

var rows = []row{
	{id: "server", figure: "server, memory of each of 15,000 held polls", unit: "KB", most: 2.2, measure: of(held, "server", slope),
		peers: []peer{{"net/http", naiveMemory(false)}, {"nginx", nginxMemory}, {"Python", pythonMemory}}},
	{id: "server-peak", figure: "the same at the worst, over 15,000", unit: "KB", most: 4, measure: of(held, "server", peak)},
	{id: "tls", figure: "server, memory of one more held poll over TLS, from 5000 to 15,000", unit: "KB", most: 9, measure: slopeTLS,
		peers: []peer{{"net/http", naiveMemory(true)}}},
	{id: "tls-peak", figure: "the same at the worst, over 15,000", unit: "KB", most: 14, measure: of(heldTLS, "server", peak)},
	{id: "generator", figure: "generator, memory of each of 15,000 held workers", unit: "KB", most: 4.5, measure: of(held, "generator", slope),
		peers: memoryOfClients()},
	{id: "generator-peak", figure: "the same at the worst, over 15,000", unit: "KB", most: 7, measure: of(held, "generator", peak)},
	{id: "fanout", figure: "publication to the last of 15,000 notified that wait; Python: of 1000", unit: "s", most: .3, measure: fanout, peers: []peer{{"Python", pythonFanout}}},
	{id: "server-cpu", figure: "server's processor time in rounds of 1000, as a multiple of its verifications", unit: "×", most: 2.5, measure: serverCPU},
	{id: "generator-cpu", figure: "generator's processor time a request, without signing", unit: "µs", most: 25, measure: generatorCPU, peers: requestsOfClients()},
	{id: "round", figure: "round of 1000, as a multiple of its signatures on all processors", unit: "×", most: 3, measure: roundOverFloor,
		peers: []peer{{"Python", pythonRound}}},
	{id: "rounds-ratio", figure: "round of 15,000 over round of 1000, the median of three", unit: "×", most: 16.5, measure: roundsRatio},
	{id: "nginx", figure: "15,000 arrive, play a round and are held for 60 s, twice, through rendered nginx of 2 processes: errors", most: 0, measure: throughNginx},
	{id: "download", figure: "server's processor time a download of 13 MB", unit: "ms", most: 10, measure: download, peers: []peer{{"Python", pythonDownload}}},
	{id: "bodies", figure: "200 workers, 13 MB both ways: server at the worst", unit: "MB", most: 60, measure: of(bodies, "server", peakMB)},
	{id: "bodies-generator", figure: "the same: generator at the worst", unit: "MB", most: 100, measure: of(bodies, "generator", peakMB)},
	{id: "soak", figure: "ten minutes' hold of 10,000: growth after the first minute, of the end that grew more", unit: "%", most: 1, measure: soak},
	{id: "preflight", figure: "preflight on a host with 2000 processes more", unit: "ms", most: 150, measure: preflight},
	{id: "binary", figure: "the binary, stripped", unit: "MB", most: 20, measure: binary},
	{id: "start", figure: "start to end of fltool version", unit: "ms", most: 15, measure: coldStart},
}

// of is a figure of a process in a run.
func of(run func(context.Context, *bench) (reports.Report, error), process string, figure func(reports.Report, string) (float64, error)) func(context.Context, *bench) (float64, error) {
	return func(ctx context.Context, b *bench) (float64, error) {
		r, err := run(ctx, b)
		if err != nil {
			return 0, err
		}
		return figure(r, process)
	}
}

func held(ctx context.Context, b *bench) (reports.Report, error) {
	return b.simulate(ctx, "--workers", strconv.Itoa(many), "--hold", "10s", anyLag)
}

func heldTLS(ctx context.Context, b *bench) (reports.Report, error) { return b.simulateTLS(ctx, many) }

// slopeTLS is what one more poll costs, between two runs: without what a server that
// speaks TLS has for all of them.
func slopeTLS(ctx context.Context, b *bench) (float64, error) {
	const few = many / 3
	var each [2]float64
	for i, workers := range []int{few, many} {
		r, err := b.simulateTLS(ctx, workers)
		if err != nil {
			return 0, err
		}
		if each[i], err = slope(r, "server"); err != nil {
			return 0, err
		}
	}
	b.note(fmt.Sprintf("of %d each takes %.2f KB on average, of %d %.2f KB", few, each[0], many, each[1]))
	return (each[1]*many - each[0]*few) / (many - few), nil
}

func rounds(ctx context.Context, b *bench, workers, n int, more ...string) (reports.Report, error) {
	return b.simulate(ctx, append([]string{"--workers", strconv.Itoa(workers), "--rounds", strconv.Itoa(n)}, more...)...)
}

func bodies(ctx context.Context, b *bench) (reports.Report, error) {
	return b.simulate(ctx, "--workers", "200", "--rounds", "2", "--model-size", "13MB", "--update-size", "13MB", anyLag)
}

func peakMB(r reports.Report, process string) (float64, error) {
	x, err := resource(r, process)
	return float64(x.RSSPeakBytes) / 1e6, err
}

func slowestFanout(r reports.Report) (float64, error) {
	slowest := 0.
	for _, x := range r.Rounds {
		slowest = max(slowest, x.FanoutSeconds)
	}
	if slowest == 0 {
		return 0, fmt.Errorf("nobody was notified in %d rounds", len(r.Rounds))
	}
	return slowest, nil
}

// fanout is of workers that train for a while, each as long as it takes: when the last has
// sent its update, all others wait, and the machine has nothing else to do.
func fanout(ctx context.Context, b *bench) (float64, error) {
	r, err := b.simulate(ctx, "--workers", strconv.Itoa(many), "--rounds", "3", "--think", "uniform:1s-16s")
	if err != nil {
		return 0, err
	}
	return slowestFanout(r)
}

func serverCPU(ctx context.Context, b *bench) (float64, error) {
	r, err := b.simulate(ctx, "--workers", "1000", "--rounds", "20")
	if err != nil {
		return 0, err
	}
	x, err := resource(r, "server")
	if err != nil {
		return 0, err
	}
	_, verify, err := b.ed25519Cost()
	return x.CPUSeconds / (float64(checked(r)) * verify), err
}

func generatorCPU(ctx context.Context, b *bench) (float64, error) {
	r, err := b.simulate(ctx, "--workers", "1000", "--rounds", "20", "--unsafe")
	if err != nil {
		return 0, err
	}
	x, err := resource(r, "generator")
	return x.CPUSeconds * 1e6 / float64(requests(r)), err
}

func roundOverFloor(ctx context.Context, b *bench) (float64, error) {
	r, err := rounds(ctx, b, 1000, 6)
	if err != nil {
		return 0, err
	}
	return overFloor(b, r)
}

func overFloor(b *bench, r reports.Report) (float64, error) {
	took, err := round(r)
	if err != nil {
		return 0, err
	}
	floor, err := b.floor(r.Demand.Workers)
	b.note(fmt.Sprintf("a round of %d took %.3f s; its signatures alone %.3f s", r.Demand.Workers, took, floor))
	return took / floor, err
}

// roundsRatio is the median of three: a single one is as much the machine's mood. That
// changes while one runs, too, and so those of 1000 are before and after those of many.
func roundsRatio(ctx context.Context, b *bench) (float64, error) {
	var ratios []float64
	seed := 0 // another for each: a run of the same words is not made twice
	took := func(workers, n int) (float64, error) {
		seed++
		r, err := rounds(ctx, b, workers, n, "--seed", strconv.Itoa(seed))
		if err != nil {
			return 0, err
		}
		return round(r)
	}
	for i := range 3 {
		before, err := took(1000, 30)
		if err != nil {
			return 0, err
		}
		large, err := took(many, 6)
		if err != nil {
			return 0, err
		}
		after, err := took(1000, 30)
		if err != nil {
			return 0, err
		}
		ratios = append(ratios, large/((before+after)/2))
		b.note(fmt.Sprintf("%.3g s; %.3g s before and %.3g s after it: %.3g ×", large, before, after, ratios[i]))
	}
	slices.Sort(ratios)
	return ratios[1], nil
}

// throughNginx counts what went wrong: the errors of two runs. One that is no pass
// without any is no figure.
func throughNginx(ctx context.Context, b *bench) (float64, error) {
	front, app, err := b.nginx(ctx, many, 2*time.Minute)
	if err != nil {
		return 0, err
	}
	defer app.stop()
	defer front.stop()
	wrong := 0
	for i := range 2 {
		r, err := b.simulate(ctx, append(front.args, "--workers", strconv.Itoa(many), "--rounds", "1", "--hold", "60s", "--target", front.url,
			"--seed", strconv.Itoa(i+1), "--server-pid", strconv.Itoa(app.Process.Pid))...)
		for _, e := range r.Errors {
			wrong += e.Count
		}
		if err != nil && wrong == 0 {
			return 0, err
		}
	}
	return float64(wrong), nil
}

func download(ctx context.Context, b *bench) (float64, error) {
	r, err := b.simulate(ctx, "--workers", "20", "--rounds", "5", "--model-size", strconv.Itoa(downloadBytes)+"B")
	if err != nil {
		return 0, err
	}
	return perDownload(r)
}

// perDownload is the server's processor time by the models fetched, in ms.
func perDownload(r reports.Report) (float64, error) {
	x, err := resource(r, "server")
	if err != nil {
		return 0, err
	}
	for _, s := range r.Series {
		if s.Name == "model" && s.Count > 0 {
			return x.CPUSeconds * 1e3 / float64(s.Count), nil
		}
	}
	return 0, fmt.Errorf("no model was fetched")
}

// soak holds polls for ten minutes and compares the memory of both ends at the end
// with that after a minute of all being held.
func soak(ctx context.Context, b *bench) (float64, error) {
	const hold, settled, sample = 10 * time.Minute, time.Minute, 10 * time.Second
	out := filepath.Join(b.dir, "soak.json")
	p, err := start(exec.CommandContext(ctx, b.fltool, "simulate", "--workers", strconv.Itoa(soaked), "--hold", hold.String(), anyLag, "--out", out))
	if err != nil {
		return 0, err
	}
	defer p.stop()
	child := 0
	err = p.until(ctx, "all polls held", 5*time.Minute, func() bool {
		child = childOf(p.Process.Pid)
		u, err := facts.ReadUsage(facts.NewRoot("/"), child)
		return err == nil && u.FDs >= soaked
	})
	if err != nil {
		return 0, err
	}
	began, ends := time.Now(), []int{p.Process.Pid, child}
	mean := func(at time.Duration) ([]float64, error) {
		sums, n := make([]float64, len(ends)), 0
		err := p.until(ctx, "the hold", hold, func() bool {
			since := time.Since(began) - at
			if since < 0 {
				return false
			}
			for i, pid := range ends {
				v, err := rss(pid)
				if err != nil {
					return true
				}
				sums[i] += v
			}
			n++
			return since > sample
		})
		for i := range sums {
			sums[i] /= float64(max(n, 1))
		}
		return sums, err
	}
	first, err := mean(settled)
	if err != nil {
		return 0, err
	}
	end, err := mean(hold - 2*sample)
	if err != nil {
		return 0, err
	}
	if err := p.until(ctx, "the end of the hold", 2*time.Minute, p.ended); err != nil {
		return 0, err
	}
	r, err := reports.Read(out)
	if err != nil {
		return 0, err
	}
	if r.Verdict != reports.VerdictPass {
		return 0, fmt.Errorf("%s: %v", r.Verdict, r.Reasons)
	}
	worst := 0.
	for i := range ends {
		b.note(fmt.Sprintf("%s: %.1f MB after a minute, %.1f MB at the end", []string{"generator", "server"}[i], first[i]/1e6, end[i]/1e6))
		worst = max(worst, 100*(end[i]/first[i]-1))
	}
	return worst, nil
}

// preflight is the median of nine, while 2000 processes sleep.
func preflight(ctx context.Context, b *bench) (float64, error) {
	if err := forgotten(ctx, b); err != nil {
		return 0, err
	}
	sleepers, stop := context.WithCancel(ctx)
	defer stop()
	for range 2000 {
		p, err := start(exec.CommandContext(sleepers, "sleep", "600"))
		if err != nil {
			return 0, err
		}
		defer func() {
			stop()
			<-p.done
		}()
	}
	return median(9, func() error {
		// Whatever it says of this host.
		err := exec.CommandContext(ctx, b.fltool, "preflight", "--format", "json").Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			return nil
		}
		return err
	})
}

// forgotten waits until the kernel has forgotten the connections of the rows before, which
// it keeps, and lists, for a minute. Other programs' may stay.
func forgotten(ctx context.Context, b *bench) error {
	const few = 100
	left := 0
	for range 90 {
		s, err := facts.ReadSockstat(facts.NewRoot("/"))
		if left = s.TimeWait; err != nil || left <= few {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	b.note(fmt.Sprintf("%d connections that have ended are listed by the kernel", left))
	return nil
}

func binary(_ context.Context, b *bench) (float64, error) {
	info, err := os.Stat(b.fltool)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1e6, nil
}

func coldStart(ctx context.Context, b *bench) (float64, error) {
	return median(31, func() error { return exec.CommandContext(ctx, b.fltool, "version").Run() })
}

// median is that of several times, in ms.
func median(times int, do func() error) (float64, error) {
	var all []float64
	for range times {
		began := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(began))/float64(time.Millisecond))
	}
	slices.Sort(all)
	return all[times/2], nil
}
