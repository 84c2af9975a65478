# SPDX-License-Identifier: MIT
"""A text as a C string: embed.py FILE NAME OUTPUT."""
import json
import sys

path, name, output = sys.argv[1:]
with open(path, encoding="utf-8") as file, open(output, "w", encoding="utf-8") as out:
    out.write(f"static const char {name}[] =\n")
    out.writelines(f"\t{json.dumps(line)}\n" for line in file)
    out.write("\t;\n")
