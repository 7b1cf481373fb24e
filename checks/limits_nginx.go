package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/reports"
)

// nginxMasters are nginx's processes that start the others.
func (c Case) nginxMasters() (out []facts.Process) {
	for _, p := range c.Processes.V {
		if p.Kind == facts.KindNginx && p.Part == "master" {
			out = append(out, p)
		}
	}
	return out
}

// nginxHard is the hard limit that nginx's worker processes begin with, the
// master's: their own may be what worker_rlimit_nofile lowered it to.
func (c Case) nginxHard(or facts.Limit) facts.Limit {
	for _, p := range c.nginxMasters() {
		if p.Limits.Known() {
			return p.Limits.V.NoFile.Hard
		}
	}
	return or
}

// selinuxForbids says whether SELinux may keep nginx from setting its limit.
func (c Case) selinuxForbids() bool {
	s := c.SELinux
	return s.Known() && s.V.Enforcing && !(s.V.SetRlimit.Known() && s.V.SetRlimit.V)
}

// selinuxRemedy is for an nginx whose config asks for enough and does not get it.
func (c Case) selinuxRemedy(unit string, has facts.Bound, need, target int64) (reports.Remedy, bool) {
	n := c.Nginx.V
	if !c.selinuxForbids() || !c.Nginx.Known() || n == nil || !n.Main.WorkerRlimitNofile.Known() {
		return reports.Remedy{}, false
	}
	if asks := n.Main.WorkerRlimitNofile.V; asks < need || !has.Soft.Below(asks) {
		return reports.Remedy{}, false
	}
	const text = "SELinux forbids nginx to set worker_rlimit_nofile: setsebool -P httpd_setrlimit on, then restart nginx"
	if unit == "" || !c.Systemd.V {
		return reports.Remedy{Text: text, Then: "restart"}, true
	}
	return c.nginxUnitRemedy(unit, target, text+"; or let its unit give the limit"), true
}

// nginxUnitRemedy raises the limit of nginx's service.
func (c Case) nginxUnitRemedy(unit string, target int64, text string) reports.Remedy {
	set := ""
	if u := c.NginxUnit.V; u != nil && u.NoFileSet {
		set = u.NoFile.Source
	}
	return c.unitRemedy(unit, set, fmt.Sprintf("LimitNOFILE=%d", target), text)
}

// httpPorts are those that SELinux's policy lets a web server connect to, of the
// type http_port_t (semanage port -l).
var httpPorts = []uint16{80, 81, 443, 488, 8008, 8009, 8443, 9000}

// evalSELinux asks whether SELinux lets nginx reach the application.
func evalSELinux(c Case, n *facts.Nginx) Judgement {
	v := c.SELinux
	switch {
	case !v.Known():
		return cantTell("SELinux", v)
	case !v.V.Enforcing:
		return notApplicable("SELinux is not enforced")
	}
	to := ""
	for i := range n.Sites {
		at := n.Sites[i].At(facts.RoutePoll)
		if at == nil || at.Upstream == nil {
			continue
		}
		for _, p := range at.Upstream.Peers {
			if addr, err := netip.ParseAddrPort(p.Address); err == nil && !slices.Contains(httpPorts, addr.Port()) {
				to = p.Address
			}
		}
	}
	switch {
	case to == "":
		return notApplicable("nginx passes to no port that SELinux guards")
	case !v.V.NetConnect.Known():
		return cantTell("httpd_can_network_connect", v.V.NetConnect)
	case v.V.NetConnect.V:
		return pass("httpd_can_network_connect is on", v.V.NetConnect.Source)
	}
	return fail("httpd_can_network_connect is off, and nginx passes to "+to, "on", v.V.NetConnect.Source,
		reports.Remedy{Text: "let web servers connect to any port", Commands: []string{"setsebool -P httpd_can_network_connect on"}})
}
