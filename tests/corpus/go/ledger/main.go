// SPDX-License-Identifier: MIT

// Keeps a ledger in a file of /tmp, and ends with exit codes that say what was wrong with it.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
)

func fail(code int, format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(code)
}

func write(path string, entries [][]string) {
	file, err := os.Create(path)
	if err != nil {
		fail(4, "%v", err)
	}
	defer file.Close()
	packed := gzip.NewWriter(file)
	defer packed.Close()
	if err := csv.NewWriter(packed).WriteAll(entries); err != nil {
		fail(4, "%v", err)
	}
}

func read(path string) map[string]int {
	file, err := os.Open(path)
	if err != nil {
		fail(4, "%v", err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		fail(4, "%v", err)
	}
	rows, err := csv.NewReader(unpacked).ReadAll()
	if err != nil {
		fail(4, "%v", err)
	}
	balances := map[string]int{}
	for number, row := range rows {
		amount, err := strconv.Atoi(row[2])
		if err != nil {
			fail(3, "entry %d: no amount: %q", number+1, row[2])
		}
		balances[row[0]] -= amount
		balances[row[1]] += amount
	}
	return balances
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(2, "%v", err)
	}
	var entries [][]string
	if err := json.Unmarshal(text, &entries); err != nil {
		fail(2, "usage: [[from, to, amount], ...]")
	}
	place, err := os.MkdirTemp("", "ledger-")
	if err != nil {
		fail(4, "%v", err)
	}
	defer os.RemoveAll(place)
	write(place+"/ledger.gz", entries)
	balances := read(place + "/ledger.gz")
	names := []string{}
	for name := range balances {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintln(os.Stderr, len(entries), "entries of", names)
	json.NewEncoder(os.Stdout).Encode(balances)
}
