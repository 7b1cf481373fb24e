package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fltool/fltool/nginx"
)

// Nginx is what nginx's config tells of the way to the application. Of a host
// with hundreds of servers it keeps only those that pass requests there.
type Nginx struct {
	Master     int             `json:"master,omitempty"` // process that it is read for; 0: none runs
	Path       string          `json:"path"`
	Build      nginx.Build     `json:"build,omitzero"`
	Fragment   bool            `json:"fragment,omitempty"` // a file of the http block alone: main and events are unknown, and what the rest of http may set is taken for the default
	Problems   []nginx.Problem `json:"problems,omitempty"`
	Absent     []nginx.Line    `json:"absent,omitempty"`     // files that a repository's config includes and that are another host's
	Incomplete string          `json:"incomplete,omitempty"` // why there may be more sites
	Main       nginx.Main      `json:"main"`
	Events     nginx.Events    `json:"events"`
	Listeners  int             `json:"listeners"`           // sockets that it opens: each takes a slot of every process
	Reuseport  int             `json:"reuseport,omitempty"` // of them: those that are opened anew for each process
	Logs       int             `json:"logs"`                // files that each process keeps open to log to
	Sites      []Site          `json:"sites"`
	MaxConns   bool            `json:"maxConns,omitempty"` // an upstream block sets max_conns
	Guessed    bool            `json:"guessed,omitempty"`  // nothing passes to the application's address: the sites are all that pass anywhere
	Elsewhere  []string        `json:"elsewhere,omitempty"`
	Strays     []Stray         `json:"strays,omitempty"` // files that were meant for nginx and are not read by it
	BodyDisk   Value[Disk]     `json:"bodyDisk"`         // where bodies are spilled to
	// UpstreamSockets are the unix sockets that polls go to, by path.
	UpstreamSockets map[string]Value[UpstreamSocket] `json:"upstreamSockets,omitempty"`
}

// Site is a server of nginx that passes polls to the application, and what is
// in force for each of the protocol's routes.
type Site struct {
	Source       string               `json:"source"`
	Names        []string             `json:"names"`
	Base         string               `json:"base,omitempty"` // what stands before the protocol's paths: "/fl"
	Sockets      []nginx.Socket       `json:"sockets"`
	Server       nginx.Server         `json:"server"`    // without its locations
	Locations    []Location           `json:"locations"` // those that the routes lead to
	Routes       map[string]Route     `json:"routes"`    // by name: RoutePoll…
	Certificates []Value[Certificate] `json:"certificates,omitempty"`
	Streams      []nginx.Other        `json:"streams,omitempty"`    // servers of stream that hand connections on to the sockets
	Redirected   bool                 `json:"redirected,omitempty"` // another server sends plain HTTP for these names to https
	Defaults     []DefaultServer      `json:"defaults,omitempty"`   // other servers that the sockets' connections begin at
}

// DefaultServer is what may be in force, of a socket's default server, before nginx
// knows which server is meant.
type DefaultServer struct {
	Source              string                     `json:"source"`
	ClientHeaderTimeout nginx.Value[time.Duration] `json:"clientHeaderTimeout"`
	SSLProtocols        *nginx.Value[[]string]     `json:"sslProtocols,omitempty"` // nil: none of the sockets speaks TLS
}

// Route is where nginx handles one of the protocol's routes.
type Route struct {
	Path     string `json:"path"`
	Location string `json:"location,omitempty"` // Source of one of Site.Locations; "": none matches, or nginx answers itself
	Err      string `json:"err,omitempty"`
	Outside  bool   `json:"outside,omitempty"` // Err is for want of what stands outside of a fragment
	// Answer is what nginx does itself with a request that it passes nowhere, and
	// AnswerAt where that stands; "" where it passes it on.
	Answer   string       `json:"answer,omitempty"`
	Onward   []string     `json:"onward,omitempty"` // Sources of the locations of this same nginx that the request comes through after Location
	AnswerAt string       `json:"answerAt,omitempty"`
	Gates    []nginx.Gate `json:"gates,omitempty"` // what keeps a worker out, or may
}

