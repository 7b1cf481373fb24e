package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	Location int    `json:"location,omitempty"` // of Site.Locations, the first is 1; 0: none matches, or nginx answers itself
	Err      string `json:"err,omitempty"`
	Outside  bool   `json:"outside,omitempty"` // Err is for want of what stands outside of a fragment
	// Answer is what nginx does itself with a request that it passes nowhere, and
	// AnswerAt where that stands; "" where it passes it on.
	Answer   string           `json:"answer,omitempty"`
	Onward   []int            `json:"onward,omitempty"` // the same of the locations of this nginx that the request comes through after Location
	AnswerAt string           `json:"answerAt,omitempty"`
	Instead  []*nginx.Instead `json:"instead,omitempty"` // of RouteModel: what nginx answers with in place of each of Unreachable; nil: the error
	Arrives  string           `json:"arrives,omitempty"` // the path by which it is passed on; "": unknown
	Gates    []nginx.Gate     `json:"gates,omitempty"`   // what keeps a worker out, or may
}

// Unreachable are the answers of an nginx whose application does not answer.
var Unreachable = []int{502, 503, 504}

// At is the location that a route leads to; nil where none matches and where
// that is unknown.
func (s *Site) At(route string) *Location {
	return s.location(s.Routes[route].Location)
}

// Way is the locations that a route comes through, one after the other.
func (s *Site) Way(route string) (all []*Location) {
	at := s.At(route)
	if at == nil {
		return nil
	}
	all = append(all, at)
	for _, next := range s.Routes[route].Onward {
		if at := s.location(next); at != nil {
			all = append(all, at)
		}
	}
	return all
}

// location is one that a Route names; nil where it names none.
func (s *Site) location(number int) *Location {
	if number < 1 || number > len(s.Locations) {
		return nil
	}
	return &s.Locations[number-1]
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

// WorkerRequest is a request of the protocol as a worker makes it.
type WorkerRequest struct{ Method, Path string }

// WorkerRequests are those of WorkerRoutes, at a server without a prefix.
func WorkerRequests() []WorkerRequest {
	out := make([]WorkerRequest, len(WorkerRoutes))
	for i, name := range WorkerRoutes {
		out[i] = WorkerRequest{routeMethods[name], routePaths[name]}
	}
	return out
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
	opts := nginx.Reading{Root: r.String(), Path: args.conf, Build: build, Partial: o.Local && o.Dump == nil}
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
func readConfig(o nginx.Reading, dump io.Reader) (c *nginx.Config, fragment bool, err error) {
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
