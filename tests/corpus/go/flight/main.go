// SPDX-License-Identifier: MIT

// When a flight lands, by the clocks of where it lands: zones that the guest has to know.
package main

import (
	"time"

	"corpus/function"
)

type flight struct {
	Departs, From, To string
	Minutes           int
}

func lands(f flight) (map[string]string, error) {
	from, err := time.LoadLocation(f.From)
	if err != nil {
		return nil, err
	}
	to, err := time.LoadLocation(f.To)
	if err != nil {
		return nil, err
	}
	departs, err := time.ParseInLocation("2006-01-02 15:04", f.Departs, from)
	if err != nil {
		return nil, err
	}
	arrives := departs.Add(time.Duration(f.Minutes) * time.Minute)
	return map[string]string{
		"departs": departs.Format(time.RFC1123Z),
		"arrives": arrives.In(to).Format(time.RFC1123Z),
		"zone":    arrives.In(to).Format("MST"),
	}, nil
}

func main() {
	function.Run(lands)
}
