# SPDX-License-Identifier: MIT
"""Usage and prices: by an independent model, over kills, and with a disk that is full."""
import calendar
import fractions
import json
import math
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

import pgserver
from novatest import BUILD, NOVACTL, HomeCase

D = fractions.Fraction  # exact: what lies half way between two is rounded up
SEED = int(os.environ.get("NOVA_TEST_SEED") or random.randrange(1 << 31))
MODES = ("storage", "ephemeral", "cached", "checkpointed", "branched", "persistent")
TIMES = dict(zip(MODES, map(D, ("1", "1", "0.8", "1.2", "1.5", "2"))))
AMOUNTS = ("calls", "vcpu_us", "memory_mb_us", "disk_mb_us", "gpu_us", "egress_bytes",
           "ingress_bytes", "snapshot_kb_s", "lost")
GB = D(2**30)
ROOT = pathlib.Path(__file__).resolve().parents[2]


def nano(dollars):
    return math.floor(dollars * 10**9 + D(1, 2))


def items_of(rows):
    """As the seed has the prices: dollars for (mode, amounts)."""
    cpu = memory = gpu = snapshots = egress = D(0)
    for mode, used in rows:
        cpu += D("0.000024") * used["vcpu_us"] / 10**6 * TIMES[mode]
        memory += D("0.000003") * used["memory_mb_us"] / 1024 / 10**6 * TIMES[mode]
        gpu += D("0.50") * used["gpu_us"] / 3600 / 10**6 * TIMES[mode]
        snapshots += D("0.10") * used["snapshot_kb_s"] / 2**20 / (30 * 86400)
        egress += D("0.09") * used["egress_bytes"] / GB
    return {"cpu_nano": nano(cpu), "memory_nano": nano(memory), "gpu_nano": nano(gpu),
            "snapshot_nano": nano(snapshots), "egress_nano": nano(egress), "ingress_nano": 0}


def bill_of(rows):
    bill = items_of(rows)
    bill["subtotal_nano"] = subtotal = sum(bill.values())
    percent = 30 if subtotal >= 10**13 else 20 if subtotal >= 10**12 else \
        10 if subtotal >= 10**11 else 0
    bill["discount_nano"] = nano(D(subtotal) * percent / 100 / 10**9)
    bill["total_nano"] = subtotal - bill["discount_nano"]
    hours = D(3600 * 10**6)
    used = {name: sum(D(row[name]) for _, row in rows) for name in AMOUNTS}
    mcu = max(used["vcpu_us"] / hours, used["memory_mb_us"] / 1024 / hours / 4,
              used["disk_mb_us"] / 1024 / hours / 16)
    mcu += used["snapshot_kb_s"] / 2**30 / 3600 / 5
    bill["mcu_micro"] = math.floor(mcu * 10**6 + D(1, 2))
    bill["calls"] = int(used["calls"])
    return bill


