# SPDX-License-Identifier: MIT
"""Executions that are listened to: GET /execute/stream."""
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import ssl
import struct
import termios
import threading

from novatest import await_that
from websocketcase import BINARY, CLOSE, PING, PONG, TEXT, Socket, WebSocketCase, frame, output


def cpu_seconds(process):
    """What a process has had of the processors."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


LOOP = "while ! test -e {go}; do sleep 0.02; done"


class StreamCase(WebSocketCase):
    def gate(self, name="go"):
        return self.directory / name

    def loop(self, before="echo begun", after="echo ended", name="go"):
        """Code that prints, waits for a file, and prints again."""
        return {"language": "shell",
                "code": f"{before}; {LOOP.format(go=self.gate(name))}; {after}"}

    def calls(self):
        """How many are under way."""
        text = self.ask("GET", "/metrics").body.decode()
        return int(text.split("\nnovad_calls ")[1].split()[0])

    def lives(self):
        self.assertEqual(self.ask("GET", "/healthz").status, 200)


class Streams(StreamCase):
    def test_output_comes_while_it_is_printed_and_then_the_exit_code(self):
        self.novad()
        socket, execution = self.begun(self.loop("echo out; echo err >&2", "echo more; exit 3"))
        first = [socket.event(), socket.event()]
        self.assertEqual((output(first), output(first, "stderr")), (b"out\n", b"err\n"))
        self.gate().touch()
        rest = socket.events()
        self.assertEqual(output(rest), b"more\n")
        last = rest[-1]
        self.assertEqual((last["event"], last["exitCode"], last["executionId"]),
                         ("complete", 3, execution))
        self.assertIn("3", last["error"])
        self.assertEqual(socket.closed, 1000)
        self.assertEqual([event["id"] for event in first + rest],
                         list(range(2, last["id"] + 1)))

    def test_every_language_of_execute_can_be_streamed(self):
        self.novad()
        for start, said in (
                ({"language": "python", "code": "print('hello')"}, b"hello\n"),
                ({"language": "javascript", "code": "console.log(6 * 7)"}, b"42\n"),
                ({"command": ["sh", "-c", "cat; echo $A"], "payload": "eA==",
                  "env_vars": ["A=b"]}, b"xb\n")):
            events = self.socket(start, path="/execute/stream").events()
            self.assertEqual(output(events), said)
            self.assertEqual((events[-1]["event"], events[-1]["exitCode"]), ("complete", 0))
        events = self.socket({"language": "python", "input": [1, 2],
                              "code": "def handler(event):\n    return {'sum': sum(event)}"}
                             ).events()
        self.assertEqual(events[-1]["output"], {"sum": 3})

    def test_bytes_arrive_as_they_are(self):
        self.novad()
        code = "import os\nfor byte in 'aä€😀'.encode(): os.write(1, bytes([byte]))\n" \
               "os.write(1, b'\\0\\n<script>')"
        events = self.socket({"language": "python", "code": code}).events()
        self.assertEqual("".join(event.get("data", "") for event in events),
                         "aä€😀\0\n<script>")
        for written in (b"\xff<script>", b"\xe2\x82", b"a\xc3\n" * 20000, bytes(range(256))):
            events = self.socket({"language": "python", "code": "import os, sys\n"
                                  f"sys.stdout.buffer.write({written[:300]!r} * "
                                  f"{max(1, len(written) // 300)})"}).events()
            self.assertEqual(output(events), written[:300] * max(1, len(written) // 300))

    def test_what_cannot_be_run_is_an_event_error(self):
        self.novad()
        for start, code, outcome in (
                ({"language": "perl", "code": "1"}, "invalid", "never_ran"),
                ({"code": "1"}, "invalid", "never_ran"),
                ({"command": ["x"], "mode": "checkpointed"}, "not_supported", "never_ran"),
                ({"command": ["x"], "stdin": True}, "not_supported", "never_ran"),
                ({"command": ["x"], "instance": "none"}, "not_found", "never_ran"),
                ({"command": ["sleep", "1000"], "timeout_ms": 300}, "timed_out", "ran")):
            with self.subTest(start=start):
                last = self.socket(start).events()[-1]
                self.assertEqual((last["event"], last["code"], last["outcome"]),
                                 ("error", code, outcome), last)
                self.assertTrue(last["error"])
        for message in (b"{", b"[]", b'{"cod":"1"}', b'{"code":1}', b"[" * 5000):
            with self.subTest(message=message[:20]):
                socket = self.socket()
                socket.send(TEXT, message)
                event = socket.event()
                self.assertEqual((event["event"], event["status"]), ("error", 400), event)
                self.is_closed(socket, 1008)
        socket = self.socket()
        socket.send(BINARY, b"{}")
        self.is_closed(socket, 1003)
        self.assertEqual(self.calls(), 0)

    def test_a_lost_connection_is_taken_up_again(self):
        self.novad()
        socket, execution = self.begun(self.loop())
        begun = socket.event()
        self.assertEqual(output([begun]), b"begun\n")
        socket.close()
        again = self.again(execution, begun["id"])
        self.gate().touch()
        events = again.events()
        self.assertEqual((output(events), events[-1]["event"]), (b"ended\n", "complete"))
        whole = self.again(execution).events()
        self.assertEqual((output(whole), whole[0]["event"]), (b"begun\nended\n", "started"))
        self.assertEqual(self.again(execution, events[-1]["id"]).events(), [])
        self.is_not_opened(400, "invalid",
                           path=f"{self.PATH}?execution_id={execution}&after=99")

    def test_two_listen_to_one_execution(self):
        self.novad()
        first, execution = self.begun(self.loop())
        second = self.again(execution)
        self.assertEqual(output([first.event()]), b"begun\n")
        first.raw.close()
        self.gate().touch()
        self.assertEqual(output(second.events()), b"begun\nended\n")

    def test_to_what_execute_has_run_one_can_listen_afterwards(self):
        self.novad()
        done = self.gets(200, "POST", "/execute", {"language": "shell",
                                                   "code": "echo out; echo err >&2; exit 4"})
        events = self.again(done["executionId"]).events()
        self.assertEqual((output(events), output(events, "stderr"), events[-1]["exitCode"]),
                         (b"out\n", b"err\n", 4))
        begun = self.gets(202, "POST", "/execute", {**self.loop(), "stream": True})
        socket = self.again(begun["executionId"])
        self.assertEqual(socket.event()["event"], "started")
        self.assertEqual(output([socket.event()]), b"begun\n")
        self.gate().touch()
        self.assertEqual(socket.events()[-1]["event"], "complete")

    def test_an_execution_belongs_to_its_key(self):
        keys = self.write("keys", "".join(f"{name}={name * 16}\n" for name in "ab"))
        keys.chmod(0o600)
        self.novad("--key-file", keys, "--key-calls", "1")
        self.key = "a" * 16
        socket, execution = self.begun(self.loop())
        last = self.socket(self.loop()).events()[-1]
        self.assertEqual((last["status"], last["code"]), (429, "too_many_calls"))
        self.key = "b" * 16
        path = f"{self.PATH}?execution_id={execution}"
        self.is_not_opened(404, "not_found", path=path)
        self.is_not_opened(404, "not_found", path=f"{self.PATH}?execution_id={'0' * 32}")
        self.key = None
        self.is_not_opened(401, "unauthorized", path=path)
        self.gate().touch()
        self.assertEqual(socket.events()[-1]["event"], "complete")

    def test_a_page_gives_its_key_as_a_protocol(self):
        self.novad()
        key, self.key = self.key, None
        raw, head, early = self.handshake(f"Sec-WebSocket-Protocol: nova.v1, nova.key.{key}")
        self.assertIn("\r\nSec-WebSocket-Protocol: nova.v1", head)
        self.assertNotIn(key, head)
        socket = Socket(raw, early)
        socket.send_json({"command": ["echo", "hi"]})
        self.assertEqual(output(socket.events()), b"hi\n")
        for offered in (f"nova.v1, nova.key.{key}x", "nova.key.", "nova.v1"):
            self.assertIn(" 401 ", self.handshake(f"Sec-WebSocket-Protocol: {offered}")[1])

    def test_it_is_stopped_as_asked(self):
        self.novad()
        socket, _ = self.begun(self.loop())
        socket.event()
        socket.send_json({"event": "stop"})
        last = socket.events()[-1]
        self.assertEqual((last["event"], last["code"]), ("error", "canceled"))
        await_that(lambda: self.calls() == 0, "it is over")

    def test_over_tls(self):
        self.novad("--tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = context.wrap_socket(self.raw())
        self.addCleanup(raw.close)
        socket = self.socket({"command": ["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]},
                             raw=raw)
        events = list(iter(socket.event, None))
        self.assertEqual(output(events), b"x" * 300000)
        self.assertEqual(events[-1]["event"], "complete")


class Input(StreamCase):
    def instance(self, *words):
        self.register("home", "cat", "shell")
        self.novad(*words)
        return self.gets(201, "POST", "/api/v1/instances", {"function": "home"})["id"]

    def test_stdin_of_a_command_in_an_instance_comes_in_messages(self):
        socket, _ = self.begun({"instance": self.instance(), "command": ["cat"], "stdin": True})
        socket.send_json({"event": "stdin", "data": "a text\n"})
        self.assertEqual(output([socket.event()]), b"a text\n")
        socket.send(BINARY, b"\0\xff")
        socket.send_json({"event": "stdin", "data": "AQI=", "encoding": "base64", "end": True})
        events = socket.events()
        self.assertEqual(output(events), b"\0\xff\1\2")
        self.assertEqual(events[-1]["exitCode"], 0)

    def test_much_of_it_goes_through(self):
        socket, _ = self.begun({"instance": self.instance(), "command": ["wc", "-c"],
                                "stdin": True})
        for _ in range(40):
            socket.send(BINARY, bytes(100000))
        socket.send_json({"event": "stdin", "end": True})
        self.assertEqual(output(socket.events()).strip(), b"4000000")

    def test_a_message_has_at_most_1_mib(self):
        socket, _ = self.begun({"instance": self.instance(), "command": ["wc", "-c"],
                                "stdin": True})
        for opcode in (BINARY, TEXT):
            socket.send(opcode, bytes([32]) * ((1 << 20) + 1))
            event = socket.event()
            self.assertEqual((event["event"], "1 MiB" in event["error"]), ("refused", True))
        socket.send(BINARY, bytes(1 << 20))
        socket.send_json({"event": "stdin", "end": True})
        self.assertEqual(output(socket.events()).strip(), b"1048576")

    def test_who_goes_while_nobody_reads_stdin_is_noticed(self):
        socket, _ = self.begun({"instance": self.instance("--resume-timeout", "300ms"),
                                "command": ["sleep", "1000"], "stdin": True})
        for _ in range(8):
            socket.send(BINARY, bytes(60000))
        socket.close()
        await_that(lambda: self.calls() == 0, "it is cancelled")

    def test_what_is_not_taken_is_refused_in_one_sentence(self):
        self.novad()
        socket, _ = self.begun(self.loop())
        socket.event()
        for message in (b'{"event":"stdin","data":"x"}', b"{", b"[]", b'{"event":"x"}',
                        b'{"event":"stdin","encoding":"base64","data":"a"}', b'{"data":"x"}'):
            socket.send(TEXT, message)
            event = socket.event()
            self.assertEqual(event["event"], "refused", event)
            self.assertTrue(event["error"])
        socket.send(BINARY, b"x")
        self.assertIn("stdin is not open", socket.event()["error"])
        self.gate().touch()
        self.assertEqual(socket.events()[-1]["exitCode"], 0)


class Slowness(StreamCase):
    FLOOD = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"

    def test_who_does_not_read_holds_nothing_up_and_finds_a_gap(self):
        self.novad("--idle-timeout", "1s")
        socket, execution = self.begun({"language": "shell", "code": self.FLOOD})
        await_that(lambda: self.calls() == 0, "it ends, though nobody reads")
        events = self.again(execution).events()
        self.assertEqual([event["event"] for event in events[:2]], ["gap", "output"])
        self.assertEqual(events[0]["id"] + 1, events[1]["id"])
        self.assertEqual(events[0]["missing"], events[0]["id"])
        self.assertTrue(output(events).endswith(b"x\nlast\n"))
        self.assertLess(len(output(events)), 1 << 20)
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "who does not read is hung up on")
        self.assertEqual(events[-1]["event"], "complete")
        socket.close()

    def test_who_reads_loses_nothing(self):
        self.novad()
        events = self.socket({"language": "shell", "code": self.FLOOD}).events()
        self.assertEqual([event for event in events if event["event"] == "gap"], [])
        self.assertEqual(output(events), b"x" * 5000000 + b"\nlast\n")

    def test_who_falls_behind_and_is_lost_can_come_back_for_the_end(self):
        self.novad("--resume-timeout", "1s")
        slow, execution = self.begun({"language": "shell", "code": self.FLOOD})
        await_that(lambda: self.calls() == 0, "it ends, though nobody reads")
        later = self.gets(200, "POST", "/execute", {"command": ["true"]})["executionId"]
        await_that(lambda: " 404 " in self.handshake(
            "Connection: close", path=f"{self.PATH}?execution_id={later}&after=99")[1],
                   "what ended later is gone")
        slow.close()
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "the connection is gone")
        self.assertEqual(self.again(execution).events()[-1]["event"], "complete")

    def test_who_listens_and_says_nothing_is_asked_whether_it_lives(self):
        self.novad("--idle-timeout", "1s")
        socket, _ = self.begun(self.loop())
        socket.event()
        opcode, _ = socket.next()
        self.assertEqual(opcode, PING)
        socket.send(PONG)
        self.assertEqual(socket.next()[0], PING)
        with self.assertRaises((EOFError, ConnectionError)):  # which is not answered
            socket.next()

    def test_pings_without_end_are_no_way_to_memory(self):
        self.novad("--idle-timeout", "1s")
        socket, _ = self.begun(self.loop())

        def flood():
            try:
                while True:
                    socket.raw.sendall(frame(PING, bytes(125)) * 100)
            except OSError:
                pass  # hung up on

        thread = threading.Thread(target=flood)
        thread.start()
        self.lives()
        thread.join(60)
        self.assertFalse(thread.is_alive())
        self.lives()

    def test_without_anybody_it_is_cancelled_after_a_while(self):
        self.novad("--resume-timeout", "300ms")
        socket, execution = self.begun(self.loop())
        socket.event()
        socket.close()
        await_that(lambda: self.calls() == 0, "it is cancelled")
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "the connection is gone")
        self.is_not_opened(404, "not_found", path=f"{self.PATH}?execution_id={execution}")

    def test_who_begins_nothing_is_hung_up_on(self):
        self.novad("--body-timeout", "300ms")
        sockets = [self.socket(), self.socket()]
        sockets[1].send(TEXT, b'{"co', fin=False)
        for socket in sockets:
            self.assertEqual(self.read_all(socket.raw), b"")


class Room(StreamCase):
    def test_what_executions_are_given_counts_among_the_bodies_until_they_end(self):
        self.novad("--max-bodies", "8")
        start = {"command": ["sh", "-c", LOOP.format(go=self.gate())], "payload": [0] * 50000}
        for first in ("a request", "a message"):
            with self.subTest(first=first):
                if first == "a request":
                    self.gets(202, "POST", "/execute", {**start, "stream": True})
                else:
                    self.begun(start)
                self.is_refused(503, "overloaded", "POST", "/execute", {**start, "stream": True})
                event = self.socket(start).event()
                self.assertEqual((event["status"], event["code"]), (503, "overloaded"))
                self.gate().touch()
                await_that(lambda: self.calls() == 0, "it has ended")
                self.gate().unlink()
        self.gate().touch()
        self.assertEqual(self.socket(start).events()[-1]["event"], "complete")


class Stuck(StreamCase):
    """Handshakes behind so many answers which nobody reads that theirs has no room on its way."""
    ANSWERS = "GET", "/healthz"

    def waiting(self, raw):
        """Bytes that have come and were not read, once they do not grow."""
        before, now = None, 0
        while not now or now != before:
            before, now = now, struct.unpack("i", fcntl.ioctl(raw, termios.FIONREAD, bytes(4)))[0]
            select.select([], [], [], 0.2)
        return now

    def pipelined(self, data):
        raw = socket.socket(socket.AF_UNIX)  # so much it takes, each time
        self.addCleanup(raw.close)
        raw.settimeout(60)
        raw.connect(str(self.directory / "socket"))
        raw.sendall(data)
        return raw

    def stuck(self, *words):
        """A novad, and connections whose handshake is not answered yet."""
        process = self.novad("--listen", f"unix:{self.directory}/socket", *words)
        asked = self.head(*self.ANSWERS)
        one = self.waiting(self.pipelined(asked))
        most = self.waiting(self.pipelined(asked * 1000)) // one
        self.assertLess(most, 1000)
        handshake = self.head("GET", self.PATH, "Upgrade: websocket", "Connection: Upgrade",
                              "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
                              "Sec-WebSocket-Version: 13")
        found = [self.pipelined(asked * count + handshake) for count in range(most - 2, most + 3)]
        self.assertIn(most * one, [self.waiting(raw) for raw in found])
        return process, found

    def read_to_handshake(self, raw):
        data = b""
        while b"HTTP/1.1 101 " not in data:
            piece = raw.recv(65536)
            self.assertTrue(piece, "it is upgraded")
            data += piece

    def test_a_handshake_whose_answer_waits_to_be_read(self):
        _, found = self.stuck("--head-timeout", "1s")
        self.read_all(self.raw())  # when that is hung up on, all have been looked at
        for raw in found:
            self.read_to_handshake(raw)
        self.lives()

    def test_a_handshake_whose_answer_nobody_reads_does_not_hold_up_the_end(self):
        process, _ = self.stuck()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0, self.log())


class Frames(StreamCase):
    """What is against RFC 6455 ends the connection with its status, and nothing else."""

    def test_frames_that_break_the_rules(self):
        self.novad("--max-body", "64")
        for status, data in (
                (1002, frame(TEXT, b"{}", mask=False)), (1002, frame(TEXT, b"{}", rsv=4)),
                (1002, frame(TEXT, b"{}", rsv=1)), (1002, frame(3)), (1002, frame(7, b"x")),
                (1002, frame(11)), (1002, frame(15)), (1002, frame(0, b"x")),
                (1002, frame(TEXT, b"{", fin=False) + frame(TEXT, b"}")),
                (1005, frame(PING, bytes(126))), (1005, frame(PING, b"", fin=False)),
                (1005, frame(CLOSE, b"x")), (1002, frame(CLOSE, struct.pack(">H", 999))),
                (1002, frame(CLOSE, struct.pack(">H", 1005))),
                (1007, frame(CLOSE, struct.pack(">H", 1000) + b"\xff")),
                (1007, frame(TEXT, b"\xff")), (1007, frame(TEXT, b"\xed\xa0\x80")),
                (1007, frame(TEXT, b"\xf4\x90\x80\x80")), (1007, frame(TEXT, b"\xc0\x80")),
                (1007, frame(TEXT, b"{\xe2\x82", fin=False) + frame(0, b"}")),
                (1009, frame(TEXT, bytes(65537))), (1009, frame(TEXT, b"x", length=1 << 62)),
                (1009, frame(TEXT, b" " * 65000, fin=False) + frame(0, b" " * 65000))):
            with self.subTest(status=status, data=data[:20]):
                socket = self.socket()
                try:
                    socket.raw.sendall(data)
                    self.assertIsNone(socket.event())
                    self.assertEqual(socket.closed, status)
                except (EOFError, ConnectionError):
                    self.fail("hung up on without a word")
        self.lives()

    def test_who_breaks_a_rule_and_stays_is_hung_up_on_soon(self):
        process = self.novad("--idle-timeout", "30s")
        sockets = []
        for data in (frame(TEXT, b"{}", mask=False), frame(TEXT, b"\xff"), frame(PING, bytes(126))):
            socket, _ = self.begun(self.loop())
            socket.event()
            socket.raw.sendall(data)
            socket.raw.settimeout(15)
            sockets.append(socket)
        for socket in sockets:
            self.assertIsNone(socket.event())
            self.read_all(socket.raw)
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "they are hung up on", 10)
        self.assertLess(cpu_seconds(process), 1.5)

    def test_a_length_that_is_not_the_shortest_or_negative(self):
        self.novad()
        for head in (b"\x81\xfe\0\5", b"\x81\xff\0\0\0\0\0\0\0\5",
                     b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
            socket = self.socket()
            socket.raw.sendall(head + bytes(9))
            socket.event()
            self.assertIn(socket.closed, (1005, 1002, 1008, 1009), head)
        self.lives()

    def test_a_message_comes_in_pieces_with_pings_between(self):
        self.novad()
        socket = self.socket()
        whole = json.dumps({"command": ["echo", "ä€"]}, ensure_ascii=False).encode()
        data = b""
        for i in range(len(whole)):
            data += frame(TEXT if i == 0 else 0, whole[i:i + 1], fin=False)
            data += frame(PING, bytes([i]))
        data += frame(0)
        for byte in data:
            socket.raw.sendall(bytes([byte]))
        events = []
        pongs = 0
        while pongs < len(whole) or not events or events[-1]["event"] != "complete":
            opcode, data = socket.next()
            if opcode == PONG:
                self.assertEqual(data, bytes([pongs]))
                pongs += 1
            else:
                events.append(json.loads(data))
        self.assertEqual(output(events), "ä€\n".encode())

    def test_what_comes_with_the_head_is_not_lost(self):
        self.novad()
        message = frame(TEXT, json.dumps({"command": ["echo", "early"]}).encode())
        head = self.head("GET", self.PATH, "Upgrade: websocket", "Connection: Upgrade",
                         "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Version: 13")
        raw = self.raw(head + message)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += raw.recv(1)
        self.assertEqual(output(Socket(raw).events()), b"early\n")

    def test_the_client_says_good_bye(self):
        self.novad()
        socket, execution = self.begun(self.loop())
        socket.event()
        socket.send(CLOSE, struct.pack(">H", 1001) + b"later")
        self.is_closed(socket, 1001)
        self.gate().touch()
        self.assertEqual(output(self.again(execution).events()), b"begun\nended\n")

    def test_hanging_up_in_the_middle_harms_nobody(self):
        self.novad()
        whole = frame(TEXT, json.dumps(self.loop()).encode())
        for cut in (1, 2, 5, 7, len(whole) - 1):
            socket = self.socket()
            socket.raw.sendall(whole[:cut])
            socket.close()
        socket = self.socket()
        socket.raw.sendall(frame(TEXT, b"", length=1000))
        await_that(lambda: "\nnovad_connections 2\n" in self.ask("GET", "/metrics").body.decode(),
                   "they are gone")
        self.assertEqual(self.calls(), 0)


class Handshakes(StreamCase):
    def test_what_is_no_handshake_is_answered_as_http(self):
        self.novad("--cors", "https://a.example")
        for status, named in ((426, {"upgrade": "None"}), (426, {"upgrade": "h2c"}),
                              (426, {"version": "None"}), (426, {"version": "8"}),
                              (426, {"version": "13, 8"}), (400, {"nonce": "None"}),
                              (400, {"nonce": "short"}), (400, {"nonce": "!" * 24}),
                              (400, {"nonce": "MDEyMzQ1Njc4OWFiY2RlZjE="}),
                              (405, {"method": "POST"}), (400, {"method": "HEAD"}),
                              (404, {"path": self.PATH + "/x"}),
                              (400, {"path": self.PATH + "?after=1"}),
                              (400, {"path": self.PATH + "?after=x"}),
                              (400, {"path": self.PATH + "?other=x"})):
            with self.subTest(**named):
                head = self.handshake(**named)[1]
                self.assertTrue(head.startswith(f"HTTP/1.1 {status} "), head)
                if status == 426 and "version" in named:
                    self.assertIn("\r\nSec-WebSocket-Version: 13", head)
        for line, status in (("Origin: https://evil.example", 403), ("Content-Length: 5", 400),
                             ("Origin: https://a.example", 101), ("Origin: null", 403),
                             ("Origin: http://localhost:1", 101)):
            with self.subTest(line=line):
                self.assertIn(f" {status} ", self.handshake(line)[1])
        good = self.head("GET", self.PATH, "Upgrade: websocket", "Connection: Upgrade",
                         "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Version: 13")
        for part, other, status in ((b"localhost", b"evil.example", b" 421 "),
                                    (b"HTTP/1.1", b"HTTP/1.0", b"")):
            raw, answer = self.raw(good.replace(part, other)), b""
            # Not to its end: libmicrohttpd may overlook that a client has ended its half.
            while b"\r\n\r\n" not in answer and (piece := raw.recv(65536)):
                answer += piece
            self.assertIn(status, answer)
            self.assertNotIn(b" 101 ", answer)
        self.lives()

    def test_the_document_and_the_log_have_it(self):
        path = self.directory / "access.log"
        self.novad("--access-log", path)
        document = self.gets(200, "GET", "/openapi.json")
        self.assertIn("get", document["paths"]["/api/v1/execute/stream"])
        self.socket({"command": ["echo", "hi"]}).events()
        await_that(lambda: '"streamExecution"' in path.read_text(), "the log")
        line = [json.loads(line) for line in path.read_text().splitlines()][-1]
        self.assertEqual(line["status"], 101)
        self.assertGreater(line["bytes_out"], 50)


class Ends(StreamCase):
    def test_streams_are_read_to_their_end_when_it_stops(self):
        process = self.novad()
        idle, lost = self.socket(), self.begun(self.loop())[0]
        lost.close()
        socket, _ = self.begun(self.loop())
        socket.event()
        process.send_signal(signal.SIGTERM)
        self.is_closed(idle, 1001)
        self.gate().touch()
        events = socket.events()
        self.assertEqual((output(events), events[-1]["event"]), (b"ended\n", "complete"))
        self.assertEqual(process.wait(60), 0, self.log())
        await_that(self.nothing_runs, "nothing is left")

    def test_who_does_not_read_what_has_ended_does_not_hold_up_the_end(self):
        process = self.novad()
        self.begun({"language": "shell", "code": Slowness.FLOOD})
        await_that(lambda: self.calls() == 0, "it ends, though nobody reads")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(15), 0, self.log())

    def test_those_that_take_too_long_are_told(self):
        process = self.novad("--stop-timeout", "300ms")
        socket, _ = self.begun(self.loop())
        socket.event()
        process.send_signal(signal.SIGTERM)
        last = socket.events()[-1]
        self.assertEqual((last["event"], last["code"], last["outcome"]),
                         ("error", "canceled", "ran"))
        self.assertEqual(process.wait(60), 0, self.log())

    def test_an_end_at_once_is_told_as_far_as_that_goes(self):
        process = self.novad()
        socket, _ = self.begun(self.loop())
        socket.event()
        process.send_signal(signal.SIGTERM)
        await_that(lambda: "no more" in self.log() or self.refuses(), "it stops")
        process.send_signal(signal.SIGTERM)
        event = socket.event()
        self.assertEqual((event["event"], event["code"]), ("error", "lost"))
        self.assertEqual(process.wait(60), 1)

    def refuses(self):
        try:
            self.raw().recv(1)
        except OSError:
            return True
        return False
