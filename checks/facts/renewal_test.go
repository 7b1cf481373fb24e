package facts

import (
	"fmt"
	"maps"
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
		"systemctl restart php-fpm nginx.service && echo":  "[php-fpm nginx]",
		"systemctl restart --no-block nginx":               "[nginx]",
		"ExecStartPost=/bin/systemctl try-restart nginx":   "[nginx]",
		"supervisorctl restart fl":                         "[fl]",
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

// TestRestartsOfJobs has hooks and jobs wherever they may stand; what nothing starts by
// itself is none.
func TestRestartsOfJobs(t *testing.T) {
	root := write(t, map[string]string{
		"etc/systemd/system/weekly.timer":                "[Timer]\nOnCalendar=weekly\nUnit=job.service\n",
		"etc/systemd/system/job.service":                 "[Service]\nExecStart=/usr/local/bin/job.sh --all\n",
		"usr/local/bin/job.sh":                           "#!/bin/sh\n# systemctl restart none\nsystemctl restart postfix fl\n",
		"usr/lib/systemd/system/certbot.timer":           "[Timer]\nOnCalendar=daily\n",
		"usr/lib/systemd/system/certbot.service":         "[Service]\nExecStart=/usr/bin/certbot -q renew\n",
		"etc/systemd/system/certbot.service.d/hook.conf": "[Service]\nExecStartPost=/bin/systemctl restart nginx.service\n",
		"etc/systemd/system/by-hand.service":             "[Service]\nExecStart=/bin/systemctl restart redis\n",
		"etc/logrotate.d/fl":                             "/var/log/fl.log {\n postrotate\n  supervisorctl restart learner\n endscript\n}\n",
		"etc/periodic/monthly/renew":                     "#!/bin/sh\nrc-service haproxy restart\n",
		"etc/letsencrypt/renewal/fl.example.org.conf":    "renew_hook = /opt/hooks/deploy.sh\n",
		"opt/hooks/deploy.sh":                            "service apache2 restart\n",
	})
	v := readRestarts(root)
	got := map[string]string{}
	for _, r := range v.V {
		got[r.Service] = r.Source
	}
	want := map[string]string{
		"postfix": "/usr/local/bin/job.sh:3", "fl": "/usr/local/bin/job.sh:3", "nginx": "/etc/systemd/system/certbot.service.d/hook.conf:2",
		"learner": "/etc/logrotate.d/fl:3", "haproxy": "/etc/periodic/monthly/renew:2", "apache2": "/opt/hooks/deploy.sh:1",
	}
	if !v.Known() || !maps.Equal(got, want) {
		t.Errorf("%v, want %v (%s)", got, want, v.Err)
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
