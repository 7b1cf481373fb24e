package main

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/checks"
	"github.com/fltool/fltool/checks/facts"
	"github.com/fltool/fltool/checks/probe"
	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// probeFlags say what preflight asks of a running deployment.
type probeFlags struct {
	url, key, keys, ca string
	hold, simulateHold time.Duration
	bodyMax            sizeFlag
	upstreamPort       int
	simulate           int
	only               bool
	insecure, yes      bool

	private ed25519.PrivateKey // of key, once that is checked
}

func (f *probeFlags) register(cmd *cobra.Command) {
	f.bodyMax = probe.DefaultBodyMax
	fl := cmd.Flags()
	fl.StringVar(&f.url, "url", "", "probe the running deployment at this URL, too")
	fl.BoolVar(&f.only, "probe-only", false, "with --url: judge the probe and not this host")
	fl.StringVar(&f.key, "probe-key", "", "private key file of a worker of the probe's own,\nfor the longest hold")
	fl.DurationVar(&f.hold, "probe-hold", probe.DefaultHold, "longest time that the probe's poll is held (0: no poll)")
	fl.Var(&f.bodyMax, "probe-body-max", "largest update that the probe sends (0: none)")
	fl.IntVar(&f.upstreamPort, "upstream-port", 0, "try the URL's host at this port: the server past the proxy")
	fl.IntVar(&f.simulate, "then-simulate", 0, "then hold the polls of so many workers through the URL")
	fl.StringVar(&f.keys, "keys", "", "key folder of the workers of --then-simulate")
	fl.DurationVar(&f.simulateHold, "simulate-hold", 30*time.Second, "how long the polls of --then-simulate are held")
	fl.StringVar(&f.ca, "ca", "", "PEM file of the authorities that the probe trusts")
	fl.BoolVar(&f.insecure, "insecure", false, "probe a server whose certificate is not trusted, too")
	fl.BoolVar(&f.yes, "yes", false, "register workers at a server without key list, and send more than 100 to a public address, unasked")
	cmd.MarkFlagsMutuallyExclusive("ca", "insecure")
}

// check finds what is wrong with the flags before anything is done.
func (f *probeFlags) check(cmd *cobra.Command) error {
	if f.url == "" {
		for _, name := range []string{"probe-only", "probe-key", "probe-hold", "probe-body-max", "upstream-port", "then-simulate", "keys", "simulate-hold", "ca", "insecure", "yes"} {
			if cmd.Flags().Changed(name) {
				return usageError("for example --url https://fl.example.org", "--%s is about a probe: it needs --url", name)
			}
		}
		return nil
	}
	if _, err := probe.ParseURL(f.url); err != nil {
		return usageError("", "--url: %w", err) // the URL may hold a password: not shown
	}
	const longest = 48 * time.Hour
	switch {
	case f.hold < 0 || f.hold > longest || f.hold > 0 && f.hold < time.Second:
		return usageError("", "--probe-hold %v: want 1s to %v, or 0", f.hold, longest)
	case f.bodyMax < 0 || f.bodyMax > 4e9:
		return usageError("", "--probe-body-max %s: want at most 4GB", f.bodyMax.String())
	case f.upstreamPort < 0 || f.upstreamPort > 65535:
		return usageError("", "--upstream-port %d is no port", f.upstreamPort)
	case f.simulate < 0:
		return usageError("", "--then-simulate %d: want a number of workers", f.simulate)
	case f.simulateHold < time.Second || f.simulateHold > longest:
		return usageError("", "--simulate-hold %v: want 1s to %v", f.simulateHold, longest)
	case f.simulate == 0 && f.keys != "":
		return usageError("", "--keys is for --then-simulate; the probe's own is --probe-key")
	case f.only:
		for _, name := range []string{"root", "pid", "service", "user", "port", "facts"} {
			if cmd.Flags().Changed(name) {
				return usageError("", "--probe-only judges no host: leave --%s out", name)
			}
		}
	}
	if f.key == "" {
		return nil
	}
	var err error
	if f.private, err = wire.ReadPrivateKey(f.key); err != nil {
		return usageError("fltool keys generate makes key files; the server's list must hold its public key", "--probe-key: %v", err)
	}
	return nil
}

// ask probes, and runs what --then-simulate asks for.
func (f *probeFlags) ask(cmd *cobra.Command, demand reports.Demand) (facts.Value[*facts.Probe], error) {
	var none facts.Value[*facts.Probe]
	u, err := probe.ParseURL(f.url)
	if err != nil {
		return none, usageError("", "--url: %w", err)
	}
	stderr := cmd.ErrOrStderr()
	o := probe.Questions{
		URL: u, Hold: f.hold, BodyMax: int64(f.bodyMax), BodyWant: checks.BodyBytes(demand.ModelBytes), UpstreamPort: f.upstreamPort,
		Tell: func(s string) { fmt.Fprintln(stderr, "probe: "+s) },
	}
	if o.TLS, err = tlsConfig(u.Hostname(), f.ca, f.insecure); err != nil {
		return none, err
	}
	o.Key = f.private
	plan, err := f.plan(u, o.TLS)
	if err != nil {
		return none, err
	}
	if f.simulate > 0 {
		if err := agreeToLoad(cmd, u, f.simulate, loadgen.Scenario{}, f.yes); err != nil {
			return none, err
		}
	}
	agreed, err := f.agree(cmd, u)
	if err != nil {
		return none, err
	}
	o.Register = agreed && o.Key == nil && o.Hold > 0
	f.announce(stderr, o)

	tidies(cmd.Context())
	p, err := probe.Run(cmd.Context(), o)
	if err != nil {
		return none, cantError("", "%w", err)
	}
	if f.simulate > 0 {
		p.Held = f.run(cmd, plan, p)
		if cmd.Context().Err() != nil {
			return none, cantError("", "interrupted")
		}
	}
	return facts.Value[*facts.Probe]{V: &p, Source: p.URL}, nil
}

