# SPDX-License-Identifier: MIT
"""Another program upon tools/serve, with a protocol and verbs of its own: tests/daemon/second.c."""
import json
import select
import signal
import socket
import subprocess
import unittest

from novatest import BUILD, HomeCase, await_that

SECOND = BUILD / "tests/daemon/second"
CONNECTIONS_MAX = 20  # of second.c


class Asker:
    """One connection, which is one request."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def close(self):
        self.lines.close()
        self.socket.close()

    def ask(self, verb, **options):
        self.send(json.dumps({"verb": verb, **options}))
        return self

    def send(self, line):
        self.socket.sendall(f"{line}\n".encode())

    def next(self):
        """The next text or the reply; None: it hangs up."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def answer(self):
        """The texts and the reply."""
        texts = []
        while (value := self.next()) and "part" in value:
            texts.append(value["text"])
        return texts, value

    def is_hung_up_on(self):
        try:
            return self.next() is None
        except ConnectionError:
            return True


class SecondProgram(HomeCase):
    def setUp(self):
        super().setUp()
        self.place = self.directory / "place"
        self.programs = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for program in self.programs:
            if program.poll() is None:
                program.kill()
            program.wait()
            program.stdin.close()
            program.stdout.close()

    def program(self, stop_ms=60000):
        """Starts one; None: it has ended instead, by self.status."""
        with open(self.directory / "log", "a", encoding="utf-8") as log:
            program = subprocess.Popen([SECOND, self.place, str(stop_ms)], env=self.environment,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=log, text=True)
        self.programs.append(program)
        self.path = program.stdout.readline().strip()
        if self.path:
            return program
        self.status = program.wait(60)
        return None

    def asker(self, verb=None, **options):
        asker = Asker(self.path)
        self.addCleanup(asker.close)
        return asker.ask(verb, **options) if verb else asker

    def log(self):
        return (self.directory / "log").read_text(encoding="utf-8")

    def ends(self, program, status=0, by=None):
        if by:
            program.send_signal(by)
        self.assertEqual(program.wait(60), status, self.log())
        if status == 0:  # else the next one tidies up
            await_that(self.nothing_runs, "nothing of it is left")

    def serves(self):
        self.assertEqual(self.asker("shout", word="ä").answer(), ([], {"word": "ä"}))

    def test_its_verbs_are_served_at_once_by_a_thread_and_by_the_queue(self):
        self.register("f", "echo 7", "shell")
        program = self.program()
        self.serves()
        self.assertEqual(self.asker("count", to=3).answer(), (["1", "2", "3"], {"counted": 3}))
        self.assertEqual(self.asker("call", function="f").answer(), (["7"], {}))
        error = self.asker("call", function="nobody").answer()[1]["error"]
        self.assertIn("nobody", error["message"])
        repeat = self.asker("repeat", input=True)
        repeat.send("one")
        self.assertEqual(repeat.next()["text"], "one")
        repeat.send("two\n")
        self.assertEqual(repeat.answer(), (["two"], {"total": 6}))
        self.ends(program, by=signal.SIGTERM)

    def test_it_watches_a_descriptor_of_its_own(self):
        program = self.program()
        self.serves()
        program.stdin.close()
        self.ends(program)
        self.assertIn("stopping: its stdin has ended", self.log())

    def test_whoever_reads_slowly_gets_all_in_order(self):
        program = self.program()
        slow, others = self.asker("count", to=30000), self.asker("count", to=30000)
        self.assertEqual(len(others.answer()[0]), 30000)
        texts, reply = slow.answer()
        self.assertEqual(texts, [str(number) for number in range(1, 30001)])
        self.assertEqual(reply, {"counted": 30000})
        self.ends(program, by=signal.SIGTERM)

    def test_what_is_no_request_is_hung_up_on_and_others_are_served(self):
        program = self.program()
        for line in ("GET / HTTP/1.1", "[]", '{"word":"x"}', "x" * 5000,
                     '{"verb":"count","to":1e400}'):
            asker = self.asker()
            asker.send(line)
            self.assertTrue(asker.is_hung_up_on(), line)
        self.assertEqual(self.log().count("was hung up on"), 5)
        # Input of which nothing was said.
        asker = self.asker("wait")
        self.assertEqual(asker.next()["text"], "waiting")
        asker.send("more")
        self.assertTrue(asker.is_hung_up_on())
        self.assertEqual(self.asker("whisper").answer()[1],
                         {"declined": "does not know what was asked for"})
        self.serves()
        self.ends(program, by=signal.SIGTERM)

    def test_the_job_of_a_client_that_goes_is_cancelled(self):
        program = self.program()
        waits, counts = self.asker("wait"), self.asker("count", to=4000000000)
        repeats = self.asker("repeat", input=True)
        self.assertEqual(waits.next()["text"], "waiting")
        self.assertEqual(counts.next()["text"], "1")
        repeats.send("x")
        self.assertEqual(repeats.next()["text"], "x")
        for asker in (waits, counts, repeats):
            asker.close()
        await_that(lambda: "ended" in self.log(), "the job that waited has ended", 60)
        self.serves()
        self.ends(program, by=signal.SIGTERM)  # which it could not with a job under way

    def test_two_have_not_one_place_and_one_that_was_killed_leaves_it_to_the_next(self):
        first = self.program()
        path = self.path
        self.assertIsNone(self.program())
        self.assertEqual(self.status, 1)
        self.assertIn("another is there", self.log())
        self.path = path
        self.serves()
        self.assertEqual(self.place.stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.place / "socket").stat().st_mode & 0o777, 0o600)
        self.ends(first, status=-signal.SIGKILL, by=signal.SIGKILL)
        self.assertTrue((self.place / "socket").exists())
        again = self.program()
        self.serves()
        self.ends(again, by=signal.SIGTERM)
        self.assertFalse((self.place / "socket").exists())

    def test_a_place_that_cannot_be_taken_is_told(self):
        self.place.write_text("precious", encoding="utf-8")
        self.assertIsNone(self.program())
        self.assertEqual(self.status, 1)
        self.assertIn(f"cannot make the directory '{self.place}': Not a directory", self.log())
        self.place.unlink()
        self.place.mkdir()
        (self.place / "socket").write_text("precious", encoding="utf-8")
        self.assertIsNone(self.program())
        self.assertIn(f"cannot listen at '{self.place}/socket': File exists", self.log())
        self.assertEqual((self.place / "socket").read_text(encoding="utf-8"), "precious")

    def test_too_many_are_refused_and_many_more_wait_outside(self):
        program = self.program()
        inside = [self.asker() for _ in range(CONNECTIONS_MAX)]
        error = self.asker("shout").answer()[1]["error"]
        self.assertEqual(error["message"],
                         "the second program has too many clients: try again later")
        inside += [self.asker() for _ in range(CONNECTIONS_MAX)]
        outside = self.asker("shout", word="x")
        self.assertEqual(select.select([outside.socket], [], [], 0.1)[0], [])
        for asker in inside:
            asker.close()
        self.assertIsNotNone(outside.answer()[1])
        await_that(lambda: self.asker("shout").answer()[1] == {"word": ""}, "there is room", 60)
        self.ends(program, by=signal.SIGTERM)

    def test_a_job_under_way_may_finish_when_it_is_stopped(self):
        program = self.program()
        repeats, idle = self.asker("repeat", input=True), self.asker()
        repeats.send("before")
        self.assertEqual(repeats.next()["text"], "before")
        self.assertEqual(self.asker("stop").answer(), ([], {}))
        self.assertEqual(idle.answer()[1], {"declined": "is stopping"})
        with self.assertRaises((FileNotFoundError, ConnectionRefusedError)):
            self.asker()
        repeats.send("after\n")
        self.assertEqual(repeats.answer(), (["after"], {"total": 11}))
        self.ends(program)

    def test_a_job_that_goes_on_is_cancelled_when_its_time_is_over(self):
        program = self.program(stop_ms=100)
        waits = self.asker("wait")
        self.assertEqual(waits.next()["text"], "waiting")
        program.terminate()
        error = waits.answer()[1]["error"]
        self.assertRegex(error["message"], "^the second program was stopped, and this call was "
                                           "not over after 100 ms: ")
        self.ends(program)

    def test_a_second_signal_ends_it_at_once_and_clients_are_told(self):
        program = self.program()
        waits, idle = self.asker("wait"), self.asker()
        self.assertEqual(waits.next()["text"], "waiting")
        program.terminate()
        self.assertEqual(idle.answer()[1], {"declined": "is stopping"})
        self.ends(program, status=1, by=signal.SIGTERM)
        error = waits.answer()[1]["error"]
        self.assertEqual(error["message"], "the second program was stopped at once during this "
                                           "call: the function may have run")


if __name__ == "__main__":
    unittest.main()
