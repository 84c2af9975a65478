# SPDX-License-Identifier: MIT
"""What clients do that mean no good, or know no better. NOVA_TEST_LONG: more of it."""
import json
import os
import pathlib
import resource
import select
import signal
import socket
import threading
import unittest

import redisserver
from novadcase import NovadCase
from novatest import await_that

LONG = bool(os.environ.get("NOVA_TEST_LONG"))
API = "/api/v1"


def memory_kb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


class Requests(NovadCase):
    def setUp(self):
        super().setUp()
        self.register("echo", "cat \"$1\"", "shell")

    def statuses(self, data):
        """Of all responses that these bytes lead to, until it is hung up on."""
        return self.statuses_of(self.raw(data))

    def statuses_of(self, raw):
        answer = self.read_all(raw)
        return [int(line.split()[1]) for line in answer.split(b"\r\n")
                if line.startswith(b"HTTP/1.1 ")]

    def lives(self):
        self.assertEqual(self.ask("GET", "/healthz").status, 200)

    def test_where_a_request_ends_has_one_meaning(self):
        self.novad("--body-timeout", "300ms")
        invoke = "/functions/echo/invoke"
        body = b"2\r\n{}\r\n0\r\n\r\n"
        for lines, data in (
                (["Content-Length: 2", "Transfer-Encoding: chunked"], body),
                (["Content-Length: 2", "Content-Length: 3"], b"{} "),
                (["Content-Length: 2", "Content-Length: 2"], b"{}"),
                (["Content-Length: -1"], b"{}"), (["Content-Length: 2x"], b"{}"),
                (["Content-Length : 2"], b"{}"), (["Transfer-Encoding : chunked"], body),
                (["Content-Length: 99999999999999999999"], b"{}"),
                (["Transfer-Encoding: gzip"], b"{}"),
                (["Transfer-Encoding: chunked, chunked"], body),
                (["Transfer-Encoding: chunked"], b"x\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked"], b"-2\r\n{}\r\n0\r\n\r\n"),
                (["Transfer-Encoding: chunked"], b"ffffffffffffffffff\r\n{}"),
                (["Transfer-Encoding: chunked"], b"2\r\n{}GET / HTTP/1.1\r\n\r\n"),
                (["Content-Length: 10"], b"{}")):  # and nothing more: it is hung up on
            with self.subTest(lines=lines, data=data):
                found = self.statuses(self.head("POST", invoke, *lines) + data)
                self.assertTrue(all(400 <= status < 500 for status in found), found)
                # libmicrohttpd 0.9.75 says some refusals twice, and then hangs up.
                self.assertLessEqual(len(set(found)), 1)
        good = self.head("POST", invoke, "Transfer-Encoding: chunked", "Connection: close") + body
        self.assertEqual(self.statuses(good), [200])
        self.lives()

    def test_requests_one_behind_the_other_are_answered_in_order(self):
        self.novad()
        data = b""
        for number in range(5):
            body = str(number).encode()
            last = ["Connection: close"] if number == 4 else []
            data += self.head("POST", "/functions/echo/invoke", f"Content-Length: {len(body)}",
                              *last) + body
        answer = self.read_all(self.raw(data))
        bodies = [part.partition(b"\r\n\r\n")[2][:1] for part in answer.split(b"HTTP/1.1 200 OK")]
        self.assertEqual(bodies[1:], [b"0", b"1", b"2", b"3", b"4"])

    def test_bodies_that_are_too_long_are_refused(self):
        self.novad("--max-body", "64")
        head = self.head("POST", "/functions/echo/invoke", f"Content-Length: {100 << 20}")
        self.assertEqual(self.statuses(head), [413])
        self.is_refused(413, "too_big", "POST", "/functions/echo/invoke", bytes(65 << 10))
        raw = self.raw(self.head("POST", "/functions/echo/invoke", "Transfer-Encoding: chunked",
                                 "Connection: close"))
        piece = b"8000\r\n" + bytes(0x8000) + b"\r\n"
        for _ in range(3200 if LONG else 320):  # 100 MB, or 10
            raw.sendall(piece)
        raw.sendall(b"0\r\n\r\n")
        self.assertIn(b"HTTP/1.1 413", self.read_all(raw))
        self.lives()

    def test_memory_does_not_grow_with_bodies_that_wait(self):
        # ASan keeps what is freed for a while, unless it is told not to.
        process = self.novad("--max-body", "4096", "--max-bodies", "8",
                             environment={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        before = memory_kb(process)
        waiting = [self.raw(self.head("POST", "/functions/echo/invoke",
                                      f"Content-Length: {4 << 20}")) for _ in range(20)]

        def send(raw):
            try:
                raw.sendall(bytes((4 << 20) - 1))
            except OSError:
                pass  # refused

        threads = [threading.Thread(target=send, args=(raw,)) for raw in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertLess(memory_kb(process) - before, 64 << 10)
        statuses = []
        for raw in waiting:
            raw.sendall(b"x")
            statuses.append(int(raw.recv(100).split()[1]))
            raw.close()
        self.assertEqual(set(statuses), {400, 503}, statuses)  # 400: it is no JSON
        self.assertLessEqual(statuses.count(400), 3)
        self.assertEqual(self.ask("POST", "/functions/echo/invoke", b"{}").status, 200)

    def test_heads_have_limits(self):
        self.novad()
        for data in (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     self.head("GET", "/healthz", "X: " + "x" * 100000),
                     self.head("GET", "/healthz", *[f"X-{i}: x" for i in range(5000)])):
            found = self.statuses(data)
            self.assertTrue(all(status in (400, 413, 414, 431) for status in found), found)
        self.lives()

    def test_what_is_no_http_is_hung_up_on(self):
        self.novad("--head-timeout", "3s")
        all_sent = [(data, self.raw(data)) for data in (
            b"\0" * 100 + b"\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" * 10,
            b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 1000,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n")]
        for data, raw in all_sent:
            with self.subTest(data=data[:20]):
                found = self.statuses_of(raw)
                self.assertTrue(all(400 <= status <= 505 for status in found), found)
        self.lives()

    def test_nothing_gets_into_heads_and_logs(self):
        path = self.directory / "access.log"
        self.novad("--access-log", path)
        for name in ("X-Request-Id", "traceparent", "Origin", "Idempotency-Key"):
            raw = self.head("POST", "/functions/echo/invoke", f"{name}: a\n b: c",
                            f"{name}: x\rSet-Cookie: a=b", "Content-Length: 2",
                            "Connection: close") + b"{}"
            answer = self.read_all(self.raw(raw))
            self.assertNotIn(b"Set-Cookie", answer.partition(b"\r\n\r\n")[0])
        self.ask("GET", "/%0d%0aSet-Cookie:%20a=b\"\\")
        self.ask("GET", "/api/v1/functions/%0d%0aX")
        await_that(lambda: path.exists() and '%0d%0a' in path.read_text(), "the log")
        for line in path.read_text().splitlines():
            self.assertRegex(line, r"^\{.*\}$")

    def test_what_a_function_prints_stays_within_answers_and_logs(self):
        hostile = '\\0\\x1b[2J\\r\\nSet-Cookie: a=b\\r\\n\\r\\n"},"code":"x","a":{"\\udcff<script>'
        self.register("bad", "import sys\ndef handler(event):\n"
                      f"    print('{hostile}', file=sys.stderr)\n    print('{hostile}')\n"
                      f"    raise ValueError('{hostile}')")
        path = self.directory / "access.log"
        self.novad("--access-log", path, "--no-keys")
        invoked = self.ask("POST", "/functions/bad/invoke", {})
        lambdas = self.ask("POST", "/2015-03-31/functions/bad/invocations", {},
                           X_Amz_Log_Type="Tail")
        run = self.ask("POST", "/execute", {"language": "python",
                                            "code": f"print('{hostile[:-15]}')"})
        self.assertEqual((invoked.status, lambdas.status, run.status), (500, 200, 200))
        records = self.gets(200, "GET", "/api/v1/logs?function=bad")["invocations"]
        self.assertEqual([record["code"] for record in records], ["function_failed"] * 2)
        self.assertIn("\x1b[2J", records[0]["stderr"])
        self.assertEqual(invoked.json()["code"], "function_failed")
        self.assertEqual(sorted(lambdas.json()), ["errorMessage", "errorType"])
        self.assertIn('"},"code":"x"', run.json()["stdout"])
        for answer in (invoked, lambdas, run):
            self.assertNotIn("Set-Cookie", answer.headers)
        await_that(lambda: path.exists() and "/api/v1/logs" in path.read_text(), "the log")
        for line in path.read_bytes().splitlines():
            json.loads(line)
        for line in self.log().split("\n")[:-1]:
            self.assertRegex(line, r"^novad: [ -~]+$")

    def test_bytes_that_are_no_text_end_nothing(self):
        path = self.directory / "access.log"
        self.novad("--access-log", path)
        listing = "/api/v1/functions"
        last = "Connection: close"
        for head in (b"\xff / HTTP/1.1\r\nHost: localhost\r\n" + last.encode() + b"\r\n\r\n",
                     self.head("GET", listing, last, "If-Match: ?"),
                     self.head("GET", listing, last, "If-None-Match: ?")):
            with self.subTest(head=head):
                self.read_all(self.raw(head.replace(b"?", b"\xff")))
                self.lives()

    def test_paths_have_no_tricks(self):
        self.novad()
        for path in ("/functions/%2e%2e/invoke", "/functions/../invoke", "/functions/%00/invoke",
                     "/functions/echo%00/invoke", "/functions/a%2fb/invoke", "/functions//invoke",
                     "/functions/%/invoke", "/functions/%zz/invoke", "//execute", "/execute/",
                     "/./execute", "/api/v1/../../execute", "/api/v1//execute", "/execute%00",
                     "/functions/" + "x" * 600 + "/invoke", "*", "http://localhost/execute",
                     "/%65xecute/x", "/functions/echo/invoke/"):
            answer = self.ask("POST", path, b"{}")
            self.assertIn(answer.status, (400, 404), (path, answer))
        self.assertEqual(self.ask("POST", "/%65xecute", {"command": ["true"]}).status, 200)
        for name in ("%3Cscript%3E", "%27", "x" * 400, "%c3%28", "%f0%9f%98%80"):
            answer = self.ask("GET", f"{API}/functions/{name}")
            self.assertIn(answer.status, (400, 404), (name, answer))
            answer.json()

    def test_bodies_that_are_no_json_are_told(self):
        self.novad()
        for body in (b"", b"{", b"{]", b"nonsense", b"\xff\xfe", b"\0", b'{"command":["a"]', b"[1,",
                     b'{"code":"1","code":"2","language":"shell"}', b"{" * 5000, b"[" * 5000):
            problem = self.is_refused(400, "invalid" if body == b"" else "malformed", "POST",
                                      "/execute", body)
            self.assertEqual(problem["outcome"], "never_ran")

    def test_an_event_that_is_no_json_is_told_whether_the_function_is_there_or_not(self):
        self.novad()
        other = self.novactl("apikey", "create", "ci").stdout.strip()
        for named in {}, {"key": False, "x_api_key": other}:
            for body in (b"{", b"nonsense", b"[1,", b"\xff"):
                for name in ("echo", "none"):
                    self.is_refused(400, "invalid", "POST", f"/functions/{name}/invoke", body,
                                    **named)
            self.is_refused(404, "not_found", "POST", "/functions/none/invoke", b"{}", **named)
            self.is_refused(404, "not_found", "POST", "/functions/none/invoke", **named)


class Slowness(NovadCase):
    def test_who_does_not_get_on_is_hung_up_on(self):
        self.register("echo", "cat \"$1\"", "shell")
        self.novad("--head-timeout", "3s", "--body-timeout", "500ms", "--idle-timeout", "3s")
        head = self.head("POST", "/functions/echo/invoke", "Content-Length: 10")
        idle = self.connection()
        self.ask("GET", "/healthz", connection=idle)
        slow = [self.raw(), self.raw(b"GET / HT"), self.raw(head[:-2]), self.raw(head + b"{"),
                idle.sock]
        stop = threading.Event()

        def drip(raw):  # slowloris: a little, for ever
            try:
                while not stop.wait(0.05):
                    raw.sendall(b"X")
            except OSError:
                pass

        thread = threading.Thread(target=drip, args=(slow[2],))
        thread.start()
        for raw in slow:
            self.read_all(raw)  # returns when it is hung up on
        stop.set()
        thread.join()
        self.assertEqual(self.ask("GET", "/healthz").status, 200)

    def test_a_client_that_never_reads_holds_nobody_up(self):
        self.register("long", "head -c 3000000 /dev/zero | tr '\\0' x", "shell")
        self.novad("--idle-timeout", "3s")
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(60)
        self.addCleanup(raw.close)
        raw.connect(("127.0.0.1", self.port))
        raw.sendall(self.head("POST", "/functions/long/invoke", "Content-Length: 2") + b"{}")
        for _ in range(3):
            self.assertEqual(self.ask("GET", "/healthz").status, 200)
        self.assertEqual(len(self.ask("POST", "/functions/long/invoke", b"{}").body), 3000002)
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "it is hung up on")


class Crowds(NovadCase):
    def gate(self, name="gate"):
        begun, go = self.directory / f"{name}.begun", self.directory / f"{name}.go"
        self.register(name, f"echo >>{begun}; while ! test -e {go}; do sleep 0.02; done; echo 1",
                      "shell")
        return begun, go

    def begin(self, key=None):
        head = self.head("POST", "/functions/gate/invoke", "Content-Length: 2", "Connection: close")
        if key:
            head = head.replace(self.key.encode(), key.encode())
        return self.raw(head + b"{}")

    def test_a_key_has_so_many_calls_and_all_have_so_many(self):
        keys = self.write("keys", "".join(f"{name}={name * 16}\n" for name in "abc"))
        keys.chmod(0o600)
        begun, go = self.gate()
        self.novad("--key-file", keys, "--key-calls", "2", "--max-calls", "3")
        self.key = "a" * 16
        calls = [self.begin(), self.begin()]
        await_that(lambda: begun.exists() and len(begun.read_text()) == 2, "two run")
        answer = self.ask("POST", "/functions/gate/invoke", b"{}")
        self.assertEqual((answer.status, answer.json()["code"], answer.headers["Retry-After"]),
                         (429, "too_many_calls", "1"))
        calls.append(self.begin("b" * 16))
        await_that(lambda: len(begun.read_text()) == 3, "three run")
        self.key = "c" * 16
        answer = self.ask("POST", "/functions/gate/invoke", b"{}")
        self.assertEqual((answer.status, answer.json()["code"], answer.headers["Retry-After"]),
                         (503, "overloaded", "1"))
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        go.touch()
        for raw in calls:
            self.assertIn(b"HTTP/1.1 200", self.read_all(raw))
        self.assertEqual(self.ask("POST", "/functions/gate/invoke", b"{}").status, 200)

    def test_a_key_has_so_many_requests_in_a_time(self):
        keys = self.write("keys", f"slow={'a' * 16} rate=3/h\nquick={'b' * 16} rate=1000/s "
                          f"burst=2\nfree={'c' * 16}\n")
        keys.chmod(0o600)
        self.novad("--key-file", keys)
        path = "/api/v1/functions"
        self.key = "a" * 16
        for _ in range(3):
            self.gets(200, "GET", path)
        answer = self.ask("GET", path)
        self.assertEqual((answer.status, answer.json()["code"]), (429, "too_many_requests"))
        self.assertTrue(1190 <= int(answer.headers["Retry-After"]) <= 1200, answer.headers)
        self.assertEqual(answer.json()["outcome"], "never_ran")
        self.is_refused(429, "too_many_requests", "POST", "/execute", {"command": ["true"]})
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        keys.write_text(keys.read_text() + "# read again\n")
        self.key = "c" * 16
        await_that(lambda: "again" in self.log() or not self.ask("GET", path).status, "it is read")
        for _ in range(20):
            self.gets(200, "GET", path)
        self.key = "a" * 16
        self.is_refused(429, "too_many_requests", "GET", path)
        self.key = "b" * 16
        await_that(lambda: self.ask("GET", path).status == 200, "a millisecond is over")
        await_that(lambda: self.ask("GET", path).status == 200, "it goes on")
        whole = keys.read_text()
        keys.write_text(whole.replace("rate=3/h", "rate=9/m") + "broken\n")
        await_that(lambda: "line 5 of" in self.log() or not self.ask("GET", "/healthz").status,
                   "it is read")
        self.key = "a" * 16
        self.is_refused(429, "too_many_requests", "GET", path)
        keys.write_text(whole.replace("rate=3/h", "rate=5/m"))
        self.key = "a" * 16
        await_that(lambda: self.ask("GET", path).status == 200, "a larger limit holds at once")

    def test_a_key_of_the_store_has_its_rate(self):
        self.novactl("apikey", "create", "slow", "--rate", "2/d", "--burst", "3")
        made = self.novactl_json("apikey", "create", "one", "--rate", "1/d")
        self.assertEqual((made["rate"], made["period_ms"], made["burst"]), (1, 86400000, 1))
        self.novad()
        self.key = made["key"]
        self.gets(200, "GET", "/api/v1/functions")
        self.is_refused(429, "too_many_requests", "GET", "/api/v1/functions")

    @unittest.skipIf(redisserver.MISSING, redisserver.MISSING)
    def test_two_novads_with_one_redis_share_the_rate_of_a_key(self):
        redis = redisserver.Server(self).path
        keys = self.write("keys", f"slow={'a' * 16} rate=5/h\n")
        keys.chmod(0o600)
        ports = []
        for name in ("one", "two"):
            self.novad("--key-file", keys, "--set", f"redis.addr={redis}",
                       environment={"NOVA_HOME": str(self.directory / name)})
            ports.append(self.port)
        self.key = "a" * 16
        answers = []
        for turn in range(12):
            self.port = ports[turn % 2]
            answers.append(self.ask("GET", "/api/v1/functions").status)
        self.assertEqual(answers, [200] * 5 + [429] * 7)

    def test_who_waits_for_redis_holds_up_nobody_else(self):
        redis = redisserver.Server(self)
        keys = self.write("keys", f"slow={'a' * 16} rate=5/h\nfree={'b' * 16}\n")
        keys.chmod(0o600)
        self.novad("--key-file", keys, "--set", f"redis.addr={redis.path}", "--set",
                   "redis.timeout=60s")
        self.key = "a" * 16
        self.assertEqual(self.ask("GET", "/api/v1/functions").status, 200)
        redis.process.send_signal(signal.SIGSTOP)
        waits = self.raw(self.head("GET", "/api/v1/functions", "Connection: close"))
        gone = self.raw(self.head("GET", "/api/v1/functions", "Connection: close"))
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        self.key = "b" * 16
        self.assertEqual(self.ask("GET", "/api/v1/functions").status, 200)
        gone.close()
        self.assertEqual(select.select([waits], [], [], 0)[0], [])
        redis.process.send_signal(signal.SIGCONT)
        self.assertTrue(self.read_all(waits).startswith(b"HTTP/1.1 200 "))

    def test_limits_of_keys_that_make_no_sense_are_named(self):
        for words in ("rate=0/s", "rate=5", "rate=5/d", "rate=-5/s", "rate=5000000/s", "burst=5",
                      "rate=5/s burst=0", "rate=5/s burst=x", "other", "rate=5/sx", "rate="):
            with self.subTest(words=words):
                keys = self.write("keys", f"{'a' * 16} {words}\n")
                keys.chmod(0o600)
                self.refuses_to_start("line 1 of", "--key-file", keys,
                                      listen=["--listen", "127.0.0.1:0"])

    def test_a_name_or_a_key_that_is_there_twice_is_refused(self):
        one, other = "a" * 16, "b" * 16
        for part, lines in (("name of another line", f"ci={one}\n\nci={other}\n"),
                            ("key of another line", f"{one}\n\nci={one}\n"),
                            ("key of another line", f"{one}\n\n{one}\n")):
            with self.subTest(lines=lines):
                keys = self.write("keys", lines)
                keys.chmod(0o600)
                self.refuses_to_start(f"line 3 of '{keys}' has the {part}", "--key-file", keys,
                                      listen=["--listen", "127.0.0.1:0"])

    def test_keys_come_and_go_without_end(self):
        def lines(letter):
            return "".join(f"{letter}{number:03}-0123456789abcdef\n" for number in range(600))
        keys = self.write("keys", lines("a"))
        keys.chmod(0o600)
        self.novad("--key-file", keys)
        keys.write_text(lines("b"))  # 1200 in all
        await_that(lambda: self.ask("GET", "/api/v1/functions", key=False,
                                    x_api_key="b599-0123456789abcdef").status == 200,
                   "the last of the new ones is let in")
        self.is_refused(401, "unauthorized", "GET", "/api/v1/functions", key=False,
                        x_api_key="a000-0123456789abcdef")

    def test_calls_under_way_are_answered_when_it_stops(self):
        begun, go = self.gate()
        process = self.novad()
        idle = self.connection()
        self.ask("GET", "/healthz", connection=idle)
        call = self.begin()
        await_that(begun.exists, "it runs")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.read_all(idle.sock), b"")  # nobody waits for those that only wait
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).recv(1)
        go.touch()
        self.assertIn(b"HTTP/1.1 200", self.read_all(call))
        self.assertEqual(process.wait(60), 0, self.log())

    def test_calls_that_take_too_long_are_cancelled_when_it_stops(self):
        begun, _ = self.gate()
        process = self.novad("--stop-timeout", "300ms")
        call = self.begin()
        await_that(begun.exists, "it runs")
        process.send_signal(signal.SIGTERM)
        answer = self.read_all(call)
        self.assertIn(b"HTTP/1.1 503", answer)
        self.assertIn(b'"outcome":"ran"', answer)
        self.assertEqual(process.wait(60), 0, self.log())
        await_that(self.nothing_runs, "nothing is left")

    def test_a_second_signal_ends_it_and_callers_are_told(self):
        begun, _ = self.gate()
        process = self.novad()
        call = self.begin()
        await_that(begun.exists, "it runs")
        process.send_signal(signal.SIGTERM)
        await_that(lambda: "stopping" in self.log(), "it stops")
        process.send_signal(signal.SIGTERM)
        answer = self.read_all(call)
        self.assertIn(b"HTTP/1.1 502", answer)
        self.assertIn(b'"outcome":"unknown"', answer)
        self.assertEqual(process.wait(60), 1)

    def test_idle_connections_cost_little_and_hold_nobody_up(self):
        count = 10000 if LONG else 1000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(count, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        process = self.novad("--head-timeout", "1h", "--idle-timeout", "1h")
        before = memory_kb(process)
        crowd = [self.raw(b"GET /healthz HTTP/1.1\r\n") for _ in range(count)]
        await_that(lambda: f"\nnovad_connections {count + 1}\n" in self.ask(
            "GET", "/metrics").body.decode(), "all are there", 120)
        each = (memory_kb(process) - before) * 1024 / count
        print(f"# {count} connections take {each / 1024:.1f} KiB each")
        self.assertLess(each, 40 << 10)
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        for raw in crowd:
            raw.close()
        await_that(lambda: "\nnovad_connections 1\n" in self.ask("GET", "/metrics").body.decode(),
                   "all are gone", 120)
        self.stops(process)
