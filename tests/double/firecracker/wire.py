# SPDX-License-Identifier: MIT
"""The small HTTP server, with its habits."""
import json

LINE_MOST = 1024
METHODS = ("GET", "PUT", "PATCH", "DELETE")
TOO_MANY = (b"HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\n"
            b"Content-Length: 40\r\n\r\n"
            b'{ "error": "Too many open connections" }')


class BadRequest(Exception):
    """An error of HTTP itself: the position in the stream is lost."""


class Request:
    def __init__(self, method, path, body):
        self.method, self.path, self.body = method, path, body


def lost(text):
    """Not valid JSON, as the newline is a raw one."""
    body = f'{{ "error": "{text}\nAll previous unanswered requests will be dropped." }}'
    return reply(400, body)


def reply(status, body=None, deprecated=False):
    head = f"HTTP/1.1 {status} \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
    if deprecated:
        head += "Deprecation: true\r\n"
    if status == 204:
        return (head + "\r\n").encode()
    text = body.encode()
    head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


def fault(text):
    return json.dumps({"fault_message": text})


def headers_of(lines):
    headers = {}
    for line in lines:
        if len(line) > LINE_MOST or b":" not in line:
            raise BadRequest("Invalid header.")
        name, value = line.split(b":", 1)
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    return headers


def parse(inbox, limit):
    """(request or None, what is left, whether to send 100)."""
    if b"\r\n\r\n" not in inbox:
        if len(inbox) > 64 * LINE_MOST or (b"\r\n" not in inbox and len(inbox) > LINE_MOST):
            raise BadRequest("Invalid request line.")
        return None, inbox, False
    head, rest = inbox.split(b"\r\n\r\n", 1)
    lines = head.split(b"\r\n")
    words = lines[0].decode("latin-1").split(" ")
    if len(lines[0]) > LINE_MOST or len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise BadRequest("Invalid request line.")
    if words[0] not in METHODS:
        raise BadRequest("Invalid HTTP Method: Unsupported HTTP method.")
    headers = headers_of(lines[1:])
    if "identity;q=0" in headers.get("accept-encoding", "").replace(" ", ""):
        raise BadRequest("Invalid Accept-Encoding.")
    # Chunked bodies are not looked at: they become a bad next request.
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise BadRequest("Invalid Content-Length.")
    length = int(length)
    if length > limit:
        raise BadRequest(f"Request payload with size {length} is larger than the limit of {limit} "
                         "allowed by server.")
    if len(rest) < length:
        return None, inbox, headers.get("expect", "").lower() == "100-continue"
    return Request(words[0], words[1], rest[:length]), rest[length:], False
