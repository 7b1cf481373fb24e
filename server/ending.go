package server

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fltool/fltool/server/wire"
)

// ending is how a poll ends. Its response is made once, for all that end the
// same way.
type ending struct {
	text  string
	model *model // which version it tells of; nil if it tells of none
	news  bool   // the worker was not told of that version before
	close bool   // the connection, too

	once          sync.Once
	keeps, closes []byte // the response if the connection is kept, or closed
}

// response is the ending as HTTP, on a connection that is closed then or not.
func (e *ending) response(closes bool) []byte {
	e.once.Do(e.render)
	if closes {
		return e.closes
	}
	return e.keeps
}

func (e *ending) render() {
	h := http.Header{}
	setHeader(h, http.StatusOK)
	h["Date"] = []string{time.Now().UTC().Format(http.TimeFormat)}
	if e.model != nil {
		h[wire.HeaderPublished] = []string{published(e.model)}
	}
	response := func(closes bool) []byte {
		var b bytes.Buffer
		r := http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: h, Close: closes,
			Body: io.NopCloser(bytes.NewReader([]byte(e.text))), ContentLength: int64(len(e.text)),
		}
		_ = r.Write(&b) // memory takes all
		return b.Bytes()
	}
	e.keeps, e.closes = response(false), response(true)
}

// published is the value of wire.HeaderPublished.
func published(m *model) string { return strconv.FormatInt(m.published.UnixNano(), 10) }
