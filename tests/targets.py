#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ninja must make for some suites: targets.py BUILD SUITE...

Prints the targets, one a line: the library with its modules, and what the tests of those suites
say that they need. A build with a sanitizer takes minutes, and runs a part of the suites only.
"""
import json
import os
import subprocess
import sys


def ask(build, what):
    return json.loads(subprocess.check_output(["meson", "introspect", what, build]))


def targets(build, suites):
    """Paths below `build`, sorted."""
    needed = {
        target
        for test in ask(build, "--tests")
        if suites & {suite.split(":")[-1] for suite in test["suite"]}
        for target in test["depends"]
    }
    made = {
        (os.path.relpath(path, os.path.abspath(build)), target["id"] in needed)
        for target in ask(build, "--targets")
        for path in target["filename"]
    }
    return sorted(path for path, used in made if used or path.startswith("lib/"))


if __name__ == "__main__":
    print("\n".join(targets(sys.argv[1], set(sys.argv[2:]))))
