package main

import (
	"fmt"
	"strings"
	"sync"
)

func nameOf(key int) string { return fmt.Sprintf("service.%08d.settings.xx", key) }

// Lookups are keys, and which is looked up when: the same in all languages.
type lookups struct {
	names []string
	order []uint32
}

func newLookups(keys int) *lookups {
	l := &lookups{order: make([]uint32, 4096)}
	if keys > 4096 {
		l.order = make([]uint32, 1<<20)
	}
	var x uint64 = 88172645463325252
	for i := range l.order {
		x = step(x)
		l.order[i] = uint32(x % uint64(keys))
	}
	for i := range keys {
		l.names = append(l.names, nameOf(i))
	}
	return l
}

// each gives one name after another, each thread's from a place of its own.
func (l *lookups) each(w *worker) func() string {
	next := w.index * 997
	return func() string {
		next++
		return l.names[l.order[next&(len(l.order)-1)]]
	}
}

func key(p *plan) {
	l := newLookups(p.keys)
	table := make(map[string]uint64)
	for i := range l.names {
		table[nameOf(i)] = uint64(i)
	}
	measure(p.alone(), func(w *worker) {
		next := 0
		w.cheap(func(n int) uint64 {
			var sum uint64
			for range n {
				next++
				sum += table[l.names[l.order[next&(len(l.order)-1)]]]
			}
			return sum
		})
	}, nil, nil)
}

func syncMap(p *plan) {
	l := newLookups(p.keys)
	var table sync.Map
	for i := range l.names {
		table.Store(nameOf(i), uint64(i))
	}
	measure(p, func(w *worker) {
		next := w.index * 997
		w.dear(func(n int) {
			for range n {
				next++
				value, _ := table.Load(l.names[l.order[next&(len(l.order)-1)]])
				w.sum += value.(uint64)
			}
		})
	}, func(w *worker) {
		next := l.each(w)
		w.writes(func() { table.Store(strings.Clone(next()), w.ops) })
	}, nil)
}
