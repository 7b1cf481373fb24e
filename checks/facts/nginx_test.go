package facts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseMasterTitle(t *testing.T) {
	for title, want := range map[string]masterArgs{
		"/usr/sbin/nginx": {},
		"/usr/sbin/nginx -g daemon on; master_process on;":        {global: "daemon on; master_process on;"},
		"nginx -c /srv/n.conf -g daemon off; -p /srv":             {conf: "/srv/n.conf", global: "daemon off;", prefix: "/srv"},
		"nginx -p/srv -cn.conf -gdaemon off; worker_processes 3;": {prefix: "/srv", conf: "n.conf", global: "daemon off; worker_processes 3;"},
		"nginx -c": {},
		"":         {},
	} {
		if got := parseMasterTitle(title); got != want {
			t.Errorf("%q: %+v, want %+v", title, got, want)
		}
	}
}

func FuzzParseMasterTitle(f *testing.F) {
	f.Add("/usr/sbin/nginx -g daemon on; -c /x -p")
	f.Fuzz(func(t *testing.T, title string) {
		m := parseMasterTitle(title)
		if len(m.conf)+len(m.prefix)+len(m.global) > len(title) {
			t.Errorf("%q: %+v", title, m)
		}
	})
}

// pair makes a certificate and its key, signed by parent or by itself.
func pair(t testing.TB, name string, parent *x509.Certificate, by *ecdsa.PrivateKey) (cert, key []byte, c *x509.Certificate, k *ecdsa.PrivateKey) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(1700000000, 0), NotAfter: time.Unix(1800000000, 0), IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		parent, by = tmpl, k
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &k.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), c, k
}

// A site's certificate is read below the root, and nothing of its key is kept.
func TestCertificateFacts(t *testing.T) {
	ca, _, caCert, caKey := pair(t, "ca", nil, nil)
	leaf, key, _, _ := pair(t, "fl.example.org", caCert, caKey)
	_, other, _, _ := pair(t, "other", nil, nil)
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("etc/nginx/nginx.conf", `events {} http { server { listen 443 ssl; server_name fl.example.org;
ssl_certificate tls/fl.pem; ssl_certificate_key tls/fl.key; location / { proxy_pass http://127.0.0.1:5000; } } }`)
	write("var/lib/dpkg/status", "Package: nginx\nStatus: deinstall ok config-files\nVersion: 1.1.1-1\n\nPackage: nginx-light\nStatus: install ok installed\nVersion: 1:1.22.1-9+deb12u1\n")
	write("etc/var/nginx/nginx.conf", "")

	read := func() (*Nginx, Value[Certificate]) {
		n, err := ReadNginx(NewRoot(root), nil, Asked{Port: DefaultPorts[0]}, NginxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(n.Sites) != 1 || len(n.Sites[0].Certificates) != 1 {
			t.Fatalf("%+v", n.Sites)
		}
		return n, n.Sites[0].Certificates[0]
	}
	n, c := read()
	if c.Known() || !strings.Contains(c.Why(), "/etc/nginx/tls/fl.pem") {
		t.Errorf("a certificate that is not there: %+v", c)
	}
	if n.Build.Version != "1.22.1" {
		t.Errorf("version %q", n.Build.Version)
	}
	if len(n.Strays) != 1 || n.Strays[0].Path != "/etc/var/nginx" {
		t.Errorf("strays %+v", n.Strays)
	}

	write("etc/nginx/tls/fl.pem", string(leaf)+string(ca))
	write("etc/nginx/tls/fl.key", string(key))
	n, c = read()
	if !c.Known() || c.V.Chain != "" || c.V.Others != 1 || c.V.SelfSigned || !c.V.KeyMatches.Known() || !c.V.KeyMatches.V || c.V.Names[0] != "fl.example.org" {
		t.Errorf("a good one: %+v", c)
	}
	var saved strings.Builder
	if err := (Facts{Schema: Schema, Nginx: known(n, n.Path)}).Write(&saved); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(key)
	if strings.Contains(saved.String(), "PRIVATE KEY") || strings.Contains(saved.String(), string(block.Bytes)) {
		t.Error("the key is in the facts")
	}
	if _, err := Read(strings.NewReader(saved.String())); err != nil {
		t.Errorf("saved facts can't be read: %v", err)
	}

	write("etc/nginx/tls/fl.key", string(other))
	if _, c = read(); !c.V.KeyMatches.Known() || c.V.KeyMatches.V {
		t.Errorf("another's key: %+v", c)
	}
	write("etc/nginx/tls/fl.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	if _, c = read(); c.V.KeyMatches.Known() {
		t.Errorf("a key that can't be read: %+v", c)
	}
	write("etc/nginx/tls/fl.pem", string(leaf))
	if _, c = read(); c.V.Chain == "" {
		t.Errorf("no chain: %+v", c)
	}
	write("etc/nginx/tls/fl.pem", string(ca))
	if _, c = read(); !c.V.SelfSigned || c.V.Chain != "" {
		t.Errorf("self-signed: %+v", c)
	}
	write("etc/nginx/tls/fl.pem", string(leaf)+string(leaf))
	if _, c = read(); c.V.Chain == "" {
		t.Errorf("a chain of strangers: %+v", c)
	}
}

func FuzzParseCertificates(f *testing.F) {
	cert, key, _, _ := pair(f, "x", nil, nil)
	f.Add(cert, key)
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		c, leaf, err := parseCertificates(cert)
		if err != nil {
			return
		}
		if leaf == nil || c.NotAfter == "" {
			t.Errorf("%+v", c)
		}
		_, _ = keyMatches(leaf, key)
	})
}

