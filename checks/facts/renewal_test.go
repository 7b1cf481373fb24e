package facts

import (
	"fmt"
	"testing"
)

func TestRestarts(t *testing.T) {
	for line, want := range map[string]string{
		"systemctl restart nginx":                          "[nginx]",
		"post_hook = systemctl restart nginx.service":      "[nginx]",
		"  systemctl --quiet try-restart --no-block fl":    "[fl]",
		"0 3 * * 0 root /usr/sbin/service haproxy restart": "[haproxy]",
		"/etc/init.d/apache2 restart && service fl stop":   "[fl apache2]",
		"nginx -s stop; sleep 1; nginx":                    "[nginx]",
		"systemctl reload nginx":                           "[]",
		"nginx -s reload":                                  "[]",
		"# systemctl restart nginx":                        "[]",
		"systemctl restart":                                "[]",
	} {
		names := []string{}
		for _, r := range parseRestarts(line+"\n", "f") {
			names = append(names, r.Service)
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

func FuzzRestarts(f *testing.F) {
	f.Add("post_hook = systemctl restart nginx\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range parseRestarts(text, "f") {
			if r.Service == "" && text != "" && len(r.Source) < 3 {
				t.Errorf("%+v", r)
			}
		}
	})
}
