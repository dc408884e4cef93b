// The grpc-go side of the transport bench: the same unary call as the other stacks, with an identity codec.
//
//	bench serve                                    prints the port, serves until standard input ends
//	bench load PORT IN_FLIGHT WARMUP_MS MS         prints the measurement as JSON
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const path = "/bench.Echo/Echo"

var token = "Bearer " + strings.Repeat("a1b2c3d4", 8)

type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }
func (bytesCodec) Name() string                       { return "bytes" }

func echo(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("authorization"); len(values) != 1 || values[0] != token {
		return nil, errors.New("no token")
	}
	if len(md.Get("x-request-id")) != 1 {
		return nil, errors.New("no request id")
	}
	return &request, nil
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
	}, nil)
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func cpuMicros() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Sec+usage.Stime.Sec)*1e6 + float64(usage.Utime.Usec+usage.Stime.Usec)
}

func load(port string, inFlight int, warmup, duration time.Duration) {
	conn, err := grpc.NewClient("127.0.0.1:"+port,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	if err != nil {
		log.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 100))
	var sequence atomic.Int64
	var measuring, stopped atomic.Bool
	latencies := make([][]float64, inFlight)
	var group sync.WaitGroup
	for worker := range inFlight {
		group.Go(func() {
			for !stopped.Load() {
				sentAt := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token,
					"x-request-id", fmt.Sprintf("%016x", 0x100000000000+sequence.Add(1)))
				var reply []byte
				err := conn.Invoke(ctx, path, &payload, &reply)
				cancel()
				if err != nil {
					log.Fatal(err)
				}
				if measuring.Load() {
					latencies[worker] = append(latencies[worker], float64(time.Since(sentAt).Nanoseconds())/1000)
				}
			}
		})
	}
	time.Sleep(warmup)
	cpu, startedAt := cpuMicros(), time.Now()
	measuring.Store(true)
	time.Sleep(duration)
	measuring.Store(false)
	seconds, cpuUsed := time.Since(startedAt).Seconds(), cpuMicros()-cpu
	stopped.Store(true)
	group.Wait()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	calls := float64(len(all))
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"calls": calls, "seconds": seconds, "requestsPerSecond": calls / seconds,
		"p50Us": all[len(all)/2], "p99Us": all[len(all)*99/100], "cpuUsPerCall": cpuUsed / calls,
	})
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	numbers := make([]int, 0, 3)
	for _, text := range os.Args[3:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			log.Fatal(err)
		}
		numbers = append(numbers, number)
	}
	load(os.Args[2], numbers[0], time.Duration(numbers[1])*time.Millisecond, time.Duration(numbers[2])*time.Millisecond)
}
