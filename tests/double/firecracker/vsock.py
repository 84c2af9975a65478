# SPDX-License-Identifier: MIT
"""Hybrid vsock: a Unix socket whose streams begin with CONNECT."""
import os
import socket
import time

from guest import AGENT_PORT

FIRST = 10
LINE_MOST = 32
MOST = 1023
FIRST_HOST_PORT = 1 << 30


class Stream:
    def __init__(self, host):
        self.host = host
        self.guest = None
        self.line = b""
        self.asked = False
        self.is_doomed = False  # the guest ends it once the agent has said something,
        self.is_dead = False
        self.is_told = False  # of which the host learns when it sends something


class Vsock:
    def __init__(self, vmm, path):
        self.vmm, self.path = vmm, path
        self.streams = []
        self.port = FIRST_HOST_PORT
        self.waiting = []  # asked for the agent before the guest could answer
        self.hanging = []  # cut by a snapshot: their host ends get no end of file
        self.reset_is_late = False  # it ends the next stream, too
        self.is_shut = False  # nothing reaches the guest
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(128)
        self.listener.setblocking(False)
        vmm.watch(self.listener, self.accept)

    def accept(self):
        host, _ = self.listener.accept()
        host.setblocking(False)
        if len(self.streams) >= MOST:
            host.close()
            return
        stream = Stream(host)
        self.streams.append(stream)
        self.vmm.watch(host, lambda: self.on_host(stream))

    def drop(self, stream):
        if stream not in self.streams:
            return
        self.streams.remove(stream)
        for end in (stream.host, stream.guest):
            if end:
                self.vmm.unwatch(end)
                end.close()
        if stream.guest:
            self.vmm.guest.channel_closed()
        if stream in self.waiting:
            self.waiting.remove(stream)

    def on_host(self, stream):
        if not stream.asked:
            self.read_line(stream)
        elif stream.guest and (self.is_shut or stream.is_doomed):
            stream.is_told = True
            if not stream.host.recv(65536) or stream.is_dead:
                self.drop(stream)
        elif stream.guest:
            self.move(stream, stream.host, stream.guest)
        else:
            self.drop(stream)  # bytes before OK, or the end

    def read_line(self, stream):
        """The real parser wants ten bytes at once, and then the newline within 32."""
        try:
            stream.line = stream.host.recv(FIRST)
            while FIRST <= len(stream.line) < LINE_MOST and not stream.line.endswith(b"\n"):
                stream.line += stream.host.recv(1)
        except BlockingIOError:
            stream.line = b""
        words = stream.line.split()
        whole = len(stream.line) >= FIRST and stream.line.endswith(b"\n")
        if not whole or len(words) != 2 or words[0].upper() != b"CONNECT" or not words[1].isdigit():
            self.drop(stream)
            return
        stream.asked = True
        if self.vmm.count_down("vsock_eof"):
            self.drop(stream)
        elif not self.vmm.count_down("vsock_silent"):
            self.connect(stream, int(words[1]))

    def connect(self, stream, port):
        guest = self.vmm.guest
        if guest is None or not guest.listening or self.is_shut:
            self.waiting.append(stream)  # no driver yet: silence
        elif port != AGENT_PORT:
            self.drop(stream)
        else:
            self.vmm.at(getattr(guest, "silent_until", 0), lambda: self.open(stream))

    def open(self, stream):
        """The agent takes who comes last."""
        if stream not in self.streams:
            return
        for other in [other for other in self.streams if other.guest]:
            self.drop(other)
        if getattr(self.vmm.guest, "silent_until", 0) > time.monotonic():
            self.connect(stream, AGENT_PORT)
            return
        stream.guest = self.vmm.guest.open_channel()
        stream.guest.setblocking(False)
        ok = f"OK {self.port}\n".encode()
        self.port += 1
        if self.vmm.fault("vsock_odd"):
            ok = self.vmm.fault("vsock_odd").encode()
        if self.vmm.fault("vsock_glued"):
            stream.guest.setblocking(True)
            ok += stream.guest.recv(65536)
            stream.guest.setblocking(False)
        try:
            stream.host.sendall(ok)
        except OSError:
            self.drop(stream)  # nobody waits for it any more
            return
        self.vmm.watch(stream.guest, lambda: self.move(stream, stream.guest, stream.host))
        stream.is_doomed, self.reset_is_late = self.reset_is_late, False

    def expect_reset(self):
        """After a snapshot. Up to 1.15 a stream can reach the guest before the reset, which then
        ends it, too, after whatever an agent has said by then."""
        self.reset_is_late = self.vmm.version < (1, 16)
        self.is_shut = False

    def go_on(self, after_snapshot):
        """In 1.16 the guest gets nothing after a pause until it has answered a reset, which comes
        with a snapshot alone."""
        self.is_shut |= not after_snapshot and (1, 16) <= self.vmm.version < (1, 17)

    def move(self, stream, source, target):
        try:
            block = source.recv(65536)
        except (BlockingIOError, ConnectionResetError):
            block = b""
        if not block:
            self.drop(stream)  # of either side's end, also of half of it
            return
        target.setblocking(True)
        try:
            target.sendall(block)
        except OSError:
            self.drop(stream)
            return
        target.setblocking(False)
        if target is stream.guest:
            self.vmm.guest.hear()
        elif stream.is_doomed:
            self.vmm.unwatch(stream.guest)
            stream.is_dead = True
            if stream.is_told:
                self.drop(stream)

    def guest_listens(self):
        """Who asked before there was a listener was refused by the guest's kernel."""
        for stream in list(self.waiting):
            self.drop(stream)

    def reset(self):
        """What a snapshot does: the guest's ends die, the host's ends hang."""
        self.expect_reset()
        for stream in list(self.streams):
            if stream.guest:
                self.vmm.unwatch(stream.host)
                self.vmm.unwatch(stream.guest)
                stream.guest.close()
                self.vmm.guest.channel_closed()
                self.streams.remove(stream)
                self.hanging.append(stream.host)

    def close(self):
        self.vmm.unwatch(self.listener)
        self.listener.close()
        for stream in list(self.streams):
            self.drop(stream)
        os.unlink(self.path)
