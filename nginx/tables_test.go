package nginx

import (
	"strings"
	"testing"
)

// Each side of each change by version.
func TestVersionsOfDirectives(t *testing.T) {
	for _, tt := range []struct {
		text, first string // the first version that takes it, or that does not: a "-" before
	}{
		{"http { server { http2 on; } }", "1.25.1"},
		{"http { server { ssl on; ssl_certificate a; ssl_certificate_key b; } }", "-1.25.1"},
		{"http { server { listen 1.2.3.4:443 quic; ssl_certificate a; ssl_certificate_key b; } }", "1.25.0"},
		{"http { resolver 127.0.0.1; upstream u { zone z 64k; server a.example resolve; } }", "1.27.3"},
		{"http { keepalive_min_timeout 5s; }", "1.27.4"},
		{"http { upstream u { server 127.0.0.1; sticky cookie x; } }", "1.29.6"},
		{"http { upstream u { server 127.0.0.1; keepalive 0; } }", "1.29.7"},
		{"http { server { location / { early_hints 1; } } }", "1.29.0"},
	} {
		version, from := strings.TrimPrefix(tt.first, "-"), !strings.HasPrefix(tt.first, "-")
		v, _ := Build{Version: version}.version()
		before := map[bool]string{true: "1.26.3", false: "1.24.0"}[v[1] > 26]
		if version == "1.29.7" {
			before = "1.29.6"
		}
		for _, version := range []string{before, version, "1.30.6"} {
			since, _ := Build{Version: version}.Since(strings.TrimPrefix(tt.first, "-"))
			c := parse(t, "events {}\n"+tt.text, Reading{Build: Build{Version: version}})
			if taken := len(c.Problems) == 0; taken != (since == from) {
				t.Errorf("%s by nginx %s: %+v", tt.text, version, c.Problems)
			}
		}
		if c := parse(t, "events {}\n"+tt.text, Reading{}); len(c.Problems) != 0 {
			t.Errorf("%s by an unknown version: %+v", tt.text, c.Problems)
		}
	}
}

func TestFlavours(t *testing.T) {
	for _, tt := range []struct {
		text  string
		taken []string
	}{
		{"http { server { location / { auth_jwt x; } } }", []string{Plus}},
		{"http { server { location / { echo hi; } } }", []string{OpenResty}},
		{"http { modsecurity on; }", []string{Ingress}},
		{"http { server { location / { more_set_headers 'A: b'; content_by_lua_block { x() } } } }", []string{OSS, Plus, OpenResty, Ingress}},
		{"http { frobnicate on; }", nil},
	} {
		for _, flavour := range Flavours() {
			c := parse(t, "events {}\n"+tt.text, Reading{Build: Build{Flavour: flavour}})
			want := false
			for _, f := range tt.taken {
				want = want || f == flavour
			}
			if taken := len(c.Problems) == 0; taken != want {
				t.Errorf("%s by %s: %+v", tt.text, flavour, c.Problems)
			}
		}
	}
	// A module that no table knows may bring along any directive.
	if c := parse(t, "load_module modules/ngx_http_frobnicate_module.so;\nevents {}\nhttp { frobnicate on; }", Reading{}); len(c.Problems) != 0 || len(c.Foreign) != 1 {
		t.Errorf("%+v %+v", c.Problems, c.Foreign)
	}
}

// An absolute include that a repository has not is a note, a relative one a refusal.
func TestPartial(t *testing.T) {
	for include, want := range map[string][2]int{"/nonexistent/mime.types": {0, 1}, "mime.types": {1, 0}, "/nonexistent/*.conf": {0, 0}} {
		c := parse(t, "events {}\nhttp { include "+include+"; server { location / { proxy_pass http://127.0.0.1:5000; } } }", Reading{Partial: true})
		if len(c.Problems) != want[0] || len(c.Absent) != want[1] {
			t.Errorf("%s: %+v %+v", include, c.Problems, c.Absent)
		}
		if want[1] == 1 && (c.Incomplete != "" || !c.Servers[0].Locations[0].ProxyReadTimeout.Known()) {
			t.Errorf("%s makes the rest unknown: %q", include, c.Incomplete)
		}
	}
}
