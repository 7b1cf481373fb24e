package probe

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is not trusted is told, and nothing is sent to it.
func TestTLS(t *testing.T) {
	f := &fake{}
	s := httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	for _, c := range []struct {
		name    string
		cfg     *tls.Config
		trusted bool
		asks    bool
		why     string
	}{
		{"trusted", &tls.Config{RootCAs: pool}, true, true, ""},
		{"unknown authority", nil, false, false, "unknown authority"},
		{"insecure", &tls.Config{InsecureSkipVerify: true}, false, true, "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.requests.Store(0)
			o := questions(t, s.URL)
			o.TLS = c.cfg
			p := run(t, o, nil)
			v := p.TLS.V
			if v == nil || v.Trusted != c.trusted || !strings.Contains(v.Why, c.why) || v.Version != "TLS 1.3" || len(v.Chain) == 0 || len(v.Chain[0].Names) == 0 {
				t.Errorf("%+v %s", v, p.TLS.Why())
			}
			if asked := f.requests.Load() > 0; asked != c.asks || p.Alive.Known() != c.asks {
				t.Errorf("asked: %v, %+v", asked, p.Alive)
			}
		})
	}
	u := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	o := questions(t, u)
	o.TLS = &tls.Config{RootCAs: pool}
	if p := run(t, o, nil); p.TLS.V == nil || p.TLS.V.Trusted || !strings.Contains(p.TLS.V.Why, "localhost") {
		t.Errorf("another name: %+v %s", p.TLS.V, p.TLS.Why())
	}
	plain := start(t, f, f)
	o = questions(t, strings.Replace(plain.URL, "http:", "https:", 1))
	if p := run(t, o, nil); p.TLS.Known() || p.Alive.Known() {
		t.Errorf("http behind https: %+v", p.TLS)
	}
}
