# SPDX-License-Identifier: MIT
"""Sandboxes that were paused when novad ended, however that was. Pausing them is in novad/e2e."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import threading
import time

from novadcase import NovadCase
from novatest import await_that

ALICE, BOB = "alice-has-this-key", "bob-has-this-key"
FIRST, SECOND, THIRD = "a" * 20, "b" * 20, "c" * 20


class PausedCase(NovadCase):
    def setUp(self):
        super().setUp()
        self.keys = self.write("keys.txt", f"alice={ALICE}\nbob={BOB}\n")
        self.keys.chmod(0o600)
        self.records = self.home / "novad/sandboxes"
        self.records.mkdir(parents=True)

    def plant(self, identity, number, snapshot=True, **changed):
        """One that a novad before has paused; gives what its record says."""
        record = {"format": 1, "number": number,
                  "owner": hashlib.sha256(ALICE.encode()).hexdigest(), "key": "alice",
                  "token": "0" * 64, "function": "base", "template": "f" * 32, "version": 1,
                  "snapshot": f"e2b-{identity}-{number:08x}", "auto_pause": True, "cpus": 1,
                  "memory_mb": 512, "room": 15, "started_us": 1_000_000,
                  "paused_us": time.time_ns() // 1000, "ends_us": 2_500_000,
                  "metadata": {"n": str(number)}, "envs": {"A": "1"}, **changed}
        if snapshot:
            self.plant_snapshot(f"{number:016x}", record["snapshot"])
        (self.records / identity).write_text(json.dumps(record), encoding="utf-8")
        return record

    def starts(self, *words):
        return self.novad("--e2b", "--key-file", self.keys, *words)

    def dies(self, process):
        process.kill()
        process.wait()

    def asks(self, method, path, body=None, who=ALICE):
        return self.ask(method, path, body, key=False, x_api_key=who)

    def paused(self, who=ALICE):
        found = self.asks("GET", "/v2/sandboxes", who=who).json()
        self.assertEqual({s["state"] for s in found} - {"paused"}, set())
        return [s["sandboxID"] for s in found]

    def on_disk(self):
        """The ids of those that have a record, and the names of snapshots."""
        records = sorted(path.name for path in self.records.iterdir() if "." not in path.name)
        names = [json.loads((path / "manifest.json").read_text(encoding="utf-8"))["name"]
                 for path in (self.home / "snapshots").iterdir()
                 if (path / "manifest.json").exists()]
        return records, sorted(names)


class Paused(PausedCase):
    def test_they_are_there_again_for_their_key_as_they_were(self):
        self.plant(FIRST, 1)
        self.plant(SECOND, 7, function="base:3", version=3, auto_pause=False)
        self.starts()
        self.assertEqual(self.paused(), [SECOND, FIRST])
        self.assertEqual(self.paused(BOB), [])
        first = self.asks("GET", f"/sandboxes/{FIRST}").json()
        self.assertEqual((first["memoryMB"], first["startedAt"], first["endAt"][:19],
                          first["envdAccessToken"], first["metadata"], first["lifecycle"]),
                         (512, "1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02", "0" * 64,
                          {"n": "1"}, {"autoResume": False, "onTimeout": "pause"}))
        second = self.asks("GET", f"/sandboxes/{SECOND}").json()
        self.assertEqual((second["templateID"], second["lifecycle"]["onTimeout"]),
                         ("base:3", "kill"))
        made = self.asks("POST", "/v2/sandboxes", {"templateID": "base"}).json()["sandboxID"]
        found = self.asks("GET", "/v2/sandboxes").json()
        self.assertEqual([s["sandboxID"] for s in found], [made, SECOND, FIRST])
        self.assertIn("sandboxes that are paused: 2\n", self.log())

    def test_another_key_is_told_that_there_is_none(self):
        self.plant(FIRST, 1)
        self.starts()
        for method, path, body in (("GET", "", None), ("DELETE", "", None),
                                   ("POST", "/connect", {"timeout": 10}),
                                   ("POST", "/pause", {}), ("POST", "/fork", {"count": 1}),
                                   ("POST", "/timeout", {"timeout": 10})):
            prefix = "/v2" if path == "/connect" else ""
            answer = self.asks(method, f"{prefix}/sandboxes/{FIRST}{path}", body, BOB)
            self.assertEqual(answer.status, 404, f"{path}: {answer}")
        self.assertEqual(self.paused(), [FIRST])

    def test_one_that_is_killed_is_gone_for_ever(self):
        self.plant(FIRST, 1)
        self.plant(SECOND, 2)
        process = self.starts()
        self.assertEqual(self.asks("DELETE", f"/sandboxes/{FIRST}").status, 204)
        self.assertEqual(self.on_disk(), ([SECOND], [f"e2b-{SECOND}-00000002"]))
        self.dies(process)
        self.starts()
        self.assertEqual(self.paused(), [SECOND])

    def test_they_count_against_what_their_key_may_have(self):
        self.plant(FIRST, 1)
        self.plant(SECOND, 2)
        self.starts("--max-sandboxes", "4", "--key-sandboxes", "2")
        refused = self.asks("POST", "/v2/sandboxes", {"templateID": "base"})
        self.assertEqual(refused.status, 429, refused)
        self.assertIn("this key has 2 sandboxes", refused.json()["message"])
        self.assertEqual(self.asks("POST", "/v2/sandboxes", {"templateID": "base"},
                                   BOB).status, 201)
        self.asks("DELETE", f"/sandboxes/{FIRST}")
        self.assertEqual(self.asks("POST", "/v2/sandboxes", {"templateID": "base"}).status, 201)

    def plant_clock(self, **changed):
        """What a novad before has kept of the time that has passed; gives what it was then."""
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        at = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        clock = {"boot": boot, "at_ms": at, "elapsed_ms": 8_000_000, **changed}
        (self.home / "novad/clock").mkdir(exist_ok=True)
        (self.home / "novad/clock/elapsed").write_text(json.dumps(clock), encoding="utf-8")
        return clock["elapsed_ms"]

    def test_what_was_paused_for_too_long_is_killed(self):
        now = self.plant_clock()
        self.plant(FIRST, 1, paused_at_ms=now - 3_700_000)
        self.plant(SECOND, 2, paused_at_ms=now - 3_500_000)
        self.starts("--paused-timeout", "1h")
        await_that(lambda: self.on_disk() == ([SECOND], [f"e2b-{SECOND}-00000002"]),
                   "it has been swept, with its snapshot")
        self.assertEqual(self.paused(), [SECOND])

    def test_a_calendar_that_is_wrong_ends_nothing_that_is_paused(self):
        now = self.plant_clock()
        self.plant(FIRST, 1, paused_us=1_000_000, paused_at_ms=now)  # as if in 1970
        self.plant(SECOND, 2, paused_us=1_000_000)  # of a novad that went by the calendar
        self.plant(THIRD, 3, paused_us=time.time_ns() // 1000 + 10**13,
                   paused_at_ms=now - 3_700_000)  # the calendar was in the future
        self.starts("--paused-timeout", "1h")
        await_that(lambda: THIRD not in self.on_disk()[0], "what is over has been swept")
        self.assertEqual(self.on_disk()[0], [FIRST, SECOND])

    def test_time_in_which_the_host_was_off_does_not_count(self):
        now = self.plant_clock(boot="of-another-boot", at_ms=1)
        self.plant(FIRST, 1, paused_at_ms=now - 3_500_000)
        self.plant(SECOND, 2, paused_at_ms=now - 3_700_000)
        process = self.starts("--paused-timeout", "1h")
        await_that(lambda: SECOND not in self.on_disk()[0], "what is over has been swept")
        self.assertEqual(self.on_disk()[0], [FIRST])
        self.dies(process)
        kept = json.loads((self.home / "novad/clock/elapsed").read_text(encoding="utf-8"))
        self.assertGreaterEqual(kept["elapsed_ms"], now)
        self.assertNotEqual(kept["boot"], "of-another-boot")

    def test_without_what_was_kept_of_the_time_it_counts_anew(self):
        self.plant(FIRST, 1, paused_at_ms=10**15)
        self.plant_clock()
        (self.home / "novad/clock/elapsed").write_text("{", encoding="utf-8")
        self.starts("--paused-timeout", "2s")
        await_that(lambda: not self.on_disk()[0], "it has been swept when that was over")

    def test_an_admin_ends_what_a_key_has_paused_that_is_gone(self):
        self.plant(FIRST, 1)
        self.plant(SECOND, 2)
        root = "root-has-a-key-of-its-own"
        self.keys.write_text(f"bob={BOB}\nroot={root} admin\n")
        self.starts()
        self.assertEqual(self.asks("DELETE", f"/sandboxes/{FIRST}", who=BOB).status, 404)
        self.assertEqual(self.asks("DELETE", f"/sandboxes/{FIRST}", who=root).status, 204)
        await_that(lambda: self.on_disk() == ([SECOND], [f"e2b-{SECOND}-00000002"]),
                   "it has gone, with its snapshot")

    def test_one_whose_template_is_gone_says_so_and_stays(self):
        self.plant(FIRST, 1)
        self.starts()
        connect = f"/v2/sandboxes/{FIRST}/connect"
        for attempt in range(2):
            refused = self.asks("POST", connect, {"timeout": 10})
            self.assertEqual(refused.status, 400, refused)
            self.assertIn("'base:1'", refused.json()["message"])
            self.assertIn("it stays paused", refused.json()["message"])
            if attempt == 0:  # another one of that name and version is not what it ran
                self.asks("POST", "/v2/sandboxes", {"templateID": "base"})
                self.novactl("version", "publish", "base")
        self.assertIn(FIRST, [s["sandboxID"] for s in self.asks("GET", "/v2/sandboxes").json()
                              if s["state"] == "paused"])
        self.assertEqual(self.on_disk()[0], [FIRST])

    def test_without_the_option_all_stays_as_it_is(self):
        self.plant(FIRST, 1)
        self.plant_snapshot("d" * 16, f"e2b-{'d' * 20}-00000001")
        before = self.on_disk()
        self.novad()
        self.assertEqual(self.on_disk(), before)


class Left(PausedCase):
    """What should not be on the disk, or not like that."""

    def test_what_no_sandbox_needs_is_deleted_and_nothing_else(self):
        self.plant(FIRST, 1)
        self.plant_snapshot("d" * 16, f"e2b-{FIRST}-99999999")  # of an earlier pause
        self.plant_snapshot("e" * 16, f"e2b-{'d' * 20}-00000001")
        for digit, name in zip("456", ("e2b-mine", f"e2b-{'d' * 20}-0000000g", "other")):
            self.plant_snapshot(digit * 16, name)
        (self.records / "new.tmp").write_text('{"format":', encoding="utf-8")
        self.starts()
        self.assertEqual(self.on_disk(), ([FIRST], sorted([
            f"e2b-{FIRST}-00000001", "e2b-mine", f"e2b-{'d' * 20}-0000000g", "other"])))
        self.assertIn("left: 2 snapshots\n", self.log())
        self.assertEqual(self.paused(), [FIRST])

    def test_one_that_a_key_has_called_so_is_no_sandboxs(self):
        self.plant_snapshot("d" * 16, f"e2b-{'d' * 20}-00000001")
        facts = self.home / "novad/snapshots"
        facts.mkdir(mode=0o700)
        (facts / ("d" * 16)).write_text('{"owner":"","of":"f","name":""}', encoding="utf-8")
        self.starts()
        self.assertEqual(self.on_disk()[1], [f"e2b-{'d' * 20}-00000001"])

    def test_one_without_its_snapshot_is_lost_and_told(self):
        self.plant(FIRST, 1, snapshot=False)
        self.plant(SECOND, 2)
        self.starts()
        self.assertEqual((self.paused(), self.on_disk()[0]), ([SECOND], [SECOND]))
        self.assertIn(f"the paused sandbox '{FIRST}' is lost, as its snapshot", self.log())

    def test_a_record_that_is_damaged_is_lost_with_its_snapshot(self):
        good = self.plant(FIRST, 1)
        for number, damage in enumerate((
                "", "[]", '{"format":1', json.dumps({**good, "token": "x"}),
                json.dumps({**good, "number": "1"}), json.dumps({**good, "envs": []}),
                json.dumps({**good, "key": "k" * 65}), json.dumps({**good, "snapshot": "other"}),
                json.dumps({**good, "snapshot": "../" * 11}), "x" * (2 << 20)), 2):
            identity = f"{number:020x}"
            self.plant(identity, number)
            (self.records / identity).write_text(damage, encoding="utf-8")
        self.plant(THIRD, 30, snapshot=False, snapshot_of="nobody")
        (self.records / THIRD).write_text(json.dumps(good), encoding="utf-8")  # two of one
        self.starts()
        self.assertEqual(self.on_disk()[1], ["e2b-" + FIRST + "-00000001"])
        self.assertEqual(len(self.paused()), 1)
        self.assertEqual(self.log().count("record is damaged"), 10, self.log())

    def test_what_cannot_be_read_or_is_of_another_version_stays(self):
        self.plant(FIRST, 1, format=2)
        self.plant(SECOND, 2)
        (self.records / SECOND).rename(self.directory / "away")
        (self.records / SECOND).symlink_to(self.directory / "away")  # as one that fails
        before = self.on_disk()
        process = self.starts()
        self.assertEqual(self.paused(), [])
        self.assertEqual(self.on_disk(), before)
        self.assertIn("of another version of novad", self.log())
        self.assertIn(f"sandboxes/{SECOND}': Too many levels", self.log())
        self.stops(process)
        (self.records / SECOND).unlink()
        (self.directory / "away").rename(self.records / SECOND)
        self.starts()
        self.assertEqual(self.paused(), [SECOND])

    def test_snapshots_that_cannot_be_listed_lose_none(self):
        self.plant(FIRST, 1)
        place = self.home / "snapshots"
        place.rename(self.home / "away")
        place.touch()
        process = self.starts()
        self.assertEqual((self.paused(), self.log().count("is lost")), ([FIRST], 0), self.log())
        self.stops(process)
        place.unlink()
        (self.home / "away").rename(place)
        self.starts()
        self.assertEqual(self.paused(), [FIRST])

    def test_a_place_that_cannot_be_read_keeps_novad_from_starting(self):
        shutil.rmtree(self.records)
        self.records.write_text("", encoding="utf-8")
        self.plant_snapshot("d" * 16, f"e2b-{'d' * 20}-00000001")
        self.refuses_to_start("novad/sandboxes", "--e2b", "--listen", "127.0.0.1:0")
        self.assertTrue((self.home / "snapshots" / ("d" * 16)).exists())

    def test_a_second_novad_touches_nothing(self):
        self.plant(FIRST, 1)
        process = self.starts()
        self.plant(SECOND, 2)
        self.plant_snapshot("d" * 16, f"e2b-{'d' * 20}-00000001")
        before = self.on_disk()
        self.refuses_to_start(f"process id {process.pid}", "--e2b", "--listen", "127.0.0.1:0")
        self.assertEqual((self.on_disk(), self.paused()), (before, [FIRST]))


class Killed(PausedCase):
    def test_whenever_it_is_killed_nobody_loses_one_and_nothing_is_left(self):
        """Many are killed at once, and so is novad, somewhere in that."""
        seed = int(os.environ.get("NOVA_TEST_SEED") or random.randrange(1 << 31))
        print(f"# seed {seed}", flush=True)
        dice = random.Random(seed)
        alive = {f"{number:020x}" for number in range(1, 41)}
        for number, identity in enumerate(sorted(alive), 1):
            self.plant(identity, number)
        for _ in range(4):
            process = self.starts()
            doomed = dice.sample(sorted(alive), 8)
            gone, at = set(), dice.randrange(9)

            def kill(number, doomed=doomed, gone=gone, at=at, process=process):
                if number == at:
                    self.dies(process)
                    return
                try:
                    if self.asks("DELETE", f"/sandboxes/{doomed[number % 8]}").status == 204:
                        gone.add(doomed[number % 8])
                except OSError:
                    pass  # nobody knows then
            threads = [threading.Thread(target=kill, args=(n,)) for n in range(9)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            process = self.starts()
            found = set(self.paused())
            self.assertEqual(found & gone, set(), f"seed {seed}")
            self.assertEqual(alive - found - set(doomed), set(), f"seed {seed}")
            records, snapshots = self.on_disk()
            self.assertEqual((records, [name[4:24] for name in snapshots]),
                             (sorted(found), sorted(found)), f"seed {seed}")
            alive = found
            self.dies(process)
