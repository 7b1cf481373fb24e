package kinds

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/fltool/fltool/checks/facts"
)

// readTraefik reads the static configuration, of which only one source counts: a file,
// else flags, else the environment; then what the file provider names.
func readTraefik(r facts.Root, p facts.Program) facts.Details {
	static, err := traefikStatic(r, p)
	if err != nil {
		return unreadable(err)
	}
	version := traefikVersion(r, p)
	entries := static.entryPoints(version)
	passes, seen, err := traefikPasses(r, p, static, entries)
	d := facts.Details{Version: version, Settings: over(agreed(entries), seen), Passes: facts.Value[[]facts.Pass]{V: passes, Source: p.From}}
	if err != nil {
		d.Passes = facts.Value[[]facts.Pass]{Err: err.Error()}
	}
	return d
}

// traefikStatic is the static configuration that counts.
func traefikStatic(r facts.Root, p facts.Program) (traefikTree, error) {
	flags, err := traefikFlags(p)
	if err != nil {
		return nil, err
	}
	if p.EnvErr != nil {
		return nil, p.EnvErr
	}
	env := traefikTree{}
	for name, v := range p.Env {
		if key, ok := strings.CutPrefix(name, "TRAEFIK_"); ok {
			env[strings.ToLower(strings.ReplaceAll(key, "_", "."))] = v
		}
	}
	named := flags["configfile"]
	if named == (facts.Value[string]{}) {
		named = env["configfile"]
	}
	if named.Source != "" || named.Err != "" {
		if !named.Known() {
			return nil, errors.New(named.Why())
		}
		return readTraefikFile(r, p, named.V)
	}
	// Where a file may stand that nobody names.
	dirs := []string{"/etc/traefik"}
	if v := p.Env["XDG_CONFIG_HOME"]; v.V != "" {
		dirs = append(dirs, v.V)
	}
	if v := p.Env["HOME"]; v.V != "" {
		dirs = append(dirs, path.Join(v.V, ".config"))
	}
	for _, dir := range append(dirs, "") {
		for _, ext := range []string{"toml", "yaml", "yml"} {
			tree, err := readTraefikFile(r, p, path.Join(dir, "traefik."+ext))
			if err == nil || !facts.Absent(err) {
				return tree, err
			}
		}
	}
	if len(flags) > 0 {
		return flags, nil
	}
	return env, nil
}

// traefikFlags reads "--entryPoints.web.address=:80": names in any case, perhaps with
// the value as the next word, or with none.
func traefikFlags(p facts.Program) (traefikTree, error) {
	out := traefikTree{}
	for i := 1; i < len(p.Args); i++ {
		arg := p.Args[i]
		if p.Unexpanded && mayBeFlags(arg) {
			return nil, fmt.Errorf("%s: %s, which only systemd expands", p.From, arg)
		}
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		word, value, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !inline {
			value = "true"
			if i+1 < len(p.Args) && !strings.HasPrefix(p.Args[i+1], "-") {
				i++
				value = p.Args[i]
			}
		}
		v := known(value, p.From)
		if p.Unexpanded && unexpanded(value) {
			v = unread(fmt.Errorf("%s: %s, which only systemd expands", p.From, value))
		}
		out[strings.ToLower(word)] = v
	}
	return out, nil
}

// A traefikTree is a configuration by the whole names of its settings, in lower case:
// "entrypoints.web.address", "http.services.fl.loadbalancer.servers[0].url".
type traefikTree map[string]facts.Value[string]

func readTraefikFile(r facts.Root, p facts.Program, name string) (traefikTree, error) {
	text, file, err := configFile(r, p, "", name)
	if err != nil {
		return nil, err
	}
	return parseTraefik(text, file)
}

