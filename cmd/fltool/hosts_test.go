package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fltool/fltool/checks/facts/factstest"
)

// BenchmarkHosts judges the saved facts of 200 hosts with gunicorn behind nginx: each
// by itself, and 20 proxies before 180 applications.
func BenchmarkHosts(b *testing.B) {
	root := factstest.Host(b,
		factstest.Process{PID: 100, Cgroup: "0::/system.slice/fl.service", Soft: "65536", Hard: "65536", Cwd: "/", Listen: []string{"0100007F:1388"}, Args: []string{"/usr/bin/gunicorn", "-k", "gevent", "--worker-connections", "4096", "app:app"}},
		factstest.Process{PID: 200, Soft: "65536", Hard: "65536", Listen: []string{"00000000:0050"}, Args: []string{"nginx: master process /usr/sbin/nginx"}},
		factstest.Process{PID: 201, PPID: 200, UID: 33, Soft: "8791", Hard: "8791", Args: []string{"nginx: worker process"}})
	fltool := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		if code := run(args, nil, &stdout, &stderr); code == exitUsage || stdout.Len() == 0 {
			b.Fatalf("%v: exit code %d: %s", args, code, &stderr)
		}
		return stdout.String()
	}
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	write(filepath.Join(root, "etc/nginx/nginx.conf"), fltool("nginx", "render", "--workers", "4000", "--listen", "127.0.0.1:80"))
	one := filepath.Join(b.TempDir(), "one.json")
	fltool("preflight", "--root", root, "--save-facts", one)
	saved, err := os.ReadFile(one)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for i := range 200 {
		name := fmt.Sprintf("host-%03d", i)
		part := map[bool]string{true: "proxy", false: "app"}[i < 20]
		text := bytes.Replace(saved, []byte(`"source": "/proc/sys/kernel/hostname"`), []byte(`"v": "`+name+`", "source": "/proc/sys/kernel/hostname"`), 1)
		write(filepath.Join(dir, part, name+".json"), string(text))
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			fltool("preflight", "--facts", dir+"/*/*.json")
		}
	})
	b.Run("roles", func(b *testing.B) {
		for b.Loop() {
			fltool("preflight", "--facts", "proxy="+dir+"/proxy", "--facts", "app="+dir+"/app")
		}
	})
}
