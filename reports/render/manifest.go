package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fltool/fltool/reports"
)

// Workload is what a manifest names beside the numbers of a Sizing.
type Workload struct {
	Name       string // of all objects: a DNS label
	Image      string
	Port       int
	Serves     bool   // it is fltool serve, whose flags, state and metrics are known, and which shares no state
	Metric     string // of Prometheus: polls that a pod holds
	Prometheus string // its URL
}

var manifests = map[string]func(*yaml, reports.Sizing, Workload){
	"kubernetes": (*yaml).kubernetes,
	"keda":       (*yaml).keda,
	"hpa":        (*yaml).hpa,
}

// Manifests are the names that Manifest knows, sorted.
func Manifests() []string { return slices.Sorted(maps.Keys(manifests)) }

// Manifest is a sizing as YAML for a cluster, each number with what it rests on. The
// error says which number is not known, or what can't be emitted.
func Manifest(name string, s reports.Sizing, w Workload) (string, error) {
	of, ok := manifests[name]
	if !ok {
		return "", fmt.Errorf("unknown manifest %q: want %s", name, strings.Join(Manifests(), ", "))
	}
	wanted := []string{reports.FigureReplicas}
	if name == "kubernetes" {
		wanted = append(wanted, reports.FigureMemoryRequest, reports.FigureMemoryLimit)
	} else if s.Spare == 0 {
		return "", fmt.Errorf("%s wants a spare replica to scale to: --spare 1", name)
	}
	for _, figure := range wanted {
		if _, ok := s.Figure(figure); !ok {
			return "", fmt.Errorf("the %s is not known: %s", figure, strings.Join(s.Unknown, "; "))
		}
	}
	var y yaml
	y.head(s)
	of(&y, s, w)
	return y.String(), nil
}

// yaml is written line by line: its comments are half of what it says.
type yaml struct{ strings.Builder }

func (y *yaml) line(format string, a ...any) { fmt.Fprintf(y, format+"\n", a...) }

// comment is above what it is about, at its indent.
func (y *yaml) comment(indent int, text string) {
	head := strings.Repeat(" ", indent) + "# "
	for line := range strings.SplitSeq(Wrap(reports.Clean(text), 0, 88-indent), "\n") {
		y.line("%s%s", head, line)
	}
}

// figure is one with what it rests on above it; what is not known is a comment alone.
func (y *yaml) figure(indent int, key string, s reports.Sizing, name string, value func(float64) string) {
	f, ok := s.Figure(name)
	if !ok {
		y.comment(indent, name+" is not known: "+strings.Join(s.Unknown, "; "))
		return
	}
	bound := f.Bound
	if bound != "" {
		bound += ": "
	}
	y.comment(indent, bound+f.Rests)
	y.line("%s%s: %s", strings.Repeat(" ", indent), key, value(f.Value))
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

func mebibytes(v float64) string { return fmt.Sprintf("%.0fMi", math.Ceil(v/(1<<20))) }

// quoted is a text as YAML takes it whatever it holds: JSON is YAML.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // no text gives one
		return `""`
	}
	return string(b)
}

func (y *yaml) head(s reports.Sizing) {
	y.comment(0, fmt.Sprintf("By fltool capacity, for %s with %s spare.", Plural(s.Workers, "worker"), Plural(s.Spare, "replica")))
	for _, n := range append(slices.Clone(s.Notes), s.Unknown...) {
		y.comment(0, "- "+n)
	}
}

// workload is the kind of object that the replicas are of: of one that keeps its state
// in its process each is itself, and no other can take its place.
func workload(s reports.Sizing) string {
	if s.SharedState {
		return "Deployment"
	}
	return "StatefulSet"
}

func (y *yaml) object(api, kind, name string) {
	y.line("---\napiVersion: %s\nkind: %s\nmetadata:\n  name: %s", api, kind, name)
}

