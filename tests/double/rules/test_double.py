# SPDX-License-Identifier: MIT
"""The double is as unfriendly as it says: what it refuses, how, and what ends with it."""
import json
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "firecracker/firecracker"
LOST = b"All previous unanswered requests will be dropped."


class DoubleCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        self.program = self.dir / "firecracker"
        self.program.symlink_to(PROGRAM)
        self.process = None
        self.open = []

    def tearDown(self):
        for sock in self.open:
            sock.close()
        self.end()
        self.folder.cleanup()

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def start(self, **control):
        self.end()
        (self.dir / "api").unlink(missing_ok=True)
        text = json.dumps({"guest": "none", **control})
        (self.dir / "firecracker.control").write_text(text, encoding="ascii")
        self.process = subprocess.Popen(
            [self.program, "--api-sock", self.dir / "api", "--id", "test-1"],
            stderr=subprocess.DEVNULL)
        while True:
            try:
                self.open.append(self.connect("api"))
                return
            except (FileNotFoundError, ConnectionRefusedError):
                self.assertIsNone(self.process.poll())
                time.sleep(0.005)

    def connect(self, name):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.dir / name))
        return sock

    def exchange(self, data):
        self.open[-1].sendall(data)
        return self.open[-1].recv(65536)

    def ask(self, method, path, body=None):
        """(status, what it says)"""
        text = b"" if body is None else body
        if not isinstance(text, bytes):
            text = json.dumps(text).encode()
        head = f"{method} {path} HTTP/1.1\r\nContent-Length: {len(text)}\r\n\r\n".encode()
        answer = self.exchange(head + text)
        first, rest = answer.split(b"\r\n", 1)
        self.assertTrue(first.endswith(b" "), "a reason phrase")
        content = rest.split(b"\r\n\r\n", 1)[1]
        return int(first.split()[1]), json.loads(content).get("fault_message") if content else None

    def refused(self, part, *request):
        status, words = self.ask(*request)
        self.assertEqual(status, 400)
        self.assertIn(part, words)

    def done(self, *request):
        self.assertEqual(self.ask(*request), (204, None))

    def boot(self, **control):
        self.start(**control)
        self.done("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 4})
        self.done("PUT", "/boot-source", {"kernel_image_path": "/dev/null"})
        self.done("PUT", "/vsock", {"guest_cid": 3, "uds_path": str(self.dir / "vsock")})
        self.done("PUT", "/actions", {"action_type": "InstanceStart"})


class Http(DoubleCase):
    def test_errors_of_http_are_no_json_and_end_the_connection(self):
        self.start()
        answer = self.exchange(b"BREW / HTTP/1.1\r\n\r\n")
        self.assertIn(LOST, answer)
        with self.assertRaises(ValueError):
            json.loads(answer.split(b"\r\n\r\n", 1)[1])
        self.assertEqual(self.open[-1].recv(1), b"")

    def test_a_chunked_body_is_an_empty_one_and_a_bad_next_request(self):
        self.start()
        answer = self.exchange(b"PUT /logger HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                               b"2\r\n{}\r\n0\r\n\r\n")
        while LOST not in answer:
            answer += self.open[-1].recv(65536)
        self.assertIn(b"Empty PUT request.", answer)

    def test_a_body_over_the_limit_is_lost(self):
        self.start()
        self.assertIn(b"larger than the limit of 51200",
                      self.exchange(b"PUT /logger HTTP/1.1\r\nContent-Length: 51201\r\n\r\n"))

    def test_expect_is_answered(self):
        self.start()
        answer = self.exchange(b"PUT /logger HTTP/1.1\r\nExpect: 100-continue\r\n"
                               b"Content-Length: 2\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 100"), answer)
        self.assertTrue(self.exchange(b"{}").startswith(b"HTTP/1.1 204 \r\n"))

    def test_half_a_close_is_a_close(self):
        self.start()
        self.open[-1].shutdown(socket.SHUT_WR)
        self.assertEqual(self.open[-1].recv(1), b"")

    def test_the_eleventh_connection_is_one_too_many(self):
        self.start()
        self.ask("GET", "/")
        self.open += [self.connect("api") for _ in range(10)]
        self.assertEqual(self.open[-1].recv(4096).split(b"\r\n")[0], b"HTTP/1.1 503")

    def test_an_existing_socket_is_the_end(self):
        self.start()
        second = subprocess.run([self.program, "--api-sock", self.dir / "api"], capture_output=True,
                                text=True, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("already used", second.stderr)
        self.end()
        self.assertTrue((self.dir / "api").exists())

    def test_bad_arguments_have_a_code_of_their_own(self):
        for words, status in (["--colour"], 153), (["--id", "a_b"], -6):
            done = subprocess.run([self.program, *words], stderr=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, status)


class Fields(DoubleCase):
    LOAD = {"snapshot_path": "/none",
            "mem_backend": {"backend_type": "File", "backend_path": "/none"}}

    def test_each_version_knows_its_own_fields(self):
        cases = [("1.12.0", "track_dirty_pages", True),
                 ("1.15.0", "vsock_override", {"uds_path": "x"}), ("1.16.1", "huge_pages", "None"),
                 ("1.11.0", "network_overrides", [])]
        for version, field, value in cases:
            with self.subTest(version=version, field=field):
                self.start(version=version)
                self.refused(f"unknown field `{field}`", "PUT", "/snapshot/load",
                             {**self.LOAD, field: value})
        self.start(version="1.13.0")
        self.refused("Load snapshot error", "PUT", "/snapshot/load",
                     {**self.LOAD, "track_dirty_pages": True})

    def test_unknown_fields_are_refused_but_where_the_real_one_is_lenient(self):
        self.start()
        drive = {"drive_id": "a", "path_on_host": "/dev/null", "is_root_device": False}
        self.refused("unknown field `colour`", "PUT", "/drives/a", {**drive, "colour": 1})
        bucket = {"size": 1, "refill_time": 1, "colour": 1}
        self.done("PUT", "/drives/a", {**drive, "rate_limiter": {"ops": bucket}})
        self.refused("unknown variant `async`", "PUT", "/drives/a", {**drive, "io_engine": "async"})
        self.done("PUT", "/drives/a", {**drive, "io_engine": "Async"})
        self.refused("unknown field `colour`", "PUT", "/drives/a",
                     {**drive, "rate_limiter": {"ops": bucket, "colour": 1}})
        self.done("PUT", "/metrics", {"metrics_path": str(self.dir / "metrics"), "colour": 1})
        self.refused("missing field `guest_cid`", "PUT", "/vsock", {"uds_path": "x"})

    def test_ids_and_paths(self):
        self.start()
        drive = {"drive_id": "a-b", "path_on_host": "/dev/null", "is_root_device": False}
        self.refused("alphanumeric", "PUT", "/drives/a-b", drive)
        self.refused("does not match", "PUT", "/drives/b", {**drive, "drive_id": "a"})
        self.refused("cannot be empty", "PUT", "/drives/", drive)
        self.refused("Invalid request method and/or path", "PUT", "/nothing", {})
        self.refused("cannot have a body", "GET", "/", {"a": 1})
        self.refused("Empty PUT request.", "PUT", "/logger")

    def test_files_sockets_and_names_are_looked_at_when_they_are_named(self):
        self.start(busy_taps=["tap7"])
        self.refused("No such file or directory (os error 2)", "PUT", "/boot-source",
                     {"kernel_image_path": "/none"})
        (self.dir / "vsock").touch()
        self.refused("Address in use (os error 98)", "PUT", "/vsock",
                     {"guest_cid": 3, "uds_path": str(self.dir / "vsock")})
        nic = {"iface_id": "a", "host_dev_name": "tap0", "guest_mac": "06:00:00:00:00:01"}
        self.done("PUT", "/network-interfaces/a", nic)
        self.refused("MAC address is already in use", "PUT", "/network-interfaces/b",
                     {**nic, "iface_id": "b"})
        self.refused("Invalid interface name", "PUT", "/network-interfaces/b",
                     {"iface_id": "b", "host_dev_name": "sixteen-letters!"})
        self.refused("os error 16", "PUT", "/network-interfaces/b",
                     {"iface_id": "b", "host_dev_name": "tap7"})
        root = {"drive_id": "a", "path_on_host": "/dev/null", "is_root_device": True}
        self.done("PUT", "/drives/a", root)
        self.refused("A root block device already exists!", "PUT", "/drives/b",
                     {**root, "drive_id": "b"})


class Life(DoubleCase):
    def test_some_things_are_too_early_and_some_too_late(self):
        self.start()
        self.refused("before starting", "PATCH", "/vm", {"state": "Paused"})
        self.refused("before starting", "PUT", "/actions", {"action_type": "FlushMetrics"})
        self.boot()
        self.refused("after starting", "PUT", "/entropy", {})
        self.refused("after starting", "PUT", "/actions", {"action_type": "InstanceStart"})
        self.done("PUT", "/actions", {"action_type": "SendCtrlAltDel"})

    def test_a_start_that_fails_is_not_fatal(self):
        self.start(no_kvm=1)
        self.done("PUT", "/boot-source", {"kernel_image_path": "/dev/null"})
        self.refused("/dev/kvm", "PUT", "/actions", {"action_type": "InstanceStart"})
        self.assertEqual(self.ask("GET", "/")[0], 200)

    def snapshot(self, kind="Full"):
        return "PUT", "/snapshot/create", {
            "snapshot_path": str(self.dir / "state"), "mem_file_path": str(self.dir / "mem"),
            "snapshot_type": kind}

    def load(self):
        memory = {"backend_type": "File", "backend_path": str(self.dir / "mem")}
        return "PUT", "/snapshot/load", {
            "snapshot_path": str(self.dir / "state"), "resume_vm": True,
            "track_dirty_pages": True, "mem_backend": memory}

    def test_a_load_after_configuring_is_refused_and_any_other_failure_is_the_end(self):
        self.boot()
        self.done("PATCH", "/vm", {"state": "Paused"})
        self.done(*self.snapshot())
        self.start()
        self.done("PUT", "/entropy", {})
        self.refused("not allowed after configuring boot-specific resources", *self.load())
        self.assertEqual(self.ask("GET", "/")[0], 200)
        self.start()
        self.refused("Address in use", *self.load())  # nobody has removed the vsock socket
        self.assertEqual(self.process.wait(20), 1)

    def test_a_difference_lies_over_a_file_of_the_same_size(self):
        self.boot()
        self.done("PATCH", "/vm", {"state": "Paused"})
        self.done(*self.snapshot())
        (self.dir / "vsock").unlink()
        self.start()
        self.done(*self.load())
        self.done("PATCH", "/vm", {"state": "Paused"})
        before = (self.dir / "mem").read_bytes()
        self.done(*self.snapshot("Diff"))
        after = (self.dir / "mem").read_bytes()
        self.assertEqual(before[:8192], after[:8192])
        self.assertNotEqual(before, after)
        os.truncate(self.dir / "mem", 4096)
        self.done(*self.snapshot("Diff"))
        self.assertEqual((self.dir / "mem").read_bytes()[:4096], bytes(4096))


class Streams(DoubleCase):
    def read(self, count):
        """Byte by byte, as what follows the first line may come with it; shorter at the end of the
        stream."""
        data = b""
        while len(data) < count and (byte := self.open[-1].recv(1)):
            data += byte
        return data

    def read_ready(self):
        return self.read(int.from_bytes(self.read(4), "big"))

    def stream(self, *parts):
        """Opens one, and returns its first line."""
        line = b""
        self.open.append(self.connect("vsock"))
        try:
            for part in parts:
                self.open[-1].sendall(part)
                time.sleep(0.05 if len(parts) > 1 else 0)
            while not line.endswith(b"\n") and (byte := self.open[-1].recv(1)):
                line += byte
            return line
        except (ConnectionResetError, BrokenPipeError):
            return b""

    def test_a_stream_begins_with_one_line_in_one_piece(self):
        self.boot()
        self.assertEqual(self.stream(b"CONNECT 9999\n"), b"OK 1073741824\n")
        self.assertEqual(self.stream(b"connect 9999\n"), b"OK 1073741825\n")
        self.assertEqual(self.stream(b"CONN", b"ECT 9999\n"), b"")
        self.assertEqual(self.stream(b"CONNECT 9999" + b" " * 40 + b"\n"), b"")
        self.assertEqual(self.stream(b"CONNECT nine\n\n"), b"")
        self.assertEqual(self.stream(b"CONNECT 1234\n"), b"")  # nobody listens there

    def test_half_a_close_ends_the_stream(self):
        self.boot()
        self.stream(b"CONNECT 9999\n")
        self.assertIn(b"protocol", self.read_ready())
        self.open[-1].shutdown(socket.SHUT_WR)
        self.assertEqual(self.open[-1].recv(4096), b"")  # the guest would have kept it open

    def test_a_snapshot_cuts_streams_also_when_it_fails_and_their_host_ends_hang(self):
        self.boot()
        self.stream(b"CONNECT 9999\n")
        self.read_ready()
        stream = self.open.pop()
        self.open.insert(0, stream)
        api = next(sock for sock in self.open if sock is not stream)
        self.open.remove(api)
        self.open.append(api)
        self.refused("unavailable while running", "PUT", "/snapshot/create",
                     {"snapshot_path": "/none/a", "mem_file_path": "/none/b"})
        stream.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            stream.recv(1)

    def ping(self):
        """On the last stream, after whatever has come; false: it has ended."""
        text = b'{"type":4,"payload":{"request_id":"1"}}'
        self.open[-1].sendall(struct.pack(">I", len(text)) + text)
        heard = b""
        while b'"status"' not in heard:
            block = self.open[-1].recv(65536)
            if not block:
                return False
            heard += block
        return True

    def state(self, api, *states):
        """One after the other; "Saved" is a snapshot."""
        stream, self.open[-1] = self.open[-1], api
        for state in states:
            if state == "Saved":
                files = {"snapshot_path": str(self.dir / "state"),
                         "mem_file_path": str(self.dir / "memory")}
                self.done("PUT", "/snapshot/create", files)
            else:
                self.done("PATCH", "/vm", {"state": state})
        self.open[-1] = stream

    def test_up_to_1_15_the_reset_of_a_snapshot_ends_the_next_stream_too(self):
        for version, stays in (("1.15.1", False), ("1.16.1", True)):
            with self.subTest(version=version):
                self.boot(version=version)
                api = self.open[-1]
                self.stream(b"CONNECT 9999\n")
                self.assertTrue(self.ping())
                self.state(api, "Paused", "Saved", "Resumed")
                self.stream(b"CONNECT 9999\n")
                self.assertEqual(self.ping(), stays)
                self.stream(b"CONNECT 9999\n")
                self.assertTrue(self.ping())
                (self.dir / "vsock").unlink()

    def test_in_1_16_nothing_reaches_a_guest_after_a_pause_before_a_snapshot(self):
        self.boot(version="1.16.1")
        api = self.open[-1]
        self.stream(b"CONNECT 9999\n")
        self.state(api, "Paused", "Resumed")
        self.open[-1].settimeout(0.3)
        with self.assertRaises(TimeoutError):
            self.ping()
            self.ping()
        self.state(api, "Paused", "Saved", "Resumed")
        self.stream(b"CONNECT 9999\n")
        self.assertTrue(self.ping())

    def test_a_paused_guest_is_silent(self):
        self.boot(version="1.17.0")
        self.done("PATCH", "/vm", {"state": "Paused"})
        api = self.open[-1]
        stream = self.connect("vsock")
        stream.sendall(b"CONNECT 9999\n")
        stream.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            stream.recv(1)
        self.open[:] = [stream, api]
        self.done("PATCH", "/vm", {"state": "Resumed"})
        stream.settimeout(20)
        self.assertEqual(stream.recv(3), b"OK ")
