package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/kinds"
	"github.com/fltool/fltool/nginx"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// judgeFlags say what is judged and against which demand: preflight's and fix's.
type judgeFlags struct {
	demandFlags
	root       string
	pid        int
	service    string
	user       string
	port       int
	nginxConf  string
	version    string // of nginx
	flavour    string
	test       nginxTest
	flURL      string
	upstream   string
	lb         []string
	hops       []string
	holds      int64
	facts      []string
	drift      bool // between two files of facts; preflight's alone
	saveFacts  string
	ignore     []string
	ignoreFile string
	outside    *probeFlags // nil: this command probes nothing
}

func (j *judgeFlags) register(cmd *cobra.Command) {
	j.demandFlags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&j.root, "root", "/", "directory where the host's files are")
	f.IntVar(&j.pid, "pid", 0, "judge the limits of this process")
	f.StringVar(&j.service, "service", "", "judge the limits of this systemd service")
	f.StringVar(&j.user, "user", "", "judge the limits that a login of this user gets")
	f.IntVar(&j.port, "port", 0, "port that the application is reached at (default: as found; 5000, 8080, 8000 or what a proxy passes to)")
	f.StringVar(&j.nginxConf, "nginx-conf", "", "nginx's main `file` (default: the running nginx's); - is the output of nginx -T on standard input")
	f.StringVar(&j.version, "nginx-version", "", "nginx's version (default: as nginx -V or the package tells)")
	f.StringVar(&j.flavour, "nginx-flavour", "", "nginx's flavour: "+strings.Join(nginx.Flavours(), ", ")+" (default: as nginx -V tells)")
	j.test.register(f)
	f.StringVar(&j.flURL, "fl-url", "", "URL that workers use; picks nginx's server and location")
	f.StringVar(&j.upstream, "upstream", "", "address that nginx passes polls to (default 127.0.0.1 and the port)")
	f.StringArrayVar(&j.lb, "lb", nil, "load balancer before the host, or its idle timeout; again for each, in the order that workers meet them: "+strings.Join(kinds.Balancers(), ", "))
	f.StringArrayVar(&j.hops, "hop", nil, "what can't be read of a hop: 'haproxy holds=2000 silence=1h'; its questions are holds, connections, tasks, descriptors, memory, silence, body, keepalive, restart, state, backlog")
	f.Int64Var(&j.holds, "holds", 0, "polls that the application holds at once, where fltool can't know it")
	f.StringArrayVar(&j.facts, "facts", nil, "judge saved facts: FILE, or proxy=FILE and app=FILE for two hosts;\nprobe=FILE for those of a probe; of many hosts a 'PATTERN' or a folder")
	f.StringVar(&j.saveFacts, "save-facts", "", "write the facts that were read to this file")
	f.StringArrayVar(&j.ignore, "ignore", nil, "waive a check: ID=reason")
	f.StringVar(&j.ignoreFile, "ignore-file", "", "file of waivers, a line each: ID [until YYYY-MM-DD] = reason")
	cmd.MarkFlagsMutuallyExclusive("pid", "service", "user")
}

// judged is what preflight and fix go on with.
type judged struct {
	deployment checks.Deployment
	demand     reports.Demand
	waivers    []checks.Waiver
	findings   []reports.Finding
	capacity   reports.Capacity
	saved      error // of --save-facts; told once what was judged is
}

// run reads the facts and asks the checks.
func (j *judgeFlags) run(cmd *cobra.Command, now time.Time) (judged, error) {
	// It takes a moment, and a few MB: collecting garbage was a tenth of that moment.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	out, err := j.read(cmd, now)
	if err != nil {
		return judged{}, err
	}
	out.findings, out.capacity = checks.Run(out.deployment, out.demand, out.waivers, now)
	return out, nil
}

func (j *judgeFlags) read(cmd *cobra.Command, now time.Time) (judged, error) {
	out, err := j.asked(cmd)
	if err != nil {
		return out, err
	}
	if j.saveFacts != "" {
		if err := reports.CheckFile(j.saveFacts); err != nil {
			return out, cantError(writableHint, "save facts: %w", err)
		}
	}
	if out.deployment, err = j.hosts(cmd, now); err != nil {
		return out, err
	}
	d := &out.deployment
	if j.outside != nil && j.outside.url != "" {
		v, err := j.outside.ask(cmd, out.demand)
		if err != nil {
			return out, err
		}
		if d.Outside = d.App; d.App == nil || !d.Single() {
			f := noHost(now)
			d.Outside = &f
		}
		d.Outside.Probe = v
	}
	if j.saveFacts != "" {
		f := d.App
		if f == nil {
			f = d.Outside
		}
		if err := saveFacts(j.saveFacts, *f); err != nil {
			out.saved = cantError("", "save facts: %w", err)
		}
	}
	return out, nil
}

