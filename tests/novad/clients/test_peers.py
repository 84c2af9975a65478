# SPDX-License-Identifier: MIT
"""Programs that others have written, as peers: only with --long, as pip fetches them."""
import os
import random
import subprocess
import sys
import unittest

from novadcase import NovadCase

PACKAGES = ["schemathesis==4.32.5", "websockets>=14,<18"]
SEED = int(os.environ.get("NOVA_TEST_SEED") or random.randrange(1 << 31))

# Each operation with data that its schema allows. What is not built, or cannot be done by the fake
# engine, is 501 and says so; anything else from 500 on is a bug.
FUZZ = """
import collections, sys
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

url, key, examples, number = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
schema = schemathesis.openapi.from_url(url + "/openapi.json")
found, bad = collections.Counter(), []

def look(case):
    if "wait_ms" in (case.query or {}):
        case.query["wait_ms"] = 1  # who asks for a minute gets it
    response = case.call(base_url=url, headers={"x-api-key": key}, timeout=60)
    status = response.status_code
    found[status] += 1
    if status == 501 and response.json()["code"] in ("not_supported", "not_there_yet"):
        return
    problem = status < 400 or response.json()["code"] and response.json()["outcome"]
    if status >= 500 or not problem:
        bad.append((status, case.operation.label, response.text[:500], case.body, case.query))

for result in schema.get_all_operations():
    operation = result.ok()
    if operation.path.endswith("/execute/stream"):
        continue  # no HTTP
    run = given(case=operation.as_strategy())(look)
    settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
             suppress_health_check=list(HealthCheck))(seed(number)(run))()
print(dict(found))
assert sum(found.values()) > 20 * examples and found[200] and found[400] and found[404], found
assert not bad, bad
"""

WEBSOCKETS = """
import base64, json, sys
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

url, key = sys.argv[1:]
headers = {"x-api-key": key}

def events(socket):
    try:
        return [json.loads(message) for message in socket]
    except ConnectionClosed as closed:
        raise SystemExit(closed)

with connect(url, additional_headers=headers) as socket:
    start = json.dumps({"language": "shell", "code": "cat", "payload": "aGk="})
    socket.send(iter([start[:5], start[5:9], start[9:]]))  # in fragments
    assert socket.ping().wait(30)
    found = events(socket)
    assert [event["event"] for event in found] == ["started", "output", "complete"], found
    assert found[1]["data"] == "hi" and socket.close_code == 1000
with connect(url, subprotocols=["nova.v1", "nova.key." + key]) as socket:
    assert socket.subprotocol == "nova.v1"
    socket.send('{"command":["sh","-c","head -c 3000000 /dev/zero"],"timeout":60}')
    found = events(socket)
    size = sum(len(base64.b64decode(event.get("data", ""))) for event in found)
    assert found[-1]["event"] == "complete" and size == 3000000, (size, found[-1])
with connect(url, additional_headers=headers) as socket:
    socket.send("nonsense")
    assert json.loads(socket.recv())["code"] == "malformed"
    try:
        socket.recv()
    except ConnectionClosed as closed:
        assert closed.rcvd.code == 1008
try:
    connect(url).close()
    raise SystemExit("no key was needed")
except InvalidStatus as refused:
    assert refused.response.status_code == 401
"""


LONG = bool(os.environ.get("NOVA_TEST_LONG"))


@unittest.skipUnless(LONG, "only with --long: apt fetches it")
class Promtool(NovadCase):
    def test_it_finds_no_fault_in_the_metrics(self):
        # Not installed: the package would start a server.
        for command in ("apt-get download -q prometheus",
                        "dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool"):
            done = subprocess.run(command, shell=True, cwd=self.directory, capture_output=True,
                                  text=True, timeout=300, check=False)
            if done.returncode:
                raise unittest.SkipTest(f"it cannot be had: {done.stderr[-300:]}")
        self.register("f", "cat", "shell")
        self.novad()
        self.gets(200, "POST", "/functions/f/invoke", {})
        text = self.ask("GET", "/metrics").body.decode()
        tool = self.directory / "usr/bin/promtool"
        for given, status in ((text, 0), (text + "# TYPE x nonsense\n", 1)):
            done = self.run_program(tool, "check", "metrics", input=given, timeout=60)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)


@unittest.skipUnless(LONG, "only with --long: pip fetches them")
class Peers(NovadCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.place = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                                 "nova-test-peers")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore",
             "--upgrade", "--target", cls.place, *PACKAGES], capture_output=True, text=True,
            timeout=600, check=False)
        if done.returncode:
            raise unittest.SkipTest(f"pip cannot fetch them: {done.stderr[-300:]}")

    def run_script(self, script, *arguments, timeout):
        done = subprocess.run(
            [sys.executable, self.write("peer.py", script), *map(str, arguments)], text=True,
            capture_output=True, timeout=timeout, check=False, cwd=self.directory,
            env={**os.environ, "PYTHONPATH": self.place})
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-5000:])

    def test_schemathesis_finds_nothing(self):
        self.novactl("secret", "key", self.directory / "secret.key")
        process = self.novad("--key-calls", "100", "--set",
                             f"secret.key_file={self.directory / 'secret.key'}")
        print(f"# NOVA_TEST_SEED={SEED}", flush=True)
        self.run_script(FUZZ, f"http://127.0.0.1:{self.port}", self.key, 100, SEED, timeout=1500)
        self.stops(process)

    def test_websockets_understands_it(self):
        self.novad()
        self.run_script(WEBSOCKETS, f"ws://127.0.0.1:{self.port}/api/v1/execute/stream", self.key,
                        timeout=120)