// At is the location that a route leads to; nil where none matches and where
// that is unknown.
func (s *Site) At(route string) *Location {
	at := s.Routes[route].Location
	for i := range s.Locations {
		if s.Locations[i].Source == at && at != "" {
			return &s.Locations[i]
		}
	}
	return nil
}

// Way is the locations that a route comes through, one after the other.
func (s *Site) Way(route string) (all []*Location) {
	at := s.At(route)
	if at == nil {
		return nil
	}
	all = append(all, at)
	for _, source := range s.Routes[route].Onward {
		for i := range s.Locations {
			if s.Locations[i].Source == source {
				all = append(all, &s.Locations[i])
			}
		}
	}
	return all
}

// Hops is how many times a held poll stands in this nginx: once, and once more for
// each time that nginx passes it to itself, of stream too. Each takes a connection
// towards the client and one onward.
func (n *Nginx) Hops() int {
	most := 1
	for i := range n.Sites {
		hops := len(n.Sites[i].Way(RoutePoll))
		if len(n.Sites[i].Streams) > 0 {
			hops++
		}
		most = max(most, hops)
	}
	return most
}

// Location is a location without those in it, with the upstream that it passes to.
type Location struct {
	nginx.Location
	Upstream *nginx.Upstream `json:"upstream,omitempty"`
}

// Stray is a file that nginx does not read though somebody seems to think so.
type Stray struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// The protocol's routes by name.
const (
	RouteRegister  = "register"
	RouteChallenge = "challenge"
	RoutePoll      = "poll"
	RouteModel     = "model"
	RouteUpdate    = "update"
	RouteAdmin     = "admin"
)

var routePaths = map[string]string{
	RouteRegister:  "/register_worker",
	RouteChallenge: "/challenge_phrase/03a107bf",
	RoutePoll:      "/notify_me_if_gm_version_updated",
	RouteModel:     "/return_global_model",
	RouteUpdate:    "/receive_worker_update/03a107bf",
	RouteAdmin:     "/workers",
}

// WorkerRoutes are those that a worker needs, in the order of its first use.
var WorkerRoutes = []string{RouteRegister, RouteChallenge, RoutePoll, RouteModel, RouteUpdate}

// routeMethods is how each is asked for.
var routeMethods = map[string]string{
	RouteRegister: "POST", RouteChallenge: "GET", RoutePoll: "POST", RouteModel: "POST", RouteUpdate: "POST", RouteAdmin: "GET",
}

// NginxOptions say which config is meant, and which part of it.
type NginxOptions struct {
	Conf    string    // main file; "": the running nginx's, else its build's
	Dump    io.Reader // output of nginx -T instead of files; nil: none
	Version string    // "1.22.1"; "": as the program or the package's record tells
	Flavour string    // of nginx.Flavours; "": as nginx -V tells, else open source
	Unit    *Unit     // nginx.service; nil: none
	// Run runs a program of root's where it can change nothing but the directories
	// named, whose changes vanish, and missing ones that are made in them; nil: the
	// host's nginx is not asked about its config. It tells what the program printed
	// and whether it exited with 0, or why it was not run.
	Run     func(ctx context.Context, line, writable, missing []string) (said string, ok bool, err error)
	Program string // the nginx to ask; "": the host's, where root alone can have put it there
	Local   bool   // Conf is a file of fltool's own host alone: no build, certificates or disks are looked for
}

