package loadgen

import "context"

// stormed is what becomes of a poll that a storm cuts.
var stormed = failed(classReset, "cut by the storm")

// storm cuts the held polls of all workers at once, as the end of a proxy does. They come
// back by their policy.
func storm(r *run) (play, error) {
	return play{acts: []Act{{Name: "cut all polls", Do: func(context.Context) (string, error) {
		r.t.parking.endAll(r.workers, func(w *worker) *failure {
			if !w.out.held {
				return nil
			}
			return stormed
		})
		return "", nil
	}}}}, nil
}
