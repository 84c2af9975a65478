# SPDX-License-Identifier: MIT
"""Calls a Python handler with one event after the other, as plainly as that can be done.
Arguments: the directory of the code, MODULE.FUNCTION, a file for the answers, files of events."""
import importlib
import inspect
import json
import os
import sys
import types


def context():
    name = os.environ["NOVA_FUNCTION_NAME"]
    return types.SimpleNamespace(
        function_name=name, function_version="$LATEST", aws_request_id="host",
        memory_limit_in_mb=os.environ["NOVA_FUNCTION_MEMORY_MB"], log_group_name=f"/nova/{name}",
        invoked_function_arn=f"nova:function:{name}", get_remaining_time_in_millis=lambda: 1)


def call(handler, event):
    kinds = [one.kind for one in inspect.signature(handler).parameters.values()]
    two = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) > 1
    value = handler(event, context()) if two else handler(event)
    if not inspect.iscoroutine(value):
        return value
    import asyncio  # pylint: disable=import-outside-toplevel  # most do without
    return asyncio.run(value)


def main():
    directory, name, answers, *events = sys.argv[1:]
    module, _, function = name.rpartition(".")
    sys.path.insert(0, directory)
    handler = getattr(importlib.import_module(module), function)
    me = os.getpid()
    with open(answers, "a", encoding="utf-8") as file:
        for path in events:
            with open(path, encoding="utf-8") as event:
                given = json.load(event)
            try:
                answer = {"output": call(handler, given)}
            except Exception as error:  # pylint: disable=broad-except
                if os.getpid() != me:  # what the handler has forked
                    raise
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=file, flush=True)


if __name__ == "__main__":
    main()
