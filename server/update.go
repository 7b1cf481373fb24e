package server

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/fltool/fltool/server/wire"
)

// drainLimit bounds what is read and dropped of a body that is refused: a real
// worker sends all of it before it looks for an answer, and would otherwise see a
// reset connection in place of the reason.
const drainLimit = 256 << 20

// maxBody is how long the body of an update may be: incompressible ones grow by
// five bytes in 16 KB, and there is the form around.
func maxBody(update int64) int64 { return update + update/1000 + 16<<10 }

func (s *Server) handleUpdate(w http.ResponseWriter, r *http.Request) {
	const route = "update"
	id := workerOf(r)
	b := newBody(w, r, maxBody(s.cfg.MaxUpdate))
	v := visitOf(w, r)
	judged := s.gate.spare(v)
	o := s.update(v, id, b, r)
	if o.reason == "" {
		s.gate.proved(v, id)
	}
	judged()
	s.kept(id, o)
	if !s.drain(b, r) {
		w.Header().Set("Connection", "close")
	}
	b.free() // before Rest: after it, the connection is no longer ours
	if o.reason != "" {
		s.refuse(w, route, o.reason, o.status, o.text)
		return
	}
	s.metrics.accepted(route)
	answer(w, o.status, o.text)
	s.polls.Rest(w, r, id) // where there is no poll next, there is a pause
}

// drain reads a bounded rest of a body and says whether that was all of it. What
// a client has not begun to send, since it waits for leave, is not asked for.
func (s *Server) drain(b *body, r *http.Request) bool {
	if !b.begun && r.Header.Get("Expect") != "" {
		return false
	}
	if b.stopped() {
		b.restart()
	}
	b.left = drainLimit
	_, err := io.Copy(io.Discard, b)
	return err == nil
}

// outcome is what becomes of an update.
type outcome struct {
	status int
	text   string
	reason string // of a refusal, for the metrics
	err    error  // our own fault, for the log
}

func refused(reason, text string) outcome {
	return outcome{status: http.StatusOK, text: text, reason: reason}
}

// keepError is an update that the aggregator failed to take.
type keepError struct{ error }

func (e *keepError) Unwrap() error { return e.error }

// kept notes, for whoever asks after our health, whether updates can be kept.
func (s *Server) kept(id string, o outcome) {
	switch {
	case o.err != nil:
		s.log.Error("update failed", "worker", wire.Short(id), "error", o.err)
		var unkept *keepError
		if errors.As(o.err, &unkept) && !errors.Is(o.err, ErrNoRoom) { // that is looked at when asked
			text := unkept.Error()
			s.unkept.Store(&text)
		}
	case o.reason == "":
		s.unkept.Store(nil)
	}
}

func (s *Server) update(v *visit, id string, body *body, r *http.Request) outcome {
	s.mu.Lock()
	now, key := s.workers.standing(id)
	duplicate := s.round.has(id)
	s.mu.Unlock()
	if now != member {
		return refused(now.reason(), string(now))
	}
	if r.ContentLength > maxBody(s.cfg.MaxUpdate) {
		return s.tooLarge()
	}
	if s.full.ofMemory() {
		return s.unreadable(errNoMemory)
	}
	small := 0 <= r.ContentLength && r.ContentLength <= freeOfSeats
	place, err := s.uploads.begin(id, s.gate.workerOf(v) == id, body, !small && !duplicate)
	if err != nil {
		return s.unreadable(err)
	}
	defer s.uploads.end(place)
	if duplicate {
		return s.duplicate(v, key, body, r)
	}
	var form wire.Form
	var digest []byte // that is signed, where that is known before
	if small && !s.cfg.Unsafe {
		whole := shorts.Get().(*bytes.Buffer)
		defer shorts.Put(whole) // the form is of it
		if form, digest, err = s.short(v, key, body, r, whole); err != nil {
			return s.unreadable(err)
		}
	}
	up, err := s.cfg.Aggregator.Begin(id)
	if err != nil {
		return failure(&keepError{err})
	}
	in := &inflating{Upload: up, body: body, ratio: s.cfg.MaxInflation, shares: s.shares, share: newShare(id)}
	if place.seat != nil {
		in.seats = s.uploads.seats
	}
	var got wire.Update
	if digest != nil {
		got, err = form.Inflate(in, s.cfg.MaxUpdate)
	} else {
		got, err = wire.ReadUpdate(in, in, r.Header.Get("Content-Type"), s.cfg.MaxUpdate)
	}
	in.rest()
	good := err == nil
	switch {
	case !good:
	case digest != nil:
		good = bytes.Equal(digest, got.Digest[:])
	default:
		good = s.signed(v, key, got.Signed, got.Digest[:])
	}
	if !good {
		up.Abort()
		s.shares.waste(&in.share)
		if in.err != nil {
			return failure(&keepError{in.err})
		}
		return s.unreadable(err)
	}
	s.gate.waits(v)
	switch now, counts, err := s.accept(id, up); {
	case err != nil:
		return failure(err)
	case now != member:
		return refused(now.reason(), string(now))
	case !counts:
		return refused("duplicate", wire.TextNotAccepted)
	}
	return outcome{status: http.StatusOK, text: wire.TextAccepted + wire.Short(id) + "."}
}

