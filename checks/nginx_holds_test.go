package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sync/errgroup"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/reports"
)

// The small demand that each config is to hold.
var crowd = reports.Demand{Workers: 20, HoldSeconds: 0.3, ModelBytes: 100_000}

// httpNginx is the real nginx.
type httpNginx struct{ binary string }

func realNginx(t *testing.T) httpNginx {
	t.Helper()
	binary, err := exec.LookPath("/usr/sbin/nginx")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nginx is needed and not installed: apt-get install nginx-light")
		}
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	return httpNginx{binary}
}

// holds runs a config, with ports of its own, before an application of the protocol,
// and has the demand come; the error is what failed first. What listens with ssl is
// spoken to by TLS, and with http2 all workers share a connection, as they do where
// something before nginx multiplexes.
func (n httpNginx) holds(ctx context.Context, t *testing.T, text string) error {
	t.Helper()
	app, other := newParking(t), newParking(t)
	address := factstest.FreeAddress(t)
	dir := t.TempDir()
	base, worker := "http://"+address, alone
	if strings.Contains(text, ":80 ssl") {
		base, worker = "https://"+address, trusting(t, dir, strings.Contains(text, "http2"))
	}
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s; ", kind, dir, kind)
	}
	text = strings.NewReplacer("127.0.0.1:80 ", address+" ", "0.0.0.0:80 ", strings.Replace(address, "127.0.0.1", "0.0.0.0", 1)+" ", "127.0.0.1:81 ", factstest.FreeAddress(t)+" ",
		"127.0.0.1:3031", newUWSGI(t, app), "127.0.0.1:53", newNames(t), ":5000", app, ":5001", other, "/TMP", dir, "http {", "http { access_log off; "+temp).Replace(text)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte("daemon off; user root; pid "+dir+"/pid; error_log stderr crit;\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-p", dir, "-c", conf, "-e", "stderr"}
	if out, err := exec.Command(n.binary, append(args, "-t")...).CombinedOutput(); err != nil {
		return fmt.Errorf("nginx -t: %s", out)
	}
	cmd := exec.Command(n.binary, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ends on a signal tells nothing
		cancel()       // without it nobody answers
		close(ended)
	}()
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range crowd.Workers {
		g.Go(func() error { return round(ctx, worker(), base, fmt.Sprint("w", i)) })
	}
	return g.Wait()
}

// alone is a worker that makes a connection for each request, as dc_federated's do.
func alone() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// trusting are workers that trust a certificate, which is written to fl.pem and fl.key.
func trusting(t *testing.T, dir string, shared bool) func() *http.Client {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"fl.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "fl.key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusts := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	trusts.RootCAs.AddCert(s.Certificate())
	//lint:ignore SA1019 net/http's own HTTP/2 is left out of what is built and tested.
	one := &http.Client{Transport: &http2.Transport{TLSClientConfig: trusts, StrictMaxConcurrentStreams: true}}
	if shared {
		t.Cleanup(one.CloseIdleConnections)
		return func() *http.Client { return one }
	}
	return func() *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: trusts, DisableKeepAlives: true}}
	}
}

// round is what a worker asks for, over a connection each: it registers, polls until
// all do, takes the model and sends its update. Bodies tell whether it was served.
func round(ctx context.Context, client *http.Client, base, id string) error {
	for _, ask := range []struct{ method, path, body, want string }{
		{"POST", "/register_worker", id, "registered"},
		{"GET", "/challenge_phrase/" + id, "", "challenge"},
		{"POST", "/notify_me_if_gm_version_updated", id, "held"},
		{"POST", "/return_global_model", id, strings.Repeat("m", int(crowd.ModelBytes))},
		{"POST", "/receive_worker_update/" + id, strings.Repeat("u", int(crowd.ModelBytes)), "taken"},
	} {
		req, err := http.NewRequestWithContext(ctx, ask.method, base+ask.path, strings.NewReader(ask.body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", ask.path, err)
		}
		if string(body) != ask.want {
			return fmt.Errorf("%s: %s: %.60q", ask.path, resp.Status, body)
		}
	}
	return nil
}

// parking is an application that knows those who registered with it, and holds polls
// until all workers' are held and then for as long as the demand says.
type parking struct {
	mu     sync.Mutex
	known  map[string]bool
	parked int
	all    chan struct{}
}

// newParking starts one and gives its port, as ":5000".
func newParking(t *testing.T) string {
	p := &parking{known: map[string]bool{}, all: make(chan struct{})}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndexByte(s.URL, ':'):]
}

