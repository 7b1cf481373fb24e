package checks

import (
	"strings"
	"testing"
)

// Lines as the programs write them, by the check that they tell of.
var logLines = map[string]string{
	`2026/05/01 10:00:00 [crit] 123#123: accept4() failed (24: Too many open files)`:                                                                                  "nginx/nofile",
	`2026/05/01 10:00:00 [alert] 123#123: *9 socket() failed (24: Too many open files) while connecting to upstream, client: 10.0.0.1, server: _`:                     "nginx/nofile",
	`2026/05/01 10:00:00 [alert] 123#123: setrlimit(RLIMIT_NOFILE, 100000) failed (1: Operation not permitted)`:                                                       "nginx/nofile",
	`2026/05/01 10:00:00 [crit] 123#123: *9 connect() to 127.0.0.1:5000 failed (99: Cannot assign requested address) while connecting to upstream, client: ::1`:       "host/port-range",
	`2026/05/01 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1`:                                   "app/found",
	`2026/05/01 10:00:00 [error] 7#7: *1 connect() to unix:/run/fl.sock failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1`:              "app/found",
	`2026/05/01 10:00:00 [crit] 7#7: *1 connect() to unix:/run/fl.sock failed (2: No such file or directory) while connecting to upstream, client: 10.0.0.1`:          "app/found",
	`2026/05/01 10:00:00 [error] 7#7: *1 connect() to unix:/run/fl.sock failed (11: Resource temporarily unavailable) while connecting to upstream, client: 10.0.0.1`: "app/accept-queue",
	`OSError: [Errno 24] Too many open files: '/tmp/x'`:                                                                                                   "app/nofile",
	`2026/05/01 10:00:00 http: Accept error: accept tcp [::]:5000: accept4: too many open files`:                                                          "app/nofile",
	`[2026-05-01 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)`:                                                                                   "app/timeout",
	`RuntimeError: can't start new thread`:                                                                                                                "app/pids",
	`[12.3] cgroup: fork rejected by pids controller in /system.slice/fl.service`:                                                                         "app/pids",
	`[12.3] nf_conntrack: nf_conntrack: table full in netns 4026532249, dropping packet`:                                                                  "host/conntrack",
	`[12.3] gunicorn invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0`:                                                            "", // whose memory ended the next lines tell
	`[12.3] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,oom_memcg=/a,task=python3`:                                                      "host/cgroup-memory",
	`[12.3] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,global_oom,task=python3`:                                                         "host/memory",
	`[12.3] Out of memory: Kill process 9 (python3) score 900 or sacrifice child`:                                                                         "host/memory",
	`[12.3] nf_conntrack: nf_conntrack: table full, dropping packet`:                                                                                      "host/conntrack",
	`[12.3] VFS: file-max limit 1000 reached`:                                                                                                             "host/file-max",
	`[12.3] Memory cgroup out of memory: Killed process 9 (python3)`:                                                                                      "host/cgroup-memory",
	`[12.3] Out of memory: Killed process 9 (python3) total-vm:1kB`:                                                                                       "host/memory",
	`[12.3] TCP: out of memory -- consider tuning tcp_mem`:                                                                                                "host/tcp-mem",
	`[12.3] TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.`:                                                            "host/syn-backlog",
	`2026/05/01 10:00:00 [error] 1#1: *2 upstream prematurely closed connection while reading response header from upstream`:                              "app/keepalive nginx/upstream-keepalive",
	`2026/05/01 10:00:00 [emerg] 1#1: unknown directive "worker_process" in /etc/nginx/nginx.conf:1`:                                                      "nginx/config",
	`2026/05/01 10:00:00 [warn] 9#9: 1024 worker_connections are not enough, reusing connections`:                                                         "nginx/worker-connections",
	`2026/05/01 10:00:00 [alert] 9#9: *7 1024 worker_connections are not enough while connecting to upstream, client: 10.0.0.1, server: _`:                "nginx/worker-connections",
	`2026/05/01 10:00:00 [error] 9#9: *1 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.0.0.1`:    "nginx/proxy-read-timeout",
	`2026/05/01 10:00:00 [error] 9#9: *1 upstream timed out (110: Connection timed out) while connecting to upstream, client: 10.0.0.1`:                   "nginx/proxy-connect-timeout",
	`2026/05/01 10:00:00 [info] 9#9: *1 client timed out (110: Connection timed out) while sending to client, client: 10.0.0.1`:                           "nginx/send-timeout",
	`2026/05/01 10:00:00 [info] 9#9: *1 client timed out (110: Connection timed out) while reading client request headers, client: 10.0.0.1`:              "nginx/client-timeouts",
	`2026/05/01 10:00:00 [error] 9#9: *1 client intended to send too large body: 13000524 bytes, client: 10.0.0.1`:                                        "nginx/client-max-body-size",
	`2026/05/01 10:00:00 [crit] 9#9: *1 pwrite() "/var/lib/nginx/body/0000000001" failed (28: No space left on device), client: 10.0.0.1`:                 "nginx/body-disk",
	`2026/05/01 10:00:00 [warn] 9#9: *1 an upstream response is buffered to a temporary file /var/lib/nginx/proxy/1/00/0000000001 while reading upstream`: "nginx/response-spool",
	`2026/05/01 10:00:00 [error] 9#9: *1 no live upstreams while connecting to upstream, client: 10.0.0.1`:                                                "nginx/max-conns",
	`2026/05/01 10:00:00 [error] 9#9: *1 limiting connections by zone "conn", client: 10.0.0.1`:                                                           "nginx/limit-conn",
	`2026/05/01 10:00:00 [error] 9#9: *1 limiting requests, excess: 20.100 by zone "req", client: 10.0.0.1`:                                               "nginx/limit-req",
	`2026/05/01 10:00:00 [emerg] 9#9: SSL_CTX_use_PrivateKey("/k.pem") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`:       "nginx/config tls/key",
	`ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate`:                    "probe/tls",
	`127.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 2`:                                                                                   "",
}