def checksum(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return b"%016x" % (value ^ value >> 32)


class UsageCase(HomeCase):
    def setUp(self):
        super().setUp()
        self.environment["NOVA_USAGE_RECORD"] = "on"
        self.random = random.Random(SEED)
        self.journals = self.home / "usage"

    def line(self, us, mode, key="", function="", **amounts):
        numbers = [amounts.get(name, 0) for name in AMOUNTS]
        rest = "\t".join(map(str, (us, MODES.index(mode), key, function, *numbers))).encode()
        return checksum(rest) + b"\t" + rest + b"\n"

    def journal(self, data, name=None):
        self.journals.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.journals / f"{name or '%016x' % self.random.getrandbits(64)}.journal"
        path.write_bytes(data)
        return path

    def usage(self, *words, **named):
        return self.novactl_json("usage", *words, **named)

    def calls(self):
        return sum(row["calls"] for row in self.usage())


class Model(UsageCase):
    def test_random_usage_is_summed_up_and_billed_as_by_the_model(self):
        print(f"# NOVA_TEST_SEED={SEED}", flush=True)
        begin = calendar.timegm((2026, 10, 30, 0, 0, 0)) * 10**6
        records = []
        for _ in range(3000):
            most = 10 ** self.random.randrange(1, 13)
            amounts = {name: self.random.randrange(most) for name in AMOUNTS[1:8]}
            records.append((begin + self.random.randrange(4 * 86400 * 10**6),
                            self.random.choice(MODES), self.random.choice(["", "a", "ä b"]),
                            self.random.choice(["", "f", "g"]), {"calls": 1, **amounts}))
        lines = [self.line(us, mode, key, function, **amounts)
                 for us, mode, key, function, amounts in records]
        for i in range(0, 3000, 500):
            self.journal(b"".join(lines[i:i + 500]))
        sums = {}
        for us, mode, key, function, amounts in records:
            hour = us // (3600 * 10**6) * 3600 * 10**6
            row = sums.setdefault((hour, key, function, mode), dict.fromkeys(AMOUNTS, 0))
            for name in amounts:
                row[name] += amounts[name]
        found = self.usage("--by", "hour,key,function", "-n", "10000")
        self.assertEqual([(r["start_us"], r["key"], r["function"], MODES.index(r["mode"]))
                          for r in found],
                         [(*place[:3], MODES.index(place[3])) for place in sorted(
                             sums, key=lambda s: (s[0], s[1].encode(), s[2], MODES.index(s[3])))])
        for r in found:
            row = sums[r["start_us"], r["key"], r["function"], r["mode"]]
            self.assertEqual({name: r[name] for name in AMOUNTS}, row)
            self.assertEqual(r["cost_nano"], sum(items_of([(r["mode"], row)]).values()))
        for month in ("2026-10", "2026-11"):
            for key in (None, "", "a", "ä b"):
                rows = [(s[3], row) for s, row in sums.items() if key in (None, s[1]) and
                        time.strftime("%Y-%m", time.gmtime(s[0] // 10**6)) == month]
                words = [] if key is None else ["--key", key]
                bill = self.novactl_json("bill", "--month", month, *words)
                self.assertEqual({name: bill[name] for name in bill_of(rows)}, bill_of(rows))
        days = self.usage("--by", "day")
        self.assertEqual(sum(r["calls"] for r in days), 3000)
        self.assertEqual(len({r["start_us"] for r in days}), 4)
        self.assertEqual(len({r["start_us"] for r in self.usage("--by", "month")}), 2)
        self.assertEqual(list(self.journals.glob("*.journal")), [])  # nobody has them any more

    def test_the_prices_are_those_of_the_list(self):
        day = ["--duration", "86400s"]
        for item, amount, words in (
                ("cpu_nano", 24000, ["--duration", "1s", "--mode", "ephemeral"]),
                ("memory_nano", 3000, ["--duration", "1s", "--mode", "ephemeral", "-m", "1G"]),
                ("cpu_nano", 19200, ["--duration", "1s"]),
                ("cpu_nano", 28800, ["--duration", "1s", "--mode", "checkpointed"]),
                ("cpu_nano", 36000, ["--duration", "1s", "--mode", "branched"]),
                ("cpu_nano", 48000, ["--duration", "1s", "--mode", "persistent"]),
                ("cpu_nano", 8294400000, [*day, "--vcpus", "2", "--mode", "persistent"]),
                ("snapshot_nano", 100000000, ["--snapshots", "1G"]),
                ("egress_nano", 90000000, ["--egress", "1G"]),
                ("egress_nano", 45000000, ["--egress", "1M", "--calls", "512"]),
                ("ingress_nano", 0, day)):
            with self.subTest(words=words):
                bill = self.novactl_json("estimate", *words)
                self.assertEqual(bill[item], amount)
                self.assertEqual(bill["total_nano"],
                                 bill["subtotal_nano"] - bill["discount_nano"])
        for gigabytes, tier, percent in ((1111, "starter", 0), (1112, "growth", 10),
                                         (11111, "growth", 10), (11112, "scale", 20),
                                         (111111, "scale", 20), (111112, "enterprise", 30)):
            with self.subTest(gigabytes=gigabytes):
                bill = self.novactl_json("estimate", "--calls", str(gigabytes), "--egress", "1G")
                self.assertEqual((bill["tier"], bill["discount_percent"]), (tier, percent))
                self.assertEqual(bill["subtotal_nano"], gigabytes * 90000000)
                self.assertEqual(bill["discount_nano"], gigabytes * 90000000 * percent // 100)
        # 64 vCPU-h, 64 * 4 GB-h; a TB-h of a snapshot is a fifth
        named = {"environment": {"NOVA_USAGE_PLAN": "developer"}}
        bill = self.novactl_json("estimate", "--duration", "3600s", "--calls", "301", "--vcpus",
                                 "1", "-m", "4096", "--snapshots", "1024G", "--days", "30", **named)
        self.assertEqual(bill["mcu_micro"], 301 * 10**6 + 720 * 10**6 // 5)
        self.assertEqual((bill["plan"], bill["plan_mcu"], bill["plan_nano"]),
                         ("developer", 300, 0))
        self.assertEqual(bill["overage_nano"], 145 * 50000000)

    def test_what_is_too_much_is_said_and_nothing_wraps(self):
        self.refuses("more than can be counted", "estimate", "--calls", "4000000000",
                     "--duration", "1000h", "--vcpus", "32", "-m", "64G")
        now = int(time.time()) * 10**6
        self.journal(self.line(now, "cached", memory_mb_us=2**63 - 1, vcpu_us=2**63 - 1) +
                     self.line(now, "cached", calls=2**63 - 1))
        row, = self.usage()
        self.assertEqual((row["calls"], row["vcpu_us"]), (2**63 - 1, 2**63 - 1))
        self.assertEqual(row["cost_nano"], sum(items_of([("cached", row)]).values()))

    def sums_beyond_all_are_told_as_such(self):
        """A bill goes by days, none of which is too much; a list of all is told that it is."""
        begin = calendar.timegm((2026, 10, 10, 0, 0, 0)) * 10**6
        for _ in range(3):  # one hour, again and again
            self.journal(self.line(begin - 86400 * 10**6, "persistent", egress_bytes=2**62))
            rows = self.usage("--by", "hour")
        self.assertEqual(rows[0]["egress_bytes"], 2**63 - 1)
        for day in range(3):
            self.journal(self.line(begin + day * 86400 * 10**6, "cached", memory_mb_us=2**62,
                                   calls=1))
        rows = self.usage("--by", "day")
        self.assertEqual([r["memory_mb_us"] for r in rows], [0, 2**62, 2**62, 2**62])
        self.refuses("more than 2^63: ask for less time at once, as by day", "usage")
        bill = self.novactl_json("bill", "--month", "2026-10")
        model = bill_of([(r["mode"], r) for r in rows])
        self.assertEqual({name: bill[name] for name in model}, model)

    def test_sums_beyond_all_are_told_as_such(self):
        self.sums_beyond_all_are_told_as_such()

    def test_lines_that_are_none_count_as_nothing_and_are_told_of(self):
        now = int(time.time()) * 10**6
        good = self.line(now, "cached", calls=1)
        bad = good.replace(b"\tcached", b"").replace(b"\t1\t", b"\t9\t", 1)
        self.journal(good + bad + b"garbage\n\0\n" + good + good[:-5])
        self.journal(os.urandom(700000) + b"\n" + good)
        self.journal(good, "not-a-journal")
        done = self.novactl("--json", "usage")
        self.assertEqual(sum(row["calls"] for row in json.loads(done.stdout)), 3)
        self.assertIn("damaged", done.stderr)

    def test_a_journal_that_is_there_again_counts_once(self):
        now = int(time.time()) * 10**6
        path = self.journal(self.line(now, "cached", calls=1) * 5)
        kept = path.read_bytes()
        self.assertEqual(self.calls(), 5)
        self.assertFalse(path.exists())
        path.write_bytes(kept)
        self.assertEqual(self.calls(), 5)

    def test_a_clock_that_goes_back_loses_nothing_and_counts_nothing_twice(self):
        now = int(time.time())
        self.journal(b"".join(self.line(us * 10**6, "cached", calls=1)
                              for us in (now, now - 7200, now + 3600)))
        self.assertEqual([r["calls"] for r in self.usage("--by", "hour")], [1, 1, 1])
        with sqlite3.connect(self.home / "usage.db") as db:
            db.execute("UPDATE usage_places SET place = ? WHERE name LIKE 'snapshots%'",
                       ((now + 10**6) * 10**6,))
        self.assertEqual(self.calls(), 3)
        with sqlite3.connect(self.home / "usage.db") as db:
            place, = db.execute("SELECT place FROM usage_places WHERE name LIKE 'snapshots%'"
                                ).fetchone()
        self.assertLess(place, (now + 1000) * 10**6)

    def test_what_is_old_goes(self):
        old = (int(time.time()) - 48 * 3600) * 10**6
        self.journal(self.line(old, "cached", calls=1) + self.line(old + 47 * 3600 * 10**6,
                                                                  "cached", calls=10))
        self.assertEqual(self.calls(), 11)
        self.environment["NOVA_USAGE_RETENTION"] = "24h"
        self.calls()
        self.assertEqual(self.calls(), 10)


class Settings(UsageCase):
    def card(self, **changed):
        card = json.loads((ROOT / "lib/usage/rates.json").read_text(encoding="utf-8"))
        card.update(changed)
        return self.write("rates%d.json" % self.random.getrandbits(60), json.dumps(card))

    def test_own_prices_count(self):
        prices = {"vcpu_second": 7, "gb_second": 0, "gpu_hour": 0, "snapshot_gb_month": 0,
                  "egress_gb": 0, "ingress_gb": 11}
        self.environment["NOVA_USAGE_RATES"] = str(self.card(prices=prices))
        bill = self.novactl_json("estimate", "--duration", "10s", "--mode", "ephemeral")
        self.assertEqual(bill["total_nano"], 70)

    def test_prices_that_are_none_are_refused_by_name(self):
        for part, path in (("no whole number", self.card(mcu_overage=1.5)),
                           ("'the card' has members", self.card(more=1)),
                           ("'prices' has members", self.card(prices={})),
                           ("'discounts' do not begin", self.card(discounts=[
                               {"name": "x", "from": 1, "percent": 0}])),
                           ("line 1", self.write("none.json", "nonsense")),
                           ("cannot be read", self.directory / "missing.json")):
            with self.subTest(part):
                self.refuses(part, "bill", status=1, environment={"NOVA_USAGE_RATES": str(path)})
        self.refuses("no such plan", "bill", status=1, environment={"NOVA_USAGE_PLAN": "x"})
        self.refuses("needs usage.plan", "bill", status=1, environment={"NOVA_USAGE_LIMIT": "on"})

    def test_a_plan_that_is_used_up_lets_nothing_begin(self):
        self.register("f", "cat", "shell")
        plans = [{"name": "tiny", "price": 1, "mcu": 1, "vcpus": 1, "memory_gb": 1}]
        self.environment.update(NOVA_USAGE_RATES=str(self.card(plans=plans)),
                                NOVA_USAGE_PLAN="tiny", NOVA_USAGE_LIMIT="on")
        self.novactl("invoke", "f")
        self.journal(self.line(int(time.time()) * 10**6, "cached", vcpu_us=3600 * 10**6))
        self.refuses("'tiny' has in a month are used up", "invoke", "f")
        self.refuses("used up", "run", "--language", "shell", "echo 1", status=125)
        self.environment["NOVA_USAGE_LIMIT"] = "off"
        self.novactl("invoke", "f")
        bill = self.novactl_json("bill")
        self.assertGreater(bill["overage_nano"], 0)
        self.assertIn("Plan tiny", self.novactl("bill").stdout)


    def test_a_plan_that_has_some_again_lets_calls_begin_again_in_who_refused_them(self):
        self.register("f", "cat", "shell")
        plans = [{"name": "tiny", "price": 1, "mcu": 1, "vcpus": 1, "memory_gb": 1}]
        self.environment.update(NOVA_USAGE_RATES=str(self.card(plans=plans)),
                                NOVA_USAGE_PLAN="tiny", NOVA_USAGE_LIMIT="on",
                                PYTHONPATH=str(ROOT / "bindings/python"),
                                LD_LIBRARY_PATH=str(BUILD / "lib"))
        self.journal(self.line(int(time.time()) * 10**6, "cached", vcpu_us=3600 * 10**6))
        with subprocess.Popen([sys.executable, "-c", REFUSED], env=self.environment,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "refused\n")
            with sqlite3.connect(self.home / "usage.db") as db:  # as if a month began
                db.execute("DELETE FROM usage")
            db.close()
            self.assertEqual(process.communicate("go on\n", timeout=60)[0], "called\n")


REFUSED = """
import sys, time
import nova
with nova.open(pool_thread="on") as platform:
    try:
        platform.invoke("f", {})
    except nova.LimitReached as error:
        print("refused" if error.of_plan else error, flush=True)
    sys.stdin.readline()
    while True:
        try:
            platform.invoke("f", {})
        except nova.LimitReached:
            time.sleep(0.1)
        else:
            break
    print("called", flush=True)
"""

CALLER = """
import resource, sys, time
import nova
with nova.open(pool_thread="on" if "thread" in sys.argv else "off") as platform:
    def call(key="k"):
        platform.invoke("f", {}, key=key)
    call()
    print("ready", flush=True)
    exec(sys.stdin.read())
"""


class Programs(UsageCase):
    """Programs of the library, which are killed."""

    def setUp(self):
        super().setUp()
        self.register("f", "cat", "shell")
        self.environment["PYTHONPATH"] = str(ROOT / "bindings/python")
        self.environment["LD_LIBRARY_PATH"] = str(BUILD / "lib")

    def program(self, code, *words):
        process = subprocess.Popen([sys.executable, "-c", CALLER, *words], env=self.environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.stdin.write(code)
        process.stdin.close()
        return process

    def test_calls_that_have_returned_count_once_whoever_is_killed_when(self):
        print(f"# NOVA_TEST_SEED={SEED}", flush=True)
        told, rounds = 0, 20 if os.environ.get("NOVA_TEST_LONG") else 3
        for _ in range(rounds):
            some = [self.program("while True:\n    call()\n    print(1, flush=True)", "thread")
                    for _ in range(3)]
            for process in some:
                told += 1  # the first one
                for _ in range(self.random.randrange(1, 40)):
                    process.stdout.readline()
                    told += 1
            reader = subprocess.Popen([NOVACTL, "usage"], env=self.environment,
                                      stdout=subprocess.DEVNULL)
            time.sleep(self.random.random() / 50)  # wherever it is by then
            reader.kill()
            reader.wait()
            for process in some:
                process.kill()
            for process in some:
                told += process.stdout.read().count("1\n")
                process.wait()
        found = self.calls()
        # One call of each may have come to its end without having been told.
        self.assertTrue(told <= found <= told + 3 * rounds, (told, found))
        self.assertEqual(self.calls(), found)
        self.assertEqual(list(self.journals.glob("*.journal")), [])

    def test_with_no_room_on_the_disk_calls_go_on_and_are_recorded_later(self):
        process = self.program("""
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for _ in range(5): call()
resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
for _ in range(7): call()
print("full", flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
call()
print("done", flush=True)
""")
        self.assertEqual(process.stdout.readline(), "full\n")
        self.assertEqual(process.stdout.readline(), "done\n")
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.calls(), 14)
        self.assertEqual(sum(row["lost"] for row in self.usage()), 0)

    def test_an_instance_whose_vm_has_died_uses_nothing_more(self):
        self.register("dies", "kill -9 $PPID", "shell")
        process = self.program("""
instance = platform.start_instance("dies", key="i")
try:
    instance.invoke({})
except nova.Lost:
    pass
sys.stdout.write("died\\n")
sys.stdout.flush()
time.sleep(4)
instance.stop()
""", "thread")
        self.assertEqual(process.wait(60), 0)
        row, = (r for r in self.usage("--by", "key") if r["key"] == "i" and r["vcpu_us"])
        self.assertLess(row["vcpu_us"], 3 * 10**6)

    def test_modes_keys_and_instances_are_told_apart(self):
        process = self.program("""
call("one")
platform.invoke("f", {}, fresh=True)
platform.run("shell", "echo 12345", key="two")
instance = platform.start_instance("f", key="three", memory_mb=256, vcpus=2)
instance.invoke({})
for _ in range(20):
    time.sleep(0.1)
    platform.tick() if hasattr(platform, "tick") else None
instance.stop()
try:
    platform.invoke("f", {}, key="a\\tb")
except nova.InvalidArgument as refused:
    print(refused, flush=True)
""", "thread")
        self.assertIn("without control characters", process.stdout.read())
        self.assertEqual(process.wait(60), 0)
        rows = {(r["key"], r["function"], r["mode"]): r
                for r in self.usage("--by", "key,function")}
        self.assertEqual({place: row["calls"] for place, row in rows.items()},
                         {("k", "f", "cached"): 1, ("one", "f", "cached"): 1,
                          ("", "f", "ephemeral"): 1, ("two", "", "ephemeral"): 1,
                          ("three", "f", "persistent"): 0, ("", "f", "persistent"): 1})
        kept = rows["three", "f", "persistent"]
        self.assertTrue(2 * 2 * 10**6 < kept["vcpu_us"] < 2 * 60 * 10**6, kept)
        self.assertEqual(kept["memory_mb_us"], kept["vcpu_us"] // 2 * 256)
        self.assertEqual(rows["", "f", "persistent"]["vcpu_us"], 0)
        called = rows["one", "f", "cached"]
        self.assertEqual(called["memory_mb_us"], called["vcpu_us"] * 128)
        self.assertGreater(called["vcpu_us"], 0)
        self.assertGreaterEqual(rows["two", "", "ephemeral"]["egress_bytes"], 6)
        whole = self.novactl("usage", "--by", "key,function").stdout
        self.assertIn("persistent", whole)


@unittest.skipIf(pgserver.programs() is None, "no PostgreSQL: see test_packages in tools/packages")
class Shared(UsageCase):
    def test_hosts_that_share_a_database_share_what_is_used(self):
        server = pgserver.start_for(self)
        self.environment["NOVA_PG_DSN"] = server.dsn()
        hosts = [{"NOVA_HOME": str(self.directory / name)} for name in "ab"]
        self.novactl("register", "f", "--runtime", "shell", "--code", self.write("f.sh", "cat"),
                     environment=hosts[0])
        for host in hosts * 2:
            self.novactl("invoke", "f", environment=host)
        self.assertEqual(self.usage(environment=hosts[1])[0]["calls"], 4)
        rows = self.usage("--by", "day,key,function", environment=hosts[0])
        self.assertEqual([(r["function"], r["mode"], r["calls"]) for r in rows],
                         [("f", "cached", 4)])
        bill = self.novactl_json("bill", environment=hosts[0])
        self.assertEqual(bill["cpu_nano"], items_of([("cached", rows[0])])["cpu_nano"])
        # What one home has counted into a store of its own is nothing for this one.
        own = {**hosts[0], "NOVA_STORE": "sqlite"}
        self.novactl("register", "g", "--runtime", "shell", "--code", self.write("g.sh", "cat"),
                     environment=own)
        for _ in range(2):
            self.novactl("invoke", "g", environment=own)
        self.novactl("invoke", "f", environment=hosts[0])
        self.assertEqual([sum(r["calls"] for r in self.usage(environment=where))
                          for where in (own, hosts[0], hosts[1])], [2, 5, 5])
        server.stop(signal.SIGQUIT)
        # It cannot be taken into the database now, and is not lost.
        self.refuses("cannot connect", "usage", environment=hosts[0])
        server.start()
        self.assertEqual(self.usage(environment=hosts[0])[0]["calls"], 5)

    def test_what_is_too_much_is_told_by_a_shared_database_too(self):
        self.environment["NOVA_PG_DSN"] = pgserver.start_for(self).dsn()
        self.environment["NOVA_STORE"] = "postgres"
        self.journals = self.home / "usage/shared"
        Model.sums_beyond_all_are_told_as_such(self)
