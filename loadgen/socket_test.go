package loadgen

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/server/lot"
)

// TestCame has what came be read long after: when it came is known all the same.
func TestCame(t *testing.T) {
	s, there := socketPair(t)
	deadline := time.Now().Add(30 * time.Second)
	s.SetDeadline(deadline)
	for late := 10 * time.Millisecond; ; {
		// The first few of a machine may come without: the kernel begins to note moments
		// some time after it was asked to.
		before := time.Now()
		if _, err := there.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		untilRead(t, s)
		known := time.Now()
		<-time.After(late)
		var b [8]byte
		if n, err := s.Read(b[:]); n != 1 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if !s.came.Before(before) && !s.came.After(known) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("came at %s, but was sent at %s and seen at %s", s.came, before, known)
		}
	}
	there.Close()
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
}

// TestOverslept has an answer lie in the socket at its deadline: this machine was
// late, not the server.
func TestOverslept(t *testing.T) {
	here, there := socketPair(t)
	c := &conn{Conn: here, socket: here}
	tr := &transport{ctx: t.Context(), plan: &Plan{}, start: time.Now()}
	w := &worker{step: stepChallenge}
	here.SetDeadline(past)
	if _, fail, _ := tr.await(w, c, nil); fail == nil || fail.class != classTimeout {
		t.Errorf("nothing came: %v", fail)
	}
	if _, err := there.Write([]byte("HTTP/1.1 200 OK\r\n")); err != nil {
		t.Fatal(err)
	}
	here.SetDeadline(time.Now().Add(30 * time.Second))
	untilRead(t, c.socket)
	here.SetDeadline(past)
	if _, fail, _ := tr.await(w, c, nil); fail != nil {
		t.Errorf("it lay there: %v", fail)
	}
}

// untilRead waits until there is something to read.
func untilRead(t *testing.T, s *socket) {
	t.Helper()
	for {
		if n, err := s.look(); n == 1 {
			return
		} else if err != errNothing {
			t.Fatal(n, err)
		}
		runtime.Gosched()
	}
}

// socketPair is the two ends of a connection.
func socketPair(t *testing.T) (here *socket, there net.Conn) {
	t.Helper()
	parked := lot.New()
	t.Cleanup(parked.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if here, err = newSocket(parked, dialled); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return here, there
}

func TestArrival(t *testing.T) {
	now := time.Now()
	told := func(at time.Time) []byte {
		ts, err := unix.TimeToTimespec(at)
		if err != nil {
			t.Fatal(err)
		}
		return controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, ts)
	}
	second := now.Add(-time.Second)
	for _, c := range []struct {
		name string
		oob  []byte
		want time.Time
	}{
		{"nothing said", nil, now},
		{"a second ago", told(second), second},
		{"behind another message", append(controlMessage(unix.SOL_IP, unix.IP_TTL, unix.Timespec{}), told(second)...), second},
		{"a clock that was set back", told(now.Add(time.Hour)), now},
		{"half a message", told(second)[:20], now},
		{"half a header", told(second)[:3], now},
	} {
		if got := arrival(c.oob, now); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// controlMessage is a message of the kernel's about what was read.
func controlMessage(level, kind int, ts unix.Timespec) []byte {
	size := int(unsafe.Sizeof(ts))
	b := make([]byte, unix.CmsgSpace(size))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	if _, err := binary.Encode(b[unix.CmsgLen(0):], binary.NativeEndian, ts); err != nil {
		panic(err)
	}
	return b
}
