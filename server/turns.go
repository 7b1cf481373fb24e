package server

import "sync"

// turns lets those that want the same worker go one after the other.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn ends
}

// take waits for a worker's turn and gives what ends it.
func (t *turns) take(id string) (end func()) {
	t.mu.Lock()
	for t.taken[id] != nil {
		before := t.taken[id]
		t.mu.Unlock()
		<-before
		t.mu.Lock()
	}
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	t.taken[id] = mine
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		delete(t.taken, id)
		t.mu.Unlock()
		close(mine)
	}
}
