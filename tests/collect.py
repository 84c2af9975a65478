#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts single test cases in the logs of meson:
collect.py LABEL LOG.json "SUITE ..." [LABEL LOG.json "SUITE ..."]...

Prints what programs say of themselves (`# note: ...`), each failure with its output, each skip with
its reason, the programs that took longest, and one line of sums. Fails if a test failed, if a
program or a suite ran no test, or if there is no log.
"""
import json
import re
import sys

_TAP = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*)$")
_NOTE = re.compile(r"^# note: (.*)$", re.M)
_OUTPUT_LINES = 60
_SLOWEST = 10


class Sums:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []
        self.notes = []
        self.times = []  # (seconds, program)

    def add(self, name, verdict, detail=""):
        if verdict == "passed":
            self.passed += 1
        elif verdict == "failed":
            self.failures.append((name, detail))
        else:
            self.skips.append((name, detail or "no reason given"))


def tail(text):
    lines = text.rstrip().splitlines()
    return "\n".join(lines[-_OUTPUT_LINES:])


def tap_cases(text):
    """(name, verdict, detail) for every line of TAP; `# ...` below a failure is its detail."""
    cases = []
    for line in text.splitlines():
        match = _TAP.match(line)
        if match:
            failed, _, rest = match.groups()
            name, skip = (re.split(r"\s*#\s*skip\S*\s*", rest, maxsplit=1, flags=re.I) + [None])[:2]
            cases.append([name, "failed" if failed else "skipped" if skip is not None else "passed",
                          skip or ""])
        elif line.startswith("#") and cases and cases[-1][1] == "failed":
            cases[-1][2] += line[1:].removeprefix(" ") + "\n"
    return cases


def add_program(sums, label, entry):
    # "nova:unit / base" -> "unit/base"
    program = entry["name"].split(":")[-1].replace(" / ", "/")
    where = f"[{label}] {program}"
    stdout, result = entry.get("stdout") or "", entry["result"]
    # meson's own remark on the exit status adds nothing.
    stderr = re.sub(r"^\(test program exited with status code \d+\)$", "",
                    entry.get("stderr") or "", flags=re.M)
    sums.times.append((entry.get("duration") or 0.0, where))
    sums.notes += [(where, note) for note in _NOTE.findall(stdout)]
    cases = tap_cases(stdout)
    for name, verdict, detail in cases:
        sums.add(f"{where}: {name}", verdict, detail)
    if result == "SKIP" and not cases:
        lines = (stdout + stderr).strip().splitlines()
        sums.add(where, "skipped", lines[-1] if lines else "")
    elif result in ("OK", "EXPECTEDFAIL", "SKIP"):
        planned = re.search(r"^1\.\.(\d+)", stdout, re.M)
        if not cases and planned:
            sums.add(where, "failed", "it ran no test")
        elif not cases:
            sums.add(where, "passed")
    elif not any(verdict == "failed" for _, verdict, _ in cases):
        # Crashed, timed out, or ended with an error outside its tests: no line of TAP says so.
        sums.add(where, "failed",
                 f"{result}, exit status {entry.get('returncode')}\n{tail(stdout)}\n{tail(stderr)}")
    elif stderr.strip():
        name, detail = sums.failures[-1]
        sums.failures[-1] = (name, f"{detail}--- stderr of the program:\n{tail(stderr)}")


def add_log(sums, label, path, suites):
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            entries = [json.loads(line) for line in log if line.strip()]
    except OSError as problem:
        sums.add(f"[{label}]", "failed", f"no test ran: {problem}")
        return
    for entry in entries:
        add_program(sums, label, entry)
    for suite in suites:
        if not any(re.search(rf"(:|\b){re.escape(suite)}\b.*/", entry["name"])
                   for entry in entries):
            sums.add(f"[{label}] {suite}", "failed", "the suite ran no test")


def main():
    sums = Sums()
    words = sys.argv[1:]
    for label, path, suites in zip(words[::3], words[1::3], words[2::3]):
        add_log(sums, label, path, suites.split())
    for name, note in sums.notes:
        print(f"{name}: {note}")
    for name, reason in sums.skips:
        print(f"skipped: {name}: {reason}")
    for name, detail in sums.failures:
        print(f"FAILED: {name}")
        for line in detail.rstrip().splitlines():
            print(f"    {line}")
    if sums.times:
        print("longest:")
    for seconds, program in sorted(sums.times, reverse=True)[:_SLOWEST]:
        print(f"    {seconds:7.1f} s  {program}")
    print(f"{sums.passed} passed, {len(sums.failures)} failed, {len(sums.skips)} skipped")
    return 1 if sums.failures or not sums.passed else 0


if __name__ == "__main__":
    sys.exit(main())
