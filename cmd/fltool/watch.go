package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
	"github.com/fltool/fltool/server"
)

func newWatch() *cobra.Command {
	var j judgeFlags
	var listen string
	every := 30 * time.Second
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Export the ledger of this host as metrics for Prometheus",
		Long: `Watch asks what preflight asks, again and again, and serves the ledger at /metrics:
what each limit supports, what is in use of it and the headroom, and how each check
is answered. A host that can't be read is fltool_up 0, and has no other metric.

It runs until it is ended. Exit codes: 0 ended by a signal; 2 usage; 3 the host can't
be read at the start, or the address is in use.`,
		Example: `  fltool watch --listen 127.0.0.1:9101 --workers 1000 --hold 6h
  fltool watch --listen 127.0.0.1:9101 --service fl.service --every 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"facts", "save-facts"} {
				if cmd.Flags().Changed(name) {
					return usageError("fltool preflight --format prometheus prints the metrics once", "--%s: watch is about this host as it is", name)
				}
			}
			if j.nginxConf == "-" {
				return usageError("", "--nginx-conf -: watch reads again and again, and standard input ends")
			}
			if every < time.Second {
				return usageError("", "--every %s: want 1s or more", every)
			}
			return j.watch(cmd, listen, every)
		},
	}
	j.register(cmd)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9101", "`address` for /metrics")
	cmd.Flags().DurationVar(&every, "every", every, "read the host so often")
	for _, name := range []string{"facts", "save-facts"} {
		if err := cmd.Flags().MarkHidden(name); err != nil {
			panic(err) // of a flag that is registered above
		}
	}
	return cmd
}

func (j *judgeFlags) watch(cmd *cobra.Command, listen string, every time.Duration) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	var now atomic.Pointer[[]byte]
	read := func() error {
		text, err := j.metrics(cmd)
		now.Store(&text)
		return err
	}
	if err := read(); err != nil {
		return err
	}
	if note := j.assumptions(cmd); note != "" {
		fmt.Fprintln(stderr, fitted(stderr, note))
	}
	on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return cantError("", "--listen: %w", err)
	}
	tidies(ctx)
	log := slog.New(slog.NewTextHandler(stderr, nil))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		// A client that is gone needs no answer.
		_, _ = w.Write(*now.Load())
	})
	h := server.NewHTTP(mux, log)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(on) }()
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "metrics on http://%s/metrics\n", on.Addr()); err != nil {
		_ = h.Close()
		return cantError("", "say where it listens: %w", err)
	}
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return endWatch(h, ended)
		case err := <-ended:
			return cantError("", "serve: %w", err)
		case <-again.C:
			if err := read(); err != nil {
				log.Warn("the host can't be read", "err", err)
			}
		}
	}
}

// endWatch lets answers that are on their way end.
func endWatch(h *http.Server, ended <-chan error) error {
	soon, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := h.Shutdown(soon)
	<-ended
	if err != nil {
		return cantError("", "end: %w", err)
	}
	return nil
}

// metrics reads the host and gives its ledger as metrics; of one that can't be read,
// that alone.
func (j *judgeFlags) metrics(cmd *cobra.Command) ([]byte, error) {
	start := time.Now()
	var b bytes.Buffer
	up := func(on int) {
		fmt.Fprintf(&b, "# HELP fltool_up Whether the host could be read.\n# TYPE fltool_up gauge\nfltool_up %d\n", on)
	}
	res, err := j.run(cmd, start)
	if err == nil {
		up(1)
		err = render.Prometheus(&b, res.report(start, reports.SeverityError))
	}
	if err != nil {
		b.Reset()
		up(0)
	}
	return b.Bytes(), err
}
