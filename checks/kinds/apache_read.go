package kinds

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/fltool/fltool/checks/facts"
)

// apacheMain are the directives that count and their defaults; those of processes
// hang on how Apache was built.
var apacheMain = map[string]string{"Timeout": "60", "ProxyTimeout": "", "KeepAlive": "on", "KeepAliveTimeout": "5",
	"LimitRequestBody": "1073741824", "ListenBacklog": "511", "MaxRequestWorkers": "", "ServerLimit": "", "ThreadsPerChild": "", "ThreadLimit": "64"}

// apache is a config as it is read.
type apache struct {
	r       facts.Root
	p       facts.Program
	root    string          // ServerRoot
	modules map[string]bool // loaded: "mpm_event"
	main    layer
	ways    []apacheWay
	members map[string][]apacheWay // by balancer://name
	sticky  layer                  // stickysession of a ProxySet, by balancer://name
	open    []apacheFrame          // sections that are open
	places  []*apachePlace         // what they say of who is let in
	depth   int
	maybe   int    // depth of sections of which nobody can say whether they count
	reset   string // where a ProxySet changes timeout or max of ways; ""
}

// apacheWay is a ProxyPass.
type apacheWay struct {
	to, at, timeout, max string
	path                 string // whose requests take it: "/fl/"
	status, sticky       string // of a member: "+d"; of a way: stickysession
	host                 *apacheHost
}

// apacheHost is a virtual host; nil: the main server.
type apacheHost struct {
	from []string
	set  layer
}

// readApache reads the config that a command line names, or that of Debian's and
// RHEL's packages.
func readApache(r facts.Root, p facts.Program) facts.Details {
	file, root := "/etc/apache2/apache2.conf", "/etc/apache2"
	if path.Base(p.Args[0]) == "httpd" {
		file, root = "conf/httpd.conf", "/etc/httpd"
	}
	for i, arg := range p.Args[1:] {
		for flag, to := range map[string]*string{"-f": &file, "-d": &root} {
			switch {
			case arg == flag && i+2 < len(p.Args):
				*to = p.Args[i+2]
			case strings.HasPrefix(arg, flag) && len(arg) > 2:
				*to = arg[2:]
			}
		}
	}
	a := &apache{r: r, p: p, root: root, modules: map[string]bool{}, main: layer{}, members: map[string][]apacheWay{}, sticky: layer{}}
	for name, def := range apacheMain {
		a.main[name] = known(def, "httpd's default")
	}
	if err := a.file(file, nil); err != nil {
		return unreadable(err)
	}
	a.settle()
	return facts.Details{Settings: a.main, Passes: facts.Value[[]facts.Pass]{V: a.passes(), Source: file}}
}

// file reads one file.
func (a *apache) file(name string, host *apacheHost) error {
	if a.depth++; a.depth > maxIncludes {
		return fmt.Errorf("%s: more than %d files", name, maxIncludes)
	}
	text, file, err := configFile(a.r, a.p, a.root, name)
	if err != nil {
		return err
	}
	return a.parse(text, file, host)
}

// maxIncludes bounds the files of a config.
const maxIncludes = 1000

