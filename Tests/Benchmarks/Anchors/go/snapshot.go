package main

import "sync/atomic"

// A payload is 64 bytes of which a reader folds two fields.
type payload struct {
	a, b uint64
	_    [6]uint64
}

func newPayload(version uint64) *payload {
	return &payload{a: version, b: version * fold}
}

// A snapshot fills its pair of cache lines, on which Go aligns what is of that size. The pointer is its first field,
// which makes for the tightest loop.
type snapshot struct {
	current atomic.Pointer[payload]
	_       [len(line{}) - 8]byte
}

func newSnapshot() *snapshot {
	s := &snapshot{}
	s.current.Store(newPayload(0))
	return s
}

// fold reads so many times. It is a function of its own: the compiler does not inline calls into copies of a closure.
func (s *snapshot) fold(n int) (sum uint64) {
	for range n {
		p := s.current.Load()
		sum += p.a ^ p.b
	}
	return sum
}

func (s *snapshot) reads(w *worker) { w.cheap(s.fold) }

func snapshotRead(p *plan) {
	s := newSnapshot()
	measure(p, s.reads, func(w *worker) {
		var version uint64
		w.writes(func() {
			version++
			s.current.Store(newPayload(version))
		})
	}, nil)
}

func snapshotPublish(p *plan) {
	s := newSnapshot()
	p.writer, p.others, p.measured = writerFlat, p.threads, 1
	measure(p, func(w *worker) {
		var version uint64
		w.dear(func(n int) {
			for range n {
				version++
				s.current.Store(newPayload(version))
			}
		})
	}, s.reads, nil)
}
