package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fltool/fltool/checks/facts/factstest"
	"github.com/fltool/fltool/server/wire"
)

// keyed is the number of workers that have keys in a sandbox.
const keyed = 60

// A sandbox is a folder in which a page's commands run, with a server where they
// want one.
type sandbox struct {
	dir   string
	env   []string
	urls  map[string]*process // servers by the flags that they were started with
	nginx map[string]string   // addresses of those that deploy started, by the folder of keys
	shard *process
}

// newWorld makes a folder with what the manual speaks of: a host that is tuned and
// one that is not, facts, reports, certificates, logs, and stand-ins for programs
// that would reach out of it.
func newWorld(t *testing.T) string {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	s := &sandbox{dir: dir, env: os.Environ()}

	// docker and kubectl run what they are given here, not in a container.
	put("bin/docker", "#!/bin/sh\nshift 2 # exec NAME\n[ \"$*\" = 'nginx -T' ] && exec cat host/etc/nginx/nginx.conf\nexec \"$@\"\n")
	put("bin/kubectl", "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n")
	put("bin/nginx", "#!/bin/sh\n[ \"$1\" = -T ] && exec cat etc/nginx/nginx.conf\n")
	put("bin/journalctl", "#!/bin/sh\ncat var/log/nginx/error.log\n")
	put("var/log/nginx/error.log", "2026/03/01 12:00:09 [alert] 7#7: 512 worker_connections are not enough\n")
	put("app.py", readFile(t, "../../loadgen/testdata/server.py"))
	put("etc/bash_completion.d/README", "")
	put("tmp/README", "")
	put("waivers", "# agreed with operations\napp/accept-queue until 2027-01-31 = workers come one by one\n")

	gunicorn := []string{"/usr/bin/gunicorn", "-k", "gevent", "--worker-connections", "12000", "--graceful-timeout", "86400", "app:app"}
	for host, processes := range map[string][]factstest.Process{
		"host": {
			{PID: 100, UID: 1000, Cgroup: "0::/system.slice/fl.service", Soft: "65536", Hard: "65536", Cwd: "/", Listen: []string{"0100007F:1388"}, Args: gunicorn},
			{PID: 200, Cgroup: "0::/system.slice/nginx.service", Soft: "65536", Hard: "65536", Listen: []string{"00000000:0050"}, Args: []string{"nginx: master process /usr/sbin/nginx"}},
			{PID: 201, PPID: 200, UID: 33, Cgroup: "0::/system.slice/nginx.service", Soft: "12000", Hard: "12000", Args: []string{"nginx: worker process"}},
		},
		"plain": { // as Debian and gunicorn have it, of guide.md
			{PID: 100, UID: 1000, Cgroup: "0::/system.slice/fl.service", Soft: "1024", Hard: "524288", Cwd: "/", Listen: []string{"0100007F:1388"}, Args: []string{"/usr/bin/gunicorn", "-k", "gevent", "app:app"}},
			{PID: 200, Cgroup: "0::/system.slice/nginx.service", Soft: "1024", Hard: "524288", Listen: []string{"00000000:0050"}, Args: []string{"nginx: master process /usr/sbin/nginx"}},
			{PID: 201, PPID: 200, UID: 33, Cgroup: "0::/system.slice/nginx.service", Soft: "1024", Hard: "524288", Args: []string{"nginx: worker process"}},
		},
		"fixed": { // for 1000 workers
			{PID: 100, UID: 1000, Cgroup: "0::/system.slice/fl.service", Soft: "65536", Hard: "65536", Cwd: "/", Listen: []string{"0100007F:1388"}, Args: []string{"/usr/bin/gunicorn", "-k", "gevent", "--worker-connections", "2064", "app:app"}},
			{PID: 200, Cgroup: "0::/system.slice/nginx.service", Soft: "65536", Hard: "65536", Listen: []string{"00000000:0050"}, Args: []string{"nginx: master process /usr/sbin/nginx"}},
			{PID: 201, PPID: 200, UID: 33, Cgroup: "0::/system.slice/nginx.service", Soft: "2391", Hard: "2391", Args: []string{"nginx: worker process"}},
		},
		"poor": {
			{PID: 100, Cwd: "/", Listen: []string{"0100007F:1388"}, Args: []string{"/usr/bin/gunicorn", "-k", "gevent", "app:app"}},
		},
	} {
		if err := factstest.Kernel(filepath.Join(dir, host), true); err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			if err := p.Write(filepath.Join(dir, host)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("host/etc/systemd/system/fl.service", "[Service]\nUser=fl\nLimitNOFILE=65536\nExecStart="+strings.Join(gunicorn, " ")+"\n")
	put("host/lib/systemd/system/nginx.service", "[Service]\nLimitNOFILE=65536\nExecStart=/usr/sbin/nginx\n")
	put("plain/etc/systemd/system/fl.service", "[Service]\nUser=fl\nExecStart=/usr/bin/gunicorn -k gevent app:app\n")
	put("plain/lib/systemd/system/nginx.service", "[Service]\nExecStart=/usr/sbin/nginx\n")
	put("plain/etc/nginx/nginx.conf", "events { worker_connections 768; }\nhttp { server { listen 80; location / { proxy_pass http://127.0.0.1:5000; } } }\n")
	put("fixed/etc/systemd/system/fl.service", "[Service]\nUser=fl\nLimitNOFILE=65536\nExecStart=/usr/bin/gunicorn -k gevent --worker-connections 2064 app:app\n")
	put("fixed/lib/systemd/system/nginx.service", "[Service]\nLimitNOFILE=65536\nExecStart=/usr/sbin/nginx\n")
	put("fixed/etc/nginx/nginx.conf", s.exec(t, "sandbox", "fltool nginx render --workers 1000 --listen 127.0.0.1:80 --hold 6h --model-size 13MB", exitGood))
	put("poor/etc/systemd/system/fl.service", "[Service]\nExecStart=/usr/bin/gunicorn -k gevent app:app\n")
	const head = "# configuration file /etc/nginx/nginx.conf:\n" // as nginx -T has it
	conf := head + s.exec(t, "sandbox", "fltool nginx render --workers 5500 --listen 127.0.0.1:80 --hold 6h --model-size 20MB --upstream-keepalive 0s", exitGood)
	put("host/etc/nginx/nginx.conf", conf)
	conf = head + s.exec(t, "sandbox", "fltool nginx render --workers 5500 --hold 6h --model-size 20MB --server-name fl.example.org --tls-cert $PWD/ca.pem --tls-key $PWD/key.pem", exitGood)
	put("etc/nginx/nginx.conf", conf)
	put("deploy/fl.conf", conf)
	s.exec(t, "sandbox", "fltool preflight --root host --save-facts app.json >/dev/null && for f in proxy p a old new; do cp app.json $f.json; done"+
		"; for d in hosts proxies apps; do mkdir $d; for i in 1 2 3; do sed \"0,/debian/s//$d-$i/\" app.json >$d/$i.json; done; done", exitGood)

	put("run.json", runReport(1))
	for i := range 5 {
		put(fmt.Sprintf("base-%d.json", i), runReport(1))
		put(fmt.Sprintf("new-%d.json", i), runReport(1))
	}
	for i := range 2 {
		shard := strings.Replace(runReport(1), `"env": {`, fmt.Sprintf(`"shard": {"index": %d, "count": 2}, "env": {"started": "2026-03-01T12:00:00Z", `, i+1), 1)
		put(fmt.Sprintf("shard-%d.json", i+1), shard)
		put(fmt.Sprintf("reports/%d.json", i+1), shard)
	}
	put("old/app.py", readFile(t, "../../loadgen/testdata/server.py"))
	s.exec(t, "sandbox", "ln -s $(command -v fltool) old/fltool", exitGood)
	s.certificate(t)
	return dir
}

// certificate makes ca.pem, which vouches for itself, and its key.pem.
func (s *sandbox) certificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{"ca.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// newSandbox copies the world.
func newSandbox(t *testing.T, world string) *sandbox {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(world)); err != nil {
		t.Fatal(err)
	}
	return &sandbox{dir: dir, urls: map[string]*process{}, nginx: map[string]string{}, env: append(os.Environ(),
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"))}
}

// servers puts a server of the sandbox in the place of each that a command names.
func (s *sandbox) servers(t *testing.T, command string) string {
	if strings.Contains(command, "--server-command") {
		command = strings.ReplaceAll(command, "127.0.0.1:5000", factstest.FreeAddress(t))
		if strings.Contains(command, "--keys keys") {
			s.keys(t)
			command = fmt.Sprintf("export KEYS=%s/keys/%s; %s", s.dir, wire.KeyListFile, command)
		}
		return command
	}
	if strings.Contains(command, "--target http://127.0.0.1 ") {
		_, keys, _ := strings.Cut(command, "--keys ")
		keys, _, _ = strings.Cut(keys, " ")
		if s.nginx[keys] == "" {
			s.nginx[keys] = s.deploy(t, keys)
		}
		return strings.ReplaceAll(command, "http://127.0.0.1 ", "http://"+s.nginx[keys]+" ")
	}
	flags := "--listen 127.0.0.1:0 --keys keys"
	if strings.Contains(command, "--unsafe") {
		flags = "--listen 127.0.0.1:0 --unsafe --round 10"
	}
	if strings.Contains(command, "https://fl.example.org") && !strings.Contains(command, "--fl-url") {
		flags += " --tls-cert ca.pem --tls-key key.pem"
	}
	for _, url := range []string{"http://127.0.0.1:5000", "http://127.0.0.1:8080", "https://fl.example.org", "$URL"} {
		if !strings.Contains(command, "--target "+url) && !strings.Contains(command, "--url "+url) {
			continue
		}
		if s.urls[flags] == nil {
			s.keys(t)
			s.urls[flags] = s.start(t, "exec fltool serve "+flags)
		}
		p := s.urls[flags]
		command = strings.ReplaceAll(command, url, p.stdout.waitFor(t, "listening on (.*)\n"))
		command = regexp.MustCompile(`\b4711\b`).ReplaceAllString(command, fmt.Sprint(p.cmd.Process.Pid)) // no part of a port
	}
	return command
}

// keys makes those of the fleet.
func (s *sandbox) keys(t *testing.T) {
	s.exec(t, "sandbox", fmt.Sprintf("test -e keys || fltool keys generate -n %d keys; cp keys/stress_worker_key_file_0 probe.key", keyed), exitGood)
}

// deploy starts the stand-in of dc_federated's server, with a folder of keys, behind a
// rendered nginx, and gives the address of that.
func (s *sandbox) deploy(t *testing.T, keys string) string {
	app, address := factstest.FreeAddress(t), factstest.FreeAddress(t)
	interval := ".02"
	if *whole {
		interval = "1" // as of the stress test's server
	}
	// By default gunicorn closes what is idle for 2 s, a second after nginx does; where
	// processes wait for a CPU that long, nginx sends a request into the close: a 502.
	flags := []string{"--worker-connections", "12000", "--keep-alive", "3600"}
	start(t, "/bin/sh", "-c", fmt.Sprintf("export INTERVAL=%s KEYS=%s/%s/%s; %s", interval, s.dir, keys, wire.KeyListFile, python(t, app, flags...)))
	waitListening(t, app, "")
	dir := t.TempDir()
	site := s.exec(t, "sandbox", "fltool nginx render --site --workers 5500 --listen "+address+" --upstream "+app, exitGood)
	startNginxWith(t, dir, 20000, site)
	waitListening(t, address, filepath.Join(dir, "error.log"))
	return address
}

// close ends what still runs.
func (s *sandbox) close(t *testing.T) {
	for _, p := range s.urls {
		p.stop(t)
	}
	if s.shard != nil {
		s.shard.wait(t)
	}
}

// exec runs a command, which must exit with that code, and gives what it printed.
func (s *sandbox) exec(t *testing.T, at, command string, code int) string {
	t.Helper()
	began := time.Now()
	p := s.start(t, command)
	defer func() { t.Logf("%.1f s: %s", time.Since(began).Seconds(), command) }()
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != code {
		t.Errorf("%s: %s\n%v, want exit code %d\n%s%s", at, command, err, code, p.stdout.String(), p.stderr.String())
	}
	return p.stdout.String()
}

// process is a command that runs in the sandbox.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr lockedBuffer
}

func (s *sandbox) start(t *testing.T, command string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), "sh", "-c", command)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = s.dir, s.env, &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// wait waits for the end of a process, which must be a good one.
func (p *process) wait(t *testing.T) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s%s", p.cmd.Args, err, p.stdout.String(), p.stderr.String())
	}
}

// stop ends a server, which must drain.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("%v: %v", p.cmd.Args, err)
	}
	p.wait(t)
}
