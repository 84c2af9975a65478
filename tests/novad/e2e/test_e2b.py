# SPDX-License-Identifier: MIT
"""E2B's SDK with real microVMs: sandboxes that run, stand still and go on."""
import json
import os
import random
import threading
import unittest

from e2bcase import E2bCase
from novatest import NOVACTL, await_that

LONG = bool(os.environ.get("NOVA_TEST_LONG"))


class RealSandbox(E2bCase):
    engine = "qemu"
    words = ("--max-sandboxes", "6", "--key-sandboxes", "5", "--event-retry", "100ms")

    def setUp(self):
        super().setUp()
        done = self.run_program(NOVACTL, "--json", "image", "check")
        if done.returncode:
            error = json.loads(done.stderr)["error"]
            self.assertEqual(error["name"], "NOVA_ENOTFOUND", error["message"])
            self.skipTest(error["message"])

    def test_one_runs_is_paused_goes_on_and_is_forked(self):
        process = self.sandboxes(*self.words)
        sandbox = self.create(request_timeout=600, timeout=3600)
        options = {"request_timeout": 600}
        run, files = sandbox.commands.run, sandbox.files
        done = run("python3 -c 'print(6 * 7)'; uname -s; a=(1 2); echo ${#a[@]}; pwd >&2",
                   timeout=300)
        self.assertEqual((done.stdout, done.stderr), ("42\nLinux\n2\n", "/tmp\n"))
        files.write("deep/er/a", "kept\n", **options)
        self.assertEqual(run("cat /tmp/deep/er/a", timeout=300).stdout, "kept\n")
        self.assertFalse(files.make_dir("deep/er", **options))
        moved = files.rename("deep/er/a", "b c", **options)
        self.assertEqual((moved.path, moved.size), ("/tmp/b c", 5))
        self.raises(self.e2b.SandboxException, "", files.write, "/etc/x", "x", **options)

        handle = run("echo on; sleep 1000", background=True, timeout=0)
        self.assertEqual(next(iter(handle))[0], "on\n")
        self.raises(self.e2b.SandboxException, "1 commands", sandbox.pause, **options)
        self.assertTrue(handle.kill())
        self.assertEqual(run(f"kill -0 {handle.pid} 2>/dev/null || echo gone", timeout=300).stdout,
                         "gone\n")

        self.assertTrue(sandbox.pause(**options))
        self.assertFalse(sandbox.pause(**options))  # as the SDK has it: it was paused before
        self.assertEqual(sandbox.get_info().state.value, "paused")
        self.raises(self.e2b.TimeoutException, "it is paused", run, "true")
        self.assertFalse(sandbox.is_running())
        self.assertEqual(self.gets(200, "GET", "/api/v1/instances")["instances"], [])
        self.change_template()
        process = self.is_killed_and_starts_again(process)
        self.assertEqual(self.e2b.Sandbox.get_info(sandbox.sandbox_id).state.value, "paused")
        again = self.e2b.Sandbox.connect(sandbox.sandbox_id, timeout=3600, **options)
        self.assertEqual(again.files.read("b c", **options), "kept\n")
        record = self.home / "novad/sandboxes" / again.sandbox_id
        self.assertFalse(record.exists())
        blocked = record.with_name("new.tmp")
        blocked.mkdir()  # no record can be written now
        self.raises(self.e2b.SandboxException, "it runs on", again.pause, **options)
        blocked.rmdir()
        self.assertEqual(again.files.read("b c", **options), "kept\n")
        self.assertLessEqual(len(self.snapshots()), 1)  # that which it goes on from

        late = self.create(timeout=3600, **options)
        late.files.write("mine", "late", **options)
        self.change_template()
        self.raises(self.e2b.SandboxException, "has been changed", late.pause, **options)
        self.raises(self.e2b.SandboxException, "has been changed", late.fork, **options)
        self.assertEqual(late.files.read("mine", **options), "late")  # it runs on
        self.assertTrue(late.kill(**options))

        *forks, refused = again.fork(count=5, timeout=3600, **options)
        self.assertIsInstance(refused, self.e2b.RateLimitException)
        for fork in forks[2:]:
            self.assertTrue(fork.kill(**options))
        forks = forks[:2]
        for name, fork in zip("xy", forks):
            fork.files.write("own", name, **options)
        self.assertEqual([fork.files.read("own", **options) for fork in forks], ["x", "y"])
        self.assertEqual([fork.files.read("b c", **options) for fork in forks], ["kept\n"] * 2)
        self.assertFalse(again.files.exists("own", **options))
        self.assertEqual(len({s.sandbox_id for s in self.e2b.Sandbox.list().next_items()}), 3)
        idle = self.e2b.Sandbox.create(timeout=3600, lifecycle={"on_timeout": "pause"}, **options)
        idle.commands.run("sleep 1000", background=True, timeout=0)
        idle.files.write("mine", "idle", **options)
        self.change_template()
        idle.set_timeout(0)
        await_that(lambda: idle.get_info().state.value == "paused", "its time is over", 300)
        process = self.is_killed_and_starts_again(process)  # what runs is lost, and cleared up
        self.assertEqual([s.sandbox_id for s in self.e2b.Sandbox.list().next_items()],
                         [idle.sandbox_id])
        self.assertEqual([s["name"][4:24] for s in self.snapshots()], [idle.sandbox_id])
        idle = self.e2b.Sandbox.connect(idle.sandbox_id, timeout=3600, **options)
        self.assertEqual(idle.files.read("mine", **options), "idle")
        self.assertEqual(idle.commands.list(), [])

        before = self.snapshots()  # that which it goes on from
        raw = self.raw(self.head("POST", f"/sandboxes/{idle.sandbox_id}/fork",
                                 "Content-Length: 11") + b'{"count":3}')
        await_that(lambda: len(self.snapshots()) > len(before), "it is being forked", 300)
        raw.close()
        await_that(lambda: len(self.snapshots()) <= len(before), "nobody waits for the forks", 300)
        self.assertEqual([s.sandbox_id for s in self.e2b.Sandbox.list().next_items()],
                         [idle.sandbox_id])

        place = self.home / "snapshots"
        place.rename(self.home / "away")
        place.touch()  # nothing can be paused now
        idle.set_timeout(0)
        await_that(lambda: not self.e2b.Sandbox.list().next_items(), "it is given up", 300)
        await_that(lambda: not self.gets(200, "GET", "/api/v1/instances")["instances"],
                   "its instance has ended")
        self.stops(process)

    @unittest.skipUnless(LONG, "takes minutes: NOVA_TEST_LONG=1")
    def test_whenever_it_is_killed_what_is_paused_is_there_and_nothing_else(self):
        seed = int(os.environ.get("NOVA_TEST_SEED") or random.randrange(1 << 31))
        print(f"# seed {seed}", flush=True)
        dice = random.Random(seed)
        process, options = self.sandboxes(*self.words), {"request_timeout": 600}
        for _ in range(5):
            made = [self.create(timeout=3600, **options) for _ in range(2)]

            def live(sandbox):
                try:
                    while True:
                        sandbox.files.write("n", "there", **options)
                        sandbox.pause(**options)
                        sandbox.connect(timeout=3600, **options)
                except Exception:  # pylint: disable=broad-exception-caught
                    pass  # novad has been killed
            threads = [threading.Thread(target=live, args=(one,)) for one in made]
            paused = self.create(timeout=3600, **options)
            paused.files.write("n", "here", **options)
            paused.pause(**options)
            for thread in threads:
                thread.start()
            threading.Event().wait(dice.uniform(0, 30))
            process = self.is_killed_and_starts_again(process)
            for thread in threads:
                thread.join()
            there = {s.sandbox_id for s in self.e2b.Sandbox.list().next_items()}
            records = {path.name for path in (self.home / "novad/sandboxes").iterdir()
                       if "." not in path.name}
            self.assertIn(paused.sandbox_id, there, f"seed {seed}")
            self.assertLessEqual(there, {one.sandbox_id for one in (*made, paused)})
            self.assertEqual((records, sorted(s["name"][4:24] for s in self.snapshots())),
                             (there, sorted(there)), f"seed {seed}")
            for identity in there:
                again = self.e2b.Sandbox.connect(identity, timeout=3600, **options)
                self.assertTrue(again.files.read("n", **options))
                self.assertTrue(again.kill(**options))
        self.assertEqual(self.snapshots(), [])
        self.stops(process)

    def is_killed_and_starts_again(self, process):
        process.kill()
        process.wait()
        await_that(self.nothing_runs, "its VMs have ended with it")
        return self.sandboxes(*self.words)

    def snapshots(self):
        return self.gets(200, "GET", "/api/v1/snapshots")["snapshots"]

    def change_template(self):
        function = self.gets(200, "GET", "/api/v1/functions/base")
        self.gets(200, "PATCH", "/api/v1/functions/base",
                  {"env_vars": {"CHANGED": str(function["version"])}})
