package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
)

func newNginx() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nginx",
		Short: "Write an nginx config for a demand, or judge one",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNginxLint(), newNginxRender())
	return cmd
}

// demandFlags are the demand alone.
type demandFlags struct {
	workers   int
	hold      time.Duration
	modelSize sizeFlag
}

func (d *demandFlags) register(cmd *cobra.Command) {
	def := checks.Defaults
	d.modelSize = sizeFlag(def.ModelBytes)
	f := cmd.Flags()
	f.IntVar(&d.workers, "workers", def.Workers, "workers that hold a poll at once")
	f.DurationVar(&d.hold, "hold", time.Duration(def.HoldSeconds)*time.Second, "longest time that a poll is held")
	f.Var(&d.modelSize, "model-size", "size of the model, before compression")
}

func (d *demandFlags) demand(cmd *cobra.Command) (reports.Demand, error) {
	help := cmd.CommandPath() + " --help lists the flags"
	switch {
	case d.workers < 1 || d.workers > mostWorkers:
		return reports.Demand{}, usageError(help, "--workers %d: want 1 to %d", d.workers, mostWorkers)
	case d.hold < 0 || d.hold > 30*24*time.Hour:
		return reports.Demand{}, usageError(help, "--hold %v: want 0 to 720h", d.hold)
	case d.modelSize > 1<<40:
		return reports.Demand{}, usageError(help, "--model-size %s: want 1TiB at most", d.modelSize.String())
	}
	return reports.Demand{Workers: d.workers, HoldSeconds: d.hold.Seconds(), ModelBytes: int64(d.modelSize), ModelAssumed: !cmd.Flags().Changed("model-size")}, nil
}

func newNginxLint() *cobra.Command {
	var j judgeFlags // the demand, the way and the waivers of them
	var out outputFlags
	var version, flavour, failOn string
	var test nginxTest
	cmd := &cobra.Command{
		Use:   "lint FILE",
		Short: "Judge an nginx config by itself",
		Long: `lint reads an nginx config, with all that it includes, and asks the checks that
need nothing but the config: slots, timeouts, body sizes, limits, exposure. FILE
may be a whole nginx.conf, a site that is included into http, or - for what
nginx -T prints. Names in it are taken as they stand: relative ones start at FILE.

Of a host, preflight tells more: what really runs, and what the kernel allows.

As root it has the host's own nginx judge the config, too, by nginx -t in private
namespaces, in which it can write nothing and reaches no network. A config that
would have nginx run code of the config's own is not tested so.
--format sarif is for code reviews.

Exit codes: 0 good; 1 a check failed; 2 usage; 3 a check can't be told.`,
		Example: `  fltool nginx lint /etc/nginx/nginx.conf --workers 5000
  nginx -T | fltool nginx lint -
  fltool nginx lint deploy/nginx.conf --format sarif > nginx.sarif`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if failOn != "error" && failOn != "warn" {
				return usageError("", "--fail-on %q: want error or warn", failOn)
			}
			demand, err := j.demand(cmd)
			if err != nil {
				return err
			}
			if err := j.checkWay(); err != nil {
				return err
			}
			waivers, err := j.waivers()
			if err != nil {
				return err
			}
			if err := checkVersion(version); err != nil {
				return err
			}
			if err := cmp.Or(checkFlavour(flavour), test.check()); err != nil {
				return err
			}
			start := time.Now()
			asked := facts.Asked{Port: j.port, URL: j.flURL, Upstream: j.upstream, Balancers: j.lb}
			o := facts.NginxOptions{Conf: args[0], Version: version, Flavour: flavour, Local: true, Run: test.run(), Program: test.program}
			if args[0] == "-" {
				o.Conf, o.Dump = "", cmd.InOrStdin()
			}
			n, err := facts.ReadNginx(facts.NewRoot("/"), nil, asked, o)
			if err != nil {
				return cantError("name nginx's main file, or - for the output of nginx -T", "read nginx's config: %w", err)
			}
			if n.Fragment {
				fmt.Fprintln(cmd.ErrOrStderr(), "a part of the http block: what other files may set is taken for nginx's default")
			}
			var res judged
			res.demand = demand
			res.findings, res.capacity = checks.Lint(n, asked, demand, waivers, start)
			res.deployment = checks.OneHost(facts.Facts{})
			return out.write(cmd, res.report(start, reports.Severity(failOn)))
		},
	}
	j.demandFlags.register(cmd)
	f := cmd.Flags()
	f.IntVar(&j.port, "port", facts.DefaultPorts[0], "port that the application listens on")
	f.StringVar(&j.flURL, "fl-url", "", "URL that workers use; picks server and location")
	f.StringVar(&j.upstream, "upstream", "", "address that polls are passed to (default 127.0.0.1 and the port)")
	f.StringArrayVar(&j.lb, "lb", nil, "load balancer before nginx, as of preflight")
	f.StringVar(&version, "nginx-version", "", "version of the nginx that will read it: directives and some defaults hang on it")
	f.StringVar(&flavour, "nginx-flavour", "", "flavour of the nginx that will read it: "+strings.Join(nginx.Flavours(), ", ")+" (default oss)")
	test.register(f)
	f.StringArrayVar(&j.ignore, "ignore", nil, "waive a check: ID=reason")
	f.StringVar(&j.ignoreFile, "ignore-file", "", "file of waivers, a line each: ID [until YYYY-MM-DD] = reason")
	f.StringVar(&failOn, "fail-on", "error", "least severity that makes the exit code 1: error or warn")
	out.add(cmd)
	out.addVerbose(cmd)
	return cmd
}

