# SPDX-License-Identifier: MIT
"""Runs the program that comes on stdin, which is longer than an argument may be."""
import sys
del sys.path[0]  # where it was started: what follows is the library's

exec(compile(open(0, "rb", closefd=False).read(), "<string>", "exec"),
     {"__name__": "__main__", "__builtins__": __builtins__})
