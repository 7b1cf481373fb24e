package kinds

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fltool/fltool/checks/facts"
)

// A caddyJSON is the part of Caddy's own config, in JSON, that is judged.
type caddyJSON struct {
	Apps struct {
		HTTP struct {
			Grace   caddyDuration          `json:"grace_period"`
			Servers map[string]caddyServer `json:"servers"`
		} `json:"http"`
	} `json:"apps"`
}

type caddyServer struct {
	Listen []string      `json:"listen"`
	Idle   caddyDuration `json:"idle_timeout"`
	Write  caddyDuration `json:"write_timeout"`
	Routes []caddyRoute  `json:"routes"`

	Wrappers []struct {
		Wrapper string `json:"wrapper"`
	} `json:"listener_wrappers"`
	TLS []struct {
		Match  map[string]json.RawMessage `json:"match"`
		Client *struct {
			Mode string `json:"mode"`
		} `json:"client_authentication"`
	} `json:"tls_connection_policies"`
}

type caddyRoute struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []caddyHandler               `json:"handle"`
}

// A caddyHandler is a reverse_proxy, a request_body, or a subroute with routes of
// its own.
type caddyHandler struct {
	Handler   string                     `json:"handler"`
	Routes    []caddyRoute               `json:"routes"`
	Providers map[string]json.RawMessage `json:"providers"` // of authentication
	MaxSize   int64                      `json:"max_size"`
	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Balancing struct {
		Policy struct {
			Policy string `json:"policy"`
		} `json:"selection_policy"`
	} `json:"load_balancing"`
	Response  []json.RawMessage `json:"handle_response"`
	Dynamic   json.RawMessage   `json:"dynamic_upstreams"`
	Transport struct {
		Header caddyDuration `json:"response_header_timeout"`
		Read   caddyDuration `json:"read_timeout"`
		Conns  int64         `json:"max_conns_per_host"`
	} `json:"transport"`
}

// A caddyDuration is nanoseconds, or a text such as "1m" or "1d".
type caddyDuration string

func (d *caddyDuration) UnmarshalJSON(b []byte) error {
	var n int64
	if json.Unmarshal(b, &n) == nil {
		*d = caddyDuration(time.Duration(n).String())
		return nil
	}
	return json.Unmarshal(b, (*string)(d))
}

// parseCaddyJSON reads Caddy's config as the API and caddy adapt have it.
func parseCaddyJSON(text, file string) (layer, []facts.Pass, error) {
	var c caddyJSON
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	all := caddyDefaults()
	set := func(into layer, name string, v caddyDuration) {
		if v != "" {
			into[name] = known(string(v), file)
		}
	}
	set(all, "grace_period", c.Apps.HTTP.Grace)
	passes := []facts.Pass{}
	for _, name := range slices.Sorted(maps.Keys(c.Apps.HTTP.Servers)) {
		s := c.Apps.HTTP.Servers[name]
		site := over(layer{}, all)
		set(site, "idle", s.Idle)
		set(site, "write", s.Write)
		if len(c.Apps.HTTP.Servers) == 1 {
			all = site
		}
		for _, h := range caddyHandlers(s.Routes) {
			if h.Handler == "request_body" && h.MaxSize > 0 {
				site["max_size"] = known(fmt.Sprint(h.MaxSize), file)
			}
		}
		gates := s.gates(file)
		for _, h := range caddyHandlers(s.Routes) {
			if h.Handler != "reverse_proxy" {
				continue
			}
			if h.Dynamic != nil {
				return nil, nil, fmt.Errorf("%s: dynamic_upstreams: where they lead is known to Caddy alone", file)
			}
			way := over(layer{}, site)
			way["access"] = gates[0].setting(file)
			gates = gates[1:]
			set(way, "response_header_timeout", h.Transport.Header)
			set(way, "read_timeout", h.Transport.Read)
			if h.Transport.Conns > 0 {
				way["max_conns_per_host"] = known(fmt.Sprint(h.Transport.Conns), file)
			}
			var targets []string
			for _, u := range h.Upstreams {
				targets = append(targets, u.Dial)
			}
			way = over(way, peersOf(targets, caddySticky(known(h.Balancing.Policy.Policy, file)), file))
			for _, u := range h.Upstreams {
				passes = append(passes, facts.Pass{To: caddyTarget(u.Dial), From: slices.Clone(s.Listen), Settings: way, Source: file})
			}
		}
	}
	return all, passes, nil
}

// caddyHandlers are those of routes and of the routes within.
func caddyHandlers(routes []caddyRoute) (out []caddyHandler) {
	for _, r := range routes {
		for _, h := range r.Handle {
			out = append(append(out, h), caddyHandlers(h.Routes)...)
		}
	}
	return out
}
