# SPDX-License-Identifier: MIT
"""Requests and answers over http.client, with connections that are used again."""
import http.client
import json
import os
import select
import socket
import ssl
import threading
import urllib.parse

from ._errors import FaaSError
from ._operations import LATER, OPERATIONS


class Answer(dict):
    """A JSON object whose members are attributes, too: answer.execution_id is
    answer["executionId"], if there is no "execution_id"."""

    def __getattr__(self, name):
        first, *rest = name.split("_")
        for key in (name, first + "".join(word.title() for word in rest)):
            if key in self:
                return self[key]
        raise AttributeError(name)


class Kept(bytes):
    """What a function keeps, with what novad says of it: `version` and `expires_us` (0: never) of
    a value; `type` and `sha256` of a file."""

    def __new__(cls, body, headers):
        self = super().__new__(cls, body)
        if "X-Nova-Version" in headers:
            self.version = int(headers["X-Nova-Version"])
            self.expires_us = int(headers["X-Nova-Expires-Us"])
        else:
            self.type, self.sha256 = headers["X-Nova-Type"], headers["X-Nova-Sha256"]
        return self


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Endpoint:
    """Where novad is: http://HOST:PORT, https://HOST:PORT or unix:PATH."""

    def __init__(self, url, context=None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https", "unix"):
            raise ValueError(f"{url!r} is no endpoint, as http://localhost:8080")
        self.unix = parts.path if parts.scheme == "unix" else None
        self.host = "localhost" if self.unix else parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.prefix = "" if self.unix else parts.path.rstrip("/")
        self.netloc = "localhost" if self.unix else parts.netloc
        self.context = None
        if parts.scheme == "https":
            self.context = context or ssl.create_default_context()

    def connection(self, timeout):
        if self.unix:
            return UnixConnection(self.unix, timeout)
        if self.context:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout,
                                               context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


class Request:
    """What an operation of the document, its parameters and its body come to."""

    def __init__(self, operation, body, parameters):
        self.method, path, query, fields = (OPERATIONS.get(operation) or LATER[operation])
        in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        names = {*in_path, *query, *(fields or ())}
        unknown = set(parameters) - names
        if unknown or not set(in_path) <= set(parameters):
            raise TypeError(f"{operation} takes {', '.join(sorted(names)) or 'nothing'}, "
                            f"not {', '.join(sorted(unknown)) or 'less'}")
        for name in in_path:
            path = path.replace(f"{{{name}}}", urllib.parse.quote(str(parameters[name]), safe=""))
        asked = {name: parameters[name] for name in query if parameters.get(name) is not None}
        self.path = path + ("?" + urllib.parse.urlencode(asked) if asked else "")
        self.body, self.headers = body, {}
        if fields is not None and body is None:
            given = {name: parameters[name] for name in fields
                     if parameters.get(name) is not None}
            self.body = json.dumps(given).encode()
            self.headers["Content-Type"] = "application/json"


def read(status, headers, body):
    """The answer, or the exception that it is."""
    kind = headers.get("Content-Type", "")
    if status >= 400:
        try:
            problem = json.loads(body)
        except ValueError:
            problem = {"error": body[:1000].decode("utf-8", "replace"), "status": status}
        after = headers.get("Retry-After")
        raise FaaSError.of(problem, float(after) if after and after.isdigit() else None)
    if kind.startswith("application/json"):
        return json.loads(body, object_hook=Answer)
    if "X-Nova-Version" in headers or "X-Nova-Sha256" in headers:
        return Kept(body, headers)
    return body if body else None


class Pool:
    """Connections to one endpoint, each for one thread at a time."""

    def __init__(self, endpoint, timeout):
        self.endpoint, self.timeout = endpoint, timeout
        self.idle, self.lock = [], threading.Lock()

    def take(self):
        with self.lock:
            while self.idle:
                connection = self.idle.pop()
                if connection.sock and not select.select([connection.sock], [], [], 0)[0]:
                    return connection
                connection.close()  # novad has hung up meanwhile
        return self.endpoint.connection(self.timeout)

    def give(self, connection):
        with self.lock:
            self.idle.append(connection)

    def ask(self, request, headers, used=None):
        """`used` is told the connection, so that another thread can end the request."""
        connection = self.take()
        if used:
            used(connection)
        began = False
        try:
            connection.connect() if not connection.sock else None
            began = True
            connection.request(request.method, self.endpoint.prefix + request.path, request.body,
                               {**headers, **request.headers})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise FaaSError(f"novad at {self.endpoint.netloc} does not answer: {error}",
                            outcome="unknown" if began else "never_ran") from error
        if connection.sock:
            self.give(connection)
        return read(response.status, response.headers, body)

    def close(self):
        with self.lock:
            for connection in self.idle:
                connection.close()
            self.idle.clear()


def settings(api_key, endpoint):
    """What is given, or what the environment says."""
    return (api_key or os.environ.get("FAAS_API_KEY"),
            endpoint or os.environ.get("FAAS_API_URL") or "http://localhost:8080")
