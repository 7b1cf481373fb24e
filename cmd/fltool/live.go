package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/fltool/fltool/loadgen"
	"github.com/fltool/fltool/reports"
	"github.com/fltool/fltool/reports/render"
)

// liveEvery is how often the live view looks anew, liveFrames how often a second it may
// write.
const (
	liveEvery  = 250 * time.Millisecond
	liveFrames = 10
)

// hasRoom says whether the live view can have the terminal: keys are read from there, it
// is written there, it does more than lines, and it is this process's and nobody else's
// that reads what is piped from here. The last may be overruled.
func hasRoom(cmd *cobra.Command, asked bool) bool {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !onTerminal(in) || !onTerminal(cmd.ErrOrStderr()) || os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" {
		return false
	}
	if group, err := unix.IoctlGetInt(int(in.Fd()), unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return false // in the background it would be stopped
	}
	if out, ok := cmd.OutOrStdout().(*os.File); ok && !asked {
		is, err := out.Stat()
		return err == nil && is.Mode()&os.ModeNamedPipe == 0
	}
	return true
}

// liveView shows runs on the terminal. The run tells it how far it is; it looks by itself
// when it is time, so that a slow terminal holds nobody up.
type liveView struct {
	program *tea.Program
	stderr  *os.File
	style   render.Style
	ended   chan struct{} // the terminal is as it was
	closing chan struct{}
	signals sync.WaitGroup
	plain   loadgen.Follower // should the view have failed

	mu     sync.Mutex
	shown  render.Live
	soFar  func() reports.Report
	closed bool
}

// newLiveView takes the terminal.
func newLiveView(in, stderr *os.File) *liveView {
	v := &liveView{
		stderr: stderr, style: render.Style{Color: colored(stderr)},
		ended: make(chan struct{}), closing: make(chan struct{}), plain: plainProgress(stderr),
	}
	v.program = tea.NewProgram(liveModel{view: v}, tea.WithInput(in), tea.WithOutput(stderr), tea.WithoutSignalHandler(), tea.WithFPS(liveFrames))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	v.signals.Go(func() { v.heed(signals) })
	go func() {
		defer close(v.ended)
		if _, err := v.program.Run(); err != nil && !errors.Is(err, tea.ErrProgramKilled) {
			fmt.Fprintf(stderr, "fltool: no live view: %v\n", err)
		}
	}()
	return v
}

// heed keeps signals from ending the process while the terminal is not as it was. The
// first that asks for an end is for run, as it is without a view; what comes after it
// ends the process at once.
func (v *liveView) heed(signals chan os.Signal) {
	defer signal.Stop(signals)
	told := false
	for {
		select {
		case <-v.closing:
			return
		case s := <-signals:
			if asks := s == os.Interrupt || s == syscall.SIGTERM; asks && !told {
				told = true
				v.mu.Lock()
				v.shown.Ending = true
				v.mu.Unlock()
				continue
			}
			v.leave()
			signal.Stop(signals)
			for { // until run has let go of the first
				raise(s)
				time.Sleep(liveEvery)
			}
		}
	}
}

// raise sends this process a signal.
func raise(s os.Signal) {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(s) // nothing is left to be done about it
	}
}

// tell is the Follower.
func (v *liveView) tell(now reports.Progress, soFar func() reports.Report) {
	select {
	case <-v.ended: // it could not read or write
		v.plain(now, soFar)
		return
	default:
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shown.Now, v.soFar = now, soFar
}

// next begins another run.
func (v *liveView) next(title string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shown.Title, v.shown.Now, v.shown.Limit, v.soFar = title, reports.Progress{}, nil, nil
}

// limit shows the limit that binds the run first; nil: nobody can tell.
func (v *liveView) limit(row *reports.Row) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shown.Limit = row
}

// Write writes whole lines, above the view.
func (v *liveView) Write(b []byte) (int, error) {
	select {
	case <-v.ended:
		return v.stderr.Write(b)
	default:
		v.program.Send(tea.Println(strings.TrimSuffix(string(b), "\n"))())
		return len(b), nil
	}
}

// close gives the terminal back, without the view. It may be called again.
func (v *liveView) close() {
	v.mu.Lock()
	closed := v.closed
	v.mu.Unlock()
	if closed {
		return
	}
	close(v.closing)
	v.signals.Wait()
	v.leave()
}

// leave ends the view.
func (v *liveView) leave() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.program.Quit()
	<-v.ended
}

// text is the view as it is now.
func (v *liveView) text(columns, rows int) string {
	v.mu.Lock()
	shown, soFar := v.shown, v.soFar
	closed := v.closed
	v.mu.Unlock()
	if closed {
		return ""
	}
	if soFar != nil {
		shown.SoFar = soFar()
	}
	return v.style.Live(shown, columns, rows)
}

// liveModel is the view as bubbletea has it.
type liveModel struct {
	view          *liveView
	columns, rows int
}

type lookMsg struct{}

func look() tea.Cmd { return tea.Tick(liveEvery, func(time.Time) tea.Msg { return lookMsg{} }) }

// Init has it look.
func (m liveModel) Init() tea.Cmd { return look() }

// Update heeds keys: q ends as Ctrl-C does.
func (m liveModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case lookMsg:
		return m, look()
	case tea.WindowSizeMsg:
		m.columns, m.rows = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "ctrl+c":
			raise(os.Interrupt)
		case `ctrl+\`:
			raise(syscall.SIGQUIT)
		case "ctrl+z":
			return m, tea.Suspend
		}
	}
	return m, nil
}

// View shows it as it is now.
func (m liveModel) View() tea.View { return tea.NewView(m.view.text(m.columns, m.rows-1)) }
