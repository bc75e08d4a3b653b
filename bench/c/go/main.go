// The C rows in Go: one process that measures one row, a slice when asked.
//
// It obeys the same protocol as the other workers: a line "slice N" on standard
// input is answered by a line of JSON. The whole process has a timer an hour away
// and a listener on which nobody ever arrives. The garbage of a slice is collected
// before the next; what is collected during one counts.
//
// Use: worker_go ROW; for ROW "echo" it is a server: it prints {"port": …} and
// serves on.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// slice is what one slice took, for all its operations together.
type slice struct {
	Ops       int   `json:"ops"`
	CPUNs     int64 `json:"cpu_ns"`
	WallNs    int64 `json:"wall_ns"`
	SizeBytes int64 `json:"size_bytes"`
}

// watch measures the part of a slice that counts; it may be started several times.
type watch struct {
	cpu  int64
	wall time.Duration
}

var processStart = time.Now()

func cpuNs() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func (w *watch) start() {
	w.wall -= time.Since(processStart)
	w.cpu -= cpuNs()
}

func (w *watch) stop() {
	w.cpu += cpuNs()
	w.wall += time.Since(processStart)
}

func (w *watch) slice(ops int) slice {
	return slice{Ops: ops, CPUNs: w.cpu, WallNs: w.wall.Nanoseconds()}
}

func say(message any) {
	line, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "worker_go:", what)
	os.Exit(1)
}

// surround gives the process what real programs have.
func surround() {
	time.AfterFunc(time.Hour, func() {})
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	go func() {
		if _, err := listener.Accept(); err != nil {
			fail(err)
		}
	}()
}

func obey(row func(n int) slice) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var n int
		if _, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), "slice %d", &n); err != nil {
			fail(err)
		}
		runtime.GC()
		say(row(n))
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	name := ""
	if len(os.Args) == 2 {
		name = os.Args[1]
	}
	if name == "echo" {
		fail(serve())
	}
	row, found := rows[name]
	if !found {
		fail("usage: worker_go ROW")
	}
	surround()
	say(map[string]string{"version": runtime.Version()})
	obey(row)
}
