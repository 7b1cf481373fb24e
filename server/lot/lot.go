// Package lot is where connections park that nobody waits for.
package lot

// Parked is told, by a goroutine that must not wait, that something has come: bytes
// or the end.
type Parked interface{ Come() }
