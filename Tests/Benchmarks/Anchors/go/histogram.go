package main

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// A histogram is log-linear in picoseconds: 16 buckets per power of two.
type histogram struct {
	counts [976]uint64
	total  uint64
}

func bucketOf(value uint64) int {
	if value < 16 {
		return int(value)
	}
	exponent := bits.Len64(value) - 1
	return (exponent-3)*16 + int(value>>(exponent-4)&15)
}

// bucketEnd is the first value beyond the bucket, in nanoseconds.
func bucketEnd(bucket int) float64 {
	next := bucket + 1
	if next < 32 {
		return float64(next) / 1000
	}
	return math.Ldexp(float64(16+next%16), next/16-1) / 1000
}

func (h *histogram) add(ns, sharedBy uint64) {
	h.counts[bucketOf(ns*1000/sharedBy)]++
	h.total++
}

func (h *histogram) merge(other *histogram) {
	for i, count := range other.counts {
		h.counts[i] += count
	}
	h.total += other.total
}

func (h *histogram) percentile(share float64) float64 {
	var seen uint64
	for i, count := range h.counts {
		seen += count
		if seen > 0 && float64(seen) >= share*float64(h.total) {
			return bucketEnd(i)
		}
	}
	return 0
}

// json is [[upper_ns, count], …].
func (h *histogram) json() string {
	var pairs []string
	for i, count := range h.counts {
		if count > 0 {
			pairs = append(pairs, fmt.Sprintf("[%.3f, %d]", bucketEnd(i), count))
		}
	}
	return "[" + strings.Join(pairs, ", ") + "]"
}
