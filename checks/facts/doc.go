// Package facts reads a host, its processes and its settings once into plain
// data that can be saved, sent and judged elsewhere. It judges nothing itself,
// and no secret enters: of command lines and environments only named settings
// are kept.
package facts
