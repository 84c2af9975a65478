# SPDX-License-Identifier: MIT
"""What a function answers outside of libnova: run by this host's interpreter, or as a program."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from corpus import HERE

HANG = 600  # seconds; nothing here depends on how fast it is
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as in a guest


def environment(function):
    options = function.entry.get("options", {})
    memory = options.get("memory_mb", 256 if function.language == "node" else 128)
    return {"PATH": PATH, "HOME": "/tmp", "LANG": "C.UTF-8", "NOVA_REQUEST_ID": "host",
            "NOVA_RUNTIME": function.runtime, "NOVA_FUNCTION_NAME": function.name,
            "NOVA_FUNCTION_MEMORY_MB": str(memory),
            "NOVA_HANDLER": function.entry.get("handler", ""), "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": ":".join(map(str, function.wheels())), **options.get("env", {})}


def interpreter(name):
    """Where the engine fake takes it from, too."""
    return next(path for path in (f"/usr/bin/{name}", f"/usr/local/bin/{name}")
                if os.path.exists(path))


def python_call(function, place):
    """Calls the handler as one of a module that can be imported."""
    name = function.entry.get("handler", "")
    module, _, handler = name.rpartition(".")
    code = function.code
    if not code.is_dir():
        os.symlink(code, place / f"{module or 'main'}.py")
        lambda_style = "def lambda_handler" in code.read_text("utf-8")
        handler = handler or ("lambda_handler" if lambda_style else "handler")
        code = place
    return [interpreter("python3"), HERE / "call.py", code,
            f"{module or 'main'}.{handler or 'handler'}"]


def command(function, place, answers, events):
    """Calls a handler with these events, or runs a program with the only one."""
    code = function.code
    if function.is_called and function.language == "python":
        return [*python_call(function, place), answers, *events]
    if function.is_called:
        return [interpreter("node"), HERE / "call.mjs", code, function.entry.get("handler", ""),
                answers, *events]
    if function.language == "wasm":
        return [interpreter("node"), "--no-warnings", HERE / "wasi.mjs", code, *events]
    program = code / "handler" if code.is_dir() else code
    names = {"python": "python3", "node": "node"}
    if function.language in names:
        return [interpreter(names[function.language]), program, *events]
    return [*(["/bin/sh"] if function.language == "shell" else []), program, *events]


def of_status(status, stdout, stderr):
    """What the end of a process says, as docs/protocol.md has it."""
    words = "\n".join(stderr.strip().splitlines()[-4:])
    if status == 0:
        try:
            return {"output": json.loads(stdout)}
        except ValueError:
            return {"output": stdout.removesuffix("\n")}
    end = f"signal {-status}" if status < 0 else f"exit {status}"
    return {"error": f"{end}: {words}" if words else
            f"{end}, and nothing was written to stderr"}


def run(function, events):
    """The answers to these events, in one process; what it printed, if there is but one."""
    directory = function.code if function.code.is_dir() else function.code.parent
    with tempfile.TemporaryDirectory(prefix="nova-corpus-") as name:
        place = Path(name)
        paths = []
        for number, event in enumerate(events):
            paths.append(place / f"event-{number}.json")
            paths[-1].write_text(json.dumps(event, ensure_ascii=False), encoding="utf-8")
        written = place / "answers"
        written.write_text("")
        done = subprocess.run(list(map(str, command(function, place, written, paths))),
                              cwd=directory, env=environment(function), timeout=HANG,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        stdout, stderr = done.stdout.decode(), done.stderr.decode()
        found = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    if not found:
        found = [of_status(done.returncode, stdout, stderr)]
    if len(events) > 1:
        return found
    # The traceback of a failure names other files than in a guest.
    return [found[0] if "error" in found[0] else
            {**found[0], "logged": stderr, **({"printed": stdout} if function.is_called else {})}]


def answers(function, events):
    """One for each event: its output or error, and what it logged and printed where that is
    known. A handler is called with all of them in one process, unless a call of its own process
    would tell another thing ("apart")."""
    if function.is_called and not function.entry.get("apart"):
        return run(function, events)
    return [answer for event in events for answer in run(function, [event])]
