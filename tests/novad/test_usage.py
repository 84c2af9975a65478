# SPDX-License-Identifier: MIT
"""Usage and bills over HTTP."""
import json

from novadcase import NovadCase, UnixConnection
from novatest import ROOT, await_that

API = "/api/v1"


class Usage(NovadCase):
    def setUp(self):
        super().setUp()
        self.register("f", "cat", "shell")
        self.novad("--listen", f"unix:{self.directory}/socket")
        self.other = self.novactl("apikey", "create", "ci").stdout.strip()

    def usage(self, query="", by=None, **named):
        named = {"key": False, "x_api_key": by} if by else named
        return self.gets(200, "GET", f"{API}/usage{query}", **named)

    def test_a_key_is_told_of_itself_and_the_owner_of_all(self):
        for key, times in ((self.key, 2), (self.other, 3)):
            for _ in range(times):
                answer = self.ask("POST", "/functions/f/invoke", {}, key=False, x_api_key=key)
                self.assertEqual(answer.status, 200)
        begun = self.gets(202, "POST", "/execute", {"command": ["true"], "stream": True})
        self.gets(200, "GET", f"{API}/usage")
        own, = [r for r in self.usage(f"?by=key,function&key={self.key_name}")["usage"]
                if r["mode"] == "cached"]
        self.assertEqual((own["key"], own["function"], own["calls"]), (self.key_name, "f", 2))
        others, = self.usage("?period=day&key=ci", by=self.other)["usage"]
        self.assertEqual((others["calls"], others["key"]), (3, ""))
        for path in (f"usage?key={self.key_name}", "usage/current?key="):
            self.is_refused(403, "not_yours", "GET", f"{API}/{path}", key=False,
                            x_api_key=self.other)
        self.is_refused(401, "unauthorized", "GET", f"{API}/usage", key=False)
        bill = self.gets(200, "GET", f"{API}/usage/current", key=False, x_api_key=self.other)
        self.assertEqual((bill["calls"], bill["tier"]), (3, "starter"))
        self.assertGreater(bill["total_nano"], 0)

        def owner():
            return {"connection": UnixConnection(self.directory / "socket"), "key": False}
        self.assertTrue(begun["executionId"])
        rows = self.usage("?by=key&limit=1", **owner())
        cursor, found = rows["next_cursor"], rows["usage"]
        while cursor:
            page = self.usage(f"?by=key&limit=1&cursor={self.quoted(cursor)}", **owner())
            cursor, found = page["next_cursor"], found + page["usage"]
        self.assertEqual({r["key"]: r["calls"] for r in found if r["mode"] == "cached"},
                         {"ci": 3, self.key_name: 2})
        self.assertEqual(found, self.usage("?by=key", **owner())["usage"])

    def test_a_key_without_a_name_has_one_wherever_its_line_is(self):
        first, second = "first" * 4, "second" * 4
        keys = self.home / "novad/keys"
        keys.write_text(f"{first}\n{second}\n")
        await_that(lambda: self.ask("GET", f"{API}/usage", key=False,
                                    x_api_key=second).status == 200, "the file is read again")
        self.gets(200, "POST", "/functions/f/invoke", {}, key=False, x_api_key=first)
        keys.write_text(f"# a comment\n\n{second}\n")
        await_that(lambda: self.ask("GET", f"{API}/usage", key=False,
                                    x_api_key=first).status == 401, "the file is read again")
        self.assertEqual(self.usage(f"?key={self.named(second)}", by=second)["usage"], [])
        keys.write_text(f"{second}\n{first}\n")
        await_that(lambda: self.ask("GET", f"{API}/usage", key=False,
                                    x_api_key=first).status == 200, "the file is read again")
        own, = [r for r in self.usage(f"?by=key&key={self.named(first)}", by=first)["usage"]
                if r["mode"] == "cached"]
        self.assertEqual((own["key"], own["calls"]), (self.named(first), 1))
        self.assertEqual(self.usage(f"?key={self.named(second)}", by=second)["usage"], [])

    def test_what_calls_would_cost(self):
        bill = self.gets(200, "POST", f"{API}/usage/estimate", {
            "function": "f", "calls": 1000000, "duration_us": 200000, "mode": "ephemeral"})
        self.assertEqual((bill["cpu_nano"], bill["memory_nano"]), (4800000000, 75000000))
        for status, code, body in ((404, "not_found", {"function": "none"}),
                                   (400, "invalid", {"mode": "storage"}),
                                   (400, "invalid", {"calls": 10**17 - 1, "duration_us": 10**9}),
                                   (400, "invalid", {"calls": -1})):
            self.is_refused(status, code, "POST", f"{API}/usage/estimate", body)
        for query in ("cursor=x", "cursor=1:1:5:a", "cursor=1:1:-1:a", "period=year", "by=x"):
            self.is_refused(400, "invalid", "GET", f"{API}/usage?{query}")


