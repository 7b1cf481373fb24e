package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
)

// emptyFlag is the name of a flag that was given without a value, as --state "$DIR"
// is with DIR unset; "" if there is none.
func emptyFlag(flags *pflag.FlagSet) string {
	name := ""
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.String() == "" {
			name = f.Name
		}
	})
	return name
}

// sizeFlag is a number of bytes on the command line: 13MB and 13M are millions,
// 13MiB are powers of two, a bare number is bytes, and one of few is refused: who
// writes 13 of a model means no 13 bytes.
type sizeFlag int64

var errSize = errors.New("not a size: want for example 512kB, 13MB or 13MiB")

// fewBytes is up to where a bare number is a slip.
const fewBytes = 1 << 10

// Set reads a size; pflag adds the flag and the text to the error.
func (s *sizeFlag) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return errSize
	}
	if _, err := strconv.ParseUint(text, 10, 64); err == nil && n > 0 && n < fewBytes {
		return fmt.Errorf("without a unit that is bytes: write %dB, or for example %dMB", n, n)
	}
	*s = sizeFlag(n)
	return nil
}

// String is the size in the largest unit that says it exactly.
func (s *sizeFlag) String() string {
	for _, unit := range []struct {
		name  string
		bytes sizeFlag
	}{
		{"GiB", humanize.GiByte}, {"GB", humanize.GByte},
		{"MiB", humanize.MiByte}, {"MB", humanize.MByte},
		{"KiB", humanize.KiByte}, {"kB", humanize.KByte},
	} {
		if *s >= unit.bytes && *s%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", *s/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%dB", int64(*s))
}

// Type names the kind of value in a flag's help.
func (*sizeFlag) Type() string { return "size" }
