package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/server"
)

// hangUp sends SIGHUP and waits for what the log says of it.
func (s *served) hangUp(said string) {
	s.t.Helper()
	before := strings.Count(s.stderr(), said)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	waitUntil(s.t, said, func() bool { return strings.Count(s.stderr(), said) > before })
}

// TestServeHangUp: SIGHUP ends nothing, and the poll is still held.
func TestServeHangUp(t *testing.T) {
	s := startServe(t, "--unsafe", "--round", "2", "--ops-listen", "127.0.0.1:0")
	ended := heldPoll(t, s)
	s.hangUp("SIGHUP: without --tls-cert there is nothing to read again")
	s.hangUp("SIGHUP: without --tls-cert there is nothing to read again")
	select {
	case text := <-ended:
		t.Errorf("the held poll got %q", text)
	default:
	}
	s.signal()
	if text := <-ended; text != server.TextDraining {
		t.Errorf("the held poll got %q", text)
	}
	http.DefaultClient.CloseIdleConnections()
	s.end(exitGood)
}

// TestServeClientCA lets in who has a certificate, and after SIGHUP whom the file names
// then.
func TestServeClientCA(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, who := range []string{"server", "one", "two"} {
		if err := factstest.WriteCertificate(file(who+".pem"), file(who+".key")); err != nil {
			t.Fatal(err)
		}
	}
	names := func(who string) {
		t.Helper()
		pem, err := os.ReadFile(file(who + ".pem"))
		if err == nil {
			err = os.WriteFile(file("ca.pem"), pem, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	names("one")
	s := startServe(t, "--unsafe", "--round", "2", "--tls-cert", file("server.pem"), "--tls-key", file("server.key"), "--client-ca", file("ca.pem"))
	comesIn := func(who string) bool {
		t.Helper()
		// Whether the server is to be trusted is not asked.
		cfg := &tls.Config{InsecureSkipVerify: true}
		if who != "" {
			pair, err := tls.LoadX509KeyPair(file(who+".pem"), file(who+".key"))
			if err != nil {
				t.Fatal(err)
			}
			// As a client without manners: whatever the server says it wants.
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
		res, err := (&http.Client{Transport: transport}).Get(s.url + "/workers")
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	}
	if !comesIn("one") || comesIn("two") || comesIn("") {
		t.Error("not the one with a certificate alone comes in")
	}
	names("two")
	s.hangUp("SIGHUP: the certificate was read again")
	if comesIn("one") || !comesIn("two") {
		t.Error("after SIGHUP, not the other one comes in")
	}
	if err := os.WriteFile(file("ca.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangUp("SIGHUP: the certificate could not be read again")
	if comesIn("one") || !comesIn("two") {
		t.Error("a file that can't be read changed who comes in")
	}
	s.signal()
	s.end(exitGood)
}

// TestServeReloadsCertificate changes the certificate of a server under its
// connections.
func TestServeReloadsCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	renew := func() {
		t.Helper()
		if err := factstest.WriteCertificate(cert, key); err != nil {
			t.Fatal(err)
		}
	}
	renew()
	s := startServe(t, "--unsafe", "--round", "2", "--tls-cert", cert, "--tls-key", key)
	connect := func() *http.Client {
		// Which certificate it is, not whether it is to be trusted, is asked.
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	// shown is the certificate that a client's connection has.
	shown := func(c *http.Client) []byte {
		t.Helper()
		res, err := c.Get(s.url + "/workers")
		if err != nil {
			t.Fatal(err)
		}
		// Read to its end, so that the connection is used again.
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.TLS.PeerCertificates[0].Raw
	}
	old := connect()
	first := shown(old)
	renew()
	if got := shown(connect()); !bytes.Equal(got, first) {
		t.Error("the new certificate is used before SIGHUP")
	}
	s.hangUp("SIGHUP: the certificate was read again")
	second := shown(connect())
	if bytes.Equal(second, first) {
		t.Error("the old certificate is used after SIGHUP")
	}
	if got := shown(old); !bytes.Equal(got, first) {
		t.Error("the connection from before was cut")
	}
	if err := os.WriteFile(cert, []byte("half a certific"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangUp("SIGHUP: the certificate could not be read again")
	if got := shown(connect()); !bytes.Equal(got, second) {
		t.Error("the certificate is another after one that could not be read")
	}
	old.CloseIdleConnections()
	s.signal()
	s.end(exitGood)
}
