package loadgen

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/server/wire"
)

// TestHostileTells what servers answer that should not.
func TestHostileTells(t *testing.T) {
	id := strings.Repeat("a", 64)
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		want   func(reports.HostileKind) int
	}{
		"refuses":        {func(w http.ResponseWriter) { write(w, 200, wire.TextInvalid) }, func(c reports.HostileKind) int { return c.Refused }},
		"registers":      {func(w http.ResponseWriter) { write(w, 200, id) }, func(c reports.HostileKind) int { return c.Through }},
		"accepts":        {func(w http.ResponseWriter) { write(w, 200, wire.TextAccepted+"aaaaaaaa.") }, func(c reports.HostileKind) int { return c.Through }},
		"notifies":       {func(w http.ResponseWriter) { write(w, 200, wire.TextUpdated) }, func(c reports.HostileKind) int { return c.Through }},
		"evicts":         {func(w http.ResponseWriter) { write(w, 200, wire.TextSuperseded(id)) }, func(c reports.HostileKind) int { return c.Through }},
		"breaks":         {func(w http.ResponseWriter) { write(w, 500, "Internal server error.") }, func(c reports.HostileKind) int { return c.Broken }},
		"is full":        {func(w http.ResponseWriter) { write(w, 503, "Full.") }, func(c reports.HostileKind) int { return c.Busy }},
		"gives no model": {func(w http.ResponseWriter) { write(w, 200, wire.NoModel) }, func(c reports.HostileKind) int { return c.Refused }},
		"cuts":           {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, func(c reports.HostileKind) int { return c.Cut }},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tt.answer(w) }))
			defer s.Close()
			h := Hostile{Address: s.Listener.Addr().String(), Workers: []string{id}, Requests: 100, Connections: 2}
			counts, err := h.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all, want := 0, 0
			for _, c := range counts {
				all += c.All()
				want += tt.want(c)
			}
			// Some never reach a handler.
			if all != 100 || want < 50 {
				t.Errorf("%d of %d: %+v", want, all, counts)
			}
		})
	}
	h := Hostile{Address: "127.0.0.1:1", Workers: []string{id}, Requests: 200}
	if _, err := h.Run(t.Context()); err == nil {
		t.Error("no server, and no error")
	}
}

func write(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // who is gone needs no answer
}
