package nginx

import (
	"errors"
	"net/url"
	"strings"
)

var errBadPath = errors.New("nginx refuses the path with 400")

// normalize is what nginx compares locations with: decoded, without query,
// with "." and ".." followed and, unless merge_slashes is off, "//" as "/".
func normalize(path string, mergeSlashes bool) (string, error) {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if !strings.HasPrefix(path, "/") {
		return "", errBadPath
	}
	path, err := url.PathUnescape(path)
	if err != nil || strings.Contains(path, "\x00") {
		return "", errBadPath
	}
	var parts []string
	split := strings.Split(path[1:], "/")
	for i, part := range split {
		last := i == len(split)-1
		switch {
		case part == "" && !last && mergeSlashes:
		case part == ".", part == "..":
			if part == ".." {
				if len(parts) == 0 {
					return "", errBadPath
				}
				parts = parts[:len(parts)-1]
			}
			if last {
				parts = append(parts, "")
			}
		default:
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/"), nil
}
