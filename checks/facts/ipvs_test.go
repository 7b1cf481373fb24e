package facts

import (
	"fmt"
	"testing"
)

func TestIPVS(t *testing.T) {
	const head = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
	for _, c := range []struct{ text, want string }{
		{head, "[]"},
		{head + "TCP  0A60000A:0050 rr  persistent 10800 FFFFFFFF\n  -> 0AF40102:1388      Masq    1      2          0\n  -> 0AF40103:1388      Masq    1      2          0\n",
			"[{10.96.0.10:80 [10.244.1.2:5000 10.244.1.3:5000]}]"},
		{head + "UDP  0A60000A:0035 rr\n  -> 0AF40102:0035      Masq    1      0          0\nFWM  00000064 rr\n  -> 0A000002:0000      Masq    1      0          0\n", "[]"},
		{head + "TCP  [fd00:0000:0000:0000:0000:0000:0000:000a]:0050 rr\n  -> [fd00:0000:0000:0000:0000:0000:0000:0001]:1388      Masq    1      0          0\n",
			"[{[fd00::a]:80 [[fd00::1]:5000]}]"},
		{head + "TCP  0A60000A:0050 rr\n", "[{10.96.0.10:80 []}]"},
		{head + "TCP  nonsense rr\n", `/proc/net/ip_vs: "nonsense" is no address`},
		{head + "TCP  0A60000A:0050 rr\n  -> 0AF401:1388 Masq 1 0 0\n", `/proc/net/ip_vs: "0AF401:1388" is no address`},
	} {
		v, err := parseIPVS(c.text)
		got := fmt.Sprint(v)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q\ngot %s, want %s", c.text, got, c.want)
		}
	}
	if v := readIPVS(NewRoot(t.TempDir())); !v.Known() || len(v.V) != 0 {
		t.Errorf("without IPVS: %+v", v)
	}
}

func FuzzIPVS(f *testing.F) {
	f.Add("TCP  0A60000A:0050 rr\n  -> 0AF40102:1388 Masq 1 2 0\nUDP x\n  -> y\n")
	f.Add("TCP  [fd00::a]:0050 rr\n  -> [fd00::1]:1388 Masq 1 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		services, err := parseIPVS(text)
		if err != nil {
			return
		}
		for _, s := range services {
			if !s.Address.IsValid() {
				t.Errorf("%+v", s)
			}
		}
	})
}
