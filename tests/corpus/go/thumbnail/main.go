// SPDX-License-Identifier: MIT

// Draws an image, makes it smaller and packs it as PNG; or reads one.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"

	"corpus/function"
)

type event struct {
	Width, Height, By int
	PNG               []byte
}

type answer struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Pixels string `json:"pixels"`
	Back   bool   `json:"back"`
}

func draw(width, height int) image.Image {
	drawn := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := 0; y < height; y++ {
		for x := 0; x < width; x++ {
			drawn.Set(x, y, color.NRGBA{uint8(x * 3), uint8(y * 5), uint8(x ^ y), 255})
		}
	}
	return drawn
}

func shrink(from image.Image, by int) *image.NRGBA {
	size := from.Bounds().Size()
	to := image.NewNRGBA(image.Rect(0, 0, size.X/by, size.Y/by))
	for y := 0; y < size.Y/by; y++ {
		for x := 0; x < size.X/by; x++ {
			to.Set(x, y, from.At(x*by, y*by))
		}
	}
	return to
}

func thumbnail(e event) (*answer, error) {
	from, err := draw(e.Width, e.Height), error(nil)
	if e.PNG != nil {
		if from, err = png.Decode(bytes.NewReader(e.PNG)); err != nil {
			return nil, err
		}
	}
	small, file := shrink(from, e.By), bytes.Buffer{}
	if err := png.Encode(&file, small); err != nil {
		return nil, err
	}
	again, err := png.Decode(&file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(small.Pix)
	size := small.Rect.Size()
	same := sum == sha256.Sum256(shrink(again, 1).Pix)
	return &answer{size.X, size.Y, hex.EncodeToString(sum[:8]), same}, nil
}

func main() {
	function.Run(thumbnail)
}
