package follow

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fltool/fltool/reports"
)

// The metrics, all of the run that goes on, or else of the last: each counts from its
// beginning.
var (
	stage       = desc("stage", "What the run is at: 1 at the one that it is.", "stage")
	elapsed     = desc("elapsed_seconds", "Since the beginning of the run.")
	left        = desc("left_seconds", "Until its end, as far as it can be told; else 0.")
	workers     = desc("workers", "Workers that were asked for.")
	doing       = desc("doing_workers", "Workers by what they do; all that have come.", "phase")
	heldPolls   = desc("held_polls", "Polls that are held now.")
	neverHeld   = desc("never_held_workers", "Workers that have not yet polled for the hold.")
	cut         = desc("cut_workers", "Workers whose held poll was lost.")
	lost        = desc("lost_workers", "Workers that gave up.")
	finished    = desc("finished_workers", "Workers that have done all that was asked.")
	roundsWant  = desc("rounds_asked", "Rounds that were asked of each worker.")
	rounds      = desc("rounds_total", "Rounds that are over.")
	roundTime   = desc("round_seconds", "How long each round took, from the publication of its model to its last accepted update.")
	fanOut      = desc("fanout_seconds", "From the publication of a model to each worker's learning of it.")
	steps       = desc("step_seconds", "How long requests took that had success, by step of the protocol; of polls, how long they were held.", "step")
	lag         = desc("lag_seconds", "How late the generator itself sent requests that were due.")
	sent        = desc("requests_sent_total", "Requests that were sent.")
	done        = desc("requests_done_total", "Requests that have ended, well or not.")
	failures    = desc("errors_total", "Requests that failed, by class.", "class")
	transferred = desc("bytes_total", "What crossed the generator's sockets, heads included.", "direction")
	resident    = desc("resident_bytes", "Memory of both ends, each with its descendants.", "process")
	cores       = desc("cpu_cores", "Processors that both ends kept busy over the last second.", "process")
	fds         = desc("open_fds", "Open descriptors of both ends; absent where they may not be counted.", "process")
	fdLimit     = desc("max_fds", "Soft limit of descriptors of the process of each end that comes nearest to its own; absent where there is none, or it is unknown.", "process")
	ended       = prometheus.NewDesc("fltool_runs_total", "Runs of this command that are over, by verdict: a search for capacity makes several.", []string{"verdict"}, nil)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fltool_run_"+name, help, labels, nil)
}

// Descriptions are those of all metrics.
var Descriptions = []*prometheus.Desc{
	stage, elapsed, left, workers, doing, heldPolls, neverHeld, cut, lost, finished, roundsWant, rounds, roundTime, fanOut,
	steps, lag, sent, done, failures, transferred, resident, cores, fds, fdLimit, ended,
}

// The series of a report that are metrics of their own; the others are steps.
const (
	seriesFanOut = "wakeup"
	seriesLag    = "lag"
)

// Describe is prometheus.Collector's.
func (b *Board) Describe(to chan<- *prometheus.Desc) {
	for _, d := range Descriptions {
		to <- d
	}
}

// Collect is prometheus.Collector's. A scrape costs what a look at the run's books costs.
func (b *Board) Collect(to chan<- prometheus.Metric) {
	v := b.look()
	as := func(kind prometheus.ValueType) func(*prometheus.Desc, float64, ...string) {
		return func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
		}
	}
	gauge, counter := as(prometheus.GaugeValue), as(prometheus.CounterValue)
	for _, of := range reports.Verdicts {
		counter(ended, float64(v.ended[of]), string(of))
	}
	if v.now.Stage == "" {
		return // no run has begun
	}
	for _, s := range reports.Stages {
		gauge(stage, oneIf(s == v.now.Stage), s)
	}
	gauge(elapsed, v.now.Seconds)
	gauge(left, v.now.Left)
	gauge(workers, float64(v.now.Workers))
	for _, phase := range reports.Phases {
		gauge(doing, float64(v.now.Doing[phase]), phase)
	}
	gauge(heldPolls, float64(v.now.Held))
	gauge(neverHeld, float64(v.now.NeverHeld))
	gauge(cut, float64(v.now.Cut))
	gauge(lost, float64(v.now.Lost))
	gauge(finished, float64(v.now.Finished))
	gauge(roundsWant, float64(v.now.Rounds))
	counter(rounds, float64(v.now.Round))
	counter(sent, float64(v.now.Sent))
	counter(done, float64(v.now.Done))
	for _, e := range v.report.Errors {
		if e.Class != reports.ClassReconnect { // no error
			counter(failures, float64(e.Count), e.Class)
		}
	}
	if b := v.report.Bytes; b != nil {
		counter(transferred, float64(b.Sent), "sent")
		counter(transferred, float64(b.Received), "received")
	}
	for _, u := range v.now.Uses {
		gauge(resident, float64(u.RSSBytes), u.Process)
		gauge(cores, u.Cores, u.Process)
		if u.FDs >= 0 {
			gauge(fds, float64(u.FDs), u.Process)
		}
		if u.FDLimit > 0 {
			gauge(fdLimit, float64(u.FDLimit), u.Process)
		}
	}
	collectTimes(to, v.report)
}

// collectTimes collects the histograms.
func collectTimes(to chan<- prometheus.Metric, r reports.Report) {
	var took reports.Histogram
	for _, x := range r.Rounds {
		if !x.Open {
			took.Record(time.Duration(x.Seconds * float64(time.Second)))
		}
	}
	to <- newHistogram(roundTime, took)
	var fan, late reports.Histogram
	for _, s := range r.Series {
		switch s.Name {
		case seriesFanOut:
			fan = s.Histogram
		case seriesLag:
			late = s.Histogram
		default:
			to <- newHistogram(steps, s.Histogram, s.Name)
		}
	}
	to <- newHistogram(fanOut, fan)
	to <- newHistogram(lag, late)
}

func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// Metrics answers Prometheus: in text with classic buckets, or in protobuf with native
// histograms beside them, as it asks.
func (b *Board) Metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(b)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}