// Which servers are kept: by the port, by an address, by a URL, below a path.
func TestSites(t *testing.T) {
	const config = `# configuration file /etc/nginx/nginx.conf:
events {} http {
server { listen 80; server_name a; location / { proxy_pass http://127.0.0.1:5000; } }
server { listen 80; server_name b; location /fl/ { proxy_pass http://unix:/run/fl.sock:/; } location / { return 404; } }
server { listen 80; server_name c; location = /notify_me_if_gm_version_updated { proxy_pass http://127.0.0.1:5001; proxy_read_timeout 1h; } location / { proxy_pass http://127.0.0.1:5001; } }
server { listen 80; server_name d; location ~ ^/(?!x) { proxy_pass http://127.0.0.1:5002; } }
}
`
	for _, test := range []struct {
		asked Asked
		want  string
	}{
		{Asked{Port: 5000}, "a "},
		{Asked{Port: 5000, Upstream: "unix:/run/fl.sock"}, "b /fl"},
		{Asked{Port: 5001}, "c "},
		{Asked{Port: 5002}, "d ?"},
		{Asked{Port: 9}, "a , b /fl, c , d ?"},
		{Asked{Port: 9, Upstream: "127.0.0.1:9"}, ""},
		{Asked{Port: 9, URL: "http://b/fl/"}, "b /fl"},
		{Asked{Port: 9, URL: "http://c"}, "c "},
		{Asked{Port: 9, URL: "https://c"}, "c ?"},
	} {
		n, err := ReadNginx(NewRoot("/"), nil, test.asked, NginxOptions{Dump: strings.NewReader(config), Local: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range n.Sites {
			text := s.Names[0] + " " + s.Base
			if s.Routes[RoutePoll].Err != "" {
				text += "?"
			} else if s.At(RoutePoll) == nil || s.At(RoutePoll).Pass == nil {
				t.Errorf("%+v: the poll's location is not kept", test.asked)
			}
			got = append(got, text)
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%+v: %q, want %q", test.asked, s, test.want)
		}
		if n.Guessed != (test.want != "" && test.asked.Port == 9 && test.asked.URL == "") {
			t.Errorf("%+v: guessed is %v", test.asked, n.Guessed)
		}
	}
}
