package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/fltool/fltool/server/wire"
)

const (
	// bombBytes is what a bomb inflates to: a thousand times its size.
	bombBytes = 8 << 20
	// So many updates are made that are then forged again and again.
	looted = 64
)

// loot is an update that strangers have, with what its worker would sign.
type loot struct {
	form   wire.UpdateForm
	digest wire.Digest
}

func newLoot(update []byte) (l loot, err error) {
	z, digest, err := wire.CompressUpdate(bytes.NewReader(update))
	if err != nil {
		return loot{}, err
	}
	form, err := wire.NewUpdateForm(z)
	return loot{form, digest}, err
}

// newLoots makes a bomb and others, whose bytes the seed gives.
func newLoots(seed uint64) (bomb loot, others []loot, err error) {
	bomb, err = newLoot(make([]byte, bombBytes))
	rng := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- a plan that can be repeated
	for i := 0; i < looted && err == nil; i++ {
		b := make([]byte, 1+rng.IntN(100))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		var one loot
		one, err = newLoot(b)
		others = append(others, one)
	}
	return bomb, others, err
}

func (a *attacker) worker() string { return a.Workers[a.rng.IntN(len(a.Workers))] }

// request is one of HTTP/1.1 with a body.
func request(method, path, contentType string, body []byte) []byte {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: fltool\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", method, path, contentType, len(body))
	return append([]byte(head), body...)
}

func message(path string, m any) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // none of the protocol's messages can fail
	}
	return request("POST", path, "application/json", b)
}

// signed is a phrase as an attacker can make it: of a challenge that is the worker's, by
// a key that is not; or none at all.
func (a *attacker) signed(message []byte) string {
	switch a.rng.IntN(4) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("0", 2*64) + fmt.Sprintf("%x", message)
	case 2:
		return fmt.Sprintf("%x", a.noise())
	}
	return wire.Sign(a.key, message)
}

// claim is a stolen id, with a challenge that it was given if there is one.
func (a *attacker) claim() (id, phrase string) {
	if a.phrase != "" {
		id, phrase = a.about, a.phrase
		a.phrase = ""
		return id, phrase
	}
	return a.worker(), strings.Repeat("0", 56)
}

func (a *attacker) challenge() []byte {
	a.about = a.worker()
	return fmt.Appendf(nil, "GET %s/%s HTTP/1.1\r\nHost: fltool\r\n\r\n", wire.PathChallenge, a.about)
}

func (a *attacker) registration() []byte {
	return message(wire.PathRegister, wire.Register{PublicKey: a.worker(), SignedPhrase: a.signed([]byte(wire.RegisterPhrase))})
}

func (a *attacker) forgedPoll() []byte {
	id, phrase := a.claim()
	return message(wire.PathPoll, wire.Poll{WorkerID: id, LastVersion: wire.VersionInt(int64(a.rng.IntN(3))), SignedPhrase: a.signed([]byte(phrase))})
}

func (a *attacker) forgedModel() []byte {
	id, phrase := a.claim()
	return message(wire.PathModel, wire.ModelRequest{WorkerID: id, SignedPhrase: a.signed([]byte(phrase))})
}

func (a *attacker) replay() []byte {
	if len(a.Replays) == 0 {
		return a.forgedModel()
	}
	m := a.Replays[a.rng.IntN(len(a.Replays))]
	if a.rng.IntN(2) == 0 {
		return message(wire.PathModel, m)
	}
	return message(wire.PathPoll, wire.Poll{WorkerID: m.WorkerID, LastVersion: wire.VersionInt(1), SignedPhrase: m.SignedPhrase})
}

func (a *attacker) update(l *loot) []byte {
	segments := l.form.Segments(a.signed(l.digest[:]))
	var b bytes.Buffer
	_, _ = segments.WriteTo(&b) // memory takes all
	return request("POST", wire.PathUpdate+"/"+a.worker(), l.form.ContentType, b.Bytes())
}

func (a *attacker) forgedUpdate() []byte { return a.update(&a.loots[a.rng.IntN(len(a.loots))]) }
func (a *attacker) bomb() []byte         { return a.update(&a.bombed) }

// oversize announces more than any server should take, and waits for leave.
func (a *attacker) oversize() []byte {
	return fmt.Appendf(nil, "POST %s/%s HTTP/1.1\r\nHost: fltool\r\nExpect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n",
		wire.PathUpdate, a.worker(), int64(1)<<(40+a.rng.IntN(20)))
}

func (a *attacker) brokenForm() []byte {
	part := "--b\r\nContent-Disposition: form-data; name=\"worker_model_update\"; filename=\"u\"\r\n\r\n"
	body := [][]byte{
		a.noise(),
		[]byte(part + "x"),
		[]byte(part + "x\r\n--b--"),
		[]byte(strings.Repeat(part+"x\r\n", 50) + "--b--"),
		[]byte("--b\r\nContent-Disposition: " + strings.Repeat("y", 5000) + "\r\n\r\nx\r\n--b--"),
		append([]byte(part), a.noise()...),
		nil,
	}[a.rng.IntN(7)]
	return request("POST", wire.PathUpdate+"/"+a.worker(), "multipart/form-data; boundary=b", body)
}

func (a *attacker) brokenMessage() []byte {
	path := []string{wire.PathRegister, wire.PathPoll, wire.PathModel}[a.rng.IntN(3)]
	body := []string{
		strings.Repeat("[", 10000), strings.Repeat(`{"a":`, 5000), `{"worker_id": 1e999999}`, `{"worker_id": null, "signed_phrase": {}}`,
		`{"public_key_str": "` + strings.Repeat("a", 30000) + `"}`, "", "{", "\x00\xff", string(a.noise()),
	}[a.rng.IntN(9)]
	return request("POST", path, "application/json", []byte(body))
}

func (a *attacker) headers() []byte {
	var b strings.Builder
	b.WriteString("GET / HTTP/1.1\r\nHost: fltool\r\n")
	for i := range 300 {
		fmt.Fprintf(&b, "X-%d: %s\r\n", i, strings.Repeat("y", 100))
	}
	return []byte(b.String() + "\r\n")
}

// noise is a few bytes of any values.
func (a *attacker) noise() []byte {
	b := make([]byte, 1+a.rng.IntN(100))
	_, _ = a.noises.Read(b) // never fails
	return b
}

// noHTTP is bytes that end as a head does.
func (a *attacker) noHTTP() []byte { return append(a.noise(), "\r\n\r\n"...) }

func (a *attacker) twoLengths() []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: fltool\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /workers HTTP/1.1\r\nHost: fltool\r\n\r\n", wire.PathModel)
}

func (a *attacker) admin() []byte {
	path := wire.PathWorkers + "/" + a.worker()
	method := []string{"DELETE", "PUT", "POST", "GET"}[a.rng.IntN(4)]
	if a.rng.IntN(2) == 0 {
		path = wire.PathWorkers
	}
	return request(method, path, "application/json", []byte(`{"registered": false}`))
}

func (a *attacker) otherPath() []byte {
	path := []string{"/", "/../../etc/passwd", "/metrics", "/debug/pprof/heap", "//register_worker", "/%2e%2e/workers", "/wp-login.php"}[a.rng.IntN(7)]
	return request([]string{"GET", "POST", "OPTIONS", "TRACE"}[a.rng.IntN(4)], path, "text/plain", nil)
}
