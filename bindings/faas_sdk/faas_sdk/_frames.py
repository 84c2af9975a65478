# SPDX-License-Identifier: MIT
"""WebSocket frames of a client (RFC 6455), without a socket."""
import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FRAME_MAX = 64 << 20


def encode(opcode, data=b""):
    head = bytes([0x80 | opcode])
    if len(data) < 126:
        head += bytes([0x80 | len(data)])
    elif len(data) < 1 << 16:
        head += b"\xfe" + struct.pack(">H", len(data))
    else:
        head += b"\xff" + struct.pack(">Q", len(data))
    key = os.urandom(4)
    mask = int.from_bytes((key * (len(data) // 4 + 1))[:len(data)], "big")
    return head + key + (int.from_bytes(data, "big") ^ mask).to_bytes(len(data), "big")


class Handshake:
    """The request that opens a WebSocket, and the check of its answer."""

    def __init__(self, host, path, headers):
        nonce = base64.b64encode(os.urandom(16))
        self.expected = base64.b64encode(hashlib.sha1(nonce + GUID).digest()).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {nonce.decode()}",
                 "Sec-WebSocket-Version: 13", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        self.request = "\r\n".join(lines).encode()

    def check(self, head):
        """The status, and the headers; a 101 with another answer than ours is an error."""
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.title(): value.strip() for name, _, value in
                   (line.partition(":") for line in lines)}
        if status == 101 and headers.get("Sec-Websocket-Accept") != self.expected:
            raise ValueError("what answers is no WebSocket")
        return status, headers


class Frames:
    """Takes bytes as they come; gives whole messages."""

    def __init__(self):
        self.buffer = bytearray()
        self.parts, self.opcode = [], 0

    def feed(self, data):
        self.buffer += data

    def next(self):
        """(opcode, data) of the next message or control frame; None: more bytes are needed."""
        while True:
            frame = self.take()
            if frame is None:
                return None
            final, opcode, data = frame
            if opcode >= CLOSE:
                return opcode, data
            self.parts.append(data)
            self.opcode = opcode or self.opcode
            if final:
                whole, self.parts = b"".join(self.parts), []
                return self.opcode, whole

    def take(self):
        if len(self.buffer) < 2:
            return None
        length, at = self.buffer[1] & 0x7f, 2
        if length > 125:
            size = 2 if length == 126 else 8
            if len(self.buffer) < 2 + size:
                return None
            length, at = int.from_bytes(self.buffer[2:2 + size], "big"), 2 + size
        if length > FRAME_MAX:
            raise ValueError("a message is too long")
        if len(self.buffer) < at + length:
            return None
        first, data = self.buffer[0], bytes(self.buffer[at:at + length])
        del self.buffer[:at + length]
        return bool(first & 0x80), first & 15, data