// plan is that of the run that follows; it is made first, since what is wrong
// with it should not show after ten minutes.
func (f *probeFlags) plan(u *url.URL, cfg *tls.Config) (loadgen.Plan, error) {
	p := loadgen.Plan{Target: u, Workers: f.simulate, Hold: f.simulateHold, Seed: 1}
	if f.simulate == 0 {
		return p, nil
	}
	if u.Scheme == "https" {
		p.TLS = cfg
	}
	if f.keys != "" {
		var err error
		if p.Keys, err = wire.ReadKeys(f.keys, 0, f.simulate); err != nil {
			return p, usageError("fltool keys verify tells what is wrong with a key folder", "--keys: %v", err)
		}
	}
	if err := loadgen.CheckRoom(f.simulate, 1, 1, 1); err != nil {
		return p, roomError(err)
	}
	return p, nil
}

// agree asks whether workers may be registered at a server that keeps no key
// list, where they stay.
func (f *probeFlags) agree(cmd *cobra.Command, u *url.URL) (bool, error) {
	n := 0
	if f.key == "" && f.hold > 0 {
		n++
	}
	if f.keys == "" {
		n += f.simulate
	}
	if n == 0 || f.yes {
		return true, nil
	}
	what := "a worker"
	if n > 1 {
		what = fmt.Sprintf("%d workers", n)
	}
	yes, _, err := consent(cmd, fmt.Sprintf("Without keys %s must be registered at %s,\nwhich works where the server has no key list, and stays until it is restarted.\nRegister?", what, u))
	if yes || err != nil {
		return yes, err
	}
	if f.keys == "" && f.simulate > 0 {
		return false, usageError("give their keys by --keys, or agree by --yes", "--then-simulate registers %d workers, and nobody agreed to that", f.simulate)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "probe: no poll will be held: give --probe-key FILE or, where the server has\nno key list, --yes; --probe-hold 0 asks for none")
	return false, nil
}

// announce says what will be sent, before it is.
func (f *probeFlags) announce(w io.Writer, o probe.Questions) {
	p := o.Cost()
	fmt.Fprintf(w, "probe: at most %d requests over %d connections to %s,\nprobe: with %s of bodies in all\n", p.Requests, p.Connections, o.URL, approximately(p.Bytes))
	switch {
	case o.Hold == 0 || o.Key == nil && !o.Register:
	case o.Key != nil:
		fmt.Fprintf(w, "probe: one model is downloaded, one poll held for up to %v; the poll ends\nprobe: that of any worker which uses the key now: it must be the probe's own\n", o.Hold)
	default:
		fmt.Fprintf(w, "probe: one worker is registered, one model downloaded, one poll held for up\nprobe: to %v\n", o.Hold)
	}
	if f.simulate > 0 {
		fmt.Fprintf(w, "probe: then %d workers come and hold their polls for %v\n", f.simulate, f.simulateHold)
	}
}

// approximately is a size for people, rounded up.
func approximately(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%d kB", (n+999)/1000)
	}
	return fmt.Sprintf("%d MB", (n+999_999)/1_000_000)
}

// run holds the polls of many workers and keeps what came of it.
func (f *probeFlags) run(cmd *cobra.Command, plan loadgen.Plan, p facts.Probe) facts.Value[*facts.HeldWorkers] {
	none := func(format string, a ...any) facts.Value[*facts.HeldWorkers] {
		return facts.Value[*facts.HeldWorkers]{Err: fmt.Sprintf(format, a...)}
	}
	if plan.Target.Scheme == "https" && plan.TLS != nil && !plan.TLS.InsecureSkipVerify && (p.TLS.V == nil || !p.TLS.V.Trusted) {
		return none("the certificate is not trusted")
	}
	if err := loadgen.CheckTarget(cmd.Context(), plan.Target, plan.TLS); err != nil {
		return none("%v", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "probe: %d workers come\n", plan.Workers)
	r, err := loadgen.Run(cmd.Context(), plan, loadgen.Setup{Progress: plainProgress(cmd.ErrOrStderr())})
	switch {
	case err != nil:
		return none("%v", err)
	case r.Held == nil:
		return none("the run held nothing")
	}
	h := facts.HeldWorkers{Asked: plan.Workers, Peak: r.Held.Peak, Steady: r.Held.Steady, Seconds: r.Held.HoldSeconds}
	if r.Generator != nil {
		h.Refused = r.Generator.Refused
	}
	h.Cause = mostHit(r.Errors)
	return facts.Value[*facts.HeldWorkers]{V: &h, Source: fmt.Sprintf("a run of %d workers", plan.Workers)}
}

// mostHit is the class of errors that most workers saw. That an idle connection
// ended and was dialled again took nothing from a worker.
func mostHit(errors []reports.ErrorClass) (class string) {
	most := 0
	for _, e := range errors {
		if e.Class != reports.ClassReconnect && e.Workers > most {
			most, class = e.Workers, e.Class
		}
	}
	return class
}

// noHost is what is read for a probe alone: who asked.
func noHost(now time.Time) facts.Facts {
	return facts.Facts{Schema: facts.Schema, Gathered: now.UTC().Format(time.RFC3339), Host: facts.ReadHost(facts.NewRoot("/"))}
}

// tlsConfig is that of --ca and --insecure.
func tlsConfig(host, ca string, insecure bool) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, InsecureSkipVerify: insecure} // #nosec G402 -- by a flag alone, which says so
	if ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, usageError("", "--ca: %v", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usageError("", "--ca %s: no PEM certificate in it", ca)
	}
	return cfg, nil
}
