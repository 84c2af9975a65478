# SPDX-License-Identifier: MIT
"""Greets. libnova calls handler(); run by hand it is a script: python3 hello.py event.json"""
import json
import sys


def handler(event):
    name = event.get("name", "Anonymous")
    return {"message": f"Hello, {name}!", "runtime": "python"}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as event_file:
        json.dump(handler(json.load(event_file)), sys.stdout)