func checkVersion(v string) error {
	if v == "" {
		return nil
	}
	if _, known := (nginx.Build{Version: v}).Since("1.0.0"); !known {
		return usageError("nginx -v tells it", "--nginx-version %q: want for example 1.22.1", v)
	}
	return nil
}

// nginxTest says whether a config is put before the host's nginx.
type nginxTest struct {
	program string
	off     bool
}

func (n *nginxTest) register(f *pflag.FlagSet) {
	f.StringVar(&n.program, "nginx-bin", "", "the nginx that judges the config by nginx -t (default: the host's, where root alone can have put it there)")
	f.BoolVar(&n.off, "no-nginx-t", false, "ask no nginx about its config")
}

// run is how facts has it run; nil: not at all.
func (n *nginxTest) run() func(context.Context, []string, []string, []string) (string, bool, error) {
	if n.off {
		return nil
	}
	return runPrivately
}

func (n *nginxTest) check() error {
	if n.program == "" {
		return nil
	}
	if n.off {
		return usageError("", "--nginx-bin and --no-nginx-t exclude each other")
	}
	info, err := os.Stat(n.program)
	switch {
	case err != nil:
		return usageError("", "--nginx-bin: %w", err)
	case !filepath.IsAbs(n.program) || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return usageError("for example /usr/sbin/nginx", "--nginx-bin %s: want the absolute path of a program", n.program)
	}
	return nil
}

func checkFlavour(s string) error {
	if s == "" || slices.Contains(nginx.Flavours(), s) {
		return nil
	}
	return usageError("", "--nginx-flavour %q: want %s", s, strings.Join(nginx.Flavours(), ", "))
}

