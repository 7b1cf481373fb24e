package reports

import (
	"reflect"
	"testing"
)

// TestAddDrill adds up two parts of a fleet: a share of all is back when it is in both,
// and a part that nothing befell keeps nobody waiting.
func TestAddDrill(t *testing.T) {
	a := Drill{Policy: "resilient", Cut: 3, Workers: 3, Requests: 7, Failed: map[string]int{"refused": 2}, ConnectsPeak: 3, UpdatesJudged: true,
		Recovered: []Moment{{.5, 1}, {.9, 2}, {.99, 2}, {1, 3}},
		Acts:      []Act{{Command: "x", At: 2, Seconds: 1, Lost: 3, Workers: 3, Recovered: []Moment{{.5, 1}}}}}
	b := Drill{Policy: "resilient", Cut: 2, Workers: 2, Away: 1, Requests: 9, Failed: map[string]int{"refused": 1, "5xx": 4}, ConnectsPeak: 5,
		Recovered: []Moment{{.5, 4}},
		Acts:      []Act{{Command: "x", At: 1, Seconds: 3, Failed: "it did", Lost: 2, Workers: 2, Recovered: []Moment{{.5, 4}}}}}
	want := Drill{Policy: "resilient", Cut: 5, Workers: 5, Away: 1, Requests: 16, Failed: map[string]int{"refused": 3, "5xx": 4}, ConnectsPeak: 8,
		Recovered: []Moment{{.5, 4}},
		Acts:      []Act{{Command: "x", At: 1, Seconds: 3, Failed: "it did", Lost: 5, Workers: 5, Recovered: []Moment{{.5, 4}}}}}
	if got := addDrill(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	calm := Drill{Policy: "upstream"}
	if got := addDrill(a, calm); !reflect.DeepEqual(got.Recovered, a.Recovered) || got.Policy != "" {
		t.Errorf("%+v", got)
	}
	if got := addDrill(calm, b); !reflect.DeepEqual(got.Recovered, b.Recovered) {
		t.Errorf("%+v", got)
	}
}
