// SPDX-License-Identifier: MIT

// A function is a static program: its event is the JSON file that its argument names, its answer is
// JSON on stdout.
//
//	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -o handler hello.go
//	novactl register hello-go --runtime go --code handler
//
// Go 1.21 and later make a module of it, too, of which the first call is slow where the processor
// is emulated: compiling 3 MB takes minutes.
//
//	GOOS=wasip1 GOARCH=wasm go build -ldflags='-s -w' -o handler.wasm hello.go
//	novactl register hello-go --runtime wasm --memory 512 --init-timeout 600 --code handler.wasm
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type event struct {
	Name string `json:"name"`
}

type answer struct {
	Message string `json:"message"`
	Runtime string `json:"runtime"`
}

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: handler EVENT.json")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	in := event{Name: "Anonymous"}
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return json.NewEncoder(os.Stdout).Encode(answer{"Hello, " + in.Name + "!", "go"})
}
