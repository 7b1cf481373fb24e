//go:build !linux

package loadgen

import "syscall"

// The kernel says no moment of arrival: that of reading is all that is known.
const stampArrivals = 0

func pickPortLate(uintptr) error { return nil }

// bound can't promise that the child ends with this process.
func bound(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
