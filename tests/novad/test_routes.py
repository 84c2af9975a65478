# SPDX-License-Identifier: MIT
"""What novad does with functions, code, instances, snapshots and branches."""
import base64
import concurrent.futures
import json
import os
import socket

from novadcase import NovadCase
from novatest import await_that

API = "/api/v1"


class Execute(NovadCase):
    def execute(self, status=200, **body):
        return self.gets(status, "POST", "/execute", body)

    def test_code_and_commands_are_run_once(self):
        self.novad()
        hello = self.execute(code='print("hello")', language="python")
        self.assertEqual((hello["stdout"], hello["stderr"], hello["error"], hello["exit_code"]),
                         ("hello\n", "", None, 0))
        self.assertEqual((hello["mode"], len(hello["executionId"])), ("ephemeral", 32))
        same = self.gets(200, "POST", f"{API}/execute", {
            "code": "import os, sys; print(os.environ['WHO'], sys.argv[1:], sys.stdin.read())",
            "language": "python", "mode": "cached", "env_vars": {"WHO": "me"}, "args": ["-x"],
            "payload": list(b"in"), "timeout": 30, "resources": {"memory_mb": 128, "cpu_cores": 1}})
        self.assertEqual((same["stdout"], same["mode"]), ("me ['-x'] in\n", "cached"))
        handler = self.execute(code="def handler(event): return {'sum': sum(event)}",
                               language="python", input=[1, 2])
        self.assertEqual(handler["output"], {"sum": 3})
        command = self.execute(command=["sh", "-c", "cat; echo $A; pwd; echo $#"],
                               env_vars=["A=b", "nonsense"], payload="eA==")
        self.assertEqual(command["stdout"], "xb\n/tmp\n0\n")
        files = self.execute(code="cat data", language="shell", files={"data": "1,2"})
        self.assertEqual(files["stdout"], "1,2")

    def test_code_that_fails_is_an_answer(self):
        self.novad()
        failed = self.execute(code="import sys\nprint(1)\nsys.exit(3)", language="python")
        self.assertEqual((failed["stdout"], failed["exit_code"]), ("1\n", 3))
        self.assertIn("3", failed["error"])
        self.assertIn("SyntaxError", self.execute(code="def f(:", language="python")["error"])
        missing = self.execute(command=["/no/such/program"])
        self.assertEqual(missing["exit_code"], 127)
        self.assertTrue(missing["error"])

    def test_hostile_output_stays_a_text(self):
        self.novad()
        done = self.execute(command=["printf", '\\0a\\377<script>","x":"\\n'])
        self.assertEqual(done["stdout"], '\0a\ufffd<script>","x":"\n')
        self.assertNotIn("output", done)

    def test_time_that_is_over_is_504_and_says_that_it_ran(self):
        self.novad()
        problem = self.is_refused(504, "timed_out", "POST", "/execute", {
            "command": ["sleep", "1000"], "timeout_ms": 300})
        self.assertEqual(problem["outcome"], "ran")

    def test_what_it_cannot_do_is_refused_by_name(self):
        self.novad()
        for status, code, part, body in (
                (400, "invalid", "python, node", {"code": "1", "language": "perl"}),
                (400, "invalid", "'language' is missing", {"code": "1"}),
                (400, "invalid", "one of 'code' and 'command'", {"language": "python"}),
                (400, "invalid", "one of 'code' and 'command'", {"code": "1", "command": ["x"]}),
                (400, "invalid", "'command' is empty", {"command": []}),
                (400, "invalid", "no field 'cod'", {"cod": "1"}),
                (400, "invalid", "'code' is not a text", {"code": 1}),
                (400, "invalid", "'code' is not a text", {"code": "a\0b", "language": "shell"}),
                (400, "invalid", "'mode' is not one of ephemeral", {"code": "1", "mode": "x"}),
                (400, "invalid", "'timeout_ms' is not a whole number from 1 to 86400000",
                 {"command": ["x"], "timeout_ms": 0}),
                (400, "invalid", "'memory_mb' is not", {"command": ["x"],
                                                       "resources": {"memory_mb": "1"}}),
                (400, "invalid", "'payload' is not", {"command": ["x"], "payload": [256]}),
                (400, "invalid", "'payload' is not", {"command": ["x"], "payload": "a"}),
                (400, "invalid", "not a JSON object", [1]), (400, "invalid", "object", None)):
            with self.subTest(body=body):
                problem = self.is_refused(status, code, "POST", "/execute", body or b"null")
                self.assertIn(part, problem["detail"])
                self.assertEqual(problem["outcome"], "never_ran")

    def test_a_file_that_one_left_is_not_seen_by_another(self):
        self.novad()
        for mode in ("ephemeral", "cached"):
            code = "test -e /code/left && echo seen; echo x >left 2>/dev/null; echo $$"
            for _ in range(2):
                self.assertNotIn("seen", self.execute(code=code, language="shell",
                                                      mode=mode)["stdout"])
        self.assertIn("\nnova_pool_idle 0\n", self.ask("GET", "/metrics").body.decode())


