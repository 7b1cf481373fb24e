package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/follow"
	"github.com/fltool/fltool/server"
)

// followFlags say how a command's runs are followed while they last: simulate's,
// capacity's, drill's and regress's.
type followFlags struct {
	progress     string
	quiet        bool
	metrics, web string
}

// The ways to show progress; "" is live on a terminal, plain elsewhere.
const (
	progressPlain = "plain"
	progressLive  = "live"
	progressNone  = "none"
)

func progressWays() []string { return []string{progressLive, progressPlain, progressNone} }

func (f *followFlags) add(cmd *cobra.Command) {
	f.addProgress(cmd)
	f.addMetrics(cmd)
	cmd.Flags().StringVar(&f.web, "web", "", "serve the report as it grows, for browsers, at this `address`: 127.0.0.1:8080; without a host it is 127.0.0.1, port 0 is any")
}

func (f *followFlags) addProgress(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.progress, "progress", "", "what is shown while it runs: live (a view, on a terminal), plain (a line now and then) or none")
	fl.Lookup("progress").DefValue = "live on a terminal, plain elsewhere"
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing but the report and errors")
}

func (f *followFlags) addMetrics(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.metrics, "metrics-listen", "", "serve the run's metrics at /metrics, for Prometheus, at this `address`: 127.0.0.1:9102; port 0 is any")
}

func (f *followFlags) check() error {
	if f.progress != "" && !slices.Contains(progressWays(), f.progress) {
		return usageError("", "--progress %s: want live, plain or none", f.progress)
	}
	if f.quiet && f.progress != "" && f.progress != progressNone {
		return usageError("", "--quiet shows no progress: --progress %s goes without it", f.progress)
	}
	return nil
}

// following is who follows the runs of a command, one run after another.
type following struct {
	stderr    io.Writer // for what is said between and beside the runs
	view      *liveView // nil: none
	followers []loadgen.Follower
	ends      []func() error
	board     follow.Board
	page      *follow.Page // nil: none
}

// begin begins to follow a command's own runs; close ends it. The terminal is the live
// view's until then, or until it is given back, so that all else is said by stderr.
func (f *followFlags) begin(cmd *cobra.Command) (*following, error) {
	all, err := f.listen(cmd)
	if err != nil {
		return nil, err
	}
	if up := upward(); up != nil {
		all.followers, all.ends = append(all.followers, up.tell), append(all.ends, up.close)
	}
	f.show(cmd, all)
	if all.view == nil && !f.quiet && f.progress != progressNone {
		all.followers = append(all.followers, plainProgress(all.stderr))
	}
	return all, nil
}

// show has the live view take the terminal, if it is wanted and has room.
func (f *followFlags) show(cmd *cobra.Command, all *following) {
	asked := f.progress == progressLive
	if f.quiet || f.progress != "" && !asked || !hasRoom(cmd, asked) {
		return
	}
	all.view = newLiveView(cmd.InOrStdin().(*os.File), all.stderr.(*os.File))
	all.stderr = all.view
	all.followers = append(all.followers, all.view.tell)
}

// listen serves what the flags ask for, to those who are to see what is told to the board;
// close ends it.
func (f *followFlags) listen(cmd *cobra.Command) (*following, error) {
	all := &following{stderr: cmd.ErrOrStderr()}
	all.followers = append(all.followers, all.board.Tell)
	if f.quiet {
		all.stderr = io.Discard
	}
	if f.metrics != "" {
		if err := all.serve(cmd.Context(), "metrics-listen", f.metrics, "metrics on http://%s/metrics\n", all.board.Metrics()); err != nil {
			return nil, err
		}
	}
	if f.web != "" {
		all.page = follow.NewPage(cmd.Name(), &all.board)
		if err := all.serve(cmd.Context(), "web", ofThisHost(f.web), "the report as it grows: http://%s/\n", all.page); err != nil {
			return nil, errors.Join(err, all.close())
		}
	}
	return all, nil
}

// lastWait is how long what is on its way to browsers may take after the run.
const lastWait = 5 * time.Second

// serve has an address answered until the following ends.
func (f *following) serve(ctx context.Context, flag, address, said string, h http.Handler) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return usageError("for example 127.0.0.1:9102", "--%s %s: want an address with a port", flag, address)
	}
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return cantError("", "--%s: %w", flag, err)
	}
	streams, cut := context.WithCancel(context.Background())
	s := server.NewHTTP(h, slog.New(slog.DiscardHandler)) // what clients do wrong is no word of the run's
	s.BaseContext = func(net.Listener) context.Context { return streams }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(on) // its only error is that of the end
	}()
	f.ends = append(f.ends, func() error {
		defer cut()
		if f.page == nil || !f.page.Ended() {
			cut() // there is nothing to wait for
		}
		soon, cancel := context.WithTimeout(context.Background(), lastWait)
		defer cancel()
		if s.Shutdown(soon) != nil {
			_ = s.Close() // who is too slow has no final page
		}
		<-ended
		return nil
	})
	fmt.Fprintf(f.stderr, said, on.Addr())
	return nil
}

// ofThisHost is an address that others reach only if it says so: who means all of the
// host's addresses says 0.0.0.0 or [::].
func ofThisHost(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// tell is the Follower of every run.
func (f *following) tell(now reports.Progress, soFar func() reports.Report) {
	for _, tell := range f.followers {
		tell(now, soFar)
	}
}

// next says which of several runs comes now.
func (f *following) next(title string) {
	if f.view != nil {
		f.view.next(title)
	}
}

// limit has the view show the limit that binds the run first, which is worked out for
// that alone. It is asked for before the run, whose polls would count as in use.
func (f *following) limit(of func() *reports.Row) {
	if f.view != nil {
		f.view.limit(of())
	}
}

// giveBack gives the terminal back, for the report.
func (f *following) giveBack() {
	if f.view != nil {
		f.view.close()
	}
}

// report shows the command's report to who follows.
func (f *following) report(r reports.Report) {
	if f.page != nil {
		f.page.End(r)
	}
}

// close ends what was begun, the last first. It may be called again.
func (f *following) close() (err error) {
	f.giveBack()
	for _, end := range slices.Backward(f.ends) {
		err = errors.Join(err, end())
	}
	f.ends = nil
	return err
}
