package reports

import (
	"encoding/json"
	"fmt"
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
// exactly. The zero value is empty and ready to use; in JSON it is the
// HdrHistogram V2 compressed encoding in base64, in microseconds, or "".
type Histogram struct {
	h *hdr.Histogram
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
	return time.Duration(h.h.ValueAtQuantile(q*100)) * time.Microsecond
}

// Max is the longest duration counted.
func (h Histogram) Max() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Max()) * time.Microsecond
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
	if h.h == nil {
		return []byte(`""`), nil
	}
	b, err := h.h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return json.Marshal(string(b))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	if s == "" {
		h.h = nil
		return nil
	}
	d, err := hdr.Decode([]byte(s))
	if err != nil {
		return fmt.Errorf("histogram: %w", err)
	}
	h.h = d
	return nil
}

func (h *Histogram) hdr() *hdr.Histogram {
	if h.h == nil {
		h.h = hdr.New(HistogramMin.Microseconds(), HistogramMax.Microseconds(), histogramDigits)
	}
	return h.h
}
