package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runPrivately runs a program of root's where it can change nothing: every mount is
// read-only, the directories named are copies that vanish and missing ones are made
// in them, and there is no network.
// said is what it printed, ok whether it exited with 0. The error says why it was not
// run: this needs root, and Linux 5.12.
func runPrivately(ctx context.Context, line, writable, missing []string) (said string, ok bool, err error) {
	type result struct {
		said string
		ok   bool
		err  error
	}
	done := make(chan result, 1)
	var start func()
	start = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespaces
		if unix.Gettid() == os.Getpid() {
			go start() // not on the main thread, which does not end
			<-ctx.Done()
			runtime.UnlockOSThread()
			return
		}
		var r result
		if r.err = enterPrivate(writable, missing); r.err == nil {
			r.said, r.ok, r.err = runHere(ctx, line)
		}
		done <- r
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go start()
	r := <-done
	return r.said, r.ok, r.err
}

// enterPrivate moves the calling thread into namespaces of its own.
func enterPrivate(writable, missing []string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("private namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// Addresses of this host's that the empty network lacks can be bound all the
	// same; where this can't be set nginx says so, and is not believed.
	for _, family := range []string{"ipv4", "ipv6"} {
		_ = os.WriteFile("/proc/sys/net/"+family+"/ip_nonlocal_bind", []byte("1"), 0)
	}
	const scratch = "/sys" // nginx needs nothing of it
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting a scratch: %w", err)
	}
	for i, dir := range writable {
		if strings.ContainsAny(dir, `:,\`) {
			return fmt.Errorf("%s can't be an overlay", dir)
		}
		upper, work := fmt.Sprintf("%s/u%d", scratch, i), fmt.Sprintf("%s/w%d", scratch, i)
		if err := errors.Join(os.Mkdir(upper, 0o700), os.Mkdir(work, 0o700)); err != nil {
			return err
		}
		if err := unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work); err != nil {
			return fmt.Errorf("overlay of %s: %w", dir, err)
		}
	}
	for _, dir := range missing {
		for _, within := range writable {
			if strings.HasPrefix(dir, within+"/") {
				if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- as nginx's own log directory; it vanishes
					return err
				}
			}
		}
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("making mounts read-only: %w", err)
	}
	for _, dir := range writable {
		if err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("overlay of %s: %w", dir, err)
		}
	}
	return nil
}

// runHere runs it as a child of the calling thread.
func runHere(ctx context.Context, line []string) (said string, ok bool, err error) {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...) // #nosec G204 -- root's own nginx, or what a flag names
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return out.String(), false, nil
	}
	return out.String(), err == nil, err
}
