package main

import (
	"slices"
	"testing"
)

func TestNear(t *testing.T) {
	ids := []string{"app/nofile", "app/timeout", "nginx/nofile", "host/nr-open"}
	for word, want := range map[string][]string{
		"app/nofle": {"app/nofile"}, "app/nofiel": {"app/nofile"}, "NOFILE": {"app/nofile", "nginx/nofile"}, "app-nofile": {"app/nofile"},
		"nofile": {"app/nofile", "nginx/nofile"}, "xyz": nil, "": nil, "app": {"app/nofile", "app/timeout"},
	} {
		if got := near(word, ids); !slices.Equal(got, want) {
			t.Errorf("near %q: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"ab", "ba", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
