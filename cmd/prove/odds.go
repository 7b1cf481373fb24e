package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/server/wire"
)

// How several processes of nginx share connections is luck. How often a number of
// workers is held is counted here, and preflight tells these odds.

const (
	oddsConnections = 256 // worker_connections of each process
	oddsRuns        = 20  // of each number of workers
)

// oddsShares are the numbers of workers that come, in hundredths of what all processes
// hold together.
var oddsShares = []int{10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100}

// An odd is an experiment: workers come to nginx, again and again.
type odd struct {
	processes int
	reuseport bool
	burst     bool // all at once; else each when the one before is held
}

func (o odd) arrival() string {
	if o.burst {
		return "burst"
	}
	return "ramp"
}

func (o odd) id() string {
	return fmt.Sprintf("nginx-odds-%d-%t-%s", o.processes, o.reuseport, o.arrival())
}

// hard is how many workers all processes hold together.
func (o odd) hard() int {
	const others = 2 // the listener and the channel to the master
	return o.processes * ((oddsConnections - others) / 2)
}

var oddsRows = func() (list []row) {
	for _, processes := range []int{1, 2, 4, 8} {
		for _, reuseport := range []bool{false, true} {
			for _, burst := range []bool{false, true} {
				o := odd{processes, reuseport, burst}
				list = append(list, row{id: o.id(), run: func(r *room) (Measurement, error) { return Measurement{}, r.odds(o) }})
			}
		}
	}
	return list
}()

// writeOdds runs the experiments and writes a line each, as checks reads them.
func writeOdds(ctx context.Context, w io.Writer, fltool string) error {
	fmt.Fprintf(w, "# Made by make nginx-odds, with worker_connections %d:\n# processes,reuseport,arrival,share of the hard bound in %%,runs,runs that held all\n", oddsConnections)
	for _, o := range oddsRows {
		var failed error
		err := play(ctx, o.id, fltool, func(m message) {
			switch {
			case m.Line != "":
				_, failed = fmt.Fprintln(w, m.Line)
			case m.Error != "":
				failed = errors.New(m.Error)
			case m.Cannot != "":
				failed = fmt.Errorf("cannot be run here: %s", m.Cannot)
			}
		})
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("%s: %w", o.id, err)
		}
	}
	return nil
}

// odds tells for each number of workers of how many runs every worker was held, all
// with one nginx.
func (r *room) odds(o odd) error {
	var app parking
	l, err := net.Listen("tcp", appAddr)
	if err != nil {
		return err
	}
	server := http.Server{Handler: &app}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	p := proxy{noApp: true, processes: o.processes, connections: oddsConnections, nofile: 4 * oddsConnections, listen: " backlog=4096",
		location: "            proxy_buffering off;\n"} // the head of an answer comes at once
	if o.reuseport {
		p.listen += " reuseport"
	}
	n, err := r.nginx(p)
	if err != nil {
		return err
	}
	if err := r.until("the processes of nginx", 20*time.Second, func() (bool, error) {
		all, err := children(n.cmd.Process.Pid)
		return len(all) == o.processes, err
	}); err != nil {
		return err
	}
	run := func(workers int) (held int, err error) {
		if held, err = r.come(workers, o.burst); err == nil {
			err = r.until("nginx to let go", 20*time.Second, func() (bool, error) { return app.parked.Load() == 0, nil })
		}
		return held, err
	}
	if _, err := run(o.processes); err != nil { // lest some are still starting
		return err
	}
	held := make(map[int]int) // runs, by share
	for range oddsRuns {
		n := 0
		if !o.burst { // what comes one by one is the beginning of any that are more
			if n, err = run(o.hard()); err != nil {
				return err
			}
		}
		for _, share := range oddsShares {
			workers := o.hard() * share / 100
			if o.burst {
				if n, err = run(workers); err != nil {
					return err
				}
			}
			if n >= workers {
				held[share]++
			}
		}
	}
	for _, share := range oddsShares {
		line := fmt.Sprintf("%d,%t,%s,%d,%d,%d", o.processes, o.reuseport, o.arrival(), share, oddsRuns, held[share])
		if err := r.out.Encode(message{Line: line}); err != nil {
			return err
		}
	}
	err = server.Close()
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// come has workers come and go, and says how many were held until the first was
// refused, if one was.
func (r *room) come(workers int, burst bool) (held int, err error) {
	crowd := 1
	if burst {
		crowd = workers
	}
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(crowd)
	conns := make([]net.Conn, workers)
	for i := range workers {
		g.Go(func() (err error) {
			if ctx.Err() == nil { // none was refused yet
				conns[i], err = worker(ctx)
			}
			return err
		})
	}
	err = g.Wait()
	for _, c := range conns {
		if c != nil {
			held++
			c.Close()
		}
	}
	if errors.Is(err, errRefused) {
		err = r.ctx.Err()
	}
	return held, err
}

// parking is an application that tells a poll that it is held, and holds it.
type parking struct{ parked atomic.Int64 }

func (p *parking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.PathPoll {
		return
	}
	p.parked.Add(1)
	defer p.parked.Add(-1)
	w.WriteHeader(http.StatusOK)
	if http.NewResponseController(w).Flush() == nil {
		<-r.Context().Done()
	}
}

var errRefused = errors.New("refused")

// worker asks for a challenge and polls, over a connection each as dc_federated's
// do, and gives the connection of the poll that is held.
func worker(ctx context.Context) (net.Conn, error) {
	c, err := request(ctx, "GET "+wire.PathChallenge+"/me")
	if err != nil {
		return nil, err
	}
	c.Close()
	return request(ctx, "POST "+wire.PathPoll)
}

// request sends a request over a connection of its own and waits for the head of the
// answer. What nginx answers itself or cuts is refused.
func request(ctx context.Context, what string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", nginxAddr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	_, err = fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", what, nginxAddr)
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode == http.StatusOK {
			return c, nil
		}
	}
	c.Close()
	return nil, errRefused
}
