package reports

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseThreshold(t *testing.T) {
	for expr, want := range map[string]Threshold{
		"fanout.p99<2s":     {Metric: "fanout.p99", Limit: 2, Unit: "s"},
		"errors<0.1%":       {Metric: "errors", Limit: .001, Unit: "1"},
		"round<=10s":        {Metric: "round", Limit: 10, Unit: "s"},
		"server.rss < 2GiB": {Metric: "server.rss", Limit: 2 << 30, Unit: "B"},
		"poll.p999<1m":      {Metric: "poll.p999", Limit: 60, Unit: "s"},
		"held>=1000":        {Metric: "held", Limit: 1000},
		"update.max<250ms":  {Metric: "update.max", Limit: .25, Unit: "s"},
		"slowdown<2":        {Metric: "slowdown", Limit: 2, Unit: "×"},
		"slowdown<1.5x":     {Metric: "slowdown", Limit: 1.5, Unit: "×"},
	} {
		got, err := ParseThreshold(expr)
		want.Expr = expr
		if err != nil || math.Abs(got.Limit-want.Limit) > 1e-12 {
			t.Errorf("%s: %+v, %v", expr, got, err)
		}
		got.Limit = want.Limit
		if got != want {
			t.Errorf("%s: %+v", expr, got)
		}
	}
	for expr, want := range map[string]string{
		"":                    "want METRIC<LIMIT",
		"fanout.p99":          "want METRIC<LIMIT",
		"fanout.p99<fast":     "want METRIC<LIMIT",
		"fanout.p98<1s":       `unknown metric "fanout.p98"; the metrics are `,
		"beauty>1":            "and .max, .p50, ",
		"errors<1s":           `errors has no unit "s"; want %, none`,
		"server.rss<1PB":      `server.rss has no unit "PB"; want B, KB, kB, KiB, MB, MiB, GB, GiB, TB, TiB, none`,
		"round<NaN":           "want METRIC<LIMIT",
		"round<Inf":           "want METRIC<LIMIT",
		"round<1e999s":        `limit "1e999" is no number`,
		"server.rss<2%":       `server.rss has no unit "%"`,
		"round<1.2.3s":        `limit "1.2.3" is no number`,
		"slowdown<150%":       `slowdown has no unit "%"; want x, ×, none`,
		"round<-1s":           `limit "-1" is no number from 0 up`,
		"server.rss<1e308GiB": "the limit is too large",
	} {
		if _, err := ParseThreshold(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", expr, err, want)
		}
	}
}

func TestJudge(t *testing.T) {
	var h Histogram
	h.Record(time.Second)
	r := Report{
		Held: &Held{Steady: 7, HoldSeconds: 1}, Rounds: []Round{{Seconds: 3, FanoutSeconds: .5}, {Seconds: 2}},
		Series:    []Series{h.Series("wakeup"), {Name: "poll", Unit: "s"}},
		Timeline:  []Tick{{Sent: 150}, {Sent: 50}},
		Errors:    []ErrorClass{{Count: 1}, {Class: ClassReconnect, Count: 50}, {Count: 1}},
		Resources: []Resource{{Process: "generator", RSSPeakBytes: 9}, {Process: "server", RSSPeakBytes: 100, FDsPeak: 3}},
	}
	for expr, want := range map[string]bool{
		"held>=7": true, "held>7": false, "held<=7": true, "held<7": false,
		"round<3.01s": true, "round<3s": false, "fanout<600ms": true,
		"fanout.p99<1.01s": true, "fanout.max<0.5s": false,
		"errors<1.01%": true, "errors<1%": false, "lost<1": true,
		"server.rss<101B": true, "server.rss<100": false, "server.fds<=3": true,
		"poll.p99<9h":             false, // no samples
		"model.p99<9h":            false,
		"server.rssPerWorker<1GB": false,
	} {
		threshold, err := ParseThreshold(expr)
		if err != nil {
			t.Fatal(err)
		}
		got, err := threshold.Judge(r)
		if err != nil || got.Pass != want {
			t.Errorf("%s: %+v, %v", expr, got, err)
		}
	}
}

func FuzzParseThreshold(f *testing.F) {
	for _, s := range []string{"fanout.p99<2s", "errors<0.1%", "held>=1e3", "server.rss<2GiB", "round<", "<1s", "round<1e999s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		threshold, err := ParseThreshold(expr)
		if err != nil {
			return
		}
		if !(threshold.Limit >= 0) || math.IsInf(threshold.Limit, 0) {
			t.Errorf("limit %v", threshold.Limit)
		}
		judged, err := threshold.Judge(Report{})
		if err != nil || judged.Pass && threshold.Metric != "lost" {
			t.Errorf("an empty report passes: %+v, %v", judged, err)
		}
	})
}

func TestMissed(t *testing.T) {
	for want, th := range map[string]Threshold{
		"missed fanout.p99<2s: no samples": {Expr: "fanout.p99<2s", Unit: "s"},
		"missed fanout.p99<2s: 2.31 s":     {Expr: "fanout.p99<2s", Unit: "s", Got: new(2.3100001)},
		"missed server.rss<2GiB: 2560 MiB": {Expr: "server.rss<2GiB", Unit: "B", Got: new(2.5 * (1 << 30))},
		"missed errors<0.1%: 0.2 %":        {Expr: "errors<0.1%", Unit: "1", Got: new(.002)},
		"missed held>=1e5: 99000":          {Expr: "held>=1e5", Got: new(99000.0)},
	} {
		if got := th.Missed(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
