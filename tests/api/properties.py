#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the table of properties out of a library, and makes of it what else has to say the same.

    tests/api/properties.py BUILD          names the files that are not as they should be
    tests/api/properties.py BUILD update   writes them: the table in docs/configuration.md, the
                                           options in docs/novactl.1, and
                                           bindings/python/nova/_properties.py
"""
import ctypes
import pathlib
import re
import sys
import textwrap

import headers

DOCUMENT = "docs/configuration.md"
PYTHON = "bindings/python/nova/_properties.py"
MANUAL = "docs/novactl.1"
MADE = (DOCUMENT, MANUAL, PYTHON)
_BEGIN = "<!-- made by tests/api/properties.py BUILD update; do not edit -->\n"
_END = "<!-- end -->\n"
_MANUAL_BEGIN = '.\\" Made by tests/api/properties.py BUILD update; do not edit.\n'
_MANUAL_END = '.\\" End.\n'
_MOST = {2**63 - 1: "2⁶³ − 1"}


class Property:
    """A row, as Python has it."""

    def __init__(self, row, constants):
        for name, kind in row._fields_:
            value = getattr(row, name)
            setattr(self, name, value.decode() if isinstance(value, bytes) else value)
        self.choices = []
        while row.choices and row.choices[len(self.choices)]:
            self.choices.append(row.choices[len(self.choices)].decode())
        names = {value: name
                 for name, value in constants.items() if name.startswith("NOVA_PROPERTY_")}
        self.kind = names[self.type].rsplit("_", 1)[1]
        self.is_number = self.kind in ("U32", "U64")
        units = {value: name for name, value in constants.items() if name.startswith("NOVA_UNIT_")}
        self.unit = {"NONE": "", "MB": "MB", "SECONDS": "seconds", "OPERATIONS": "operations/s",
                     "BYTES": "bytes/s", "CALLS": "calls",
                     "MILLISECONDS": "ms"}[units[self.unit].rsplit("_", 1)[1]]
        self.features = [name for name, value in constants.items()
                         if name.startswith("NOVA_FEATURE_") and self.features & value]
        self.per_clone = bool(self.flags & 1)
        self.makes_version = not self.flags & 2


def _row_type(root):
    """struct nova_property, from the headers of that tree."""
    pointers = {"POINTER(c_char_p)": ctypes.POINTER(ctypes.c_char_p)}
    members = headers.structs(root)["nova_property"]
    fields = [(name, pointers.get(kind) or getattr(ctypes, kind)) for name, kind in members]
    return type("Row", (ctypes.Structure,), {"_fields_": fields})


def read(root, build):
    """Every property, in the order of the table."""
    library = ctypes.CDLL(str(pathlib.Path(build).resolve() / "lib/libnova.so"))
    get = library.nova_property_get
    get.restype, get.argtypes = ctypes.POINTER(_row_type(root)), [ctypes.c_size_t]
    found, constants = [], headers.constants(root)
    while get(len(found)):
        found.append(Property(get(len(found)).contents, constants))
    return found


# --- the document ---------------------------------------------------------------------------------


def _range(p):
    if p.choices:
        return ", ".join(f"`{choice}`" for choice in p.choices)
    if p.kind == "LIST":
        return f"at most {p.most}"
    return f"{p.least} to {_MOST.get(p.most, p.most)}" if p.is_number else ""


def _default(p):
    if p.choices:
        return f"`{p.choices[0]}`"
    return str(p.standard) if p.is_number else ""


def _row(p):
    kind = {"TEXT": "text", "CHOICE": "one of",
            "LIST": "`NAME=value`"}.get(p.kind, p.unit or "number")
    option = f"`--{p.option}`" + (f", `-{p.letter}`" if p.letter else "")
    cells = [f"`{p.name}`", option, kind, _range(p), _default(p), p.since,
             ", ".join(f"`{name}`" for name in p.features) or "all", "yes" if p.per_clone else "no",
             "yes" if p.makes_version else "no",
             p.help.replace("\n", " ")]
    return "| " + " | ".join(cells) + " |"


def document_table(properties):
    head = ["property", "option", "kind", "range", "default", "since", "engines", "per clone",
            "new version", "meaning"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + [_row(p) for p in properties]) + "\n"


def _between(path, begin, made, end):
    """The text of the file, with what is made between two marks."""
    text, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + made + end,
                          path.read_text(encoding="utf-8"), flags=re.S)
    assert count == 1, f"{path}: the marks of tests/api/properties.py are not there once"
    return text


def document(root, properties):
    return _between(pathlib.Path(root) / DOCUMENT, _BEGIN, document_table(properties), _END)


# --- the manual page ------------------------------------------------------------------------------


def _limits(p):
    """As novactl's help has it."""
    if p.choices:
        return f"; default {p.choices[0]}"
    if not p.is_number:
        return ""
    if p.unit.endswith("/s"):
        return "; 0, the default, is no limit"
    return f", {p.least} to {p.most}; default {p.standard}"


