package server

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// journal is a file of records that is only ever appended to. Every byte of it is
// below a checksum, and the file says how far it was synced, so that a wrong byte
// and a missing end are seen, and told from what a process that was killed left
// half written. Numbers are little-endian:
//
//	head:   magic, 8 bytes of synced length, CRC-32C of both
//	record: 4 bytes of payload's length, its CRC-32C, CRC-32C of these two, payload
//
// Within the synced length all must be right. What follows was never acknowledged:
// records of it that are whole count, and the first that is not ends the file.
type journal struct {
	path string

	turn   sync.Mutex // of who writes to the file
	file   *os.File   // locked against other processes
	size   int64
	broken error // a sync failed: what is on disk is not known any more
	last   atomic.Pointer[error]

	mu   sync.Mutex
	next *batch // gathers while another is written; nil: none yet
}

// batch is the records of several callers that share one sync.
type batch struct {
	b       []byte
	written bool
	err     error
}

const (
	journalMagic = "fltool-1"
	headSize     = len(journalMagic) + 8 + 4
	frameSize    = 12
	maxRecord    = 1 << 20

	// A server that ends may have the lock for a moment yet.
	lockPatience = time.Second / 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func journalHead(synced int64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte(journalMagic), uint64(synced))
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// appendFrame appends a payload as a record.
func appendFrame(b, payload []byte) []byte {
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	frame = binary.LittleEndian.AppendUint32(frame, checksum(payload))
	frame = binary.LittleEndian.AppendUint32(frame, checksum(frame))
	return append(append(b, frame...), payload...)
}

// errHalf is a record that is not whole.
var errHalf = errors.New("a record is damaged")

// readJournal gives each the payloads of a journal of size bytes, and says where
// the last whole record ends. Its errors wrap ErrStateDamaged, or are those of
// each, or of reading.
func readJournal(r io.Reader, size int64, each func([]byte) error) (end int64, err error) {
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		if size < int64(headSize) {
			return 0, fmt.Errorf("%w: %d bytes are left of it", ErrStateDamaged, size)
		}
		return 0, err
	}
	synced := int64(binary.LittleEndian.Uint64(head[len(journalMagic):]))
	switch {
	case string(head[:len(journalMagic)]) != journalMagic:
		return 0, fmt.Errorf("%w: it does not begin as a state does", ErrStateDamaged)
	case string(head) != string(journalHead(synced)), synced < int64(headSize):
		return 0, fmt.Errorf("%w: its head has a wrong checksum", ErrStateDamaged)
	case size < synced:
		return 0, fmt.Errorf("%w: %d bytes of %d are left", ErrStateDamaged, size, synced)
	}
	for end = int64(headSize); end < size; {
		payload, err := readRecord(r, size-end)
		switch {
		case errors.Is(err, errHalf) && end >= synced:
			return end, nil
		case errors.Is(err, errHalf):
			return 0, fmt.Errorf("%w: the record at byte %d has a wrong checksum", ErrStateDamaged, end)
		case err != nil:
			return 0, err
		}
		if err := each(payload); err != nil {
			return 0, fmt.Errorf("the record at byte %d: %w", end, err)
		}
		end += frameSize + int64(len(payload))
	}
	return end, nil
}

