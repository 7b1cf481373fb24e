package facts

import (
	"fmt"
	"strconv"
	"strings"
)

// Where the ports stand that a connection out may take.
const (
	portRangePath     = "/proc/sys/net/ipv4/ip_local_port_range"
	portsReservedPath = "/proc/sys/net/ipv4/ip_local_reserved_ports"
)

// PortRange is the span of local ports that the kernel gives to outgoing
// connections: one each per destination address and port.
type PortRange struct {
	Lo       int `json:"lo"`
	Hi       int `json:"hi"`
	Reserved int `json:"reserved"` // ports between Lo and Hi that are never given

	Kept string `json:"kept,omitempty"` // ip_local_reserved_ports as it stands: "8080,9000-9010"
}

// Usable is how many connections one source address can have to one destination.
func (p PortRange) Usable() int { return p.Hi - p.Lo + 1 - p.Reserved }

// ReadPortRange reads net.ipv4.ip_local_port_range and takes off what
// net.ipv4.ip_local_reserved_ports keeps back.
func ReadPortRange(r Root) (PortRange, error) {
	span, err := r.ReadString(portRangePath)
	if err != nil {
		return PortRange{}, err
	}
	reserved, err := r.ReadString(portsReservedPath)
	if err != nil && !absent(err) {
		return PortRange{}, err
	}
	return parsePortRange(span, reserved)
}

// parsePortRange reads "32768 60999" and a list such as "8080,9000-9010".
func parsePortRange(span, reserved string) (PortRange, error) {
	f := strings.Fields(span)
	if len(f) != 2 {
		return PortRange{}, fmt.Errorf("ip_local_port_range: %q is not two ports", span)
	}
	lo, err := parsePort(f[0])
	if err != nil {
		return PortRange{}, fmt.Errorf("ip_local_port_range: %w", err)
	}
	hi, err := parsePort(f[1])
	if err != nil {
		return PortRange{}, fmt.Errorf("ip_local_port_range: %w", err)
	}
	if lo > hi {
		return PortRange{}, fmt.Errorf("ip_local_port_range: %d is above %d", lo, hi)
	}
	p := PortRange{Lo: lo, Hi: hi, Kept: strings.TrimSpace(reserved)}
	kept := make(map[int]bool) // the list may name a port twice
	for part := range strings.SplitSeq(strings.TrimSpace(reserved), ",") {
		if part == "" {
			continue
		}
		from, to, isSpan := strings.Cut(part, "-")
		if !isSpan {
			to = from
		}
		a, err := parsePort(from)
		if err != nil {
			return PortRange{}, fmt.Errorf("ip_local_reserved_ports: %w", err)
		}
		b, err := parsePort(to)
		if err != nil {
			return PortRange{}, fmt.Errorf("ip_local_reserved_ports: %w", err)
		}
		for port := max(a, lo); port <= min(b, hi); port++ {
			kept[port] = true
		}
	}
	p.Reserved = len(kept)
	return p, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port", s)
	}
	return int(n), nil
}
