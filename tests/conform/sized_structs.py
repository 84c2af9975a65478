#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the table of sizes.c: every option struct of the headers with the places of its members.
Argument: source root."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "tests/api"))
import headers  # noqa: E402

rows = []
for struct, members in headers.option_structs(sys.argv[1]).items():
    names = [name for name, _ in members]
    places = ", ".join(f"offsetof({struct}, {name})" for name in names[1:])
    print(f"static const size_t places_{struct}[] = {{ {places} }};")
    reserved = f"offsetof({struct}, reserved)" if "reserved" in names else "0"
    rows.append(f'\t{{ "{struct}", sizeof({struct}), places_{struct}, ARRAY_LEN(places_{struct}), '
                f"{reserved}, &full_{struct}, use_{struct} }},")
print("static const struct sized structs[] = {\n" + "\n".join(rows) + "\n};")