// readRecord reads a record of no more than left bytes.
func readRecord(r io.Reader, left int64) ([]byte, error) {
	var frame [frameSize]byte
	if left < frameSize {
		return nil, errHalf
	}
	if _, err := io.ReadFull(r, frame[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(frame[:])
	if checksum(frame[:8]) != binary.LittleEndian.Uint32(frame[8:]) || length > maxRecord || int64(length) > left-frameSize {
		return nil, errHalf
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	if checksum(payload) != binary.LittleEndian.Uint32(frame[4:]) {
		return nil, errHalf
	}
	return payload, nil
}

// openJournal opens and locks a journal, or makes an empty one, which is the only
// thing that it changes.
func openJournal(path string) (*journal, error) {
	f, err := openLocked(path)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if j.size = info.Size(); j.size == 0 {
		if err := j.begin(); err != nil {
			// Nothing is lost with what is half there.
			return nil, errors.Join(err, f.Truncate(0), f.Close())
		}
	}
	return j, nil
}

func (j *journal) begin() error {
	j.size = int64(headSize)
	if _, err := j.file.WriteAt(journalHead(j.size), 0); err != nil {
		return err
	}
	return errors.Join(j.file.Sync(), syncDir(filepath.Dir(j.path)))
}

// openLocked opens a file that only one process may have open so.
func openLocked(path string) (*os.File, error) {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(lockPatience / 20) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err = lock(f); err == nil {
			// Whoever had the lock may have put another file in its place.
			same, err := isAt(f, path)
			if same && err == nil {
				return f, nil
			}
			if err := errors.Join(err, f.Close()); err != nil {
				return nil, err
			}
			continue
		}
		if closed := f.Close(); closed != nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock: %w", err), closed)
		}
		if time.Now().After(deadline) {
			return nil, ErrStateBusy
		}
	}
}

// lock locks a file until it is closed, or fails with EWOULDBLOCK.
func lock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func isAt(f *os.File, path string) (bool, error) {
	have, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(have, there), err
}

// read gives each the payloads; nobody may write meanwhile.
func (j *journal) read(each func([]byte) error) error {
	r := bufio.NewReader(io.NewSectionReader(j.file, 0, j.size))
	end, err := readJournal(r, j.size, each)
	if err != nil {
		return err
	}
	j.size = end
	return nil
}

// trim cuts off what read found half written.
func (j *journal) trim() error { return j.file.Truncate(j.size) }

// append puts payloads on disk. Callers at the same time share a sync.
func (j *journal) append(payloads ...[]byte) error {
	j.mu.Lock()
	if j.next == nil {
		j.next = &batch{}
	}
	mine := j.next
	for _, p := range payloads {
		mine.b = appendFrame(mine.b, p)
	}
	j.mu.Unlock()

	j.turn.Lock()
	defer j.turn.Unlock()
	if !mine.written { // by another of the batch, who had the turn first
		j.mu.Lock()
		j.next = nil
		j.mu.Unlock()
		mine.err, mine.written = j.write(mine.b), true
		j.last.Store(&mine.err)
	}
	return mine.err
}

// write appends bytes and says that they are synced. Whoever calls it has the turn.
func (j *journal) write(b []byte) error {
	if j.broken != nil {
		return fmt.Errorf("nothing is stored until the next start: %w", j.broken)
	}
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		// As on a full disk: there may be room again later.
		if cut := j.file.Truncate(j.size); cut != nil {
			j.broken = j.named(errors.Join(err, cut))
		}
		return j.named(err)
	}
	err := j.file.Sync()
	if err == nil {
		_, err = j.file.WriteAt(journalHead(j.size+int64(len(b))), 0)
	}
	if err != nil {
		// The kernel may have dropped what it could not write, and never say so again.
		j.broken = j.named(err)
		return j.broken
	}
	j.size += int64(len(b))
	return nil
}

// named gives an error of the file the journal's name, which it was renamed to.
func (j *journal) named(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return &fs.PathError{Op: at.Op, Path: j.path, Err: at.Err}
	}
	return err
}

// replace puts a new file with other payloads, made under a name beside it, in
// place of the journal's. Whoever calls it has the turn, or is alone.
func (j *journal) replace(name string, payloads [][]byte) error {
	dir := filepath.Dir(j.path)
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	size := int64(headSize)
	for _, p := range payloads {
		size += frameSize + int64(len(p))
	}
	b := journalHead(size)
	for _, p := range payloads {
		b = appendFrame(b, p)
	}
	// Locked before it has the name by which others look for it.
	if err = lock(f); err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	old := j.file
	j.file, j.size = f, size
	if err := errors.Join(syncDir(dir), old.Close()); err != nil {
		j.broken = err // which of the two files is there after a loss of power is not known
		return err
	}
	return nil
}

// trouble is what the last write failed with, or nil.
func (j *journal) trouble() error {
	if err := j.last.Load(); err != nil {
		return *err
	}
	return nil
}

// length is how many bytes the file has.
func (j *journal) length() int64 {
	j.turn.Lock()
	defer j.turn.Unlock()
	return j.size
}

func (j *journal) close() error {
	j.turn.Lock()
	defer j.turn.Unlock()
	return j.file.Close()
}
