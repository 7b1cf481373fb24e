package main

import "testing"

func TestSizeFlag(t *testing.T) {
	for _, tt := range []struct {
		text string
		want sizeFlag
		back string
	}{
		{"0", 0, "0B"},
		{"1023B", 1023, "1023B"},
		{"1024", 1024, "1KiB"},
		{"13MB", 13_000_000, "13MB"},
		{"13M", 13_000_000, "13MB"},
		{"13MiB", 13 << 20, "13MiB"},
		{"1.5kB", 1500, "1500B"},
		{"512 kib", 512 << 10, "512KiB"},
		{"2GB", 2_000_000_000, "2GB"},
	} {
		var s sizeFlag
		if err := s.Set(tt.text); err != nil || s != tt.want || s.String() != tt.back {
			t.Errorf("%q: %d %q %v, want %d %q", tt.text, s, s.String(), err, tt.want, tt.back)
		}
	}
	for _, text := range []string{"", "MB", "-1", "13 parrots", "1e30", "17EiB", "13", "1023"} {
		s := sizeFlag(7)
		if err := s.Set(text); err == nil || s != 7 {
			t.Errorf("%q: want an error and the old value, got %d, %v", text, s, err)
		}
	}
}
