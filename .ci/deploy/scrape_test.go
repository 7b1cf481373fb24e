package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestScrape has both kinds of Prometheus scrape a run, one of classic and one of native
// histograms, until the dashboard's queries have figures.
func TestScrape(t *testing.T) {
	dir := t.TempDir()
	fltool := filepath.Join(dir, "fltool")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", fltool, "./cmd/fltool").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// starts runs a command until the test ends, and gives the address that it says.
	starts := func(says string, name string, args ...string) string {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 10 * time.Second
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = w
		if err := cmd.Start(); err != nil {
			t.Fatalf("%v (make deploy installs it)", err)
		}
		w.Close()
		t.Cleanup(func() { cancel(); _ = cmd.Wait(); r.Close() }) // it was ended, and says so
		address := regexp.MustCompile(says)
		var all strings.Builder
		for lines := bufio.NewScanner(r); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				go func() { _, _ = io.Copy(io.Discard, r) }()
				return m[1]
			}
		}
		t.Fatalf("%s says nowhere %q:\n%s", name, says, &all)
		return ""
	}
	metrics := starts(`^metrics on http://(.*)/metrics$`, fltool, "simulate", "--workers", "20", "--rounds", "100000",
		"--think", "uniform:50ms-150ms", "--max-lag", "1m", "--metrics-listen", "127.0.0.1:0", "--progress", "none", "--out", filepath.Join(dir, "run.json"))
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: fltool-run\n    static_configs: [{targets: [%q]}]\n", metrics)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for kind, flags := range map[string][]string{"classic": nil, "native": {"--enable-feature=native-histograms"}} {
		at := starts(`Listening on.*address=(\S+)`, "prometheus", append(flags, "--config.file="+config,
			"--storage.tsdb.path="+filepath.Join(dir, kind), "--web.listen-address=127.0.0.1:0")...)
		for _, query := range dashboardQueries(t) {
			if strings.Contains(query, "fltool_run_errors_total") {
				continue // there are none
			}
			for !hasFigures(t, ctx, at, query) {
				time.Sleep(200 * time.Millisecond)
			}
		}
		if bucket := hasFigures(t, ctx, at, "fltool_run_fanout_seconds_bucket"); bucket != (kind == "classic") {
			t.Errorf("%s: classic buckets: %v", kind, bucket)
		}
	}
}

// hasFigures says whether a query has an answer, until ctx ends.
func hasFigures(t *testing.T, ctx context.Context, at, query string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+at+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return false // it has only begun
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v %s", query, err, answer.Error)
	}
	return len(answer.Data.Result) > 0
}