// asked is what the flags ask for.
func (j *judgeFlags) asked(cmd *cobra.Command) (out judged, err error) {
	if out.demand, err = j.demand(cmd); err != nil {
		return out, err
	}
	help := cmd.CommandPath() + " --help lists the flags"
	switch {
	case j.port < 0 || j.port > 65535 || j.port == 0 && cmd.Flags().Changed("port"):
		return out, usageError(help, "--port %d: want 1 to 65535", j.port)
	case j.holds < 0 || j.holds == 0 && cmd.Flags().Changed("holds"):
		return out, usageError(help, "--holds %d: want 1 or more", j.holds)
	case j.pid < 0:
		return out, usageError(help, "--pid %d is no process", j.pid)
	}
	if err := j.checkWay(); err != nil {
		return out, err
	}
	if err := cmp.Or(checkVersion(j.version), checkFlavour(j.flavour), j.test.check()); err != nil {
		return out, err
	}
	out.waivers, err = j.waivers()
	return out, err
}

// hosts reads the facts of the hosts that are judged: none with --probe-only.
func (j *judgeFlags) hosts(cmd *cobra.Command, now time.Time) (checks.Deployment, error) {
	var d checks.Deployment
	if len(j.facts) > 0 {
		for _, name := range excludeWithFacts {
			if cmd.Flags().Changed(name) {
				return d, usageError("saved facts are about what was asked when they were saved", "--facts and --%s exclude each other", name)
			}
		}
		d, err := readFacts(j.facts)
		if err == nil && d.Proxy != nil {
			for _, f := range []*facts.Facts{d.App, d.Proxy} {
				j.state(&f.Asked)
			}
		}
		return d, err
	}
	if j.outside != nil && j.outside.only {
		return d, nil
	}
	o := facts.Scope{Asked: facts.Asked{PID: j.pid, Service: j.service, User: j.user, Port: j.port, URL: j.flURL, Upstream: j.upstream}, Specs: kinds.Specs(), Now: now}
	j.state(&o.Asked)
	o.Nginx.Version, o.Nginx.Flavour = j.version, j.flavour
	o.Nginx.Run, o.Nginx.Program = j.test.run(), j.test.program
	if o.Nginx.Conf = j.nginxConf; j.nginxConf == "-" {
		o.Nginx.Conf, o.Nginx.Dump = "", cmd.InOrStdin()
	}
	r := facts.NewRoot(j.root)
	if r.Host() {
		if runtime.GOOS != linux {
			return d, usageError("save facts on the host by --save-facts, and judge them here by --facts", "the limits of a host are read on Linux, and this is %s", runtime.GOOS)
		}
		o.Parent = os.Getppid()
	}
	f, err := facts.Gather(r, o)
	if err != nil {
		return d, cantError("name what is there: a process by --pid, a unit by --service, a user by --user, nginx's main file by --nginx-conf, a host's files by --root", "read facts: %w", err)
	}
	return checks.OneHost(f), nil
}

// state adds what the user says that can't be read.
func (j *judgeFlags) state(a *facts.Asked) {
	if len(j.lb) > 0 {
		a.Balancers = j.lb
	}
	if len(j.hops) > 0 {
		a.Hops = j.hops
	}
	if j.holds > 0 {
		a.Holds = j.holds
	}
}

// checkWay finds wrong flags about the way through nginx.
func (j *judgeFlags) checkWay() error {
	if j.flURL != "" {
		u, err := url.Parse(j.flURL)
		if err == nil {
			_, err = nginx.RequestFor(j.flURL)
		}
		if err != nil || u.User != nil { // it may hold a password: not shown
			return usageError("for example https://fl.example.org", "--fl-url: want an http or https URL without user and password")
		}
	}
	if j.upstream != "" && !strings.HasPrefix(j.upstream, "unix:/") {
		if _, _, err := net.SplitHostPort(j.upstream); err != nil {
			return usageError("for example 127.0.0.1:5000 or unix:/run/fl.sock", "--upstream %s is no address", j.upstream)
		}
	}
	for _, lb := range j.lb {
		if _, err := kinds.ParseBalancer(lb); err != nil {
			return usageError("", "--lb %s: %w", lb, err)
		}
	}
	for _, hop := range j.hops {
		if _, _, err := kinds.ParseHop(hop); err != nil {
			return usageError("", "--hop %s: %w", hop, err)
		}
	}
	return nil
}

