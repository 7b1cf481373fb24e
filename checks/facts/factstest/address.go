package factstest

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

var addresses atomic.Uint32

// FreeAddress is an address of the loopback on which nobody listens. Its port lies below
// those that the kernel gives to who asks for any (net.ipv4.ip_local_port_range begins at
// 32768), and among a hundred of this process's own, so that nobody has it before it is used.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+os.Getpid()%200*100+int(addresses.Add(1)%100))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
