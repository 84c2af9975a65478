# SPDX-License-Identifier: MIT
"""What clients get from a daemon, and what a bad one can do to it."""
import json
import os
import random
import re
import resource
import signal
import socket
import struct
import unittest

from daemoncase import HELLO, REPLY, REQUEST, TEXT, DaemonCase, Peer
from novatest import FUNCTIONS, NOVACTL, await_that

BIG = "123456789012345678901234567890.12345678901234567890123456789"


class Calls(DaemonCase):
    def test_the_second_call_is_warm(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        process = self.daemon("--idle-ttl", "60s")
        first = self.novactl("invoke", "hello", "-p", '{"name":"World"}')
        second = self.novactl("invoke", "hello", "-p", '{"name":"World"}')
        self.assertIn("Cold Start: true", first.stdout)
        self.assertIn("Cold Start: false", second.stdout)
        self.assertIn('"message": "Hello, World!"', second.stdout)
        self.assertEqual(first.stderr + second.stderr, "")
        self.stop(process)

    def test_answers_are_the_same_with_and_without_it(self):
        self.register("plain", "echo hello there", "shell")
        self.register("fails", "echo no such city >&2; exit 3", "shell")
        self.register("slow", "sleep 600", "shell")
        self.register("raises", "def handler(event):\n    raise ValueError('bad event')\n")
        process = self.daemon()
        for words, status in (
                (["plain"], 0), (["plain", "--json"], 0), (["plain", "-p", "{bad"], 2),
                (["plain", "-p", ""], 2), (["fails"], 3), (["fails", "--json"], 3),
                (["slow", "--timeout", "200ms"], 124), (["raises"], 3), (["plin"], 1),
                (["nobody"], 1), (["nobody", "--json"], 1)):
            with self.subTest(words):
                there, here = (self.novactl("invoke", *words, *more, status=status)
                               for more in ([], ["--no-daemon"]))
                self.assertEqual(self.without_what_varies(there), self.without_what_varies(here))
        self.stop(process)

    @staticmethod
    def without_what_varies(done):
        texts = []
        for text in (done.stdout, done.stderr):
            text = re.sub(r"(?m)^(Request ID|Cold Start|Duration): .*$", "", text)
            text = re.sub(r'"(request_id|vm)": ?"\w+"|"(cold_start|duration_ms)": ?\w+'
                          r'|"timing_us": ?\{[^}]*\}', "", text)
            texts.append(re.sub(r"\b[0-9a-f]{8}\b|\d+ ms|run/\d+", "", text))
        return texts

    def test_numbers_keep_every_digit_both_ways(self):
        self.register("echo", "cat $1", "shell")
        event = f'{{"n":{BIG},"e":1E400,"s":"\\ud83d\\ude00 ü"}}'
        process = self.daemon()
        for words in ([], ["--no-daemon"], ["--json"], ["--json", "--no-daemon"]):
            with self.subTest(words):
                out = self.novactl("invoke", "echo", "-p", event, *words).stdout
                self.assertRegex(out, rf'"n": {BIG},\n +"e": 1E400,')
                self.assertIn("😀 ü", out)
        self.stop(process)

    def test_large_events_and_answers_come_whole(self):
        self.register("echo", "cat $1", "shell")
        text = "é\\n\"x".encode().decode() * 100000
        event = self.write("event.json", json.dumps({"text": text}, ensure_ascii=False))
        process = self.daemon()
        result = self.novactl_json("invoke", "echo", "-p", f"@{event}")
        self.assertEqual(result["output"], {"text": text})
        self.stop(process)

    def test_an_event_that_is_no_text_never_runs(self):
        self.register("echo", "cat $1", "shell")
        path = self.directory / "event.json"
        path.write_bytes(b'"\xff\xfe"')
        process = self.daemon()
        error = self.error_of("invoke", "echo", "-p", f"@{path}", status=2)
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_EINVAL", "never-ran"))
        self.stop(process)

    def test_output_of_6_mib_that_becomes_more_as_json_comes_whole(self):
        self.register("quotes", "head -c 6291456 /dev/zero | tr '\\0' '\"'", "shell")
        process = self.daemon()
        text = self.novactl("invoke", "quotes")
        self.assertTrue(text.stdout.split("Output:\n")[1] == json.dumps('"' * (6 << 20)) + "\n")
        self.assertEqual(text.stderr, "")
        self.stop(process)

    def test_json_of_512_levels_goes_through_and_deeper_is_refused(self):
        self.register("echo", 'cat "$1"', "shell")
        process = self.daemon()
        done = self.novactl("--json", "invoke", "echo", "-p", "[" * 512 + "]" * 512)
        self.assertEqual(json.dumps(json.loads(done.stdout)["output"]), "[" * 512 + "]" * 512)
        for words in ([], ["--no-daemon"]):
            done = self.novactl("invoke", "echo", "-p", "[" * 513 + "]" * 513, *words, status=2)
            self.assertIn("the payload is nested too deeply: 512 levels are the limit", done.stderr)
        self.stop(process)

    def test_stream_shows_output_as_it_comes(self):
        _begun, go = self.register_gate("later")
        self.register("talks", f"echo one; echo two >&2; while ! test -e {go}; do sleep 0.01; done;"
                               "printf 'th\\377ree\\n'", "shell")
        process = self.daemon()
        client = self.start_program(NOVACTL, "invoke", "talks", "--stream", text=False)
        said = [client.stderr.readline(), client.stderr.readline()]
        self.assertEqual(sorted(said), [b"one\n", b"two\n"])
        go.touch()
        out, err = client.communicate(timeout=20)
        self.assertIn(b"Output:", out)
        self.assertEqual(err, b"th\xffree\n")
        self.stop(process)

    def test_thirty_two_clients_at_once_all_get_their_own_answer(self):
        self.register("echo", "cat $1", "shell")
        process = self.daemon(environment={"NOVA_POOL_MAX_VMS": "4"})

        def call(number):
            event = json.dumps({"number": number})
            return self.novactl_json("invoke", "echo", "-p", event)["output"]

        self.assertEqual(self.all_at_once(32, call), [{"number": number} for number in range(32)])
        self.assertEqual(self.status()["calls"], 32)
        self.stop(process)

    def test_a_hundred_connections_at_once_are_served(self):
        self.register("echo", "cat $1", "shell")
        process = self.daemon(environment={"NOVA_POOL_MAX_VMS": "4"})
        peers = [self.peer() for _ in range(100)]
        for number, peer in enumerate(peers):
            peer.begin("echo", str(number))
        for number, peer in enumerate(peers):
            self.assertEqual(peer.reply()[0]["output"].strip(), str(number))
        self.stop(process)

    def test_local_and_no_daemon_do_without(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon()
        self.novactl("invoke", "hello")
        for word in ("--local", "-l", "--no-daemon"):
            self.assertIn("Cold Start: true", self.novactl("invoke", "hello", word).stdout)
        self.assertEqual(self.status()["calls"], 1)
        self.stop(process)

    def test_a_function_that_is_replaced_runs_anew(self):
        self.register("f", "echo 1", "shell")
        process = self.daemon()
        self.assertEqual(self.novactl_json("invoke", "f")["output"], 1)
        self.register("f", "echo 2", "shell", "--replace")
        self.assertEqual(self.novactl_json("invoke", "f")["output"], 2)
        self.stop(process)

    def test_vms_that_have_waited_a_while_are_paused_and_go_on(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon(environment={"NOVA_POOL_PAUSE_AFTER": "50ms"})
        self.novactl("invoke", "hello")
        await_that(lambda: self.status()["pool"]["paused"] == 1, "the VM is paused")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])
        status = self.status()
        self.assertEqual(status["pool"]["resumed"], 1)
        self.assertGreater(status["latency"]["resumed"]["p50_us"], 0)
        templates = status["templates"]
        self.assertEqual(sorted(templates), ["bases", "bytes", "count", "limit_bytes"])
        self.assertLessEqual(templates["bytes"], templates["limit_bytes"])
        self.assertRegex(self.novactl("daemon", "status").stdout,
                         r"(?m)^Templates: +\d+, \d+\.\d MB of at most \d+ MB on disk$")
        self.assertRegex(self.novactl("daemon", "status").stdout,
                         r"(?m)^  resumed +\d+\.\d ms, \d+\.\d ms, \d+\.\d ms$")
        resumed = status["histogram"]["resumed"]
        self.assertEqual([row["calls"] for row in resumed], [1])
        self.assertGreater(resumed[0]["under_us"], status["latency"]["resumed"]["p50_us"])
        self.assertNotIn("calls:", self.novactl("daemon", "status").stdout)
        self.assertRegex(self.novactl("daemon", "status", "--histogram").stdout,
                         r"(?m)^Time to get a VM \(resumed\), calls:\n  under +\d+\.\d+ ms 1$")
        self.stop(process)

    def test_min_replicas_wait_before_the_first_call(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell", "--min-replicas", "2")
        process = self.daemon()
        await_that(lambda: self.status()["pool"]["idle"] == 2, "two VMs wait")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])
        # They outlive the time of others, and those that die are replaced.
        self.register("dies", "kill -9 $PPID", "shell", "--min-replicas", "1")
        await_that(lambda: self.status()["pool"]["idle"] == 3,
                   "the VM of a function that was registered later waits too")
        self.novactl("invoke", "dies", status=125)
        await_that(lambda: self.status()["pool"]["idle"] == 3, "another has taken its place")
        self.stop(process)

    def test_vms_of_a_function_that_was_deleted_end(self):
        self.register("kept", FUNCTIONS / "shell/hello.sh", "shell", "--min-replicas", "1")
        self.register("used", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon("--idle-ttl", "10m")
        self.novactl("invoke", "used")
        await_that(lambda: self.status()["pool"]["idle"] == 2, "two VMs wait")
        self.novactl("delete", "kept")
        await_that(lambda: self.status()["pool"]["idle"] == 1, "the VM that was kept has ended")
        self.novactl("delete", "used")
        await_that(lambda: self.status()["pool"]["idle"] == 0, "the VM that waited has ended")
        self.stop(process)

    def test_idle_vms_end_after_their_time(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        process = self.daemon("--idle-ttl", "100ms")
        self.novactl("invoke", "hello")
        await_that(lambda: self.status()["pool"]["idle"] == 0, "the VM has ended")
        self.assertEqual(self.status()["pool"]["expired"], 1)
        self.stop(process)


class Choosing(DaemonCase):
    """Whether a client uses the daemon that is there."""

    def setUp(self):
        super().setUp()
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")

    def reason(self, **named):
        done = self.novactl("invoke", "hello", "-v", **named)
        self.assertIn("Cold Start: true", done.stdout)
        return next(line for line in done.stderr.splitlines() if "daemon: not used:" in line)

    def double(self, answer):
        """Listens where the daemon would, and sends one frame (None: nothing) to each client."""
        directory = self.home / "daemon"
        directory.mkdir(exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(str(directory / "socket"))
        listener.listen()
        (directory / "lock").write_text(f"4711\n{directory}/socket\n", encoding="utf-8")
        child = os.fork()
        if child == 0:
            try:
                kept = []
                while True:
                    peer = listener.accept()[0]
                    kept.append(peer)
                    if answer is not None:
                        peer.sendall(answer)
            finally:
                os._exit(0)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)

    @staticmethod
    def frame(kind, payload):
        body = json.dumps({"type": kind, "payload": payload}).encode()
        return struct.pack(">I", len(body)) + body

    def test_without_one_it_says_so_only_if_asked(self):
        self.assertEqual(self.novactl("invoke", "hello").stderr, "")
        self.assertIn("there is none for", self.reason())

    def test_one_of_another_version_is_not_used(self):
        self.double(self.frame(HELLO, {"protocol": 1, "version": "0.0.9", "settings": {}}))
        self.assertIn("is of version 0.0.9, and this is 0.1.0", self.reason())
        self.assertEqual(self.novactl("invoke", "hello").stderr, "")

    def test_one_of_another_protocol_is_not_used(self):
        self.double(self.frame(HELLO, {"protocol": 2, "version": "0.1.0", "settings": {}}))
        self.assertIn("version", self.reason())

    def test_one_that_talks_nonsense_is_not_used(self):
        self.double(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertIn("hangs up", self.reason())

    def test_one_that_does_not_answer_is_not_used(self):
        self.double(None)
        self.assertIn("does not answer", self.reason())

    def test_one_with_other_settings_is_not_used(self):
        process = self.daemon()
        self.assertIn("another value of the setting images",
                      self.reason(environment={"NOVA_IMAGES": str(self.directory)}))
        # What is the daemon's affair makes no difference.
        self.novactl("invoke", "hello")
        its_own = {"NOVA_POOL_MAX_VMS": "7", "NOVA_LOG": "debug"}
        self.assertFalse(self.novactl_json("invoke", "hello", environment=its_own)["cold_start"])
        self.stop(process)

    def test_a_daemon_refuses_a_client_of_another_protocol(self):
        process = self.daemon()
        peer = self.peer()
        self.assertEqual(peer.hello(protocol=99)[1]["protocol"], 1)
        self.assertIn("another protocol", peer.reply()[1]["declined"])
        self.stop(process)

    @unittest.skipIf(os.geteuid() != 0, "only root can become another user")
    def test_another_user_is_refused(self):
        os.chmod(self.directory, 0o755)
        path = self.directory / "open.sock"
        process = self.daemon("--socket", path)
        probe = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r})\n"
                 "print(s.recv(1))")
        done = self.run_program("python3", "-c", probe, user=65534)
        self.assertIn("PermissionError", done.stderr)
        # Even if somebody has opened the socket's mode.
        os.chmod(path, 0o666)
        done = self.run_program("python3", "-c", probe, user=65534)
        self.assertEqual(done.stdout, "b''\n", done.stderr)
        self.assertRegex(self.log(), r"refused process \d+ of another user \(65534\)")
        self.stop(process)


