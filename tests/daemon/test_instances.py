# SPDX-License-Identifier: MIT
"""Modes of novactl invoke, and instances, which live in the daemon."""
import hashlib
import json
import os
import signal
import subprocess
import unittest

from daemoncase import DaemonCase, Peer, REQUEST
from novatest import NOVACTL, HomeCase, await_that


class WithoutDaemon(HomeCase):
    def test_instances_need_one_and_it_is_said_how_to_start_it(self):
        self.register("f", "echo 1", "shell")
        for words in (["instance", "list"], ["instance", "start", "f"], ["invoke", "f", "-i", "x"]):
            error = self.error_of(*words, status=1)
            self.assertIn("instances live in the daemon", error["message"])
            self.assertIn("'novactl daemon' starts it", error["message"])
        self.refuses("--no-daemon asks for none", "--no-daemon", "instance", "list")

    def test_what_it_was_given_is_left_when_there_is_nobody_to_take_it(self):
        script = f"{NOVACTL} instance exec i -- cat; echo $?; cat"
        done = self.run_program("sh", "-c", script, input="a\nb\n")
        self.assertEqual(done.stdout, "125\na\nb\n")
        self.assertIn("instances live in the daemon", done.stderr)

    def test_an_ephemeral_call_runs_here(self):
        self.register("f", "echo 1", "shell")
        result = self.novactl_json("invoke", "f", "--fresh")
        self.assertEqual((result["output"], result["snapshot"], result["instance"]), (1, "", ""))

    def test_what_makes_no_sense_is_refused_with_the_way_out(self):
        self.register("f", "echo 1", "shell")
        self.refuses("takes no snapshots", "invoke", "f", "--checkpoint")
        self.refuses("takes no snapshots", "invoke", "f", "--checkpoint-name", "x")


