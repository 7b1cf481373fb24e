package facts

import (
	"strings"
	"testing"
)

func TestSysctlFiles(t *testing.T) {
	r := write(t, map[string]string{
		"usr/lib/sysctl.d/50-x.conf":       "net.core.somaxconn = 1\nfs.nr_open=5\nnet.ipv4.tcp_mem = 1 2 3\n",
		"etc/sysctl.d/50-x.conf":           "# masks the one below /usr/lib\nfs.nr_open = 7\n",
		"etc/sysctl.d/60-y.conf":           "-net/core/somaxconn = 4096\n; no\ngarbage\nnet.ipv4.ip_local_port_range = 1024 65535\n",
		"run/sysctl.d/70-z.conf":           "net.ipv4.ip_local_reserved_ports = 5000\n",
		"etc/sysctl.conf":                  "fs.nr_open = 99\n",
		"etc/sysctl.d/99-null.conf":        "-> /dev/null",
		"usr/local/lib/sysctl.d/README":    "fs.nr_open = 98\n",
		"usr/local/lib/sysctl.d/.hid.conf": "fs.nr_open = 97\n",
	})
	s, ports := readSysctls(r)
	if s.NROpen.V != 7 || s.NROpen.Source != "/etc/sysctl.d/50-x.conf:2" {
		t.Errorf("nr_open %+v", s.NROpen)
	}
	if s.SoMaxConn.V != 4096 || s.SoMaxConn.Source != "/etc/sysctl.d/60-y.conf:1" {
		t.Errorf("somaxconn %+v", s.SoMaxConn)
	}
	if ports.V.Usable() != 64511 {
		t.Errorf("ports %+v", ports)
	}
	if s.SynCookies.V != 1 || s.SynCookies.Source != "kernel default" {
		t.Errorf("syncookies %+v", s.SynCookies)
	}
	if s.FileMax.Known() || s.TCPMem.Known() || s.FileMax.Why() == "" {
		t.Errorf("file-max %+v, tcp_mem %+v: known from nowhere", s.FileMax, s.TCPMem)
	}
	live := write(t, map[string]string{"etc/sysctl.d/10-x.conf": "fs.nr_open = 7\n", "etc/sysctl.d/99-null.conf": "-> /dev/null", "dev/null/x": "no regular file"})
	if s, _ := readSysctls(live); s.NROpen.V != 7 {
		t.Errorf("a masked file where /dev/null is there: %+v", s.NROpen)
	}
	linked := write(t, map[string]string{"etc/sysctl.conf": "fs.nr_open = 99\n", "etc/sysctl.d/99-sysctl.conf": "-> ../sysctl.conf"})
	if s, _ := readSysctls(linked); s.NROpen.V != 99 {
		t.Errorf("linked sysctl.conf: %+v", s.NROpen)
	}
}

// The kernel shows tcp_mem in its first network namespace alone.
func TestTCPMemOfAContainer(t *testing.T) {
	s, _ := readSysctls(write(t, map[string]string{"proc/sys/net/core/somaxconn": "4096\n"}))
	if want := "the host's, and not shown in a container"; s.TCPMem.Known() || s.TCPMem.Why() != want {
		t.Errorf("%+v", s.TCPMem)
	}
	s, _ = readSysctls(write(t, map[string]string{"proc/sys/net/core/somaxconn": "4096\n", "proc/sys/net/ipv4/tcp_mem": "1 2\n"}))
	if s.TCPMem.Known() || strings.Contains(s.TCPMem.Why(), "container") {
		t.Errorf("%+v", s.TCPMem)
	}
}

func TestRunningSysctlsWin(t *testing.T) {
	r := write(t, map[string]string{
		"proc/sys/fs/nr_open":            "1048576\n",
		"proc/sys/fs/file-max":           "9223372036854775807\n",
		"proc/sys/net/core/somaxconn":    "garbage\n",
		"proc/sys/net/ipv4/tcp_mem":      "1\t2\t3\n",
		"etc/sysctl.d/50-x.conf":         "fs.nr_open = 7\n",
		"proc/sys/net/ipv4/tcp_tw_reuse": "2\n",
	})
	s, ports := readSysctls(r)
	if s.NROpen.V != 1048576 || s.TWReuse.V != 2 || s.TCPMem.V != [3]int64{1, 2, 3} || s.FileMax.V < 1<<60 {
		t.Errorf("%+v", s)
	}
	if s.SoMaxConn.Known() || !strings.Contains(s.SoMaxConn.Why(), "garbage") {
		t.Errorf("somaxconn %+v", s.SoMaxConn)
	}
	if ports.Known() {
		t.Errorf("ports %+v", ports)
	}
}

func FuzzSysctlFile(f *testing.F) {
	f.Add("-net/ipv4/conf/eth0.1/rp_filter = 1\na.b=c\n#x\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseSysctlFile(text) {
			if l.line < 1 {
				t.Errorf("%+v", l)
			}
			parseTCPMem(l.value)
			parsePortRange(l.value, l.key)
			parseFileNr(l.value)
		}
	})
}