def _option(p):
    short = f"Fl {p.letter} , " if p.letter else ""
    words = p.help.replace("\n", " ") + _limits(p)
    return f".It {short}Fl -{p.option} Ar {p.value}\n{words[0].upper()}{words[1:]}.\n"


def manual(root, properties):
    made = "".join(_option(p) for p in properties)
    return _between(pathlib.Path(root) / MANUAL, _MANUAL_BEGIN, made, _MANUAL_END)


# --- Python ---------------------------------------------------------------------------------------

_PYTHON_HEAD = '''# SPDX-License-Identifier: MIT
# Made by tests/api/properties.py BUILD update; do not edit.
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, TypedDict

'''


def _tuple(name, properties):
    names = "".join(f'    "{p.name}",\n' for p in properties)
    return f"{name} = (\n{names})\n"


def _comment(p):
    unit = f" ({p.unit})" if p.unit else ""
    extent = f": {_range(p)}" if p.is_number else ""
    words = p.help.replace("\n", " ") + unit + extent
    return textwrap.fill(f"{words[0].upper()}{words[1:]}.", 100, break_on_hyphens=False,
                         initial_indent="    # ", subsequent_indent="    # ") + "\n"


def python(properties):
    """The text of _properties.py."""
    given = {"LIST": "Optional[Mapping[str, str]]", "TEXT": "Optional[str]",
             "CHOICE": "Optional[str]"}
    told = {"LIST": "Dict[str, str]", "TEXT": "str", "CHOICE": "str"}
    text = _PYTHON_HEAD
    text += _tuple("NUMBERS", [p for p in properties if p.is_number])
    text += _tuple("TEXTS", [p for p in properties if p.kind in ("TEXT", "CHOICE")])
    text += _tuple("LISTS", [p for p in properties if p.kind == "LIST"])
    text += '\n\nclass Properties(TypedDict, total=False):\n'
    text += '    """Keywords of Nova.register(); 0 and None stand for the defaults."""\n\n'
    for p in properties:
        if p.name != "runtime":  # which has none
            text += _comment(p) + f"    {p.name}: {given.get(p.kind, 'int')}\n"
    text += '\n\n@dataclass(frozen=True)\nclass FunctionProperties:\n'
    text += '    """What a function was given, or has by default."""\n\n'
    return text + "".join(f"    {p.name}: {told.get(p.kind, 'int')}\n" for p in properties)


def made(root, build):
    """{file: its text as it should be}"""
    properties = read(root, build)
    return {DOCUMENT: document(root, properties), MANUAL: manual(root, properties),
            PYTHON: python(properties)}


def wrong(root, build):
    """The files that are not as they should be."""
    return [name for name, text in made(root, build).items()
            if (pathlib.Path(root) / name).read_text(encoding="utf-8") != text]


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    if sys.argv[2:] == ["update"]:
        for name, text in made(root, sys.argv[1]).items():
            (root / name).write_text(text, encoding="utf-8")
    else:
        print("\n".join(wrong(root, sys.argv[1])))


if __name__ == "__main__":
    main()
