# SPDX-License-Identifier: MIT
"""The gateway with real microVMs: the README's line, and with NOVA_TEST_LONG what the fake engine
has not, snapshots and branches."""
import fcntl
import json
import os
import shutil
import unittest

from novadcase import credentials
from novatest import NOVACTL, ROOT
from websocketcase import WebSocketCase, output

API = "/api/v1"
DEBIAN = "/usr/bin/python3"  # which has Debian's boto3
TOLD = """
def handler(event, context):
    told = context.client_context
    return told and [told.custom, told.env, told.client.installation_id, told.client.app_title,
                     told.client.app_version_code]
"""
TOLD_NODE = """
exports.handler = async (event, context) => {
  const told = context.clientContext;
  return told ? [told.custom, told.env, told.client.installation_id, told.client.app_title,
    told.client.app_version_code ?? null] : null;
};
"""
CLIENT = """
import base64, json, sys
import boto3, botocore.config
url, key, secret = sys.argv[1:]
client = boto3.client("lambda", endpoint_url=url, region_name="eu-central-1", aws_access_key_id=key,
                      aws_secret_access_key=secret,
                      config=botocore.config.Config(read_timeout=200))
told = {"custom": {"a": [1], "\\u00e4": None}, "env": {"locale": "de"},
        "client": {"installation_id": "i-1", "app_title": "app"}}
coded = base64.b64encode(json.dumps(told).encode()).decode()
for name in "told", "toldnode":
    for more in {"ClientContext": coded}, {}:
        answer = client.invoke(FunctionName=name, Payload=b"{}", **more)
        print(answer["Payload"].read().decode())
"""


