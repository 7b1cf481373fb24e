package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// step is one request of the protocol.
type step uint8

const (
	stepRegister step = iota
	stepChallenge
	stepPoll
	stepModel
	stepUpdate
	steps // their number
)

func (s step) String() string {
	return [steps]string{"register", "challenge", "poll", "model", "update"}[s]
}

// class is the way in which a request failed; the zero class is none.
type class string

// The classes, as they stand in reports.
const (
	classRefused      class = "refused"              // the connection was
	classReset        class = "reset"                // the connection was cut before the whole answer had come
	classTimeout      class = "timed out"            // no connection or no whole answer in time
	classTLS          class = "tls"                  // the handshake failed
	class4xx          class = "4xx"                  //
	class5xx          class = "5xx"                  //
	classInvalid      class = "invalid worker"       //
	classUnregistered class = "unregistered"         //
	classNotAccepted  class = "not accepted"         // the update
	classModel        class = "undecodable model"    //
	classNoModel      class = "no model"             // in a well-formed answer, as a proxy gives while the server is away
	classStale        class = "stale version"        // the poll notified of a new model, and it was the old one
	classSuperseded   class = "superseded"           // another poll with the same key ended this one
	classUnexpected   class = "unexpected answer"    // none of the protocol's
	classReconnect    class = reports.ClassReconnect // an idle connection turned out closed: no error, tried again at once
	classGenerator    class = "generator"            // the generator had no descriptor or port left
	classStopped      class = "stopped"              // the run ended; no error of anybody's
)

// failure is a judged error: a class and what exactly happened.
type failure struct {
	class  class
	detail string
}

func (f failure) Error() string { return fmt.Sprintf("%s: %s", f.class, f.detail) }

func failed(c class, format string, a ...any) *failure {
	return &failure{c, fmt.Sprintf(format, a...)}
}

// judgeText judges every answer but a model by its status and body. Nil is good;
// a poll's may have ended early, without a new model.
func judgeText(s step, status int, text string, accept *regexp.Regexp) *failure {
	switch {
	case status >= 500:
		return failed(class5xx, "HTTP %d, %s", status, said(text))
	case status >= 400:
		return failed(class4xx, "HTTP %d, %s", status, said(text))
	case status != 200:
		return failed(classUnexpected, "HTTP %d, %s", status, said(text))
	}
	switch strings.TrimSuffix(text, "\n") {
	case wire.TextInvalid:
		return failed(classInvalid, "%s", wire.TextInvalid)
	case wire.TextUnregistered:
		return failed(classUnregistered, "%s", wire.TextUnregistered)
	}
	switch s {
	case stepRegister, stepChallenge:
		// Ids and phrases are opaque, but one word; errors are sentences, JSON or HTML.
		if !isWord(text) {
			return failed(classUnexpected, "%s", said(text))
		}
	case stepPoll:
		if text == wire.TextUpdated {
			return nil
		}
		if strings.HasPrefix(text, wire.SupersededStart) {
			return failed(classSuperseded, "%s", said(text))
		}
		if text == "" || strings.HasPrefix(text, `{"error"`) || strings.Contains(text, "<html") {
			return failed(classUnexpected, "%s", said(text))
		}
		// Any other text ends a hold early; workers poll again.
	case stepModel:
		return failed(classModel, "%s", said(text))
	case stepUpdate:
		if accept.MatchString(text) {
			return nil
		}
		if text == wire.TextNotAccepted {
			return failed(classNotAccepted, "%s", wire.TextNotAccepted)
		}
		return failed(classUnexpected, "%s", said(text))
	}
	return nil
}

// isWord says whether a text is such a word.
func isWord(text string) bool {
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '.', c == '~', c == ':', c == '-':
		default:
			return false
		}
	}
	return 0 < len(text) && len(text) <= 512
}

// judgeConn judges what went wrong below HTTP.
func judgeConn(err error) *failure {
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return stopped
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.ENOBUFS),
		errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOSPC):
		return failed(classGenerator, "%s", cause(err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed(classRefused, "connection refused")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return failed(classTimeout, "no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return failed(classReset, "connection closed without a whole answer")
	case errors.As(err, new(syscall.Errno)):
		return failed(classReset, "%s", cause(err))
	}
	return failed(classUnexpected, "%s", clip(cause(err))) // not HTTP, or not TLS
}

// cause is an error without the addresses around it: with ports in them no two
// texts would be the same.
func cause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// said quotes an answer in short.
func said(text string) string {
	if text == "" {
		return "an empty answer"
	}
	return strconv.Quote(clip(text))
}

// clip makes a short line of an answer.
func clip(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	const longest = 120
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
