// SPDX-License-Identifier: MIT

// Goroutines that share work by channels and collect what they find.
package main

import (
	"math/big"
	"runtime"
	"sync"

	"corpus/function"
)

type found struct {
	number int
	text   string
}

func factorials(numbers []int) (map[string]any, error) {
	work, results := make(chan int), make(chan found)
	var workers sync.WaitGroup
	for i := 0; i < 4; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range work {
				product := new(big.Int).MulRange(1, int64(number))
				runtime.Gosched()
				results <- found{number, product.String()}
			}
		}()
	}
	go func() {
		for _, number := range numbers {
			work <- number
		}
		close(work)
		workers.Wait()
		close(results)
	}()
	texts := map[int]string{}
	for one := range results {
		texts[one.number] = one.text
	}
	return map[string]any{"factorials": texts, "count": len(texts)}, nil
}

func main() {
	function.Run(factorials)
}
