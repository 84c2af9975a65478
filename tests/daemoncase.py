# SPDX-License-Identifier: MIT
"""A daemon of one's own, and its protocol as another program would speak it."""
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import threading

from novatest import NOVACTL, HomeCase, await_that

HELLO, REQUEST, TEXT, REPLY = 1, 2, 3, 4


class Peer:
    """One connection to a daemon."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.settimeout(20)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, kind, payload):
        body = json.dumps({"type": kind, "payload": payload}).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def read(self, count):
        while len(self.buffer) < count:
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        head, self.buffer = self.buffer[:count], self.buffer[count:]
        return head

    def next(self):
        frame = json.loads(self.read(struct.unpack(">I", self.read(4))[0]))
        return frame["type"], frame["payload"]

    def hello(self, **changes):
        self.send(HELLO, {"protocol": 1, "version": "0.1.0", **changes})
        return self.next()

    def begin(self, function, event="{}", **options):
        self.hello()
        self.send(REQUEST, {"verb": "invoke", "function": function,
                            "event_len": len(event.encode()), **options})
        if event:
            self.send(TEXT, {"part": "event", "text": event})

    def reply(self):
        """The texts by part, and the reply."""
        texts = {}
        while True:
            kind, payload = self.next()
            if kind == REPLY:
                return texts, payload
            texts[payload["part"]] = texts.get(payload["part"], "") + payload["text"]

    def is_hung_up_on(self):
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True  # else the time limit of the socket has raised


class DaemonCase(HomeCase):
    def setUp(self):
        super().setUp()
        self.daemons = []
        self.addCleanup(self.end_all)

    def end_all(self):
        for process in self.daemons:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()

    def daemon(self, *words, environment=None, log="daemon.log"):
        """Starts a daemon and awaits its line; its socket is self.socket, its log self.log()."""
        with open(self.directory / log, "w", encoding="utf-8") as err:
            process = subprocess.Popen([NOVACTL, "--json", "daemon", *map(str, words)],
                                       env={**self.environment, **(environment or {})},
                                       stdout=subprocess.PIPE, stderr=err, text=True,
                                       start_new_session=True)
        self.daemons.append(process)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            self.assertTrue(selector.select(20), "the daemon says nothing")
        line = process.stdout.readline()
        self.assertTrue(line, f"the daemon has ended: {self.log(log)}")
        ready = json.loads(line)["ready"]
        self.assertEqual(ready["pid"], process.pid)
        self.socket = ready["socket"]
        return process

    def log(self, name="daemon.log"):
        return (self.directory / name).read_text(encoding="utf-8")

    def peer(self):
        peer = Peer(self.socket)
        self.addCleanup(peer.close)
        return peer

    def ends(self, process, status=0, by=None):
        """Awaits the end of the daemon (by a signal, or by itself); nothing of it is left."""
        if by:
            process.send_signal(by)
        self.assertEqual(process.wait(30), status, self.log())
        await_that(self.nothing_runs, "nothing of the daemon is left")

    def stop(self, process):
        self.ends(process, by=signal.SIGTERM)
        self.assertFalse(os.path.exists(self.socket))

    def status(self):
        return self.novactl_json("daemon", "status")

    def all_at_once(self, count, work):
        """Runs work(number) in so many threads; their results in order."""
        results = [None] * count

        def keep(number):
            try:
                results[number] = work(number)
            except BaseException as error:  # pylint: disable=broad-except
                results[number] = error

        threads = [threading.Thread(target=keep, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def register_gate(self, name="gate", *options):
        """A function that tells that it runs, and ends when it is let go. Returns both files."""
        begun, go = self.directory / f"{name}.begun", self.directory / f"{name}.go"
        code = f"echo >>{begun}; while ! test -e {go}; do sleep 0.01; done; echo '\"through\"'"
        self.register(name, code, "shell", *options)
        return begun, go
