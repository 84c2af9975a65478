# SPDX-License-Identifier: MIT
"""tests/collect.py: what the last lines of tools/test say."""
import json
import subprocess
import sys
import tempfile
import unittest

from novatest import ROOT


class Collecting(unittest.TestCase):
    def collect(self, *entries, suites="unit"):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as log:
            for number, entry in enumerate(entries):
                whole = {"name": f"nova:unit / p{number}", "result": "OK", "returncode": 0, **entry}
                log.write(json.dumps(whole) + "\n")
            log.flush()
            words = [sys.executable, ROOT / "tests/collect.py", "plain", log.name, suites]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_the_last_line_counts_cases_not_programs(self):
        status, lines = self.collect({"stdout": "ok 1 - a\nok 2 - b # SKIP no disk\n"},
                                     {"stdout": "not ok 1 - c\n# why\n", "result": "FAIL"}, {})
        self.assertEqual((status, lines[-1]), (1, "2 passed, 1 failed, 1 skipped"))
        self.assertIn("skipped: [plain] unit/p0: b: no disk", lines)
        self.assertEqual(lines[lines.index("FAILED: [plain] unit/p1: c") + 1], "    why")

    def test_a_suite_without_a_test_is_a_failure(self):
        status, lines = self.collect({"stdout": "1..1\nok 1 - a\n"}, suites="unit cli")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_the_ten_that_took_longest_stand_before_it_in_order(self):
        times = (3, 1, 12.04, 7, 8, 9, 5, 6, 4, 2, 10, 11)
        status, lines = self.collect(*({"duration": time, "stdout": "ok 1 - a\n"}
                                       for time in times))
        self.assertEqual((status, lines[-1]), (0, "12 passed, 0 failed, 0 skipped"))
        self.assertEqual(lines[-12], "longest:")
        self.assertEqual(lines[-11].split(), ["12.0", "s", "[plain]", "unit/p2"])
        self.assertEqual([float(line.split()[0]) for line in lines[-11:-1]],
                         [12, 11, 10, 9, 8, 7, 6, 5, 4, 3])

    def test_what_a_program_notes_is_told_also_if_it_passes(self):
        _status, lines = self.collect({"stdout": "ok 1 - a\n# note: seed 4711\n"})
        self.assertEqual(lines[0], "[plain] unit/p0: seed 4711")
