# SPDX-License-Identifier: MIT
"""Runs what its events say, one after the other in one interpreter: what code leaves in memory is
there for the code after it. modes.c registers it."""
import base64
import io
import os
import sys
import types

main = types.ModuleType("__main__")


def handler(event):
    sys.modules["__main__"] = main
    sys.argv = ["main.py", *event["args"]]
    sys.stdin = io.TextIOWrapper(io.BytesIO(base64.b64decode(event["stdin"])))
    os.environ.update(event["env"])
    exec(compile(event["code"], "main.py", "exec"), vars(main))
    return vars(main)[event["handler"]](event["input"]) if event["handler"] else None
