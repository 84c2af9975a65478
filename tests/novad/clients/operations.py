#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of the clients' operations, made of the OpenAPI document.

    tests/novad/clients/operations.py BUILD            prints what is not as it should be
    tests/novad/clients/operations.py BUILD update     writes them
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
PYTHON = ROOT / "bindings/faas_sdk/faas_sdk/_operations.py"
SCRIPT = ROOT / "bindings/typescript/operations.js"
# What novad answers with 501 is not in the document, and says by its name that it will come.
LATER = {"exposePort": ("POST", "/api/v1/instances/{id}/expose", (), ("name", "port"))}


def document(build):
    done = subprocess.run([build / "tools/novad", "--openapi"], check=True, capture_output=True,
                          timeout=60)
    return json.loads(done.stdout)


def operations(openapi):
    """{operationId: (method, path, parameters of the query, fields of the body)}; fields that are
    None: the body is not looked at, or there is none."""
    found = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            if name.endswith("Bare"):
                continue
            query = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            fields = sorted(schema["properties"]) if "properties" in schema else None
            found[name] = (method.upper(), path, tuple(query),
                           None if fields is None else tuple(fields))
    return dict(sorted(found.items()))


def rows(table, opening, closing, nothing):
    """Each row in brackets of the language, filled to 100 columns."""
    for name, (method, path, query, fields) in table.items():
        yield f'    "{name}": {opening}"{method}", "{path}",'
        for values, end in ((query, ","), (fields, f"{closing},")):
            if values is None:
                yield f"        {nothing}{end}"
                continue
            comma = "," if opening == "(" and len(values) == 1 else ""
            words = ", ".join(f'"{value}"' for value in values) + comma
            yield from wrapped(f"        {opening}{words}{closing}{end}")


def wrapped(line):
    while len(line) > 100:
        at = line.rindex(" ", 0, 100)
        yield line[:at]
        line = " " * 9 + line[at + 1:]
    yield line


def python(table):
    lines = ["# SPDX-License-Identifier: MIT",
             "# Made by tests/novad/clients/operations.py of novad's document: do not edit.",
             '"""operationId: (method, path, parameters of the query, fields of the body)."""',
             "OPERATIONS = {", *rows(table, "(", ")", "None"), "}", "",
             "#: answered with 501 for now", "LATER = {", *rows(LATER, "(", ")", "None"), "}"]
    return "\n".join(lines) + "\n"


def script(table):
    lines = ["// SPDX-License-Identifier: MIT",
             "// Made by tests/novad/clients/operations.py of novad's document: do not edit.",
             "// operationId: [method, path, parameters of the query, fields of the body]",
             "export const operations = {", *rows(table, "[", "]", "null"), "};", "",
             "// answered with 501 for now", "export const later = {",
             *rows(LATER, "[", "]", "null"), "};"]
    return "\n".join(lines) + "\n"


def main():
    table = operations(document(pathlib.Path(sys.argv[1])))
    wanted = {PYTHON: python(table), SCRIPT: script(table)}
    for path, text in wanted.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        print(path.relative_to(ROOT))
        if sys.argv[2:] == ["update"]:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
