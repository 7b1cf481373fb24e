package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
)

// resolve gives a target as address and port, as seen from the sources if any.
func resolve(ctx context.Context, target *url.URL, sources []netip.Addr) (string, error) {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	if len(sources) == 0 {
		return lookup(ctx, target.Hostname(), port, netip.Addr{})
	}
	return lookup(ctx, target.Hostname(), port, sources[0])
}

// IsPublic says whether a target has an address that is neither this machine's loopback
// nor one of a private network (RFC 1918, RFC 4193, link-local). The error is a
// *TargetError: the name is not known.
func IsPublic(ctx context.Context, target *url.URL) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", target.Hostname())
	if err != nil {
		return false, unreachable(target.Scheme+"://"+target.Host, err)
	}
	return slices.ContainsFunc(all, func(ip netip.Addr) bool {
		ip = ip.Unmap()
		return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified()
	}), nil
}

// lookup finds the address of a host once: thousands of workers must not ask the
// resolver each for itself. Of a name with several addresses it takes one that
// answers.
func lookup(ctx context.Context, host, port string, source netip.Addr) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if source.IsValid() && source.Is4() != ip.Unmap().Is4() {
			return "", fmt.Errorf("%s can't be reached from %s: one is IPv4, one IPv6", ip, source)
		}
		return net.JoinHostPort(host, port), nil
	}
	network := "tcp"
	if source.IsValid() {
		network = "tcp6"
		if source.Is4() {
			network = "tcp4"
		}
	}
	c, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(ctx, network, net.JoinHostPort(host, port))
	if err != nil {
		return "", err
	}
	return c.RemoteAddr().String(), c.Close()
}
