// SPDX-License-Identifier: MIT

// An offer by a template of HTML, for the shop that the environment names.
package main

import (
	"fmt"
	"html/template"
	"os"
	"strings"

	"corpus/function"
)

var page = template.Must(template.New("offer").Funcs(template.FuncMap{
	"euro": func(cents int) string { return fmt.Sprintf("%d.%02d €", cents/100, cents%100) },
}).Parse(`<h1>{{.Shop}}</h1>{{range $i, $line := .Lines}}
<p id="{{$i}}">{{.Name}}: {{euro .Cents}}</p>{{else}}
<p>nothing</p>{{end}}
`))

type line struct {
	Name  string
	Cents int
}

func offer(lines []line) (string, error) {
	var text strings.Builder
	err := page.Execute(&text, map[string]any{"Shop": os.Getenv("SHOP"), "Lines": lines})
	return text.String(), err
}

func main() {
	function.Run(offer)
}
