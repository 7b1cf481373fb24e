package kinds

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// traefikHarmless are the middlewares that keep nobody out. What inFlightReq bounds and
// buffering takes other questions answer.
var traefikHarmless = []string{"addprefix", "buffering", "circuitbreaker", "compress", "contenttype", "errors", "grpcweb", "inflightreq",
	"passtlsclientcert", "replacepath", "replacepathregex", "retry", "stripprefix", "stripprefixregex"}

// traefikRules are the matchers of a rule that all workers may meet by their URL.
var traefikRules = []string{"host", "hostregexp", "hostsni", "hostsniregexp", "path", "pathprefix", "pathregexp"}

var traefikMatcher = regexp.MustCompile("([A-Za-z]+)\\s*\\(\\s*[`\"']")

// traefikDepth bounds chains of middlewares.
const traefikDepth = 16

// access is what keeps workers from a way: the middlewares and TLS of its entry point and
// of the routers that lead from there to the service.
func (t traefikTree) access(protocol, service string, e traefikEntry) gate {
	var gates []gate
	direct := false
	for _, key := range slices.Sorted(maps.Keys(t)) {
		m := traefikRouter.FindStringSubmatch(key)
		if m == nil || m[1] != protocol || !t.enters(protocol, m[2], e.name) {
			continue
		}
		leads := strings.ToLower(strings.TrimSuffix(t[key].V, "@file")) == service
		g := t.router(protocol, m[2], e)
		switch {
		case leads && !direct:
			direct, gates = true, []gate{g}
		case leads || !direct:
			gates = append(gates, g)
		}
	}
	own := gate{}
	if protocol == "http" {
		own = t.middlewares(protocol, e.middlewares, 0)
	}
	shut := 0
	for _, g := range gates {
		if !g.open() && !g.maybe {
			shut++
		}
	}
	through := narrowest(gates...)
	if shut < len(gates) || !direct { // some get in by another router
		through = through.unsure()
	}
	return narrowest(own, through)
}

// router is what one router keeps workers out by.
func (t traefikTree) router(protocol, name string, e traefikEntry) gate {
	at := protocol + ".routers." + name
	all := []gate{t.middlewares(protocol, t.listed(at+".middlewares"), 0)}
	rule := t[at+".rule"]
	for _, m := range traefikMatcher.FindAllStringSubmatch(rule.V, -1) {
		if !slices.Contains(traefikRules, strings.ToLower(m[1])) {
			all = append(all, gate{"a rule with " + m[1] + ": whether workers meet it is not known", rule.Source, true})
		}
	}
	tls := e.tls
	for key := range t {
		tls = tls || key == at+".tls" || strings.HasPrefix(key, at+".tls.")
	}
	if tls && t[at+".tls.passthrough"].V != "true" {
		all = append(all, t.clients(at, e))
	}
	return narrowest(all...)
}

// clients is the gate of the options of TLS that a router names.
func (t traefikTree) clients(router string, e traefikEntry) gate {
	name := "default"
	for _, v := range []string{e.options, t[router+".tls.options"].V} {
		if v != "" {
			name = strings.ToLower(v)
		}
	}
	if base, from, ok := strings.Cut(name, "@"); ok && from != "file" {
		return gate{"TLS options of another provider: whether they ask for a certificate is not known", t[router+".tls.options"].Source, true}
	} else if ok {
		name = base
	}
	var all []gate
	for _, key := range slices.Sorted(maps.Keys(t)) {
		options, of := strings.CutPrefix(key, "tls.options.")
		options, clients := strings.CutSuffix(options, ".clientauth.clientauthtype")
		if !of || !clients {
			continue
		}
		switch v := t[key]; {
		case !strings.HasPrefix(strings.ToLower(v.V), "require"):
		case options == name:
			all = append(all, gate{text: "clientAuthType " + v.V + " asks for a certificate, and workers have none", at: v.Source})
		default: // where routers of a host differ Traefik takes the default ones
			all = append(all, gate{"clientAuthType " + v.V + " of other TLS options: whether they count is not known", v.Source, true})
		}
	}
	return narrowest(all...)
}

// A traefikUse is a middleware by its name, and who names it.
type traefikUse struct{ name, from string }

// listed are the names of a list, which flags and the environment join by commas.
func (t traefikTree) listed(key string) (out []traefikUse) {
	for i := 0; ; i++ {
		v, ok := t[fmt.Sprintf("%s[%d]", key, i)]
		if !ok {
			break
		}
		out = append(out, traefikUse{strings.ToLower(v.V), v.Source})
	}
	if v := t[key]; v.V != "" || v.Err != "" {
		for name := range strings.SplitSeq(v.V, ",") {
			out = append(out, traefikUse{strings.ToLower(strings.TrimSpace(name)), v.Source})
		}
	}
	return out
}

// middlewares is what those of a list keep workers out by.
func (t traefikTree) middlewares(protocol string, uses []traefikUse, depth int) gate {
	var all []gate
	for _, u := range uses {
		all = append(all, t.middleware(protocol, u, depth))
	}
	return narrowest(all...)
}

func (t traefikTree) middleware(protocol string, u traefikUse, depth int) gate {
	at := protocol + ".middlewares." + strings.TrimSuffix(u.name, "@file")
	what := "the middleware " + u.name
	kinds := t.below(at)
	if len(kinds) == 0 || depth > traefikDepth {
		return gate{what + " is not read", u.from, true}
	}
	var all []gate
	for _, kind := range kinds {
		from := u.from
		for _, key := range slices.Sorted(maps.Keys(t)) { // where the middleware begins
			if key == at+"."+kind || strings.HasPrefix(key, at+"."+kind+".") {
				from = t[key].Source
				break
			}
		}
		switch {
		case kind == "chain":
			all = append(all, t.middlewares(protocol, t.listed(at+".chain.middlewares"), depth+1))
		case kind == "basicauth" || kind == "digestauth":
			all = append(all, gate{text: what + " asks for a password, and workers send none: 401", at: from})
		case kind == "ipallowlist" || kind == "ipwhitelist":
			if !slices.ContainsFunc(t.listed(at+"."+kind+".sourcerange"), func(r traefikUse) bool { return r.name == "0.0.0.0/0" }) {
				all = append(all, someOnly(what+" lets in some addresses", from))
			}
		case kind == "headers" && !t.guards(at):
		case slices.Contains(traefikHarmless, kind):
		default:
			all = append(all, gate{what + " (" + kind + "): whether it keeps workers out is not known", from, true})
		}
	}
	return narrowest(all...)
}

// guards says whether headers keeps somebody out, or redirects.
func (t traefikTree) guards(at string) bool {
	for key := range t {
		rest, ok := strings.CutPrefix(key, at+".headers.")
		if ok && (strings.HasPrefix(rest, "allowedhosts") || strings.HasPrefix(rest, "ssl")) {
			return true
		}
	}
	return false
}