// shorts are buffers of bodies that need no seat.
var shorts = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// short reads a short update and checks its signature before anything is inflated,
// which may take a thousand times as long as there is to read. It gives the form and the
// digest that was signed; its error is one for unreadable. The form is of whole.
func (s *Server) short(v *visit, key ed25519.PublicKey, body io.Reader, r *http.Request, whole *bytes.Buffer) (form wire.Form, digest []byte, err error) {
	whole.Reset()
	if _, err := io.CopyN(whole, body, r.ContentLength); err != nil {
		return wire.Form{}, nil, err
	}
	if form, err = wire.OpenForm(whole.Bytes(), r.Header.Get("Content-Type")); err != nil {
		return wire.Form{}, nil, err
	}
	digest, err = s.verifier.open(v, key, form.Signed, func(message []byte) bool { return len(message) == sha256.Size })
	return form, digest, err
}

// duplicate answers an update of a worker whose update is there already: as if it
// was read, but without inflating it.
func (s *Server) duplicate(v *visit, key ed25519.PublicKey, body io.Reader, r *http.Request) outcome {
	got, err := wire.ReadUpdate(nil, body, r.Header.Get("Content-Type"), s.cfg.MaxUpdate)
	if err != nil || !s.signed(v, key, got.Signed, nil) {
		return s.unreadable(err)
	}
	return refused("duplicate", wire.TextNotAccepted)
}

// signed says whether a phrase is signed by a worker, and is this digest; nil
// stands for any.
func (s *Server) signed(v *visit, key ed25519.PublicKey, phrase string, digest []byte) bool {
	if s.cfg.Unsafe {
		return true
	}
	_, err := s.verifier.open(v, key, phrase, func(message []byte) bool { return digest == nil || bytes.Equal(message, digest) })
	return err == nil
}

// unreadable answers an update that could not be read or, with wire.ErrSignature or no
// error, whose signature is wrong.
func (s *Server) unreadable(err error) outcome {
	var inflate *wire.InflateError
	switch {
	case err == nil, errors.Is(err, wire.ErrSignature):
		return refused("bad signature", wire.TextInvalid)
	case errors.Is(err, wire.ErrTooLarge), errors.Is(err, errBody):
		return s.tooLarge()
	case errors.Is(err, errInflation):
		return outcome{
			status: http.StatusRequestEntityTooLarge,
			text:   fmt.Sprintf("Update refused: it inflates to more than %d times its size.", s.cfg.MaxInflation),
			reason: "inflation",
		}
	case errors.Is(err, errNoMemory):
		return outcome{status: http.StatusServiceUnavailable, text: "Update not accepted: the server has no memory for it - send it again.", reason: "full"}
	case errors.Is(err, errCrowded):
		return outcome{status: http.StatusServiceUnavailable, text: "Update not accepted: too many are on their way - send it again.", reason: "crowded"}
	case errors.Is(err, wire.ErrNoPhrase), errors.Is(err, wire.ErrTwice):
		return refused("malformed", wire.ErrorText(err.Error()))
	case errors.Is(err, wire.ErrNoUpdate):
		return refused("malformed", "'worker_model_update'") // what Python says of a key that is not there
	case errors.As(err, &inflate):
		return refused("malformed", err.Error())
	}
	// The client was cut off or too slow; it may or may not still listen.
	return outcome{status: http.StatusBadRequest, text: "The update could not be read.", reason: "unreadable"}
}

func (s *Server) tooLarge() outcome {
	return outcome{
		status: http.StatusRequestEntityTooLarge,
		text:   fmt.Sprintf("Update refused: it is larger than %d bytes.", s.cfg.MaxUpdate),
		reason: "too large",
	}
}

// failure answers what is our fault.
func failure(err error) outcome {
	if errors.Is(err, ErrNoRoom) {
		return outcome{status: http.StatusInsufficientStorage, text: "Update not accepted: there is no room to keep it.", reason: "no room", err: err}
	}
	return outcome{status: http.StatusInternalServerError, text: "Internal server error.", reason: "failed", err: err}
}
