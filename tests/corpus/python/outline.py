# SPDX-License-Identifier: MIT
"""A small part of YAML by hand: mappings by indentation, lists, scalars."""
import re

WORDS = {"true": True, "false": False, "null": None, "~": None}


def scalar(text):
    if text in WORDS:
        return WORDS[text]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return text[1:-1] if text[:1] in "'\"" and text[-1:] == text[:1] else text


def parse(lines, indent):
    if lines[0][1].startswith("- "):
        found = []
        while lines and lines[0][0] == indent:
            found.append(scalar(lines.pop(0)[1][2:]))
        return found
    found = {}
    while lines and lines[0][0] == indent:
        number, (_, text) = lines[0][2], lines.pop(0)[:2]
        key, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"line {number}: no colon in {text!r}")
        deeper = lines and lines[0][0] > indent and not value.strip()
        found[key] = parse(lines, lines[0][0]) if deeper else scalar(value.strip())
    return found


def handler(event):
    lines = [(len(line) - len(line.lstrip()), line.strip(), number)
             for number, line in enumerate(event["text"].splitlines(), 1)
             if line.strip() and not line.lstrip().startswith("#")]
    return parse(lines, 0)