class Instances(DaemonCase):
    def setUp(self):
        super().setUp()
        self.process = self.daemon()
        self.register("f", 'cat "$1"', "shell")

    def test_one_is_started_listed_used_and_stopped(self):
        made = self.novactl_json("instance", "start", "f", "--name", "i")
        self.assertEqual((made["name"], made["function"], made["state"], made["version"]),
                         ("i", "f", "running", 1))
        self.assertEqual(self.novactl_json("instance", "get", "i"), made)
        self.assertEqual(self.novactl_json("instance", "get", made["id"]), made)
        self.assertEqual(self.novactl_json("instance", "list"), [made])
        result = self.novactl_json("invoke", "f", "-p", "7", "-i", "i")
        self.assertEqual((result["output"], result["instance"], result["vm"]),
                         (7, made["id"], made["vm"]))
        self.assertEqual(self.novactl_json("instance", "stop", "i"), {"stopped": ["i"]})
        self.assertEqual(self.novactl_json("instance", "list"), [])
        self.refuses("no instance 'i'", "instance", "stop", "i")

    def test_what_is_shown_to_people(self):
        shown = self.novactl("instance", "start", "f", "--name", "i").stdout
        self.assertRegex(shown, r"(?m)^Name: +i$")
        self.assertRegex(shown, r"(?m)^State: +running$")
        self.assertRegex(self.novactl("instance", "list").stdout,
                         r"^NAME +ID +FUNCTION +STATE +CREATED\ni +[0-9a-f]{8} +f +running +20")
        block = self.novactl("invoke", "f", "--instance", "i").stdout
        self.assertRegex(block, r"(?m)^Instance: +[0-9a-f]{8}$")
        self.assertIn("Stopped i.", self.novactl("instance", "stop", "i").stderr)
        self.assertIn("There is no instance.", self.novactl("instance", "list").stderr)

    def test_what_one_costs_and_what_its_console_printed(self):
        self.novactl("instance", "start", "f", "--name", "i")
        stats = self.novactl_json("instance", "stats", "i")
        self.assertGreater(stats["rss"], 0)
        self.assertLessEqual(stats["private"], stats["pss"])
        self.assertGreater(stats["start_us"], 0)
        self.assertEqual(stats["stood_still_us"], 0)
        self.assertEqual(stats["merged"], 0)
        shown = self.novactl("instance", "stats", "i").stdout
        self.assertRegex(shown, r"(?m)^Resident: +\d+\.\d MB$")
        self.assertRegex(shown, r"(?m)^VMM start: +\d+\.\d ms$")
        console = self.novactl("instance", "console", "i").stdout
        self.assertEqual(self.novactl_json("instance", "console", "i"), {"console": console})
        for verb in ("stats", "console"):
            self.refuses("no instance 'x'", "instance", verb, "x")

    def test_a_command_keeps_its_streams_and_its_status(self):
        self.novactl("instance", "start", "f", "--name", "i")
        done = self.novactl("instance", "exec", "i", "--", "sh", "-c",
                            "echo out; echo err >&2; exit 5", status=5)
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))
        value = self.novactl_json("instance", "exec", "i", "--", "echo", "-n", "x")
        self.assertEqual(value, {"exit_code": 0, "stdout": "x", "stderr": "", "truncated": False,
                                 "stdout_bytes": 1, "stderr_bytes": 0})
        done = self.novactl("instance", "exec", "i", "--", "sh", "-c",
                            "head -c 900000 /dev/zero | tr '\\0' x")
        self.assertEqual(done.stdout, "x" * 900000)
        self.novactl("instance", "exec", "i", "-t", "100ms", "--", "sleep", "100", status=124)

    def test_a_command_gets_what_novactl_is_given_and_all_that_it_prints_comes(self):
        self.novactl("instance", "start", "f", "--name", "i")
        data = bytes(range(256)) * (4096 * (40 if os.environ.get("NOVA_TEST_LONG") else 10))
        done = self.run_program(NOVACTL, "instance", "exec", "i", "-t", "300s", "--", "cat",
                                input=data, text=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashlib.sha256(done.stdout).hexdigest(), hashlib.sha256(data).hexdigest())
        self.assertEqual(done.stderr, b"")
        value = self.novactl_json("instance", "exec", "i", "--", "wc", "-c", stdin="four")
        self.assertEqual((value["stdout"].strip(), value["truncated"]), ("4", False))

    def test_json_has_the_first_mib_and_says_how_much_it_was(self):
        self.novactl("instance", "start", "f", "--name", "i")
        command = ("instance", "exec", "i", "--")
        value = self.novactl_json(*command, "cat", stdin="x" + "\u00e4" * 700000)
        self.assertEqual(value["stdout"], "x" + "\u00e4" * ((1 << 19) - 1), "whole characters")
        self.assertEqual((value["stdout_bytes"], value["stderr_bytes"]), (1400001, 0))
        self.assertTrue(value["truncated"])
        exact = self.novactl_json(*command, "sh", "-c", "cat >&2", stdin="x" * (1 << 20))
        self.assertEqual((len(exact["stderr"]), exact["stderr_bytes"]), (1 << 20, 1 << 20))
        self.assertFalse(exact["truncated"])

    def test_a_loop_that_reads_its_lines_keeps_them(self):
        self.novactl("instance", "start", "f", "--name", "i")
        command = "sh -c 'echo got $0; cat' $line"
        each = "got a\ngot b\n"
        for option, printed in (("-n", each), ("--no-stdin", each), ("", "got a\nb\n")):
            loop = f"while read -r line; do {NOVACTL} instance exec {option} i -- {command}; done"
            done = self.run_program("sh", "-c", loop, input="a\nb\n")
            self.assertEqual((done.stdout, done.returncode), (printed, 0), option)

    def exec(self, *words):
        return self.start_program(NOVACTL, "instance", "exec", "i", "-t", "300s", "--", *words,
                                  stdin=subprocess.PIPE, text=False)

    def test_who_types_slowly_sees_the_answer_before_the_end(self):
        self.novactl("instance", "start", "f", "--name", "i")
        process = self.exec("cat")
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), line)
        process.stdin.close()
        self.assertEqual(process.wait(60), 0)

    def test_a_command_that_ends_without_reading_ends_novactl(self):
        self.novactl("instance", "start", "f", "--name", "i")
        process = self.exec("sh", "-c", "exit 7")  # nobody closes its stdin
        self.assertEqual(process.wait(60), 7)
        with open("/dev/zero", "rb") as zero:
            done = self.run_program(NOVACTL, "instance", "exec", "i", "--", "sh", "-c",
                                    "head -c 9; exit 8", stdin=zero, text=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (8, bytes(9)))

    def test_a_signal_ends_a_command_that_waits_for_its_stdin(self):
        self.novactl("instance", "start", "f", "--name", "i")
        process = self.exec("sh", "-c", "echo $$; cat")
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)
        await_that(lambda: not os.path.exists(f"/proc/{pid}"), "the command has ended")
        self.assertEqual(self.novactl_json("instance", "get", "i")["state"], "running")

    def test_stdin_that_cannot_be_read_ends_the_command_and_none_is_no_failure(self):
        self.novactl("instance", "start", "f", "--name", "i")
        with open("/dev/null", "rb") as null:
            done = self.run_program(NOVACTL, "instance", "exec", "i", "--", "cat", stdin=null)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_program("sh", "-c", f"exec {NOVACTL} instance exec i -- cat <&-")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_program("sh", "-c", f"exec {NOVACTL} instance exec i -- cat < /")
        self.assertEqual(done.returncode, 125)
        self.assertIn("standard input cannot be read", done.stderr)
        done = self.run_program("sh", "-c", f"exec {NOVACTL} --json instance exec i -- cat < /")
        self.assertIn('"outcome":"unknown"', done.stderr)

    def test_what_a_daemon_was_at_when_it_was_killed_may_have_been_done(self):
        self.novactl("instance", "start", "f", "--name", "i")
        begun = self.directory / "begun"
        process = self.start_program(NOVACTL, "--json", "instance", "exec", "i", "--", "sh", "-c",
                                     f"touch {begun}; exec sleep 600", stdin=subprocess.PIPE)
        await_that(begun.exists, "the command runs")
        self.process.send_signal(signal.SIGSTOP)
        os.set_blocking(process.stdin.fileno(), False)
        with self.assertRaises(BlockingIOError):  # what it was given waits to be sent
            while os.write(process.stdin.fileno(), bytes(65536)):
                pass
        self.process.kill()
        error = json.loads(process.stderr.read())["error"]
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_ELOST", "unknown"))
        self.assertEqual(process.wait(60), 125)

    def test_output_that_nobody_takes_holds_up_its_command_and_no_other(self):
        self.novactl("instance", "start", "f", "--name", "i")
        process = self.exec("cat", "/dev/zero")
        process.stdout.read(1 << 20)
        self.novactl("instance", "list")
        self.assertIn("still busy", self.error_of("instance", "stop", "i", status=1)["message"])
        process.stdout.close()
        process.wait(60)

    def test_what_is_no_status_of_the_command_lies_beyond_those_that_commands_have(self):
        self.novactl("instance", "start", "f", "--name", "i")
        self.novactl("instance", "exec", "i", "--", "false", status=1)
        self.novactl("instance", "exec", "i", "--", "sh", "-c", "exit 2", status=2)
        self.novactl("instance", "exec", "i", "--", "/etc/passwd", status=126)
        self.novactl("instance", "exec", "i", "--", "no-such-program", status=127)
        self.refuses("nosuch", "instance", "exec", "nosuch", "--", "true", status=125)
        self.novactl("instance", "exec", "i", status=125)
        self.novactl("instance", "exec", "i", "--nonsense", "--", "true", status=125)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_program(NOVACTL, "instance", "exec", "i", "--", "echo", "x",
                                    stdout=full)
        self.assertEqual(done.returncode, 125)

    def test_mistakes_are_told_as_the_library_tells_them(self):
        self.novactl("instance", "start", "f", "--name", "i")
        self.refuses("'i' already", "instance", "start", "f", "--name", "i")
        self.refuses("no function 'g'", "instance", "start", "g")
        self.refuses("takes no snapshots", "instance", "start", "f", "--snapshot", "s")
        self.refuses("instance 'i'", "instance", "snapshot", "i")

    def test_a_paused_one_refuses_calls_until_it_goes_on(self):
        self.novactl("instance", "start", "f", "--name", "i")
        self.assertEqual(self.novactl_json("instance", "pause", "i")["state"], "paused")
        self.assertEqual(self.error_of("invoke", "f", "-i", "i", status=1)["name"], "NOVA_EBUSY")
        self.assertEqual(self.novactl_json("instance", "resume", "i")["state"], "running")
        self.novactl("invoke", "f", "-i", "i")

    def test_one_whose_vm_was_killed_is_shown_as_dead_until_it_is_stopped(self):
        made = self.novactl_json("instance", "start", "f", "--name", "i")
        self.novactl("instance", "exec", "i", "--", "sh", "-c", "kill -9 $PPID", status=125)
        self.assertEqual(self.novactl_json("instance", "get", "i"), {**made, "state": "dead"})
        self.novactl("instance", "stop", "i")
        self.assertEqual(self.novactl_json("instance", "list"), [])

    def test_a_start_does_not_hold_up_others(self):
        peers = [self.peer() for _ in range(6)]
        for peer in peers:
            peer.hello()
            peer.send(REQUEST, {"verb": "instance start", "function": "f", "event_len": 0})
        self.assertEqual(self.novactl_json("invoke", "f", "-p", "3")["output"], 3)
        self.assertEqual(len({peer.reply()[1]["instance"]["id"] for peer in peers}), 6)
        self.assertEqual(len(self.novactl_json("instance", "list")), 6)

    def test_who_hangs_up_during_a_start_leaves_no_instance(self):
        peer = Peer(self.socket)
        peer.hello()
        peer.send(REQUEST, {"verb": "instance start", "function": "f", "name": "left",
                            "event_len": 0})
        peer.close()
        await_that(lambda: self.status()["clients"] == 1, "the start has ended")
        self.assertEqual(self.novactl_json("instance", "list"), [])

    def test_a_signal_during_exec_kills_the_command_and_the_instance_goes_on(self):
        begun, go, through = (self.directory / name for name in ("begun", "go", "through"))
        self.novactl("instance", "start", "f", "--name", "i")
        waits = f"echo >{begun}; while ! test -e {go}; do sleep 0.01; done; echo >{through}"
        client = self.start_program(NOVACTL, "instance", "exec", "i", "--", "sh", "-c", waits)
        await_that(begun.exists, "the command runs")
        client.send_signal(signal.SIGTERM)
        self.assertIn("the daemon cancels what was asked for", client.communicate(timeout=20)[1])
        self.assertEqual(client.returncode, -signal.SIGTERM)
        await_that(lambda: self.status()["clients"] == 1, "the command has ended")
        go.touch()
        self.novactl("instance", "exec", "i", "--", "true")
        self.assertFalse(through.exists())

    def test_a_request_that_makes_no_sense_is_answered(self):
        for request in ({"verb": "instance get"}, {"verb": "instance get", "name": 7},
                        {"verb": "instance start"}, {"verb": "instance exec", "name": "x"}):
            peer = self.peer()
            peer.hello()
            peer.send(REQUEST, {**request, "event_len": 0})
            self.assertIn("error", peer.reply()[1])

    def test_stopping_the_daemon_ends_instances_and_what_runs_in_them(self):
        self.stop(self.process)
        process = self.daemon("--stop-timeout", "100ms")
        self.novactl("instance", "start", "f", "--name", "i")
        running = self.start_program(NOVACTL, "instance", "exec", "i", "--", "sh", "-c",
                               f"echo $$ >{self.directory}/pid; exec sleep 1000")
        await_that((self.directory / "pid").exists, "the command runs")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        _, told = running.communicate(timeout=20)
        self.assertEqual(running.returncode, 125)
        self.assertIn("instance 'i'", told)


if __name__ == "__main__":
    unittest.main()
