package facts

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fltool/fltool/nginx"
)

func TestRedactText(t *testing.T) {
	for s, want := range map[string]string{
		"http://fl:s3cret@10.0.0.1:5000/x":               "http://…@10.0.0.1:5000/x",
		"http://fl:s3c@ret@10.0.0.1/":                    "http://…@10.0.0.1/",
		"redis://:s3cret@h/0":                            "redis://…@h/0",
		"https://h/x?token=s3cret&n=s3cret#f":            "https://h/x?token=…",
		"/auth?key=s3cret":                               "/auth?key=…",
		"Authorization: Bearer s3cret":                   "Authorization: …",
		`proxy_set_header Authorization "Basic s3 cret"`: `proxy_set_header Authorization "…"`,
		"Bearer eyJhbGciOi.s3cret-x_y=":                  "Bearer …",
		"Basic Zmw6czNjcmV0":                             "Basic …",
		"gunicorn --db-password s3cret app:app":          "gunicorn --db-password … app:app",
		"gunicorn --api-key=s3cret app:app":              "gunicorn --api-key=… app:app",
		`Environment="DB_PASSWORD=s3cret"`:               `Environment="DB_PASSWORD=…`,
		`AWS_SECRET_ACCESS_KEY = "s3cret s3cret"`:        "AWS_SECRET_ACCESS_KEY = …",
		"/etc/nginx/token.conf:12":                       "/etc/nginx/token.conf:12",
		"/srv/secret:12":                                 "/srv/secret:12",
		"open /etc/ssl/key.pem: permission denied":       "open /etc/ssl/key.pem: permission denied",
		`\.(php|py)$`:                                    `\.(php|py)$`,
		"(?i)^/a(?=b)(?<=c)(?:d|e=f)$":                   "(?i)^/a(?=b)(?<=c)(?:d|e=f)$",
		"http://127.0.0.1:5000/":                         "http://127.0.0.1:5000/",
		"fl@1.service":                                   "fl@1.service",
		"basic restricted area":                          "basic restricted area",
		"$scheme://$host$request_uri":                    "$scheme://$host$request_uri",
	} {
		if got := RedactText(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestRedactURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://fl.example.org":                                "https://fl.example.org",
		"https://fl.example.org/fl/?token=s3cret#s3cret":        "https://fl.example.org/fl",
		"https://u:s3cret@fl.example.org:8443/":                 "https://fl.example.org:8443",
		"https://fl.example.org/t/9f8a7b6c5d4e3f2a1b0c/poll":    "https://fl.example.org/t/…/poll",
		"https://fl.example.org/receive_worker_update/03a107bf": "https://fl.example.org/receive_worker_update/03a107bf",
		"app/nofile=see https://wiki/?id=3":                     "app/nofile=see https://wiki/?id=…",
		"30s":                                                   "30s",
	} {
		if got, _ := RedactURL(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// Whatever stands before and after its line, a secret that shows itself to be one is taken out.
func FuzzRedactText(f *testing.F) {
	f.Add("token=", "x")
	f.Add("--password x token 1 Bearer a= secret: 'x y", "@host")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "s3cretXYZ"
		if strings.Contains(before+after, "s3cret") {
			return
		}
		for _, form := range []string{"http://fl:%@h/", "https://h/x?k=%", "--password %", "--api-key=%", "Bearer %", "Authorization: Basic %", "DB_PASSWORD=%"} {
			text := before + "\n" + strings.ReplaceAll(form, "%", secret) + "\n" + after
			if got := RedactText(text); strings.Contains(got, secret) {
				t.Errorf("%q: %q", text, got)
			}
		}
	})
}

// Of header fields that nginx sets only those are kept whose values are no secrets.
func TestKeepWhatIsJudged(t *testing.T) {
	fields := []nginx.Header{
		{Name: "Authorization", Value: "opaque"}, {Name: "X-Api-Key", Value: "opaque"}, {Name: "Cookie", Value: "opaque"},
		{Name: "Host", Value: "fl.example.org"}, {Name: "connection", Value: "close"}, {Name: "X-Forwarded-For", Value: "$remote_addr"},
		{Name: "X-User", Value: "$remote_user"}, {Name: "X-Gone", Value: ""},
	}
	n := Nginx{Sites: []Site{{Locations: []Location{{Location: nginx.Location{
		Return: &nginx.Return{Code: 403, Text: "opaque"}, Blocks: []nginx.Block{{Args: "($arg_key = opaque)"}},
		Rewrites: []nginx.Rewrite{{Pattern: "opaque"}}, TryFiles: []string{"opaque"},
		Effective: nginx.Effective{ProxySetHeader: nginx.Value[[]nginx.Header]{Raw: "Authorization opaque", V: fields}},
	}}}}}}
	n.keepWhatIsJudged()
	l := n.Sites[0].Locations[0]
	if l.Return.Code != 403 || l.Return.Text != "" || l.Blocks != nil || l.Rewrites != nil || l.TryFiles != nil || l.ProxySetHeader.Raw != "" {
		t.Errorf("%+v", l.Location)
	}
	for i, want := range []string{Hidden, Hidden, Hidden, "fl.example.org", "close", "$remote_addr", "$remote_user", ""} {
		if h := l.ProxySetHeader.V[i]; h.Value != want {
			t.Errorf("%s: %q, want %q", h.Name, h.Value, want)
		}
	}
}

// A password in an address stands in the upstream that is made of it, too.
func TestPasswordOfAnUpstream(t *testing.T) {
	for _, server := range []string{
		"location / { proxy_pass http://fl:s3cret@app.example.org:5000; }",
		"location / { proxy_pass http://s3cret@app.example.org; }",
		"location / { uwsgi_pass fl:s3cret@app.example.org:5000; } location /global_model_version { proxy_pass http://127.0.0.1:5000; }",
	} {
		dump := "# configuration file /etc/nginx/nginx.conf:\nevents {} http { server { listen 80; " + server + " } }\n"
		n, err := ReadNginx(NewRoot(t.TempDir()), nil, Asked{Port: 5000}, NginxOptions{Dump: strings.NewReader(dump)})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(kept), "s3cret") || !strings.Contains(string(kept), Hidden+"@app.example.org") {
			t.Errorf("%s: %s", server, kept)
		}
	}
}

func TestRedactOwn(t *testing.T) {
	const own = "# Written by fltool fix.\n[Service]\nLimitNOFILE=1\nEnvironment=\"GUNICORN_CMD_ARGS=--workers 1\"\nfs.nr_open = 1\nfl soft nofile 5\n"
	if got := redactOwn(own); got != own {
		t.Errorf("%q", got)
	}
	if got := redactOwn("Environment=DB=opaque\n"); got != "Environment=…\n" {
		t.Errorf("%q", got)
	}
}
