package trend

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// What Apache Otava's own tests expect of their series is found here.
func TestOtava(t *testing.T) {
	b, err := os.ReadFile("testdata/otava.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Series map[string][]float64
		Cases  []struct {
			Test, Series string
			Window       int
			P, Least     float64
			At           []int
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 15 {
		t.Fatalf("only %d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		t.Run(c.Test, func(t *testing.T) {
			at := ChangePoints(file.Series[c.Series], Options{Window: c.Window, P: c.P, Least: c.Least})
			if !slices.Equal(at, c.At) {
				t.Errorf("changes at %v, want %v", at, c.At)
			}
		})
	}
}
