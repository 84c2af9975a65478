#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one libFuzzer target for NOVA_TEST_FUZZ_SECONDS and prints TAP: fuzz.py TARGET CORPUS.

What it learns is kept beside the target, in TARGET.found, and so is the input that ends it.
"""
import os
import re
import subprocess
import sys

_ONE_INPUT_S = 30


def figure(output, name):
    match = re.search(rf"^stat::{name}:\s+(\d+)", output, re.M)
    return int(match.group(1)) if match else 0


def main():
    target, corpus = sys.argv[1:]
    seconds = int(os.environ.get("NOVA_TEST_FUZZ_SECONDS") or 180)
    seed = int(os.environ.get("NOVA_TEST_SEED") or int.from_bytes(os.urandom(3), "big") + 1)
    found = target + ".found"
    os.makedirs(found, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-timeout={_ONE_INPUT_S}", f"-seed={seed}",
               "-print_final_stats=1", f"-artifact_prefix={target}."]
    done = subprocess.run([target, *options, found, corpus], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    runs = figure(done.stdout, "number_of_executed_units")
    rate = figure(done.stdout, "average_exec_per_sec")
    passed = done.returncode == 0 and runs > 0
    print(f"{'ok' if passed else 'not ok'} 1 - nothing that was tried in {seconds} s is mishandled")
    print(f"# note: {runs} executions, {rate} a second, seed {seed}")
    if not passed:
        for line in done.stdout.splitlines()[-80:]:
            print(f"# {line}")
    print("1..1")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
