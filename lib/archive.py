# SPDX-License-Identifier: MIT
"""Links objects and archives into one object whose names are hidden but for those to be kept.

Arguments: the compiler, the output (*.a: an archive with that object), the symbol to be kept or a
symbol map, objects, and the names of archives as in libz.a."""
import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main(compiler, output, keep, *files):
    output = pathlib.Path(output)
    whole = output.with_suffix(".o")
    kept = [keep]
    if keep.endswith(".map"):
        kept = re.findall(r"^\t(\w+);", pathlib.Path(keep).read_text(encoding="utf-8"), re.M)
    objects = [run(compiler, f"-print-file-name={file}")
               if re.match(r"lib[\w-]+\.a$", file) else file for file in files]
    link = [compiler, "-r", "-nostdlib", "-Wl,-d", "-o"]  # -d: also of what is common to files
    run(*link, whole, *objects)
    # What a library would call if the program had it is not asked for.
    weak = set(re.findall(r"^(\w+) [wv] ", run("nm", "--format=posix", whole), re.M))
    libc = run(compiler, "-print-file-name=libc.so.6")
    weak -= set(re.findall(r"^(\w+)", run("nm", "--format=posix", "--dynamic", libc), re.M))
    run(*link, whole, *objects, *(f"-Wl,--defsym={name}=0" for name in sorted(weak)))
    run("objcopy", *(f"--keep-global-symbol={name}" for name in kept), whole)
    if output != whole:
        output.unlink(missing_ok=True)
        run("ar", "rcs", output, whole)


main(*sys.argv[1:])
