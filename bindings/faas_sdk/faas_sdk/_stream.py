# SPDX-License-Identifier: MIT
"""The events of an execution, which is listened to again when the connection is lost."""
import asyncio
import base64
import json
import time
import urllib.parse

from ._errors import FaaSError
from ._frames import BINARY, CLOSE, PING, PONG, TEXT, Frames, Handshake, encode
from ._http import Answer, read

PATH = "/api/v1/execute/stream"
TRIES = 5  # to come back
PIECE_MAX = 1 << 20  # bytes that novad takes in one message


class Event:
    """Something that was printed, or a gap (`event` tells which).

    For output `stream` is "stdout" or "stderr", `data` the text and `raw` its bytes; for a gap
    `missing` events are not kept any more.
    """

    def __init__(self, told):
        self.event, self.id = told["event"], told.get("id", 0)
        self.stream, self.missing = told.get("stream", ""), told.get("missing", 0)
        data = told.get("data", "")
        self.raw = (base64.b64decode(data) if told.get("encoding") == "base64" else
                    data.encode())
        self.data = self.raw.decode("utf-8", "replace")

    def __repr__(self):
        return f"Event({self.event!r}, {self.stream!r}, {self.data!r})"


class Course:
    """What is known of an execution, and what is to be asked for next. Without a socket."""

    def __init__(self, client, execution_id, start, after=0):
        if (execution_id is None) == (not start):
            raise TypeError("either an execution_id or what is to be run is needed")
        self.client, self.id, self.start, self.last = client, execution_id, start, after
        self.result = None  #: the event `complete`, once it has come
        self.tries, self.over = 0, False

    def handshake(self):
        path = self.client.endpoint.prefix + PATH
        if self.id:
            path += "?" + urllib.parse.urlencode({"execution_id": self.id, "after": self.last})
        return Handshake(self.client.endpoint.netloc, path, self.client.headers)

    def first_message(self):
        """Of a new connection: b"" if there is none to send."""
        return b"" if self.id else encode(TEXT, json.dumps(self.start).encode())

    def take(self, message):
        """One message; the event that the caller is to see, or None."""
        opcode, data = message
        if opcode != TEXT:
            return None
        told = json.loads(data, object_hook=Answer)
        name = told["event"]
        self.last, self.tries = told.get("id", self.last), 0
        if name == "started":
            self.id = told["executionId"]
        elif name == "complete":
            self.result, self.over = told, True
        elif name == "error":
            self.over = True
            raise FaaSError.of(told)
        elif name == "refused":
            raise FaaSError(told["error"], code="refused", outcome="never_ran")
        return Event(told) if name in ("output", "gap") else None

    def lost(self, error):
        """Seconds after which to come back; raises if it is of no use."""
        self.tries += 1
        if not self.id or self.tries > TRIES:
            self.over = True
            raise FaaSError(f"the connection is lost: {error}") from error
        return 0.1 * 2 ** (self.tries - 1)


def head_of(buffer):
    """The head in the bytes that have come, and what follows it; None: it is not whole."""
    head, found, rest = bytes(buffer).partition(b"\r\n\r\n")
    return (head, rest) if found else None


class Stream:
    """Iterate over it, with `for` or `async for`: each item is an Event. When that has ended,
    `result` tells the exit code; an execution that failed to run raises FaaSError."""

    def __init__(self, client, execution_id, start, after=0):
        self._course = Course(client, execution_id, start, after)
        self._client = client
        self._sock = self._writer = None

    @property
    def execution_id(self):
        """Of what is run, once it has begun."""
        return self._course.id

    @property
    def result(self):
        """`exit_code`, `error`, `duration_ms` and so on, when it has run to its end; or None."""
        return self._course.result

    # --- in a thread

    def __iter__(self):
        while not self._course.over:
            try:
                self._open()
                yield from self._events()
            except (OSError, EOFError, ValueError) as error:
                self.close()
                time.sleep(self._course.lost(error))
            finally:
                self.close()

    def _open(self):
        endpoint = self._client.endpoint
        connection = endpoint.connection(self._client.timeout)
        connection.connect()
        self._sock, self._frames = connection.sock, Frames()
        handshake, buffer = self._course.handshake(), b""
        self._sock.sendall(handshake.request)
        while not (found := head_of(buffer)):
            buffer += self._receive()
        status, headers = handshake.check(found[0])
        if status != 101:
            body = found[1]
            while len(body) < int(headers.get("Content-Length", 0)):
                body += self._receive()
            self._course.over = True
            read(status, headers, body)
        self._frames.feed(found[1])
        self._sock.sendall(self._course.first_message())

    def _receive(self):
        data = self._sock.recv(65536)
        if not data:
            raise EOFError("novad has hung up")
        return data

    def _events(self):
        while True:
            while (message := self._frames.next()) is None:
                self._frames.feed(self._receive())
            if message[0] == PING:
                self._sock.sendall(encode(PONG, message[1]))
            elif message[0] == CLOSE:
                self._sock.sendall(encode(CLOSE, message[1][:2]))
                if not self._course.over:
                    raise EOFError("novad is stopping")
                return
            elif event := self._course.take(message):
                yield event

    def send(self, data):
        """A piece of stdin, as bytes or text; of a stream that began with stdin=True. Of async
        streams `await` it."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        pieces = range(0, max(len(data), 1), PIECE_MAX)
        return self._send(b"".join(encode(BINARY, data[at:at + PIECE_MAX]) for at in pieces))

    def end_stdin(self):
        return self._send(encode(TEXT, b'{"event":"stdin","end":true}'))

    def stop(self):
        """Cancels the execution."""
        return self._send(encode(TEXT, b'{"event":"stop"}'))

    def _send(self, frame):
        if self._writer:
            self._writer.write(frame)
            return self._writer.drain()
        if not self._sock:
            raise FaaSError("nothing is being listened to", code="refused", outcome="never_ran")
        self._sock.sendall(frame)
        return None

    def close(self):
        if self._sock:
            self._sock.close()
            self._sock = None
        if self._writer:
            self._writer.close()
            self._writer = None

    # --- with asyncio

    async def __aiter__(self):
        while not self._course.over:
            try:
                await self._aopen()
                async for event in self._aevents():
                    yield event
            except (OSError, EOFError, ValueError) as error:
                self.close()
                await asyncio.sleep(self._course.lost(error))
            finally:
                self.close()

    async def _connect(self):
        endpoint = self._client.endpoint
        if endpoint.unix:
            return await asyncio.open_unix_connection(endpoint.unix)
        return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.context)

    async def _aopen(self):
        reader, self._writer = await asyncio.wait_for(self._connect(), self._client.timeout)
        self._reader, self._frames = reader, Frames()
        handshake = self._course.handshake()
        self._writer.write(handshake.request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, headers = handshake.check(head[:-4])
        if status != 101:
            body = await reader.readexactly(int(headers.get("Content-Length", 0)))
            self._course.over = True
            read(status, headers, body)
        self._writer.write(self._course.first_message())

    async def _aevents(self):
        while True:
            while (message := self._frames.next()) is None:
                data = await self._reader.read(65536)
                if not data:
                    raise EOFError("novad has hung up")
                self._frames.feed(data)
            if message[0] == PING:
                self._writer.write(encode(PONG, message[1]))
            elif message[0] == CLOSE:
                self._writer.write(encode(CLOSE, message[1][:2]))
                if not self._course.over:
                    raise EOFError("novad is stopping")
                return
            elif event := self._course.take(message):
                yield event
