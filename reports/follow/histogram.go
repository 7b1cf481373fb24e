package follow

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/fltool/fltool/reports"
)

// The resolution of a native histogram: a bucket's end is 2^(1/8) of its beginning, 9 %
// above. See https://prometheus.io/docs/specs/native_histograms/.
const nativeSchema = 3

// bounds are the upper ends of the classic buckets, in seconds: 1, 2.5 and 5 of each power
// of ten.
var bounds = func() (all []float64) {
	for ten := -4; ten <= 3; ten++ {
		for _, x := range []float64{1, 2.5, 5} {
			all = append(all, x*math.Pow(10, float64(ten)))
		}
	}
	return all
}()

// histogram is a metric of durations in both of Prometheus's forms: classic buckets, and
// native ones for who asks for these.
type histogram struct {
	desc   *prometheus.Desc
	of     reports.Histogram
	labels []*dto.LabelPair
}

func newHistogram(desc *prometheus.Desc, of reports.Histogram, labels ...string) prometheus.Metric {
	return histogram{desc, of, prometheus.MakeLabelPairs(desc, labels)}
}

// Desc describes it.
func (h histogram) Desc() *prometheus.Desc { return h.desc }

// Write fills in the message.
func (h histogram) Write(m *dto.Metric) error {
	m.Label = h.labels
	schema, none, zero, sum, count := int32(nativeSchema), uint64(0), 0., h.of.Sum().Seconds(), uint64(h.of.Count())
	m.Histogram = &dto.Histogram{
		SampleCount: &count, SampleSum: &sum, Bucket: classic(h.of),
		Schema: &schema, ZeroThreshold: &zero, ZeroCount: &none,
	}
	m.Histogram.PositiveSpan, m.Histogram.PositiveDelta = native(h.of)
	return nil
}

// classic are the cumulative counts up to each bound.
func classic(of reports.Histogram) []*dto.Bucket {
	counts := make([]uint64, len(bounds)+1)
	for d, n := range of.Bars() {
		i, _ := slices.BinarySearch(bounds, d.Seconds())
		counts[i] += uint64(n)
	}
	all := make([]*dto.Bucket, len(bounds))
	sum := uint64(0)
	for i, bound := range bounds {
		sum += counts[i]
		all[i] = &dto.Bucket{UpperBound: &bound, CumulativeCount: new(sum)}
	}
	return all
}

// native are runs of buckets that follow each other, with the distance from the run before,
// and the counts of all, each as the difference from the one before.
func native(of reports.Histogram) (spans []*dto.BucketSpan, deltas []int64) {
	var counts []int64
	next := int32(0) // the bucket behind the last one
	for d, n := range of.Bars() {
		at := bucketOf(d)
		switch {
		case len(counts) > 0 && at < next: // the same bucket again
			counts[len(counts)-1] += n
			continue
		case len(spans) > 0 && at == next:
			*spans[len(spans)-1].Length++
		default:
			spans = append(spans, &dto.BucketSpan{Offset: new(at - next), Length: new(uint32(1))})
		}
		counts, next = append(counts, n), at+1
	}
	if len(spans) == 0 {
		// A span of nothing tells an empty native histogram from a classic one.
		return []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}, nil
	}
	last := int64(0)
	for _, n := range counts {
		deltas = append(deltas, n-last)
		last = n
	}
	return spans, deltas
}

// bucketOf is the native bucket of a duration: the i-th ends at 2^(i/8) s, and has its end.
func bucketOf(d time.Duration) int32 {
	return int32(math.Ceil(math.Log2(d.Seconds()) * (1 << nativeSchema)))
}
