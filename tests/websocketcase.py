# SPDX-License-Identifier: MIT
"""A client of WebSockets that sends what it likes: RFC 6455, frame by frame."""
import base64
import hashlib
import json
import os
import struct

from novadcase import NovadCase

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, data=b"", *, fin=True, rsv=0, mask=True, length=None):
    """The bytes of a frame; `length` is what its head says, if that is not so."""
    said = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if said < 126:
        head += bytes([bit | said])
    elif said < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", said)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", said)
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


class Socket:
    """The client's end of one, after its handshake."""

    def __init__(self, raw, early=b""):
        self.raw, self.buffer = raw, early
        self.closed = None  # the status that the server gave

    def send(self, opcode, data=b"", **how):
        self.raw.sendall(frame(opcode, data, **how))

    def send_json(self, value):
        self.send(TEXT, json.dumps(value).encode())

    def read(self, count):
        while len(self.buffer) < count:
            piece = self.raw.recv(65536)
            if not piece:
                raise EOFError(self.buffer)
            self.buffer += piece
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def next(self):
        """The next frame: its opcode and data. The server masks nothing, and fragments nothing."""
        first, second = self.read(2)
        assert first & 0xf0 == 0x80 and not second & 0x80, (first, second)
        length = second
        if length == 126:
            length = struct.unpack(">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
        return first & 15, self.read(length)

    def event(self):
        """The next message, as JSON; None: it says good-bye. Pings are answered."""
        while True:
            opcode, data = self.next()
            if opcode == PING:
                self.send(PONG, data)
            elif opcode == CLOSE:
                self.closed = struct.unpack(">H", data[:2])[0] if data else 1005
                return None
            elif opcode == TEXT:
                return json.loads(data)

    def events(self):
        """All until it says good-bye, which is answered."""
        found = list(iter(self.event, None))
        self.send(CLOSE, struct.pack(">H", 1000))
        assert self.raw.recv(1) == b"", "it hangs up"
        return found

    def close(self):
        self.raw.close()


def output(events, stream="stdout"):
    """The bytes that a stream has printed."""
    data = b""
    for event in events:
        if event["event"] == "output" and event["stream"] == stream:
            data += (base64.b64decode(event["data"]) if event.get("encoding") == "base64" else
                     event["data"].encode())
    return data


class WebSocketCase(NovadCase):
    PATH = "/api/v1/execute/stream"

    def handshake(self, *more, path=PATH, nonce="MDEyMzQ1Njc4OWFiY2RlZg==", version="13",
                  upgrade="websocket", raw=None, method="GET"):
        """The socket, its request, and the head of the answer."""
        lines = [f"Upgrade: {upgrade}", "Connection: keep-alive, Upgrade",
                 f"Sec-WebSocket-Key: {nonce}", f"Sec-WebSocket-Version: {version}", *more]
        head = self.head(method, path, *[line for line in lines if not line.endswith(": None")])
        if raw:
            raw.sendall(head)
        else:
            raw = self.raw(head)
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = raw.recv(4096)
            if not piece:
                break
            answer += piece
        head, _, early = answer.partition(b"\r\n\r\n")
        return raw, head.decode(), early

    def socket(self, start=None, **named):
        """One that is open; with `start` an execution is begun."""
        raw, head, early = self.handshake(**named)
        self.assertTrue(head.startswith("HTTP/1.1 101 "), head)
        expected = base64.b64encode(hashlib.sha1(
            b"MDEyMzQ1Njc4OWFiY2RlZg==258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        self.assertIn(f"Sec-WebSocket-Accept: {expected}", head)
        socket = Socket(raw, early)
        if start is not None:
            socket.send_json(start)
        return socket

    def begun(self, start, **named):
        """The same, and the id of its execution."""
        socket = self.socket(start, **named)
        event = socket.event()
        self.assertEqual(event["event"], "started", event)
        return socket, event["executionId"]

    def is_not_opened(self, status, code, **named):
        """Asserts that the handshake is answered with this problem."""
        raw, head, body = self.handshake("Connection: close", **named)
        body += self.read_all(raw)
        self.assertIn(f"HTTP/1.1 {status} ", head)
        self.assertEqual(json.loads(body)["code"], code)

    def again(self, execution, after=0, **named):
        """Listens to one that there is."""
        return self.socket(path=f"{self.PATH}?execution_id={execution}&after={after}", **named)

    def is_closed(self, socket, status):
        """Asserts that the server says good-bye with this status, and hangs up."""
        self.assertIsNone(socket.event())
        self.assertEqual(socket.closed, status)
        socket.send(CLOSE, struct.pack(">H", status))
        self.assertEqual(self.read_all(socket.raw), b"")
