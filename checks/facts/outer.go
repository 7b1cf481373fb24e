package facts

import (
	"fmt"
	"net"
	"slices"
)

// readOuter reads the configs of the nginx before the nginx next to the application,
// outwards: each passes to what listens behind it.
func readOuter(r Root, procs []Process, inner *Nginx, o Scope) (out []Value[*Nginx]) {
	if inner == nil || inner.Master == 0 {
		return nil
	}
	seen := []int{inner.Master}
	for at := inner.Master; ; {
		i := slices.IndexFunc(procs, func(p Process) bool { return p.PID == at })
		next := -1
		for j, p := range procs {
			if p.Kind == KindNginx && p.Part != "worker" && !slices.Contains(seen, p.PID) &&
				slices.ContainsFunc(procs[i].Listen.V, func(l Listener) bool { return p.PassesTo(int(l.Addr.Port())) }) {
				next = j
				break
			}
		}
		if next < 0 {
			return out
		}
		behind := procs[i].Listen.V[slices.IndexFunc(procs[i].Listen.V, func(l Listener) bool { return procs[next].PassesTo(int(l.Addr.Port())) })]
		asked := o.Asked
		asked.Upstream = net.JoinHostPort("127.0.0.1", fmt.Sprint(behind.Addr.Port()))
		at = procs[next].PID
		seen = append(seen, at)
		group := slices.DeleteFunc(slices.Clone(procs), func(p Process) bool { return p.PID != at && p.PPID != at })
		n, err := ReadNginx(r, group, asked, NginxOptions{Version: o.Nginx.Version, Flavour: o.Nginx.Flavour})
		v := Value[*Nginx]{Err: fmt.Sprintf("nginx %d: %v", at, err)}
		if err == nil {
			v = known(n, n.Path)
		}
		out = append(out, v)
	}
}