class Modes(NovadCase):
    """What keeps something. Snapshots, which the fake engine has not: e2e/test_vm.py."""

    def execute(self, status=200, **body):
        return self.gets(status, "POST", "/execute", body)

    def test_what_code_leaves_in_an_instance_is_there_for_the_next(self):
        self.novad()
        for language, first, then in (
                ("python", "x = 20\nprint('one')", "import sys\nprint(x + 1, *sys.argv[1:])"),
                ("javascript", "var x = 20; console.log('one')",
                 "console.log(x + 1, ...process.argv.slice(2))")):
            with self.subTest(language):
                begun = self.execute(mode="persistent", code=first, language=language)
                self.assertEqual((begun["stdout"], begun["mode"], begun["error"]),
                                 ("one\n", "persistent", None))
                there = {"instance": begun["instance_id"], "language": language}
                done = self.execute(code=then, args=["a b"], **there)
                self.assertEqual((done["stdout"], done["instance_id"], done["mode"]),
                                 ("21 a b\n", begun["instance_id"], "persistent"))
                failed = self.execute(code="throw_it()", **there)
                self.assertIn("throw_it", failed["error"])
                self.assertEqual(self.execute(code=then, **there)["stdout"], "21\n")
                self.gets(200, "POST", f"{API}/instances/{begun['instance_id']}/stop")
                self.is_refused(404, "not_found", "POST", "/execute", {"code": "1", **there})

    def test_it_has_a_machine_variables_stdin_and_a_handler(self):
        self.novad()
        made = self.execute(mode="persistent", resources={"cpu_cores": 2, "memory_mb": 256})
        instance = self.gets(200, "GET", f"{API}/instances/{made['instance_id']}")
        self.assertRegex(instance["function"], "^execute-shell-256m-2c-[0-9a-f]{12}$")
        machine = self.gets(200, "GET", f"{API}/functions/{instance['function']}")
        self.assertEqual((machine["limits"]["vcpus"], machine["memory_mb"]), (2, 256))
        there = {"instance": made["instance_id"]}
        done = self.execute(code="cat; echo \"$A|$1\"; exit 3", language="shell", payload="aGk=",
                            env_vars={"A": "it's"}, args=["'"], **there)
        self.assertEqual((done["stdout"], done["exit_code"]), ("hiit's|'\n", 3))
        self.assertEqual(self.execute(command=["sh", "-c", "echo $0", "it's"], mode="persistent")[
            "stdout"], "it's\n")
        self.assertEqual(self.execute(command=["cat"], payload=[120], **there)["stdout"], "x")
        done = self.execute(mode="persistent", language="python", input=[1, 2], payload="aGk=",
                            env_vars=["A=b"], code="import os, sys\ndef handler(event):\n"
                            "    return [sum(event), os.environ['A'], sys.stdin.read()]")
        self.assertEqual(done["output"], [3, "b", "hi"])

    def test_a_time_that_is_over_leaves_no_instance(self):
        self.novad()
        self.is_refused(504, "timed_out", "POST", "/execute", {
            "mode": "persistent", "command": ["sleep", "1000"], "timeout_ms": 300})
        self.assertEqual(self.gets(200, "GET", f"{API}/instances")["instances"], [])

    def test_what_does_not_go_together_is_refused(self):
        self.register("f", "def handler(event):\n    return event")
        self.novad()
        one = self.gets(201, "POST", f"{API}/instances", {"function": "f"})["id"]
        code = {"code": "1", "language": "python"}
        for status, part, body in (
                (400, "'parent_snapshot'", {**code, "mode": "branched"}),
                (400, "says no", {**code, "mode": "checkpointed", "checkpoint_after": False}),
                (400, "POST /api/v1/branches", {**code, "mode": "persistent",
                                                "parent_snapshot": "s"}),
                (400, "'parent_snapshot' is for", {**code, "mode": "cached",
                                                   "parent_snapshot": "s"}),
                (400, "'branch_from' is for", {**code, "mode": "checkpointed",
                                               "branch_from": "s"}),
                (400, "'checkpoint_id' is for", {**code, "mode": "branched",
                                                 "checkpoint_id": "s"}),
                (400, "is the snapshot to go on from", {**code, "branch_from": "s",
                                                        "checkpoint_id": "s"}),
                (400, "says no", {**code, "checkpoint_id": "s", "checkpoint_after": False}),
                (400, "'network' are those", {**code, "branch_from": "s", "network": "none"}),
                (400, "has no 'branch_from'", {"command": ["x"], "branch_from": "s",
                                               "instance": one}),
                (400, "'checkpoint_after' is for", {**code, "mode": "ephemeral",
                                                    "checkpoint_after": True}),
                (400, "'instance' is for", {**code, "mode": "cached", "instance": "x"}),
                (400, "'instance' is for", {"command": ["x"], "mode": "cached", "instance": one}),
                (400, "has no 'args'", {"command": ["x"], "args": [], "instance": one}),
                (400, "'resources' and", {**code, "instance": one, "resources": {}}),
                (400, "'network' are those", {**code, "mode": "branched", "network": "none",
                                              "parent_snapshot": "s"}),
                (400, "one of 'code' and 'command'", {"mode": "checkpointed"}),
                (400, "'language' is missing", {"code": "1", "mode": "persistent"}),
                (400, "of the function 'f'", {**code, "instance": one}),
                (400, "no handler", {"code": "1", "language": "shell", "handler": "x",
                                     "mode": "persistent"}),
                (501, "python, javascript or shell", {"code": "1", "language": "go",
                                                      "mode": "persistent"}),
                (501, "no stdin", {"code": "1", "language": "node", "payload": "",
                                   "mode": "persistent"}),
                (501, "no files", {**code, "files": {"a": "b"}, "mode": "persistent"}),
                (501, "takes no snapshots", {**code, "mode": "checkpointed"}),
                (404, "", {**code, "mode": "branched", "parent_snapshot": "none"})):
            with self.subTest(body=body):
                problem = self.is_refused(status, {400: "invalid", 404: "not_found"}.get(
                    status, "not_supported"), "POST", "/execute", body)
                self.assertIn(part, problem["detail"])
                self.assertEqual(problem["outcome"], "never_ran")
        self.is_refused(404, "not_found", "POST", f"{API}/snapshots", {"instance_id": "0" * 32})


