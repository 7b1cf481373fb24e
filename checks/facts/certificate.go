package facts

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/fltool/fltool/nginx"
)

// Certificate is what a server shows to its clients. Of the private key only
// whether it belongs to the certificate is kept.
type Certificate struct {
	Path       string      `json:"path"`
	Subject    string      `json:"subject"`
	Names      []string    `json:"names"`     // that it is valid for
	NotBefore  string      `json:"notBefore"` // RFC 3339
	NotAfter   string      `json:"notAfter"`
	SelfSigned bool        `json:"selfSigned,omitempty"`
	Others     int         `json:"others"`          // certificates that follow it in the file
	Chain      string      `json:"chain,omitempty"` // what is wrong with them; "" nothing
	KeyMatches Value[bool] `json:"keyMatches"`      //
}

// readCertificates reads those of a server; a variable in a name makes it unknown.
func readCertificates(r Root, dir string, s nginx.Server) []Value[Certificate] {
	if !s.SSLCertificate.Known() {
		return []Value[Certificate]{{Err: s.SSLCertificate.Err}}
	}
	absolute := func(name string) string {
		if path.IsAbs(name) {
			return name
		}
		return path.Join(dir, name)
	}
	var out []Value[Certificate]
	for i, name := range s.SSLCertificate.V {
		name = absolute(name)
		key := Value[string]{Err: "no ssl_certificate_key stands for it"}
		if s.SSLCertificateKey.Known() && i < len(s.SSLCertificateKey.V) {
			key = known(absolute(s.SSLCertificateKey.V[i]), s.SSLCertificateKey.Source)
		}
		out = append(out, read(name, func() (Certificate, error) { return readCertificate(r, name, key) }))
	}
	return out
}

func readCertificate(r Root, name string, key Value[string]) (Certificate, error) {
	b, err := r.ReadFile(name)
	if err != nil {
		return Certificate{}, err
	}
	c, leaf, err := parseCertificates(b)
	if err != nil {
		return Certificate{}, fmt.Errorf("%s: %w", name, err)
	}
	c.Path = name
	if !key.Known() {
		c.KeyMatches = Value[bool]{Err: key.Why()}
		return c, nil
	}
	c.KeyMatches = read(key.V, func() (bool, error) {
		b, err := r.ReadFile(key.V)
		if err != nil {
			return false, err
		}
		return keyMatches(leaf, b)
	})
	return c, nil
}

var errNoCertificate = errors.New("no certificate in it")

// parseCertificates reads a file of certificates, the server's own first.
func parseCertificates(b []byte) (Certificate, *x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Certificate{}, nil, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return Certificate{}, nil, errNoCertificate
	}
	leaf := all[0]
	c := Certificate{
		Subject: leaf.Subject.String(), Others: len(all) - 1, Names: []string{},
		NotBefore: leaf.NotBefore.UTC().Format(time.RFC3339), NotAfter: leaf.NotAfter.UTC().Format(time.RFC3339),
		SelfSigned: bytes.Equal(leaf.RawIssuer, leaf.RawSubject),
	}
	c.Names = append(c.Names, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	for i, one := range all[1:] {
		if err := all[i].CheckSignatureFrom(one); err != nil {
			c.Chain = fmt.Sprintf("certificate %d of the file did not sign certificate %d", i+2, i+1)
			break
		}
	}
	if len(all) == 1 && !c.SelfSigned {
		c.Chain = "the file holds the server's certificate alone, without the intermediate one that signed it"
	}
	return c, leaf, nil
}

// keyMatches compares public keys.
func keyMatches(leaf *x509.Certificate, b []byte) (bool, error) {
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return false, errors.New("no private key in it that can be read")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return false, errors.New("its private key can't be read") // nothing of it in the text
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return false, errors.New("its private key signs nothing")
		}
		public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(leaf.PublicKey), nil
	}
}
