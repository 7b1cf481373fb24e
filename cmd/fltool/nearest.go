package main

import (
	"cmp"
	"context"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// deploymentHere is the deployment on this host that a server's process is part of, as it
// is reached at an address, by that URL.
func deploymentHere(pid int, at netip.AddrPort, url string) (*checks.Deployment, error) {
	o := facts.Scope{
		Asked: facts.Asked{PID: pid, Port: int(at.Port()), URL: url}, Specs: kinds.Specs(), Parent: os.Getppid(), Now: time.Now(),
	}
	g, err := facts.Gather(facts.NewRoot("/"), o)
	if err == nil && behindNginx(g, at.Port()) {
		// The application is on another port: its own where it is known, else the default.
		o.Port = appPort(g)
		g, err = facts.Gather(facts.NewRoot("/"), o)
	}
	if err != nil {
		return nil, cantError("", "read facts: %w", err)
	}
	d := checks.OneHost(onPath(g, at.Port()))
	return &d, nil
}

// nearestOf is the limit that binds a run first, of a server of this host whose process is
// known; nil: nobody can tell.
func nearestOf(ctx context.Context, target *url.URL, pid int, demand reports.Demand) *reports.Row {
	if pid == 0 {
		return nil
	}
	q, err := loadgen.NewQuiet(ctx, target, 0)
	if err != nil {
		return nil
	}
	if pid, err = facts.Serving(facts.NewRoot("/"), pid); err != nil {
		return nil
	}
	d, err := deploymentHere(pid, q.Target(), "")
	if err != nil {
		return nil
	}
	return nearest(*d, demand)
}

// nearest is the limit of a deployment that binds first, of those that are known.
func nearest(d checks.Deployment, demand reports.Demand) *reports.Row {
	demand.HoldSeconds = cmp.Or(demand.HoldSeconds, checks.Defaults.HoldSeconds)
	if demand.ModelBytes == 0 {
		demand.ModelBytes, demand.ModelAssumed = checks.Defaults.ModelBytes, true
	}
	_, sum := checks.Run(d, demand, nil, time.Now())
	known := slices.DeleteFunc(sum.Ledger, func(r reports.Row) bool { return r.Workers == nil || r.NoLimit || r.Waived })
	if len(known) == 0 {
		return nil
	}
	row := slices.MinFunc(known, func(a, b reports.Row) int { return cmp.Compare(*a.Workers, *b.Workers) })
	return &row
}
