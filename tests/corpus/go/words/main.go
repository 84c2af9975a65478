// SPDX-License-Identifier: MIT

// The words of a text by frequency, with the lines that they are in.
package main

import (
	"sort"
	"strings"
	"unicode"

	"corpus/function"
)

type word struct {
	Word  string `json:"word"`
	Lines []int  `json:"lines"`
}

func index(text string) ([]word, error) {
	lines := map[string][]int{}
	for number, line := range strings.Split(text, "\n") {
		for _, found := range strings.FieldsFunc(strings.ToLower(line), func(r rune) bool {
			return !unicode.IsLetter(r)
		}) {
			lines[found] = append(lines[found], number+1)
		}
	}
	words := []word{}
	for found, where := range lines {
		words = append(words, word{found, where})
	}
	sort.Slice(words, func(i, j int) bool {
		a, b := words[i], words[j]
		if len(a.Lines) != len(b.Lines) {
			return len(a.Lines) > len(b.Lines)
		}
		return a.Word < b.Word
	})
	return words, nil
}

func main() {
	function.Run(index)
}