// ReadNginx reads a config and keeps what leads to the application. A main file
// that can't be read is the error.
func ReadNginx(r Root, procs []Process, asked Asked, o NginxOptions) (*Nginx, error) {
	args := masterArgs{conf: o.Conf}
	var build nginx.Build
	if !o.Local {
		var err error
		if args, err = readMasterArgs(r, procs, asked); err != nil && o.Conf == "" && o.Dump == nil {
			return nil, err
		}
		if args == (masterArgs{}) && o.Unit != nil {
			args = parseMasterTitle(o.Unit.start) // as it would be started
		}
		build = readBuild(r, args)
		if o.Conf != "" {
			args.conf = o.Conf
		}
	}
	if o.Version != "" {
		build.Version = o.Version
	}
	if o.Flavour != "" {
		build.Flavour = o.Flavour
	}
	opts := nginx.Options{Root: r.String(), Path: args.conf, Build: build, Partial: o.Local && o.Dump == nil}
	if r.Host() {
		opts.Root = ""
	}
	if opts.Path != "" && !path.IsAbs(opts.Path) && args.prefix != "" && o.Conf == "" {
		opts.Path = path.Join(args.prefix, opts.Path)
	}
	c, fragment, err := readConfig(opts, o.Dump)
	if err != nil {
		return nil, err
	}
	if !fragment {
		testConfig(r, c, o, args)
	}
	n := &Nginx{
		Master: args.pid, Path: c.Path, Build: c.Build, Fragment: fragment, Problems: c.Problems, Absent: c.Absent, Incomplete: c.Incomplete,
		Main: c.Main, Events: c.Events, Logs: len(c.Logs),
	}
	if c.Outside {
		n.Incomplete = "" // by Fragment it is told
	}
	n.Build.Modules = nil
	args.override(n)
	for _, s := range c.Sockets {
		if s.Via == "" {
			n.Listeners++
			if s.Reuseport.V {
				n.Reuseport++
			}
		}
	}
	n.MaxConns = slices.ContainsFunc(c.Upstreams, func(u nginx.Upstream) bool {
		return slices.ContainsFunc(u.Peers, func(p nginx.Peer) bool { return p.MaxConns > 0 })
	})
	for i := range c.Servers {
		if by := c.ShadowedBy(&c.Servers[i]); by != nil {
			n.Elsewhere = append(n.Elsewhere, fmt.Sprintf("the server of %s is never asked: that of %s has its names", c.Servers[i].Source, by.Source))
		}
	}
	for _, p := range c.Proxies() {
		if p.Pass.Kind != "proxy" {
			n.Elsewhere = append(n.Elsewhere, fmt.Sprintf("%s_pass %s (%s)", p.Pass.Kind, p.Pass.Raw, p.Pass.Source))
		}
	}
	for _, other := range c.Others {
		n.Elsewhere = append(n.Elsewhere, fmt.Sprintf("%s to %s (%s)", other.Kind, other.Pass, other.Source))
	}
	if n.Sites, n.Guessed, err = sites(c, asked); err != nil {
		return nil, err
	}
	n.BodyDisk = Value[Disk]{Err: "the file alone was judged"}
	if !o.Local && o.Dump == nil {
		for i := range n.Sites {
			n.Sites[i].Certificates = readCertificates(r, path.Dir(c.Path), n.Sites[i].Server)
		}
		n.BodyDisk = readBodyDisk(r, n)
		n.UpstreamSockets = readUpstreamSockets(r, n)
		n.Strays = readStrays(r, c.Files)
	}
	n.keepWhatIsJudged()
	Redact(n)
	if _, secrets := RedactURL(asked.URL); len(secrets) > 0 {
		redactWith(n, hide(secrets))
	}
	return n, nil
}

// readConfig reads a whole config or, where the file begins with a server or
// an upstream, one that others include into http.
func readConfig(o nginx.Options, dump io.Reader) (c *nginx.Config, fragment bool, err error) {
	if dump != nil {
		c, err = nginx.ReadDump(dump, o)
		return c, false, err
	}
	if c, err = nginx.Read(o); err != nil {
		return nil, false, err
	}
	for _, p := range c.Problems {
		if strings.HasPrefix(p.Text, `"server" directive is not allowed here`) || strings.HasPrefix(p.Text, `"upstream" directive is not allowed here`) {
			o.Context, o.Defaults = "http", true
			c, err = nginx.Read(o)
			return c, true, err
		}
	}
	return c, false, nil
}

