# SPDX-License-Identifier: MIT
"""Takes longer than it may."""
import sys
import time


def handler(event):
    print("began", file=sys.stderr, flush=True)
    time.sleep(event["seconds"])
    return "too late"
