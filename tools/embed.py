# SPDX-License-Identifier: MIT
"""Turns files, one behind the other, into a C array: embed.py OUTPUT NAME INPUT...

A NUL stands behind it that does not count.
"""
import sys

target, name, *sources = sys.argv[1:]
data = b""
for source in sources:
    with open(source, "rb") as file:
        data += file.read()
bytes_ = data + b"\0"
lines = [", ".join(str(byte) for byte in bytes_[at:at + 24]) for at in range(0, len(bytes_), 24)]
with open(target, "w") as file:
    file.write(f"static const unsigned char {name}[] = {{\n\t" + ",\n\t".join(lines) + ",\n};\n")
    file.write(f"static const unsigned long {name}_len = {len(data)};\n")
