# SPDX-License-Identifier: MIT
"""What a web server's log says: requests by status, bytes by path, lines that are none."""
import re
from collections import Counter

LINE = re.compile(r'(?P<host>\S+) \S+ \S+ \[(?P<time>[^]]+)\] "(?P<verb>[A-Z]+) (?P<path>[^ ?"]+)'
                  r'[^"]*" (?P<status>\d{3}) (?P<size>\d+|-)')


def handler(event):
    status, size, bad = Counter(), Counter(), []
    for number, line in enumerate(event["log"].splitlines(), 1):
        found = LINE.match(line)
        if not found:
            bad.append(number)
            continue
        status[found["status"]] += 1
        size[found["path"]] += int(found["size"].replace("-", "0"))
    return {"status": status, "bytes": size, "bad": bad}
