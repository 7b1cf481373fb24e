package follow

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// nextEvent reads one: its type and its data.
func nextEvent(t *testing.T, from *bufio.Reader) (kind, data string) {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("%q %v", line, err)
		}
		switch {
		case line == "\n":
			return kind, data
		case strings.HasPrefix(line, "event: "):
			kind = strings.TrimSpace(strings.TrimPrefix(line, "event: "))
		default:
			data += strings.TrimPrefix(line, "data: ")
		}
	}
}

// TestPage follows a run from before its beginning to its end.
func TestPage(t *testing.T) {
	t.Parallel()
	var b Board
	p := NewPage("simulate", &b)
	s := httptest.NewServer(p)
	defer s.Close()
	res, err := http.Get(s.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	if kind, body := nextEvent(t, events); kind != "growing" || !strings.Contains(body, "nothing has begun yet") {
		t.Errorf("%s %s", kind, body)
	}
	b.Tell(during())
	kind, body := nextEvent(t, events)
	for kind == "growing" && strings.Contains(body, "nothing has begun yet") {
		kind, body = nextEvent(t, events)
	}
	for _, want := range []string{"RUNNING: rounds are played, 120 of 300 workers held, 2 of 5 rounds over, 1 lost, 3 errors; 12 s so far, about 30 s left", "How long each step took"} {
		if kind != "growing" || !strings.Contains(body, want) {
			t.Errorf("no %q in %s %s", want, kind, body)
		}
	}
	if strings.Contains(body, "end of round 3") {
		t.Error("of the round that goes on it says that it did not end")
	}
	_, soFar := during()
	r := soFar()
	r.Verdict = reports.VerdictPass
	p.End(r)
	for kind == "growing" {
		kind, body = nextEvent(t, events)
	}
	if rest, err := io.ReadAll(events); kind != "final" || !strings.Contains(body, "PASS: ") || len(rest) > 0 || err != nil {
		t.Errorf("%s %s, and then %q, %v", kind, body, rest, err)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if page := w.Body.String(); !strings.Contains(page, "PASS: ") || strings.Contains(page, "<script>") || strings.Contains(page, "script-src") {
		t.Errorf("in the end the page still asks for more: %s", page)
	}
}

var (
	scriptOf = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	allowed  = regexp.MustCompile(`script-src 'sha256-([^']+)'`)
)

// TestPagePolicy: a page runs its own script and no other, and asks nobody else.
func TestPagePolicy(t *testing.T) {
	var b Board
	b.Tell(during())
	p := NewPage("simulate", &b)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	page := w.Body.String()
	scripts := scriptOf.FindAllStringSubmatch(page, -1)
	policy := allowed.FindStringSubmatch(page)
	if len(scripts) != 1 || policy == nil || !strings.Contains(page, "default-src 'none'") || !strings.Contains(page, "connect-src 'self'") {
		t.Fatalf("%d scripts, policy %q", len(scripts), policy)
	}
	if sum := sha256.Sum256([]byte(scripts[0][1])); base64.StdEncoding.EncodeToString(sum[:]) != policy[1] {
		t.Error("the policy forbids the page's own script")
	}
	if w.Header().Get("Content-Security-Policy") != "frame-ancestors 'none'" || !strings.Contains(page, "120 of 300 workers held") {
		t.Errorf("%v\n%s", w.Header(), page)
	}
	for request, want := range map[string]int{"GET /favicon.ico": 404, "POST /": 405, "GET /events/x": 404} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, httptest.NewRequest(method, path, nil)); w.Code != want {
			t.Errorf("%s: %d, want %d", request, w.Code, want)
		}
	}
}
