package server

import (
	"crypto/ed25519"
	"runtime"
	"sync"

	"github.com/fltool/fltool/server/wire"
)

// verifier checks signatures in a few goroutines that live as long as the server.
// Ed25519 needs a deep stack; a connection's goroutine that grew one would keep it
// for as long as its poll is held, thousands of times over.
type verifier struct {
	jobs    chan job
	answers sync.Pool // of chan opened, with room for one
	done    sync.WaitGroup
}

type job struct {
	key     ed25519.PublicKey
	phrase  string
	awaited func(message []byte) bool
	answer  chan<- opened
}

type opened struct {
	message []byte
	err     error
}

func newVerifier() *verifier {
	v := &verifier{jobs: make(chan job), answers: sync.Pool{New: func() any { return make(chan opened, 1) }}}
	for range runtime.GOMAXPROCS(0) {
		v.done.Go(func() {
			for j := range v.jobs {
				message, err := wire.OpenIf(j.key, j.phrase, j.awaited)
				j.answer <- opened{message, err}
			}
		})
	}
	return v
}

// open is wire.OpenIf, for a request of a visit. A desk has a stack that is deep enough.
func (v *verifier) open(of *visit, key ed25519.PublicKey, phrase string, awaited func(message []byte) bool) ([]byte, error) {
	if of != nil && of.desk != nil {
		return wire.OpenIf(key, phrase, awaited)
	}
	answer := v.answers.Get().(chan opened)
	defer v.answers.Put(answer)
	v.jobs <- job{key, phrase, awaited, answer}
	o := <-answer
	return o.message, o.err
}

// close ends the goroutines; nobody may call open any more.
func (v *verifier) close() {
	close(v.jobs)
	v.done.Wait()
}
