package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// overTLS fills the slots of nginx by workers that speak TLS and trust its
// certificate.
func (r *room) overTLS() (Measurement, error) {
	cert, key := filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem")
	if err := selfSigned(cert, key); err != nil {
		return Measurement{}, fmt.Errorf("make a certificate: %w", err)
	}
	if _, err := r.nginx(proxy{
		connections: 512, listen: " ssl",
		http: fmt.Sprintf("    ssl_certificate %s;\n    ssl_certificate_key %s;\n", cert, key),
	}); err != nil {
		return Measurement{}, err
	}
	return r.overload(both, "https://"+nginxAddr, 350, "--ca", cert)
}

// selfSigned writes a certificate for nginx's address, and its key.
func selfSigned(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
