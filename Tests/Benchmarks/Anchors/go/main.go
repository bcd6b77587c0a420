// Command anchor-go measures one anchor once: anchor-go CASE SUBJECT [key=value]... prints one line of JSON.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type writer int

const (
	writerNone writer = iota
	writerKHz
	writerFlat
)

// A plan is the arguments, and how many threads of each role run. A case may change the roles.
type plan struct {
	caseName, subject, layout                         string
	threads, ms, work, keys, callers, rounds, readers int
	writer                                            writer
	measured, others                                  int
}

type subject struct {
	caseName, name string
	run            func(p *plan)
}

var subjects = []subject{
	{"snapshot-read", "go-atomic-pointer", snapshotRead},
	{"snapshot-publish", "go-atomic-pointer", snapshotPublish},
	{"mutex", "go-mutex", mutex},
	{"rw-read", "go-rwmutex", rwRead},
	{"rw-write", "go-rwmutex", rwWrite},
	{"map", "go-sync-map", syncMap},
	{"key", "go-map", key},
	{"once", "go-once", once},
	{"flight-alone", "go-singleflight", flightAlone},
	{"flight-crowd", "go-singleflight", flightCrowd},
	{"pool", "go-sync-pool", pool},
	{"counter", "go", counter},
}

func usage(problem string) {
	fmt.Fprintf(os.Stderr, "anchor-go: %s\nusage: anchor-go --list | CASE SUBJECT [key=value]...\n", problem)
	os.Exit(64)
}

func (p *plan) set(pair string) {
	key, value, _ := strings.Cut(pair, "=")
	numbers := map[string]struct {
		place       *int
		least, most int
	}{
		"threads": {&p.threads, 0, 256},
		"ms":      {&p.ms, 1, 20_000},
		"work":    {&p.work, 0, 1_000_000},
		"keys":    {&p.keys, 1, 10_000_000},
		"callers": {&p.callers, 1, 1024},
		"rounds":  {&p.rounds, 1, 10_000},
		"readers": {&p.readers, 0, 256},
	}
	writers := map[string]writer{"none": writerNone, "1khz": writerKHz, "flat": writerFlat}
	if number, known := numbers[key]; known {
		n, err := strconv.Atoi(value)
		if err != nil || n < number.least || n > number.most {
			usage("no such value: " + pair)
		}
		*number.place = n
	} else if pace, known := writers[value]; known && key == "writer" {
		p.writer = pace
	} else if key == "layout" {
		p.layout = value
	} else {
		usage("unknown key or value: " + pair)
	}
}

// oneOf gives the layout, or the first of those that the case knows.
func (p *plan) oneOf(layouts ...string) string {
	if p.layout == "" {
		p.layout = layouts[0]
	}
	for _, layout := range layouts {
		if layout == p.layout {
			return layout
		}
	}
	usage("no such layout: " + p.layout)
	return ""
}

// alone leaves one thread, and nothing beside it.
func (p *plan) alone() *plan {
	p.threads, p.measured, p.others = 1, 1, 0
	return p
}

// processors is one for each cpu, as Go has it by itself. Only a slow writer needs more: Go would let it wait for busy
// readers to have had their 10 ms each, and it would write 60 times a second.
func (p *plan) processors() int {
	cpus := len(allowedCPUs())
	if p.writer == writerKHz {
		return max(cpus, p.measured+p.others)
	}
	return cpus
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, s := range subjects {
			fmt.Println(s.caseName, s.name)
		}
		return
	}
	if len(os.Args) < 3 {
		usage("CASE and SUBJECT are missing")
	}
	p := &plan{caseName: os.Args[1], subject: os.Args[2], threads: 1, ms: 150, keys: 256, callers: 64, rounds: 40}
	for _, pair := range os.Args[3:] {
		p.set(pair)
	}
	p.measured = p.threads
	if p.writer != writerNone {
		p.others = 1
	}
	runtime.GOMAXPROCS(p.processors())
	time.AfterFunc(30*time.Second, func() {
		fmt.Fprintln(os.Stderr, "anchor-go: ran for more than 30 s")
		os.Exit(1)
	})
	for _, s := range subjects {
		if s.caseName == p.caseName && s.name == p.subject {
			s.run(p)
			return
		}
	}
	usage("unknown case or subject: " + p.caseName + " " + p.subject)
}
