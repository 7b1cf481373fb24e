package kinds

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

func TestPasta(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/bin/pasta --config-net -t 5000-5000:5000-5000 -u none -T none": ":5000>:5000",
		"pasta --config-net -t 8080:80 -t 127.0.0.1/8443:443":                ":8080>:80 127.0.0.1:8443>:443",
		"pasta.avx2 --tcp-ports=10.0.0.1%eth0/8080-8081:80-81,9000":          "10.0.0.1:8080>:80 10.0.0.1:8081>:81 10.0.0.1:9000>:9000",
		"pasta --config-net -t none":                                         "",
		"pasta --config-net":                                                 "",
		"pasta -t auto":                                                      "?",
		"pasta -t all,~22":                                                   "?",
		"pasta -t 9-8":                                                       "?",
		"pasta -t":                                                           "?",
	} {
		_, d := proxyHop(t, Pasta, line, nil)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s", line, got, want)
		}
	}
}

// TestRootlessPort has it pass to what listens where its child lives.
func TestRootlessPort(t *testing.T) {
	files := map[string]string{
		"proc/8/stat":    "8 (rootlessport-ch) S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0 0 0 0",
		"proc/9/stat":    "9 (other) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0 0 0 0",
		"proc/8/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n",
	}
	_, d := proxyHop(t, RootlessPort, "rootlessport", files)
	if got := passed(d); got != ">0.0.0.0:5000" {
		t.Errorf("passes on: %s", got)
	}
	if _, d := proxyHop(t, RootlessPort, "/usr/libexec/podman/rootlessport", nil); d.Passes.Known() {
		t.Errorf("without a child: %s", passed(d))
	}
}

func FuzzPasta(f *testing.F) {
	f.Add("pasta -t 1.2.3.4%lo/80-90:8080-8090,99")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Fields(line)
		if len(args) == 0 {
			return
		}
		for _, p := range readPasta(facts.Root{}, facts.Program{Args: args}).Passes.V {
			if !strings.Contains(p.To, ":") {
				t.Errorf("%s: %+v", line, p)
			}
		}
	})
}
