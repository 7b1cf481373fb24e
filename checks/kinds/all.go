package kinds

import "github.com/fltool/fltool/checks/facts"

// all lists the kinds; where two know a program the first one counts.
var all = []*Kind{
	Nginx, HAProxy, Apache, Caddy, Traefik, Envoy,
	DockerProxy, RootlessPort, Pasta, IPVS,
	Gunicorn, Fltool, Uvicorn, Hypercorn, Waitress, UWSGI,
	Werkzeug, Django, HTTPServer, WSGIRef,
	NVFlare, FEDn, Flower, APPFL,
	Node, Go, GRPC,
}

// All lists the kinds of the catalogue.
func All() []*Kind { return append([]*Kind(nil), all...) }

// Specs are how facts know them.
func Specs() []facts.Spec {
	specs := make([]facts.Spec, len(all))
	for i, k := range all {
		specs[i] = k.Spec
	}
	return specs
}

// ByName finds a kind; Other where no kind is named so.
func ByName(name string) *Kind {
	for _, k := range all {
		if k.Kind == name {
			return k
		}
	}
	return Other
}
