package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// echo is what protoc-gen-go-grpc writes for a unary method, and the handler within.
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

func bare(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	return &request, nil
}

func serve(folder string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := grpc.NewServer(grpc.Creds(transportCredentials(folder)), grpc.ForceServerCodecV2(bytesCodec{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Echo", Handler: echo},
			{MethodName: "Bare", Handler: bare},
		},
	}, nil)
	go func() { check(server.Serve(listener)) }()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		if questions.Text() == "collect" {
			runtime.GC()
		}
		check(json.NewEncoder(os.Stdout).Encode(map[string]float64{
			"cpuUs": cpuMicros(), "rssBytes": float64(rssBytes()),
		}))
	}
}