func (y *yaml) labels(indent int, name string) {
	y.line("%sapp.kubernetes.io/name: %s", strings.Repeat(" ", indent), name)
}

func (y *yaml) kubernetes(s reports.Sizing, w Workload) {
	y.service(s, w)
	y.object("apps/v1", workload(s), w.Name)
	y.line("spec:")
	y.figure(2, "replicas", s, reports.FigureReplicas, whole)
	if s.SharedState {
		y.comment(2, "a new pod is there before an old one goes, since its workers come to the others at once")
		y.line("  strategy:\n    type: RollingUpdate\n    rollingUpdate:\n      maxSurge: 1\n      maxUnavailable: 0")
	} else {
		y.comment(2, fmt.Sprintf("one address a federation: %s-0.%s, %s-1.%s and so on; workers are given one and stay with it", w.Name, w.Name, w.Name, w.Name))
		y.line("  serviceName: %s\n  podManagementPolicy: Parallel", w.Name)
	}
	y.line("  selector:\n    matchLabels:")
	y.labels(6, w.Name)
	y.line("  template:\n    metadata:\n      labels:")
	y.labels(8, w.Name)
	if w.Serves {
		y.line("      annotations:\n        prometheus.io/scrape: \"true\"\n        prometheus.io/port: \"9100\"")
	}
	y.line("    spec:")
	y.figure(6, "terminationGracePeriodSeconds", s, reports.FigureGrace, whole)
	if f, ok := s.Figure(reports.FigureSurge); ok {
		y.comment(6, fmt.Sprintf("%s %s", Plural(int(f.Value), "worker"), f.Rests))
	}
	y.line("      topologySpreadConstraints:\n        - maxSkew: 1\n          topologyKey: kubernetes.io/hostname\n          whenUnsatisfiable: DoNotSchedule\n          labelSelector:\n            matchLabels:")
	y.labels(14, w.Name)
	y.container(s, w)
	y.object("policy/v1", "PodDisruptionBudget", w.Name)
	y.comment(0, "one node is drained at a time")
	y.line("spec:\n  maxUnavailable: 1\n  selector:\n    matchLabels:")
	y.labels(6, w.Name)
}

func (y *yaml) service(s reports.Sizing, w Workload) {
	y.object("v1", "Service", w.Name)
	y.line("spec:")
	if !s.SharedState {
		y.comment(2, "no address for all: it would send a worker to any federation")
		y.line("  clusterIP: None")
	}
	y.line("  selector:")
	y.labels(4, w.Name)
	y.line("  ports:\n    - name: http\n      port: %d", w.Port)
}

func (y *yaml) container(s reports.Sizing, w Workload) {
	y.line("      containers:\n        - name: %s\n          image: %s", w.Name, quoted(w.Image))
	if w.Serves {
		y.comment(10, "the ConfigMap "+w.Name+"-keys has the list of public keys; a NetworkPolicy should leave port 9100, which has pprof, to Prometheus and the kubelet")
		y.line("          args: [serve, --listen, \"0.0.0.0:%d\", --ops-listen, \"0.0.0.0:9100\", --keys, /etc/fltool/stress_worker_public_keys.txt, --state, /var/lib/fltool/state]", w.Port)
	}
	y.line("          ports:\n            - name: http\n              containerPort: %d", w.Port)
	if w.Serves {
		y.line("            - name: ops\n              containerPort: 9100\n          readinessProbe:\n            httpGet:\n              path: /healthz\n              port: ops")
	}
	y.line("          resources:\n            requests:")
	y.figure(14, "memory", s, reports.FigureMemoryRequest, mebibytes)
	y.line("            limits:")
	y.figure(14, "memory", s, reports.FigureMemoryLimit, mebibytes)
	if f, ok := s.Figure(reports.FigureDescriptors); ok {
		y.comment(10, fmt.Sprintf("%s descriptors are wanted, %s %s. A pod has no field for them: the limit is that of the node's container runtime, and fltool preflight in the container tells it",
			whole(f.Value), f.Bound+":", f.Rests))
	}
	if !w.Serves {
		return
	}
	y.line("          volumeMounts:\n            - name: keys\n              mountPath: /etc/fltool\n              readOnly: true\n            - name: state\n              mountPath: /var/lib/fltool")
	y.line("          securityContext:\n            readOnlyRootFilesystem: true\n            allowPrivilegeEscalation: false\n            capabilities:\n              drop: [ALL]")
	y.line("      securityContext:\n        runAsNonRoot: true\n        fsGroup: 65532")
	y.line("      volumes:\n        - name: keys\n          configMap:\n            name: %s-keys", w.Name)
	y.line("  volumeClaimTemplates:\n    - metadata:\n        name: state\n      spec:\n        accessModes: [ReadWriteOnce]\n        resources:\n          requests:")
	y.comment(12, "not measured: it holds two models, and the registrations")
	y.line("            storage: 1Gi")
}

