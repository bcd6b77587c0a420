package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

func flightAlone(p *plan) {
	var group singleflight.Group
	name := nameOf(0)
	work := func() (any, error) { return 7, nil }
	measure(p.alone(), func(w *worker) {
		w.dear(func(n int) {
			for range n {
				value, _, _ := group.Do(name, work)
				w.sum += uint64(value.(int))
			}
		})
	}, nil, nil)
}

// flightCrowd has all callers at once on one key, a new one each round. A sample is what a caller took beyond the work
// itself.
func flightCrowd(p *plan) {
	var group singleflight.Group
	var flights atomic.Uint64
	p.threads = p.callers
	r := result{least: uint64(p.rounds), most: uint64(p.rounds)}
	var merging sync.Mutex
	caller := func(name string) {
		t := now()
		value, _, _ := group.Do(name, func() (any, error) {
			flights.Add(1)
			begun := now()
			time.Sleep(time.Millisecond)
			return now() - begun, nil
		})
		took, work := now()-t, value.(uint64)
		beyond := max(took, work) - work
		merging.Lock()
		defer merging.Unlock()
		r.samples.add(beyond, 1)
		r.elapsed += beyond
		r.ops++
		r.sum += work
	}
	for round := range p.rounds {
		together := newBarrier(p.callers)
		var ended sync.WaitGroup
		for range p.callers {
			ended.Add(1)
			go func() {
				defer ended.Done()
				together.wait()
				caller(nameOf(round))
			}()
		}
		ended.Wait()
	}
	r.extra = fmt.Sprintf(`"calls": %d, "flights": %d`, r.ops, flights.Load())
	r.print(p)
}