class Invoke(NovadCase):
    def invoke(self, name, body=b"{}", status=200, query="", **named):
        return self.gets(status, "POST", f"/functions/{name}/invoke{query}", body, **named)

    def test_the_body_is_the_event_and_the_answer_is_what_it_returned(self):
        self.register("echo", "def handler(event):\n    return event")
        self.novad()
        event = b'{"big": 12345678901234567890123, "f": 1.50, "command": "a text", "x": "\\u00e4"}'
        answer = self.ask("POST", "/functions/echo/invoke", event)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(answer.json(), json.loads(event))
        self.assertIn(b"12345678901234567890123", answer.body)
        self.assertEqual(answer.headers["X-Nova-Cold-Start"], "1")
        self.assertIn("total;dur=", answer.headers["Server-Timing"])
        answer = self.ask("POST", f"{API}/functions/echo/invoke")
        self.assertEqual((answer.json(), answer.headers["X-Nova-Cold-Start"]), ({}, "0"))
        answer = self.ask("POST", "/functions/echo/invoke?mode=ephemeral", b"[1]")
        self.assertEqual((answer.json(), answer.headers["X-Nova-Cold-Start"]), ([1], "1"))

    def test_a_list_as_command_is_run_and_the_id_only_names_it(self):
        self.novad()
        body = {"image": "alpine", "command": ["sh", "-c", "cat; echo $A; echo err >&2; exit 4"],
                "env_vars": ["A=b"], "payload": [104, 105]}
        done = self.invoke("any-name", body)
        self.assertEqual((done["stdout"], done["stderr"], done["exit_code"]), ("hib\n", "err\n", 4))
        self.assertIn("4", done["error"])
        done = self.invoke("any-name", {"image": "x", "command": ["echo", "ok"]})
        self.assertEqual((done["stdout"], done["error"]), ("ok\n", None))
        self.is_refused(400, "invalid", "POST", "/functions/x/invoke", {"command": [1]})
        self.is_refused(400, "invalid", "POST", "/functions/x/invoke", {"command": ["a"], "b": 1})
        self.is_refused(504, "timed_out", "POST", "/functions/x/invoke",
                        {"command": ["sleep", "1000"], "timeout_ms": 300})

    def test_a_function_is_called_as_often_as_its_rate_says(self):
        self.novad()
        made = self.gets(201, "POST", f"{API}/functions", {
            "name": "f", "runtime": "shell", "code": "echo 1", "rate": 2,
            "rate_period_ms": 86400000})
        self.assertEqual(made["limits"]["rate"], 2)
        for _ in range(2):
            self.invoke("f")
        for path in ("/functions/f/invoke", "/2015-03-31/functions/f/invocations"):
            answer = self.ask("POST", path, b"{}")
            self.assertEqual(answer.status, 429, answer)
            self.assertIn(int(answer.headers["Retry-After"]), range(43000, 43202))
            self.assertIn(b"function 'f' may be called 2 times in 86400000 ms", answer.body)
        problem = self.is_refused(429, "too_many_requests", "POST", "/functions/f/invoke", b"{}")
        self.assertEqual(problem["outcome"], "never_ran")
        self.gets(200, "PATCH", f"{API}/functions/f", {"reset": ["rate", "rate_period_ms"]})
        self.invoke("f")
        self.gets(200, "PATCH", f"{API}/functions/f", {"rate": 1, "rate_period_ms": 86400000})
        left = self.gets(200, "PATCH", f"{API}/functions/f", {"rate": 0})
        self.assertEqual({left["limits"].get(name, 0) for name in ("rate", "rate_period_ms")}, {0})

    def test_failures_say_whether_it_ran(self):
        self.register("bad", "def handler(event):\n    raise ValueError('no <b>')")
        self.register("slow", "import time\ndef handler(event):\n    time.sleep(1000)")
        self.novad()
        problem = self.is_refused(500, "function_failed", "POST", "/functions/bad/invoke", b"{}")
        self.assertEqual(problem["outcome"], "ran")
        self.assertIn("no <b>", problem["detail"])
        problem = self.is_refused(504, "timed_out", "POST",
                                  "/functions/slow/invoke?timeout_ms=300", b"{}")
        self.assertEqual(problem["outcome"], "ran")
        problem = self.is_refused(404, "not_found", "POST", "/functions/none/invoke", b"{}")
        self.assertEqual(problem["outcome"], "never_ran")
        for query in ("?mode=branched", "?mode=persistent", "?mode=x", "?timeout_ms=x", "?a=b"):
            self.is_refused(400, "invalid", "POST", f"/functions/bad/invoke{query}", b"{}")
        for body in (b"{", b"{}x", b"\0", b'{"a":"\0"}', b"\xff", b""):
            answer = self.ask("POST", "/functions/bad/invoke", body)
            self.assertIn(answer.status, (400, 500), answer)
            self.assertEqual(answer.status == 500, body == b"")

    def test_a_client_that_goes_away_cancels_its_call(self):
        begun, ended = self.directory / "begun", self.directory / "ended"
        self.register("wait", f"trap 'echo >{ended}' EXIT; echo >{begun}; sleep 1000", "shell")
        self.novad()
        body = b"{}"
        for half in (False, True):
            raw = self.raw(self.head("POST", "/functions/wait/invoke?mode=ephemeral",
                                     f"Content-Length: {len(body)}") + body)
            await_that(begun.exists, "the function runs")
            if half:
                raw.shutdown(socket.SHUT_WR)
            else:
                raw.close()
            await_that(lambda: "\nnova_pool_busy 0\n" in self.ask(
                "GET", "/metrics").body.decode(), "the call is over")
            begun.unlink()
        self.assertIn("\nnovad_abandoned_total 2\n", self.ask("GET", "/metrics").body.decode())


