package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	batch     = 256
	lockBatch = 16
	fold      = 0x9E3779B97F4A7C15
)

// A pair of cache lines: the prefetcher fetches two.
type line [128]byte

const (
	warm = iota
	measuring
	stop
)

var phase struct {
	_   line
	now atomic.Uint32
	_   line
}

var started = time.Now()

// now reads the monotonic clock alone, in nanoseconds.
func now() uint64 { return uint64(time.Since(started)) }

func step(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	return x
}

func workOutside(x uint64, units int) uint64 {
	for range units {
		x = step(x)
	}
	return x
}

// A worker is one thread of a run.
type worker struct {
	index            int
	ops, sum, x      uint64
	samples, singles histogram
	begun, elapsed   uint64
	phase            uint32
	untilSample      int
	pauses           bool
	ready            *barrier
	_                line
}

// cheap measures cheap operations. operations does so many and gives something for the checksum; a sample is the mean
// of one batch in 61.
func (w *worker) cheap(operations func(n int) uint64) {
	w.cheapAnd(operations, 61, func() {})
}

// cheapAnd is the same with one batch in so many; after runs once per batch.
func (w *worker) cheapAnd(operations func(n int) uint64, every int, after func()) {
	w.begin()
	for w.goesOn() {
		if w.isSample(every) {
			t := now()
			w.sum += operations(batch)
			w.samples.add(now()-t, batch)
		} else {
			w.sum += operations(batch)
		}
		w.ops += batch
		after()
	}
}

// dear measures dearer operations, of which operations does so many: every 65th is timed alone.
func (w *worker) dear(operations func(n int)) {
	w.dearAndOutside(operations, func() { operations(1) }, func() {})
}

// dearAndOutside is the same for operations with work between them: alone does one without, outside only that.
func (w *worker) dearAndOutside(operations func(n int), alone, outside func()) {
	w.begin()
	for w.goesOn() {
		operations(lockBatch)
		w.ops += lockBatch
		if w.isSample(4) {
			t := now()
			alone()
			w.samples.add(now()-t, 1)
			outside()
			w.ops++
		}
	}
}

// writes is a writer's loop: one write, then a pause where it is to be slow.
func (w *worker) writes(write func()) {
	w.begin()
	for w.goesOn() {
		write()
		w.ops++
		if w.pauses {
			time.Sleep(time.Millisecond)
		}
	}
}

// idles waits for the end.
func (w *worker) idles() {
	w.begin()
	for w.goesOn() {
		time.Sleep(time.Millisecond)
	}
}

func (w *worker) begin() {
	w.untilSample = 1
	w.ready.wait()
	w.begun = now()
}

func (w *worker) isSample(every int) bool {
	w.untilSample--
	if w.untilSample != 0 {
		return false
	}
	w.untilSample = every
	return true
}

func (w *worker) goesOn() bool {
	seen := phase.now.Load()
	return seen == w.phase || w.enter(seen)
}

// enter reads the clock when the thread itself sees the phase change. What was done in the warm-up is forgotten, unless
// the thread was stuck beyond its end.
func (w *worker) enter(seen uint32) bool {
	t := now()
	w.phase = seen
	if seen == stop {
		w.elapsed = t - w.begun
		return false
	}
	w.begun = t
	w.untilSample = 1
	w.ops = 0
	w.samples = histogram{}
	w.singles = histogram{}
	return true
}

// A barrier that is used once.
type barrier struct {
	missing atomic.Int32
	open    chan struct{}
}

func newBarrier(threads int) *barrier {
	b := &barrier{open: make(chan struct{})}
	b.missing.Store(int32(threads))
	return b
}

func (b *barrier) wait() {
	if b.missing.Add(-1) == 0 {
		close(b.open)
	}
	<-b.open
}

type role func(w *worker)

// run starts the threads of both roles and gives what they counted, the measured ones first.
func run(p *plan, measured, other role) []worker {
	cpus := allowedCPUs()
	busy := p.measured
	if p.writer == writerFlat {
		busy += p.others
	}
	workers := make([]worker, p.measured+p.others)
	ready := newBarrier(len(workers) + 1)
	var ended sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		*w = worker{index: i, x: 88172645463325252 + uint64(i), pauses: p.writer == writerKHz, ready: ready}
		ended.Add(1)
		go func() {
			defer ended.Done()
			if busy <= len(cpus) && i < busy {
				runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
				pin(cpus[i])
			}
			if i < p.measured {
				measured(w)
			} else {
				other(w)
			}
			w.sum += w.x
		}()
	}
	ready.wait()
	time.Sleep(time.Duration(p.ms) * 100 * time.Microsecond)
	phase.now.Store(measuring)
	time.Sleep(time.Duration(p.ms) * time.Millisecond)
	phase.now.Store(stop)
	ended.Wait()
	return workers
}

// measure runs both roles as the plan says, other if there is one, and prints the line. extra, if any, gives the fields
// of the object of that name.
func measure(p *plan, measured, other role, extra func(workers []worker) string) {
	if p.measured == 0 {
		usage("no thread to measure")
	}
	if other == nil {
		p.others = 0
	}
	workers := run(p, measured, other)
	r := result{least: workers[0].ops}
	for i := range workers {
		w := &workers[i]
		r.sum += w.sum
		if i >= p.measured {
			continue
		}
		r.elapsed += w.elapsed
		r.ops += w.ops
		r.least = min(r.least, w.ops)
		r.most = max(r.most, w.ops)
		r.samples.merge(&w.samples)
	}
	if extra != nil {
		r.extra = extra(workers)
	}
	r.print(p)
}

// A result is what all measured threads did together.
type result struct {
	elapsed, ops, least, most, sum uint64
	samples                        histogram
	extra                          string
}

func (r *result) print(p *plan) {
	fmt.Printf(`{"case": %q, "subject": %q, "threads": %d, "ns": %.4f, "ops": %d, `,
		p.caseName, p.subject, p.threads, float64(r.elapsed)/float64(max(r.ops, 1)), r.ops)
	fmt.Printf(`"p50_ns": %.3f, "p99_ns": %.3f, "p999_ns": %.3f, `,
		r.samples.percentile(.5), r.samples.percentile(.99), r.samples.percentile(.999))
	fmt.Printf(`"least": %d, "most": %d, "checksum": %d`, r.least, r.most, r.sum)
	if r.extra != "" {
		fmt.Printf(`, "extra": {%s}`, r.extra)
	}
	fmt.Println("}")
}

// A cpuSet is the kernel's set of 1,024 cpus.
type cpuSet [16]uint64

func allowedCPUs() []int {
	var set cpuSet
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	var cpus []int
	for cpu := range len(set) * 64 {
		if set[cpu/64]>>(cpu%64)&1 == 1 {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// pin keeps the calling thread on one cpu.
func pin(cpu int) {
	var set cpuSet
	set[cpu/64] = 1 << (cpu % 64)
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
}
