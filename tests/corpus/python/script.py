# SPDX-License-Identifier: MIT
"""A script without a handler: its event is the file that argv names, stdin is empty."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    numbers = json.load(file)
if not isinstance(numbers, list):
    print("usage: a list of numbers", file=sys.stderr)
    sys.exit(2)
print("summing", len(numbers), file=sys.stderr)
json.dump({"sum": sum(numbers), "arguments": len(sys.argv), "stdin": sys.stdin.read(),
           "name": __name__}, sys.stdout)
