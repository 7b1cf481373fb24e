package facts

import (
	"fmt"
	"strconv"
	"strings"
)

const fileNrPath = "/proc/sys/fs/file-nr"

// OpenFiles counts open descriptions of the whole host.
type OpenFiles struct {
	Allocated int64 `json:"allocated"`
}

func readFileNr(r Root) (OpenFiles, error) {
	s, err := r.ReadString(fileNrPath)
	if err != nil {
		return OpenFiles{}, err
	}
	return parseFileNr(s)
}

// parseFileNr reads "allocated, free (always 0), fs.file-max".
func parseFileNr(s string) (OpenFiles, error) {
	f := strings.Fields(s)
	if len(f) != 3 {
		return OpenFiles{}, fmt.Errorf("%s: %q is not three counts", fileNrPath, s)
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil || n < 0 {
		return OpenFiles{}, fmt.Errorf("%s: %q is no count", fileNrPath, f[0])
	}
	return OpenFiles{Allocated: n}, nil
}