class Functions(NovadCase):
    def test_a_function_is_created_read_replaced_and_deleted(self):
        self.novad()
        function = {"name": "greet", "runtime": "python", "labels": {"team": "a"},
                    "code": "def handler(event):\n    return 'hello'", "memory_mb": 128,
                    "env_vars": {"A": "b"}}
        answer = self.ask("POST", f"{API}/functions", function)
        self.assertEqual(answer.status, 201, answer)
        first = answer.headers["ETag"]
        self.assertEqual((answer.json()["name"], answer.json()["version"]), ("greet", 1))
        self.is_refused(409, "exists", "POST", f"{API}/functions", {**function, "code": "x = 1"})
        answer = self.ask("GET", f"{API}/functions/greet")
        self.assertEqual((answer.status, answer.headers["ETag"]), (200, first))
        answer = self.ask("GET", f"{API}/functions/greet", If_None_Match=first)
        self.assertEqual((answer.status, answer.body), (304, b""))
        new = {"runtime": "shell", "code_base64": base64.b64encode(b"echo '\"new\"'").decode()}
        self.is_refused(412, "changed", "PUT", f"{API}/functions/greet", new, If_Match='"0-0"')
        answer = self.ask("PUT", f"{API}/functions/greet", new, If_Match=first)
        self.assertEqual((answer.status, answer.json()["version"]), (200, 2), answer)
        self.assertNotEqual(answer.headers["ETag"], first)
        self.assertEqual(self.gets(200, "POST", "/functions/greet/invoke", b"{}"), "new")
        self.is_refused(412, "changed", "DELETE", f"{API}/functions/greet", If_Match=first)
        self.assertEqual(self.ask("DELETE", f"{API}/functions/greet").status, 204)
        self.is_refused(404, "not_found", "GET", f"{API}/functions/greet")
        self.is_refused(404, "not_found", "DELETE", f"{API}/functions/greet")
        self.is_refused(404, "no_route", "GET", "/functions")

    def test_of_those_who_change_the_same_state_at_once_one_wins(self):
        self.register("f", "echo 0", "shell")
        self.novad()
        path = f"{API}/functions/f"
        for method, body in (("PUT", {"runtime": "shell"}), ("PATCH", {})):
            with self.subTest(method):
                etag = self.ask("GET", path).headers["ETag"]
                answers = self.all_at_once(8, lambda number, etag=etag, method=method, body=body:
                                           self.ask(method, path, {
                                               **body, "code": f"echo {method} {number}"},
                                                    If_Match=etag))
                statuses = sorted(answer.status for answer in answers)
                self.assertEqual(statuses, [200] + [412] * 7)
                won = next(a.headers["ETag"] for a in answers if a.status == 200)
                self.assertEqual(self.ask("GET", path).headers["ETag"], won)

    def test_nobody_deletes_what_somebody_else_has_just_changed(self):
        self.novad()
        for round_of in range(5):
            self.register(f"f{round_of}", "echo 0", "shell")
            path = f"{API}/functions/f{round_of}"
            etag = self.ask("GET", path).headers["ETag"]
            answers = self.all_at_once(8, lambda number, path=path, etag=etag: self.ask(
                *(("DELETE", path) if number % 2 else ("PATCH", path, {"timeout_s": 7 + number})),
                If_Match=etag))
            won = [answer.status for answer in answers if answer.status in (200, 204)]
            self.assertEqual(len(won), 1, answers)
            self.assertLessEqual({answer.status for answer in answers}, {*won, 404, 412})
            self.assertEqual(self.ask("GET", path).status, 200 if won == [200] else 404)

    def test_a_function_in_use_is_not_said_to_have_changed(self):
        self.register("f", "echo 0", "shell")
        self.novad()
        path = f"{API}/functions/f"
        self.assertEqual(self.ask("POST", f"{path}/versions").status, 201)
        etag = self.ask("GET", path).headers["ETag"]
        answer = self.ask("DELETE", path, If_Match=etag)
        self.assertIn("published version", answer.json()["detail"])
        self.assertNotEqual(answer.status, 412)
        self.assertEqual(self.ask("DELETE", f"{path}?force=true", If_Match=etag).status, 204)

    def test_what_is_given_is_changed_and_no_more(self):
        self.register("f", "echo '\"'$A'\"'", "shell", "--env", "A=one", "--memory", "256")
        self.novad()
        path = f"{API}/functions/f"
        first = self.ask("GET", path)
        answer = self.ask("PATCH", path, {"env_vars": {"A": "two"}, "timeout_s": 7},
                          If_Match=first.headers["ETag"])
        found = answer.json()
        self.assertEqual((answer.status, found["memory_mb"], found["timeout_s"], found["version"]),
                         (200, 256, 7, 2), answer)
        self.assertEqual(self.gets(200, "POST", "/functions/f/invoke", b"{}"), "two")
        self.is_refused(412, "changed", "PATCH", path, {"timeout_s": 8},
                        If_Match=first.headers["ETag"])
        found = self.gets(200, "PATCH", path, {"reset": ["memory_mb", "env"]})
        self.assertEqual((found["memory_mb"], found["timeout_s"]), (128, 7))
        self.assertEqual(self.gets(200, "POST", "/functions/f/invoke", b"{}"), "")
        for status, code, body in ((400, "invalid", {"runtime": "python"}),
                                   (400, "invalid", {"reset": ["nonsense"]}),
                                   (400, "invalid", {"name": "g"}), (400, "invalid", {"x": 1}),
                                   (400, "invalid", {"memory_mb": 1})):
            with self.subTest(body=body):
                self.is_refused(status, code, "PATCH", path, body)
        self.is_refused(404, "not_found", "PATCH", f"{API}/functions/none", {"timeout_s": 7})
        self.assertEqual(self.gets(200, "GET", path)["version"], 3)

    def test_versions_are_published_and_aliases_point_at_them(self):
        self.register("api", "echo 1", "shell")
        self.novad()
        path = f"{API}/functions/api"
        one = self.ask("POST", f"{path}/versions")
        self.assertEqual((one.status, one.json()["version"]), (201, 1), one)
        self.assertTrue(one.headers["ETag"])
        self.assertEqual(self.gets(201, "POST", f"{path}/versions")["version"], 1)
        self.gets(200, "PATCH", path, {"code": "echo 2"})
        self.assertEqual(self.gets(201, "POST", f"{path}/versions")["version"], 2)
        self.assertEqual([v["version"] for v in self.gets(200, "GET", f"{path}/versions")[
            "versions"]], [1, 2])
        prod = f"{path}/aliases/prod"
        self.is_refused(404, "not_found", "GET", prod)
        alias = self.gets(200, "PUT", prod, {"version": 2})
        self.assertEqual((alias["name"], alias["version"], alias["second"]), ("prod", 2, 0))
        for name, said in (("api", 2), ("api:latest", 2), ("api:1", 1), ("api%3A2", 2),
                           ("api:prod", 2)):
            self.assertEqual(self.gets(200, "POST", f"/functions/{name}/invoke", b"{}"), said)
        self.assertEqual(self.gets(200, "POST", f"{prod}/rollback")["version"], 1)
        self.assertEqual(self.gets(200, "POST", "/functions/api:prod/invoke", b"{}"), 1)
        self.is_refused(409, "busy", "POST", f"{prod}/rollback")
        shared = self.gets(200, "PUT", prod, {"version": 1, "second": 2, "weight": 50})
        self.assertEqual((shared["second"], shared["weight"]), (2, 50))
        said = {self.gets(200, "POST", "/functions/api:prod/invoke", b"{}") for _ in range(60)}
        self.assertEqual(said, {1, 2})
        self.assertEqual([a["name"] for a in self.gets(200, "GET", f"{path}/aliases")["aliases"]],
                         ["prod"])
        self.assertEqual(self.gets(200, "GET", f"{API}/functions/api:1")["version"], 1)
        self.is_refused(409, "busy", "DELETE", f"{API}/functions/api:2")
        self.is_refused(400, "invalid", "DELETE", f"{API}/functions/api:2?force=1")
        self.assertEqual(self.ask("DELETE", prod).status, 204)
        self.is_refused(404, "not_found", "DELETE", prod)
        self.assertEqual(self.ask("DELETE", f"{API}/functions/api:2").status, 204)
        self.is_refused(409, "busy", "DELETE", path)
        self.assertEqual(self.ask("DELETE", f"{path}?force=true").status, 204)

    def test_versions_and_aliases_that_cannot_be_are_refused(self):
        self.register("api", "echo 1", "shell")
        self.novad()
        path = f"{API}/functions/api"
        self.gets(201, "POST", f"{path}/versions")
        for status, code, method, at, body in (
                (404, "not_found", "POST", f"{API}/functions/none/versions", None),
                (404, "not_found", "GET", f"{API}/functions/none/versions", None),
                (404, "not_found", "GET", f"{API}/functions/none/aliases", None),
                (404, "not_found", "PUT", f"{API}/functions/none/aliases/a", {"version": 1}),
                (404, "not_found", "PUT", f"{path}/aliases/a", {"version": 9}),
                (404, "not_found", "POST", f"{path}/aliases/a/rollback", None),
                (404, "not_found", "POST", "/functions/api:none/invoke", None),
                (400, "invalid", "POST", f"{path}:1/versions", None),
                (400, "invalid", "PATCH", f"{path}:1", {"timeout_s": 7}),
                (400, "invalid", "PUT", f"{path}/aliases/latest", {"version": 1}),
                (400, "invalid", "PUT", f"{path}/aliases/7", {"version": 1}),
                (400, "invalid", "PUT", f"{path}/aliases/a", {}),
                (400, "invalid", "PUT", f"{path}/aliases/a", {"version": 0}),
                (400, "invalid", "PUT", f"{path}/aliases/a", {"version": "1"}),
                (400, "invalid", "PUT", f"{path}/aliases/a", {"version": 1, "weight": 5}),
                (400, "invalid", "PUT", f"{path}/aliases/a", {"version": 1, "weight": 100})):
            with self.subTest(method=method, at=at, body=body):
                self.is_refused(status, code, method, at, body)

    def test_lists_come_in_pages(self):
        for name in ("a", "b", "c"):
            self.register(name, "echo 1", "shell", "--label", f"is={name}")
        self.novad()
        page = self.gets(200, "GET", f"{API}/functions?limit=2")
        self.assertEqual([f["name"] for f in page["functions"]], ["a", "b"])
        page = self.gets(200, "GET", f"{API}/functions?limit=2&cursor={page['next_cursor']}")
        self.assertEqual(([f["name"] for f in page["functions"]], page["next_cursor"]),
                         (["c"], None))
        page = self.gets(200, "GET", f"{API}/functions?label=is%3Db")
        self.assertEqual([f["name"] for f in page["functions"]], ["b"])
        for query in ("limit=0", "limit=1001", "limit=x", "limit=", "cursor=%00", "x=1", "limit=%"):
            self.is_refused(400, "invalid", "GET", f"{API}/functions?{query}")

    def test_a_page_of_large_functions_ends_before_its_limit(self):
        self.novad()
        for number in range(80):
            self.gets(201, "POST", f"{API}/functions", {
                "name": f"f{number:02}", "runtime": "shell", "code": "echo 1",
                "env_vars": {"TEXT": "x" * 60000}})
        names, cursor, sizes = [], "", []
        while cursor is not None:
            page = self.gets(200, "GET", f"{API}/functions?limit=1000&cursor={cursor}")
            names += [one["name"] for one in page["functions"]]
            sizes.append(len(json.dumps(page)))
            cursor = page["next_cursor"]
        self.assertEqual(names, [f"f{number:02}" for number in range(80)])
        self.assertEqual(len(sizes), 2)
        self.assertLess(sizes[0], 5 << 20)

    def test_code_that_cannot_be_loaded_is_refused(self):
        self.novad()
        problem = self.is_refused(422, "function_failed", "POST", f"{API}/functions", {
            "name": "f", "runtime": "python", "code": "def f(:", "check": "always"})
        self.assertIn("SyntaxError", problem["detail"])
        self.is_refused(400, "invalid", "POST", f"{API}/functions", {
            "name": "../x", "runtime": "shell", "code": "echo"})
        self.is_refused(400, "invalid", "POST", f"{API}/functions", {
            "name": "f", "runtime": "shell", "code": "echo", "code_path": "/etc/passwd"})


