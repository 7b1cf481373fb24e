package kinds

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// balancer is one that a vendor runs: it is named by --lb, and its limits are those
// of its documentation.
type balancer struct {
	name    string
	silence time.Duration // idle timeout, by default
	raise   string        // how that is raised
	tls     bool          // it ends TLS, and so speaks HTTP
	body    int64         // bytes; 0: unlimited
	holds   int64         // requests at once; 0: its vendor scales it
	more    string        // how that is raised
	note    string        // what differs about the timeout
	source  string
}

var balancers = []balancer{
	{name: "aws-alb", silence: 60 * time.Second, raise: "set the attribute idle_timeout.timeout_seconds, up to 4000 s", tls: true, source: "AWS's documentation of application load balancers"},
	{name: "aws-nlb", silence: 350 * time.Second, raise: "set the listener's attribute tcp.idle_timeout.seconds, up to 6000 s", source: "AWS's documentation of network load balancers"},
	{name: "aws-api-gateway", silence: 29 * time.Second, raise: "ask for a longer integration timeout, which only regional and private REST APIs may have, or go round the gateway",
		tls: true, body: 10e6, source: "AWS's documentation of quotas of API Gateway"},
	{name: "azure-lb", silence: 4 * time.Minute, raise: "set the rule's idle timeout, up to 100 minutes, and TCP reset with it", source: "Azure's documentation of load balancers"},
	{name: "azure-app-gateway", silence: 20 * time.Second, raise: "set the request time-out of the backend setting, up to 86400 s", tls: true,
		note: "a firewall's own limits of bodies come on top", source: "Azure's documentation of application gateway's backend settings"},
	{name: "azure-api-management", silence: 4 * time.Minute, raise: "go round the gateway: above 240 s its timeout may not be honoured", tls: true,
		note: "300s is its timeout, and the network below drops what is idle for 240s", source: "Azure's documentation of the policy forward-request"},
	{name: "gcp-https", silence: 30 * time.Second, raise: "set timeoutSec of the backend service", tls: true, source: "Google's documentation of backend services"},
	{name: "gcp-api-gateway", silence: 15 * time.Second, raise: "set deadline in x-google-backend, up to 3600 s", tls: true, body: 32e6,
		source: "Google's documentation of API Gateway: quotas, and x-google-backend"},
	{name: "cloud-run", silence: 5 * time.Minute, raise: "set the service's request timeout, up to 3600 s", tls: true, body: 32 << 20, holds: 80,
		more: "set the service's concurrency to %d, up to 1000, with max-instances 1: each instance has a state of its own", source: "Google's documentation of Cloud Run: request timeout, concurrency, quotas"},
	{name: "cloudflare", silence: 100 * time.Second, raise: "only plans for enterprises raise it: go round the proxy", tls: true, body: 100e6,
		note: "its documentation says 120s, and 100s before; reports have seen both", source: "Cloudflare's documentation of error 524"},
	{name: "heroku", silence: 30 * time.Second, raise: "nothing raises it: have the server end holds sooner", tls: true,
		note: "to the first byte, which ends a held poll; 55s between bytes after that", source: "Heroku's documentation of its router"},
	{name: "haproxy", silence: 50 * time.Second, raise: "set timeout server, and timeout client in mode tcp", note: "as it is packaged; it has no timeout where none is set", source: "haproxy.cfg of Debian's package"},
	{name: "envoy", silence: 15 * time.Second, raise: "set the route's timeout, and stream_idle_timeout of 300 s with it", tls: true, source: "Envoy's documentation of timeouts"},
	{name: "traefik", silence: 60 * time.Second, raise: "set respondingTimeouts.readTimeout of the entry point", tls: true, note: "from 2.11.2 and 3.0 on", source: "Traefik's notes of migration"},
	{name: "ipvs", silence: 15 * time.Minute, raise: "ipvsadm --set 7200 120 300, or ipvs.tcpTimeout of kube-proxy, and TCP keep-alive below it", source: "Linux's IPVS: net/netfilter/ipvs/ip_vs_proto_tcp.c"},
	{name: "swarm", silence: 15 * time.Minute, raise: "publish the port in mode host, or have TCP keep-alive below it", source: "Docker Swarm's routing mesh is IPVS"},
}

// Balancers are the names that --lb knows.
func Balancers() []string {
	names := make([]string, len(balancers))
	for i, b := range balancers {
		names[i] = b.name
	}
	return names
}

// ParseBalancer reads a name of Balancers, or an idle timeout such as "90s".
func ParseBalancer(s string) (*Kind, error) {
	if i := slices.IndexFunc(balancers, func(b balancer) bool { return b.name == s }); i >= 0 {
		b := balancers[i]
		got := b.name + " " + Short(b.silence) + " by default"
		if b.note != "" {
			got += " (" + b.note + ")"
		}
		return b.kind(got), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("want %s or an idle timeout such as 90s", strings.Join(Balancers(), ", "))
	}
	return balancer{name: "lb", silence: d, raise: "raise its idle timeout", source: "--lb"}.kind(Short(d)), nil
}

// kind is the balancer as a hop is one.
func (b balancer) kind(got string) *Kind {
	body := is(Unlimited, "no limit", b.source)
	if b.body > 0 {
		body = is(b.body, facts.Bytes(b.body), b.source)
	}
	holds := na[Bound]("its vendor scales it")
	if b.holds > 0 {
		holds = is(Bound{b.holds, b.holds, "waits for another instance, which has a state of its own"}, fmt.Sprintf("%d at once by default", b.holds), b.source).
			settable(func(n int64) string { return fmt.Sprintf(b.more, n) })
	}
	return &Kind{
		Spec: facts.Spec{Kind: b.name, Role: RoleBalancer}, Source: b.source,
		Holds:       always(holds),
		Connections: always(na[Bound]("its vendor scales it")),
		Tasks:       always(na[int64]("it runs elsewhere")),
		Descriptors: always(na[Files]("it runs elsewhere")),
		Memory:      always(na[Cost]("it runs elsewhere")),
		Silence:     always(is(b.silence, got, "--lb")),
		Body:        always(body),
		Keepalive:   always(is(b.silence, got, "--lb")),
		Restart:     always(na[Ending]("its vendor runs it")),
		State:       always(is(int64(0), "none", b.source)),
		Backlog:     always(na[int64]("its vendor scales it")),
		Mend: func(_ Hop, set, _ string) string {
			if set != "" {
				return set
			}
			return b.raise
		},
		EndsTLS: b.tls,
	}
}

// Named is a kind that only a user knows: what it answers is what he states.
func Named(name string) *Kind {
	return &Kind{Spec: facts.Spec{Kind: name, Role: facts.RoleProxy}}
}
