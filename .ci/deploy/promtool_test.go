package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// promtool runs Debian's; without it nothing is held to anything, and that is no pass.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	if stdin != "" {
		text, err := os.ReadFile(stdin)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = bytes.NewReader(text)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %v: %v (make deploy installs it)\n%s", args, err, out)
	}
}

// dashboardQueries are those of the dashboard, with what Grafana puts in.
func dashboardQueries(t *testing.T) (all []string) {
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "10s", "$job", ".*", "$instance", ".*")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, variables.Replace(target.Expr))
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d queries", len(all))
	}
	return all
}

// TestDashboard has each query of the dashboard read as the expression of a rule.
func TestDashboard(t *testing.T) {
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for i, query := range dashboardQueries(t) {
		rules = append(rules, rule{fmt.Sprintf("dashboard:query%d", i), query})
	}
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(name, file, 0o644); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", name)
}

func TestAlerts(t *testing.T) {
	promtool(t, "", "check", "rules", "../../docs/alerts.yml")
	promtool(t, "", "test", "rules", "alerts_test.yml")
}

// TestMetrics: what fltool watch serves, and what is served of a run, is Prometheus's
// format, in its style.
func TestMetrics(t *testing.T) {
	promtool(t, "../../reports/follow/testdata/metrics.golden", "check", "metrics")
	promtool(t, "../../reports/render/testdata/preflight.prometheus.golden", "check", "metrics")
	promtool(t, "../../reports/render/testdata/hosts.prometheus.golden", "check", "metrics")
}
