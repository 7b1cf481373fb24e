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
	source  string
}

var balancers = []balancer{
	{"aws-alb", 60 * time.Second, "set the attribute idle_timeout.timeout_seconds, up to 4000 s", true, 0, "AWS's documentation of application load balancers"},
	{"aws-nlb", 350 * time.Second, "set the listener's attribute tcp.idle_timeout.seconds, up to 6000 s", false, 0, "AWS's documentation of network load balancers"},
	{"azure-lb", 4 * time.Minute, "set the rule's idle timeout, up to 100 minutes, and TCP reset with it", false, 0, "Azure's documentation of load balancers"},
	{"gcp-https", 30 * time.Second, "set timeoutSec of the backend service", true, 0, "Google's documentation of backend services"},
	{"cloudflare", 120 * time.Second, "only plans for enterprises raise it: go round the proxy", true, 100e6, "Cloudflare's documentation of error 524"},
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
		return balancers[i].kind(balancers[i].name + " " + Short(balancers[i].silence) + " by default"), nil
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
	return &Kind{
		Spec: facts.Spec{Kind: b.name, Role: RoleBalancer}, Source: b.source,
		Holds:       always(na[Bound]("its vendor scales it")),
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
		Mend:        func(Hop, string, string) string { return b.raise },
		EndsTLS:     b.tls,
	}
}

// Named is a kind that only a user knows: what it answers is what he states.
func Named(name string) *Kind {
	return &Kind{Spec: facts.Spec{Kind: name, Role: facts.RoleProxy}}
}
