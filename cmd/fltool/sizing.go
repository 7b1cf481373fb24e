package main

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// sizingFlags say what numbers to deploy are wanted, and for what.
type sizingFlags struct {
	replicasFor, spare int
	shared             bool
	measured, emit     string
	name, image        string
	port               int
	metric, prometheus string
}

func (n *sizingFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.IntVar(&n.replicasFor, "replicas-for", 0, "tell how many replicas so many workers want, and what each of them needs")
	fl.IntVar(&n.spare, "spare", 0, "replicas more than are needed")
	fl.StringVar(&n.measured, "measured", "", "take the measured capacity from this report and run nothing")
	fl.BoolVar(&n.shared, "shared-state", false, "any replica serves any worker: the servers share registrations, rounds and the model (dc_federated's and fltool's don't)")
	fl.StringVar(&n.emit, "emit", "", "print the numbers as a manifest: "+strings.Join(render.Manifests(), ", "))
	fl.StringVar(&n.name, "name", "fl", "name of what is emitted")
	fl.StringVar(&n.image, "image", "", "container image that is emitted (default: fltool's own, where that was measured)")
	fl.IntVar(&n.port, "port", 0, "port of the server that is emitted (default: the target's, or 5000)")
	fl.StringVar(&n.metric, "metric", "", "Prometheus's metric of the polls that a pod holds (default: that of fltool serve, where that was measured)")
	fl.StringVar(&n.prometheus, "prometheus", "http://prometheus-operated.monitoring.svc:9090", "`URL` of Prometheus for keda")
	completeBy(cmd, "emit", render.Manifests)
}

var (
	dnsLabel   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$`)
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	imageName  = regexp.MustCompile(`^[\w][\w.:/@-]*$`)
)

func (n *sizingFlags) check(cmd *cobra.Command) error {
	if n.replicasFor == 0 && !cmd.Flags().Changed("replicas-for") {
		for _, name := range []string{"spare", "measured", "shared-state", "emit"} {
			if cmd.Flags().Changed(name) {
				return usageError("for example --replicas-for 20000", "--%s wants --replicas-for", name)
			}
		}
		return nil
	}
	switch {
	case n.replicasFor < 1:
		return usageError("", "--replicas-for %d: want 1 or more workers", n.replicasFor)
	case n.spare < 0:
		return usageError("", "--spare %d: want 0 or more replicas", n.spare)
	case n.emit != "" && !slices.Contains(render.Manifests(), n.emit):
		return usageError(didYouMean(near(n.emit, render.Manifests()), ""), "--emit %s: want %s", n.emit, strings.Join(render.Manifests(), ", "))
	case !dnsLabel.MatchString(n.name):
		return usageError("letters a to z, digits and -, as Kubernetes has it", "--name %s is no name of an object", n.name)
	case n.metric != "" && !metricName.MatchString(n.metric):
		return usageError("for example fltool_held_polls", "--metric %s is no name of a metric", n.metric)
	case n.image != "" && !imageName.MatchString(n.image):
		return usageError("for example registry.example.org/fl:1.0", "--image %s is no image", n.image)
	case n.port < 0 || n.port > 65535:
		return usageError("", "--port %d: want 1 to 65535", n.port)
	}
	if u, err := url.Parse(n.prometheus); err != nil || u.Host == "" || u.User != nil {
		return usageError("for example http://prometheus:9090", "--prometheus: want an http or https URL without user and password")
	}
	return nil
}

// ofStored sizes by a stored report. What was measured then was judged then: the exit
// code says whether the numbers are known.
func (n *sizingFlags) ofStored(cmd *cobra.Command, out *outputFlags) error {
	r, err := reports.Read(n.measured)
	if err != nil {
		return cantError("fltool capacity --out FILE writes one", "--measured: %w", err)
	}
	return n.write(cmd, out, r)
}

// write adds the numbers to the report, keeps that and prints it, or what --emit asks
// for.
func (n *sizingFlags) write(cmd *cobra.Command, out *outputFlags, r reports.Report) error {
	serves := r.Env.Target == "" && !slices.ContainsFunc(r.Env.Command, func(a string) bool {
		return strings.HasPrefix(a, "--server-command") || strings.HasPrefix(a, "--target")
	})
	need := reports.SizingFor{Workers: n.replicasFor, Spare: n.spare, SharedState: n.shared}
	if serves {
		if n.shared {
			return usageError("leave it out: each replica is a federation of its own", "--shared-state: fltool serve was measured, which keeps its state in one process")
		}
		need.DrainSeconds = drainTimeout.Seconds()
	}
	sizing, err := reports.Size(r, need)
	if err != nil {
		return cantError("fltool capacity --out FILE measures one", "--replicas-for: %w", err)
	}
	r.Sizing = sizing
	verdict := verdictError(r.Verdict)
	if n.measured != "" {
		verdict = nil
	}
	if len(sizing.Unknown) > 0 && verdict == nil {
		verdict = &exitError{code: exitCant}
	}
	if out.out != "" {
		if err := reports.WriteFile(out.out, r); err != nil {
			return cantError("", "%w", err)
		}
	}
	if n.emit == "" {
		if err := out.print(cmd, r); err != nil {
			return err
		}
		return verdict
	}
	w, err := n.workload(r, serves)
	if err != nil {
		return err
	}
	text, err := render.Manifest(n.emit, *sizing, w)
	if err != nil {
		return cantError("", "--emit %s: %w", n.emit, err)
	}
	if err := printTo(cmd.OutOrStdout(), "the manifest", text); err != nil {
		return err
	}
	return verdict
}

// workload is what the manifest names.
func (n *sizingFlags) workload(r reports.Report, serves bool) (render.Workload, error) {
	w := render.Workload{Name: n.name, Image: n.image, Port: n.port, Serves: serves, Metric: n.metric, Prometheus: n.prometheus}
	if serves {
		w.Image = cmp.Or(w.Image, "ghcr.io/fltool/fltool:"+imageTag(toolVersion()))
		w.Metric = cmp.Or(w.Metric, "fltool_held_polls")
	} else if u, err := url.Parse(r.Env.Target); err == nil && w.Port == 0 {
		w.Port, _ = strconv.Atoi(u.Port()) // none: the default below
	}
	w.Port = cmp.Or(w.Port, 5000)
	switch {
	case w.Image == "" && n.emit == "kubernetes":
		return w, usageError("--image registry.example.org/fl:1.0", "--emit kubernetes: name the image of the server that was measured")
	case w.Metric == "" && n.emit != "kubernetes":
		return w, usageError("name one by --metric: nginx's active connections, say, by its exporter", "--emit %s: the server that was measured has no metric of its held polls that fltool knows", n.emit)
	}
	return w, nil
}

var release = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// imageTag is that of a release; what is no release has none of its own.
func imageTag(version string) string {
	if release.MatchString(version) {
		return version
	}
	return "latest"
}

// drainTimeout is how long fltool serve drains at most, unless it is told otherwise.
const drainTimeout = 30 * time.Second
