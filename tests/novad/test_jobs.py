# SPDX-License-Identifier: MIT
"""Calls that wait in Redis: handed in over HTTP, performed by a novad, and kept when one dies."""
import signal
import unittest

import redisserver
from novadcase import NovadCase
from novatest import await_that

API = "/api/v1"
EVENT = "/2015-03-31/functions/{}/invocations"
# Says that it has begun, and goes on until there is a file.
WAITS = """import os, time
def handler(event):
    with open(event["begun"], "a") as file:
        file.write("x")
    while not os.path.exists(event["go"]):
        time.sleep(0.02)
    return "went"
"""


@unittest.skipIf(redisserver.MISSING, redisserver.MISSING)
class Jobs(NovadCase):
    def setUp(self):
        super().setUp()
        self.redis = redisserver.Server(self)
        self.environment["NOVA_REDIS_ADDR"] = str(self.redis.path)
        self.begun, self.go = self.directory / "begun", self.directory / "go"

    def submit(self, function, event, query=""):
        return self.gets(202, "POST", f"{API}/functions/{function}/jobs{query}", event)["id"]

    def event(self, function, event, **headers):
        """As Amazon's clients do it; the id of the job."""
        answer = self.ask("POST", EVENT.format(function), event, X_Amz_Invocation_Type="Event",
                          **headers)
        self.assertEqual((answer.status, answer.body), (202, b""), answer)
        return answer.headers["X-Nova-Job-Id"]

    def await_state(self, job, state):
        """The job, once it is there; a connection that was lost is not tried at once."""
        def is_there():
            nonlocal answer
            answer = self.ask("GET", f"{API}/jobs/{job}")
            return answer.status == 200 and answer.json()["state"] == state

        answer = None
        await_that(is_there, f"the job is {state}", 60)
        return answer.json()

    def has_begun(self):
        """And has said so: the file is there before what is written into it."""
        return self.begun.exists() and self.begun.read_text() != ""

    def waits(self):
        self.register("waits", WAITS)
        return {"begun": str(self.begun), "go": str(self.go)}

    def test_a_job_is_handed_in_performed_and_shown(self):
        self.register("f", "def handler(event):\n    return [event]\n")
        self.register("fails", "def handler(event):\n    raise ValueError('no')\n")
        process = self.novad()
        job = self.submit("f", {"a": 1}, "?key=one&keep_s=60")
        done = self.await_state(job, "done")
        self.assertEqual((done["output"], done["key"]), ([{"a": 1}], "one"))
        self.assertRegex(done["usage_key"], "^key-")
        self.assertEqual(self.submit("f", {"a": 1}, "?key=one"), job)
        dead = self.await_state(self.submit("fails", {}, "?attempts=2"), "dead")
        self.assertIn("ValueError: no", dead["error"])
        self.assertEqual(dead["attempts"], 2)
        self.assertEqual(self.ask("POST", f"{API}/functions/f/jobs?key=one", b"2").status, 409)
        self.is_refused(404, "not_found", "POST", f"{API}/functions/none/jobs", b"1")
        self.assertEqual(self.ask("POST", f"{API}/functions/f/jobs", b"{").status, 400)
        self.assertEqual(self.ask("POST", f"{API}/functions/f/jobs", b"1\0").status, 400)
        self.assertEqual(self.ask("GET", f"{API}/jobs/{'0' * 36}").status, 404)
        self.assertEqual(self.ask("GET", f"{API}/jobs/x").status, 400)
        self.stops(process)

    def jobs(self, query=""):
        page = self.gets(200, "GET", f"{API}/jobs{query}")
        return [job["id"] for job in page["jobs"]], page["next_cursor"]

    def test_jobs_are_listed_by_pages(self):
        self.register("f", "def handler(event):\n    return event\n")
        self.register("g", "def handler(event):\n    return event\n")
        process = self.novad("--job-workers", "0")
        self.assertEqual(self.jobs(), ([], None))
        ids = [self.submit("g" if i == 2 else "f", b"1") for i in range(5)][::-1]
        self.assertEqual(self.jobs("?limit=5"), (ids, None))
        page, following = self.jobs("?limit=3")
        self.assertEqual(page, ids[:3])
        self.assertEqual(self.jobs(f"?limit=3&cursor={following}"), (ids[3:], None))
        self.assertEqual(self.jobs("?function=g"), ([ids[2]], None))
        self.assertEqual(self.jobs("?state=waiting&limit=5"), (ids, None))
        self.assertEqual(self.jobs("?state=dead"), ([], None))
        for query in ("state=gone", "limit=0", "limit=1001", "cursor=x", "cursor=-1", "function=",
                      "what=1"):
            self.assertEqual(self.ask("GET", f"{API}/jobs?{query}").status, 400, query)
        self.redis.stop()
        self.assertEqual(self.ask("GET", f"{API}/jobs").status, 500)
        self.stops(process)

    def test_an_event_survives_a_novad_that_is_killed(self):
        self.register("f", "def handler(event):\n    return event\n")
        process = self.novad("--job-workers", "0")
        job = self.event("f", b'"kept"')
        self.assertEqual(self.gets(200, "GET", f"{API}/jobs/{job}")["state"], "waiting")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = self.novad()
        self.assertEqual(self.await_state(job, "done")["output"], "kept")
        self.assertEqual(self.ask("POST", EVENT.format("f"), b"{",
                                  X_Amz_Invocation_Type="Event").status, 400)
        self.stops(process)

    def test_what_a_killed_novad_had_begun_is_begun_again(self):
        event = self.waits()
        process = self.novad()
        job = self.submit("waits", event, "?lease_ms=1000")
        await_that(self.has_begun, "it has begun")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.go.touch()
        process = self.novad()
        self.assertEqual(self.await_state(job, "done")["attempts"], 2)
        self.stops(process)
        self.assertEqual(self.begun.read_text(), "xx")

    def test_a_novad_that_stops_lets_a_job_end_or_wait_again(self):
        event = self.waits()
        process = self.novad("--stop-timeout", "60s")
        job = self.submit("waits", event)
        await_that(self.has_begun, "it has begun")
        process.send_signal(signal.SIGTERM)
        self.go.touch()
        self.assertEqual(process.wait(60), 0, self.log())
        self.go.unlink()
        process = self.novad("--stop-timeout", "100ms")
        self.assertEqual(self.await_state(job, "done")["output"], "went")
        cut = self.submit("waits", event)
        await_that(lambda: self.begun.read_text() == "xx", "the next has begun")
        self.stops(process)
        self.go.touch()
        process = self.novad()
        self.assertEqual(self.await_state(cut, "done")["attempts"], 1)
        self.stops(process)

    def test_a_redis_that_is_lost_is_waited_for(self):
        self.register("f", "def handler(event):\n    return event\n")
        process = self.novad()
        self.await_state(self.submit("f", b"1"), "done")
        self.redis.stop()
        self.assertEqual(self.ask("POST", f"{API}/functions/f/jobs", b"1").status, 500)
        self.assertEqual(self.ask("POST", f"{API}/functions/f/invoke", b"1").status, 200)
        self.redis.start()
        answers = []

        def is_handed_in():
            answers.append(self.ask("POST", f"{API}/functions/f/jobs", b"2"))
            return answers[-1].status == 202

        await_that(is_handed_in, "it is asked again")
        self.await_state(answers[-1].json()["id"], "done")
        self.stops(process)

    def test_without_redis_there_are_no_jobs(self):
        del self.environment["NOVA_REDIS_ADDR"]
        self.register("f", "def handler(event):\n    return event\n")
        process = self.novad()
        for answer in (self.ask("POST", f"{API}/functions/f/jobs", b"1"),
                       self.ask("GET", f"{API}/jobs")):
            self.assertEqual(answer.status, 501, answer)
            self.assertIn("redis.addr", answer.json()["error"])
        self.stops(process)


if __name__ == "__main__":
    unittest.main()
