package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// startTime reads --start-at: a moment, or how long from now it is. The zero time is at
// once.
func startTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if after, relative := strings.CutPrefix(s, "+"); relative {
		var d time.Duration
		d, err = time.ParseDuration(after)
		at = now.Add(d)
	}
	switch {
	case err != nil:
		return at, usageError("", "--start-at %s: want a time such as %s, or +30s", s, now.UTC().Add(time.Minute).Format(time.RFC3339))
	case at.Before(now):
		return at, usageError("choose a later time; the clocks of all machines must agree", "--start-at %s: that was %s ago", s, now.Sub(at).Round(time.Millisecond))
	}
	return at, nil
}

// awaitStart waits for the common start of a run. What has taken longer to prepare starts
// at once: the reports' merge tells how far apart shards began.
func awaitStart(ctx context.Context, at time.Time, stderr io.Writer) error {
	left := time.Until(at)
	if at.IsZero() || left <= 0 {
		return nil
	}
	fmt.Fprintf(stderr, "ready; starts at %s, in %s\n", at.UTC().Format(time.RFC3339), left.Round(time.Second))
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return cantError("", "%w", ctx.Err())
	}
}
