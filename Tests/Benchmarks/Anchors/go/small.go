package main

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// counter has each thread add to its own counter: neighbours in one line, or padded.
func counter(p *plan) {
	stride := 1
	if p.oneOf("adjacent", "padded") == "padded" {
		stride = len(line{}) / 8
	}
	counters := make([]uint64, p.threads*stride+1)
	measure(p, func(w *worker) {
		mine := &counters[w.index*stride]
		w.cheap(func(n int) uint64 {
			for range n {
				atomic.AddUint64(mine, 1)
			}
			return 0
		})
		w.sum += atomic.LoadUint64(mine)
	}, nil, nil)
}

// once is the check after initialisation, and the read of the value.
func once(p *plan) {
	var done sync.Once
	var value uint64
	measure(p, func(w *worker) {
		w.cheap(func(n int) uint64 {
			var sum uint64
			for range n {
				done.Do(func() { value = fold })
				sum += value
			}
			return sum
		})
	}, nil, nil)
}

const bufferSize = 64 << 10

// touch writes a byte in each page and reads them back.
func touch(buffer *[bufferSize]byte, value byte) (sum uint64) {
	for i := 0; i < bufferSize; i += 4096 {
		buffer[i] = value
	}
	for i := 0; i < bufferSize; i += 4096 {
		sum += uint64(buffer[i])
	}
	return sum
}

// pool takes a buffer from a pool, or allocates one, and touches its pages.
func pool(p *plan) {
	var allocations atomic.Uint64
	pooled := p.oneOf("pooled", "plain") == "pooled"
	buffers := sync.Pool{New: func() any {
		allocations.Add(1)
		return new([bufferSize]byte)
	}}
	usePooled := func(w *worker, n int) {
		for range n {
			buffer := buffers.Get().(*[bufferSize]byte)
			w.sum += touch(buffer, byte(w.sum)+1)
			buffers.Put(buffer)
		}
	}
	usePlain := func(w *worker, n int) {
		for range n {
			w.sum += touch(allocate(), byte(w.sum)+1)
		}
	}
	measure(p, func(w *worker) {
		use := usePlain
		if pooled {
			use = usePooled
		}
		w.dear(func(n int) { use(w, n) })
	}, nil, func(workers []worker) string {
		count := allocations.Load()
		if !pooled {
			for _, w := range workers {
				count += w.ops
			}
		}
		return fmt.Sprintf(`"allocations": %d, "bytes": %d`, count, count*bufferSize)
	})
}

// allocate is not inlined, so that the buffer is on the heap.
//
//go:noinline
func allocate() *[bufferSize]byte { return new([bufferSize]byte) }