func (a *apache) parse(text, file string, host *apacheHost) error {
	off := 0 // depth of sections that do not count
	var hosts []*apacheHost
	var sections []string
	balancer, location := "", ""
	line, n, from := "", 0, 0
	outer := len(a.open)
	defer func() { a.open = a.open[:outer] }()
	for raw := range strings.Lines(text) {
		n++
		if line == "" {
			from = n
		}
		line += strings.TrimSpace(raw)
		if strings.HasSuffix(line, "\\") {
			line = strings.TrimSuffix(line, "\\") + " "
			continue
		}
		words := apacheWords(line)
		line = ""
		at := fmt.Sprintf("%s:%d", file, from)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		name := strings.ToLower(words[0])
		switch {
		case strings.HasPrefix(name, "</"):
			if len(sections) == 0 {
				return fmt.Errorf("%s: %s closes nothing", at, words[0])
			}
			switch last := sections[len(sections)-1]; {
			case off > 0:
				off--
			case slices.Contains(apacheMaybe, last):
				a.maybe--
			}
			if sections[len(sections)-1] == "virtualhost" {
				host, hosts = hosts[len(hosts)-1], hosts[:len(hosts)-1]
			}
			sections, balancer, location = sections[:len(sections)-1], "", ""
			a.open = a.open[:len(a.open)-1]
		case strings.HasPrefix(name, "<"):
			kind := strings.Trim(name, "<>")
			arg := strings.TrimSpace(strings.TrimSuffix(strings.Join(words[1:], " "), ">"))
			sections = append(sections, kind)
			a.enter(kind, arg, at, host)
			switch {
			case off > 0, kind == "ifmodule" && !a.loaded(arg), kind == "ifdefine" && !a.defined(arg):
				off++
			case slices.Contains(apacheMaybe, kind):
				a.maybe++
			case kind == "proxy":
				balancer = arg
			case kind == "location":
				location = arg
			}
			if kind == "virtualhost" {
				hosts = append(hosts, host)
				host = &apacheHost{from: strings.Fields(arg), set: layer{}}
			}
		case off > 0:
		default:
			if err := a.directive(words, at, host, balancer, location); err != nil {
				return err
			}
		}
	}
	return nil
}

// apacheMaybe are the sections that hang on Apache's version, on files or on requests.
var apacheMaybe = []string{"ifversion", "iffile", "ifdirective", "ifsection", "if", "elseif", "else"}

// directive is one line that counts.
func (a *apache) directive(words []string, at string, host *apacheHost, balancer, location string) error {
	set := a.main
	if host != nil {
		set = host.set
	}
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch name := strings.ToLower(words[0]); name {
	case "require", "order", "allow", "deny", "satisfy", "authmerging":
		a.admit(name, words, at)
	case "include", "includeoptional":
		return a.include(arg(1), name == "includeoptional", host)
	case "serverroot":
		a.root = arg(1)
	case "loadmodule":
		a.modules[apacheModule(arg(1))] = true
	case "maxclients":
		set["MaxRequestWorkers"] = a.value(arg(1), at)
	case "proxypass", "proxypassmatch":
		to, rest, from := arg(2), 3, arg(1)
		if strings.Contains(arg(1), "://") { // in a Location
			to, rest, from = arg(1), 2, location
		}
		if to == "!" || arg(1) == "!" || to == "" {
			return nil
		}
		params := words[min(rest, len(words)):]
		a.ways = append(a.ways, apacheWay{to: to, path: apacheLiteral(from), at: at, timeout: apacheParameter(params, "timeout"), max: apacheParameter(params, "max"), sticky: apacheParameter(params, "stickysession"), host: host})
	case "balancermember":
		to, rest := arg(1), 2
		if balancer == "" { // the balancer is named first
			balancer, to, rest = arg(1), arg(2), 3
		}
		params := words[min(rest, len(words)):]
		a.members[balancer] = append(a.members[balancer], apacheWay{to: to, at: at, timeout: apacheParameter(params, "timeout"), max: apacheParameter(params, "max"), status: apacheParameter(params, "status")})
	case "proxyset":
		if apacheParameter(words[1:], "timeout")+apacheParameter(words[1:], "max") != "" {
			a.reset = at
		}
		if v := apacheParameter(words[1:], "stickysession"); v != "" {
			if balancer == "" {
				balancer = arg(1)
			}
			a.sticky[strings.TrimSuffix(balancer, "/")] = known("stickysession="+v, at)
		}
	case "rewriterule":
		if strings.Contains(arg(3), "P") && strings.Contains(arg(2), "://") {
			a.ways = append(a.ways, apacheWay{to: arg(2), path: apacheLiteral(arg(1)), at: at, host: host})
		}
	default:
		for known := range apacheMain {
			if strings.EqualFold(known, words[0]) && (location == "" || known == "LimitRequestBody") {
				set[known] = a.value(arg(1), at)
			}
		}
	}
	return nil
}

func (a *apache) value(v, at string) facts.Value[string] {
	switch {
	case a.maybe > 0:
		return unread(fmt.Errorf("%s: it stands in a section that may not count", at))
	case strings.Contains(v, "${"):
		return unread(fmt.Errorf("%s: %s is of Apache's environment", at, v))
	}
	return known(strings.ToLower(strings.TrimSuffix(v, "s")), at)
}

