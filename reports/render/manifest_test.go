package render

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
)

// sizingSample is of a server that was measured up to 5000 workers.
func sizingSample(shared bool) reports.Sizing {
	r := capacitySample()
	r.Capacity.Workers, r.Capacity.AtLeast, r.Slopes = 5000, true, nil
	for i, of := range []string{"server.rss", "server.fds"} {
		s, _ := reports.FitSlope(of, []string{"B", ""}[i], []float64{1000, 2500, 5000}, [][]float64{{40e6, 55e6, 80e6}, {1011, 2511, 5011}}[i])
		r.Slopes = append(r.Slopes, s)
	}
	s, err := reports.Size(r, reports.SizingFor{Workers: 20000, Spare: 1, SharedState: shared, DrainSeconds: 30})
	if err != nil {
		panic(err)
	}
	return *s
}

// TestManifests: .ci/deploy holds these to the definitions of Kubernetes and KEDA.
func TestManifests(t *testing.T) {
	serve := Workload{Name: "fl", Image: "ghcr.io/fltool/fltool:v1.0.0", Port: 5000, Serves: true, Metric: "fltool_held_polls", Prometheus: "http://prometheus:9090"}
	other := Workload{Name: "fl-app", Image: "registry.example.org/fl@sha256:0123", Port: 8000, Metric: "nginx_connections_active", Prometheus: "https://prometheus.example.org/x?y=\"z"}
	for _, name := range Manifests() {
		for kind, of := range map[string]func() (string, error){
			"process": func() (string, error) { return Manifest(name, sizingSample(false), serve) },
			"shared":  func() (string, error) { return Manifest(name, sizingSample(true), other) },
		} {
			text, err := of()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "manifest-"+name+"-"+kind, []byte(text))
			if promises := strings.Contains(text, "Deployment"); promises != (kind == "shared") && name == "kubernetes" {
				t.Errorf("%s of %s state: replicas that take each other's place: %v", name, kind, promises)
			}
			if strings.Contains(text, "\t") {
				t.Errorf("%s: a tab", name)
			}
		}
	}
}

// What is not known is not emitted.
func TestManifestUnknown(t *testing.T) {
	s := sizingSample(false)
	s.Figures, s.Unknown = s.Figures[:1], []string{"memory: not measured"}
	if _, err := Manifest("kubernetes", s, Workload{Name: "fl"}); err == nil || !strings.Contains(err.Error(), "memory: not measured") {
		t.Errorf("memory that is not known: %v", err)
	}
	s = sizingSample(false)
	s.Spare = 0
	for _, name := range []string{"hpa", "keda", "helm"} {
		if _, err := Manifest(name, s, Workload{Name: "fl"}); err == nil {
			t.Errorf("%s without a spare replica is emitted", name)
		}
	}
}
