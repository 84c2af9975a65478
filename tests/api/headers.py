#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the public headers: what they declare, and how each declaration looks through ctypes.

    tests/api/headers.py          prints bindings/python/nova/_tables.py as it should be
    tests/api/headers.py update   writes it
"""
import pathlib
import re
import sys
import textwrap

TABLES = "bindings/python/nova/_tables.py"
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_DECLARATION = re.compile(r"^NOVA_API\s+([^;{]+?)\s*\b(nova_\w+)\(([^;{]*)\);", re.M)
_SCALARS = {"int": "c_int", "size_t": "c_size_t", "uint32_t": "c_uint32", "uint64_t": "c_uint64",
            "int64_t": "c_int64", "double": "c_double", "void": "None",
            "nova_output_fn": "OUTPUT_FN", "nova_log_fn": "LOG_FN",
            "nova_progress_fn": "PROGRESS_FN"}
# What the caller gives, and what is handed out.
_OPTIONS = ("_opts", "_want")
_STRUCTS = _OPTIONS + ("_property", "_runtime", "_alias", "_key", "_secret", "_invocation",
                       "_summary", "_kv_entry", "nova_file")


class Declaration:
    def __init__(self, name, result, parameters):
        self.name = name
        self.parameters = [ctypes_name(p) for p in parameters]
        self.result = ctypes_name(result, is_result=True)
        if self.result == "c_char_p" and "POINTER(c_size_t)" in self.parameters:
            # Text that comes with its length may hold NULs, at which c_char_p would cut it.
            self.result = "c_void_p"


def ctypes_name(declared, is_result=False):
    """The name by which bindings/python/nova/_ffi.py knows a C type."""
    text = declared.strip()
    stars = text.count("*")
    words = [w for w in re.findall(r"\w+", text) if w not in ("const", "struct", "enum")]
    base = words[0]
    if stars == 0:
        return _SCALARS[base]
    if base == "char" and stars == 1:
        # A string to be freed has to keep its address, which c_char_p would lose.
        return "c_char_p" if "const" in text or not is_result else "c_void_p"
    if base == "char":
        return "POINTER(c_char_p)"
    if stars == 1 and base.endswith(_STRUCTS):
        return f"POINTER({struct_name(base)})"
    if stars == 1 and base in ("size_t", "int"):
        return f"POINTER({_SCALARS[base]})"
    if stars == 1:
        return "c_void_p"
    return "POINTER(c_void_p)" if stars == 2 else "POINTER(POINTER(c_void_p))"


def struct_name(c_name):
    """nova_vm_opts -> VmOpts"""
    return "".join(part.capitalize() for part in c_name.split("_")[1:])


def public_headers(root):
    return sorted((pathlib.Path(root) / "include/nova").glob("*.h"))


def prototypes(root):
    """{name: (result, [parameter, ...])} of every call, as C text."""
    found = {}
    for header in public_headers(root):
        for match in _DECLARATION.finditer(_COMMENT.sub("", header.read_text(encoding="utf-8"))):
            result, name, parameters = match.groups()
            found[name] = (result.strip(),
                           [] if parameters.strip() == "void"
                           else [p.strip() for p in parameters.split(",")])
    return found


def declarations(root):
    return {name: Declaration(name, *prototype) for name, prototype in prototypes(root).items()}


def option_structs(root):
    """{name: [(member, ctypes name), ...]} of every option struct."""
    return {name: members for name, members in structs(root).items() if name.endswith(_OPTIONS)}


def structs(root):
    """The same of every struct."""
    found = {}
    for header in public_headers(root):
        text = _COMMENT.sub("", header.read_text(encoding="utf-8"))
        for name, body in re.findall(r"typedef struct (nova_\w+) \{(.*?)\} \1;", text, re.S):
            members = [re.fullmatch(r"(.*?)(\w+)", member.strip(), re.S)
                       for member in body.split(";") if member.strip()]
            found[name] = [(member.group(2), ctypes_name(member.group(1))) for member in members]
    return found


def mapped(root):
    """The symbols that the library exports."""
    return set(re.findall(r"^\s*(nova_\w+);",
                          (pathlib.Path(root) / "lib/nova.map").read_text(encoding="utf-8"), re.M))


_TABLES_HEAD = '''# SPDX-License-Identifier: MIT
# Made from the headers by tests/api/headers.py update; do not edit.
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_int64, c_size_t,
                    c_uint32, c_uint64, c_void_p, sizeof)

OUTPUT_FN = CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_size_t)
LOG_FN = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
PROGRESS_FN = CFUNCTYPE(None, c_void_p, c_char_p)
_NUMBERS = {c_uint32: 2**32, c_uint64: 2**64}


class _Options(Structure):
    """An option struct: its first member holds its size."""

    def __init__(self, **members):
        for name, kind in self._fields_:
            limit = _NUMBERS.get(kind)
            if limit and not 0 <= members.get(name, 0) < limit:
                # ctypes would take it modulo 2**32.
                raise ValueError(f"{name}: {members[name]} is not between 0 and {limit - 1}")
        super().__init__(size=sizeof(type(self)), **members)
'''


def python_tables(root):
    """The text of _tables.py."""
    parts = [_TABLES_HEAD]
    # A struct that points to others comes after them.
    known = sorted(structs(root).items(),
                   key=lambda item: (sum("Opts)" in kind for _, kind in item[1]), item[0]))
    for name, members in known:
        base = "_Options" if name.endswith(_OPTIONS) else "Structure"
        lines = [f"class {struct_name(name)}({base}):", "    _fields_ = ["]
        lines += [f'        ("{member}", {kind}),' for member, kind in members] + ["    ]"]
        parts.append("\n".join(lines) + "\n")
    exported = mapped(root)
    functions = [_row(declared) for name, declared in declarations(root).items()
                 if name in exported]
    parts.append(_dictionary("FUNCTIONS", functions))
    values = constants(root)
    codes = _dictionary("CODES", [f'    {value}: "{name}",' for name, value in values.items()
                                  if name.startswith("NOVA_E")])
    rest = _dictionary("CONSTANTS", [f'    "{name}": {value},' for name, value in values.items()
                                     if not name.startswith("NOVA_E")])
    return "\n\n".join(parts) + "\n" + codes + "\n" + rest


def _row(declared):
    """A call as it stands in FUNCTIONS, in lines of 100 columns."""
    head = f'    "{declared.name}": ({declared.result}, ['
    text = ", ".join(declared.parameters) + "]),"
    if len(head + text) <= 100:
        return head + text
    margin = " " * 8
    return head.rstrip() + "\n" + textwrap.fill(text, 100, initial_indent=margin,
                                                subsequent_indent=margin)


def _dictionary(name, rows):
    return name + " = {\n" + "\n".join(rows) + "\n}\n"


def constants(root):
    """Every enumerator with its value."""
    found = {}
    for header in public_headers(root):
        text = _COMMENT.sub("", header.read_text(encoding="utf-8"))
        for body in re.findall(r"^enum nova_\w+ \{(.*?)\};", text, re.S | re.M):
            for name, value in re.findall(r"(NOVA_\w+)\s*=\s*([^,\n]+)", body):
                found[name] = eval(value, {"__builtins__": {}})
    return found


def undocumented(root):
    """Declarations without a doc comment that says since when they exist:
    before them, or behind them on their line."""
    missing = []
    for header in public_headers(root):
        text = header.read_text(encoding="utf-8")
        for match in re.finditer(r"^NOVA_API[^;]+?\b(nova_\w+)\([^;]*;([^\n]*)", text, re.M):
            before = re.search(r"/\*\*((?:(?!\*/).)*)\*/\s*$", text[: match.start()], re.S)
            comment = (before.group(1) if before else "") + match.group(2)
            if not re.search(r"Since\s+(?:\*\s+)?\d+\.\d+", comment):
                missing.append(f"{header.name}: {match.group(1)}")
    return missing


def comments(root):
    """{name: the doc comment before the call}, stars removed."""
    found = {}
    for header in public_headers(root):
        text = header.read_text(encoding="utf-8")
        for match in re.finditer(r"^NOVA_API[^;]+?\b(nova_\w+)\([^;]*;", text, re.M):
            before = re.search(r"/\*\*((?:(?!\*/).)*)\*/\s*$", text[: match.start()], re.S)
            found[match.group(1)] = re.sub(r"\n \* ?", "\n", before.group(1)) if before else ""
    return found


def wrong_comments(root):
    """What the comments of calls lack: a line for each parameter, one for each code,
    what is returned."""
    wrong, texts, codes = [], comments(root), set(constants(root))
    for name, (result, parameters) in prototypes(root).items():
        text = texts[name]
        names = [re.search(r"\w+$", parameter).group() for parameter in parameters]
        # The last one is the same everywhere: nova/base.h explains it.
        wanted = [p for p in names if p != "error" or name.startswith("nova_error_")]
        said = re.findall(r"^@param (\w+) \S", text, re.M)
        if said != wanted and said != names:
            wrong.append(f"{name}: @param of {said}, not of {wanted}")
        if (result != "void") != ("\n@return " in text):
            wrong.append(f"{name}: no @return")
        fails = "error" in names and not name.startswith("nova_error_")
        if fails and not re.search(r"^ ?- (NOVA_E|with|the codes)", text, re.M):
            wrong.append(f"{name}: no line for a code")
        wrong += [f"{name}: {code} is no code"
                  for code in re.findall(r"\bNOVA_E[A-Z0-9]+\b", text) if code not in codes]
    return wrong


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    text = python_tables(root)
    if sys.argv[1:] == ["update"]:
        (root / TABLES).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