// assumptions are what the user did not say, for a note on stderr.
func (j *judgeFlags) assumptions(cmd *cobra.Command) string {
	var assumed, flags []string
	for _, a := range []struct{ flag, text string }{
		{"workers", fmt.Sprintf("%d workers", j.workers)},
		{"hold", "holds of " + render.Duration(j.hold.Seconds())},
		{"model-size", "models of " + j.modelSize.String()},
		{"root", "this host"},
	} {
		hostless := len(j.facts) > 0 || j.drift || j.outside != nil && j.outside.only
		if !cmd.Flags().Changed(a.flag) && (a.flag != "root" || !hostless) {
			assumed, flags = append(assumed, a.text), append(flags, "--"+a.flag)
		}
	}
	if len(assumed) == 0 {
		return ""
	}
	return fmt.Sprintf("assuming %s (%s)", strings.Join(assumed, ", "), strings.Join(flags, ", "))
}

func saveFacts(path string, f facts.Facts) error {
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		return err
	}
	return reports.ReplaceFile(path, b.Bytes(), reports.Private)
}

// readFacts loads one file for a host that carries all, or two with roles; and
// beside them or alone that of a probe.
func readFacts(args []string) (checks.Deployment, error) {
	const hint = "give one FILE, or proxy=FILE and app=FILE; and probe=FILE where a probe was saved apart"
	byRole := make(map[string]*facts.Facts)
	for _, arg := range args {
		role, path := factsPart(arg)
		if byRole[role] != nil {
			return checks.Deployment{}, usageError(hint, "--facts %s: a second file for the same part", arg)
		}
		f, err := readFactsFile(path)
		if err != nil {
			return checks.Deployment{}, cantError("save facts anew: fltool preflight --save-facts FILE", "facts %s: %w", path, err)
		}
		byRole[role] = &f
	}
	probe := byRole["probe"]
	if probe != nil && probe.Probe.Known() && probe.Probe.V == nil {
		return checks.Deployment{}, usageError("save one by --url URL --save-facts FILE", "--facts probe=FILE: the file holds no probe")
	}
	var d checks.Deployment
	switch one, app, proxy := byRole[""], byRole["app"], byRole["proxy"]; {
	case one != nil && app == nil && proxy == nil:
		d = checks.OneHost(*one)
	case one == nil && app != nil && proxy != nil:
		d = checks.Deployment{App: app, Proxy: proxy}
	case one != nil || app != nil || proxy != nil:
		return d, usageError(hint, "--facts: one part is missing, or a file names none")
	}
	if probe != nil {
		d.Outside = probe
	}
	return d, nil
}

func readFactsFile(path string) (facts.Facts, error) {
	f, err := os.Open(path)
	if err != nil {
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return facts.Facts{}, err
	}
	defer f.Close()
	return facts.Read(f)
}

// waivers reads --ignore and --ignore-file.
func (j *judgeFlags) waivers() ([]checks.Waiver, error) {
	var out []checks.Waiver
	for _, s := range j.ignore {
		w, err := checks.ParseWaiver(s)
		if err != nil {
			return nil, usageError(waiverHint(s), "--ignore %s: %w", s, err)
		}
		out = append(out, w)
	}
	if j.ignoreFile == "" {
		return out, nil
	}
	f, err := os.Open(j.ignoreFile)
	if err != nil {
		return nil, usageError("", "--ignore-file: %w", err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		w, err := checks.ParseWaiver(line)
		if err != nil {
			return nil, usageError(waiverHint(line), "%s:%d: %w", j.ignoreFile, n, err)
		}
		out = append(out, w)
	}
	if err := sc.Err(); err != nil {
		return nil, cantError("", "%s: %w", j.ignoreFile, err)
	}
	return out, nil
}

// waiverHint names the checks that a waiver of none may have meant.
func waiverHint(waiver string) string {
	const help = "fltool explain lists the checks"
	head, _, _ := strings.Cut(waiver, "=")
	words := strings.Fields(head)
	if len(words) == 0 || slices.Contains(checkIDs(), words[0]) {
		return help
	}
	return didYouMean(near(words[0], checkIDs()), help)
}
