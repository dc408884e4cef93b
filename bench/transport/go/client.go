package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// order is what the bench asks for: see workload.ts.
type order struct {
	Port         int
	Certificates string
	WarmupMs     int
	DurationMs   int
	Workload     struct {
		Kind        string
		Connections int
		InFlight    int
		Bytes       int
		Bare        bool
	}
}

// caller is one client, as a generated stub is: an Invoke per call.
type caller struct {
	conn    *grpc.ClientConn
	payload []byte
	bare    bool
}

var sequence atomic.Int64

func connect(o order) *caller {
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", o.Port),
		grpc.WithTransportCredentials(transportCredentials(o.Certificates)),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{})))
	check(err)
	return &caller{conn, []byte(strings.Repeat("x", max(o.Workload.Bytes, 100))), o.Workload.Bare}
}

func (c *caller) call() {
	var reply []byte
	if c.bare {
		check(c.conn.Invoke(context.Background(), barePath, &c.payload, &reply, grpc.StaticMethod()))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token,
		"x-request-id", fmt.Sprintf("%016x", 0x100000000000+sequence.Add(1)))
	check(c.conn.Invoke(ctx, echoPath, &c.payload, &reply, grpc.StaticMethod()))
}

// recorder keeps the latencies, in µs, of what ends within the window: one list per shard, so that workers don't meet.
type recorder struct {
	measuring atomic.Bool
	shards    [][]float64
}

const sampleLimit = 4_000_000

func newRecorder(shards int) *recorder {
	r := &recorder{shards: make([][]float64, shards)}
	for i := range r.shards {
		r.shards[i] = make([]float64, 0, sampleLimit/shards)
	}
	return r
}

func (r *recorder) add(shard int, since time.Time) {
	if r.measuring.Load() {
		r.shards[shard] = append(r.shards[shard], float64(time.Since(since).Nanoseconds())/1000)
	}
}

// watch lets the warm-up pass, watches the window and prints what came in it.
func (r *recorder) watch(o order, stop func()) {
	time.Sleep(time.Duration(o.WarmupMs/2) * time.Millisecond)
	fmt.Println("rehearsal")
	time.Sleep(time.Duration(o.WarmupMs/2) * time.Millisecond)
	fmt.Println("begin")
	cpu, startedAt := cpuMicros(), time.Now()
	r.measuring.Store(true)
	time.Sleep(time.Duration(o.DurationMs) * time.Millisecond)
	r.measuring.Store(false)
	seconds, cpuUsed := time.Since(startedAt).Seconds(), cpuMicros()-cpu
	fmt.Println("end")
	stop()
	all := slices.Concat(r.shards...)
	if len(all) == 0 {
		log.Fatal("nothing came back within the window")
	}
	slices.Sort(all)
	calls := float64(len(all))
	check(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"calls": calls, "perSecond": calls / seconds, "clientCpuUs": cpuUsed / calls,
		"megabytesPerSecond": calls / seconds * float64(max(o.Workload.Bytes, 100)) / 1e6,
		"p50Us":              all[len(all)/2], "p99Us": all[len(all)*99/100],
	}))
}

// closedLoop keeps inFlight calls open on each caller until the returned function is called.
func closedLoop(callers []*caller, inFlight int, r *recorder) func() {
	var stopped atomic.Bool
	var group sync.WaitGroup
	for index, c := range callers {
		for worker := range inFlight {
			shard := index*inFlight + worker
			group.Go(func() {
				for !stopped.Load() {
					sentAt := time.Now()
					c.call()
					r.add(shard, sentAt)
				}
			})
		}
	}
	return func() {
		stopped.Store(true)
		group.Wait()
	}
}

func connections(o order) []*caller {
	callers := make([]*caller, o.Workload.Connections)
	for i := range callers {
		callers[i] = connect(o)
	}
	return callers
}

// saturate makes calls with 256 in flight for a time, and returns how many a second there were.
func saturate(c *caller, ms int) float64 {
	r, startedAt := newRecorder(256), time.Now()
	r.measuring.Store(true)
	stop := closedLoop([]*caller{c}, 256, r)
	time.Sleep(time.Duration(ms) * time.Millisecond)
	r.measuring.Store(false)
	seconds := time.Since(startedAt).Seconds()
	stop()
	calls := 0
	for _, shard := range r.shards {
		calls += len(shard)
	}
	return float64(calls) / seconds
}

// poisson makes arrivals at random, however many calls are still open; latency counts from the intended time.
func poisson(c *caller, perSecond float64, r *recorder, lock *sync.Mutex, stopped *atomic.Bool) {
	random := rand.New(rand.NewPCG(1, 2))
	due := time.Now()
	for !stopped.Load() {
		for now := time.Now(); !due.After(now); {
			intended := due
			go func() {
				c.call()
				lock.Lock()
				r.add(0, intended)
				lock.Unlock()
			}()
			due = due.Add(time.Duration(random.ExpFloat64() / perSecond * 1e9))
		}
		time.Sleep(time.Until(due))
	}
}

// openLoop offers half of what the stack does with 256 calls in flight. It warms both ways first, as load.ts does.
func openLoop(o order) {
	c := connect(o)
	var lock sync.Mutex
	var warm, stopped atomic.Bool
	r := newRecorder(1)
	cold := saturate(c, o.WarmupMs)
	go poisson(c, cold/8, r, &lock, &warm)
	time.Sleep(time.Duration(o.WarmupMs) * time.Millisecond)
	warm.Store(true)
	go poisson(c, saturate(c, o.DurationMs)/2, r, &lock, &stopped)
	r.watch(o, func() {
		stopped.Store(true)
		lock.Lock() // calls may still be open: nothing is added any more
	})
}

func load(text string) {
	var o order
	check(json.Unmarshal([]byte(text), &o))
	switch o.Workload.Kind {
	case "closed":
		w := o.Workload
		r := newRecorder(w.Connections * w.InFlight)
		r.watch(o, closedLoop(connections(o), w.InFlight, r))
	case "open":
		openLoop(o)
	default:
		log.Fatalf("no workload %q here", o.Workload.Kind)
	}
}