class RealVM(WebSocketCase):
    engine = "qemu"

    def setUp(self):
        super().setUp()
        done = self.run_program(NOVACTL, "--json", "image", "check")
        if done.returncode:
            error = json.loads(done.stderr)["error"]
            self.assertEqual(error["name"], "NOVA_ENOTFOUND", error["message"])
            self.skipTest(error["message"])
        if not shutil.which("curl"):
            self.skipTest("there is no curl: install curl")
        self.process = self.novad()

    def curl(self, path, body):
        done = self.run_program("curl", "-sS", "-H", f"x-api-key: {self.key}",
                                f"localhost:{self.port}{path}", "-d", json.dumps(body), timeout=900)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_line_of_the_readme_answers(self):
        done = self.curl("/execute", {"code": 'print("hello")', "language": "python"})
        self.assertEqual((done["stdout"], done["error"]), ("hello\n", None))
        code = "import time\nprint(1, flush=True)\ntime.sleep(0.5)\nprint(2)"
        socket, _ = self.begun({"code": code, "language": "python"})
        self.assertEqual(output([socket.event()]), b"1\n")  # while it runs
        events = socket.events()
        self.assertEqual((output(events), events[-1]["exitCode"]), (b"2\n", 0))
        self.stops(self.process)

    def test_boto3_tells_a_handler_its_client_context(self):
        there = self.run_program(DEBIAN, "-c", "import boto3")
        if there.returncode:
            self.skipTest("Debian's boto3 is not there: apt-get install python3-boto3")
        self.register("told", TOLD)
        self.gets(201, "POST", f"{API}/functions", {
            "name": "toldnode", "runtime": "node", "code": TOLD_NODE})
        done = self.run_program(
            DEBIAN, self.write("client.py", CLIENT), f"http://127.0.0.1:{self.port}",
            *credentials(self, self.key_name), timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        told = [{"a": [1], "ä": None}, {"locale": "de"}, "i-1", "app", None]
        self.assertEqual(list(map(json.loads, done.stdout.splitlines())), 2 * [told, None])

    def agree_on_a_file(self, parent, branch, run):
        """Of two branches a third is made that has what both have done, and nothing else."""
        writes = "open('/tmp/agreed', 'w').write('both')\nopen('/tmp/{0}', 'w').write('{0}')"
        sibling = self.gets(201, "POST", f"{API}/branches", {
            "parent_snapshot_id": parent, "code": writes.format("sibling")})
        self.curl("/execute", {"code": writes.format("branch"), "instance": branch, **run})
        agreed = self.gets(201, "POST", f"{API}/branches/merge", {
            "branch_ids": [branch, sibling["branch_id"]], "merge_strategy": "intersection"})
        self.assertEqual([(p["path"], p["kind"]) for p in agreed["paths"]],
                         [("/tmp/agreed", "added")])
        self.assertEqual(agreed["snapshot"]["parent"], parent)

    def test_code_goes_on_from_what_code_has_left(self):
        run = {"language": "python", "timeout": 120}
        first = self.curl("/execute", {"code": "x = [1]\nprint('one')", "mode": "checkpointed",
                                       "checkpoint_after": True, **run})
        self.assertEqual((first["stdout"], first["error"]), ("one\n", None), first)
        taken = self.gets(200, "POST", f"{API}/snapshots", {"instance_id": first["executionId"]})
        self.assertEqual(taken["snapshot_id"], first["snapshot_id"])
        # another, which may be of another key, sees nothing of it
        other = self.curl("/execute", {"code": "print('x' in globals())", "mode": "checkpointed",
                                       **run})
        self.assertEqual(other["stdout"], "False\n")
        for number in (2, 3):  # neither sees what the other has changed
            branch = self.curl("/execute", {"code": f"x.append({number})\nprint(x)", **run,
                                            "mode": "branched",
                                            "parent_snapshot": first["snapshot_id"]})
            self.assertEqual((branch["stdout"], branch["mode"]), (f"[1, {number}]\n", "branched"))
            self.assertNotIn("snapshot_id", branch)
        # the same by the names of other clients
        branch = self.curl("/execute/advanced", {"code": "x.append(5)\nprint(x)", **run,
                                                 "branch_from": first["snapshot_id"]})
        self.assertEqual((branch["stdout"], branch["mode"]), ("[1, 5]\n", "branched"))
        self.assertNotIn("snapshot_id", branch)
        second = self.curl(f"{API}/execute/advanced", {
            "code": "x.append(6)\nprint(x)", "checkpoint_id": first["snapshot_id"], **run})
        self.assertEqual((second["stdout"], second["mode"]), ("[1, 6]\n", "checkpointed"))
        self.assertNotEqual(second["snapshot_id"], first["snapshot_id"])
        branch = self.gets(201, "POST", f"{API}/branches", {
            "parent_snapshot_id": first["snapshot_id"], "code": "x.append(4)\nprint(x)"})
        self.assertEqual(branch["stdout"], "[1, 4]\n")
        done = self.curl("/execute", {"code": "print(x)", "instance": branch["branch_id"], **run})
        self.assertEqual(done["stdout"], "[1, 4]\n")
        self.agree_on_a_file(first["snapshot_id"], branch["branch_id"], run)
        self.snapshots_of_a_branch_are_its_own(branch["branch_id"], first["snapshot_id"])
        modes = self.gets(200, "GET", f"{API}/usage")["usage"]
        self.assertEqual({u["mode"]: u["calls"] for u in modes if u["calls"]},
                         {"checkpointed": 2, "branched": 4, "persistent": 4})
        self.stops(self.process)

    def snapshots_of_a_branch_are_its_own(self, branch, parent):
        taken = self.gets(201, "POST", f"{API}/snapshots", {"instance_id": branch})
        self.assertNotEqual(taken["snapshot_id"], parent)
        name = taken["function"]
        self.assertRegex(name, "^execute-python-[0-9a-f]{12}$")
        self.assertEqual(taken["version"], 1)
        with open(self.home / "snapshots" / parent / "state", "rb") as state:
            fcntl.flock(state, fcntl.LOCK_SH)  # as by a guest that reads from it
            self.is_refused(409, "busy", "DELETE", f"{API}/snapshots/{parent}")
        # a delete that is refused forgets nothing
        told = self.gets(200, "GET", f"{API}/snapshots/{parent}")
        self.assertEqual(told["function"], name)
        # it goes on as the version that it was, when the function has gone on
        function = f"{API}/functions/{name}"
        self.gets(201, "POST", f"{function}/versions")
        self.assertEqual(self.gets(200, "PATCH", function, {"memory_mb": 160})["version"], 2)
        path = f"{API}/snapshots/{taken['snapshot_id']}"
        again = self.gets(201, "POST", f"{path}/restore", {})
        self.assertEqual(again["version"], 1)
        self.assertEqual(self.ask("DELETE", f"{API}/instances/{again['id']}").status, 200)

    def test_branches_hold_what_their_plan_has_until_they_end(self):
        self.stops(self.process)
        card = json.loads((ROOT / "lib/usage/rates.json").read_text(encoding="utf-8"))
        card["plans"] = [{"name": "tiny", "price": 1, "mcu": 1000, "vcpus": 1, "memory_gb": 1}]
        self.environment.update(
            NOVA_USAGE_RATES=str(self.write("rates.json", json.dumps(card))),
            NOVA_USAGE_RECORD="on", NOVA_USAGE_PLAN="tiny", NOVA_USAGE_LIMIT="on")
        self.process = self.novad()
        run = {"language": "python", "timeout": 120}
        parent = self.curl("/execute", {"code": "x = 1", "mode": "checkpointed",
                                        "checkpoint_after": True, **run})["snapshot_id"]
        branches, goes_on = f"{API}/branches", {"code": "print(x)", "branch_from": parent, **run}
        for name in ("one", "two"):
            branch = {"parent_snapshot_id": parent, "branch_name": name}
            self.gets(201, "POST", branches, branch)
            self.is_refused(429, "over_plan", "POST", branches, {**branch, "branch_name": "more"})
            self.is_refused(429, "over_plan", "POST", "/execute", goes_on)
            self.gets(200, "DELETE", f"{API}/instances/{name}")
            self.assertEqual(self.curl("/execute", goes_on)["stdout"], "1\n")
        self.stops(self.process)

    @unittest.skipUnless(os.environ.get("NOVA_TEST_LONG"), "five guests boot: NOVA_TEST_LONG=1")
    def test_commands_run_snapshots_are_restored_and_branches_merged(self):
        done = self.curl("/functions/any/invoke", {
            "image": "alpine", "command": ["sh", "-c", "cat; uname -s; exit 3"],
            "payload": [104, 105]})
        self.assertEqual((done["stdout"], done["exit_code"]), ("hiLinux\n", 3))
        self.gets(201, "POST", f"{API}/functions", {"name": "f", "runtime": "shell",
                                                    "code": "cat /tmp/a /tmp/b"})
        self.gets(201, "POST", f"{API}/instances", {"function": "f", "name": "one"})
        socket, _ = self.begun({"instance": "one", "command": ["cat"], "stdin": True})
        socket.send_json({"event": "stdin", "data": "typed\n"})
        self.assertEqual(output([socket.event()]), b"typed\n")
        socket.send_json({"event": "stdin", "end": True})
        self.assertEqual(socket.events()[-1]["exitCode"], 0)
        taken = self.gets(201, "POST", f"{API}/snapshots", {"container_id": "one", "name": "s"})
        self.assertEqual((taken["name"], taken["function"]), ("s", "f"))
        listed = self.gets(200, "GET", f"{API}/snapshots")["snapshots"]
        self.assertEqual([s["id"] for s in listed], [taken["snapshot_id"]])
        for name in ("a", "b"):
            branch = self.gets(201, "POST", f"{API}/branches", {
                "parent_snapshot_id": "s", "branch_name": name})
            path = f"{API}/instances/{branch['branch_id']}/files/content?path=/tmp/{name}"
            self.assertEqual(self.ask("PUT", path, name.encode()).status, 204)
        merged = self.gets(201, "POST", f"{API}/branches/merge", {
            "branch_ids": ["a", "b"], "merge_strategy": "union", "name": "both"})
        self.assertEqual((merged["conflicts"], merged["snapshot"]["name"]), (0, "both"))
        self.assertEqual([p["path"] for p in merged["paths"]], ["/tmp/a", "/tmp/b"])
        agreed = self.gets(201, "POST", f"{API}/branches/merge", {
            "branch_ids": ["a", "b"], "merge_strategy": "intersection"})
        self.assertEqual((agreed["conflicts"], agreed["paths"]), (0, []))
        two = self.gets(201, "POST", f"{API}/snapshots/s/restore", {"name": "two"})
        self.assertEqual(two["function"], "f")
        self.gets(200, "POST", f"{API}/instances/two/stop")
        self.assertEqual(self.ask("DELETE", f"{API}/snapshots/both").status, 204)
        self.is_refused(404, "not_found", "DELETE", f"{API}/snapshots/both")
        self.stops(self.process)
