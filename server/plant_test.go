//go:build !faulty

package server

import (
	"net/http"
	"testing"
)

// The server that is built without the tag has no fault in it.
func TestNothingPlanted(t *testing.T) {
	h := &struct{ http.Handler }{}
	if plant(h) != http.Handler(h) {
		t.Error("something stands between the network and the routes")
	}
}
