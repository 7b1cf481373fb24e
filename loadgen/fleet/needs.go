package fleet

import "fmt"

// What a generator takes. The lines lie above the peaks of its resident memory in runs of
// fltool simulate --rounds 2 --hold 2s against fltool serve, as the reports' resources have
// it (Linux 6.18, Go 1.26, 2 cores); TestNeeds has the figures.
const (
	baseBytes      = 24 << 20
	workerBytes    = 12 << 10
	tlsWorkerBytes = 32 << 10
	bodyTimes      = 4  // of an update's size: it is held as it is and as it is sent
	spareFDs       = 32 // beside one connection a worker; loadgen refuses to start with less
)

// need is a figure with what it rests on.
type need struct {
	value int64
	rests string
}

// memory is what the largest shard takes at its peak.
func (f Fleet) memory() need {
	each, how := int64(workerBytes), ""
	if f.TLS {
		each, how = tlsWorkerBytes, " over TLS"
	}
	workers := int64(f.most())
	return need{
		value: baseBytes + workers*each + bodyTimes*f.UpdateBytes,
		rests: fmt.Sprintf("%d MiB and %d KiB for each of %d workers%s, the line above the peaks that were measured of fltool simulate with 500 to 4000 workers, and %d times an update of %d bytes; the target's models are not known: a large one, inflated, comes on top", baseBytes>>20, each>>10, workers, how, bodyTimes, f.UpdateBytes),
	}
}

// descriptors are those that the largest shard opens.
func (f Fleet) descriptors() need {
	return need{
		value: int64(f.most()) + spareFDs,
		rests: fmt.Sprintf("one connection for each of %d workers, as measured, and %d for all else; simulate looks before it starts, and says how many it may have", f.most(), spareFDs),
	}
}

func mebibytes(bytes int64) int64 { return (bytes + 1<<20 - 1) >> 20 }
