package facts

import (
	"slices"
	"strings"
)

// followNginx finds the application by where nginx passes polls to, where nothing
// passes to the address that it was looked for at: by a unix socket, by another of this
// host's addresses, or on another host.
func (f *Facts) followNginx(asked Asked) {
	n := f.Nginx.V
	if n == nil || !n.Guessed || asked.Upstream != "" || !f.Processes.Known() {
		return
	}
	to := n.peers()
	if len(to) != 1 {
		return
	}
	host, port := splitAddress(to[0])
	i := slices.IndexFunc(f.Processes.V, Process.Serves)
	switch {
	case strings.HasPrefix(to[0], "unix:"):
		// A server that listens on no port listens on a socket; that it is this one nobody else can be meant by.
		if i >= 0 && f.Processes.V[i].Listen.Known() && len(f.Processes.V[i].Listen.V) == 0 {
			f.Asked.Upstream, n.Guessed = to[0], false
		}
	case port == 0:
	case i >= 0:
		if slices.ContainsFunc(f.Processes.V, func(p Process) bool { return p.Serves() && p.ListensOn(uint16(port)) }) {
			f.Asked.Upstream, n.Guessed = to[0], false
		}
	case asked.PID == 0 && asked.Service == "" && asked.User == "" && asked.Port == 0:
		f.Asked.Port, n.Guessed = port, false
		if !local(host) {
			f.Asked.Upstream = to[0]
		}
	}
}

// peers are the addresses that the sites pass polls to.
func (n *Nginx) peers() (to []string) {
	for i := range n.Sites {
		at := n.Sites[i].At(RoutePoll)
		if at == nil || at.Upstream == nil {
			continue
		}
		for _, p := range at.Upstream.Peers {
			if !slices.Contains(to, p.Address) {
				to = append(to, p.Address)
			}
		}
	}
	return to
}

// Elsewhere is where the application is reached on another host, as nginx or the user
// has it: "10.0.0.9:5000"; "" where it may be on this one.
func (a Asked) Elsewhere() string {
	host, port := splitAddress(a.Upstream)
	if port == 0 || local(host) {
		return ""
	}
	return a.Upstream
}
