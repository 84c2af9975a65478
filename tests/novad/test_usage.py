# SPDX-License-Identifier: MIT
"""Usage and bills over HTTP."""
from novadcase import NovadCase, UnixConnection
from novatest import await_that

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