// bounds are how many replicas there may be: from those needed to all.
func (y *yaml) bounds(s reports.Sizing, least, most string) {
	f, _ := s.Figure(reports.FigureReplicas)
	y.comment(2, fmt.Sprintf("%d are needed, and %d spare; %s", s.Needed, s.Spare, f.Rests))
	y.line("  %s: %d\n  %s: %d", least, s.Needed, most, s.Needed+s.Spare)
}

// down is what becomes of replicas that have too little to do.
func (y *yaml) down(indent int, s reports.Sizing) {
	in := strings.Repeat(" ", indent)
	if s.SharedState {
		y.comment(indent, "who is scaled down sends its workers to the others: not at every lull between two rounds")
		y.line("%sscaleDown:\n%s  stabilizationWindowSeconds: 3600\n%s  policies:\n%s    - type: Pods\n%s      value: 1\n%s      periodSeconds: 600", in, in, in, in, in, in)
		return
	}
	y.comment(indent, "never: it would end a federation, with the workers that it has. A replica more takes new workers alone; nobody moves")
	y.line("%sscaleDown:\n%s  selectPolicy: Disabled", in, in)
}

func (y *yaml) keda(s reports.Sizing, w Workload) {
	f, _ := s.Figure(reports.FigureScaleAt)
	y.object("keda.sh/v1alpha1", "ScaledObject", w.Name)
	y.line("spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: %s\n    name: %s", workload(s), w.Name)
	y.bounds(s, "minReplicaCount", "maxReplicaCount")
	y.line("  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:")
	y.down(8, s)
	y.line("  triggers:\n    - type: prometheus\n      metricType: AverageValue\n      metadata:\n        serverAddress: %s\n        query: %s", quoted(w.Prometheus), quoted(heldQuery(w)))
	y.comment(8, f.Rests)
	y.line("        threshold: %s", quoted(whole(f.Value)))
}

// heldQuery is how many polls all pods hold.
func heldQuery(w Workload) string { return fmt.Sprintf("sum(%s{pod=~\"%s-.+\"})", w.Metric, w.Name) }

func (y *yaml) hpa(s reports.Sizing, w Workload) {
	f, _ := s.Figure(reports.FigureScaleAt)
	y.object("autoscaling/v2", "HorizontalPodAutoscaler", w.Name)
	y.line("spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: %s\n    name: %s", workload(s), w.Name)
	y.bounds(s, "minReplicas", "maxReplicas")
	y.line("  behavior:")
	y.down(4, s)
	y.comment(2, "a metric of pods, which an adapter such as prometheus-adapter brings into the cluster")
	y.line("  metrics:\n    - type: Pods\n      pods:\n        metric:\n          name: %s\n        target:\n          type: AverageValue", w.Metric)
	y.comment(10, f.Rests)
	y.line("          averageValue: %s", quoted(whole(f.Value)))
}
