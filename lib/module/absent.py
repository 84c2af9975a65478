# SPDX-License-Identifier: MIT
"""Prints C with a function for every name that an archive takes from other libraries than libc.

Arguments: the archive's name as in libcurl.a, and the compiler. libcurl is built with TLS, SSH,
LDAP and more, of which HTTP over a Unix socket needs nothing: so none of that is linked in. Each
of these functions says 0, or NULL, which to libcurl means that the thing is not there."""
import subprocess
import sys


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names(file, *options):
    lines = output("nm", "--format=posix", *options, file).splitlines()
    return {line.split()[0].split("@")[0] for line in lines if len(line.split()) > 1}


def find(file):
    return output(*compiler, f"-print-file-name={file}").strip()


compiler = sys.argv[2:]
archive = find(sys.argv[1])
absent = names(archive, "--undefined-only") - names(archive, "--defined-only", "--extern-only")
for library in ("libc.so.6", "libm.so.6"):
    absent -= names(find(library), "--defined-only", "--dynamic")
absent -= names(find("libgcc.a"), "--defined-only")
absent.discard("_GLOBAL_OFFSET_TABLE_")
print("/* SPDX-License-Identifier: MIT */")
print("long module_absent(void);")
print("long module_absent(void) { return 0; }")
for name in sorted(absent):
    print(f'long {name}(void) __attribute__((alias("module_absent")));')