// bodyTimeout is how long a body of some bytes may take over loopback.
const bodyTimeout = 10 * time.Second

func (p *parking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A proxy that promises a body and sends none would be waited for until its own timeout.
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	id, answer := string(body), "unknown worker"
	if i := strings.LastIndexByte(r.URL.Path, '/'); i > 0 {
		id = r.URL.Path[i+1:]
	}
	p.mu.Lock()
	known := p.known[id]
	p.mu.Unlock()
	switch path := r.URL.Path; {
	case (r.Method == http.MethodGet) != strings.HasPrefix(path, "/challenge_phrase/"):
		answer = "another method is wanted"
	case path == "/register_worker":
		p.mu.Lock()
		p.known[id] = true
		p.mu.Unlock()
		answer = "registered"
	case !known:
	case path == "/notify_me_if_gm_version_updated":
		p.mu.Lock()
		if p.parked++; p.parked == crowd.Workers {
			close(p.all)
		}
		p.mu.Unlock()
		select {
		case <-p.all:
			time.Sleep(duration(crowd.HoldSeconds)) // as long as the demand has it
		case <-r.Context().Done():
		}
		answer = "held"
	case path == "/return_global_model":
		answer = strings.Repeat("m", int(crowd.ModelBytes))
	case strings.HasPrefix(path, "/challenge_phrase/"):
		answer = "challenge"
	case strings.HasPrefix(path, "/receive_worker_update/"):
		answer = "taken"
	}
	_, _ = io.WriteString(w, answer) // a client that is gone tells by itself
}

// newUWSGI starts what hands requests of the uwsgi protocol on to an application, and
// gives its address.
func newUWSGI(t *testing.T, app string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() {
				defer c.Close()
				_ = handOn(c, app) // who asked is told by the connection's end
			}()
		}
	}()
	return l.Addr().String()
}

// handOn reads one request: a head of a modifier, a size and a modifier, then so many
// bytes of names and values, each after its length, and the body.
func handOn(c net.Conn, app string) error {
	var head struct {
		_    uint8
		Size uint16
		_    uint8
	}
	if err := binary.Read(c, binary.LittleEndian, &head); err != nil {
		return err
	}
	b := make([]byte, head.Size)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	var words []string
	for len(b) > 2 {
		end := 2 + int(binary.LittleEndian.Uint16(b))
		words, b = append(words, string(b[2:end])), b[end:]
	}
	vars := map[string]string{}
	for pair := range slices.Chunk(words, 2) {
		vars[pair[0]] = pair[1]
	}
	req, err := cgi.RequestFromMap(vars)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(c, req.ContentLength))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, c) // until nginx gives up, and nobody waits any more
		cancel()
	}()
	req.URL.Scheme, req.URL.Host, req.RequestURI = "http", "127.0.0.1"+app, ""
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := alone().Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	resp.TransferEncoding, resp.Close = nil, true // the connection's end is the body's
	return resp.Write(c)
}

// newNames starts a name server that knows 127.0.0.1 for whatever it is asked, and
// gives its address.
func newNames(t *testing.T) string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return // the test has ended
			}
			if n < 12 {
				continue
			}
			// The question again, as an answer with one address of it; of other than
			// IPv4 there is none.
			answer := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, b[12:n]...)
			if b[n-3] == 1 {
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
			} else {
				answer[7] = 0
			}
			_, _ = c.WriteTo(answer, from) // who asked asks again
		}
	}()
	return c.LocalAddr().String()
}
