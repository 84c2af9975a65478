# SPDX-License-Identifier: MIT
"""SIGKILL at random instants: nothing is left, and what was acknowledged can be used."""
import time

import storm
from stormcase import VICTIM, StormCase

SLOTS = "ab"
# Calls within which somebody is killed, and how long after their beginning at most.
MOMENTS = {
    "fake": {"open": 0.02, "register": 0.02, "delete": 0.01, "invoke": 0.05, "start": 0.05,
             "stop": 0.03},
    "qemu": {"open": 0.02, "register": 0.05, "delete": 0.01, "invoke": 0.4, "start": 0.4,
             "stop": 0.1, "snapshot": 0.8, "branch": 0.4, "fork": 0.5, "drop": 0.02, "build": 1.5,
             "prune": 0.02},
}
RUNS = ("invoke", "snapshot", "branch", "fork")


class Victim:
    def __init__(self, slot, engine, verb, rng, environment):
        self.slot, self.verb = slot, verb
        threads = 2 if engine == "fake" else 1
        self.worker = f"{slot}0" if threads == 1 else None
        self.process, self.lines = storm.start_logged(
            [VICTIM, "{log}", rng.randrange(1 << 20), slot, threads, engine, verb], environment)

    def is_in_verb(self, line):
        """It speaks of its first worker."""
        return line.startswith(f"B {self.slot}0 {self.verb}")

    def hear(self, model, seconds):
        lines = self.lines.take(seconds)
        for line in lines:
            model.hear(line, self.worker)
        if self.lines.ended:
            raise AssertionError(f"a victim has ended by itself: {self.process.wait()}")
        return lines


class StormOfKills(StormCase):
    def storm(self, engine, kills, hot="off"):
        self.victims, self.hot = [], hot == "auto"
        self.set_up_storm(engine, "kills", hot)
        self.rounds(kills)

    def end_all(self):
        super().end_all()
        for victim in self.victims:
            storm.kill(victim.process.pid)
            victim.process.wait()

    # --- one round

    def hear_until(self, holds):
        """Listens to all victims until one says something for which that holds; who it was."""
        end = time.monotonic() + storm.HANG_S
        while time.monotonic() < end:
            for victim in self.victims:
                for line in victim.hear(self.model, 0.01):
                    if holds(victim, line):
                        return victim
        raise AssertionError(f"nothing of the kind was said for {storm.HANG_S} s")

    def hear_for(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for victim in self.victims:
                victim.hear(self.model, left / 2)

    def await_moment(self, victim):
        """A random instant in the call that it begins with."""
        longest = MOMENTS[self.engine][victim.verb]
        if victim.verb != "open":
            self.hear_until(lambda speaker, line: speaker is victim and victim.is_in_verb(line))
        self.hear_for(longest * self.rng.random())

    def wound(self, victim):
        """Kills a keeper or a VMM of it, if there is one, and awaits that it is served again."""
        keeper = storm.keeper_of(victim.process.pid)
        vmms = storm.children(keeper) if keeper else []
        target = keeper if self.rng.random() < 0.5 else self.rng.choice(vmms) if vmms else None
        if target is None:
            return 0
        self.model.wounded.add(victim.slot)
        storm.kill(target)
        runs = set()  # workers with a call that began after that

        def is_served(speaker, line):
            kind, worker, what, *_ = (line + "  ").split(" ")
            if kind == "B" and speaker is victim and what in RUNS:
                runs.add(worker)
            return kind == "E" and what == "NOVA_OK" and worker in runs

        self.hear_until(is_served)
        return 1

    def wounds(self):
        """How often, before its host is killed. Zygotes are made anew meanwhile."""
        return self.rng.randrange(6) if self.hot else self.rng.randrange(2)

    def end_victim(self, victim):
        """Kills the host, sometimes with its keeper first."""
        keeper = storm.keeper_of(victim.process.pid)
        if keeper and self.rng.random() < 0.2:
            storm.kill(keeper)
            self.model.wounded.add(victim.slot)
        storm.kill(victim.process.pid)
        victim.process.wait()
        self.victims.remove(victim)
        for line in victim.lines.take_rest():
            self.model.hear(line, victim.worker)

    def round(self):
        """How many were killed."""
        for slot in SLOTS:
            verb = self.rng.choice(sorted(MOMENTS[self.engine]))
            self.victims.append(Victim(slot, self.engine, verb, self.rng, self.environment))
        first, other = self.rng.sample(self.victims, 2)
        self.await_moment(first)
        kills = sum(self.wound(first) for _ in range(self.wounds()))
        self.end_victim(first)
        self.hear_until(lambda _victim, line: line.startswith("E "))  # the other one goes on
        self.hear_for(self.rng.random() * 0.02)
        self.end_victim(other)
        self.check()
        return kills + len(SLOTS)


class Fake(StormOfKills):
    def test_kills_leave_nothing_and_lose_nothing(self):
        self.storm("fake", 400 if storm.LONG else 40)


class Qemu(StormOfKills):
    def test_kills_leave_nothing_and_lose_nothing(self):
        self.storm("qemu", 400 if storm.LONG else 16)


class Hot(StormOfKills):
    """Zygotes, children, and children that wait to be born are among those who are killed."""

    def test_kills_leave_nothing_and_lose_nothing(self):
        self.storm("qemu", 500 if storm.LONG else 30, "auto")
        paths = self.model.paths
        self.assertTrue({"hot ", "parked "} <= paths.keys(), paths)
