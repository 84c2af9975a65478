# SPDX-License-Identifier: MIT
"""The package on the fake engine, which runs the agent as a plain process;
one test boots a real VM."""
import contextlib
import gc
import logging
import multiprocessing
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from datetime import datetime, timezone
from queue import SimpleQueue
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import nova  # noqa: E402
from nova import _ffi, _stdin, errors  # noqa: E402

GREET = b"""
def handler(event):
    return {"message": "Hello, " + event.get("name", "Anonymous") + "!"}
"""


class PlatformCase(unittest.TestCase):
    engine = "fake"

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nova-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.nova = nova.open(home=self.directory / "home", engine=self.engine)
        self.addCleanup(self.nova.close)

    def shell(self, name, text, **options):
        return self.nova.register(name, runtime="shell", code=text.encode(), **options)


class Runs(PlatformCase):
    def test_code_is_text_bytes_or_a_file_and_is_given_what_it_needs(self):
        self.assertEqual(self.nova.run("python", "print(6 * 7)").stdout, "42\n")
        self.assertEqual(self.nova.run("python", "def handler(event): return event['x']",
                                       {"x": [1]}).output, [1])
        path = self.directory / "job.sh"
        path.write_text('echo "$WHO" "$@"; cat - note data')
        pieces = []
        done = self.nova.run("shell", path, args=["a", "b c"], stdin=b"in\n", env={"WHO": "me"},
                             files={"note": "text\n", "data": path},
                             on_output=lambda stream, data: pieces.append((stream, data)))
        self.assertEqual(done.stdout, "me a b c\nin\ntext\n" + path.read_text())
        self.assertEqual(b"".join(data for stream, data in pieces if stream == 1).decode(),
                         done.stdout)
        self.assertEqual(self.nova.list(), [])

    def test_what_goes_wrong_is_an_exception(self):
        with self.assertRaises(errors.FunctionFailed) as caught:
            self.nova.run("shell", "echo 1; exit 3")
        self.assertEqual(caught.exception.result.exit_code, 3)
        with self.assertRaises(errors.FunctionTimeout):
            self.nova.run("shell", "sleep 100000", timeout=0.3)
        with self.assertRaisesRegex(errors.InvalidArgument, "python, node, go"):
            self.nova.run("perl", "1")
        with self.assertRaisesRegex(errors.InvalidArgument, "'a/b'"):
            self.nova.run("shell", "1", files={"a/b": b""})

    def test_a_queue_runs_code(self):
        with self.nova.queue() as queue:
            call = queue.submit_run("shell", b'cat "$1"', [1, 2], request_id="mine")
            self.assertEqual((call.request_id, call.result().output), ("mine", [1, 2]))

    def test_one_call_of_the_module_opens_a_platform_for_itself(self):
        program = "import nova; print(nova.run('shell', 'echo 5', memory_mb=72).output)"
        environment = {**os.environ, "NOVA_HOME": str(self.directory / "home"),
                       "NOVA_ENGINE": "fake",
                       "PYTHONPATH": str(pathlib.Path(nova.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", program], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("5\n", ""))


class Functions(PlatformCase):
    def test_six_lines_print_an_answer(self):
        path = self.directory / "hello.py"
        path.write_bytes(GREET)
        program = textwrap.dedent("""\
            import nova

            with nova.open() as platform:
                platform.register("hello", runtime="python", code="hello.py", replace=True)
                print(platform.invoke("hello", {"name": "World"}).output)
            """)
        environment = {**os.environ, "NOVA_HOME": str(self.directory / "home"),
                       "NOVA_ENGINE": "fake",
                       "PYTHONPATH": str(pathlib.Path(nova.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", program], cwd=self.directory, env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("{'message': 'Hello, World!'}\n", ""))

    def make_rootfs(self):
        tree = self.directory / "tree"
        for name in ("dev", "proc", "sys", "run", "tmp", "code", "bin"):
            (tree / name).mkdir(parents=True)
        (tree / "bin/sh").touch(0o755)
        image = self.directory / "root.ext4"
        nova.build_disk(image, tree)
        return image

    def test_an_archive_has_a_runtime_of_ones_own_with_its_functions(self):
        image, archive = self.make_rootfs(), self.directory / "all.tar.gz"
        self.nova.register_runtime("own", rootfs=image, argv=["/bin/sh", "{file}"], memory_mb=96)
        self.nova.register("f", runtime="own", code=b"echo 7")
        self.nova.export_to(archive)
        os.unlink(image)
        with nova.open(home=self.directory / "other", engine=self.engine) as other:
            other.import_from(archive)
            self.assertEqual(other.runtime("own"), self.nova.runtime("own"))
            other.check_runtime("own")
            self.assertEqual(other.invoke("f").output, 7)
            with self.assertRaisesRegex(errors.NovaError, "there is a function 'f' already"):
                other.import_from(archive, merge=True)

    def test_a_runtime_is_data(self):
        image = self.make_rootfs()
        made = self.nova.register_runtime("own", rootfs=image, argv=["/bin/sh", "{file}", "{{}}"],
                                          memory_mb=72)
        self.assertEqual(made, self.nova.runtime("own"))
        self.assertEqual((made.argv, made.memory_mb, made.protocol, made.built_in),
                         (("/bin/sh", "{file}", "{{}}"), 72, "none", False))
        self.assertEqual([r.name for r in self.nova.runtimes() if not r.built_in], ["own"])
        self.assertEqual(self.nova.runtime("javascript").name, "node")
        self.nova.register("f", runtime="own", code=b'echo "\\"$1\\""')
        self.assertEqual(self.nova.invoke("f").output, "{}")
        self.assertEqual(self.nova.run("own", b"cat", {"a": [1]}).output, {"a": [1]})
        self.nova.check_runtime("own")
        with self.assertRaisesRegex(errors.Busy, "that of f"):
            self.nova.delete_runtime("own")
        with self.assertRaisesRegex(errors.InvalidArgument, "placeholder"):
            self.nova.register_runtime("bad", rootfs=image, argv=["/bin/sh", "{fiel}"])
        self.nova.delete("f")
        self.nova.delete_runtime("own")
        with self.assertRaises(errors.NotFound):
            self.nova.runtime("own")

    def start_redis(self):
        program = shutil.which("redis-server")
        if program is None:
            self.skipTest("no redis-server: see test_packages in tools/packages")
        socket = self.directory / "redis.sock"
        server = subprocess.Popen([program, "--port", "0", "--unixsocket", socket, "--save", "",
                                   "--dir", self.directory], stdout=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        return str(socket)

    def test_a_job_outlives_who_has_asked_for_it(self):
        with self.assertRaisesRegex(errors.NotSupported, "redis.addr"):
            self.nova.perform_job()
        settings = {"home": self.directory / "home", "engine": self.engine,
                    "redis_addr": self.start_redis(), "redis_timeout": "20s"}
        with nova.open(**settings) as one:
            one.register("f", runtime="python", code=GREET)
            while True:
                try:
                    made = one.submit_job("f", {"name": "you"}, key="7", attempts=1, lease=60)
                    break
                except errors.NovaError as error:  # it is about to start
                    self.assertIn("is away", str(error))
        with nova.open(**settings) as other:
            done = other.perform_job(wait=20)
            self.assertEqual((done["id"], done["state"]), (made["id"], "done"))
            self.assertEqual(other.job(made["id"])["output"], {"message": "Hello, you!"})
            self.assertEqual(other.perform_job(), {})
            newest = other.submit_job("f", {"name": "me"}, owner="ann")
            page, following = other.jobs(limit=1)
            self.assertEqual([job["id"] for job in page], [newest["id"]])
            self.assertNotIn("payload", page[0])
            page, following = other.jobs(cursor=following)
            self.assertEqual(([job["id"] for job in page], following), ([made["id"]], 0))
            for which, jobs in (({"states": ["done"]}, [made]), ({"owner": "ann"}, [newest]),
                                ({"function": "g"}, []), ({"states": ["dead"]}, [])):
                self.assertEqual([job["id"] for job in other.jobs(**which)[0]],
                                 [job["id"] for job in jobs], which)
            with self.assertRaisesRegex(ValueError, "'gone' is none"):
                other.jobs(states=["gone"])
            with self.assertRaisesRegex(errors.InvalidArgument, "limit is 1001"):
                other.jobs(limit=1001)

    def test_keys(self):
        made = self.nova.create_key("ci", tier="gold")
        self.assertEqual(self.nova.check_key(made.text).tier, "gold")
        self.assertNotIn(made.text, repr(made))
        self.assertEqual([(k.name, k.text) for k in self.nova.keys()], [("ci", None)])
        self.nova.revoke_key("ci")
        self.assertTrue(self.nova.key("ci").revoked)
        with self.assertRaises(nova.errors.PermissionDenied):
            self.nova.check_key(made.text)
        self.nova.delete_key("ci")
        with self.assertRaises(nova.NotFound):
            self.nova.check_key(made.text)

    def test_secrets(self):
        keys = self.directory / "keys"
        nova.create_secret_key(keys)
        with nova.open(home=self.directory / "home", engine=self.engine,
                       secret_key_file=keys) as own:
            own.set_secret("db", "pässword")
            own.set_secret("raw", b"")
            self.assertEqual([s.name for s in own.secrets()], ["db", "raw"])
            nova.create_secret_key(keys)
            self.assertEqual(own.rotate_secrets(), 2)
            own.delete_secret("raw")
            with self.assertRaises(nova.NotFound):
                own.delete_secret("raw")
            with self.assertRaises(nova.InvalidArgument):
                own.set_secret("x", b"\0")
        with self.assertRaises(nova.errors.NovaError):
            self.nova.set_secret("x", "no key")

    def test_kv(self):
        self.nova.register("keeps", runtime="shell", code=b"true")
        space = self.nova.kv("keeps")
        first = space.put("a/1", b"\0\xff", new=True)
        with self.assertRaises(nova.errors.NovaError):
            space.put("a/1", "", new=True)
        self.assertEqual((space.get("a/1").value, space.get("a/1").version), (b"\0\xff", first))
        self.assertGreater(space.put("a/1", "two", if_version=first, ttl=60), first)
        self.assertGreater(space.get("a/1").expires_us, 0)
        space.put("a/1", "two", ttl=300 * 86400)  # more milliseconds than 32 bits have
        self.assertGreater(space.get("a/1").expires_us, (time.time() + 299 * 86400) * 1e6)
        with self.assertRaisesRegex(nova.errors.InvalidArgument, "10 years"):
            space.put("a/1", "two", ttl=11 * 366 * 86400)
        space.put("b", "")
        self.assertEqual(space.get("b").value, b"")
        self.assertEqual([(e.key, e.value, e.size) for e in space.list("a/")], [("a/1", None, 3)])
        self.assertEqual([e.key for e in space.list(after="a/1", limit=1)], ["b"])
        space.delete("b")
        with self.assertRaises(nova.NotFound):
            space.get("b")
        space.put_file("logo", b"\x89PNG", "image/png")
        logo = space.get_file("logo")
        self.assertEqual((logo.type, logo.data, len(logo.sha256)), ("image/png", b"\x89PNG", 64))
        self.assertEqual([(f.name, f.size) for f in space.files()], [("logo", 4)])
        space.delete_file("logo")
        self.assertEqual(space.files(), [])
        with self.assertRaises(nova.NotFound):
            self.nova.kv("nobody").list()
        self.nova.delete("keeps")
        self.nova.register("keeps", runtime="shell", code=b"true")
        self.assertEqual(space.list(), [])

    def test_rates_of_functions(self):
        made = self.nova.register("rare", runtime="shell", code=b"echo 1", rate=1,
                                  rate_period_ms=60000, rate_burst=2)
        self.assertEqual((made.rate, made.rate_period_ms, made.rate_burst), (1, 60000, 2))
        for _ in range(2):
            self.nova.invoke("rare")
        with self.assertRaisesRegex(nova.LimitReached, "function 'rare' may be called") as refused:
            self.nova.invoke("rare")
        self.assertTrue(30 < refused.exception.retry_after <= 60.001)
        self.assertTrue(refused.exception.never_ran)
        self.nova.update("rare", reset=["rate", "rate_period_ms", "rate_burst"])
        self.nova.invoke("rare")

    def test_an_update_to_nothing_takes_away_what_was_there(self):
        self.shell("f", "echo 1", env={"A": "1"}, min_replicas=2, rate=3,
                   rate_period_ms=5000)
        kept = self.nova.update("f", rate=None, timeout_s=9)
        self.assertEqual((kept.rate, kept.min_replicas, kept.env), (3, 2, {"A": "1"}))
        gone = self.nova.update("f", rate=0, min_replicas=0, env={})
        self.assertEqual((gone.rate, gone.min_replicas, gone.env), (0, 0, {}))

    def test_rates(self):
        made = self.nova.create_key("limited", rate=3, period_ms=60000)
        key = self.nova.check_key(made.text)
        self.assertEqual((key.rate, key.period_ms, key.burst), (3, 60000, 3))
        self.assertEqual([self.nova.take("x", 2, period_ms=60000) for _ in range(2)], [0, 0])
        self.assertTrue(29000 < self.nova.take("x", 2, period_ms=60000) <= 30001)
        self.assertEqual(self.nova.take("y", 5, tokens=5), 0)
        with self.assertRaisesRegex(nova.InvalidArgument, "tokens"):
            self.nova.take("y", 5, tokens=6)

    def test_versions_and_aliases(self):
        self.shell("f", "echo $WORD", env={"WORD": "1"})
        self.assertEqual(self.nova.publish("f").version, 1)
        self.assertEqual(self.nova.update("f", env={"WORD": "2"}).version, 2)
        self.assertEqual(self.nova.publish("f").version, 2)
        self.assertEqual(self.nova.update("f", code=b"echo 3", reset=["env"]).env, {})
        self.assertEqual([self.nova.invoke(n).output for n in ("f:1", "f:2", "f")], [1, 2, 3])
        made = self.nova.set_alias("f", "prod", 1, second=2, weight=10)
        self.assertEqual(made, self.nova.alias("f", "prod"))
        self.assertEqual(self.nova.set_alias("f", "prod", 2).weight, 0)
        self.assertEqual(self.nova.invoke("f:prod").output, 2)
        self.assertEqual([a.name for a in self.nova.aliases("f")], ["prod"])
        self.assertEqual([v.version for v in self.nova.versions("f")], [1, 2])
        with self.assertRaisesRegex(errors.Busy, "prod"):
            self.nova.delete("f:2")
        self.nova.delete_alias("f", "prod")
        with self.assertRaises(errors.NotFound):
            self.nova.alias("f", "prod")
        self.nova.delete("f", force=True)

    def test_what_calls_have_left_is_listed_counted_and_followed(self):
        before = datetime.now(timezone.utc)
        self.shell("echoes", 'printf "a\\000b" >&2; cat "$1"')
        self.shell("fails", "exit 3")
        self.nova.invoke("echoes", [1], request_id="mine")
        with self.assertRaises(errors.FunctionFailed):
            self.nova.invoke("fails")
        failed, good = self.nova.invocations()
        self.assertEqual((good.request_id, good.function, good.code), ("mine", "echoes", 0))
        self.assertEqual((good.input_size, good.output_size, good.version), (3, 3, 1))
        self.assertEqual((good.stderr, good.cut, good.error), (b"a\0b", False, ""))
        self.assertTrue(before <= good.started <= datetime.now(timezone.utc))
        self.assertEqual(failed.code, -18)
        self.assertIn("exit 3", failed.error)
        self.assertEqual(self.nova.invocations(errors=True), [failed])
        self.assertEqual(self.nova.invocations("echoes", since=before), [good])
        self.assertEqual(self.nova.invocations(until=before), [])
        self.assertEqual(self.nova.invocations(cursor=failed.number), [good])
        one = self.nova.summaries("fails")[0]
        self.assertEqual((one.calls, one.errors, one.cold), (1, 1, 1))
        self.assertGreaterEqual(one.longest_us, one.p50_us)
        threading.Timer(0.1, lambda: self.nova.invoke("echoes", 2)).start()
        came = self.nova.invocations(oldest_first=True, cursor=failed.number, wait=100)
        self.assertEqual([record.function for record in came], ["echoes"])
        with nova.Interrupt() as interrupt:
            interrupt.trigger()
            with self.assertRaises(errors.Canceled):
                self.nova.invocations("none", wait=100, interrupt=interrupt)

    def test_the_code_of_a_function_is_checked(self):
        made = self.shell("f", "echo 1")
        self.nova.check("f")
        with open(f"{self.nova.home}/disks/{made.code_hash}.ext4", "ab") as disk:
            disk.write(b"x")
        self.assertRaisesRegex(
            nova.errors.Corrupt, "function 'f': the code disk", self.nova.check, "f")

    def test_a_registered_function_has_all_that_was_given(self):
        self.nova.close()
        # The engine fake refuses limits.
        self.nova = nova.open(home=self.directory / "home", engine="firecracker")
        made = self.nova.register("f", check="never", runtime="python", code=GREET, handler="a.b",
                                  memory_mb=256, timeout_s=7, vcpus=2, min_replicas=1, disk_iops=10,
                                  disk_bandwidth=2**40, net_rx_bandwidth=30, net_tx_bandwidth=40,
                                  network="nat", env={"A": "1", "B": "x=y"}, labels={"team": "a=b"})
        self.assertEqual((made.name, made.runtime, made.handler, made.memory_mb, made.timeout_s,
                          made.vcpus, made.min_replicas), ("f", "python", "a.b", 256, 7, 2, 1))
        self.assertEqual(made.network, "nat")
        self.assertEqual((made.disk_iops, made.disk_bandwidth, made.net_rx_bandwidth,
                          made.net_tx_bandwidth), (10, 2**40, 30, 40))
        self.assertEqual(made.env, {"A": "1", "B": "x=y"})
        self.assertEqual(made.labels, {"team": "a=b"})
        for labels, count in (({"team": "a=b"}, 1), ({"team": None}, 1), ({"team": "a"}, 0),
                              ({}, 1), (None, 1), ({"team": None, "cost": None}, 0)):
            with self.subTest(labels):
                self.assertEqual(len(self.nova.list(labels)), count)
        self.assertEqual(len(self.nova.list(limit=1)), 1)
        self.assertEqual(self.nova.list(after=self.nova.list()[-1].name), [])
        self.assertRaisesRegex(nova.InvalidArgument, "key=value", self.nova.list, {"a b": None})
        self.assertEqual((made.code_path, made.version, len(made.code_hash)), ("", 1, 64))
        self.assertEqual(self.nova.get("f"), made)

    def test_an_ignored_environment_gives_no_setting_and_no_place(self):
        program = ("import nova, sys\n"
                   "home = nova.open(environment=False, home=sys.argv[1], engine='fake')\n"
                   "home.close()\n"
                   "nova.open(home=sys.argv[1], engine='fake')\n")
        environment = {**os.environ, "NOVA_POOL_MAX_VMS": "lots", "NOVA_CONFIG": "/no/such/file",
                       "PYTHONPATH": str(pathlib.Path(nova.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", program, str(self.directory / "other")],
                              env=environment, capture_output=True, text=True, check=False)
        self.assertTrue((self.directory / "other/nova.db").exists(), done.stderr)
        self.assertIn("NOVA_CONFIG", done.stderr)

    def test_what_has_changed_since_it_was_seen_is_not_deleted(self):
        seen = self.nova.register("seen", runtime="shell", code=b"echo 1")
        now = self.nova.update("seen", timeout_s=7)
        with self.assertRaisesRegex(errors.Busy, "was changed"):
            self.nova.delete("seen", if_updated=seen.updated)
        self.nova.delete("seen", if_updated=now.updated)
        self.assertNotIn("seen", [f.name for f in self.nova.list()])

    def test_list_and_delete(self):
        self.assertEqual(self.nova.list(), [])
        for name in ("b", "a"):
            self.nova.register(name, runtime="python", code=GREET)
        self.assertEqual([f.name for f in self.nova.list()], ["a", "b"])
        self.nova.delete("a")
        self.assertEqual([f.name for f in self.nova.list()], ["b"])
        with self.assertRaises(nova.NotFound):
            self.nova.delete("a")

    def test_replace_makes_a_new_version(self):
        self.nova.register("f", runtime="python", code=GREET)
        with self.assertRaises(errors.AlreadyExists):
            self.nova.register("f", runtime="python", code=GREET + b"\n")
        self.assertEqual(self.nova.register("f", runtime="python", code=GREET + b"\n",
                                            replace=True).version, 2)

    def test_bad_arguments_are_refused_and_not_cut_to_size(self):
        with self.assertRaises(nova.InvalidArgument):
            self.nova.register("f", runtime="pyton", code=GREET)
        with self.assertRaises(ValueError):
            self.nova.register("f", runtime="python", code=GREET, timeout_s=2**32 + 5)
        with self.assertRaises(ValueError):
            self.nova.register("f", runtime="python", code=GREET, memory_mb=-1)
        with self.assertRaises(ValueError):
            self.nova.register("f\0g", runtime="python", code=GREET)
        with self.assertRaises(nova.NotFound) as caught:
            self.nova.register("f", runtime="python", code="/nowhere/code.py")
        self.assertIn("/nowhere/code.py", str(caught.exception))
        self.assertEqual(self.nova.list(), [])


class Invoke(PlatformCase):
    def test_a_result_has_its_parts(self):
        self.nova.register("hello", runtime="python", code=GREET)
        result = self.nova.invoke("hello", {"name": "World"})
        self.assertEqual(result.output, {"message": "Hello, World!"})
        self.assertIs(result.output, result.output)
        self.assertTrue(result.cold_start)
        self.assertRegex(result.request_id, "^[0-9a-f]{8}$")
        self.assertEqual((result.exit_code, result.failure, result.truncated), (0, "", False))
        self.assertEqual(set(result.timings),
                         {"total", "lookup", "queue", "start", "boot", "init", "exec", "guest"})
        self.assertGreaterEqual(result.timings["total"], result.timings["exec"])
        self.assertFalse(self.nova.invoke("hello").cold_start)

    def test_payloads_are_values_or_json_text(self):
        self.shell("echo", 'cat "$1"')
        for value in ({"a": [1, None]}, [1, 2], "text", 1.5, True):
            self.assertEqual(self.nova.invoke("echo", value).output, value)
        self.assertEqual(self.nova.invoke("echo").output, {})
        self.assertEqual(self.nova.invoke("echo", b'{"raw": 1}').output, {"raw": 1})
        with self.assertRaises(nova.InvalidArgument) as caught:
            self.nova.invoke("echo", b"{raw")
        self.assertTrue(caught.exception.never_ran)

    def test_output_of_6_mib_is_whole_whatever_it_becomes_as_json(self):
        code = b"def handler(event): return event * (6 << 20)\n"
        self.nova.register("quotes", runtime="python", code=code)
        self.assertTrue(self.nova.invoke("quotes", '"').output == '"' * (6 << 20))
        self.assertTrue(self.nova.submit("quotes", "\n").result().output == "\n" * (6 << 20))

    def test_letters_of_a_payload_take_no_more_room_than_they_have(self):
        self.shell("size", 'wc -c < "$1"')
        self.assertEqual(self.nova.invoke("size", "é" * (3 << 19)).output, (3 << 20) + 2)
        with self.assertRaisesRegex(nova.InvalidArgument, "not Unicode") as caught:
            self.nova.invoke("size", "\ud800")
        self.assertTrue(caught.exception.never_ran)

    def test_payloads_and_outputs_nest_to_512_levels(self):
        self.shell("echo", 'cat "$1"')
        value = []
        for _ in range(511):
            value = [value]
        self.assertEqual(self.nova.invoke("echo", value).output, value)
        for _ in range(2):
            value = [value]
            with self.assertRaisesRegex(nova.InvalidArgument, "nested too deeply: 512 levels"):
                self.nova.invoke("echo", value)
            for _ in range(5000):
                value = [value]

    def test_a_request_id_can_be_given(self):
        self.shell("id", 'printf \'"%s"\' "$NOVA_REQUEST_ID"')
        result = self.nova.invoke("id", request_id="order-17")
        self.assertEqual((result.request_id, result.output), ("order-17", "order-17"))

    def test_a_failure_carries_the_result(self):
        self.shell("fails", "echo partly; echo no such city >&2; exit 3")
        with self.assertRaises(nova.FunctionFailed) as caught:
            self.nova.invoke("fails")
        error = caught.exception
        self.assertEqual((error.name, error.ran, error.never_ran, error.outcome_unknown),
                         ("NOVA_EFUNCTION", True, False, False))
        self.assertEqual((error.result.exit_code, error.result.stderr, error.result.output),
                         (3, "no such city\n", None))
        self.assertIn("no such city", error.result.failure)

    def test_a_timeout_is_a_failure_of_its_own(self):
        self.shell("slow", "echo begun; sleep 600")
        with self.assertRaises(nova.FunctionTimeout) as caught:
            self.nova.invoke("slow", timeout=2)
        self.assertTrue(caught.exception.ran)
        self.assertEqual(caught.exception.result.stdout, "begun\n")

    def test_an_unknown_function_never_ran(self):
        with self.assertRaises(nova.NotFound) as caught:
            self.nova.invoke("nobody")
        self.assertTrue(caught.exception.never_ran)
        self.assertIsNone(caught.exception.result)

    def test_output_comes_while_it_is_made(self):
        self.shell("talks", "echo one; echo two >&2")
        pieces = []
        self.nova.invoke("talks", on_output=lambda stream, data: pieces.append((stream, data)))
        self.assertEqual(b"".join(data for stream, data in pieces if stream == 1), b"one\n")
        self.assertEqual(b"".join(data for stream, data in pieces if stream == 2), b"two\n")

    def test_what_a_callback_raises_comes_out_of_the_call(self):
        self.shell("talks", "echo one")

        def complain(_stream, _data):
            raise KeyError("mine")

        with self.assertRaises(KeyError):
            self.nova.invoke("talks", on_output=complain)

    def test_output_with_nul_characters_is_whole(self):
        self.shell("nuls", r"printf 'a\000b'")
        self.assertEqual(self.nova.invoke("nuls").stdout, "a\0b")

    def test_no_answer_is_lost_in_many_calls(self):
        # The agent once took the greeting of a fork for the beginning of its answer, about once in
        # a hundred calls.
        self.nova.register("hello", runtime="python", code=GREET)
        for turn in range(300):
            self.assertEqual(self.nova.invoke("hello", {"name": str(turn)}).output,
                             {"message": f"Hello, {turn}!"})

    def test_eight_threads_at_once(self):
        self.nova.register("hello", runtime="python", code=GREET)
        answers, failures = {}, []

        def work(number):
            try:
                for turn in range(3):
                    result = self.nova.invoke("hello", {"name": f"{number}.{turn}"})
                    answers[number, turn] = result.output["message"]
            except Exception as failure:  # shown below, in the thread of the test
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(answers, {(n, t): f"Hello, {n}.{t}!" for n in range(8) for t in range(3)})


class Lifetime(PlatformCase):
    def test_a_closed_platform_refuses_calls(self):
        self.nova.close()
        self.nova.close()
        with self.assertRaises(ValueError):
            self.nova.list()

    def test_close_waits_for_calls_under_way(self):
        started = threading.Event()
        self.shell("slow", "echo begun; sleep 0.3; echo '\"done\"'")
        outcome = []

        def work():
            outcome.append(self.nova.invoke("slow",
                                            on_output=lambda _stream, _data: started.set()).stdout)

        thread = threading.Thread(target=work)
        thread.start()
        started.wait(20)
        self.nova.close()
        thread.join()
        self.assertEqual(outcome, ['begun\n"done"\n'])

    def test_a_forgotten_platform_ends_its_vms(self):
        home = self.directory / "other"
        forgotten = nova.open(home=home, engine="fake")
        forgotten.register("hello", runtime="python", code=GREET)
        forgotten.invoke("hello")
        contexts = [path for path in (home / "run").iterdir() if path.is_dir()]
        self.assertEqual(len(contexts), 1)
        del forgotten
        gc.collect()
        self.assertFalse(contexts[0].exists())

    def test_after_fork_the_child_is_told_to_open_anew(self):
        def child(pipe):
            try:
                self.nova.list()
            except RuntimeError as refusal:
                pipe.send(str(refusal))

        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
        process.start()
        self.assertIn("fork", here.recv())
        process.join()
        self.assertEqual(self.nova.list(), [])

    def exits_well(self, body):
        """In a child made by fork(), within this thread."""
        child = os.fork()
        if child == 0:
            try:
                body()
                os._exit(0)
            finally:
                os._exit(1)
        ended = threading.Event()
        status = []

        def wait():
            status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        if not ended.wait(60):
            os.kill(child, signal.SIGKILL)
        ended.wait()
        self.assertEqual(status, [0])

    def test_in_a_child_of_fork_nothing_of_the_parent_is_waited_for(self):
        self.shell("waits", "cat >/dev/null; echo begun >&2; sleep 600")
        begun = threading.Event()
        interrupt = nova.Interrupt()

        def call():
            with contextlib.suppress(nova.Canceled):
                self.nova.invoke("waits", on_output=lambda *_: begun.set(), interrupt=interrupt)

        thread = threading.Thread(target=call)
        thread.start()
        queue = self.nova.queue()
        queue.submit("waits")
        vm = self.nova.start_vm()
        self.assertTrue(begun.wait(60))

        def child():
            queue._collecting = True  # as if another thread had been at it
            queue.close()
            vm.close()
            self.nova.close()
            for refused in (queue.collect, queue.counts, self.nova.list, lambda: vm.pid):
                with contextlib.suppress(ValueError, RuntimeError):
                    refused()
                    os._exit(2)

        self.exits_well(child)
        self.exits_well(lambda: self.nova._handle._changed.acquire() and child())
        interrupt.trigger()
        thread.join()
        self.assertGreater(vm.pid, 0)  # the children have ended nothing
        queue.close()
        vm.close()

    @staticmethod
    def freed_by(handle):
        """Gets the name of the thread that frees it."""
        names, free = SimpleQueue(), handle._free

        def note(pointer):
            free(pointer)
            names.put(threading.current_thread().name)

        handle._free = note
        return names

    def test_what_is_forgotten_within_a_callback_is_closed_outside(self):
        self.shell("talks", "cat >/dev/null; echo begun >&2; sleep 600")
        def output(_stream, _data):
            gc.collect()  # here the queue is found, whose thread this is

        queue = self.nova.queue(threads=1)
        freed = self.freed_by(queue._handle)
        gc.disable()
        self.addCleanup(gc.enable)
        queue.submit("talks", on_output=output)
        del queue
        self.assertEqual(freed.get(timeout=60), "nova-forgotten")

    def test_a_vm_that_is_forgotten_while_the_log_is_told_ends(self):
        class Forgets(logging.Handler):
            vm = None

            def emit(self, record):
                self.vm = None

        forgets, log = Forgets(), logging.getLogger("nova")
        level = log.level
        log.setLevel(logging.DEBUG)
        log.addHandler(forgets)
        self.addCleanup(log.setLevel, level)
        self.addCleanup(log.removeHandler, forgets)
        with nova.open(home=self.directory / "logged", engine="fake") as platform:
            forgets.vm = platform.start_vm()
            freed = self.freed_by(forgets.vm._handle)
            platform.register("hello", runtime="python", code=GREET)
            platform.invoke("hello")
            self.assertEqual(freed.get(timeout=60), "nova-forgotten")

    def test_a_platform_that_is_forgotten_with_its_queue_ends_after_it(self):
        ended = []
        platform = nova.open(home=self.directory / "cycle", engine="fake")
        queue = platform.queue()
        for handle, name in ((platform._handle, "platform"), (queue._handle, "queue")):
            handle._free = lambda pointer, free=handle._free, name=name: ended.append(name) or \
                free(pointer)
        platform.register("waits", runtime="shell", code=b"sleep 600")
        queue.submit("waits")
        platform.itself = platform  # so that both are found at once
        del platform, queue, handle
        gc.collect()
        self.assertEqual(ended, ["queue", "platform"])

    def test_the_pool_is_driven_by_ticks_and_tells_of_itself(self):
        home = self.directory / "driven"
        with nova.open(home=home, engine="fake", pool_pause_after="1ms") as platform:
            platform.register("hello", runtime="python", code=GREET)
            self.assertIsNone(platform.tick())
            platform.invoke("hello")
            while not platform.pool_stats()["paused"]:
                self.assertEqual(len(select.select([platform.pool_fd()], [], [], 20)[0]), 1)
                platform.tick()
            self.assertFalse(platform.invoke("hello").cold_start)
            stats = platform.pool_stats()
            self.assertEqual((stats["misses"], stats["hits"], stats["resumed"], stats["idle"],
                              stats["memory_mb"]), (1, 1, 1, 1, 128))
            self.assertGreater(platform.pool_latency("cold", 99), 0)
            self.assertEqual(platform.pool_latency("warm"), 0)
            with self.assertRaises(ValueError):
                platform.pool_latency("hot")
            platform.drain()
            self.assertEqual(platform.pool_stats()["idle"], 0)
            with self.assertRaises(nova.Canceled):
                platform.invoke("hello")

    def test_settings_have_the_names_of_keys(self):
        with nova.open(home=self.directory / "third", engine="fake", pool_idle_ttl="5m"):
            pass
        with self.assertRaises(nova.InvalidArgument) as caught:
            nova.open(home=self.directory / "third", engin="fake")
        self.assertIn("engine", str(caught.exception))
        with self.assertRaises(errors.BadConfig):
            nova.open(home=self.directory / "third", engine="warp")

    def test_messages_of_the_library_go_to_logging(self):
        logger = logging.getLogger("nova")
        with self.assertLogs(logger, logging.DEBUG) as seen:
            with nova.open(home=self.directory / "logged", engine="fake") as platform:
                platform.register("hello", runtime="python", code=GREET)
                platform.invoke("hello")
        self.assertTrue(seen.records)


class Machines(PlatformCase):
    def test_a_vm_of_ones_own_runs_commands_and_functions(self):
        disk = self.directory / "code.ext4"
        nova.build_disk(disk, data=GREET)
        with self.nova.start_vm("python", code_disk=disk) as vm:
            self.assertEqual((vm.state, vm.engine), ("running", "fake"))
            self.assertRegex(vm.id, "^[0-9a-f]{8}$")
            vm.ping()
            pieces = [b"x" * 100000] * 60
            self.assertEqual(vm.command(["wc", "-c"], stdin=iter(pieces)).stdout.strip(), "6000000")
            with open(os.devnull, "rb") as nothing:
                self.assertEqual(vm.command(["wc", "-c"], stdin=nothing).stdout.strip(), "0")
            self.assertEqual(vm.command(["true"], stdin=iter(pieces)).exit_code, 0)
            with self.assertRaises(ZeroDivisionError):
                vm.command(["cat"], stdin=(bytes(1 // 0) for _ in "x"))
            known, failed = [], []
            with mock.patch("nova._stdin.os.fdopen") as opened:
                opened.return_value.__enter__.return_value.write = len
                opened.return_value.__exit__ = lambda *_: known.extend(failed)
                _stdin._feed((bytes(1 // 0) for _ in "x"), -1, failed)
            self.assertEqual(len(known), 1)  # before the command is told that there is no more
            done = vm.command(["sh", "-c", 'cat; echo "$A" >&2; exit 7'], env={"A": "word"},
                              stdin=b"a\0b")
            self.assertEqual((done.exit_code, done.stdout, done.stderr), (7, "a\0b", "word\n"))
            vm.init("python")
            self.assertEqual(vm.invoke({"name": "World"}).output, {"message": "Hello, World!"})
            self.assertIsInstance(vm.console, str)
            for forbidden in (vm.fork, vm.snapshot):  # a plain process has no instant to keep
                with self.assertRaises(nova.NovaError) as caught:
                    forbidden()
                self.assertEqual(caught.exception.name, "NOVA_ENOTSUP")
            with self.assertRaises(nova.NotFound):
                self.nova.restore_vm("no-such-snapshot")
            vm.stop()
            self.assertEqual((vm.state, vm.pid), ("dead", 0))
            with self.assertRaises(nova.Lost):
                vm.ping()

    def test_files_of_a_vm_are_written_listed_and_read(self):
        guest = self.directory / "guest"
        with self.nova.start_vm("base") as vm:
            vm.command(["mkdir", str(guest)])
            vm.write_file(f"{guest}/a", b"a\0b", mode=0o600)
            vm.write_file(f"{guest}/b", b"")
            vm.command(["ln", "-s", "a", f"{guest}/c"])
            self.assertEqual((vm.read_file(f"{guest}/a"), vm.read_file(f"{guest}/b")),
                             (b"a\0b", b""))
            first, second, link = vm.list_files(str(guest))
            self.assertEqual((first.path, first.kind, first.size, first.mode, second.size),
                             ("a", "file", 3, 0o600, 0))
            self.assertEqual((link.kind, link.target), ("link", "a"))
            self.assertNotEqual(first.digest, second.digest)
            self.assertGreater(first.changed.year, 2020)
            with self.assertRaises(nova.errors.TooBig):
                vm.read_file(f"{guest}/a", most=2)
            vm.remove_file(f"{guest}/a")
            with self.assertRaises(nova.NotFound):
                vm.read_file(f"{guest}/a")
            with self.assertRaises(nova.InvalidArgument):
                vm.read_file("../a")
            with self.assertRaises(nova.errors.NotSupported) as caught:  # no forks here
                vm.merge([vm])
            self.assertIsNone(caught.exception.merge)
            with self.assertRaises(ValueError):
                vm.merge([vm], on_conflict="last")

    def test_a_vm_can_be_killed_during_a_call(self):
        started = threading.Event()
        vm = self.nova.start_vm("base")
        self.addCleanup(vm.close)
        caught = []

        def work():
            try:
                vm.command(["sh", "-c", "echo begun; sleep 600"], timeout=600,
                           on_output=lambda _stream, _data: started.set())
            except nova.NovaError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        started.wait(20)
        vm.kill()
        thread.join()
        self.assertIsInstance(caught[0], nova.Lost)
        self.assertTrue(caught[0].outcome_unknown)

    def test_a_call_can_be_cancelled_and_others_go_on_beside_it(self):
        image = self.directory / "waits.ext4"
        nova.build_disk(image, data=b"echo begun >&2; [ $(cat $1) = 1 ] && sleep 600; cat $1")
        vm = self.nova.start_vm("base", code_disk=image)
        self.addCleanup(vm.close)
        vm.init("shell", concurrency=2)
        started = threading.Event()
        caught = []

        def work():
            try:
                vm.invoke(1, timeout=600, request_id="long",
                          on_output=lambda _stream, _data: started.set())
            except nova.NovaError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        started.wait(20)
        self.assertEqual(vm.invoke(2).output, 2)
        vm.cancel("long")
        thread.join()
        self.assertIsInstance(caught[0], nova.Canceled)
        vm.ping()

    def test_modules_tell_what_is_inside(self):
        found = {module.name: module for module in nova.modules()}
        self.assertIn("SQLite", found["sqlite"].contents)
        self.assertEqual((found["curl"].purpose, found["curl"].error),
                         ("the engine firecracker", ""))

    def test_probe_tells_about_every_engine(self):
        found = self.nova.probe()
        self.assertLessEqual({"qemu", "fake"}, {engine.name for engine in found.engines})
        self.assertEqual(found.choice, "fake")
        fake = next(engine for engine in found.engines if engine.name == "fake")
        self.assertTrue(fake.usable)
        self.assertNotIn("isolates", fake.features)
        self.assertNotEqual(nova.probe(home=self.directory / "home", engine="auto").choice, "fake")

    def test_what_of_a_tree_is_left_out_is_logged_and_modes_are_kept_on_request(self):
        code = self.directory / "tree"
        code.mkdir(mode=0o700)
        (code / "main.py").write_bytes(GREET)
        (code / "main.py").chmod(0o600)
        os.mkfifo(code / "pipe")
        line = "WARNING:nova:function: 'pipe' is a FIFO, and left out"
        images = [self.directory / "open", self.directory / "kept"]
        for image, keep_modes in zip(images, (False, True)):
            with self.assertLogs("nova", logging.WARNING) as seen:
                nova.build_disk(image, code, keep_modes=keep_modes)
            self.assertEqual(seen.output, [line])
        self.assertNotEqual(images[0].read_bytes(), images[1].read_bytes())
        with self.assertLogs("nova", logging.WARNING) as seen:
            self.nova.register("tree", runtime="python", code=code)
        self.assertEqual([one for one in seen.output if "FIFO" in one], [line])

    def test_build_disk_takes_a_path_or_bytes_but_not_both(self):
        one, two = self.directory / "one.ext4", self.directory / "two.ext4"
        path = self.directory / "hello.py"
        path.write_bytes(GREET)
        nova.build_disk(one, path)
        nova.build_disk(two, data=GREET)
        self.assertEqual(one.read_bytes(), two.read_bytes())
        with self.assertRaises(nova.InvalidArgument):
            nova.build_disk(one, path, data=GREET)


class Errors(unittest.TestCase):
    def test_every_code_has_its_class(self):
        self.assertEqual(set(errors.BY_CODE), set(_ffi.CODES))
        for code, name in _ffi.CODES.items():
            self.assertEqual(_ffi.lib.nova_code_name(code).decode(), name)

    def import_with(self, library):
        environment = {**os.environ, "NOVA_LIBRARY": library,
                       "PYTHONPATH": str(pathlib.Path(nova.__file__).parents[1])}
        done = subprocess.run([sys.executable, "-c", "import nova"], env=environment,
                              capture_output=True, text=True, check=False)
        return done.stderr

    def test_a_library_that_cannot_be_loaded_is_named(self):
        said = self.import_with("/nowhere/libnova.so.0")
        for part in ("ImportError", "/nowhere/libnova.so.0", "NOVA_LIBRARY"):
            self.assertIn(part, said)

    def test_another_library_is_refused(self):
        self.assertIn("libc.so.6 is not libnova", self.import_with("libc.so.6"))

    def test_a_call_that_the_library_lacks_says_so(self):
        class Older:
            _name = "older.so"

        with self.assertRaisesRegex(NotImplementedError, "older.so has no nova_new"):
            _ffi._missing(Older, "nova_new")()


class RealVm(PlatformCase):
    engine = "qemu"

    def test_a_function_runs_in_a_real_microvm(self):
        self.nova.register("where", runtime="shell", code=b"cat /proc/sys/kernel/random/boot_id")
        try:
            result = self.nova.invoke("where")
        except nova.NotFound as missing:
            self.skipTest(str(missing))
        own = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        self.assertNotEqual(result.output, own)


if os.environ.get("NOVA_TEST_VM") == "0":
    # In the build tree the suite e2e runs this, one VM at a time.
    del RealVm


if __name__ == "__main__":
    unittest.main()
