package loadgen

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fltool/fltool/server/wire"
)

// FuzzPlainAnswer: what is taken for a plain answer is one for net/http, the same one, on
// a connection that goes on, and ends at the same byte.
func FuzzPlainAnswer(f *testing.F) {
	for _, status := range []string{"HTTP/1.1 200 OK", "HTTP/1.1 502 Bad Gateway", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 100 Continue", "HTTP/1.1  200 OK", "HTTP/1.1 200"} {
		for _, head := range []string{
			"Content-Length: 2\r\n", "Date: Mon\r\nX-Fl-Published: 1700000000000000000\r\nContent-Length: 2\r\nContent-Type: text/html; charset=UTF-8\r\n",
			"content-length: 02\r\nConnection: keep-alive\r\nServer: x\r\n", "Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: +2\r\n", "Content-Length:2\r\n",
			"Content-Length: 2\r\nConnection: close\r\n", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 2\r\nContent-Encoding: gzip\r\n",
			"Content-Length: 2\r\nA: b\r\n c\r\n", "Content-Length: 2\nA: b\n", "Content-Length : 2\r\n", "Content-Length: 2\r\nTrailer: A\r\n", "",
		} {
			f.Add([]byte(status + "\r\n" + head + "\r\nok"))
		}
	}
	f.Fuzz(func(t *testing.T, come []byte) {
		a, ok := readPlain(come)
		if !ok {
			return
		}
		in := bytes.NewReader(come)
		br := bufio.NewReader(in)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%q: %v", come, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != a.status || !bytes.Equal(body, a.body) || resp.Close || resp.StatusCode < 200 {
			t.Errorf("%q: %d %q for net/http, which closes %t (%v), and %+v", come, resp.StatusCode, body, resp.Close, err, a)
		}
		if said := resp.Header.Get(wire.HeaderPublished); said != "" || a.published != 0 {
			if n, err := strconv.ParseInt(said, 10, 64); err != nil || n != a.published {
				t.Errorf("%q: published %q, read %d", come, said, a.published)
			}
		}
		if resp.Header.Get("Content-Encoding") != "" || len(resp.TransferEncoding) > 0 || len(resp.Trailer) > 0 || br.Buffered()+in.Len() > 0 {
			t.Errorf("%q is not plain: %+v, %d bytes behind it", come, resp, br.Buffered()+in.Len())
		}
	})
}

// TestReadPlain: what servers answer workers is plain once it has come whole, and with
// anything behind it it is not.
func TestReadPlain(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nX-Fl-Published: 17\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Length: " + strconv.Itoa(len(wire.TextUpdated)) + "\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n" + wire.TextUpdated,
		"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
	} {
		a, ok := readPlain([]byte(text))
		if !ok || !strings.HasSuffix(text, "\r\n\r\n"+a.text()) || strconv.Itoa(a.status) != text[9:12] {
			t.Errorf("%q is %+v", text, a)
		}
		for n := range len(text) {
			if a, ok := readPlain([]byte(text[:n])); ok {
				t.Errorf("%q is %+v", text[:n], a)
			}
		}
		if a, ok := readPlain([]byte(text + "H")); ok {
			t.Errorf("with more behind it %q is %+v", text, a)
		}
	}
}