func newNginxRender() *cobra.Command {
	var d demandFlags
	var p checks.Proxy
	var keepalive time.Duration
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Write a complete nginx.conf that holds the demand",
		Long: `render writes a complete nginx.conf: for https with --tls-cert and --tls-key,
and then plain HTTP is sent on to it. The numbers come from the formulas by which
preflight judges; each comment says from what.

With --site it writes what belongs into the http block alone. A demand that is
too large for one nginx is shared out among several, and a note says so.

/workers is closed but for --admin-allow. It writes to standard output and
changes nothing.`,
		Example: `  fltool nginx render --workers 5000 --hold 6h --model-size 13MB \
      --server-name fl.example.org --tls-cert fullchain.pem --tls-key privkey.pem
  fltool nginx render --workers 1000 --upstream unix:/run/fl.sock > nginx.conf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			demand, err := d.demand(cmd)
			if err != nil {
				return err
			}
			if err := checkProxy(p); err != nil {
				return err
			}
			if keepalive < 0 || keepalive > 24*time.Hour {
				return usageError("", "--upstream-keepalive %v: want 0 to 24h", keepalive)
			}
			p.Keepalive = keepalive
			if n := checks.Nginxes(p, demand); n > 1 {
				share := (demand.Workers + n - 1) / n
				fmt.Fprintln(cmd.ErrOrStderr(), fitted(cmd.ErrOrStderr(), fmt.Sprintf("one nginx can't carry %d workers: it has %d local ports to an upstream address, and half of fs.nr_open. This config is for each of %d nginx on hosts of their own, %d workers each; more --upstream addresses of the application, or a unix socket, let one carry more", demand.Workers, checks.Ports, n, share)))
				demand.Workers = share
			}
			settings, err := checks.Recommend(p, demand)
			if err != nil {
				return usageError("", "%w", err)
			}
			text, err := nginx.Render(settings)
			if err != nil {
				return usageError("a flag's value has no place in a config", "%w", err)
			}
			return printTo(cmd.OutOrStdout(), "the config", text)
		},
	}
	d.register(cmd)
	f := cmd.Flags()
	f.StringVar(&p.User, "user", "", "user that nginx's processes run as; Debian: www-data (default: the build's)")
	f.BoolVar(&p.Site, "site", false, "write the site alone, to be included into the http block of an nginx that has others")
	f.StringArrayVar(&p.ServerNames, "server-name", nil, "name that workers call; repeat for several (default: any)")
	f.StringArrayVar(&p.Listen, "listen", nil, "address to listen at, such as 127.0.0.1:8080 (default: all, port 80 or 443)")
	f.StringArrayVar(&p.Upstream, "upstream", []string{"127.0.0.1:5000"}, "the application: HOST:PORT or unix:/PATH")
	f.DurationVar(&keepalive, "upstream-keepalive", 2*time.Second, "after which the application closes idle connections; gunicorn: 2s; 0: keep none")
	f.StringVar(&p.TLSCert, "tls-cert", "", "certificate and its chain; makes it https")
	f.StringVar(&p.TLSKey, "tls-key", "", "its key")
	f.StringVar(&p.ACMERoot, "acme-root", "", "directory in which certbot proves the name: --webroot")
	f.StringVar(&p.Build.Version, "nginx-version", "", "version of the nginx that will read it")
	f.StringArrayVar(&p.AdminAllow, "admin-allow", nil, "address or network that may use /workers; repeat for several (default: nobody)")
	return cmd
}

func isSocket(s string) bool {
	path, ok := strings.CutPrefix(s, "unix:/")
	return ok && path != "" && !strings.Contains(path, ":") && !strings.ContainsFunc(path, unicode.IsSpace)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && !strings.ContainsFunc(host, unicode.IsSpace) && isPort(port)
}

// checkProxy finds what nginx would only find when it starts, or would look up.
func checkProxy(p checks.Proxy) error {
	if (p.TLSCert == "") != (p.TLSKey == "") {
		return usageError("", "--tls-cert and --tls-key go together")
	}
	for _, u := range p.Upstream {
		if !isSocket(u) && !isHostPort(u) {
			return usageError("for example 127.0.0.1:5000 or unix:/run/fl.sock", "--upstream %q is no address", u)
		}
	}
	for _, l := range p.Listen {
		_, err := netip.ParseAddrPort(strings.Replace(l, "*:", "0.0.0.0:", 1))
		if err != nil && !isPort(l) && !isSocket(l) {
			return usageError("for example 8080, 127.0.0.1:8080 or [::1]:8080", "--listen %q is no address", l)
		}
	}
	for _, n := range p.ServerNames {
		if n == "" || strings.ContainsFunc(n, unicode.IsSpace) {
			return usageError("for example fl.example.org", "--server-name %q is no name", n)
		}
	}
	for _, who := range p.AdminAllow {
		_, err := netip.ParseAddr(who)
		if _, netErr := netip.ParsePrefix(who); err != nil && netErr != nil && who != "unix:" {
			return usageError("for example 10.0.0.0/8", "--admin-allow %s is no address or network", who)
		}
	}
	if strings.ContainsFunc(p.User, unicode.IsSpace) {
		return usageError("for example www-data", "--user %q is no name of a user", p.User)
	}
	return checkVersion(p.Build.Version)
}
