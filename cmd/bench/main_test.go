package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

func TestShow(t *testing.T) {
	r := row{unit: "KB"}
	for v, want := range map[float64]string{0: "0 KB", .2996: "0.3 KB", 2.2: "2.2 KB", 16.54: "16.5 KB", 249.4: "249 KB", 15000: "15000 KB", .0123: "0.0123 KB"} {
		if got := r.show(v); got != want {
			t.Errorf("%v is shown as %q, want %q", v, got, want)
		}
	}
}

// A figure that was not measured is no target met, and a missed one outweighs it.
func TestVerdict(t *testing.T) {
	r := row{id: "x", figure: "a figure", unit: "s", most: 2}
	met, missed := result{row: r, value: 2}, result{row: r, value: 2.01}
	none := result{row: r, err: errors.New("no\nluck"), peers: []measured{{"hey", 0, errors.New("absent")}, {"wrk", 3, nil}}}
	for code, all := range map[int][]result{exitGood: {met}, exitFail: {none, missed, met}, exitCant: {met, none}} {
		if got := verdict(all); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
	}
	var table bytes.Buffer
	printTable(&table, []result{met, missed, none})
	path := filepath.Join(t.TempDir(), "page.md")
	if err := writePage(path, []result{met, missed, none}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for text, words := range map[string][]string{
		table.String(): {"x                  met     2 s; target ≤ 2 s\n", "MISSED  2.01 s;", "can't   no\nluck;", "hey not measured, wrk 3 s"},
		string(page):   {"| a figure | ≤ 2 s | 2 s | met |  |\n", "| 2.01 s | **missed** |", "| not measured |  | hey not measured, wrk 3 s |", "x was not measured: no luck"},
	} {
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("there is no %q in\n%s", w, text)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if r.id == "" || r.figure == "" || r.measure == nil || seen[r.id] {
			t.Errorf("row %q is not whole, or there twice", r.id)
		}
		seen[r.id] = true
	}
	if some, err := choose([]string{"start", "binary"}); err != nil || len(some) != 2 || some[0].id != "binary" {
		t.Errorf("%v, %v", some, err)
	}
	for code, args := range map[int][]string{exitUsage: {"nosuch"}, exitGood: {"-list"}, exitCant: {"-fltool", "/nosuch", "binary"}} {
		if got := run(t.Context(), args, io.Discard, io.Discard); got != code {
			t.Errorf("%q: exit code %d, want %d", args, got, code)
		}
	}
	if got := run(t.Context(), []string{"-page", "x.md", "binary"}, io.Discard, io.Discard); got != exitUsage {
		t.Errorf("a page of one row: exit code %d", got)
	}
}

// What the rows read of a report.
func TestFigures(t *testing.T) {
	per := 4200.
	r := reports.Report{
		Demand:    reports.Demand{Workers: 100},
		Rounds:    []reports.Round{{Seconds: 9, FanoutSeconds: .1}, {Seconds: 2, FanoutSeconds: .4}, {Seconds: 1}, {Seconds: 3}},
		Resources: []reports.Resource{{Process: "server", RSSPerWorkerBytes: &per, RSSPeakBytes: 700_000, CPUSeconds: 2}, {Process: "generator"}},
		Series:    []reports.Series{{Name: "register", Count: 1}, {Name: "challenge", Count: 2}, {Name: "poll", Count: 4}, {Name: "model", Count: 8}, {Name: "update", Count: 16}, {Name: "lag", Count: 99}},
	}
	for name, c := range map[string]struct {
		got  func() (float64, error)
		want float64
	}{
		"slope":    {func() (float64, error) { return slope(r, "server") }, 4.2},
		"peak":     {func() (float64, error) { return peak(r, "server") }, 7},
		"round":    {func() (float64, error) { return round(r) }, 2},
		"fan-out":  {func() (float64, error) { return slowestFanout(r) }, .4},
		"download": {func() (float64, error) { return perDownload(r) }, 250},
		"checked":  {func() (float64, error) { return float64(checked(r)), nil }, 29},
		"requests": {func() (float64, error) { return float64(requests(r)), nil }, 31},
	} {
		if got, err := c.got(); err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := slope(r, "generator"); err == nil {
		t.Error("a slope that was not measured is a figure")
	}
	if _, err := round(reports.Report{}); err == nil {
		t.Error("a round of none is a figure")
	}
}

func TestSink(t *testing.T) {
	for _, hold := range []bool{false, true} {
		s, err := newSink(hold)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", s.l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if !hold {
			answer := make([]byte, len(sinkAnswer))
			if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, sinkAnswer) {
				t.Errorf("answer %q, %v", answer, err)
			}
			if n := s.requests(); n != 1 {
				t.Errorf("%d requests", n)
			}
		}
		s.close()
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) && !hold {
			t.Error(err)
		}
		_ = conn.Close()
	}
}

// The naive server speaks the protocol: it holds a poll until an update comes.
func TestNaive(t *testing.T) {
	s := httptest.NewServer(newNaive())
	defer s.Close()
	post := func(path string, message any) string {
		b, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(s.URL+path, "application/json", bytes.NewReader(b))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return string(body)
	}
	if resp, err := http.Get(s.URL + wire.PathChallenge + "/nobody"); err != nil {
		t.Error(err)
	} else if body, err := io.ReadAll(resp.Body); err != nil || resp.Body.Close() != nil || string(body) != wire.TextInvalid {
		t.Errorf("a challenge for nobody: %q, %v", body, err)
	}
	id := post(wire.PathRegister, wire.Register{})
	if got := post(wire.PathPoll, wire.Poll{WorkerID: id, LastVersion: wire.VersionNone}); got != wire.TextUpdated {
		t.Errorf("the first poll: %q", got)
	}
	m, err := wire.DecodeModel(io.Discard, strings.NewReader(post(wire.PathModel, wire.ModelRequest{WorkerID: id})), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string)
	go func() { told <- post(wire.PathPoll, wire.Poll{WorkerID: id, LastVersion: m.Version}) }()
	if got := post(wire.PathUpdate+"/"+id, "x"); got != wire.TextAccepted {
		t.Errorf("the update: %q", got)
	}
	if got := <-told; got != wire.TextUpdated {
		t.Errorf("the held poll: %q", got)
	}
}

func TestChildOf(t *testing.T) {
	p, err := start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if got := childOf(os.Getpid()); got != p.Process.Pid {
		t.Errorf("the child is %d, want %d", got, p.Process.Pid)
	}
	if got := childOf(p.Process.Pid); got != 0 {
		t.Errorf("sleep has the child %d", got)
	}
}
