package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fltool/fltool/server/wire"
)

func TestRates(t *testing.T) {
	r := newRates(2)
	at := time.Now()
	come := func(who string, want int) {
		t.Helper()
		got := 0
		for r.allow(who, at) {
			got++
		}
		if got != want {
			t.Errorf("%d of %s may come at once, want %d", got, who, want)
		}
	}
	come("one", 2*rateBurst)
	come("two", 2*rateBurst)
	at = at.Add(3 * time.Second)
	come("one", 6)
	at = at.Add(rateBurst * time.Second)
	come("three", 2*rateBurst)
	if len(r.by) != 1 {
		t.Errorf("%d are kept, of which two have been slow", len(r.by))
	}
	for i := range 2 * mostRated {
		r.allow(fmt.Sprint(i), at)
	}
	if len(r.by) > mostRated+1 {
		t.Errorf("%d are kept", len(r.by))
	}
	if r.allow("another", at) {
		t.Error("a newcomer has a rate of its own, though there are too many")
	}
	if !newRates(-1).allow("one", at) || !newRates(0.01).allow("one", at) {
		t.Error("the first may not come")
	}
}

// TestAddressRate: strangers of an address wait, workers from there don't.
func TestAddressRate(t *testing.T) {
	keys, ids := workerKeys(2)
	const rate = 0.5 // 5 at once
	_, addr := start(t, Config{Keys: ids, AddressRate: rate, Round: Number(2)})
	cs := registered(t, addr, keys...) // two requests
	r := dialRaw(t, addr)
	ask := func(path, body string) (*http.Response, string) {
		fmt.Fprintf(r, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
		return r.receive(t)
	}
	for range 3 {
		if res, text := ask("/nothing", ""); res.StatusCode != http.StatusNotFound {
			t.Fatal(res.Status, text)
		}
	}
	if res, text := ask("/nothing", ""); res.StatusCode != http.StatusTooManyRequests || text != TextTooFast || res.Header.Get("Retry-After") != "1" {
		t.Error(res.Status, text)
	}
	if res, text := ask(wire.PathModel, "{}"); res.StatusCode != http.StatusOK || text != wire.NoModel {
		t.Error(res.Status, text)
	}
	// An update's bounds are others.
	if res, text := ask(wire.PathUpdate+"/x", "x"); res.StatusCode != http.StatusOK || text != wire.TextInvalid {
		t.Error(res.Status, text)
	}
	for _, c := range cs {
		for range 20 {
			c.model()
		}
		c.accepted("u")
	}
}

// TestWorkerRate: what a worker's key has signed counts, and what anybody sends in its
// name does not.
func TestWorkerRate(t *testing.T) {
	keys, ids := workerKeys(2)
	_, addr := start(t, Config{Keys: ids, WorkerRate: 0.5})
	c := registered(t, addr, keys[0])[0]
	other := newClient(t, addr, keys[1])
	for range 20 {
		forged := wire.ModelRequest{WorkerID: c.id, SignedPhrase: other.sign([]byte(other.challenge()))}
		if text := c.post(wire.PathModel, forged); text != wire.TextInvalid {
			t.Fatal(text)
		}
	}
	for range 4 { // and its registration
		c.model()
	}
	asked := wire.ModelRequest{WorkerID: c.id, SignedPhrase: c.sign([]byte(c.challenge()))}
	if text := c.post(wire.PathModel, asked); text != wire.NoModel {
		t.Errorf("%q", text)
	}
	res, text, err := c.do(t.Context(), "POST", wire.PathRegister, "application/json",
		fmt.Appendf(nil, `{"public_key_str": %q, "signed_phrase": %q}`, c.id, c.sign([]byte(wire.RegisterPhrase))))
	if err != nil || res.StatusCode != http.StatusTooManyRequests || !strings.HasPrefix(text, "Too many") {
		t.Error(res, text, err)
	}
	if text := other.register(); text != other.id {
		t.Errorf("another is answered %q", text)
	}
}