// parseTraefik reads a file of TOML or YAML, by the end of its name. One that is a
// template can't be read.
func parseTraefik(text, file string) (traefikTree, error) {
	if strings.Contains(text, "{{") {
		return nil, fmt.Errorf("%s: it is a template, which Traefik alone fills in", file)
	}
	var tree map[string]any
	var err error
	switch path.Ext(file) {
	case ".toml":
		_, err = toml.Decode(text, &tree)
	case ".yml", ".yaml":
		err = yaml.Unmarshal([]byte(text), &tree)
	default:
		err = errors.New("neither .toml nor .yml")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out := traefikTree{}
	out.add("", tree, file)
	return out, nil
}

func (t traefikTree) add(name string, v any, file string) {
	switch v := v.(type) {
	case map[string]any:
		for key, in := range v {
			t.add(strings.TrimPrefix(name+"."+strings.ToLower(key), "."), in, file)
		}
		if len(v) == 0 && name != "" {
			t[name] = known("", file)
		}
	case []any:
		for i, in := range v {
			t.add(fmt.Sprintf("%s[%d]", name, i), in, file)
		}
	case []map[string]any:
		for i, in := range v {
			t.add(fmt.Sprintf("%s[%d]", name, i), in, file)
		}
	case nil:
		t[name] = known("", file)
	default:
		t[name] = known(fmt.Sprint(v), file)
	}
}

// below are the names that stand next after a prefix: entry points, providers.
func (t traefikTree) below(prefix string) (names []string) {
	for key := range t {
		if rest, ok := strings.CutPrefix(key, prefix+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// or is a setting, else its default.
func (t traefikTree) or(key, def string) facts.Value[string] {
	if v, ok := t[key]; ok && v != known("", v.Source) {
		return v
	}
	return known(def, traefikDefault)
}

// A traefikEntry is an entry point.
type traefikEntry struct {
	name, address string
	settings      layer
	middlewares   []traefikUse // of all its routers
	tls           bool         // all its routers speak TLS
	options       string       // of TLS, where a router names none
}

// entryPoints are those that may pass polls on: neither UDP nor one that only
// redirects.
func (t traefikTree) entryPoints(version facts.Value[string]) (out []traefikEntry) {
	names := t.below("entrypoints")
	if len(names) == 0 {
		names = []string{"http"}
	}
	for _, name := range names {
		at := "entrypoints." + name
		address := t.or(at+".address", ":80").V
		if strings.HasSuffix(address, "/udp") || len(t.below(at+".http.redirections")) > 0 {
			continue
		}
		e := traefikEntry{name: name, address: strings.TrimSuffix(address, "/tcp"), settings: layer{
			"readtimeout":  traefikReadTimeout(version),
			"writetimeout": known("0", traefikDefault), "idletimeout": known("180", traefikDefault), "gracetimeout": known("10", traefikDefault),
			"responseheadertimeout": t.or("serverstransport.forwardingtimeouts.responseheadertimeout", "0"),
		}}
		for _, key := range []string{"respondingtimeouts.readtimeout", "respondingtimeouts.writetimeout", "respondingtimeouts.idletimeout", "lifecycle.gracetimeout"} {
			if v, ok := t[at+".transport."+key]; ok {
				e.settings[key[strings.IndexByte(key, '.')+1:]] = v
			}
		}
		e.middlewares, e.options = t.listed(at+".http.middlewares"), t[at+".http.tls.options"].V
		e.tls = len(t.below(at+".http.tls")) > 0 || t[at+".http.tls"].Source != ""
		out = append(out, e)
	}
	return out
}

// traefikReadTimeout is the default: 60 s from 2.11.2 and 3.0 on, none before.
func traefikReadTimeout(version facts.Value[string]) facts.Value[string] {
	if !version.Known() {
		return unread(fmt.Errorf("set it: by default it is 60s from 2.11.2 and 3.0 on, none before, and %s", version.Why()))
	}
	var n [3]int
	for i, part := range strings.SplitN(version.V, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	source := traefikDefault + " in " + version.V
	if slices.Compare(n[:], []int{2, 11, 2}) >= 0 {
		return known("60", source)
	}
	return known("0", source)
}

// traefikVersion is that of a running program, by what Go leaves in its file: its
// number, or of version 3 the first part, which is in its path.
func traefikVersion(r facts.Root, p facts.Program) facts.Value[string] {
	none := facts.Value[string]{Err: "Traefik's version is not known"}
	file := fmt.Sprintf("/proc/%d/exe", p.PID)
	exe, err := r.Path(file)
	if p.PID == 0 || err != nil {
		return none
	}
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return none
	}
	for _, s := range info.Settings {
		if m := traefikStamp.FindStringSubmatch(s.Value); s.Key == "-ldflags" && m != nil {
			return known(m[1], file)
		}
	}
	if m := traefikMajor.FindStringSubmatch(info.Path); m != nil && m[1] != "2" {
		return known(m[1]+".0", file)
	}
	return none
}

var (
	traefikStamp = regexp.MustCompile(`/version\.Version=v?(\d{1,4}\.\d{1,4}\.\d{1,4})(?:["'\s]|$)`)
	traefikMajor = regexp.MustCompile(`^github\.com/traefik/traefik/v(\d{1,4})/`)
)

// agreed are the settings that all entry points have alike.
func agreed(entries []traefikEntry) layer {
	out := layer{}
	for i, e := range entries {
		for name, v := range e.settings {
			switch {
			case i == 0:
				out[name] = v
			case out[name].V != v.V || out[name].Err != v.Err:
				out[name] = unread(fmt.Errorf("entry points differ, and which one polls come to is not known"))
			}
		}
	}
	return out
}
