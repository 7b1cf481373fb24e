package kinds

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// traefikPasses are the ways that the file provider's files name; seen is what they say
// of middlewares. An error says why where Traefik passes requests on is not known.
func traefikPasses(r facts.Root, p facts.Program, static traefikTree, entries []traefikEntry) (out []facts.Pass, seen layer, err error) {
	seen = layer{"inflightreq": known("", traefikDefault), "buffering": known("", traefikDefault)}
	fail := func(err error) ([]facts.Pass, layer, error) {
		return nil, layer{"inflightreq": unread(err), "buffering": unread(err), "responseheadertimeout": unread(err), "access": unread(err)}, err
	}
	for _, name := range static.below("providers") {
		if v := static["providers."+name]; name != "file" && name != "providersthrottleduration" && v.V != "false" {
			_, seen, err := fail(fmt.Errorf("%s: what provider %s tells Traefik is not read", p.From, name))
			if name == "docker" || name == "swarm" { // labels set no servers transport
				delete(seen, "responseheadertimeout")
			}
			return nil, seen, err
		}
	}
	files, err := traefikFiles(r, p, static)
	if err != nil {
		return fail(err)
	}
	dynamic := traefikTree{}
	for _, file := range files {
		tree, err := readTraefikFile(r, p, file)
		if err != nil {
			return fail(err)
		}
		maps.Copy(dynamic, tree)
	}
	own := layer{}
	for key, v := range dynamic {
		for _, name := range []string{"inflightreq", "buffering"} {
			if strings.HasPrefix(key, "http.middlewares.") && strings.Contains(key, "."+name) {
				seen[name] = unread(fmt.Errorf("%s: a middleware %s, and which routes it is of is not read", v.Source, name))
			}
		}
		if strings.HasPrefix(key, "http.serverstransports.") && strings.HasSuffix(key, ".forwardingtimeouts.responseheadertimeout") {
			own["responseheadertimeout"] = unread(fmt.Errorf("%s: a serversTransport sets it, and which services it is of is not read", v.Source))
		}
	}
	return dynamic.ways(entries, over(seen, own)), over(seen, own), nil
}

// traefikFiles are those of the file provider.
func traefikFiles(r facts.Root, p facts.Program, static traefikTree) ([]string, error) {
	for _, key := range []string{"filename", "directory"} {
		v, ok := static["providers.file."+key]
		switch {
		case !ok:
			continue
		case !v.Known():
			return nil, errors.New(v.Why())
		case key == "filename":
			return []string{v.V}, nil
		}
		dir, err := configPath(p, "", v.V)
		if err != nil {
			return nil, err
		}
		names, err := r.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		var files []string
		for _, n := range names {
			file := path.Join(dir, n)
			if r.IsDir(file) {
				return nil, fmt.Errorf("%s: directories below that of the file provider are not read", file)
			}
			if slices.Contains([]string{".toml", ".yml", ".yaml"}, path.Ext(n)) {
				files = append(files, file)
			}
		}
		return files, nil
	}
	return nil, nil
}

var (
	traefikServer = regexp.MustCompile(`^(http|tcp)\.services\.(.+)\.loadbalancer\.servers\[\d+\]\.(?:url|address)$`)
	traefikRouter = regexp.MustCompile(`^(http|tcp)\.routers\.(.+)\.service$`)
)

// ways are those from entry points to the servers of services.
func (t traefikTree) ways(entries []traefikEntry, seen layer) []facts.Pass {
	out := []facts.Pass{}
	for _, key := range slices.Sorted(maps.Keys(t)) {
		m := traefikServer.FindStringSubmatch(key)
		if m == nil {
			continue
		}
		for _, e := range entries {
			if !t.routes(m[1], m[2], e.name) {
				continue
			}
			s := over(e.settings, seen, t.peers(m[1]+".services."+m[2]+".loadbalancer"))
			if m[1] == "tcp" {
				for _, name := range []string{"readtimeout", "writetimeout", "responseheadertimeout"} {
					s[name] = known("0", traefikDocs+": it is HTTP's, and this way is TCP's")
				}
			}
			s["access"] = t.access(m[1], m[2], e).setting(t[key].Source)
			out = append(out, facts.Pass{To: urlTarget(t[key].V), From: []string{e.address}, Settings: s, Source: t[key].Source})
		}
	}
	return out
}

// peers are the servers of a service that requests are spread over.
func (t traefikTree) peers(service string) layer {
	var addresses []string
	sticky, at := known("", traefikDefault), ""
	for _, key := range slices.Sorted(maps.Keys(t)) {
		if strings.Contains(key, ".weighted.services[1].") {
			return layer{"peers": unread(fmt.Errorf("%s: a weighted service, and which routes it is of is not read", t[key].Source))}
		}
		rest, ok := strings.CutPrefix(key, service+".")
		switch {
		case !ok:
		case traefikServer.MatchString(key):
			addresses, at = append(addresses, urlTarget(t[key].V)), t[key].Source
		case rest == "sticky" || strings.HasPrefix(rest, "sticky."):
			sticky = known("a sticky cookie", t[key].Source)
		case rest == "strategy" && strings.EqualFold(t[key].V, "hrw"):
			sticky = known("strategy hrw", t[key].Source)
		}
	}
	return peersOf(addresses, sticky, at)
}

// routes says whether a router leads from an entry point to a service; routers that
// name no entry point listen on all.
func (t traefikTree) routes(protocol, service, entry string) bool {
	routed := false
	for key, v := range t {
		m := traefikRouter.FindStringSubmatch(key)
		if m == nil || m[1] != protocol || strings.ToLower(strings.TrimSuffix(v.V, "@file")) != service {
			continue
		}
		routed = true
		if t.enters(protocol, m[2], entry) {
			return true
		}
	}
	return !routed // a weighted service may lead to it
}

// enters says whether a router listens on an entry point.
func (t traefikTree) enters(protocol, router, entry string) bool {
	at := protocol + ".routers." + router + ".entrypoints"
	var named []string
	for k, v := range t {
		if strings.HasPrefix(k, at+"[") {
			named = append(named, strings.ToLower(v.V))
		}
	}
	return len(named) == 0 || slices.Contains(named, entry)
}
