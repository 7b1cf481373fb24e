package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
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

func TestAlerts(t *testing.T) {
	promtool(t, "", "check", "rules", "../../docs/alerts.yml")
	promtool(t, "", "test", "rules", "alerts_test.yml")
}

// TestMetrics: what fltool watch serves is Prometheus's format, in its style.
func TestMetrics(t *testing.T) {
	promtool(t, "../../reports/render/testdata/preflight.prometheus.golden", "check", "metrics")
	promtool(t, "../../reports/render/testdata/hosts.prometheus.golden", "check", "metrics")
}