class Instances(NovadCase):
    def start(self, **more):
        return self.gets(201, "POST", f"{API}/instances", {"function": "f", **more})

    def setUp(self):
        super().setUp()
        self.register("f", "cat /tmp/n 2>/dev/null || echo 0; echo 7 >/tmp/n", "shell")
        self.novad()

    def test_an_image_says_what_an_instance_has(self):
        start = f"{API}/instances"
        made = self.gets(201, "POST", start, {
            "image": "shell", "name": "s", "cpu_cores": 2, "memory_mb": 192, "enable_ssh": False,
            "disk_gb": 0})
        self.assertTrue(made["function"].startswith("execute-shell"))
        run = {"instance": "s", "language": "shell"}
        self.gets(200, "POST", "/execute", {"code": "echo 5 >/tmp/x", **run})
        read = self.gets(200, "POST", "/execute", {"code": "cat /tmp/x", **run})
        self.assertEqual(read["stdout"], "5\n")
        done = self.gets(200, "POST", f"{API}/instances/s/exec", {"command": ["cat", "/tmp/x"]})
        self.assertEqual(done["stdout"], "5\n")
        for status, code, part, body in (
                (400, "invalid", "no image 'ubuntu'", {"image": "ubuntu"}),
                (400, "invalid", "at least 96", {"image": "python", "memory_mb": 80}),
                (400, "invalid", "one of 'function', 'image'", {}),
                (400, "invalid", "without 'function'", {"image": "python", "function": "f"}),
                (400, "invalid", "without 'function'", {"image": "python", "snapshot_id": "x"}),
                (501, "not_supported", "memory_mb", {"function": "f", "disk_gb": 10}),
                (501, "not_supported", "exec", {"image": "python", "enable_ssh": True}),
                (404, "not_found", "x", {"snapshot_id": "x"})):
            with self.subTest(body=body):
                self.assertIn(part, self.is_refused(status, code, "POST", start, body)["detail"])
        listed = self.gets(200, "GET", start)["instances"]
        self.assertEqual([one["name"] for one in listed], ["s"])

    def test_an_instance_lives_until_it_is_stopped(self):
        one = self.start(name="one")
        self.assertEqual(one["name"], "one")
        self.is_refused(409, "exists", "POST", f"{API}/instances", {"function": "f", "name": "one"})
        self.is_refused(404, "not_found", "POST", f"{API}/instances", {"function": "none"})
        listed = self.gets(200, "GET", f"{API}/instances")["instances"]
        self.assertEqual([i["id"] for i in listed], [one["id"]])
        path = f"{API}/instances/one"
        self.assertEqual(self.gets(200, "GET", path)["id"], one["id"])
        self.assertEqual(self.gets(200, "POST", f"{path}/pause")["state"], "paused")
        self.is_refused(409, "busy", "POST", f"{path}/exec", {"command": ["true"]})
        self.assertEqual(self.gets(200, "POST", f"{path}/resume")["state"], "running")
        call = "/functions/f/invoke?mode=persistent&instance=one"
        self.gets(200, "POST", call, b"{}")
        stopped = self.gets(200, "POST", f"{path}/stop")
        self.assertEqual(stopped["stopped"], one["id"])
        self.is_refused(404, "not_found", "GET", path)
        self.is_refused(404, "not_found", "DELETE", path)
        self.is_refused(404, "not_found", "POST", call, b"{}")

    def test_a_disk_that_takes_its_time_holds_nobody_else_up(self):
        slow = self.home / "novad/instances/new.tmp"
        os.mkfifo(slow)  # as a disk on which no write ends before somebody reads here
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            try:
                started = threads.submit(self.start, name="slow")
                await_that(lambda: self.gets(200, "GET", f"{API}/instances")["instances"],
                           "it runs")
                for _ in range(20):
                    self.assertEqual(self.ask("GET", "/healthz").status, 200)
                self.assertFalse(started.done())
            finally:
                read = os.open(slow, os.O_RDONLY)
            self.assertEqual(started.result(60)["name"], "slow")
            os.close(read)

    def test_commands_run_in_it(self):
        self.start(name="one")
        path = f"{API}/instances/one/exec"
        done = self.gets(200, "POST", path, {"command": ["sh", "-c", "cat; echo $A >&2; exit 3"],
                                             "payload": [104, 105], "env_vars": {"A": "b"}})
        self.assertEqual((done["stdout"], done["stderr"], done["exit_code"], done["error"]),
                         ("hi", "b\n", 3, "exit status 3"))
        self.assertIsNone(self.gets(200, "POST", path, {"command": ["true"]})["error"])
        self.is_refused(504, "timed_out", "POST", path, {"command": ["sleep", "1000"],
                                                         "timeout_ms": 300})
        self.is_refused(400, "invalid", "POST", path, {"command": []})

    def test_files_go_up_and_down(self):
        self.start(name="one")
        place = self.directory / "guest"  # the fake engine's guests have the host's files
        place.mkdir()
        path = f"{API}/instances/one/files/content?path={place}/data"
        data = bytes(range(256)) * 4000
        self.assertEqual(self.ask("PUT", path + "&mode=384", data).status, 204)
        self.assertEqual((place / "data").stat().st_mode & 0o777, 0o600)
        answer = self.ask("GET", path)
        self.assertEqual((answer.status, answer.headers["Content-Type"], answer.body == data),
                         (200, "application/octet-stream", True))
        self.assertEqual(self.ask("PUT", path, b"").status, 204)
        answer = self.ask("GET", path)
        self.assertEqual((answer.status, answer.body), (200, b""))
        listed = self.gets(200, "GET", f"{API}/instances/one/files?path={place}")["files"]
        self.assertEqual([(f["path"].rpartition("/")[2], f["kind"], f["size"])
                          for f in listed][-1], ("data", "file", 0))
        self.assertEqual(self.ask("DELETE", path).status, 204)
        self.is_refused(404, "not_found", "GET", path)
        self.is_refused(400, "invalid", "GET", f"{API}/instances/one/files/content")
        self.is_refused(400, "invalid", "GET", f"{API}/instances/one/files/content?path=../x")

    def test_snapshots_are_taken_listed_restored_and_deleted(self):
        one = self.start(name="one")
        answer = self.ask("POST", f"{API}/snapshots", {"container_id": "one", "name": "s",
                                                       "description": "for later"})
        if answer.status == 501:
            self.skipTest("this engine takes no snapshots")
        self.assertEqual(answer.status, 201, answer)
        made = answer.json()
        self.assertEqual((made["name"], made["function"]), ("s", "f"))
        listed = self.gets(200, "GET", f"{API}/snapshots")["snapshots"]
        self.assertEqual([s["id"] for s in listed], [made["snapshot_id"]])
        self.assertEqual(self.gets(200, "GET", f"{API}/snapshots/s")["id"], made["id"])
        two = self.gets(201, "POST", f"{API}/snapshots/s/restore", {"name": "two"})
        self.assertEqual((two["name"], two["function"]), ("two", "f"))
        self.assertNotEqual(two["id"], one["id"])
        self.is_refused(404, "not_found", "POST", f"{API}/snapshots/none/restore")
        self.is_refused(400, "invalid", "POST", f"{API}/snapshots", {"name": "x"})
        self.is_refused(404, "not_found", "POST", f"{API}/snapshots", {"instance_id": "none"})

    def test_branches_go_on_from_a_snapshot_and_are_merged(self):
        self.start(name="one")
        answer = self.ask("POST", f"{API}/snapshots", {"instance_id": "one", "name": "s"})
        if answer.status == 501:
            self.skipTest("this engine takes no snapshots")
        ids = []
        for name in ("a", "b"):
            branch = self.gets(201, "POST", f"{API}/branches", {
                "parent_snapshot_id": "s", "branch_name": name})
            self.assertEqual(branch["branch_name"], name)
            ids.append(branch["branch_id"])
            self.gets(200, "POST", f"{API}/instances/{name}/exec", {
                "command": ["sh", "-c", f"echo {name} >/tmp/{name}"]})
        merged = self.gets(201, "POST", f"{API}/branches/merge", {
            "branch_ids": ids, "merge_strategy": "union", "name": "both"})
        self.assertEqual((merged["conflicts"], merged["snapshot"]["name"]), (0, "both"))
        agreed = self.gets(201, "POST", f"{API}/branches/merge", {
            "branch_ids": ids, "merge_strategy": "intersection"})
        self.assertEqual((agreed["conflicts"], agreed["paths"]), (0, []))
        self.is_refused(400, "invalid", "POST", f"{API}/branches/merge", {"branch_ids": []})

    def test_what_is_not_there_yet_says_so(self):
        for part, method, path in (
                ("exec", "POST", "/ports/expose"), ("exec", "GET", "/ports"),
                ("exec", "POST", "/instances/x/expose"), ("exec", "GET", "/instances/x/ports"),
                ("exec", "DELETE", "/instances/x/ports/80"),
                ("'network'", "GET", "/instances/x/policies"),
                ("'network'", "PUT", "/instances/x/policies"),
                ("'network'", "DELETE", "/instances/x/policies")):
            problem = self.is_refused(501, "not_there_yet", method, API + path)
            self.assertIn(part, problem["detail"])
            self.assertEqual(problem["outcome"], "never_ran")
            self.is_refused(401, "unauthorized", method, API + path, key=False)
        for method, path in (("POST", "filter/plug"), ("DELETE", "filter/plug/1")):
            problem = self.is_refused(501, "not_there_yet", method,
                                      f"/my-own-cluster/api/{path}", b"{}")
            self.assertIn("proxy", problem["detail"])


