# SPDX-License-Identifier: MIT
"""Clones by thousands in one daemon at full load, each made, answered and ended: none fails, and
nothing is left of them."""
import json
import os
import pathlib
import random
import threading
import time

import storm
from daemoncase import DaemonCase, Peer
from novatest import await_that

CLONES = 100000 if storm.LONG else 1000
CALLERS = 4
# Until then each of them has been made its zygote, the log is open, and all buffers have grown.
WARM = 200
MOST_GROWTH_KB = 16 << 10
MOST_DESCRIPTORS = 8
FUNCTIONS = {
    "add": ("python", "def handler(event):\n    return event['n'] + 1\n"),
    "own": ("python", "import os\nknown = []\ndef handler(event):\n    known.append(event['n'])\n"
                      "    return known\n"),
    "shell": ("shell", 'cat "$1"\n'),
}
ANSWERS = {"add": lambda n: n + 1, "own": lambda n: [n], "shell": lambda n: {"n": n}}
# Of a host that has too much to do; then the classic way is right.
BUSY = ("rest", "in time", "none is there yet", "no zygote stands yet")


def usage(pid):
    """Descriptors, and resident memory in KB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{pid}/fd")), int(resident.split()[1])


class Caller(threading.Thread):
    """Calls of its own, one after the other."""

    def __init__(self, case, rng, count):
        super().__init__()
        self.case, self.rng, self.count = case, rng, count
        self.paths, self.failures = {}, []

    def call(self, name, number):
        peer = Peer(self.case.socket)
        peer.socket.settimeout(storm.HANG_S)
        try:
            peer.begin(name, json.dumps({"n": number}), fresh=True, json=True)
            texts, reply = peer.reply()
        finally:
            peer.close()
        result = json.loads(texts["result"]) if "result" in texts else {}
        if result.get("output") != ANSWERS[name](number):
            self.failures.append(f"{name} {number}: {reply} {texts}")
        why = f"{result.get('path')} {result.get('path_why')}"
        self.paths[why] = self.paths.get(why, 0) + 1

    def run(self):
        for number in range(self.count):
            try:
                self.call(self.rng.choice(sorted(FUNCTIONS)), number)
            except (OSError, EOFError) as error:
                self.failures.append(f"{number}: {error!r}")
            if len(self.failures) > 20:
                return


class Soak(DaemonCase):
    def calls(self, count):
        """How each VM came, and why not in a better way: how often."""
        callers = [Caller(self, random.Random(self.rng.random()), count // CALLERS)
                   for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.assertEqual([text for caller in callers for text in caller.failures], [])
        paths = {}
        for caller in callers:
            for why, times in caller.paths.items():
                paths[why] = paths.get(why, 0) + times
        return paths

    def at_rest(self, daemon):
        """What daemon and keeper use once all calls are over."""
        def rests():
            pool = self.status()["pool"]
            return pool["busy"] + pool["idle"] + pool["starting"] == 0

        await_that(rests, "all clones have gone", storm.HANG_S)
        keeper = storm.keeper_of(daemon.pid)
        return {"daemon": usage(daemon.pid), "keeper": usage(keeper),
                "VMMs": len(storm.children(keeper))}

    def test_thousands_of_clones_leave_nothing_behind(self):
        self.environment.update(NOVA_ENGINE="qemu", NOVA_POOL_HOT="auto", NOVA_LOG="info")
        self.rng = storm.chance("soak")
        storm.adopt_orphans()
        traces = storm.trace(self)
        for name, (runtime, code) in FUNCTIONS.items():
            self.register(name, code, runtime)
        daemon = self.daemon("--idle-ttl", "1h")
        self.calls(WARM)
        await_that(lambda: self.status()["pool"]["zygotes"] >= len(FUNCTIONS), "all stand",
                   storm.HANG_S)
        before, begin = self.at_rest(daemon), time.monotonic()
        paths = self.calls(CLONES)
        seconds = time.monotonic() - begin
        after = self.at_rest(daemon)
        print(f"# note: {CLONES} clones in {seconds:.0f} s; {paths}; before {before}, "
              f"after {after}", flush=True)
        self.assertEqual({why for why in paths if why.startswith("classic") and
                          not any(word in why for word in BUSY)}, set(), paths)
        self.assertGreater(sum(times for why, times in paths.items()
                               if not why.startswith("classic")), CLONES * 0.9)
        for who in ("daemon", "keeper"):
            self.assertLessEqual(after[who][0], before[who][0] + MOST_DESCRIPTORS, who)
            self.assertLess(after[who][1], before[who][1] + MOST_GROWTH_KB, who)
        self.stop(daemon)
        storm.await_all_children()
        self.assertEqual(traces.now(), traces.before)
        self.assertTrue(self.nothing_runs(), list((self.home / "run").iterdir()))
