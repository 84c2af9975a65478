# SPDX-License-Identifier: MIT
"""Forks: only the process that was asked answers."""
import os
import signal
import sys


def handler(event):
    statuses = []
    for way in event["ways"]:
        child = os.fork()
        if child == 0:
            if way == "exit":
                sys.exit(5)
            if way == "raise":
                sys.stderr = open(os.devnull, "w", encoding="utf-8")
                raise RuntimeError("a child's own affair")
            if way == "signal":
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(0)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return statuses