// sites finds the servers that pass polls to the application.
func sites(c *nginx.Config, asked Asked) (found []Site, guessed bool, err error) {
	if asked.URL != "" {
		q, err := nginx.RequestFor(asked.URL)
		if err != nil {
			return nil, false, err
		}
		base := strings.TrimSuffix(q.Path, "/")
		q.Path = base + routePaths[RoutePoll]
		if _, port, err := net.SplitHostPort(q.Address); err == nil {
			if behind := c.BehindStream(port); behind != "" { // stream hands connections on as they are
				q.Address = behind
			}
		}
		route := c.Route(q)
		if route.Server == nil {
			if route.Err != "" {
				s := Site{Source: c.Path, Names: []string{q.Host}, Base: base, Routes: map[string]Route{}}
				for name, p := range routePaths {
					s.Routes[name] = Route{Path: base + p, Err: route.Err, Outside: route.Outside}
				}
				return []Site{s}, false, nil
			}
			return nil, false, nil
		}
		return []Site{site(c, route.Server, base, &q, asked)}, false, nil
	}
	to := asked.Upstream
	if to == "" {
		to = net.JoinHostPort("127.0.0.1", fmt.Sprint(asked.Port))
	}
	proxies := c.ProxiesTo(to)
	if len(proxies) == 0 && asked.Upstream == "" {
		proxies, guessed = c.Proxies(), true
	}
	proxies = outermost(c, proxies)
	var servers []*nginx.Server
	bases := make(map[*nginx.Server][]string)
	for _, p := range proxies {
		if !slices.Contains(servers, p.Server) {
			servers = append(servers, p.Server)
		}
		base := ""
		if l := p.Location; l != nil && p.Pass.URI != "" && (l.Kind == nginx.Prefix || l.Kind == nginx.PrefixFinal) {
			base = strings.TrimSuffix(l.Pattern, "/")
			for _, at := range routePaths { // a location that is one of the routes
				if strings.HasPrefix(at, l.Pattern) {
					base = ""
				}
			}
		}
		if !slices.Contains(bases[p.Server], base) {
			bases[p.Server] = append(bases[p.Server], base)
		}
	}
	servers = slices.DeleteFunc(servers, func(s *nginx.Server) bool { return c.ShadowedBy(s) != nil })
	for _, s := range servers {
		for _, base := range bases[s] {
			one := site(c, s, base, nil, asked)
			if poll := one.At(RoutePoll); one.Routes[RoutePoll].Err != "" || poll != nil && passes(proxies, poll) {
				found = append(found, one)
			}
		}
	}
	return found, guessed && len(found) > 0, nil
}

// outermost puts the places that pass polls to a server of this nginx itself in the
// stead of that server's.
func outermost(c *nginx.Config, proxies []nginx.Proxy) []nginx.Proxy {
	inner := map[*nginx.Server]bool{}
	var outer []nginx.Proxy
	for _, p := range c.Proxies() {
		way, ok := c.Onward(p.Location, "", routePaths[RoutePoll])
		if !ok || way.Err != "" || way.Server == p.Server || !slices.ContainsFunc(proxies, func(q nginx.Proxy) bool { return q.Server == way.Server }) {
			continue
		}
		inner[way.Server] = true
		outer = append(outer, p)
	}
	return append(outer, slices.DeleteFunc(proxies, func(p nginx.Proxy) bool {
		return inner[p.Server] || slices.ContainsFunc(outer, func(q nginx.Proxy) bool { return q.Location == p.Location })
	})...)
}

func passes(proxies []nginx.Proxy, l *Location) bool {
	return slices.ContainsFunc(proxies, func(p nginx.Proxy) bool { return p.Location != nil && p.Location.Source == l.Source })
}

