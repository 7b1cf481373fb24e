package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/fltool/fltool/reports"
)

// What a reload and a restart of nginx do to held polls.

// reload fills nginx, reloads it, and fills the processes that come beside the
// old ones.
func (r *room) reload() (Measurement, error) {
	n, err := r.nginx(proxy{connections: 200})
	if err != nil {
		return Measurement{}, err
	}
	if _, err := r.predict(hard, 2); err != nil {
		return Measurement{}, err
	}
	old := make(chan error, 1)
	var before, after reports.Report
	go func() {
		var err error
		before, err = r.simulate(nginxURL, 120, "--hold", "25s")
		old <- err
	}()
	// The first have settled when those in excess have given up.
	var symptom string
	err = func() error {
		if err := r.settled(); err != nil {
			return err
		}
		if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			return err
		}
		if err := r.until("the old worker process to drain", 10*time.Second, func() (bool, error) {
			s, err := r.found("nginx/draining")
			symptom = s
			return s != "", err
		}); err != nil {
			return err
		}
		var err error
		after, err = r.simulate(nginxURL, 120)
		return err
	}()
	if err = errors.Join(err, <-old); err != nil {
		return Measurement{}, err
	}
	return Measurement{float64(before.Held.Steady + after.Held.Steady), symptom}, nil
}

// settled waits until the number of held polls has not changed for a while.
func (r *room) settled() error {
	last, since := -1, time.Now()
	return r.until("polls to settle", time.Minute, func() (bool, error) {
		n, err := r.held()
		if n != last || n == 0 {
			last, since = n, time.Now()
		}
		return time.Since(since) > 8*time.Second, err
	})
}

// restart ends nginx under held polls of workers that behave as real ones: what
// preflight sees in use towards the application is what is lost.
func (r *room) restart() (Measurement, error) {
	const workers = 60
	n, err := r.nginx(proxy{connections: 512})
	if err != nil {
		return Measurement{}, err
	}
	var full time.Time // since when all are held
	var ended bool
	var rep reports.Report
	err = r.during(func() error {
		held, err := r.held()
		switch {
		case err != nil || held < workers || ended:
			return err
		case full.IsZero():
			full = time.Now()
		}
		if time.Since(full) < time.Second {
			return nil
		}
		ended = true
		if err := r.inUse(); err != nil {
			return err
		}
		return n.cmd.Process.Signal(syscall.SIGTERM)
	}, func() error {
		var err error
		rep, err = r.simulate(nginxURL, workers, "--hold", "20s", "--worker-behaviour", "upstream")
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	s, err := r.symptom(rep)
	return Measurement{float64(len(rep.Lost)), s}, err
}

// inUse predicts by what preflight sees in use.
func (r *room) inUse() error {
	rep, err := r.preflight()
	if err != nil {
		return err
	}
	for _, l := range rep.Capacity.Ledger {
		if l.Limit == r.row.check && l.InUse != nil {
			return r.tell(Prediction{float64(*l.InUse), float64(*l.InUse)})
		}
	}
	return fmt.Errorf("preflight does not tell what is in use of %s: %s", r.row.check, reason(rep, r.row.check))
}
