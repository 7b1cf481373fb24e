package kinds

import (
	"path"
	"strings"
	"time"

	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
)

// Nginx is nginx. Its settings are read as a tree, by package nginx, and a check of
// its own answers each question by where polls pass: these name the checks.
var Nginx = &Kind{
	Spec: facts.Spec{
		Kind: facts.KindNginx, Role: facts.RoleProxy,
		Title: []facts.Title{
			{Prefix: "nginx: master process", Part: "master"},
			{Prefix: "nginx: worker process", Part: "worker", Draining: "shutting down"},
			{Prefix: "nginx: ", Part: "master"}, // cache manager and loader hold no polls
		},
		Match: func(args []string) bool { return path.Base(args[0]) == "nginx" },
		Read:  readNginxPasses,
	},
	Source: "nginx.org's documentation; nginx 1.22.1, measured",

	Holds:       always(na[Bound]("nginx/worker-connections answers it")),
	Connections: always(na[Bound]("nginx/worker-connections answers it")),
	Tasks:       always(is(int64(0), "no thread", nginxDocs)),
	Descriptors: always(is(Files{Own: 10, Poll: 2, Upload: 3}, "two a poll, three an update that goes to disk", "measured")),
	Memory:      always(is(Cost{Most: 21 << 9, Least: 21 << 9}, "10.5 KiB a poll", "measured")),
	Silence:     always(na[time.Duration]("nginx/proxy-read-timeout answers it")),
	Body:        always(na[int64]("nginx/client-max-body-size answers it")),
	Keepalive:   nginxKeepalive,
	Restart:     always(na[Ending]("nginx/shutdown-timeout answers it")),
	State:       always(is(int64(0), "none", nginxDocs)),
	Backlog:     always(na[int64]("nginx/listen-backlog answers it")),
}

const nginxDocs = "nginx.org's documentation"

// nginxKeepalive is how long nginx uses idle connections to the application: a check
// of its own reads it.
func nginxKeepalive(Hop) Answer[time.Duration] {
	return na[time.Duration]("nginx/upstream-keepalive and nginx/keepalive-timeout answer it")
}

// hostPort leaves out what is no address: a password may stand before it.
func hostPort(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }

// readNginxPasses reads where a running nginx passes requests on.
func readNginxPasses(r facts.Root, p facts.Program) facts.Details {
	if p.Distrust != nil {
		return facts.Details{Passes: facts.Value[[]facts.Pass]{Err: p.Distrust.Error()}}
	}
	conf := "/etc/nginx/nginx.conf"
	if title, ok := strings.CutPrefix(p.Args[0], "nginx: master process "); ok {
		if given := facts.MasterConf(title); given != "" {
			conf = given
		}
	}
	o := nginx.Reading{Root: r.String(), Path: conf}
	if r.Host() {
		o.Root = ""
	}
	c, err := nginx.Read(o)
	if err != nil {
		return facts.Details{Passes: facts.Value[[]facts.Pass]{Err: err.Error()}}
	}
	passes := []facts.Pass{}
	for _, proxy := range c.Proxies() {
		up := c.Upstream(proxy.Pass.Upstream)
		if up == nil {
			passes = append(passes, facts.Pass{To: hostPort(proxy.Pass.Upstream), Source: proxy.Pass.Source})
			continue
		}
		for _, peer := range up.Peers {
			passes = append(passes, facts.Pass{To: hostPort(peer.Address), Source: proxy.Pass.Source})
		}
	}
	for _, other := range c.Others {
		passes = append(passes, facts.Pass{To: hostPort(other.Pass), Source: other.Source})
	}
	return facts.Details{Passes: facts.Value[[]facts.Pass]{V: passes, Source: c.Path}}
}
