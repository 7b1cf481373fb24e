package facts

import "testing"

// TestSampled: the figures that are read several times a second, as the kernel writes
// them, and what is none of them.
func TestSampled(t *testing.T) {
	for text, want := range map[string]*ProcessorTime{
		"cpu  100 20 30 4000 50 6 7 800 9 10\ncpu0 1 2 3\nintr 5\n": {Busy: 1.63, Stolen: 8, Idle: 40.5},
		"cpu  100 20 30\ncpu0 1 2 3 4 5 6 7 8\n":                    nil,
		"intr 5\n":                                                  nil,
		"":                                                          nil,
	} {
		got, err := ReadProcessorTime(write(t, map[string]string{"proc/stat": text}))
		if want == nil && err == nil || want != nil && (err != nil || got != *want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int{"0.20 0.18 0.12 1/80 11206\n": 11206, "0.20 0.18 0.12\n": 0, "0 0 0 1/80 many\n": 0, "": 0} {
		if got, err := ReadLastProcess(write(t, map[string]string{"proc/loadavg": text})); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
