package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
)

// followVariable names the descriptor on which a run that another fltool began tells it how
// far it has come: a line of JSON every second, and one at its end.
const followVariable = "FLTOOL_FOLLOW"

// upEvery is the time between two lines.
const upEvery = time.Second

// upLine is a line.
type upLine struct {
	Now   reports.Progress `json:"now"`
	SoFar reports.Report   `json:"soFar"`
}

// upwards tells the process that began this one.
type upwards struct {
	to   *os.File
	next time.Time
}

// upward is to whom this process tells of its runs; nil: nobody asked.
func upward() *upwards {
	fd, err := strconv.ParseUint(os.Getenv(followVariable), 10, 31)
	// The children of this process have not got that descriptor.
	if os.Unsetenv(followVariable) != nil || err != nil || fd < 3 {
		return nil
	}
	return &upwards{to: os.NewFile(uintptr(fd), followVariable)}
}

func (u *upwards) tell(now reports.Progress, soFar func() reports.Report) {
	if at := time.Now(); now.Over || !at.Before(u.next) {
		u.next = at.Add(upEvery)
		// Who does not listen any more misses nothing that is in the run's report.
		_ = json.NewEncoder(u.to).Encode(upLine{now, soFar()})
	}
}

func (u *upwards) close() error { return u.to.Close() }

// hear tells a follower what a child tells on the descriptor that it gets as its third,
// until done, which waits for the child to have ended.
func hear(tell loadgen.Follower) (child *os.File, done func() error, err error) {
	from, child, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	var hearing sync.WaitGroup
	hearing.Go(func() {
		for lines := json.NewDecoder(from); ; {
			var t upLine
			if lines.Decode(&t) != nil {
				break
			}
			tell(t.Now, func() reports.Report { return t.SoFar })
		}
		// What is no line of ours must not keep its writer waiting.
		_, _ = io.Copy(io.Discard, from)
	})
	return child, func() error {
		// What the child left running may have the descriptor.
		err := errors.Join(child.Close(), from.SetReadDeadline(time.Now().Add(upEvery)))
		hearing.Wait()
		return errors.Join(err, from.Close())
	}, nil
}

// runHeard runs a command, and tells a follower how far it has come where it says so.
func runHeard(run *exec.Cmd, tell loadgen.Follower) error {
	child, done, err := hear(tell)
	if err != nil {
		return err
	}
	run.ExtraFiles = []*os.File{child}
	run.Env = append(os.Environ(), followVariable+"=3")
	return errors.Join(run.Run(), done())
}
