# SPDX-License-Identifier: MIT
"""An interpreter that has read all it needs, and waits to be told whose it is; launch.c describes
the message.

The program of the warm interpreter (worker.py) comes on stdin. It is run here as if it had been
started with that function.
"""
import sys
del sys.path[0]  # where it was started: what follows is the library's

import _socket
import gc
import json
import os
import signal
import time

try:
    import resource
except ImportError:
    resource = None


FIELDS = 5  # before the variables


def wait(program):
    sock = _socket.socket(fileno=int(sys.argv[1]))
    sock.send(b"w")
    text = sock.recv(1 << 17)
    sock.detach()
    if not text:
        os._exit(0)
    fields = text.split(b"\0")
    if fields[FIELDS:]:
        os.environ.clear()
    for entry in fields[FIELDS:]:
        name, _, value = entry.partition(b"=")
        os.environb[name] = value
    time.tzset()
    sys.argv[2:] = [os.fsdecode(field) for field in fields[:FIELDS]]
    os.chdir(fields[3])  # the code was not there before
    return program


exec(wait(compile(open(0, "rb", closefd=False).read(), "<string>", "exec")),
     {"__name__": "__main__", "__builtins__": __builtins__})
