package server

import (
	"context"
	"io"
)

// Aggregator makes the next global model out of a round's updates. Its updates
// come from many goroutines at once; Aggregate is called by one, for one round
// after the other, while updates for the next may already come.
type Aggregator interface {
	// Begin takes an update that a worker is about to send. What is written to it
	// is worth nothing before Commit: the signature comes last.
	Begin(worker string) (Upload, error)

	// Aggregate gives the next model, or nil where it stays the same. After an error,
	// or a crash, it is called again with the same round.
	Aggregate(ctx context.Context, round Round) ([]byte, error)
}

// Upload is one update on its way. It ends with either Commit or Abort.
type Upload interface {
	io.Writer

	// Commit keeps the update for the round of that number. Once it returns nil,
	// what Aggregate needs of the update survives a crash. A worker that was cut
	// off before it was told may commit an update for the same round again.
	Commit(round int64) error

	// Abort lets go of the update.
	Abort()
}

// Round is a closed one.
type Round struct {
	Number  int64
	Workers []string               // whose updates count; others may have been committed
	Model   func() ([]byte, error) // decodes what they worked on
}

// Counter is the aggregator that needs no updates: it publishes the same model
// again, as the server of dc_federated's stress test does.
type Counter struct{}

// Begin gives an Upload that forgets what it gets.
func (Counter) Begin(string) (Upload, error) { return forget{io.Discard}, nil }

// Aggregate leaves the model as it is.
func (Counter) Aggregate(context.Context, Round) ([]byte, error) { return nil, nil }

type forget struct{ io.Writer }

func (forget) Commit(int64) error { return nil }
func (forget) Abort()             {}
