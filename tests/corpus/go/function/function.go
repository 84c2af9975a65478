// SPDX-License-Identifier: MIT

// Package function is what a function needs of its platform: its event, its answer, its failure.
package function

import (
	"encoding/json"
	"fmt"
	"os"
)

// Run calls the handler with the event that the file named by the first argument has.
func Run[E, A any](handler func(E) (A, error)) {
	var event E
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &event)
	}
	var answer A
	if err == nil {
		answer, err = handler(event)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
