package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	batch          = 1000
	cancelledTasks = 10000
	capacity       = 128
	parts          = 4
	settleTurns    = 3
	timeout        = 10 * time.Second
)

var rows = map[string]func(n int) slice{
	"yield":          yield,
	"spawn_1000":     spawn,
	"cancel_10k":     cancel,
	"channel":        channel,
	"channel_strict": channel,
	"timeout":        timeoutUnexpired,
	"timeout_ready":  timeoutReady,
	"memory":         memory,
	"idle":           idle,
}

func settle() {
	for range settleTurns {
		runtime.Gosched()
	}
}

// park starts n goroutines that say so just before they wait, and returns when all
// of them do.
func park(n int, wait func()) *sync.WaitGroup {
	var group sync.WaitGroup
	var parked atomic.Int64
	group.Add(n)
	for range n {
		go func() {
			parked.Add(1)
			wait()
			group.Done()
		}()
	}
	for parked.Load() < int64(n) {
		runtime.Gosched()
	}
	settle()
	return &group
}

func yield(n int) slice {
	var w watch
	var group sync.WaitGroup
	w.start()
	group.Add(2)
	for range 2 {
		go func() {
			for range n {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	w.stop()
	return w.slice(2 * n)
}

func spawn(n int) slice {
	var w watch
	var group sync.WaitGroup
	w.start()
	for range n {
		group.Add(batch)
		for range batch {
			go group.Done()
		}
		group.Wait()
	}
	w.stop()
	return w.slice(n * batch)
}

// cancel's clock runs from the cancellation until the last goroutine has been joined.
func cancel(n int) slice {
	var w watch
	for range n {
		ctx, stop := context.WithCancel(context.Background())
		group := park(cancelledTasks, func() { <-ctx.Done() })
		w.start()
		stop()
		group.Wait()
		w.stop()
	}
	return w.slice(n * cancelledTasks)
}

func channel(n int) slice {
	var w watch
	var group sync.WaitGroup
	items := make(chan uint64, capacity)
	sum := uint64(0)
	w.start()
	group.Add(2)
	go func() {
		for i := range n {
			items <- uint64(i)
		}
		close(items)
		group.Done()
	}()
	go func() {
		for item := range items {
			sum += item
		}
		group.Done()
	}()
	group.Wait()
	w.stop()
	if sum != uint64(n)*uint64(n-1)/2 {
		fail("items were lost")
	}
	return w.slice(n)
}

// timeoutUnexpired alternates parts with and without the timeout; the difference is
// what is told.
func timeoutUnexpired(n int) slice {
	var inside, bare watch
	parent := context.Background()
	for range parts {
		inside.start()
		for range n {
			_, stop := context.WithTimeout(parent, timeout)
			runtime.Gosched()
			stop()
		}
		inside.stop()
		bare.start()
		for range n {
			runtime.Gosched()
		}
		bare.stop()
	}
	inside.cpu -= bare.cpu
	inside.wall -= bare.wall
	return inside.slice(n * parts)
}

func timeoutReady(n int) slice {
	var w watch
	parent := context.Background()
	ready := make(chan struct{})
	close(ready)
	w.start()
	for range n {
		ctx, stop := context.WithTimeout(parent, timeout)
		select {
		case <-ready:
		case <-ctx.Done():
			fail("the timeout expired")
		}
		stop()
	}
	w.stop()
	return w.slice(n)
}

// residentBytes is counted page by page: the figures in status and statm lag.
func residentBytes() int64 {
	runtime.GC()
	file, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		fail(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib int64
		if _, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), "Rss: %d kB", &kib); err == nil {
			return kib * 1024
		}
	}
	fail("no Rss in smaps_rollup")
	return 0
}

func memory(n int) slice {
	over := make(chan struct{})
	before := residentBytes()
	group := park(n, func() { <-over })
	after := residentBytes()
	close(over)
	group.Wait()
	return slice{Ops: n, SizeBytes: after - before}
}

// idle answers when all are parked, and stays so: it is watched from outside, then
// killed.
func idle(n int) slice {
	over := make(chan struct{})
	group := park(n, func() { <-over })
	say(slice{Ops: n})
	group.Wait()
	return slice{}
}
