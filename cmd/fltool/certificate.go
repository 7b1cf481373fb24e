package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// certificate is a key pair, and whose clients may come in, that can be read again
// while connections live on with what they began with.
type certificate struct {
	cert, key string // PEM files
	clientCA  string // PEM file; "": any client
	current   atomic.Pointer[tls.Config]
}

// certificate reads the files, or gives nil if none is asked for.
func (f *serveFlags) certificate() (*certificate, error) {
	switch {
	case f.tlsCert == "" && f.tlsKey == "" && f.clientCA != "":
		return nil, usageError("a client shows its certificate over https: give --tls-cert and --tls-key", "--client-ca needs --tls-cert")
	case f.tlsCert == "" && f.tlsKey == "":
		return nil, nil
	case f.tlsCert == "" || f.tlsKey == "":
		return nil, usageError("https needs both", "one of --tls-cert and --tls-key is missing")
	}
	c := &certificate{cert: f.tlsCert, key: f.tlsKey, clientCA: f.clientCA}
	if err := c.read(); errors.Is(err, errClientCA) {
		return nil, usageError("it must be a PEM file of the authorities' certificates", "%w", err)
	} else if err != nil {
		return nil, usageError("both must be PEM files, the key that of the certificate", "read TLS key pair: %w", err)
	}
	return c, nil
}

var errClientCA = errors.New("read --client-ca")

// read reads the files. A config is made anew, so that a session of a client that may
// not come in any more is not resumed.
func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if c.clientCA != "" {
		pem, err := os.ReadFile(c.clientCA)
		if err != nil {
			return fmt.Errorf("%w: %w", errClientCA, err)
		}
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%w: no certificate in %s", errClientCA, c.clientCA)
		}
	}
	c.current.Store(cfg)
	return nil
}

// config is what a listener takes: each connection gets what is current when it comes.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
		MinVersion:         tls.VersionTLS12,
	}
}

// scheme is that of the addresses; a nil certificate is none.
func (c *certificate) scheme() string {
	if c == nil {
		return "http"
	}
	return "https"
}

// reload reads the files again, at SIGHUP; where it can't, all stays as it is. A nil
// certificate has nothing to read.
func (c *certificate) reload(log *slog.Logger) {
	if c == nil {
		log.Info("SIGHUP: without --tls-cert there is nothing to read again")
		return
	}
	if err := c.read(); err != nil {
		log.Error("SIGHUP: the certificate could not be read again, and the one before stays", "error", err)
		return
	}
	log.Info("SIGHUP: the certificate was read again; new connections get it", "until", c.current.Load().Certificates[0].Leaf.NotAfter)
}
