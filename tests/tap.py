#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the unittest files of a folder and prints TAP.
Arguments: folder, then folders for the module path; `-k PATTERN` and `-p FILES` as in unittest."""
import os
import sys
import unittest


class TapResult(unittest.TestResult):
    number = 0

    @staticmethod
    def title(test):
        # A sub-test's id ends in its parameters.
        words = test.id().split(".")
        return ".".join(words[-2:]).replace("test_", "").replace("_", " ").replace("#", "")

    def line(self, word, test, note=""):
        self.number += 1
        print(f"{word} {self.number} - {self.title(test)}{note}", flush=True)

    def tell(self, text):
        for line in text.rstrip().splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line("not ok", test)
        self.tell(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line("not ok", test)
        self.tell(self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.line("not ok", subtest)
            kept = self.failures if issubclass(err[0], test.failureException) else self.errors
            self.tell(kept[-1][1])


def take(arguments, option):
    """What the option is given; None: it is not there."""
    if option not in arguments:
        return None
    at = arguments.index(option)
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value


def main():
    arguments = sys.argv[1:]
    loader = unittest.TestLoader()
    name, files = take(arguments, "-k"), take(arguments, "-p")
    if name:
        loader.testNamePatterns = [f"*{name}*"]
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), *arguments[1:]]
    tests = loader.discover(arguments[0], pattern=files or "test_*.py", top_level_dir=arguments[0])
    result = TapResult()
    tests.run(result)
    print(f"1..{result.number}", flush=True)
    # No test at all is a fault of the set-up, not a success.
    return 0 if result.wasSuccessful() and result.number else 1


sys.exit(main())
