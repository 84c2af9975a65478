# SPDX-License-Identifier: MIT
"""A novad of one's own, and clients that speak HTTP as they like."""
import concurrent.futures
import hashlib
import http.client
import json
import re
import selectors
import signal
import socket
import subprocess
import threading
import urllib.parse

from novatest import BUILD, HomeCase, await_that

NOVAD = BUILD / "tools/novad"


class Answer:
    """A response, its body read."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:2000]!r}"


def credentials(case, name):
    """The access key id and secret that novad prints."""
    printed = case.run_program(NOVAD, "--aws-credentials", name, timeout=60)
    case.assertEqual(printed.returncode, 0, printed.stderr)
    found = re.fullmatch(r"\[\S+\]\naws_access_key_id = (\S+)\naws_secret_access_key = (\S{40})\n",
                         printed.stdout)
    return found.groups()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class NovadCase(HomeCase):
    def novad(self, *words, environment=None, wait=True, program=None, **options):
        """Starts a novad and awaits its line; self.port is that of its first TCP address."""
        program = program or [NOVAD, "--listen", "127.0.0.1:0"]
        self.log_path = self.directory / "novad.log"
        with open(self.log_path, "a", encoding="utf-8") as err:
            process = subprocess.Popen(
                [*map(str, program), *map(str, words)],
                env={**self.environment, **(environment or {})}, stdout=subprocess.PIPE,
                stderr=err, text=True, start_new_session=True, **options)
        self.addCleanup(self.end, process)
        if not wait:
            return process
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            self.assertTrue(selector.select(60), "novad says nothing")
        self.ready = process.stdout.readline()
        self.assertRegex(self.ready, f"^ready: process id {process.pid}, ", self.log())
        ports = re.findall(r"https?://\S+?:(\d+)", self.ready)
        self.port = int(ports[0]) if ports else None
        keys = self.home / "novad/keys"
        self.key = keys.read_text().strip() if keys.exists() else None
        self.key_name = self.named(self.key) if self.key else None
        return process

    @staticmethod
    def named(key):
        """What a key is called whose line has no name."""
        return f"key-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def stops(self, process, status=0, by=signal.SIGTERM):
        """Stops it; nothing of it is left."""
        process.send_signal(by)
        self.assertEqual(process.wait(60), status, self.log())
        await_that(self.nothing_runs, "nothing of novad is left")

    def refuses_to_start(self, part, *words, listen=(), **options):
        """Asserts that it does not start, and what it says."""
        done = self.run_program(NOVAD, *listen, *words, timeout=60, **options)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(part, done.stderr)

    def connection(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.addCleanup(connection.close)
        return connection

    def ask(self, method, path, body=None, *, connection=None, key=True, **headers):
        """One request; a body that is no bytes goes as JSON. With a status it is checked."""
        if not connection:
            connection = self.connection()
            headers["Connection"] = "close"
        if key and self.key:
            headers["x-api-key"] = self.key
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())  # http.client closes what is to be closed

    def gets(self, status, method, path, body=None, **named):
        """Asserts the status of the answer, and gives its JSON."""
        answer = self.ask(method, path, body, **named)
        self.assertEqual(answer.status, status, answer)
        return answer.json() if answer.body else None

    def is_refused(self, status, code, method, path, body=None, **named):
        """Asserts that the answer is this problem, and gives it."""
        answer = self.ask(method, path, body, **named)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = answer.json()
        self.assertEqual((problem["code"], problem["status"]), (code, status), problem)
        self.assertEqual(problem["error"], problem["detail"])
        return problem

    @staticmethod
    def all_at_once(count, ask):
        """What each of so many threads is answered, which begin at the same time."""
        together = threading.Barrier(count)

        def come(number):
            together.wait()
            return ask(number)
        with concurrent.futures.ThreadPoolExecutor(count) as threads:
            return list(threads.map(come, range(count)))

    def raw(self, data=b""):
        """A connection that sends what it likes."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.addCleanup(raw.close)
        raw.sendall(data)
        return raw

    def head(self, method, path, *lines):
        """The head of a request, as text with what else is to be in it."""
        key = [f"x-api-key: {self.key}"] if self.key else []
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *key, *lines, "",
                            ""]).encode()

    def plant_snapshot(self, identity, name):
        """As the library would have left it: it can be opened, and no VM has made it."""
        directory = self.home / "snapshots" / identity
        directory.mkdir(parents=True)
        state = b"x" * 4096
        (directory / "state").write_bytes(state)
        with open(directory / "memory", "wb") as memory:
            memory.truncate(32 << 20)
        manifest = {"format": 2, "id": identity, "base": "", "name": name, "created_us": 1,
                    "life_time_s": 0, "engine": "qemu", "engine_identity": "x", "rootfs": "",
                    "rootfs_identity": "", "code_disk": "", "code_identity": "", "memory_mb": 32,
                    "vcpus": 1, "has_function": True, "pages": None, "parent": "",
                    "memory": {"size": 32 << 20, "sha256": hashlib.sha256(b"").hexdigest()},
                    "state": {"size": 4096, "sha256": hashlib.sha256(state).hexdigest()}}
        (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    @staticmethod
    def read_all(raw):
        """Until it is hung up on."""
        data = b""
        try:
            while piece := raw.recv(65536):
                data += piece
        except ConnectionError:
            pass
        return data

    @staticmethod
    def quoted(text):
        return urllib.parse.quote(text, safe="")