func TestScanLog(t *testing.T) {
	told := make(map[string]bool)
	for line, want := range logLines {
		log, err := ScanLog(strings.NewReader(line + "\n"))
		if err != nil || log.Lines != 1 {
			t.Errorf("%q: %d lines, %v", line, log.Lines, err)
		}
		var got []string
		for _, s := range log.Symptoms {
			got = append(got, s.Check.ID)
			told[s.Check.ID] = true
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q tells of %q, want %q", line, got, want)
		}
	}
	for _, c := range All() {
		if len(c.Logs) > 0 && !told[c.ID] {
			t.Errorf("%s has patterns, and no line here is one of them", c.ID)
		}
	}
	long := strings.Repeat("x", 3*maxLogLine)
	text := long + "\n" + strings.Repeat("WORKER TIMEOUT (pid:1)\n", 3) + long + "[Errno 24] Too many open files\nno end"
	log, err := ScanLog(strings.NewReader(text))
	if found := log.Symptoms; err != nil || log.Lines != 6 || len(found) != 1 || found[0].Lines != 3 || found[0].First != 2 {
		t.Errorf("%+v, %v", log, err)
	}
}

// Lines of level error that no check knows are counted, and no other ones.
func TestScanLogUnknown(t *testing.T) {
	log, err := ScanLog(strings.NewReader(`2026/05/01 10:00:00 [notice] 1#1: start worker process 7
2026/05/01 10:00:00 [error] 7#7: *1 upstream sent a riddle while reading response header from upstream
2026/05/01 10:00:00 [crit] 7#7: accept4() failed (24: Too many open files)
[2026-05-01 10:00:00 +0000] [7] [ERROR] Worker (pid:9) exited with code 3
time=2026-05-01T10:00:00Z level=ERROR msg="no"
`))
	if err != nil || log.Unknown != 3 || log.First != 2 || !strings.Contains(log.Example, "riddle") || len(log.Symptoms) != 1 {
		t.Errorf("%+v, %v", log, err)
	}
	if s := log.Symptoms[0]; !strings.Contains(s.Example[s.From:s.To], "Too many open files") {
		t.Errorf("the symptom is %q", s.Example[s.From:s.To])
	}
}

func FuzzScanLog(f *testing.F) {
	for line := range logLines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		log, err := ScanLog(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range log.Symptoms {
			if s.Lines < 1 || s.Lines > log.Lines || s.First < 1 || s.First > log.Lines || len(s.Example) > maxLogLine || s.From > s.To || s.To > len(s.Example) {
				t.Errorf("%+v in %d lines", s, log.Lines)
			}
		}
	})
}

func FuzzParseWaiver(f *testing.F) {
	f.Add("app/nofile until 2027-01-31 = known")
	f.Add("app/nofile=x=y")
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWaiver(s)
		if err == nil && (w.Reason == "" || w.ID == "") {
			t.Errorf("%q: %+v", s, w)
		}
	})
}