// site follows every route through a server; q is the request of the URL that was
// asked about, nil where none was.
func site(c *nginx.Config, s *nginx.Server, base string, q *nginx.Request, asked Asked) Site {
	out := Site{Source: s.Source, Names: s.Names, Base: base, Server: *s, Routes: make(map[string]Route)}
	out.Server.Locations = nil
	out.Server.Effective = nginx.Effective{} // the locations' is what counts
	for _, socket := range c.Sockets {
		if socket.Kind == "http" && slices.ContainsFunc(socket.Servers, func(i int) bool { return &c.Servers[i] == s }) {
			if first := &c.Servers[socket.DefaultServer]; first != s {
				out.addDefault(first, socket.SSL || socket.QUIC)
			}
			socket.Servers, socket.DefaultServer = []int{}, 0
			out.Sockets = append(out.Sockets, socket)
		}
	}
	client := nginx.Client{Balancer: len(asked.Balancers) > 0, Loopback: len(asked.Balancers) == 0 && len(out.Sockets) > 0}
	asks := nginx.Request{TLS: len(out.Sockets) > 0}
	for _, socket := range out.Sockets {
		client.Loopback = client.Loopback && (strings.HasPrefix(socket.Address, "127.") || strings.HasPrefix(socket.Address, "[::1]"))
		asks.TLS = asks.TLS && socket.SSL
	}
	if q != nil {
		asks = *q
	}
	for _, name := range append(WorkerRoutes[:len(WorkerRoutes):len(WorkerRoutes)], RouteAdmin) {
		at := base + routePaths[name]
		way := c.RouteIn(s, at)
		to := Route{Path: at, Err: way.Err}
		if way.Err == "" && way.Return == nil && way.Final != nil {
			to.Location = way.Final.Source
		}
		if asks.Path = at; way.Err == "" {
			to.Answer, to.AnswerAt = ownAnswer(way)
			to.Gates = c.Gates(way, asks, routeMethods[name], client)
		}
		if to.Location != "" {
			out.add(c, way.Final)
			to.onward(c, &out, way.Final, asks, name)
		}
		out.Routes[name] = to
	}
	out.Streams = c.Streams(out.Sockets)
	for i := range c.Servers {
		if other := &c.Servers[i]; other != s && redirects(other) && sharesName(other, s) {
			out.Redirected = true
		}
	}
	return out
}

// add keeps a location, once.
func (s *Site) add(c *nginx.Config, at *nginx.Location) {
	if slices.ContainsFunc(s.Locations, func(l Location) bool { return l.Source == at.Source }) {
		return
	}
	l := Location{Location: *at}
	l.Locations = nil
	if l.Pass != nil && l.Pass.Upstream != "" {
		l.Upstream = c.Upstream(l.Pass.Upstream)
	}
	s.Locations = append(s.Locations, l)
}

// mostHops bounds how often nginx passes a request to itself: one that never stops
// is cut by nginx's slots.
const mostHops = 8

// onward follows a request that nginx passes to itself.
func (r *Route) onward(c *nginx.Config, s *Site, at *nginx.Location, asks nginx.Request, name string) {
	for range mostHops {
		way, ok := c.Onward(at, asks.Host, asks.Path)
		if !ok {
			return
		}
		if r.Err = way.Err; r.Err != "" {
			return
		}
		r.Gates = append(r.Gates, c.Gates(way, nginx.Request{Host: asks.Host, Path: asks.Path, TLS: at.Pass.TLS}, routeMethods[name], nginx.Client{Loopback: true})...)
		if r.Answer, r.AnswerAt = ownAnswer(way); r.Answer != "" || way.Final == nil {
			return
		}
		at = way.Final
		s.add(c, at)
		r.Onward = append(r.Onward, at.Source)
	}
	r.Err = "nginx passes it to itself again and again"
}

// ownAnswer says what nginx does with a request that it does not pass on.
func ownAnswer(way nginx.Route) (answer, source string) {
	switch l := way.Final; {
	case way.Return != nil:
		return fmt.Sprintf("return %d", way.Return.Code), way.Return.Source
	case way.Redirect != "":
		return "sent on to " + way.Redirect, way.Location.Source
	case l == nil:
		return "no location matches, and there is no such file", way.Server.Source
	case l.Pass == nil && l.Incomplete == "":
		return fmt.Sprintf("location %s passes nothing on", l.Name()), l.Source
	}
	return "", ""
}

// addDefault keeps a socket's default server, once.
func (s *Site) addDefault(server *nginx.Server, tls bool) {
	i := slices.IndexFunc(s.Defaults, func(d DefaultServer) bool { return d.Source == server.Source })
	if i < 0 {
		i = len(s.Defaults)
		s.Defaults = append(s.Defaults, DefaultServer{Source: server.Source, ClientHeaderTimeout: server.ClientHeaderTimeout})
	}
	if tls {
		s.Defaults[i].SSLProtocols = &server.SSLProtocols
	}
}

