package nginx_test

import (
	"fmt"
	"strings"

	"github.com/fltool/fltool/nginx"
)

// What a check does: it finds the place, asks for a setting by name, and says
// where it was read.
func Example() {
	dump := `# configuration file /etc/nginx/nginx.conf:
events { worker_connections 768; }
http {
    upstream fl { server 127.0.0.1:5000; }
    server {
        listen 80 default_server;
        client_max_body_size 20M;
        location / {
            proxy_pass http://fl;
            proxy_read_timeout 1d;
        }
    }
}
`
	c, err := nginx.ReadDump(strings.NewReader(dump), nginx.Reading{Build: nginx.Build{Version: "1.22.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("slots:", c.Events.WorkerConnections.V, "from", c.Events.WorkerConnections.Source)

	for _, p := range c.ProxiesTo("127.0.0.1:5000") {
		e := p.Effective()
		fmt.Println("location", p.Location.Name(), "of", p.Server.Source)
		fmt.Println("read timeout:", e.ProxyReadTimeout.V, "from", e.ProxyReadTimeout.Source)
		fmt.Println("send timeout:", e.ProxySendTimeout.V, "from", e.ProxySendTimeout.Source)
		fmt.Println("body:", e.ClientMaxBodySize.V, "from", e.ClientMaxBodySize.Source)
		fmt.Println("idle upstream connections:", c.Upstream(p.Pass.Upstream).Keepalive.V)
	}

	q, err := nginx.RequestFor("http://fl.example.org/challenge_phrase/03a1")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := c.Route(q)
	if r.Err != "" {
		fmt.Println("unknown:", r.Err)
		return
	}
	fmt.Println(q.Host, "is served by", r.Server.Source, "location", r.Location.Name())
	// Output:
	// slots: 768 from /etc/nginx/nginx.conf:1
	// location / of /etc/nginx/nginx.conf:4
	// read timeout: 24h0m0s from /etc/nginx/nginx.conf:9
	// send timeout: 1m0s from built-in default
	// body: 20971520 from /etc/nginx/nginx.conf:6
	// idle upstream connections: 0
	// fl.example.org is served by /etc/nginx/nginx.conf:4 location /
}
