# SPDX-License-Identifier: MIT
"""Says what it does on stdout and stderr, by print, by descriptor and by /dev/stderr."""
import os
import sys


def handler(event):
    for number in range(event["steps"]):
        print("step", number, flush=True)
    os.write(2, b"by descriptor\n")
    with open("/dev/stderr", "a", encoding="utf-8") as stream:
        stream.write("by name\n")
    sys.stderr.write("by stream é\n")
    sys.stdout.write("the end, without a newline")
    return event["steps"]
