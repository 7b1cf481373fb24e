// Package lot is where connections park that nobody waits for.
package lot

// Parked is told, by a goroutine that must not wait, that something has come, bytes or
// the end; or that it may have: whoever reads nothing parks again.
type Parked interface{ Come() }