class Document(NovadCase):
    def test_the_document_and_the_dispatch_agree(self):
        self.novad()
        document = self.gets(200, "GET", "/openapi.json", key=False)
        self.assertEqual(document["openapi"], "3.1.0")
        names = set()
        for path, operations in document["paths"].items():
            self.assertNotRegex(path, "ports|policies|expose")
            for method, operation in operations.items():
                names.add(operation["operationId"])
                given = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
                real = path
                for name in given:
                    real = real.replace(f"{{{name}}}", "nobody")
                self.assertNotIn("{", real)
                answer = self.ask(method.upper(), real, key=False)
                # There is a route if a key is asked for, or none is needed.
                open_to_all = operation.get("security") == []
                self.assertEqual(answer.status, 200 if open_to_all else 401, (method, path))
            wrong = self.ask("PURGE", path.replace("{id}", "nobody").replace("{alias}", "a"))
            allowed = set(wrong.headers["Allow"].lower().split(", ")) - {"options"}
            self.assertEqual((wrong.status, allowed), (405, set(operations)), path)
        count = sum(len(operations) for operations in document["paths"].values())
        self.assertEqual(len(names), count, "operationIds are unique")
        self.assertGreater(count, 30)
        self.assertIn("/execute", document["paths"])
        self.assertIn("/api/v1/functions/{id}", document["paths"])


