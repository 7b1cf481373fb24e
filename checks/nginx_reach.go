package checks

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

var reachChecks = []Check{
	{
		ID: "nginx/socket-access", Title: "nginx may connect to the application's socket", Severity: reports.SeverityError, On: OnProxy,
		Reads: []string{"mode and owner of the unix socket that polls go to, and of its directories", "user of nginx.conf and its groups"},
		Why: `nginx's processes run as user, www-data or nginx, and need to write to a unix socket to connect. One that
gunicorn made as another user, with mode 0600 or in a directory that is closed, answers nobody.`,
		Symptom: "connect() to unix:… failed (13: Permission denied) while connecting to upstream: a 502 for all",
		Mend:    "Give the socket a group that nginx's user is in (gunicorn: --umask 007), and open its directory to it.",
		Eval:    onRoutes(evalSocketAccess, facts.RoutePoll),
	},
	{
		ID: "nginx/upstream-name", Title: "nginx finds the application again when its address changes", Severity: reports.SeverityWarn, On: OnProxy, Lint: true,
		Reads: []string{"the names of upstream servers, resolver and resolve"},
		Why: `A name in proxy_pass or in an upstream is looked up once, when nginx starts. A container that comes back
gets another address; nginx goes on to the old one until it is reloaded. localhost is two addresses where the host has
IPv6, and the application mostly listens at one of them.`,
		Symptom: "after a restart of the application: connect() failed (113: No route to host), or (111: Connection refused) for every other request",
		Mend:    "Write an address; or server NAME resolve; with resolver and zone (open source from nginx 1.27.3 on); or a variable in proxy_pass with resolver.",
		Eval:    onRoutes(evalUpstreamName, facts.RoutePoll),
	},
}

func evalSocketAccess(c Case, p place) Judgement {
	u := p.at.Upstream
	if u == nil {
		return c.noUpstream(p)
	}
	var all []Judgement
	for _, peer := range u.Peers {
		path, ok := strings.CutPrefix(peer.Address, "unix:")
		if !ok {
			continue
		}
		v, read := p.n.UpstreamSockets[path]
		switch {
		case !read:
			all = append(all, unknownFor("%s was not looked at", path))
		case !v.Known():
			all = append(all, cantTell(path, v))
		case v.V.Refused != "":
			all = append(all, fail(v.V.Refused, "a socket that "+v.V.User+" may write to", path,
				reports.Remedy{Text: fmt.Sprintf("let the application make it for the group of %s, as gunicorn --umask 007 with Group=%s in its unit, or open the directory", v.V.User, v.V.User), Then: "restart"}))
		default:
			all = append(all, pass(fmt.Sprintf("%s, %s may write", v.V.Mode, v.V.User), path))
		}
	}
	if len(all) == 0 {
		return notApplicable("polls go to no unix socket")
	}
	return worst(all)
}

func evalUpstreamName(c Case, p place) Judgement {
	u := p.at.Upstream
	if u == nil {
		if nginx.HasVariables(p.at.Pass.Raw) {
			return pass("a variable: looked up while nginx runs", p.at.Pass.Source)
		}
		return c.noUpstream(p)
	}
	late := 0
	for _, peer := range u.Peers {
		if peer.Resolve {
			late++
		}
		host, port, err := net.SplitHostPort(peer.Address)
		if err != nil { // a unix socket, or a name without a port
			host = peer.Address
		}
		if _, err := netip.ParseAddr(host); err == nil || strings.HasPrefix(peer.Address, "unix:") || peer.Resolve {
			continue
		}
		if host == "localhost" {
			return fail("localhost, which may be 127.0.0.1 and ::1", "an address", peer.Source,
				reports.Remedy{Text: fmt.Sprintf("at %s write: %s", peer.Source, addressed(p, u, net.JoinHostPort("127.0.0.1", port))), Then: "reload"})
		}
		return fail(host+" is looked up once, when nginx starts", "an address, or resolve", peer.Source,
			reports.Remedy{Text: fmt.Sprintf("where its address may change (containers): from nginx 1.27.3 on write at %s: server %s resolve; with zone in the upstream and resolver in http; before, a variable in proxy_pass and resolver; else reload nginx when the application is restarted", peer.Source, peer.Address), Then: "reload"})
	}
	if u.Incomplete != "" {
		return unknownFor("%s", u.Incomplete)
	}
	if late > 0 {
		return pass("looked up again while nginx runs", u.Source)
	}
	return pass("addresses alone", u.Source)
}

// addressed is the statement that names a peer, with an address in its stead.
func addressed(p place, u *nginx.Upstream, address string) string {
	if u.Implicit {
		return fmt.Sprintf("%s %s;", p.setting("pass"), strings.Replace(p.at.Pass.Raw, u.Name, address, 1))
	}
	return fmt.Sprintf("server %s;", address)
}
