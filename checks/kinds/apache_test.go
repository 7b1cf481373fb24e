package kinds

import (
	"strings"
	"testing"

	"github.com/fltool/fltool/checks/facts"
)

const apacheEvent = "LoadModule mpm_event_module modules/mod_mpm_event.so\nListen 80\n"

func TestApache(t *testing.T) {
	const way = "ProxyPass / http://127.0.0.1:5000/\n"
	for _, c := range []proxyCase{
		{"defaults", apacheEvent + way, "holds=400 silence=1m keepalive=5s body=1073741824 backlog=511 connections=n/a tasks=1 restart=for-ever"},
		{"prefork", "LoadModule mpm_prefork_module x\n" + way, "holds=256"},
		{"no mpm", way, "holds=? silence=1m"},
		{"MaxClients, and fewer servers", apacheEvent + "MaxClients 1000\nServerLimit 4\nThreadsPerChild 10\n" + way, "holds=40"},
		{"the default follows", apacheEvent + "ServerLimit 4\nThreadsPerChild 10\n" + way, "holds=40"},
		{"sections of modules", apacheEvent + "<IfModule mpm_event_module>\nMaxRequestWorkers 50\n</IfModule>\n<IfModule mpm_prefork_module>\nMaxRequestWorkers 9\n</IfModule>\n<IfModule !mod_mpm_event.c>\n<IfModule x>\nServerLimit 1\n</IfModule>\nTimeout 1\n</IfModule>\n" + way,
			"holds=50 silence=1m"},
		{"no more threads than ThreadLimit", apacheEvent + "MaxRequestWorkers 2000\nThreadsPerChild 200\n" + way, "holds=1024"},
		{"whole processes", apacheEvent + "MaxRequestWorkers 90\nThreadsPerChild 64\n" + way, "holds=64"},
		{"max of the way", apacheEvent + "ProxyPass / http://127.0.0.1:5000/ max=10\n", "holds=160"},
		{"max that no process reaches", apacheEvent + "ProxyPass / http://127.0.0.1:5000/ max=100\n", "holds=400"},
		{"ProxySet", apacheEvent + "<Proxy http://127.0.0.1:5000>\nProxySet timeout=10\n</Proxy>\n" + way, "holds=? silence=?"},
		{"of a version", apacheEvent + "<IfVersion >= 2.4>\nMaxRequestWorkers 50\n</IfVersion>\nTimeout 7\n" + way, "holds=? silence=7s"},
		{"timeout", apacheEvent + "Timeout 300\n" + way, "silence=5m"},
		{"proxy's timeout", apacheEvent + "Timeout 300\nProxyTimeout 90\n" + way, "silence=1m30s"},
		{"of the virtual host", apacheEvent + "ProxyTimeout 90\n<VirtualHost *:80>\nProxyTimeout 7\nLimitRequestBody 0\nKeepAlive Off\n" + way + "</VirtualHost>\n", "silence=7s body=unlimited keepalive=0s"},
		{"of the way", apacheEvent + "ProxyTimeout 90\nProxyPass \"/\" \"http://127.0.0.1:5000/\" retry=0 timeout=8\n", "silence=8s"},
		{"of a member", apacheEvent + "<Proxy \"balancer://fl\">\nBalancerMember http://10.0.0.1:5000 timeout=9\n</Proxy>\nProxyPass / balancer://fl/\n", "silence=9s"},
		{"in a location", apacheEvent + "<Location /x>\nProxyPass http://127.0.0.1:5000/ timeout=11\n</Location>\n", "silence=11s"},
		{"of the environment", apacheEvent + "ProxyTimeout ${T}\nMaxRequestWorkers ${N}\n" + way, "silence=? holds=?"},
		{"no numbers", apacheEvent + "ProxyTimeout long\nThreadsPerChild -2\n" + way, "silence=? holds=?"},
		{"a line goes on", apacheEvent + "ProxyTimeout \\\n  12\n# ProxyTimeout 13\n" + way, "silence=12s"},
	} {
		h, _ := proxyHop(t, Apache, "httpd -f /srv/h.conf -DFOREGROUND", map[string]string{"srv/h.conf": c.config})
		c.check(t, h)
	}
}

func TestApacheFiles(t *testing.T) {
	files := map[string]string{
		"etc/apache2/apache2.conf":          "IncludeOptional mods-enabled/*.load\nIncludeOptional none/*.conf\nInclude ports.conf\nIncludeOptional sites-enabled/*.conf\n",
		"etc/apache2/ports.conf":            "Listen 80\n",
		"etc/apache2/mods-enabled/mpm.load": "LoadModule mpm_event_module x\n",
		"etc/apache2/sites-enabled/fl.conf": "<VirtualHost *:80>\nProxyPass /static !\nProxyPass /a unix:/run/fl.sock|http://fl/\nRewriteRule ^/(.*) http://localhost:5001/$1 [P]\nProxyPass / https://app/\n</VirtualHost>\n",
		"etc/httpd/conf/httpd.conf":         "ServerRoot \"/etc/httpd\"\nInclude conf.d/*.conf\n",
		"etc/httpd/conf.d/fl.conf":          "<IfDefine X>\nProxyPass / http://127.0.0.1:5000/\n</IfDefine>\n",
		"srv/circle.conf":                   "Include /srv/circle.conf\n",
		"srv/torn.conf":                     "</VirtualHost>\n",
	}
	for line, want := range map[string]string{
		"/usr/sbin/apache2 -k start":            "*:80>unix:/run/fl.sock *:80>localhost:5001 *:80>app:443",
		"/usr/sbin/httpd -D X -DFOREGROUND":     ">127.0.0.1:5000",
		"/usr/sbin/httpd -DFOREGROUND":          "",
		"httpd -f /srv/circle.conf":             "?",
		"httpd -f /srv/torn.conf":               "?",
		"httpd -f/srv/none.conf":                "?",
		"apache2 -d /etc/none -f conf/none.cnf": "?",
	} {
		_, d := proxyHop(t, Apache, line, files)
		if got := passed(d); got != want {
			t.Errorf("%s\ngot %s, want %s", line, got, want)
		}
	}
}

func FuzzApacheConfig(f *testing.F) {
	f.Add(apacheEvent + "<VirtualHost *:80>\nProxyPass / balancer://x/ timeout=3\n<Proxy balancer://x>\nBalancerMember http://a:1\n</Proxy>\n</VirtualHost>\n")
	root := facts.NewRoot("/nonexistent")
	f.Fuzz(func(t *testing.T, text string) {
		a := &apache{r: root, root: "/", modules: map[string]bool{}, main: layer{}, members: map[string][]apacheWay{}}
		for name, def := range apacheMain {
			a.main[name] = known(def, "default")
		}
		if a.parse(text, "f", nil) != nil {
			return
		}
		a.settle()
		for _, p := range a.passes() {
			if strings.Contains(p.To, "@") {
				t.Errorf("%q may hold a password", p.To)
			}
			Hop{Kind: Apache, Settings: over(a.main, p.Settings)}.Answers()
		}
	})
}
