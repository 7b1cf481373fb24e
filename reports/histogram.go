package reports

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The range of a Histogram. Longer times count as the longest.
const (
	HistogramMin = time.Microsecond
	HistogramMax = 7 * 24 * time.Hour

	histogramDigits = 3 // significant: every value within 0.1 %
)

// Histogram counts durations so that histograms of several generators add up
// exactly. The zero value is empty and ready to use; a copy shares what it
// counted with the original. In JSON it is the HdrHistogram V2 compressed
// encoding in base64, in microseconds, or "".
type Histogram struct {
	// Packed: a report holds a dozen, a merge a dozen a shard, mostly empty.
	h *hdr.PackedHistogram
}

// Record counts one duration. Durations outside the range count as its ends.
func (h *Histogram) Record(d time.Duration) {
	us := min(max(d, HistogramMin), HistogramMax).Microseconds()
	// In range by the line above, and RecordValue fails on nothing else.
	_ = h.hdr().RecordValue(us)
}

// Add counts all that other counted.
func (h *Histogram) Add(other Histogram) {
	if other.h != nil {
		// Nothing is dropped: one range, and counts that Decode bounds.
		h.hdr().Merge(other.h)
	}
}

// Count is the number of durations counted.
func (h Histogram) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Quantile is the duration that the share q (0 to 1) of all stays at or below;
// zero where nothing was counted.
func (h Histogram) Quantile(q float64) time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.ValueAtPercentile(q*100)) * time.Microsecond
}

// Max is the longest duration counted, within 0.1 %; zero where nothing was.
func (h Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.Max()) * time.Microsecond
}

// Sum is that of all durations counted, within 0.1 %.
func (h Histogram) Sum() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Mean() * float64(h.h.TotalCount()) * float64(time.Microsecond))
}

// Bars are the durations counted, the shortest first, each with how many: those within
// 0.1 % of each other are one.
func (h Histogram) Bars() iter.Seq2[time.Duration, int64] {
	return func(yield func(time.Duration, int64) bool) {
		if h.h == nil {
			return
		}
		h.h.ForEachBucket(func(us, n int64) bool { return yield(time.Duration(us)*time.Microsecond, n) })
	}
}

// Series summarises the histogram in seconds.
func (h Histogram) Series(name string) Series {
	return Series{
		Name: name, Unit: "s", Count: h.Count(),
		P50: h.Quantile(.5).Seconds(), P90: h.Quantile(.9).Seconds(), P99: h.Quantile(.99).Seconds(),
		P999: h.Quantile(.999).Seconds(), Max: h.Max().Seconds(), Histogram: h,
	}
}

// MarshalJSON writes the base64 text.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.Count() == 0 {
		return []byte(`""`), nil
	}
	b, err := h.h.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return json.Marshal(string(b))
}

// UnmarshalJSON reads what MarshalJSON wrote, and no histogram of another
// range: those would not add up, and a hostile one would fill the memory.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	h.h = nil
	if s == "" {
		return nil
	}
	if err := checkHistogram(s); err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	d, err := hdr.DecodePacked([]byte(s))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	if d.TotalCount() > maxHistogramCount {
		return fmt.Errorf("histogram: it counts more than %d durations", int64(maxHistogramCount))
	}
	h.h = d
	return nil
}

// maxHistogramCount keeps the sum over any number of shards within an int64.
const maxHistogramCount = 1 << 48

// checkHistogram reads the header of an encoded histogram alone and holds it
// to our range, before the decoder allocates what the header asks for.
// https://github.com/HdrHistogram/HdrHistogram/blob/master/src/main/java/org/HdrHistogram/AbstractHistogram.java
// describes the layout: cookie, length and zlib; inside, big-endian: cookie,
// payload length, index offset, digits (int32 each), lowest, highest (int64).
func checkHistogram(s string) error {
	const outer = 8
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	if len(b) < outer {
		return io.ErrUnexpectedEOF
	}
	z, err := zlib.NewReader(bytes.NewReader(b[outer:]))
	if err != nil {
		return err
	}
	defer z.Close()
	var head struct {
		Cookie, Payload, Offset, Digits int32
		Lowest, Highest                 int64
	}
	if err := binary.Read(z, binary.BigEndian, &head); err != nil {
		return err
	}
	if head.Digits != histogramDigits || head.Lowest != HistogramMin.Microseconds() || head.Highest != HistogramMax.Microseconds() {
		return fmt.Errorf("it covers %d to %d µs with %d digits, not %d to %d µs with %d",
			head.Lowest, head.Highest, head.Digits, HistogramMin.Microseconds(), HistogramMax.Microseconds(), histogramDigits)
	}
	return nil
}

func (h *Histogram) hdr() *hdr.PackedHistogram {
	if h.h == nil {
		h.h = hdr.NewPacked(HistogramMin.Microseconds(), HistogramMax.Microseconds(), histogramDigits)
	}
	return h.h
}