class Plans(NovadCase):
    """Each key may hold two processors and a GiB at a time."""

    def setUp(self):
        super().setUp()
        card = json.loads((ROOT / "lib/usage/rates.json").read_text(encoding="utf-8"))
        card["plans"] = [{"name": "tiny", "price": 1, "mcu": 1000, "vcpus": 2, "memory_gb": 1}]
        self.environment.update(
            NOVA_USAGE_RATES=str(self.write("rates.json", json.dumps(card))),
            NOVA_USAGE_RECORD="on", NOVA_USAGE_PLAN="tiny", NOVA_USAGE_LIMIT="on")
        self.begun, self.go = self.directory / "begun", self.directory / "go"
        self.register("gate", f"echo >>{self.begun}; while ! test -e {self.go}; do sleep 0.02; "
                      "done; echo 1", "shell")
        self.register("f", "echo 1", "shell")
        keys = self.write("keys", "".join(f"{name}={name * 16}\n" for name in "ab"))
        keys.chmod(0o600)
        self.novad("--key-file", keys)
        self.key = "a" * 16

    def begin(self, path, body):
        data = json.dumps(body).encode()
        return self.raw(self.head("POST", path, f"Content-Length: {len(data)}",
                                  "Connection: close") + data)

    def run_now(self, count):
        await_that(lambda: self.begun.exists() and len(self.begun.read_text()) == count,
                   f"{count} run")

    def is_over(self, path, body=None, part="2 virtual processors", again="1", **named):
        answer = self.ask("POST", path, {} if body is None else body, **named)
        self.assertEqual(answer.status, 429, answer)
        problem = answer.json()
        self.assertEqual((problem["code"], problem["outcome"], answer.headers["Retry-After"]),
                         ("over_plan", "never_ran", again))
        never = "for which there is never room: give the function less"
        (self.assertIn if again is None else self.assertNotIn)(never, problem["detail"])
        self.assertIn(f"the plan 'tiny' has {part} at a time for each key; 'a' holds",
                      problem["detail"])
        self.assertIn("usage.plan", problem["detail"])

    def has_room_again(self):
        """For a call of the same key; what ends takes a moment."""
        await_that(lambda: self.ask("POST", "/functions/f/invoke", {}).status == 200,
                   "the key holds nothing")

    def all_that_begins_is_over(self):
        self.is_over("/functions/f/invoke")
        self.is_over("/functions/f/invoke?mode=ephemeral")
        self.is_over("/execute", {"command": ["true"]})
        self.is_over("/execute", {"language": "shell", "code": "echo 1"})
        self.is_over("/execute", {"language": "shell", "code": "echo 1", "mode": "persistent"})
        self.is_over(f"{API}/instances", {"function": "f"})
        answer = self.ask("POST", "/2015-03-31/functions/f/invocations", {})
        self.assertEqual((answer.status, answer.headers["x-amzn-ErrorType"]),
                         (429, "TooManyRequestsException"))

    def test_a_key_holds_what_its_plan_has_and_another_key_as_much(self):
        calls = [self.begin("/functions/gate/invoke", {}) for _ in range(2)]
        self.run_now(2)
        self.all_that_begins_is_over()
        self.gets(200, "POST", "/functions/f/invoke", {}, key=False, x_api_key="b" * 16)
        self.go.touch()
        for call in calls:
            self.assertIn(b"HTTP/1.1 200", self.read_all(call))
        self.gets(200, "POST", "/functions/f/invoke", {})

    def test_whoever_goes_away_or_fails_holds_nothing(self):
        for _ in range(2):
            self.begin("/functions/gate/invoke", {}).close()
        self.has_room_again()
        sleeping = {"command": ["sleep", "1000"], "timeout_ms": 300}
        self.register("fails", "exit 3", "shell")
        for _ in range(3):
            self.is_refused(504, "timed_out", "POST", "/execute", sleeping)
            self.is_refused(500, "function_failed", "POST", "/functions/fails/invoke", {})
            self.is_refused(404, "not_found", "POST", f"{API}/instances",
                            {"function": "f", "snapshot_id": "none"})
        self.gets(200, "POST", "/functions/f/invoke", {})

    def test_instances_hold_what_they_have_until_they_end(self):
        for _ in range(3):
            made = self.gets(201, "POST", f"{API}/instances", {"function": "f", "cpu_cores": 2})
            self.is_over("/functions/f/invoke")
            self.gets(200, "POST", f"/functions/f/invoke?instance={made['id']}", {})
            self.gets(200, "POST", f"{API}/instances/{made['id']}/exec", {"command": ["true"]})
            self.gets(200, "DELETE", f"{API}/instances/{made['id']}")
        self.is_over(f"{API}/instances", {"function": "f", "cpu_cores": 3}, again=None)
        self.is_over(f"{API}/instances", {"function": "f", "memory_mb": 1025},
                     "1024 MiB of memory", None)
        self.gets(201, "POST", f"{API}/instances", {"function": "f", "memory_mb": 1024})
        self.is_over("/functions/f/invoke", part="1024 MiB of memory")

    def test_what_no_plan_has_room_for_is_told_so(self):
        self.gets(201, "POST", f"{API}/functions", {
            "name": "huge", "runtime": "shell", "code": "echo 1", "vcpus": 4})
        self.is_over("/functions/huge/invoke", again=None)

    def test_an_instance_whose_vm_is_killed_holds_nothing(self):
        self.gets(201, "POST", f"{API}/instances", {"function": "f", "name": "one",
                                                    "cpu_cores": 2})
        self.is_over("/functions/f/invoke")
        self.ask("POST", f"{API}/instances/one/exec", {"command": ["sh", "-c", "kill -9 $PPID"]})
        self.has_room_again()