// apacheParameter is one of the parameters of a ProxyPass; "" where it is not set.
func apacheParameter(words []string, name string) string {
	for _, w := range words {
		if v, ok := strings.CutPrefix(strings.ToLower(w), name+"="); ok {
			return v
		}
	}
	return ""
}

// include reads the files of a pattern, those of a directory where it names one.
func (a *apache) include(pattern string, optional bool, host *apacheHost) error {
	full, err := configPath(a.p, a.root, pattern)
	if err != nil {
		return err
	}
	dir, base := path.Split(full)
	switch {
	case strings.ContainsAny(dir, "*?["):
		return fmt.Errorf("include %s: patterns of directories are not read", pattern)
	case a.r.IsDir(full):
		dir, base = full, "*"
	case !strings.ContainsAny(base, "*?["):
		if optional && !a.r.Exists(full) {
			return nil
		}
		return a.file(full, host)
	}
	names, err := a.r.ReadDir(dir)
	if err != nil && optional && facts.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if ok, _ := path.Match(base, n); ok && !a.r.IsDir(path.Join(dir, n)) {
			if err := a.file(path.Join(dir, n), host); err != nil {
				return err
			}
		}
	}
	return nil
}

// loaded says whether <IfModule> holds.
func (a *apache) loaded(arg string) bool {
	name, not := strings.CutPrefix(arg, "!")
	return a.modules[apacheModule(name)] != not
}

// defined says whether <IfDefine> holds, by -D.
func (a *apache) defined(arg string) bool {
	name, not := strings.CutPrefix(arg, "!")
	has := false
	for i, w := range a.p.Args {
		has = has || w == "-D"+name || w == "-D" && i+1 < len(a.p.Args) && a.p.Args[i+1] == name
	}
	return has != not
}

// apacheModule is a module's name whichever way it is written: mpm_event_module,
// mod_mpm_event.c.
func apacheModule(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(s, ".c"), "mod_"), "_module")
}

// settle works out what hangs on how processes are made.
func (a *apache) settle() {
	threads, servers, from := "25", "16", "httpd's default"
	switch {
	case a.modules["mpm_prefork"]:
		threads, servers = "1", "256"
		a.main["ThreadsPerChild"] = known("1", "mpm_prefork")
	case !a.modules["mpm_event"] && !a.modules["mpm_worker"]:
		why := fmt.Errorf("no mpm is loaded: which one is built in is not to be seen")
		for _, name := range []string{"ThreadsPerChild", "ServerLimit", "MaxRequestWorkers"} {
			if a.main[name].V == "" {
				a.main[name] = unread(why)
			}
		}
		return
	}
	for name, def := range map[string]string{"ThreadsPerChild": threads, "ServerLimit": servers} {
		if v := a.main[name]; v.Known() && v.V == "" {
			a.main[name] = known(def, from)
		}
	}
	if v := a.main["MaxRequestWorkers"]; v.Known() && v.V == "" {
		h := Hop{Settings: a.main}
		s, t := h.Count("ServerLimit"), h.Count("ThreadsPerChild")
		if !s.Known() || !t.Known() {
			a.main["MaxRequestWorkers"] = unread(fmt.Errorf("ServerLimit × ThreadsPerChild: %s%s", s.Why(), t.Why()))
			return
		}
		a.main["MaxRequestWorkers"] = known(fmt.Sprint(s.V*t.V), from)
	}
}

// urlTarget is the address of a URL that requests are passed to, as the chain
// compares it.
func urlTarget(s string) string {
	if file, ok := strings.CutPrefix(s, "unix:"); ok {
		file, _, _ = strings.Cut(file, "|")
		return "unix:" + file
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return hostPort(s)
	}
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" || u.Scheme == "wss" {
			port = "443"
		}
		return net.JoinHostPort(u.Hostname(), port)
	}
	return u.Host
}

// apacheWords splits a line; quotes hold blanks.
func apacheWords(line string) []string {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if q := line[0]; q == '"' || q == '\'' {
			word, rest, _ := strings.Cut(line[1:], string(q))
			out, line = append(out, word), rest
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		out, line = append(out, line[:end]), line[end:]
	}
	return out
}
