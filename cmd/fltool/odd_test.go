package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/server/wire"
)

// oddRequest is one that no worker and no admin sends, to each of some routes.
type oddRequest struct {
	Name    string
	Differs string   // how fltool serve answers otherwise, for docs/protocol-differences.md
	To      []string // routes of oddRoutes; empty: Raw
	Type    *string  // its content type, in place of the route's
	Body    string   // a template, as Raw is
	Raw     string   // all that is sent
	Cut     bool     // and then no more can come
}

// oddRoutes are method, path and content type.
var oddRoutes = map[string][3]string{
	"register": {"POST", "/register_worker", "application/json"},
	"poll":     {"POST", "/notify_me_if_gm_version_updated", "application/json"},
	"model":    {"POST", "/return_global_model", "application/json"},
	"update":   {"POST", "/receive_worker_update/{{id}}", "multipart/form-data; boundary=b"},
	"add":      {"POST", "/workers", "application/json"},
	"set":      {"PUT", "/workers/{{id}}", "application/json"},
}

// TestOddRequests sends testdata/odd.yaml to fltool serve and to the stand-in of
// dc_federated's server, and holds their answers to testdata/odd.txt, and that to
// docs/protocol-differences.md.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	var requests []oddRequest
	dec := yaml.NewDecoder(strings.NewReader(readFile(t, "testdata/odd.yaml")))
	dec.KnownFields(true)
	if err := dec.Decode(&requests); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range requests {
		n += max(1, len(r.To))
	}
	dir := t.TempDir()
	if err := wire.GenerateKeys(t.Context(), filepath.Join(dir, "keys"), n); err != nil {
		t.Fatal(err)
	}
	keys, err := wire.ReadKeys(filepath.Join(dir, "keys"), 0, n)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "keys", wire.KeyListFile)
	const admin = "export DCF_SERVER_ADMIN_USERNAME=admin DCF_SERVER_ADMIN_PASSWORD=s3cret; "
	ours, theirs := factstest.FreeAddress(t), factstest.FreeAddress(t)
	start(t, "/bin/sh", "-c", admin+"exec fltool serve --listen "+ours+" --keys "+list)
	start(t, "/bin/sh", "-c", admin+"export KEYS="+list+"; "+python(t, theirs))
	waitListening(t, ours, "")
	waitListening(t, theirs, "")

	const golden = "testdata/odd.txt"
	recorded := readFile(t, golden)
	versions := pythonVersions(t)
	asRecorded := *update || strings.HasPrefix(recorded, versions)
	if !asRecorded { // other versions word their errors otherwise
		t.Logf("what dc_federated's server answers is taken from %s, since here is %s", golden, versions)
		versions, _, _ = strings.Cut(recorded, "\n")
		versions += "\n"
	}
	var table strings.Builder
	table.WriteString(versions)
	differ := map[string]int{}
	sent, alike := 0, 0
	for _, r := range requests {
		routes := r.To
		if r.Raw != "" {
			routes = []string{""}
		}
		before := alike
		for _, route := range routes {
			name := strings.TrimPrefix(route+": "+r.Name, ": ")
			a := theirsIn(recorded, name)
			if asRecorded {
				a = (&oddWorker{t: t, address: theirs, key: keys[sent]}).send(r, route)
			}
			b := (&oddWorker{t: t, address: ours, key: keys[sent]}).send(r, route)
			sent++
			if a == b {
				alike++
				fmt.Fprintf(&table, "%s\n\tboth    %s\n", name, a)
				continue
			}
			differ[r.Differs]++
			fmt.Fprintf(&table, "%s (%s)\n\ttheirs  %s\n\tours    %s\n", name, r.Differs, a, b)
			if r.Differs == "" {
				t.Errorf("%s: nothing is said of a difference:\ntheirs %s\nours   %s", name, a, b)
			}
		}
		if r.Differs != "" && alike-before == len(routes) {
			t.Errorf("%s: it is answered alike, and said to differ by %s", r.Name, r.Differs)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !*update && recorded != table.String() {
		t.Errorf("the answers are not those of %s; -update rewrites it:\n%s", golden, firstOfDifference(recorded, table.String()))
	}

	page := readFile(t, "../../docs/protocol-differences.md")
	if sum := fmt.Sprintf("%d requests, of which %d are answered alike", sent, alike); !strings.Contains(page, sum) {
		t.Errorf("docs/protocol-differences.md does not say %q", sum)
	}
	rows := regexp.MustCompile(`(?m)^\| ([a-z0-9-]+) \| (\d+) \|`).FindAllStringSubmatch(page, -1)
	told := map[string]int{}
	for _, row := range rows {
		told[row[1]], _ = strconv.Atoi(row[2])
	}
	if !maps.Equal(told, differ) {
		t.Errorf("docs/protocol-differences.md tells of %v, there are %v", told, differ)
	}
}

// pythonVersions is what the stand-in runs on.
func pythonVersions(t *testing.T) string {
	const script = "import sys, bottle, gunicorn; print('theirs: bottle %s, gunicorn %s, Python %d.%d' % (bottle.__version__, gunicorn.__version__, *sys.version_info[:2]))"
	out, err := exec.Command("/usr/bin/python3", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// theirsIn is the recorded answer of dc_federated's server to a request.
func theirsIn(recorded, name string) string {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(?: \(.*\))?\n\t(?:both|theirs) +(.*)$`).FindStringSubmatch(recorded)
	if m == nil {
		return "nothing recorded"
	}
	return m[1]
}

// firstOfDifference is where two texts begin to differ.
func firstOfDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d: want %s\ngot %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// oddWorker is a registered worker of one server who sends one odd request.
type oddWorker struct {
	t       *testing.T
	address string
	key     ed25519.PrivateKey
}

func (w *oddWorker) id() string { return wire.WorkerID(w.key.Public().(ed25519.PublicKey)) }

// text is what a request of its own is answered with.
func (w *oddWorker) text(method, path, body string) string {
	w.t.Helper()
	request, err := http.NewRequest(method, "http://"+w.address+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: status %d, %v: %s", method, path, resp.StatusCode, err, b)
	}
	return string(b)
}

// answer is the signed phrase that answers a challenge.
func (w *oddWorker) answer() string {
	return wire.Sign(w.key, []byte(w.text("GET", wire.PathChallenge+"/"+w.id(), "")))
}

// fill makes a template into text.
func (w *oddWorker) fill(text string) string {
	w.t.Helper()
	tmpl, err := template.New("").Funcs(template.FuncMap{
		"id": w.id, "answer": w.answer, "repeat": func(n int, s string) string { return strings.Repeat(s, n) },
		"registration": func() string { return wire.Sign(w.key, []byte(wire.RegisterPhrase)) },
		"sign":         func(s string) string { return wire.Sign(w.key, []byte(s)) },
		"signed": func(update string) string {
			sum := sha256.Sum256([]byte(update))
			return wire.Sign(w.key, sum[:])
		},
		"upper": strings.ToUpper,
		"zlib": func(s string) string {
			var b bytes.Buffer
			z := zlib.NewWriter(&b)
			_, err := io.WriteString(z, s)
			if err := errors.Join(err, z.Close()); err != nil {
				w.t.Fatal(err)
			}
			return b.String()
		},
		"part": func(name, content string) string {
			return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q; filename=%q\r\n\r\n%s\r\n", name, name, content)
		},
		"field": func(name, content string) string {
			return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, content)
		},
	}).Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// send registers the worker, sends the request and tells what the answer is. Whether a
// poll was held shows as what ends it: the worker's next poll.
func (w *oddWorker) send(r oddRequest, route string) string {
	w.t.Helper()
	w.text("POST", wire.PathRegister, w.fill(`{"public_key_str": "{{id}}", "signed_phrase": "{{registration}}"}`))
	raw := w.fill(r.Raw)
	if r.Raw == "" {
		to := oddRoutes[route]
		if to[0] == "" {
			w.t.Fatalf("%s: no route %q", r.Name, route)
		}
		body := w.fill(r.Body)
		head := http.Header{"Host": {w.address}, "Content-Length": {fmt.Sprint(len(body))}, "Content-Type": {to[2]}}
		if strings.HasPrefix(to[1], "/workers") {
			head.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:s3cret")))
		}
		if r.Type != nil {
			head.Set("Content-Type", *r.Type)
		}
		var lines bytes.Buffer
		if err := head.Write(&lines); err != nil {
			w.t.Fatal(err)
		}
		raw = fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\n%s", to[0], w.fill(to[1]), &lines, body)
	}
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // one that hangs should say where
	_, _ = io.WriteString(c, raw)                       // what is refused early need not be taken whole
	if r.Cut {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	method, _, _ := strings.Cut(raw, " ")
	got := make(chan string, 1)
	go func() { got <- w.read(c, method) }()
	for again := 50 * time.Millisecond; ; {
		select {
		case text := <-got:
			return text
		case <-time.After(again):
			if route == "poll" {
				w.text("POST", wire.PathPoll, w.fill(`{"worker_id": "{{id}}", "last_worker_model_version": null, "signed_phrase": "{{answer}}"}`))
			}
		}
	}
}

var (
	title = regexp.MustCompile(`(?s)<title>(.*?)</title>`)
	quick = regexp.MustCompile(`\b[0-9a-f]{56}\b`)
)

// read tells in a line what the answer is.
func (w *oddWorker) read(c net.Conn, method string) string {
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "no answer"
		}
		return "closed without an answer"
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%d, cut", resp.StatusCode)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(b), w.id(), "ID"), wire.Short(w.id()), "SHORT")
	text = quick.ReplaceAllString(text, "CHALLENGE")
	kind := resp.Header.Get("Content-Type")
	var listed []any
	switch m := title.FindStringSubmatch(text); {
	case m != nil:
		return fmt.Sprintf("%d, a page: %s", resp.StatusCode, strings.Join(strings.Fields(m[1]), " "))
	case json.Unmarshal(b, &listed) == nil:
		text = "the list of workers"
	case inflates(b):
		text = "the model"
	}
	if runes := []rune(text); len(runes) > 160 {
		text = string(runes[:160]) + "…"
	}
	line := fmt.Sprintf("%d %s", resp.StatusCode, strings.Join(strings.Fields(text), " "))
	if kind != "text/html; charset=UTF-8" {
		line += fmt.Sprintf(" (%s)", kind)
	}
	return strings.TrimSpace(line)
}

func inflates(b []byte) bool {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, z)
	return err == nil
}
