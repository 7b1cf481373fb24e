package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
)

// once runs something the first time that a row asks for it.
func once[T any](b *bench, name string, run func() (T, error)) (T, error) {
	saved, ok := b.once[name]
	if !ok {
		v, err := run()
		saved = func() (any, error) { return v, err }
		b.once[name] = saved
	}
	v, err := saved()
	return v.(T), err
}

// simulate runs fltool simulate once for each command line and gives its report,
// which must be a pass.
func (b *bench) simulate(ctx context.Context, args ...string) (reports.Report, error) {
	return once(b, strings.Join(args, " "), func() (reports.Report, error) {
		cmd := exec.CommandContext(ctx, b.fltool, append([]string{"simulate", "--format", "json"}, args...)...)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its server
		cmd.WaitDelay = 20 * time.Second
		var errs bytes.Buffer
		cmd.Stderr = &errs
		began := time.Now()
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || len(out) == 0) {
			return reports.Report{}, fmt.Errorf("%w: %s", err, last(errs.String()))
		}
		r, err := reports.Decode(bytes.NewReader(out))
		if err != nil {
			return r, err
		}
		b.note(fmt.Sprintf("simulate %s: %s, %.1f s", strings.Join(args, " "), r.Verdict, time.Since(began).Seconds()))
		if r.Verdict != reports.VerdictPass && r.Verdict != reports.VerdictWarn {
			return r, fmt.Errorf("simulate %s: %s: %s", strings.Join(args, " "), r.Verdict, strings.Join(r.Reasons, "; "))
		}
		return r, nil
	})
}

// keys are so many workers' keys in a folder.
func (b *bench) keys(ctx context.Context, workers int) (string, error) {
	dir := filepath.Join(b.dir, "keys"+strconv.Itoa(workers))
	return once(b, dir, func() (string, error) {
		out, err := exec.CommandContext(ctx, b.fltool, "keys", "generate", "--workers", strconv.Itoa(workers), dir).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return dir, nil
	})
}

// simulateTLS holds polls over TLS.
func (b *bench) simulateTLS(ctx context.Context, workers int) (reports.Report, error) {
	cert, key := filepath.Join(b.dir, "cert.pem"), filepath.Join(b.dir, "key.pem")
	address, err := once(b, "tls", func() (string, error) {
		if err := factstest.WriteCertificate(cert, key); err != nil {
			return "", err
		}
		return freeAddress()
	})
	if err != nil {
		return reports.Report{}, err
	}
	keys, err := b.keys(ctx, workers)
	if err != nil {
		return reports.Report{}, err
	}
	serve := fmt.Sprintf("exec '%s' serve --listen %s --keys '%s' --tls-cert '%s' --tls-key '%s'", b.fltool, address, keys, cert, key)
	return b.simulate(ctx, "--workers", strconv.Itoa(workers), "--hold", "10s", anyLag, "--keys", keys, "--ca", cert,
		"--target", "https://"+address, "--server-command", serve)
}

// anyLag lets a generator be late where it is memory that is asked for.
const anyLag = "--max-lag=10m"

// resource is what a process of a run used.
func resource(r reports.Report, process string) (reports.Resource, error) {
	for _, x := range r.Resources {
		if x.Process == process {
			return x, nil
		}
	}
	return reports.Resource{}, fmt.Errorf("the report does not tell of the %s", process)
}

// slope is the memory of each held poll in KB; peak that at the worst, over all.
func slope(r reports.Report, process string) (float64, error) {
	x, err := resource(r, process)
	if err == nil && x.RSSPerWorkerBytes == nil {
		err = fmt.Errorf("the memory of each poll was not measured in the %s", process)
	}
	if err != nil {
		return 0, err
	}
	return *x.RSSPerWorkerBytes / 1e3, nil
}

func peak(r reports.Report, process string) (float64, error) {
	x, err := resource(r, process)
	return float64(x.RSSPeakBytes) / float64(r.Demand.Workers) / 1e3, err
}

// round is the median of all rounds but the first, which the arrivals are in.
func round(r reports.Report) (float64, error) {
	var all []float64
	for _, x := range r.Rounds[min(1, len(r.Rounds)):] {
		all = append(all, x.Seconds)
	}
	if len(all) == 0 {
		return 0, errors.New("no rounds")
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// checked is how many signatures the server of a run verified.
func checked(r reports.Report) (n int64) {
	for _, s := range r.Series {
		if slices.Contains([]string{"register", "poll", "model", "update"}, s.Name) {
			n += s.Count
		}
	}
	return n
}

// requests is how many a run made.
func requests(r reports.Report) (n int64) {
	n = checked(r)
	for _, s := range r.Series {
		if s.Name == "challenge" {
			n += s.Count
		}
	}
	return n
}

// ed25519Cost is the processor time to sign and to verify, in seconds.
func (b *bench) ed25519Cost() (sign, verify float64, err error) {
	v, err := once(b, "ed25519", func() (cost [2]float64, err error) {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return cost, err
		}
		runtime.LockOSThread() // whose time it is
		defer runtime.UnlockOSThread()
		message, signature := make([]byte, 56), []byte(nil)
		const times = 5000
		for i, do := range []func() bool{
			func() bool { signature = ed25519.Sign(private, message); return true },
			func() bool { return ed25519.Verify(public, message, signature) },
		} {
			before, err := threadTime()
			if err != nil {
				return cost, err
			}
			for range times {
				if !do() {
					return cost, errors.New("a good signature is refused")
				}
			}
			after, err := threadTime()
			if err != nil {
				return cost, err
			}
			cost[i] = (after - before).Seconds() / times
		}
		b.note(fmt.Sprintf("Ed25519: %.1f µs to sign, %.1f µs to verify", cost[0]*1e6, cost[1]*1e6))
		return cost, nil
	})
	return v[0], v[1], err
}

// threadTime is the processor time of this thread.
func threadTime() (time.Duration, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// floor is the least time of a round of so many workers, in which each signs three
// times and each signature is checked, on all processors.
func (b *bench) floor(workers int) (float64, error) {
	sign, verify, err := b.ed25519Cost()
	return float64(workers) * 3 * (sign + verify) / float64(runtime.GOMAXPROCS(0)), err
}