class BadClients(DaemonCase):
    def setUp(self):
        super().setUp()
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")

    def is_idle(self):
        queue = self.status()["queue"]
        return queue["under_way"] == 0 and queue["waiting"] == 0

    def still_serves(self):
        self.novactl("invoke", "hello")
        self.assertFalse(self.novactl_json("invoke", "hello")["cold_start"])

    def test_what_is_no_frame_is_hung_up_on(self):
        process = self.daemon()
        frame, part = Choosing.frame, {"part": "event"}
        hello = frame(HELLO, {"protocol": 1, "version": "0.1.0"})

        def invoke(size):
            return hello + frame(REQUEST, {"verb": "invoke", "event_len": size})

        bad = (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\x00\x00\x00\x04nope",
               b"\x00\x00\x00\x02{}", struct.pack(">I", (1 << 20) + 1),
               frame(REQUEST, {"verb": "status"}), frame(99, {}), hello + frame(TEXT, {}),
               hello + hello, invoke(-1), invoke(1 << 40), invoke(4) + frame(TEXT, part),
               invoke(4) + frame(TEXT, {**part, "text": "too long"}),
               invoke(4) + frame(TEXT, {**part, "hex": "zz"}))
        for sent in bad:
            with self.subTest(sent):
                peer = self.peer()
                peer.socket.sendall(sent)
                self.assertTrue(peer.is_hung_up_on())
        self.assertEqual(self.log().count("was hung up on"), len(bad))
        self.still_serves()
        self.stop(process)

    def test_bytes_at_random_do_not_end_it(self):
        process = self.daemon("--client-timeout", "100ms")
        request = {"verb": "invoke", "function": "nobody", "event_len": 2, "stream": True,
                   "json": False}
        good = (Choosing.frame(HELLO, {"protocol": 1, "version": "0.1.0"})
                + Choosing.frame(REQUEST, request)
                + Choosing.frame(TEXT, {"part": "event", "text": "{}"}))
        dice = random.Random(4)
        for _ in range(400):
            sent = bytearray(good)
            for _ in range(dice.randint(1, 4)):
                sent[dice.randrange(len(sent))] = dice.choice(b'\x00\x01\x7f\xff{}[]":,0e-')
            peer = Peer(self.socket)
            try:
                peer.socket.sendall(sent[:dice.randint(1, len(sent))])
            except ConnectionError:
                pass
            if dice.random() < 0.1:
                peer.is_hung_up_on()
            peer.close()
        self.still_serves()
        self.stop(process)

    def test_a_verb_that_it_does_not_know_is_declined(self):
        process = self.daemon()
        for verb in ({"verb": "fly"}, {"verb": 7}, {}):
            peer = self.peer()
            peer.hello()
            peer.send(REQUEST, verb)
            self.assertIn("does not know", peer.reply()[1]["declined"])
        self.stop(process)

    def test_odd_options_are_an_error_of_the_call(self):
        process = self.daemon()
        for options in ({"request_id": "with space"}, {"function": 7}, {"function": "../x"}):
            with self.subTest(options):
                peer = self.peer()
                peer.hello()
                peer.send(REQUEST, {"verb": "invoke", "function": "hello", "event_len": 0,
                                    **options})
                self.assertLess(peer.reply()[1]["error"]["code"], 0)
        self.still_serves()
        self.stop(process)

    def test_who_says_nothing_is_hung_up_on_after_a_while(self):
        process = self.daemon("--client-timeout", "200ms")
        silent, slow = self.peer(), self.peer()
        slow.hello()
        slow.send(REQUEST, {"verb": "invoke", "function": "hello", "event_len": 100})
        self.assertTrue(silent.is_hung_up_on())
        self.assertTrue(slow.is_hung_up_on())
        self.still_serves()
        self.stop(process)

    def test_who_hangs_up_cancels_its_call(self):
        begun, _go = self.register_gate()
        process = self.daemon()
        client = self.start_program(NOVACTL, "invoke", "gate")
        await_that(begun.exists, "the function runs")
        client.send_signal(signal.SIGINT)
        self.assertIn("the daemon cancels what was asked for", client.communicate(timeout=20)[1])
        self.assertEqual(client.returncode, -signal.SIGINT)
        await_that(lambda: self.status()["queue"]["under_way"] == 0, "the call has ended")
        self.still_serves()
        self.stop(process)

    def test_who_hangs_up_while_its_call_waits_for_a_vm_gives_up_its_place(self):
        begun, go = self.register_gate()
        second_begun, _second_go = self.register_gate("second")
        process = self.daemon(environment={"NOVA_POOL_MAX_VMS": "1"})
        first = self.start_program(NOVACTL, "invoke", "gate")
        await_that(begun.exists, "the function runs")
        waits = self.peer()
        waits.begin("second")
        await_that(lambda: self.status()["calls"] == 2, "the second call has come")
        waits.close()
        await_that(lambda: self.status()["clients"] == 2, "the call that waits is given up")
        go.touch()
        self.assertEqual(first.wait(20), 0)
        self.assertFalse(second_begun.exists())
        self.stop(process)

    def test_a_slow_reader_holds_up_nobody_and_loses_only_what_it_did_not_read(self):
        flood = "head -c 16384 /dev/zero | tr '\\0' x; i=$((i+1))"
        self.register("floods", f"i=0; while [ $i -lt 400 ]; do {flood}; done; echo >&2 end",
                      "shell")
        process = self.daemon()
        slow = self.peer()
        slow.begin("floods", stream=True)
        self.still_serves()
        # The function ends although nobody reads what it prints.
        await_that(self.is_idle, "the call is over")
        self.still_serves()
        texts, reply = slow.reply()
        self.assertGreater(reply["dropped"], 0)
        # The rest is over the library's cap for what a function prints.
        self.assertEqual(len(texts["stdout"]) + len(texts.get("stderr", "")) + reply["dropped"],
                         (6 << 20) + len("end\n"))
        self.assertIn("result", reply)
        self.stop(process)

    def test_a_reply_that_nobody_reads_does_not_hold_up_the_end(self):
        self.register("large", "head -c 1000000 /dev/zero | tr '\\0' x", "shell")
        process = self.daemon()
        peers = [self.peer() for _ in range(3)]
        for peer in peers:
            peer.begin("large", json=True)
        await_that(lambda: self.is_idle() and self.status()["calls"] == 3, "the calls are over")
        self.stop(process)

    def test_half_a_request_at_the_end_is_declined(self):
        process = self.daemon()
        half = self.peer()
        half.hello()
        half.send(REQUEST, {"verb": "invoke", "function": "hello", "event_len": 100})
        await_that(lambda: self.status()["clients"] == 2, "both are there")
        process.terminate()
        self.assertIn("stopping", half.reply()[1]["declined"])
        self.ends(process)

    def test_without_descriptors_it_waits_and_goes_on(self):
        process = self.daemon()
        open_files = len(os.listdir(f"/proc/{process.pid}/fd"))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_files + 3, 4096))
        peers = [self.peer() for _ in range(8)]
        for peer in peers:
            peer.send(HELLO, {"protocol": 1, "version": "0.1.0"})
        answered = [peer for peer in peers[:3] if peer.next()[0] == HELLO]
        self.assertEqual(len(answered), 3)
        for peer in peers[:4]:
            peer.close()
        self.assertEqual(peers[5].next()[0], HELLO)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (1024, 4096))
        self.still_serves()
        self.stop(process)

    def test_too_many_clients_are_refused_as_never_run(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2000:
            self.skipTest("a process may have fewer than 2000 descriptors here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        process = self.daemon("--client-timeout", "1m")
        peers = [self.peer() for _ in range(1000)]
        peers[-1].hello()
        error = self.error_of("invoke", "hello", status=1)
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_ELIMIT", "never-ran"))
        for peer in peers:
            peer.close()
        self.novactl("invoke", "hello")
        self.still_serves()
        self.stop(process)

    def test_reply_is_the_last_frame_and_then_it_hangs_up(self):
        process = self.daemon()
        peer = self.peer()
        peer.begin("hello")
        texts, reply = peer.reply()
        self.assertEqual(json.loads(texts["output"])["runtime"], "shell")
        self.assertEqual((reply["result"]["cold_start"], reply["result"]["failure"]), (True, ""))
        with self.assertRaises(EOFError):
            peer.next()
        self.assertEqual(REPLY, 4)
        self.stop(process)


if __name__ == "__main__":
    unittest.main()
