package server

import (
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Ops answers /healthz, /metrics and /debug/pprof/. It is for a listener of its
// own that only operators reach.
func (s *Server) Ops() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", s.handleHealth)
	m.Handle("GET /metrics", promhttp.HandlerFor(s.gathered, promhttp.HandlerOpts{}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return m
}

// handleHealth says whether rounds go on here; a load balancer may ask.
func (s *Server) handleHealth(w http.ResponseWriter, _ *http.Request) {
	status, text := http.StatusServiceUnavailable, ""
	trouble, unwritten, unkept := s.trouble.Load(), s.store.trouble(), s.cantKeep()
	switch {
	case s.draining.Load():
		text = "draining"
	case trouble != nil:
		text = "a round can't be ended: " + *trouble
	case unwritten != nil:
		text = "the state can't be written: " + unwritten.Error()
	case unkept != "":
		text = "updates can't be kept: " + unkept
	default:
		status, text = http.StatusOK, "ok"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// A client that is gone needs no answer.
	_, _ = fmt.Fprintln(w, text)
}

// cantKeep says why updates can't be kept, "" if they can.
func (s *Server) cantKeep() string {
	if k, ok := s.cfg.Aggregator.(*Keeper); ok {
		if err := k.room(); err != nil {
			return err.Error()
		}
	}
	if last := s.unkept.Load(); last != nil {
		return *last
	}
	return ""
}
