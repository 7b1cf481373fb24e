package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// through reads from r as a client's connection does.
type through struct {
	head Head
	r    io.Reader
	read int
}

func (c *through) Read(p []byte) (int, error) {
	n, err := c.head.Read(c.r, p)
	c.read += n
	return n, err
}

// endless repeats a text for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestHeadIsBounded(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, r := range map[string]io.Reader{
		"a status line":  endless("HTTP/1.1"),
		"fields":         io.MultiReader(strings.NewReader(ok), endless("A: b\r\n")),
		"one field":      io.MultiReader(strings.NewReader(ok+"A: "), endless("b")),
		"a field's name": io.MultiReader(strings.NewReader(ok), endless("b")),
		"a long field":   io.MultiReader(strings.NewReader(ok+"A: "), endless("\r\n b")),
	} {
		c := &through{r: r}
		if _, err := c.head.Response(bufio.NewReader(c), nil); err == nil {
			t.Errorf("%s without end: taken", name)
		}
		if c.read > MaxHead {
			t.Errorf("%s without end: read %d bytes", name, c.read)
		}
	}
}

// What is bounded is the head: a body may be as long as it is, and every answer's
// head has the whole room.
func TestHeadAlone(t *testing.T) {
	body := strings.Repeat("x", 2*MaxHead)
	one := "HTTP/1.1 200 OK\r\nContent-Length: 524288\r\nA: " + strings.Repeat("a", MaxHead/2) + "\r\n\r\n" + body
	c := &through{r: strings.NewReader(one + one)}
	br := bufio.NewReader(c)
	for range 2 {
		resp, err := c.head.Response(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != body {
			t.Errorf("%d bytes of body, %v", len(got), err)
		}
	}
	c = &through{r: endless("x")}
	if n, err := io.ReadFull(c, make([]byte, 2*MaxHead)); n != 2*MaxHead || errors.Is(err, ErrLongHead) {
		t.Errorf("between answers: %d, %v", n, err)
	}
}