// redirects says whether a server sends all that comes to https.
func redirects(s *nginx.Server) bool {
	for _, l := range s.Listen {
		if l.SSL {
			return false
		}
	}
	toHTTPS := func(r *nginx.Return) bool {
		return r != nil && r.Code/100 == 3 && strings.HasPrefix(r.Text, "https://")
	}
	return toHTTPS(s.Return) || slices.ContainsFunc(s.Locations, func(l nginx.Location) bool {
		return l.Kind == nginx.Prefix && l.Pattern == "/" && toHTTPS(l.Return)
	})
}

func sharesName(a, b *nginx.Server) bool {
	if slices.ContainsFunc(a.Listen, func(l nginx.Listen) bool { return l.DefaultServer }) {
		return true
	}
	for _, n := range a.Names {
		if slices.Contains(b.Names, n) || n == "_" {
			return true
		}
	}
	return len(a.Names) == 0
}

// masterArgs is what nginx was started with.
type masterArgs struct {
	pid                  int // 0: none runs
	conf, prefix, global string
}

// readMasterArgs takes the title of the running master apart, which nginx
// writes as "nginx: master process /usr/sbin/nginx -g daemon on;". Of several
// the one that passes to the application is meant, else the one that listens on the
// URL's port, and else one that is believed. Where the one that is meant is not, that
// is the error.
func readMasterArgs(r Root, procs []Process, asked Asked) (masterArgs, error) {
	type master struct {
		Process
		title string
		why   error // it is not believed
	}
	var masters []master
	for _, p := range procs {
		if p.Kind != KindNginx || p.Part != "master" {
			continue
		}
		args, err := readArgs(r, fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if err != nil || len(args) == 0 {
			continue
		}
		if title, ok := strings.CutPrefix(args[0], "nginx: master process "); ok {
			masters = append(masters, master{p, title, distrust(r, p.PID)})
		}
	}
	if len(masters) == 0 {
		return masterArgs{}, nil
	}
	rank := func(m master) int {
		n := 0
		if m.PassesTo(asked.Port) {
			n += 4
		}
		if m.ListensOn(portOf(asked.URL)) {
			n += 2
		}
		if m.why == nil {
			n++
		}
		return n
	}
	m := slices.MaxFunc(masters, func(a, b master) int { return rank(a) - rank(b) })
	if m.why != nil {
		return masterArgs{}, fmt.Errorf("%w: name nginx's main file by --nginx-conf", m.why)
	}
	out := parseMasterTitle(m.title)
	out.pid = m.PID
	return out, nil
}

// MasterConf is the main file that a running master was started with, of what
// stands behind "nginx: master process"; "": its build's own.
func MasterConf(title string) string {
	m := parseMasterTitle(title)
	if m.conf != "" && !path.IsAbs(m.conf) && m.prefix != "" {
		return path.Join(m.prefix, m.conf)
	}
	return m.conf
}

func parseMasterTitle(title string) masterArgs {
	var m masterArgs
	words := strings.Fields(title)
	for i := 0; i < len(words); i++ {
		at := func() string {
			if len(words[i]) > 2 {
				return words[i][2:]
			}
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch w := words[i]; {
		case i == 0: // the program
		case strings.HasPrefix(w, "-c"):
			m.conf = at()
		case strings.HasPrefix(w, "-p"):
			m.prefix = at()
		case strings.HasPrefix(w, "-g"):
			m.global = at()
			for i+1 < len(words) && !slices.Contains([]string{"-c", "-p", "-e"}, words[i+1]) {
				i++
				m.global += " " + words[i]
			}
		}
	}
	return m
}

// override makes unknown what -g may have set, since it is not read as a config.
func (m masterArgs) override(n *Nginx) {
	why := "set by -g on nginx's command line: " + m.global
	if strings.Contains(m.global, "worker_processes") {
		n.Main.WorkerProcesses = nginx.Value[int64]{Err: why}
	}
	if strings.Contains(m.global, "worker_rlimit_nofile") {
		n.Main.WorkerRlimitNofile = nginx.Value[int64]{Err: why}
	}
	if strings.Contains(m.global, "worker_shutdown_timeout") {
		n.Main.WorkerShutdownTimeout = nginx.Value[time.Duration]{Err: why}
	}
}

// maxProgramBytes bounds the program that is read for its build; nginx with all
// libraries inside has some 30 MB.
const maxProgramBytes = 128 << 20

// readBuild reads what is compiled into the running nginx or the host's, else the
// version of Debian's record of packages. No program is run: who asks is root, and
// the program may be anybody's.
func readBuild(r Root, m masterArgs) nginx.Build {
	programs := nginxPrograms
	if m.pid != 0 {
		programs = append([]string{fmt.Sprintf("/proc/%d/exe", m.pid)}, programs...)
	}
	for _, program := range programs {
		if b, err := readProgram(r, program); err == nil {
			return b
		}
	}
	return nginx.Build{Version: packageVersion(r)}
}

// buildText finds in a program the two lines of nginx -V that tell of its build:
// they stand there whole.
func buildText(program []byte) string {
	var lines []string
	for _, start := range []string{"nginx version: ", "configure arguments:"} {
		if i := bytes.Index(program, []byte(start)); i >= 0 {
			line := program[i:]
			if end := bytes.IndexAny(line, "\n\x00"); end >= 0 {
				lines = append(lines, string(line[:end]))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// readProgram reads a build out of a program's file.
func readProgram(r Root, program string) (nginx.Build, error) {
	f, err := r.Open(program)
	if err != nil {
		return nginx.Build{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxProgramBytes))
	if err != nil {
		return nginx.Build{}, err
	}
	return nginx.ParseBuild(buildText(content))
}

// packageVersion is nginx's of Debian's record, "" where there is none.
func packageVersion(r Root) string {
	b, err := r.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(b, []byte("\n\n")) {
		name, version, installed := "", "", false
		for line := range bytes.Lines(entry) {
			key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
			switch key {
			case "Package":
				name = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			case "Version":
				version = value
			}
		}
		if installed && slices.Contains([]string{"nginx", "nginx-core", "nginx-light", "nginx-full", "nginx-extras", "nginx-common"}, name) {
			if _, after, ok := strings.Cut(version, ":"); ok { // an epoch
				version = after
			}
			version, _, _ = strings.Cut(version, "-")
			return version
		}
	}
	return ""
}

// readStrays looks where dc_federated's notes and habit have people put files.
func readStrays(r Root, read []string) []Stray {
	var out []Stray
	for _, dir := range []string{"/etc/var/nginx", "/etc/nginx/sites_available", "/etc/nginx/sites_enabled", "/etc/nginx/site-available", "/etc/nginx/site-enabled"} {
		if r.Exists(dir) && !slices.ContainsFunc(read, func(f string) bool { return strings.HasPrefix(f, dir+"/") }) {
			out = append(out, Stray{Path: dir, Why: "no nginx reads this directory"})
		}
	}
	return out
}

// readNginx is the fact: nil where there is no nginx.
func readNginx(r Root, procs Value[[]Process], has Value[bool], asked Asked, o NginxOptions) (Value[*Nginx], error) {
	named := o.Conf != "" || o.Dump != nil
	if !named {
		if !has.Known() {
			return unknown[*Nginx](errors.New(has.Why())), nil
		}
		if !has.V {
			return known[*Nginx](nil, has.Source), nil
		}
	}
	n, err := ReadNginx(r, procs.V, asked, o)
	switch {
	case err != nil && named:
		return Value[*Nginx]{}, err
	case err != nil:
		return unknown[*Nginx](err), nil
	}
	return known(n, n.Path), nil
}

// portOf is the port of a URL, that of its scheme where it names none; 0 if there
// is no URL.
func portOf(raw string) uint16 {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return 0
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	return map[string]uint16{"http": 80, "https": 443}[u.Scheme]
}
