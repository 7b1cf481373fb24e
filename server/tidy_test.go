package server

import "testing"

func TestPercentOf(t *testing.T) {
	for mb, want := range map[uint64]int{0: 50, 40: 50, 56: 50, 112: 25, 187: 15, 10_000: 15} {
		if got := percentOf(mb << 20); got != want {
			t.Errorf("of %d MB: %d %%, want %d", mb, got, want)
		}
	}
}
