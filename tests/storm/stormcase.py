# SPDX-License-Identifier: MIT
"""A state directory in which things are killed, and what must hold of it afterwards."""
import os
import time

import storm
from daemoncase import DaemonCase
from model import Model
from novatest import BUILD

VICTIM = BUILD / "tests/storm/victim"
KEEPS = {
    "fake": "echo null",
    # What it was told last stays in its guest; the answer is what that was before.
    "qemu": 'cat /tmp/told 2>/dev/null || echo null; cat "$1" >/tmp/told',
}


class StormCase(DaemonCase):
    def set_up_storm(self, engine, what, hot="off"):
        self.environment.update(NOVA_ENGINE=engine, TMPDIR=str(self.directory / "tmp"),
                                NOVA_POOL_HOT=hot)
        (self.directory / "tmp").mkdir()
        self.engine = engine
        self.rng = storm.chance(f"{what} on {engine}, hot {hot}")
        storm.adopt_orphans()
        self.model = Model()
        network = "nat" if storm.own_network() and engine != "fake" else "none"
        self.register("keeps", KEEPS[engine], "shell", "--network", network)
        if engine != "fake":
            self.environment["NOVA_POOL_STANDBY"] = "0" if hot == "off" else "2"
            self.novactl("template", "build", "keeps")
        storm.await_all_children()
        self.model.find(self.ask())
        self.model.templates = dict.fromkeys(self.model.templates, "keeps")
        self.traces = storm.trace(self)

    def rounds(self, kills):
        """Rounds until so many have been killed."""
        done, count, begin = 0, 0, time.monotonic()
        while done < kills:
            try:
                done += self.round()
            except AssertionError as error:
                where = f"round {count}, NOVA_TEST_SEED={storm.SEED}"
                raise AssertionError(f"{where}: {error}") from error
            count += 1
        seconds = time.monotonic() - begin
        print(f"# note: {done} kills in {count} rounds, {seconds:.0f} s; {self.model.counts}"
              f" {self.model.paths}", flush=True)

    def ask(self):
        """What is there, as its next user finds it."""
        process, lines = storm.start_logged([VICTIM, "{log}", "check"], self.environment)
        said = lines.take_rest()
        self.assertEqual(process.wait(), 0, said)
        return said

    def check(self):
        storm.await_all_children()
        self.model.find(self.ask())
        storm.await_all_children()
        self.assertEqual(self.traces.now(), self.traces.before)
        self.assertTrue(self.nothing_runs(), list((self.home / "run").iterdir()))
        self.assertEqual(os.listdir(self.directory / "tmp"), [])
        self.assertEqual(self.strange_files(), [])

    def strange_files(self):
        """Files of the state directory that belong to nothing."""
        return [str(path.relative_to(self.home)) for path in self.home.rglob("*")
                if "tmp" in path.name or path.name.startswith(".make")]
