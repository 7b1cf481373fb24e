package kinds

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// Filters that keep nobody out, by the end of their config's type.
var (
	envoyHTTPHarmless = []string{"Router", "Buffer", "Cors", "Compressor", "Decompressor", "Gzip", "HeaderMutation", "GrpcWeb", "IPTagging", "BandwidthLimit",
		"grpc_stats.v3.FilterConfig", "header_to_metadata.v3.Config", "set_metadata.v3.Config"}
	envoyListenerHarmless = []string{"TlsInspector", "HttpInspector", "ProxyProtocol", "OriginalDst", "OriginalSrc"}
)

// envoyMayKeep is the gate of a filter of which it is not known whom it keeps out.
func envoyMayKeep(what string, f envoyNode) gate {
	return gate{what + " " + cmp.Or(f.kind(), f.get("name").text()) + ": whether it keeps workers out is not known", f.at(), true}
}

// envoyListenerGate is what keeps workers out before a chain of filters is chosen.
func envoyListenerGate(l envoyNode) (g gate) {
	for _, f := range l.get("listener_filters").list() {
		if !slices.Contains(envoyListenerHarmless, f.kind()) {
			g = narrowest(g, envoyMayKeep("the listener's filter", f))
		}
	}
	if m := l.get("filter_chain_matcher"); m.set() {
		g = narrowest(g, gate{"filter_chain_matcher: whether it lets workers in is not known", m.at(), true})
	}
	return g
}

// envoyChainGate is what a chain asks of connections: by its match, and by TLS.
func envoyChainGate(chain envoyNode) (g gate) {
	match := chain.get("filter_chain_match")
	for _, name := range []string{"source_prefix_ranges", "direct_source_prefix_ranges", "source_ports", "source_type"} {
		if m := match.get(name); m.set() {
			g = narrowest(g, someOnly("filter_chain_match "+name, m.at()))
		}
	}
	socket := chain.get("transport_socket")
	tls := socket.get("typed_config")
	switch kind := socket.kind(); {
	case !socket.set() || kind == "RawBuffer":
		return g
	case kind == "QuicDownstreamTransport":
		tls = tls.get("downstream_tls_context")
	case kind != "DownstreamTlsContext":
		return narrowest(g, envoyMayKeep("the transport socket", socket))
	}
	switch asks := tls.get("require_client_certificate"); asks.text() {
	case "true":
		g = narrowest(g, gate{text: "require_client_certificate asks for a certificate, and workers have none", at: asks.at()})
	case "false":
	case "":
		if asks.set() {
			g = narrowest(g, gate{"require_client_certificate: whether it is true is not known", asks.at(), true})
		}
	}
	return g
}

// envoyFilterGate is what the filters of HTTP keep workers out by. What routes set of
// them may lift it or bring it in.
func envoyFilterGate(m, host envoyNode) (g gate) {
	own := m.get("route_config", "typed_per_filter_config").set() || host.get("typed_per_filter_config").set()
	for _, route := range host.get("routes").list() {
		own = own || route.get("typed_per_filter_config").set()
		for _, w := range route.get("route", "weighted_clusters", "clusters").list() {
			own = own || w.get("typed_per_filter_config").set()
		}
	}
	for _, f := range m.get("http_filters").list() {
		kind, disabled := f.kind(), f.get("disabled")
		config := f.get("typed_config")
		harmless := slices.ContainsFunc(envoyHTTPHarmless, func(name string) bool { return strings.HasSuffix(config.get("@type").text(), "."+name) })
		switch {
		case harmless, kind == "HealthCheck" && len(config.get("headers").list()) > 0, disabled.text() == "true" && !own:
			continue
		}
		if kind == "RBAC" && !own && !config.get("rules").set() && !config.get("matcher").set() {
			continue // it has shadow rules at most, which only log
		}
		one := envoyMayKeep("the filter", f)
		if kind == "BasicAuth" && !own && !disabled.set() {
			one = gate{text: "the filter BasicAuth asks for a password, and workers send none: 401", at: f.at()}
		}
		g = narrowest(g, one)
	}
	return g
}

// envoyHostGate is what the routes of a virtual host keep workers out by: of those that a
// request may match the first counts.
func envoyHostGate(host envoyNode) (g gate) {
	if tls := host.get("require_tls"); tls.set() && tls.text() != "NONE" {
		g = gate{"require_tls redirects what comes without TLS: whether workers do is not known", tls.at(), true}
	}
	for _, q := range facts.WorkerRequests() {
		g = narrowest(g, envoyRouteGate(host.get("routes").list(), q))
	}
	return g
}

// envoyRouteGate is what routes make of a request.
func envoyRouteGate(routes []envoyNode, q facts.WorkerRequest) (g gate) {
	var maybe envoyNode // a route of requests that meet more than a path
	for _, route := range routes {
		rank, on := envoyTakes(route.get("match"), q.Path), route.get("route").set()
		itself := gate{text: "direct_response: Envoy answers itself", at: route.at()}
		if !route.get("direct_response").set() {
			itself = gate{"a route that passes nothing on: whether workers get on is not known", route.at(), true}
		}
		switch {
		case rank == envoySure && on:
			return g
		case rank == envoySure && g.open() && !maybe.set():
			return itself
		case rank == envoySure:
			return narrowest(g, itself.unsure())
		case on && rank == envoyPerhaps && !maybe.set():
			maybe = route
		case !on && (rank == envoyPerhaps || envoyBelow(route.get("match"), q.Path)):
			g = narrowest(g, itself.unsure())
		}
	}
	if maybe.set() {
		g = narrowest(g, gate{"a route of requests that meet its match alone: whether workers do is not known", maybe.at(), true})
	}
	return g
}

// envoyBelow says whether a match is of a route of workers below some path.
func envoyBelow(match envoyNode, asked string) bool {
	for _, v := range match.fields() {
		if strings.HasSuffix(v.text(), asked) {
			return true
		}
	}
	return false
}
