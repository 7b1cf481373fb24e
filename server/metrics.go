package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is what the server counts. The gauges are read when they are asked for.
type metrics struct {
	requests     *prometheus.CounterVec // by route, and reason of refusal, "" if there was none
	rounds       prometheus.Counter
	roundSeconds prometheus.Histogram
	fanOut       prometheus.Histogram
}

func newMetrics(s *Server) (*metrics, *prometheus.Registry) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fltool_requests_total",
			Help: `Requests by route and by the reason for which they were refused, "" if they were not.`,
		}, []string{"route", "refused"}),
		rounds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fltool_rounds_total", Help: "Rounds that ended since the start.",
		}),
		roundSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fltool_round_seconds", Help: "From the publication of a version to that of the next.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 10),
		}),
		fanOut: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fltool_fanout_seconds", Help: "From the publication of a version to the last held poll that was notified.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	gauge := func(name, help string, get func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, get)
	}
	locked := func(get func() int) func() float64 {
		return func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(get())
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.requests, m.rounds, m.roundSeconds, m.fanOut,
		gauge("fltool_held_polls", "Polls that are held now.", func() float64 { return float64(s.polls.Held()) }),
		gauge("fltool_waiting_connections", "Connections that wait in line to be served.", func() float64 { return float64(s.gate.inLine()) }),
		gauge("fltool_model_version", "Version of the global model.",
			func() float64 { return float64(s.base + s.model.Load().number) }),
		gauge("fltool_workers", "Workers that may take part.", locked(func() int { return len(s.workers.workers) })),
		gauge("fltool_workers_registered", "Workers that are registered.", locked(func() int { return s.workers.registered })),
		gauge("fltool_round_accepted", "Updates that the open round has.", locked(func() int { return len(s.round.accepted) })),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m, registry
}

func (m *metrics) accepted(route string)        { m.requests.WithLabelValues(route, "").Inc() }
func (m *metrics) refused(route, reason string) { m.requests.WithLabelValues(route, reason).Inc() }
