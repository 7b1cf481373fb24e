package main

import (
	"crypto/tls"
	"log/slog"
	"sync/atomic"
)

// certificate is a key pair that can be read again while connections live on with
// the one that they began with.
type certificate struct {
	cert, key string // PEM files
	pair      atomic.Pointer[tls.Certificate]
}

// certificate reads the key pair, or gives nil if none is asked for.
func (f *serveFlags) certificate() (*certificate, error) {
	switch {
	case f.tlsCert == "" && f.tlsKey == "":
		return nil, nil
	case f.tlsCert == "" || f.tlsKey == "":
		return nil, usageError("https needs both", "one of --tls-cert and --tls-key is missing")
	}
	c := &certificate{cert: f.tlsCert, key: f.tlsKey}
	if err := c.read(); err != nil {
		return nil, usageError("both must be PEM files, the key that of the certificate", "read TLS key pair: %w", err)
	}
	return c, nil
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.pair.Store(&pair)
	}
	return err
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil },
		MinVersion:     tls.VersionTLS12,
	}
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
	log.Info("SIGHUP: the certificate was read again; new connections get it", "until", c.pair.Load().Leaf.NotAfter)
}
