# SPDX-License-Identifier: MIT
"""What calls have left behind, over HTTP."""
import threading
import time

from novadcase import NovadCase, UnixConnection

API = "/api/v1"
RUNS = {"code": "echo once; echo two >&2", "language": "shell"}


class Logs(NovadCase):
    def setUp(self):
        super().setUp()
        self.register("f", "import sys\ndef handler(event):\n    print('<b>\\udcff', event['n'], "
                           "file=sys.stderr)\n    return 1 / event['n']")
        self.register("g", "cat", "shell")
        self.novad("--listen", f"unix:{self.directory}/socket")

    def call(self, function, event):
        return self.ask("POST", f"/functions/{function}/invoke", event).headers[
            "X-Nova-Execution-Id"]

    def logs(self, query="", **named):
        return self.gets(200, "GET", f"{API}/logs{query}", **named)

    def numbers(self, page):
        return [record["number"] for record in page["invocations"]]

    def test_each_call_is_there_by_its_id_and_in_pages(self):
        ids = [self.call("f", {"n": n}) for n in (1, 0, 2)] + [self.call("g", {})]
        failed = self.gets(200, "GET", f"{API}/logs/{ids[1]}")
        self.assertEqual((failed["request_id"], failed["code"], failed["function"]),
                         (ids[1], "function_failed", "f"))
        self.assertIn("division by zero", failed["error"])
        self.assertIn("<b>", failed["stderr"])
        whole = self.logs()
        self.assertEqual([r["request_id"] for r in whole["invocations"]], ids[::-1])
        self.assertIsNone(whole["next_cursor"])
        first = self.logs("?function=f&limit=2")
        second = self.logs(f"?function=f&limit=2&cursor={first['next_cursor']}")
        self.assertEqual([r["request_id"] for r in (*first["invocations"], *second["invocations"])],
                         ids[2::-1])
        self.assertIsNone(second["next_cursor"])
        self.assertEqual([r["request_id"] for r in self.logs("?errors=true")["invocations"]],
                         [ids[1]])
        begun = failed["started_us"]
        self.assertEqual(len(self.logs(f"?since_us={begun}")["invocations"]), 3)
        self.assertEqual(len(self.logs(f"?until_us={begun}")["invocations"]), 1)
        stats = {s["function"]: s for s in self.gets(200, "GET", f"{API}/stats")["functions"]}
        self.assertEqual({name: (s["calls"], s["errors"]) for name, s in stats.items()},
                         {"f": (3, 1), "g": (1, 0)})
        self.assertEqual([s["function"] for s in self.gets(
            200, "GET", f"{API}/stats?function=g")["functions"]], ["g"])

    def test_who_follows_is_told_what_comes(self):
        self.call("g", {})
        page = self.logs("?order=oldest")
        found = []
        thread = threading.Thread(target=lambda: found.append(self.logs(
            f"?order=oldest&wait_ms=60000&cursor={page['next_cursor']}")))
        begun = time.monotonic()
        thread.start()
        late = self.call("g", {})
        thread.join()
        self.assertEqual([r["request_id"] for r in found[0]["invocations"]], [late])
        self.assertLess(time.monotonic() - begun, 50)  # and not when its time was over
        empty = self.logs(f"?order=oldest&cursor={found[0]['next_cursor']}&wait_ms=1")
        self.assertEqual(empty, {"invocations": [], "next_cursor": found[0]["next_cursor"]})

    def test_code_run_once_is_seen_by_its_key_and_by_admins(self):
        self.call("g", {})
        ci = {"key": False, "x_api_key": self.novactl("apikey", "create", "ci").stdout.strip()}
        once = self.gets(200, "POST", f"{API}/execute", RUNS, **ci)["executionId"]
        self.assertEqual(self.gets(200, "GET", f"{API}/logs/{once}", **ci)["stdout"], "once\n")
        self.assertEqual([r["function"] for r in self.logs("?limit=1", **ci)["invocations"]], [""])
        self.assertEqual(len(self.logs("?function=", **ci)["invocations"]), 1)
        self.assertEqual(self.gets(200, "GET", f"{API}/stats", **ci)["functions"], [])
        self.assertEqual(len(self.logs()["invocations"]), 2)

        def owner():
            return {"connection": UnixConnection(self.directory / "socket"), "key": False}
        self.assertEqual([r["request_id"] for r in self.logs("?function=", **owner())[
            "invocations"]], [once])
        self.assertEqual(len(self.gets(200, "GET", f"{API}/stats", **owner())["functions"]), 2)

    def test_what_is_no_such_question_is_refused(self):
        self.is_refused(404, "not_found", "GET", f"{API}/logs/none")
        self.is_refused(401, "unauthorized", "GET", f"{API}/logs", key=False)
        for query in ("limit=0", "limit=1001", "cursor=x", "cursor=-1", "order=up", "errors=1",
                      "wait_ms=60001", "wait_ms=5", "function=%00", "since_us=1e3", "x=1"):
            with self.subTest(query):
                self.is_refused(400, "invalid", "GET", f"{API}/logs?{query}")
        self.is_refused(400, "invalid", "GET", f"{API}/stats?limit=1")
        self.assertEqual(self.logs("?function=none"), {"invocations": [], "next_cursor": None})
