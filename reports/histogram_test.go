package reports

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// A quantile is within 0.1 % of an exact one, whatever was recorded.
func TestQuantile(t *testing.T) {
	check := func(raw []uint32, scale uint8, at uint8) bool {
		if len(raw) == 0 {
			return true
		}
		var h Histogram
		var us []float64
		for _, v := range raw {
			d := time.Duration(v) << (scale % 16) // up to about 39 hours
			h.Record(d)
			us = append(us, float64(max(d, HistogramMin).Microseconds()))
		}
		slices.Sort(us)
		q := float64(at%101) / 100
		// Between two ranks either neighbour is right.
		low := us[max(int(math.Floor(q*float64(len(us)))), 1)-1]
		high := us[max(int(math.Ceil(q*float64(len(us)))), 1)-1]
		got := float64(h.Quantile(q).Microseconds())
		return got >= low*.999-1 && got <= high*1.001+1 && h.Count() == int64(len(us))
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

func TestHistogramRange(t *testing.T) {
	var h Histogram
	if h.Count() != 0 || h.Max() != 0 || h.Quantile(.5) != 0 {
		t.Error("an empty histogram is not empty")
	}
	h.Record(-time.Second)
	h.Record(365 * 24 * time.Hour)
	if h.Count() != 2 || h.Quantile(0) != HistogramMin {
		t.Errorf("%d counted, the least is %v", h.Count(), h.Quantile(0))
	}
	if m := h.Max(); m < HistogramMax || m > HistogramMax+HistogramMax/1000 {
		t.Errorf("the longest is %v", m)
	}
}

// Adding histograms is recording everything into one.
func TestHistogramAdd(t *testing.T) {
	check := func(a, b []uint32) bool {
		var ha, hb, both Histogram
		for _, v := range a {
			ha.Record(time.Duration(v))
			both.Record(time.Duration(v))
		}
		for _, v := range b {
			hb.Record(time.Duration(v))
			both.Record(time.Duration(v))
		}
		ha.Add(hb)
		got, err := json.Marshal(ha)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(both)
		if err != nil {
			t.Fatal(err)
		}
		return string(got) == string(want)
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

// hostileHistograms are well-formed but of ranges that would cost much memory,
// or of counts that overflow a sum.
func hostileHistograms(t testing.TB) []string {
	t.Helper()
	wide := hdr.New(1, math.MaxInt64, 5)
	other := hdr.New(1, 1000, 2)
	full := hdr.New(HistogramMin.Microseconds(), HistogramMax.Microseconds(), histogramDigits)
	if err := full.RecordValues(1, math.MaxInt64/2); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, h := range []*hdr.Histogram{wide, other, full} {
		b, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

func TestHostileHistograms(t *testing.T) {
	for i, want := range []string{"it covers 1 to 9223372036854775807 µs with 5 digits", "it covers 1 to 1000 µs", "more than 281474976710656"} {
		text := hostileHistograms(t)[i]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var h Histogram
		err := h.UnmarshalJSON([]byte(`"` + text + `"`))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("refusing it took %d bytes", n)
		}
	}
}

// seal puts a histogram's inside into its envelope: what a fuzzer would not
// find through base64, a checksum and zlib.
func seal(t testing.TB, inner []byte) string {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(inner); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(hdr.V2CompressedEncodingCookieBase))
	b = binary.BigEndian.AppendUint32(b, uint32(z.Len()))
	return base64.StdEncoding.EncodeToString(append(b, z.Bytes()...))
}

func unseal(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(b[8:]))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

func FuzzHistogram(f *testing.F) {
	for _, ds := range [][]time.Duration{{time.Millisecond}, {0, time.Hour, 9 * 24 * time.Hour}} {
		var h Histogram
		for _, d := range ds {
			h.Record(d)
		}
		b, err := h.MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(unseal(f, string(bytes.Trim(b, `"`))), true)
		f.Add(bytes.Trim(b, `"`), false)
	}
	for _, hostile := range hostileHistograms(f) {
		f.Add(unseal(f, hostile), true)
	}
	f.Add([]byte(nil), false)
	f.Fuzz(func(t *testing.T, data []byte, inside bool) {
		text := string(data)
		if inside {
			text = seal(t, data)
		}
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var h Histogram
		if err := h.UnmarshalJSON(b); err != nil {
			return
		}
		s := h.Series("x")
		if s.P50 > s.P90 || s.P90 > s.P99 || s.P99 > s.P999 || s.P999 > s.Max || s.Count < 0 {
			t.Errorf("%+v", s)
		}
		var sum Histogram
		sum.Add(h)
		sum.Add(h)
		if sum.Count() != 2*h.Count() || sum.Max() != h.Max() {
			t.Errorf("%d counted, twice that is %d", h.Count(), sum.Count())
		}
		first, err := h.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var again Histogram
		if err := again.UnmarshalJSON(first); err != nil {
			t.Fatal(err)
		}
		if second, err := again.MarshalJSON(); err != nil || string(second) != string(first) {
			t.Errorf("%s reads back as %s, %v", first, second, err)
		}
	})
}
