package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render/rendertest"
)

// grown is what a browser shows of a growing report.
type grown struct {
	Heading string `json:"heading"`
	Kind    string `json:"kind"`
	Parts   int    `json:"parts"` // sections
	Ended   bool   `json:"ended"` // its stream
	Scroll  int    `json:"scroll"`
}

const showing = `({
  heading: document.querySelector("h1").textContent, kind: document.querySelector(".kind").textContent,
  parts: document.querySelectorAll("section").length, ended: events.readyState === EventSource.CLOSED, scroll: scrollY,
})`

// TestWeb follows a run in a browser, from workers that are held to the verdict: a drill,
// whose act waits for the test.
func TestWeb(t *testing.T) {
	t.Parallel()
	s := startServe(t, "--unsafe", "--round", "100")
	dir := t.TempDir()
	drill := exec.Command("fltool", "drill", "--target", s.url, "--unsafe", "--workers", "20", "--max-lag", "1m", "--format", "html",
		"--act", "until [ -e go ]; do sleep 0.05; done", "--metrics-listen", "127.0.0.1:0", "--web", ":0")
	drill.Dir = dir
	out, err := os.Create(filepath.Join(dir, "final.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	drill.Stdout = out
	errs, err := drill.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := drill.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = drill.Process.Kill() }) // it should have ended
	said := bufio.NewReader(errs)
	address := func(prefix string) string {
		line, err := said.ReadString('\n')
		url, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
		if err != nil || !ok {
			t.Fatalf("%q %v", line, err)
		}
		return url
	}
	metrics, page := address("metrics on "), address("the report as it grows: ")
	if !strings.HasPrefix(page, "http://127.0.0.1:") {
		t.Errorf("an address without a host is %s", page)
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() { _, _ = io.Copy(io.Discard, said) })

	var mu sync.Mutex
	var complaints []string
	ctx := rendertest.Browser(t, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if url := ev.Request.URL; !strings.HasPrefix(url, page) && !strings.HasPrefix(url, "data:") {
				complaints = append(complaints, "it asks for "+url)
			}
		case *log.EventEntryAdded:
			complaints = append(complaints, ev.Entry.Text)
		}
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 400), chromedp.Navigate(page)); err != nil {
		t.Fatal(err)
	}
	var now grown
	look := func() grown {
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[grown](showing))
		if err != nil {
			t.Fatalf("%v; at last %+v", err, now)
		}
		now = seen
		return now
	}
	// await looks until the heading is as wanted, or the browser's time is over.
	await := func(is func(heading string) bool) {
		for !is(look().Heading) {
			time.Sleep(20 * time.Millisecond)
		}
	}
	await(func(s string) bool { return strings.Contains(s, "RUNNING: polls are held, 20 of 20 workers held") })
	first := now
	if first.Kind != "fltool drill, while it runs" {
		t.Errorf("at first: %+v", first)
	}
	if got := ask(t, metrics, ""); !strings.Contains(got, "\nfltool_run_held_polls 20\n") {
		t.Errorf("metrics:\n%s", got)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`scrollTo(0, 100), true`)); err != nil {
		t.Fatal(err)
	}
	await(func(s string) bool { return s != first.Heading })
	if now.Ended || now.Scroll != 100 {
		t.Errorf("in the midst: %+v", now)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	await(func(s string) bool { return !strings.HasPrefix(s, "RUNNING") })
	if !strings.HasPrefix(now.Heading, "PASS: ") || now.Kind != "fltool drill" || !now.Ended || now.Parts <= first.Parts || now.Scroll != 100 {
		t.Errorf("in the end %+v, at first %+v", now, first)
	}
	reading.Wait()
	if err := drill.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(readFile(t, out.Name()), "<h1>"+now.Heading+"</h1>") {
		t.Errorf("the report's heading is another than %q", now.Heading)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(complaints) > 0 {
		t.Errorf("the browser says %q", complaints)
	}
	if _, err := http.Get(page); err == nil {
		t.Error("the page is served after the run")
	}
	s.signal()
	s.end(0)
}

// TestHear: a run tells the fltool that began it how far it has come, and is not kept by
// one that hears nothing.
func TestHear(t *testing.T) {
	var heard []reports.Progress
	var last reports.Report
	child, done, err := hear(func(now reports.Progress, soFar func() reports.Report) {
		heard, last = append(heard, now), soFar()
	})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(child.Fd())) // each closes its own
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(followVariable, strconv.Itoa(fd))
	up := upward()
	if up == nil || upward() != nil {
		t.Fatal("the descriptor is this process's, and not its children's")
	}
	soFar := func() reports.Report {
		return reports.Report{Errors: []reports.ErrorClass{{Class: "reset", Count: 2}}}
	}
	for _, held := range []int{1, 2, 3} { // within a second: the first alone
		up.tell(reports.Progress{Held: held}, soFar)
	}
	up.tell(reports.Progress{Held: 4, Over: true}, soFar)
	if err := done(); err != nil {
		t.Fatal(err)
	}
	if len(heard) < 2 || heard[0].Held != 1 || !heard[len(heard)-1].Over || last.Errors[0].Count != 2 {
		t.Errorf("%+v, %+v", heard, last)
	}
	up.tell(reports.Progress{Held: 5, Over: true}, soFar) // to nobody
}
