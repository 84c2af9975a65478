# SPDX-License-Identifier: MIT
"""Clients that nobody wants, by hundreds: others are served, and nothing is kept of them."""
import json
import os
import pathlib
import random
import socket
import struct

from daemoncase import HELLO, REQUEST, TEXT, DaemonCase
from novatest import await_that

CLIENTS = 2000 if os.environ.get("NOVA_TEST_LONG") else 200
HONEST_EVERY = 50
MOST_GROWTH_KB = 8 << 10


def frame(text):
    return struct.pack(">I", len(text)) + text


class Flood(DaemonCase):
    def descriptors(self, pid):
        """How many, and those by which a thread is interrupted apart."""
        events = others = 0
        for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                event = os.readlink(path) == "anon_inode:[eventfd]"
            except FileNotFoundError:
                continue
            events, others = events + event, others + (not event)
        return events, others

    def usage(self, pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        words = dict(line.split(":", 1) for line in status.splitlines())
        events, others = self.descriptors(pid)
        return others, int(words["Threads"]) + events, int(words["VmRSS"].split()[0])

    # --- what such a client does with its connection

    def vanish(self, _peer, _rng):
        pass

    def say_half_a_header(self, peer, _rng):
        peer.socket.sendall(b"\0\0")

    def say_half_a_request(self, peer, _rng):
        peer.send(HELLO, {"protocol": 1, "version": "0.1.0"})
        request = {"verb": "invoke", "function": "f", "event_len": 2}
        body = json.dumps({"type": REQUEST, "payload": request}).encode()
        peer.socket.sendall(frame(body)[:-9])

    def say_half_an_event(self, peer, _rng):
        peer.send(HELLO, {"protocol": 1, "version": "0.1.0"})
        peer.send(REQUEST, {"verb": "invoke", "function": "f", "event_len": 1000})
        peer.send(TEXT, {"part": "event", "text": "[1,"})

    def say_garbage(self, peer, rng):
        peer.socket.sendall(rng.randbytes(rng.randrange(1, 5000)))

    def promise_too_much(self, peer, _rng):
        peer.socket.sendall(b"\xff\xff\xff\xff" + b"{" * 1000)

    def say_many_small_values(self, peer, _rng):
        peer.socket.sendall(frame(b'{"type":1,"payload":{"a":[' + b"{}," * 60000 + b"{}]}}"))

    def nest(self, peer, _rng):
        peer.socket.sendall(frame(b'{"type":1,"payload":' + b"[" * 50000))

    def ask_and_close_one_half(self, peer, _rng):
        peer.begin("f")
        peer.socket.shutdown(socket.SHUT_WR)
        self.assertTrue(peer.is_hung_up_on())

    def ask_and_vanish(self, peer, _rng):
        peer.begin("f")

    KINDS = (vanish, say_half_a_header, say_half_a_request, say_half_an_event, say_garbage,
             promise_too_much, say_many_small_values, nest, ask_and_close_one_half, ask_and_vanish)

    # --- the flood

    def wave(self, rng):
        """All of them; some stay until the others are through."""
        staying = []
        for number in range(CLIENTS):
            peer = self.peer()
            try:
                rng.choice(self.KINDS)(self, peer, rng)
            except (ConnectionError, EOFError):
                pass  # the daemon had enough
            if rng.random() < 0.1:
                staying.append(peer)
            else:
                peer.close()
            if number % HONEST_EVERY == 0:
                self.assertEqual(self.novactl_json("invoke", "f")["output"], "hi")
        for peer in staying:
            peer.close()

    def usage_at_rest(self, process):
        """Once all clients have gone, and with them the VMs."""
        def rests():
            status = self.status()
            return status["clients"] == 1 and status["pool"]["idle"] + status["pool"]["busy"] == 0

        await_that(rests, "all of a wave have gone")
        return self.usage(process.pid)

    def test_others_are_served_and_nothing_is_kept(self):
        seed = int(os.environ.get("NOVA_TEST_SEED") or int.from_bytes(os.urandom(3), "big"))
        print(f"# note: flood: NOVA_TEST_SEED={seed}", flush=True)
        rng = random.Random(seed)
        self.register("f", "echo hi", "shell")
        # Else the address sanitizer keeps what was freed.
        process = self.daemon("--idle-ttl", "100ms",
                              environment={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        self.wave(rng)
        # From then on it has the log open.
        await_that(lambda: self.novactl_json("logs", "f"), "calls are in the log")
        descriptors, threads, memory = self.usage_at_rest(process)
        self.wave(rng)
        self.usage_at_rest(process)
        await_that(lambda: self.usage(process.pid)[0] <= descriptors,
                   f"it has {descriptors} descriptors again, apart from those of threads")
        _descriptors, threads_now, memory_now = self.usage(process.pid)
        # The threads of calls stay for further calls, each with the descriptor that interrupts it.
        self.assertLess(threads_now, threads + CLIENTS // 10)
        self.assertLess(memory_now, memory + MOST_GROWTH_KB)
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "hi")
        self.stop(process)
