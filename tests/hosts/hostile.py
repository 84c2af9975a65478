# SPDX-License-Identifier: MIT
"""Prints C with a function for every name of the libraries of libnova, each of which aborts: what
they export, and what they call of others, libc excepted.

Argument: the compiler."""
import pathlib
import re
import subprocess
import sys

LIBRARIES = ["jansson", "crypto", "ext2fs", "com_err", "sqlite3", "yaml", "lz4", "zstd", "lzma",
             "z", "curl", "nl-3"]


def names(file, *options):
    text = subprocess.run(["nm", "--format=posix", *options, file],
                          capture_output=True, text=True, check=True).stdout
    return {line.split()[0].split("@")[0] for line in text.splitlines()
            if re.match(r"\S+ [A-Zivw] ", line)}


def find(file):
    """Where the linker would take it from."""
    path = subprocess.run([sys.argv[1], f"-print-file-name={file}"],
                          capture_output=True, text=True, check=True).stdout.strip()
    return path if pathlib.Path(path).exists() else None


hostile = set()
for library in LIBRARIES:
    archive, shared = find(f"lib{library}.a"), find(f"lib{library}.so")
    if archive:
        hostile |= names(archive, "--extern-only")
    if shared:
        hostile |= names(shared, "--dynamic")
for library in ("libc.so.6", "libm.so.6"):
    hostile -= names(find(library), "--dynamic", "--defined-only")
hostile -= names(find("libgcc.a"), "--defined-only")
hostile = {name for name in hostile if re.fullmatch(r"[A-Za-z]\w*", name)} - {"main"}
print("/* SPDX-License-Identifier: MIT */\nvoid abort(void);")
print("void hostile(void) { abort(); }")
for name in sorted(hostile):
    print(f'void {name}(void) __attribute__((alias("hostile")));')
