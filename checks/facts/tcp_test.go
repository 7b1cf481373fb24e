package facts

import (
	"net/netip"
	"strings"
	"testing"
)

const tcpSample = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:C000 0100007F:1388 01 00000000:00000000 00:00000000 00000000     0        0 112 1 0 20 4 30 10 -1
   2: 0100007F:1388 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 113 1 0 20 4 30 10 -1
   3: 0100007F:C001 0100007F:1388 05 00000000:00000000 03:00000A2B 00000000     0        0 0 3 0
   4: 0100007F:C002 0100007F:1388 06 00000000:00000000 03:00000A2B 00000000     0        0 0 3 0
   5: 0100007F:C003 0100007F:1389 01 00000000:00000000 00:00000000 00000000     0        0 114 1 0 20 4 30 10 -1
   6: 0100007F:1388 0100007F:C001 08 00000000:00000000 00:00000000 00000000     0        0 115 1 0 20 4 30 10 -1
`

// Of six sockets two are connections to port 5000 that its end has not closed:
// one that is open, and one that this end alone has closed.
func TestCountConnections(t *testing.T) {
	n, err := countConnections(strings.NewReader(tcpSample), netip.MustParseAddrPort("127.0.0.1:5000"))
	if err != nil || n != 2 {
		t.Errorf("%d, %v; want 2", n, err)
	}
	for _, bad := range []string{"head\nnonsense", "head\n 0: 0100007F:C000 nowhere 01 x"} {
		if _, err := countConnections(strings.NewReader(bad), netip.AddrPort{}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzCountConnections(f *testing.F) {
	f.Add(tcpSample)
	f.Add("head\n 0: 0100007F:C000 00000000000000000000000001000000:1388 01 x")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := countConnections(strings.NewReader(text), netip.MustParseAddrPort("127.0.0.1:5000"))
		if n < 0 || err == nil && n > strings.Count(text, "\n") {
			t.Errorf("%d, %v", n, err)
		}
	})
}
