package main

import (
	"fmt"
	"os"
	"sync"
)

func mutex(p *plan) {
	shared := &struct {
		_             line
		lock          sync.Mutex
		first, second uint64
		_             line
	}{}
	measure(p, func(w *worker) {
		x, work := w.x, p.work
		w.dearAndOutside(func(n int) {
			for range n {
				shared.lock.Lock()
				shared.first++
				shared.second++
				shared.lock.Unlock()
				x = workOutside(x, work)
			}
		}, func() {
			shared.lock.Lock()
			shared.first++
			shared.second++
			shared.lock.Unlock()
		}, func() { x = workOutside(x, work) })
		w.x = x
		shared.lock.Lock()
		defer shared.lock.Unlock()
		w.sum += shared.first ^ shared.second<<1
	}, nil, nil)
}

// A pair of fields that must agree, under a reader-writer lock.
type pair struct {
	_    line
	lock sync.RWMutex
	a, b uint64
	_    line
}

func (s *pair) change() {
	s.a++
	s.b = s.a * fold
}

func (s *pair) write(n int) {
	for range n {
		s.lock.Lock()
		s.change()
		s.lock.Unlock()
	}
}

func (s *pair) read(n int) (sum uint64) {
	for range n {
		s.lock.RLock()
		a, b := s.a, s.b
		s.lock.RUnlock()
		if b != a*fold {
			os.Exit(70)
		}
		sum += a ^ b
	}
	return sum
}

func rwRead(p *plan) {
	shared := &pair{}
	shared.change()
	extra := func(workers []worker) string {
		if p.others == 0 {
			return ""
		}
		var singles histogram
		for i := range p.measured {
			singles.merge(&workers[i].singles)
		}
		writer := &workers[p.measured]
		return fmt.Sprintf(`"writes": %d, "write_wait_p50_ns": %.3f, "write_wait_p99_ns": %.3f, "histogram": %s`,
			writer.ops, writer.samples.percentile(.5), writer.samples.percentile(.99), singles.json())
	}
	measure(p, func(w *worker) {
		if p.writer == writerNone {
			w.cheap(shared.read)
			return
		}
		// Beside a writer one read in 65 is timed alone: a batch's mean would hide who waited.
		w.cheapAnd(shared.read, 1, func() {
			for range batch / 64 {
				t := now()
				w.sum += shared.read(1)
				w.singles.add(now()-t, 1)
			}
			w.ops += batch / 64
		})
	}, func(w *worker) {
		w.writes(func() {
			asked := now()
			shared.lock.Lock()
			got := now()
			shared.change()
			shared.lock.Unlock()
			w.samples.add(got-asked, 1)
		})
	}, extra)
}

// rwWrite has readers that have read once, and idle. This lock knows nothing of them; others keep a list.
func rwWrite(p *plan) {
	shared := &pair{}
	shared.change()
	p.measured, p.others = 1, p.readers
	measure(p, func(w *worker) {
		w.dear(shared.write)
	}, func(w *worker) {
		w.sum = shared.read(1)
		w.idles()
	}, func([]worker) string { return fmt.Sprintf(`"idle_readers": %d`, p.readers) })
}
