# SPDX-License-Identifier: MIT
"""A long output: as a list, or as one text."""


def entries(count):
    for number in range(count):
        yield f"Müller {number:06}\t+49 30 {number * 7919 % 10000000:07}\n"


def handler(event):
    lines = entries(event["entries"])
    return "".join(lines) if event["as"] == "text" else [line.split("\t") for line in lines]
