package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// maxRoutes bounds the addresses that are tried of either family.
const maxRoutes = 4

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// portOf is the port of a URL, or its scheme's.
func portOf(u *url.URL) (string, error) {
	switch port := u.Port(); {
	case port != "":
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", ErrURL
		}
		return port, nil
	case u.Scheme == "https":
		return "443", nil
	default:
		return "80", nil
	}
}

// reach connects to every address of the host, and has a look at the TLS of the
// first that takes a connection.
func (p *prober) reach(ctx context.Context, out *facts.Probe) {
	host := p.o.URL.Hostname()
	addresses, err := p.addresses(ctx, host)
	if err != nil {
		out.IPv4, out.IPv6 = unknown[[]facts.Endpoint](err), unknown[[]facts.Endpoint](err)
		out.TLS = unknown[*facts.TLS](err)
		return
	}
	port, _ := portOf(p.o.URL)
	source := "connections to " + net.JoinHostPort(host, port)
	out.IPv4, out.IPv6 = facts.Value[[]facts.Endpoint]{Source: source}, facts.Value[[]facts.Endpoint]{Source: source}
	out.Loopback = len(addresses) > 0
	for _, a := range addresses {
		out.Loopback = out.Loopback && a.IsLoopback()
		family := &out.IPv6
		if a.Is4() {
			family = &out.IPv4
		}
		if len(family.V) == maxRoutes {
			continue
		}
		family.V = append(family.V, p.route(ctx, net.JoinHostPort(a.String(), port)))
	}
	switch {
	case p.o.URL.Scheme == "http":
		out.TLS = facts.Value[*facts.TLS]{Source: "the URL"}
	case len(p.routes) == 0:
		out.TLS = unknown[*facts.TLS](errors.New("nothing takes a connection at " + p.o.URL.Host))
	default:
		out.TLS = p.look(ctx)
	}
}

// addresses are those of a host, IPv4 first, as most workers try them.
func (p *prober) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	found, err := p.o.Lookup(ctx, host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) {
			return nil, fmt.Errorf("look up %s: %s", host, dns.Err)
		}
		return nil, fmt.Errorf("look up %s: %s", host, cause(err))
	}
	var v4, v6 []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	return append(v4, v6...), nil
}

// route tries one address.
func (p *prober) route(ctx context.Context, address string) facts.Endpoint {
	r := facts.Endpoint{Address: address}
	start := p.o.Now()
	c, err := p.dial(ctx, address)
	if err != nil {
		r.Err = cause(err)
		r.NoWay = errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
		return r
	}
	c.Close()
	r.Open, r.Seconds = true, p.o.Now().Sub(start).Seconds()
	p.routes = append(p.routes, address)
	return r
}

// look makes a handshake and keeps what it shows.
func (p *prober) look(ctx context.Context) facts.Value[*facts.TLS] {
	tcp, err := p.dial(ctx, p.routes[0])
	if err != nil {
		return unknown[*facts.TLS](errors.New(cause(err)))
	}
	defer tcp.Close()
	_, state, err := p.handshake(ctx, tcp, "h2", "http/1.1")
	if state == nil {
		return unknown[*facts.TLS](errors.New("handshake: " + cause(err)))
	}
	t := facts.TLS{
		Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite), Protocol: state.NegotiatedProtocol,
		Trusted: err == nil, Waived: p.o.TLS != nil && p.o.TLS.InsecureSkipVerify,
	}
	if t.Waived {
		err = p.verify(*state)
		t.Trusted = err == nil
	}
	if err != nil {
		t.Why = clip(err.Error())
	}
	for _, c := range state.PeerCertificates {
		cert := facts.Cert{
			Subject: clip(c.Subject.String()), Issuer: clip(c.Issuer.String()),
			NotBefore: c.NotBefore.UTC().Format(time.RFC3339), NotAfter: c.NotAfter.UTC().Format(time.RFC3339),
		}
		if len(t.Chain) == 0 {
			for _, n := range c.DNSNames {
				cert.Names = append(cert.Names, clip(n))
			}
			for _, a := range c.IPAddresses {
				cert.Names = append(cert.Names, a.String())
			}
		}
		t.Chain = append(t.Chain, cert)
	}
	return facts.Value[*facts.TLS]{V: &t, Source: "handshake with " + p.routes[0]}
}

// handshake starts TLS. The state is there even where the peer is not trusted,
// which is the error then.
func (p *prober) handshake(ctx context.Context, tcp net.Conn, protocols ...string) (net.Conn, *tls.ConnectionState, error) {
	cfg := p.o.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = p.o.URL.Hostname()
	}
	trusting := cfg.InsecureSkipVerify
	cfg.NextProtos = protocols
	// Verified below, so that what was seen is known either way. Old versions
	// are let in for the same reason: to be named.
	cfg.InsecureSkipVerify = true     // #nosec G402 -- nothing is asked on it
	cfg.MinVersion = tls.VersionTLS10 // #nosec G402 -- as above
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c := tls.Client(tcp, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	state := c.ConnectionState()
	if !trusting {
		if err := p.verify(state); err != nil {
			return nil, &state, err
		}
	}
	return c, &state, nil
}

// verify does what a client does of itself.
func (p *prober) verify(state tls.ConnectionState) error {
	o := x509.VerifyOptions{DNSName: p.o.URL.Hostname(), Intermediates: x509.NewCertPool(), CurrentTime: p.o.Now()}
	if p.o.TLS != nil {
		o.Roots = p.o.TLS.RootCAs
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("no certificate was sent")
	}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(o)
	return err
}
