// Read-mostly values in Go's sync.Map, with the loads of src/registry.rs and rows of the same shape.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	keys          = 1000
	readsPerWrite = 100
	length        = 1 << 14
	batch         = 64
)

var value = []byte(`{"plan":"pro","limit":1000}`)

type row struct {
	Section        string    `json:"section"`
	Load           string    `json:"load"`
	Contender      string    `json:"contender"`
	Threads        int       `json:"threads"`
	CallsPerSecond []float64 `json:"callsPerSecond"`
}

type benchmark struct {
	load    string
	threads int
	run     func() float64
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sluice-benchmark ROUNDS SLICE_MS THREADS,THREADS,...")
		os.Exit(1)
	}
	rounds, slice := number(os.Args[1]), time.Duration(number(os.Args[2]))*time.Millisecond
	all := benchmarks(slice, strings.Split(os.Args[3], ","))
	samples := make([][]float64, len(all))
	for range rounds {
		for _, at := range rand.Perm(len(all)) {
			samples[at] = append(samples[at], all[at].run())
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	if err := encoder.Encode(map[string]string{"section": "go", "version": runtime.Version()}); err != nil {
		panic(err)
	}
	for at, one := range all {
		err := encoder.Encode(row{"registry", one.load, "sync.Map (Go)", one.threads, samples[at]})
		if err != nil {
			panic(err)
		}
	}
}

func benchmarks(slice time.Duration, threads []string) []benchmark {
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%d", i)
	}
	random := rand.New(rand.NewPCG(1, 2))
	shuffled, inOrder := make([]string, length), make([]string, length)
	for i := range length {
		shuffled[i], inOrder[i] = names[random.IntN(keys)], names[i%keys]
	}
	values := filled(names)
	all := []benchmark{
		{"sequential reads", 1, func() float64 { return readFor(slice, values, inOrder, 1) }},
		{"get all", 1, func() float64 { return readAllFor(slice, values) }},
		{"write once, read many", 1, func() float64 { return writeOnce(names) }},
	}
	for _, text := range threads {
		count := number(text)
		read := func() float64 { return readFor(slice, values, shuffled, count) }
		all = append(all, benchmark{"concurrent reads", count, read})
	}
	return all
}

func filled(names []string) *sync.Map {
	values := new(sync.Map)
	for _, name := range names {
		values.Store(name, value)
	}
	return values
}

func read(values *sync.Map, name string) int {
	found, _ := values.Load(name)
	return len(found.([]byte))
}

// readFor returns the calls per second of all goroutines together.
func readFor(slice time.Duration, values *sync.Map, names []string, threads int) float64 {
	var over atomic.Bool
	var begin, ended sync.WaitGroup
	var calls, lengths atomic.Int64
	begin.Add(1)
	for thread := range threads {
		ended.Go(func() {
			begin.Wait()
			next, made, sum := thread*length/threads, 0, 0
			for !over.Load() {
				for range batch {
					sum += read(values, names[next&(length-1)])
					next++
				}
				made += batch
			}
			calls.Add(int64(made))
			lengths.Add(int64(sum))
		})
	}
	started := time.Now()
	begin.Done()
	time.Sleep(slice)
	over.Store(true)
	elapsed := time.Since(started)
	ended.Wait()
	mustAdd(int(lengths.Load()), int(calls.Load()))
	return float64(calls.Load()) / elapsed.Seconds()
}

func readAllFor(slice time.Duration, values *sync.Map) float64 {
	started := time.Now()
	calls, sum := 0, 0
	for time.Since(started) < slice {
		values.Range(func(_, found any) bool {
			sum += len(found.([]byte))
			return true
		})
		calls++
	}
	elapsed := time.Since(started)
	mustAdd(sum, calls*keys)
	return float64(calls) / elapsed.Seconds()
}

// writeOnce writes every key once and reads it many times; both count.
func writeOnce(names []string) float64 {
	started := time.Now()
	values := filled(names)
	sum := 0
	for range readsPerWrite {
		for _, name := range names {
			sum += read(values, name)
		}
	}
	elapsed := time.Since(started)
	mustAdd(sum, keys*readsPerWrite)
	return float64(keys*(1+readsPerWrite)) / elapsed.Seconds()
}

// mustAdd also keeps the compiler from removing the reads.
func mustAdd(sum, reads int) {
	if sum != reads*len(value) {
		panic("a read did not find its value")
	}
}

func number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		fmt.Fprintf(os.Stderr, "%q is not a number from 1\n", text)
		os.Exit(1)
	}
	return number
}
