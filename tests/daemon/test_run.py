# SPDX-License-Identifier: MIT
"""Code that is run once, in a daemon."""
from daemoncase import DaemonCase
from novatest import NOVACTL, await_that


class Run(DaemonCase):
    def code(self, *words, language="shell", **named):
        return self.novactl("run", "--language", language, *words, **named)

    def misses(self):
        return self.status()["pool"]["misses"]

    def test_a_daemon_runs_code_as_novactl_alone_does(self):
        daemon = self.daemon()
        data = self.directory / "data"
        data.write_bytes(b"\0\xff\n")
        done = self.code("cat data | od -An -tx1; cat; echo \"$@\" $WHO; echo err >&2; exit 7",
                         "-i", "-", "--file", data, "-e", "WHO=me", "--", "-x", stdin="in\n",
                         status=7)
        self.assertEqual((done.stdout, done.stderr), (" 00 ff 0a\nin\n-x me\n", "err\n"))
        handler = "def handler(event):\n    print('hi')\n    return sum(event)"
        self.assertEqual(self.code(handler, "-p", "[1, 2]", language="python").stdout, "hi\n3\n")
        path = self.write("job.py", "print(__file__[-7:])")
        self.assertEqual(self.code("-f", path, language="python").stdout, "main.py\n")
        self.assertIn("python, node", self.code("1", language="perl", status=125).stderr)
        self.assertIn("SyntaxError", self.code("def f(:", language="python", status=1).stderr)
        self.assertIn("300 ms", self.code("sleep 1000", "-t", "300ms", status=124).stderr)
        result = self.novactl_json("run", "-l", "shell", "echo 5")
        self.assertEqual((result["output"], result["exit_code"]), (5, 0))
        self.assertEqual(self.misses(), 5)  # of 7 two did not begin, and no VM was used again
        self.stop(daemon)

    def test_what_does_not_fit_a_request_is_run_here(self):
        daemon = self.daemon()
        large = self.directory / "large"
        large.write_bytes(bytes(9 << 20))
        self.assertEqual(self.code("wc -c <large", "--file", large).stdout, "9437184\n")
        self.assertEqual(self.misses(), 0)
        self.stop(daemon)

    def test_long_output_is_passed_on_whole(self):
        daemon = self.daemon()
        done = self.code("head -c 6000000 /dev/zero | tr '\\0' x")
        self.assertEqual(len(done.stdout), 6000000)
        self.stop(daemon)

    def test_code_ends_with_whoever_asked_for_it(self):
        daemon = self.daemon()
        begun = self.directory / "begun"
        client = self.start_program(NOVACTL, "run", "-l", "shell",
                                    f"echo >{begun}; exec sleep 100000", "-t", "1h")
        await_that(begun.exists, "the code runs")
        client.terminate()
        client.wait(30)
        await_that(lambda: not self.status()["pool"]["busy"], "its microVM is gone")
        self.stop(daemon)
