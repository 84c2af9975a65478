# SPDX-License-Identifier: MIT
"""What runs in sandboxes, by E2B's SDK."""
import json
import struct
import threading

from e2bcase import E2bCase
from novatest import await_that


class Commands(E2bCase):
    def setUp(self):
        super().setUp()
        self.process = self.sandboxes()
        self.sandbox = self.create()
        self.commands = self.sandbox.commands

    def test_output_comes_while_it_runs(self):
        go = self.directory / "go"
        heard = []

        def hear(text):
            heard.append(text)
            go.touch()
        done = self.commands.run(
            f"echo begun; while ! test -e {go}; do sleep 0.02; done; echo ended; echo no >&2",
            on_stdout=hear)
        self.assertEqual((heard[0], "".join(heard)), ("begun\n", "begun\nended\n"))
        self.assertEqual((done.stdout, done.stderr, done.exit_code, done.error),
                         ("begun\nended\n", "no\n", 0, None))

    def test_what_fails_has_its_exit_code_and_its_output(self):
        failed = self.raises(self.e2b.CommandExitException, "no", self.commands.run,
                             "echo out; echo no >&2; exit 3")
        self.assertEqual((failed.exit_code, failed.stdout, failed.stderr, failed.error),
                         (3, "out\n", "no\n", "exit status 3"))
        self.assertEqual(self.raises(self.e2b.CommandExitException, "", self.commands.run,
                                     "no-such-program").exit_code, 127)

    def test_where_and_with_what_it_runs(self):
        place = self.directory / "a b"
        place.mkdir()
        done = self.commands.run("pwd; echo \"$X\"; cat", cwd=str(place), envs={"X": "ä 'b'\n"})
        self.assertEqual(done.stdout, f"{place}\nä 'b'\n\n")  # and its input is empty
        self.raises(self.e2b.SandboxException, "none", self.commands.run, "true",
                    cwd=str(place / "none"))
        self.raises(self.e2b.InvalidArgumentException, "leave 'user' away", self.commands.run,
                    "true", user="root")

    def test_much_output_comes_whole(self):
        done = self.commands.run("head -c 8000000 /dev/zero | tr '\\0' x; echo; echo end")
        self.assertEqual((len(done.stdout), done.stdout[-5:]), (8000005, "\nend\n"))

    def test_one_who_reads_slowly_holds_it_up_and_loses_nothing(self):
        counted = self.directory / "counted"
        body = json.dumps({"process": {"cmd": "/bin/sh", "args": [
            "-c", f"for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero;"
                  f" echo $i >>{counted}; done"]}}).encode()
        token = self.sandbox._envd_access_token  # pylint: disable=protected-access
        raw = self.raw(self.head(
            "POST", "/process.Process/Start", f"E2b-Sandbox-Id: {self.sandbox.sandbox_id}",
            f"X-Access-Token: {token}", "Content-Type: application/connect+json",
            f"Content-Length: {len(body) + 5}", "Connection: close") +
            struct.pack(">BI", 0, len(body)) + body)
        await_that(lambda: counted.exists() and self.commands.list(), "it has begun")
        others = self.commands.run("head -c 8000000 /dev/zero | tr '\\0' x")
        self.assertEqual(len(others.stdout), 8000000)  # which go on
        self.assertNotIn("8\n", counted.read_text())  # nobody has read yet
        data = self.read_all(raw)
        self.assertGreater(len(data), 8_000_000 * 4 / 3)
        self.assertIn(b'"exitCode":0', data[-2000:])

    def test_the_time_limit_kills_it(self):
        left = self.directory / "left"
        self.raises(self.e2b.TimeoutException, "", self.commands.run,
                    f"echo $$ >{left}; sleep 1000", timeout=0.5)
        pid = left.read_text().strip()
        await_that(lambda: self.commands.run(f"kill -0 {pid} 2>/dev/null || echo gone").stdout,
                   "it is killed")
        self.assertEqual(self.commands.list(), [])

    def test_one_in_the_background_is_listed_sent_input_and_awaited(self):
        go = self.directory / "go"
        script = f"read a; echo got $a; cat; while ! test -e {go}; do sleep 0.02; done; exit 4"
        handle = self.commands.run(script, background=True, stdin=True, envs={"A": "1"},
                                   cwd="/tmp", timeout=0)
        listed, = self.commands.list()
        self.assertEqual((listed.pid, listed.cmd, listed.args[-1], listed.envs, listed.cwd),
                         (handle.pid, "/bin/bash", script, {"A": "1"}, "/tmp"))
        self.assertEqual(self.commands.run(f"kill -0 {handle.pid} && echo own").stdout, "own\n")
        handle.send_stdin("hä\n")
        self.commands.send_stdin(handle.pid, b"more\n")
        handle.close_stdin()
        self.raises(self.e2b.InvalidArgumentException, "not open", handle.send_stdin, "x")
        go.touch()
        failed = self.raises(self.e2b.CommandExitException, "", handle.wait)
        self.assertEqual((failed.stdout, failed.exit_code), ("got hä\nmore\n", 4))
        self.assertEqual(self.commands.list(), [])

    def test_of_a_long_command_the_list_has_the_beginning(self):
        long = "x" * 100_000
        self.commands.run(f": {long}; sleep 1000", background=True, timeout=0,
                          envs={"A": long[:60_000], "B": "1"})
        listed, = self.commands.list()
        self.assertEqual((listed.cmd, listed.args[:2]), ("/bin/bash", ["-l", "-c"]))
        self.assertTrue(f": {long}".startswith(listed.args[2]), listed.args[2][:100])
        answer = self.ask("POST", "/process.Process/List", {}, X_Access_Token=(
            self.sandbox._envd_access_token),  # pylint: disable=protected-access
            E2b_Sandbox_Id=self.sandbox.sandbox_id)
        self.assertEqual(answer.status, 200, answer)
        self.assertLess(len(answer.body), 5000)

    def test_input_that_was_not_asked_for_is_refused(self):
        handle = self.commands.run("sleep 1000", background=True)
        self.raises(self.e2b.InvalidArgumentException, "stdin=True", handle.send_stdin, "x")
        handle.kill()

    def test_input_that_nobody_reads_is_refused_at_last(self):
        handle = self.commands.run("sleep 1000", background=True, stdin=True)
        with self.assertRaises(self.e2b.RateLimitException):
            for _ in range(50):
                handle.send_stdin(b"x" * 1000000)
        self.assertTrue(handle.kill())

    def test_one_is_killed(self):
        handle = self.commands.run("echo begun; sleep 1000", background=True)
        events = iter(handle)
        self.assertEqual(next(events)[0], "begun\n")
        self.assertTrue(handle.kill())
        self.assertFalse(handle.kill())
        self.assertFalse(self.commands.kill(4000000))
        self.assertEqual(self.commands.list(), [])
        failed = self.raises(self.e2b.CommandExitException, "", handle.wait)
        self.assertEqual((failed.exit_code, failed.error), (-1, "signal: killed"))
        await_that(lambda: self.commands.run(f"kill -0 {handle.pid} 2>/dev/null || echo gone")
                   .stdout, "it is killed")

    def test_who_goes_away_can_come_back(self):
        go = self.directory / "go"
        handle = self.commands.run(
            f"echo 1; while ! test -e {go}; do sleep 0.02; done; echo 2", background=True)
        self.assertEqual(next(iter(handle))[0], "1\n")
        handle.disconnect()
        again, third = self.commands.connect(handle.pid), self.commands.connect(handle.pid)
        self.assertEqual(again.pid, handle.pid)
        go.touch()
        self.assertEqual((again.wait().stdout, third.wait().stdout), ("2\n", "2\n"))
        self.raises(self.e2b.NotFoundException, "no command", self.commands.connect, handle.pid)

    def test_so_many_run_at_once_and_no_more(self):
        handles = [self.commands.run("sleep 1000", background=True) for _ in range(15)]
        self.raises(self.e2b.RateLimitException, "as many commands", self.commands.run, "true")
        self.sandbox.files.write("/tmp/../tmp/x", "files are still there")
        self.raises(self.e2b.SandboxException, "15 commands", self.sandbox.pause)
        self.assertTrue(handles[0].kill())
        self.assertEqual(self.commands.run("echo 1").stdout, "1\n")

    def test_one_that_runs_when_its_sandbox_is_killed_says_so(self):
        handle = self.commands.run("sleep 1000", background=True)
        self.sandbox.kill()
        self.raises(self.e2b.TimeoutException, "killed", handle.wait)

    def test_two_do_not_see_the_commands_of_one_another(self):
        other = self.create()
        handle = self.commands.run("sleep 1000", background=True)
        self.assertEqual(other.commands.list(), [])
        self.assertFalse(other.commands.kill(handle.pid))
        self.raises(self.e2b.NotFoundException, "", other.commands.connect, handle.pid)
        self.assertTrue(handle.kill())

    def test_those_to_which_nobody_listens_count_all_the_same(self):
        self.end(self.process)
        self.process = self.sandboxes("--key-calls", "3")
        commands = self.create().commands
        handles = [commands.run("sleep 1000", background=True) for _ in range(2)]
        for handle in handles:
            handle.disconnect()
        held = self.raw(self.head("POST", "/functions/none/invoke", "Content-Length: 2"))
        await_that(lambda: self.ask("GET", "/api/v1/functions").status == 429, "three are there")
        held.close()
        await_that(lambda: self.ask("GET", "/api/v1/functions").status == 200, "two are there")
        self.assertTrue(handles[0].kill())
        self.assertEqual(commands.run("echo 1").stdout, "1\n")

    def test_what_is_said_before_it_begins_is_told_in_part(self):
        (self.directory / "libc.so.6").touch()  # so that no program is loaded
        names = ":".join(f"{self.directory}/none-{n}" for n in range(1000))
        error = self.raises(self.e2b.InvalidArgumentException, "none-0", self.commands.run,
                            "true", envs={"LD_LIBRARY_PATH": str(self.directory),
                                          "LD_PRELOAD": names})
        self.assertLess(len(str(error)), 600)

    def test_a_server_that_stops_waits_for_none_to_which_nobody_listens(self):
        self.end(self.process)
        self.process = self.sandboxes("--stop-timeout", "1h")
        commands = self.create().commands
        unheard = commands.run("sleep 1000", background=True)
        unheard.disconnect()
        handle = commands.run("echo 1; sleep 1000", background=True)
        self.assertEqual(next(iter(handle))[0], "1\n")
        stopping = threading.Thread(target=self.stops, args=[self.process])
        stopping.start()
        await_that(lambda: not self.listens(), "it lets nobody in")
        handle.disconnect()  # nobody can come back
        stopping.join()
        self.assertEqual(self.process.poll(), 0)

    def test_a_server_that_stops_lets_them_finish_whom_somebody_awaits(self):
        go = self.directory / "go"
        unheard = self.commands.run("sleep 1000", background=True)
        unheard.disconnect()
        handle = self.commands.run(
            f"echo 1; while ! test -e {go}; do sleep 0.02; done; echo 2", background=True)
        self.assertEqual(next(iter(handle))[0], "1\n")
        stopping = threading.Thread(target=self.stops, args=[self.process])
        stopping.start()
        await_that(lambda: not self.listens(), "it lets nobody in")
        go.touch()
        self.assertEqual(handle.wait().stdout, "1\n2\n")
        stopping.join()
        self.assertEqual(self.process.poll(), 0)

    def listens(self):
        try:
            self.raw().close()
            return True
        except ConnectionError:
            return False

    def test_what_is_no_message_is_refused(self):
        token = self.sandbox._envd_access_token  # pylint: disable=protected-access
        start = b'{"process":{"cmd":"true"}}'
        for body in (b"", b"{}", struct.pack(">BI", 1, len(start)) + start,
                     struct.pack(">BI", 0, 1 << 30) + start, struct.pack(">BI", 0, 2) + b"{}",
                     struct.pack(">BI", 0, len(start)) + start + b"x"):
            answer = self.ask("POST", "/process.Process/Start", body,
                              E2b_Sandbox_Id=self.sandbox.sandbox_id, X_Access_Token=token)
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid_argument"))
