# SPDX-License-Identifier: MIT
"""novactl logs and stats."""
import json
import signal
import subprocess

from novatest import NOVACTL, HomeCase


class Logs(HomeCase):
    def setUp(self):
        super().setUp()
        self.add("good", "echo printed >&2; echo 1")
        self.add("bad", "printf 'a\\000b\\033[2J\\377\\302\\233m\\303\\251\\n\\233' >&2; exit 3")

    def add(self, name, text):
        self.novactl("register", name, "--runtime", "shell", "--code", self.write("f.sh", text),
                     "--replace")

    def records(self, *words):
        return self.novactl_json("logs", *words)

    def test_what_calls_have_left_is_shown_with_the_newest_last(self):
        self.novactl("invoke", "good", "--payload", "[1]")
        self.novactl("invoke", "bad", status=3)
        self.novactl("run", "--language", "shell", "echo 2")
        good, bad, run = self.records("--all")
        self.assertEqual((good["function"], good["version"], good["outcome"], good["code"]),
                         ("good", 1, "ok", 0))
        self.assertEqual((good["stderr"], good["input_size"], good["cold"]), ("printed\n", 3, True))
        self.assertRegex(good["started"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual((bad["outcome"], bad["code"]), ("NOVA_EFUNCTION", -18))
        self.assertIn("exit 3", bad["error"])
        self.assertEqual(bad["stderr"], "a\0b\x1b[2J\ufffd\x9bm\xe9\n\ufffd")
        self.assertEqual((run["function"], run["runtime"]), ("", "shell"))
        self.assertEqual(self.records("good"), [good])
        self.assertEqual(self.records("good:1"), [good])
        self.assertEqual(self.records("good:2"), [])
        self.assertEqual(self.records("--runs"), [run])
        self.assertEqual(self.records("--all", "--errors"), [bad])
        self.assertEqual(self.records("--all", "-n", "1"), [run])
        self.assertEqual(self.records("--all", "--before", str(run["number"]), "-n", "1"), [bad])
        self.assertEqual(self.records("--all", "--request", bad["request_id"]), [bad])
        self.assertEqual(len(self.records("--all", "--since", "1h")), 3)
        text = self.novactl("logs", "--all").stdout
        self.assertIn("good:1  ok", text)
        self.assertIn("  stderr: printed\n", text)
        self.assertIn("  stderr: a?b?[2J\ufffd??m\xe9\n", text)  # nothing that steers a terminal
        self.assertIn(r"\u009bm", self.novactl("--json", "logs", "--all").stdout)
        self.assertIn("(run)", text)

    def test_calls_are_counted_by_function(self):
        for _ in range(2):
            self.novactl("invoke", "good")
        self.novactl("invoke", "bad", status=3)
        bad, good = self.novactl_json("stats")
        self.assertEqual((bad["function"], bad["calls"], bad["errors"]), ("bad", 1, 1))
        self.assertEqual((good["function"], good["calls"], good["errors"]), ("good", 2, 0))
        self.assertTrue(0 < good["p50_us"] <= good["p95_us"] <= good["longest_us"])
        self.assertEqual(self.novactl_json("stats", "good", "--since", "1h"), [good])
        self.assertRegex(self.novactl("stats", "good").stdout, r"good +2 +0 +100.0 % +[\d.]+ ms")
        self.assertEqual(self.novactl_json("stats", "none"), [])

    def test_whoever_follows_sees_the_calls_of_others_until_a_signal(self):
        self.novactl("invoke", "good")
        with subprocess.Popen([NOVACTL, "logs", "--all", "--follow", "--json"], text=True,
                              env=self.environment, stdout=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            self.assertEqual(json.loads(process.stdout.readline())["function"], "good")
            self.novactl("invoke", "bad", status=3)
            self.assertEqual(json.loads(process.stdout.readline())["function"], "bad")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(100), 0)

    def test_a_command_line_that_says_nothing_or_too_much_is_refused(self):
        self.refuses("one of FUNCTION, --all and --runs", "logs", status=2)
        self.refuses("one of FUNCTION, --all and --runs", "logs", "good", "--all", status=2)
        self.refuses("do not go together", "logs", "good", "-f", "--before", "3", status=2)
        self.refuses("at most 1000", "logs", "good", "-n", "1001", status=2)

    def test_a_log_that_cannot_be_written_fails_no_call(self):
        (self.home / "log.db").write_text("this is no database")
        done = self.novactl("invoke", "good")
        self.assertIn("Output", done.stdout)
        self.assertEqual(done.stderr.count("log.db"), 1)  # said once
        self.refuses("log.db is damaged", "logs", "good")
        (self.home / "log.db").unlink()
        self.novactl("invoke", "good")
        self.assertEqual(len(self.records("good")), 1)
