# SPDX-License-Identifier: MIT
"""What the module `nova` has of what functions keep between their calls (docs/kv.md)."""
import _socket
import json
import os


class KeepError(Exception):
    """What was asked for was not done; `code` is such as "NOVA_EBUSY"."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def keep_receive(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 16))
        if not piece:
            raise KeepError("NOVA_ELOST", "the call is over")
        data += piece
    return bytes(data)


def keep_ask(op, **members):
    """One question to the host, and its reply."""
    path = os.environ.get("NOVA_SOCKET")
    if not path:
        raise KeepError("NOVA_ENOTSUP", "this guest has no socket (NOVA_SOCKET)")
    members = {name: value for name, value in members.items() if value or name == "value"}
    text = json.dumps({"op": op, "request_id": os.environ.get("NOVA_REQUEST_ID", ""),
                       **members}).encode()
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
        sock.sendall(len(text).to_bytes(4, "big") + text)
        reply = json.loads(keep_receive(sock, int.from_bytes(keep_receive(sock, 4), "big")))
    except OSError as error:
        raise KeepError("NOVA_EIO", str(error)) from None
    finally:
        sock.close()
    if "code" in reply:
        raise KeepError(reply["code"], reply["error"])
    return reply


def keep_coded(value):
    import binascii
    data = value.encode() if isinstance(value, str) else memoryview(value)  # no number
    return binascii.b2a_base64(data, newline=False).decode()


def keep_ms(ttl):
    """Of seconds; what is given is at least one, as 0 is for ever."""
    return 0 if ttl is None else max(1, int(ttl * 1000))


def keep_or_none(op, key):
    import binascii
    try:
        reply = keep_ask(op, key=key)
    except KeepError as error:
        if error.code == "NOVA_ENOTFOUND":
            return None
        raise
    reply["value"] = binascii.a2b_base64(reply["value"])
    return reply


class KeepKv:
    """Values under keys."""

    @staticmethod
    def get(key):
        """The value, bytes; None: there is none."""
        entry = keep_or_none("kv get", key)
        return entry and entry["value"]

    @staticmethod
    def entry(key):
        """The value with its version and the time at which it goes: a dict, or None."""
        return keep_or_none("kv get", key)

    @staticmethod
    def put(key, value, ttl=None, if_version=0, new=False):
        """Returns the version. `ttl` is in seconds; None: it stays."""
        return keep_ask("kv put", key=key, value=keep_coded(value),
                        ttl_ms=keep_ms(ttl), if_version=if_version,
                        new=new)["version"]

    @staticmethod
    def delete(key, if_version=0):
        keep_ask("kv delete", key=key, if_version=if_version)

    @staticmethod
    def list(prefix="", after="", limit=100):
        """Keys without their values: dicts."""
        return keep_ask("kv list", prefix=prefix, after=after, limit=limit)["entries"]


class KeepFiles:
    """Files with a type."""

    @staticmethod
    def get(name):
        """A dict with the content in "value", bytes; None: there is none."""
        return keep_or_none("file get", name)

    @staticmethod
    def put(name, content, type=None):
        keep_ask("file put", key=name, value=keep_coded(content), type=type)

    @staticmethod
    def delete(name):
        keep_ask("file delete", key=name)

    @staticmethod
    def list(prefix="", after="", limit=100):
        """Files without their contents: dicts."""
        return keep_ask("file list", prefix=prefix, after=after, limit=limit)["files"]