class Again(NovadCase):
    """Idempotency-Key."""

    def setUp(self):
        super().setUp()
        self.count = self.directory / "count"
        self.register("count", f"echo >>{self.count}; wc -l <{self.count}", "shell")
        self.novad()

    def ask_count(self, body=b"{}", key="k", path="/functions/count/invoke", **named):
        return self.ask("POST", path, body, Idempotency_Key=key, **named)

    def test_who_asks_again_gets_the_first_answer_and_nothing_runs_twice(self):
        first, second = self.ask_count(), self.ask_count()
        self.assertEqual((first.status, first.body, second.body), (200, b"1", b"1"))
        self.assertIsNone(first.headers["Idempotency-Replayed"])
        self.assertEqual(second.headers["Idempotency-Replayed"], "true")
        self.assertNotEqual(first.headers["X-Request-Id"], second.headers["X-Request-Id"])
        self.assertEqual(self.ask_count(key="other").body, b"2")
        for number, query in ((b"3", "timeout_ms=60000"), (b"4", "timeout_ms=60001")):
            path = f"/functions/count/invoke?{query}"
            self.assertEqual(self.ask_count(path=path).body, number)
        self.is_refused(422, "key_reused", "POST", "/functions/count/invoke", b"[]",
                        Idempotency_Key="k")
        self.is_refused(400, "invalid", "POST", "/functions/count/invoke", b"[]",
                        Idempotency_Key="k" * 256)

    def test_a_failure_of_the_function_is_an_answer_and_a_refusal_is_none(self):
        self.register("bad", f"echo >>{self.count}; exit 1", "shell")
        for _ in range(2):
            self.assertEqual(self.ask_count(path="/functions/bad/invoke").status, 500)
        self.assertEqual(self.count.read_text(), "\n")
        ask = {"body": {"command": ["true"], "mode": "checkpointed"}, "path": "/execute"}
        for _ in range(2):
            answer = self.ask_count(**ask)
            self.assertEqual((answer.status, answer.headers["Idempotency-Replayed"]), (501, None))
        later = "/functions/later/invoke"
        self.assertEqual(self.ask_count(path=later).status, 404)
        self.register("later", "echo 7", "shell")
        self.assertEqual(self.ask_count(path=later).body, b"7")

    def test_who_went_away_finds_the_answer(self):
        begun, go = self.directory / "begun", self.directory / "go"
        self.register("gate", f"echo >>{begun}; while ! test -e {go}; do sleep 0.01; done; echo 5",
                      "shell")
        raw = self.raw(self.head("POST", "/functions/gate/invoke", "Idempotency-Key: k",
                                 "Content-Length: 2") + b"{}")
        await_that(begun.exists, "the function runs")
        raw.close()
        path = "/functions/gate/invoke"
        self.is_refused(409, "under_way", "POST", path, b"{}", Idempotency_Key="k")
        go.touch()
        await_that(lambda: self.ask_count(path=path).status == 200, "the answer is there")
        answer = self.ask_count(path=path)
        self.assertEqual((answer.body, answer.headers["Idempotency-Replayed"]), (b"5", "true"))
        self.assertEqual(begun.read_text(), "\n")
