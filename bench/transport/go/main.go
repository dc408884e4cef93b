// The grpc-go side of the transport bench: the same calls as the other stacks, with an identity codec.
//
//	bench server [FOLDER]   prints the port, then its usage for each line of standard input, until that ends
//	bench client ORDER      runs the order (JSON) and prints what it found as JSON, last
//
// FOLDER has the certificates for mTLS.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

const (
	echoPath = "/bench.Echo/Echo"
	barePath = "/bench.Echo/Bare"
)

var token = "Bearer " + strings.Repeat("a1b2c3d4", 8)

// bytesCodec sends a message's bytes as they are, and copies what it receives once: the buffers are the transport's.
// It goes by the name of the codec whose place it takes, as the other stacks' content type does.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (bytesCodec) Name() string { return "proto" }

// transportCredentials are plaintext without a folder, else mTLS: TLS 1.3, both sides verified.
func transportCredentials(folder string) credentials.TransportCredentials {
	if folder == "" {
		return insecure.NewCredentials()
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "certificate.pem"), filepath.Join(folder, "key.pem"))
	check(err)
	root, err := os.ReadFile(filepath.Join(folder, "root.pem"))
	check(err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		check(errors.New("root.pem has no certificate"))
	}
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		RootCAs:      roots,
		ClientCAs:    roots,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	})
}

func cpuMicros() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Sec+usage.Stime.Sec)*1e6 + float64(usage.Utime.Usec+usage.Stime.Usec)
}

// rssBytes is the second field of statm, in pages; 0 where the system has no such file.
func rssBytes() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, resident int
	_, err = fmt.Sscan(string(text), &total, &resident)
	check(err)
	return resident * os.Getpagesize()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "server":
		serve(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "client":
		load(os.Args[2])
	default:
		log.Fatal("usage: bench server FOLDER | bench client ORDER")
	}
}
