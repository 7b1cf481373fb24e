package facts

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// VirtualService is a TCP service of the kernel's IPVS, which kube-proxy in mode ipvs
// sets up for each service of Kubernetes.
type VirtualService struct {
	Address netip.AddrPort   `json:"address"`
	Servers []netip.AddrPort `json:"servers"` // where its connections go
}

const ipvsPath = "/proc/net/ip_vs"

// readIPVS reads the virtual TCP services; none where the kernel has no IPVS loaded.
func readIPVS(r Root) Value[[]VirtualService] {
	s, err := r.ReadString(ipvsPath)
	if absent(err) {
		return known([]VirtualService{}, ipvsPath+" is absent")
	}
	return read(ipvsPath, func() ([]VirtualService, error) {
		if err != nil {
			return nil, err
		}
		return parseIPVS(s)
	})
}

// parseIPVS reads lines as net/netfilter/ipvs/ip_vs_ctl.c writes them: services by
// protocol, address and port in hexadecimal, each followed by its servers after "->".
func parseIPVS(text string) ([]VirtualService, error) {
	out := []VirtualService{}
	tcp := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2 || f[1] == "RemoteAddress:Port":
		case f[0] == "TCP":
			a, err := ipvsAddress(f[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ipvsPath, err)
			}
			tcp = true
			out = append(out, VirtualService{Address: a, Servers: []netip.AddrPort{}})
		case f[0] == "UDP" || f[0] == "SCTP" || f[0] == "FWM":
			tcp = false
		case f[0] == "->" && tcp:
			a, err := ipvsAddress(f[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ipvsPath, err)
			}
			last := &out[len(out)-1]
			last.Servers = append(last.Servers, a)
		}
	}
	return out, nil
}

// ipvsAddress reads "0A60000A:0050" or "[2001:0db8:…:0001]:0050": the port is
// hexadecimal.
func ipvsAddress(s string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q has no port", s)
	}
	if host := s[:i]; strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		return netip.AddrPortFrom(a, uint16(port)), err
	}
	b, err := hex.DecodeString(s[:i])
	if err != nil || len(b) != 4 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", s)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), uint16(port)), nil
}
