# SPDX-License-Identifier: MIT
"""novactl job: calls that wait in Redis for whoever works."""
import json
import signal
import unittest

import redisserver
from novatest import NOVACTL, HomeCase, await_that

DOUBLE = "def handler(event):\n    return {'n': event['n'] * 2}\n"
# The first attempt says that it has begun, and goes on for ever.
SLOW = """import os, time
def handler(event):
    if not os.path.exists(event["file"]):
        open(event["file"], "w").close()
        time.sleep(600)
    return "second"
"""
ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$"


@unittest.skipIf(redisserver.MISSING, redisserver.MISSING)
class Jobs(HomeCase):
    def setUp(self):
        super().setUp()
        self.redis = redisserver.Server(self)
        self.environment["NOVA_REDIS_ADDR"] = str(self.redis.path)
        self.environment["NOVA_REDIS_TIMEOUT"] = "5s"

    def submit(self, function, event, *words):
        return self.novactl_json("job", "submit", function, "-p", json.dumps(event), *words)

    def job(self, job):
        return self.novactl_json("job", "get", job["id"])

    def test_a_job_is_handed_in_performed_and_shown(self):
        self.register("double", DOUBLE)
        text = self.novactl("job", "submit", "double", "-p", '{"n": 4}').stdout
        self.assertRegex(text, ID)
        job = self.submit("double", {"n": 5}, "--key", "five", "--attempts", "2", "--keep", "1h")
        self.assertEqual(self.submit("double", {"n": 5}, "--key", "five")["id"], job["id"])
        self.refuses("another payload", "job", "submit", "double", "-k", "five")
        self.assertEqual((job["state"], job["most_attempts"], job["payload"]),
                         ("waiting", 2, {"n": 5}))
        done = self.novactl("job", "work", "--wait", "0").stdout.splitlines()
        self.assertEqual(done, [f"{text.strip()} double done", f"{job['id']} double done"])
        self.assertEqual(self.job(job)["output"], {"n": 10})
        shown = self.novactl("job", "get", text.strip()).stdout
        for part in (r"State: +done", r"Attempts: +1 of 3", r'"n": 8'):
            self.assertRegex(shown, part)
        self.assertEqual(self.novactl("job", "work", "--wait", "0").stdout, "")

    def test_a_job_that_fails_for_good_says_why(self):
        self.register("fails", "def handler(event):\n    raise ValueError('no')\n")
        job = self.submit("fails", {}, "--attempts", "2")
        lines = self.novactl("--json", "job", "work", "-w", "0", "-n", "2").stdout.splitlines()
        self.assertEqual([json.loads(line)["state"] for line in lines], ["waiting", "dead"])
        self.assertIn("ValueError: no", self.job(job)["error"])
        self.assertIn("ValueError: no", self.novactl("job", "get", job["id"]).stdout)

    def test_jobs_are_listed(self):
        self.register("double", DOUBLE)
        self.register("other", DOUBLE)
        self.assertEqual(self.novactl_json("job", "list"), [])
        first = self.submit("double", {"n": 1})
        self.novactl("job", "work", "--wait", "0")
        second, third = self.submit("other", {"n": 2}), self.submit("double", {"n": 3})
        for words, jobs in (((), (third, second, first)), (("double",), (third, first)),
                            (("-s", "done"), (first,)), (("-s", "waiting"), (third, second)),
                            (("-s", "done", "-s", "waiting", "-n", "2"), (third, second)),
                            (("--owner", ""), (third, second, first)),
                            (("--owner", "ann"), ())):
            found = self.novactl_json("job", "list", *words)
            self.assertEqual([job["id"] for job in found], [job["id"] for job in jobs], words)
            self.assertFalse(any("payload" in job or "output" in job for job in found))
        shown = self.novactl("job", "list", "-n", "2")
        self.assertRegex(shown.stdout, f"^ID .*\n{third['id']} +double +waiting +0 of 3 .*\n"
                                       f"{second['id']} +other .*\n$")
        self.assertIn("There may be more", shown.stderr)
        self.assertNotIn("more", self.novactl("job", "list", "-n", "4").stderr)
        self.refuses("not 'gone'", "job", "list", "--state", "gone", status=2)
        self.refuses("function:", "job", "list", "", status=2)
        self.redis.stop()
        self.refuses("is away", "job", "list")

    def test_what_is_no_job_is_refused(self):
        self.register("double", DOUBLE)
        self.refuses("there is no function 'nobody'", "job", "submit", "nobody")
        self.refuses("JSON", "job", "submit", "double", "-p", "{", status=2)
        self.refuses("it is no id of a job", "job", "get", "x", status=2)
        self.refuses("whole seconds", "job", "submit", "double", "--keep", "1500ms", status=2)
        self.refuses("lease_ms is 5", "job", "submit", "double", "--lease", "5ms",
                     status=2)
        del self.environment["NOVA_REDIS_ADDR"], self.environment["NOVA_REDIS_TIMEOUT"]
        self.refuses("setting 'redis.addr'", "job", "work")
        self.refuses("is away", "--redis", self.directory / "none.sock", "job", "work")

    def work(self, *words):
        """A worker that goes on."""
        return self.start_program(NOVACTL, "job", "work", "--json", *words)

    def test_a_job_whose_worker_is_killed_is_performed_by_another(self):
        self.register("slow", SLOW)
        begun = self.directory / "begun"
        job = self.submit("slow", {"file": str(begun)}, "--lease", "1s")
        worker = self.work()
        await_that(begun.exists, "the job has begun")
        worker.kill()
        worker.wait()
        done = json.loads(self.work("-n", "1").stdout.readline())
        self.assertEqual((done["id"], done["state"], done["output"], done["attempts"]),
                         (job["id"], "done", "second", 2))

    def test_a_signal_ends_a_worker_and_its_job_waits_again(self):
        self.register("slow", SLOW)
        begun = self.directory / "begun"
        job = self.submit("slow", {"file": str(begun)})
        worker = self.work()
        await_that(begun.exists, "the job has begun")
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(worker.wait(60), 0)
        self.assertEqual((self.job(job)["state"], self.job(job)["attempts"]), ("waiting", 0))
        self.assertTrue(self.nothing_runs())

    def test_a_worker_goes_on_when_its_server_is_back(self):
        self.register("double", DOUBLE)
        worker = self.work()
        self.submit("double", {"n": 1})
        self.assertEqual(json.loads(worker.stdout.readline())["output"], {"n": 2})
        self.redis.stop()
        self.assertIn("waiting until it is back", worker.stderr.readline())
        self.redis.start()
        self.submit("double", {"n": 2})
        self.assertEqual(json.loads(worker.stdout.readline())["output"], {"n": 4})
        worker.send_signal(signal.SIGINT)
        self.assertEqual(worker.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
