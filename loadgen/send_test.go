package loadgen

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fltool/fltool/server/wire"
)

// TestMessages: what is put together by hand is what JSON's encoder makes of it.
func TestMessages(t *testing.T) {
	for _, version := range []wire.Version{"", "1", "-3.5", `"v2"`, `{"a":[1,null]}`} {
		w := &worker{id: "w.1_unauthenticated~x:-", version: version, signed: wire.Sign(testKeys(1)[0], []byte("phrase"))}
		for s, message := range map[step]any{
			stepPoll:  wire.Poll{WorkerID: w.id, LastVersion: version, SignedPhrase: w.signed},
			stepModel: wire.ModelRequest{WorkerID: w.id, SignedPhrase: w.signed},
		} {
			want, err := json.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			w.step = s
			if d := cmp.Diff(string(want), string(w.appendMessage(nil))); d != "" {
				t.Errorf("%s of a worker with version %q (-want +got):\n%s", s, version, d)
			}
		}
	}
}

// TestIDsNeedNoQuoting: whatever a registration may answer stands in JSON as it is.
func TestIDsNeedNoQuoting(t *testing.T) {
	for c := range 256 {
		text := "a" + string([]byte{byte(c)}) + "z"
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if isWord(text) && string(quoted) != `"`+text+`"` {
			t.Errorf("%q is a word, but %s in JSON", text, quoted)
		}
	}
	if isWord("") || isWord(string(make([]byte, 513))) || !isWord("a-Z_0.9~:") {
		t.Error("words")
	}
}
