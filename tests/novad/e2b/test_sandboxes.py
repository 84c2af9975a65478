# SPDX-License-Identifier: MIT
"""Sandboxes, by E2B's SDK: their life, and to whom they belong."""
import asyncio
import json
import threading

from e2bcase import VERSION, E2bCase
from novadcase import NovadCase
from novatest import ROOT, await_that


class Off(NovadCase):
    def test_it_is_off_unless_asked_for(self):
        self.novad()
        self.is_refused(404, "no_route", "POST", "/v2/sandboxes", {"templateID": "base"})
        self.is_refused(404, "no_route", "GET", "/health")


class Life(E2bCase):
    def test_the_sdk_is_the_one_that_novad_knows(self):
        self.assertEqual(self.e2b.connection_config.package_version, VERSION)

    def test_one_is_created_looked_at_and_killed(self):
        process = self.sandboxes()
        sandbox = self.create(metadata={"user": "ä b&c", "n": "1"}, timeout=200)
        self.assertTrue(sandbox.is_running())
        info = sandbox.get_info()
        self.assertEqual((info.sandbox_id, info.template_id, info.metadata, info.state.value),
                         (sandbox.sandbox_id, "base", {"user": "ä b&c", "n": "1"}, "running"))
        self.assertEqual((info.cpu_count, info.memory_mb), (1, 512))
        self.assertAlmostEqual((info.end_at - info.started_at).total_seconds(), 200, delta=30)
        self.assertEqual([i["name"] for i in self.gets(200, "GET", "/api/v1/instances")[
            "instances"]], [sandbox.sandbox_id])
        self.assertTrue(sandbox.kill())
        self.assertFalse(sandbox.kill())
        self.assertFalse(sandbox.is_running())
        gone = self.e2b.SandboxNotFoundException
        self.raises(gone, sandbox.sandbox_id, sandbox.get_info)
        self.raises(gone, sandbox.sandbox_id, sandbox.set_timeout, 10)
        self.raises(gone, sandbox.sandbox_id, self.e2b.Sandbox.connect, sandbox.sandbox_id)
        self.raises(self.e2b.TimeoutException, "was not found", sandbox.commands.run, "true")
        self.raises(self.e2b.TimeoutException, "was not found", sandbox.files.read, "x")
        self.assertEqual(self.gets(200, "GET", "/api/v1/instances")["instances"], [])
        self.stops(process)

    def test_they_are_listed_in_pages_and_by_what_is_known_of_them(self):
        self.sandboxes()
        ids = [self.create(metadata={"n": str(n), "odd%": "a b&=%" if n % 2 else ""}).sandbox_id
               for n in range(3)]
        list_them, query = self.e2b.Sandbox.list, self.e2b.SandboxQuery
        self.assertEqual([s.sandbox_id for s in list_them().next_items()], ids[::-1])
        pages = list_them(limit=2, order="asc")
        self.assertEqual([s.sandbox_id for s in pages.next_items()], ids[:2])
        self.assertEqual(([s.sandbox_id for s in pages.next_items()], pages.has_next),
                         (ids[2:], False))
        first = list_them(limit=1)
        self.assertEqual([s.sandbox_id for s in first.next_items()], ids[2:])
        self.e2b.Sandbox.kill(ids[2])  # where the next page begins is known all the same
        self.assertEqual([s.sandbox_id for s in first.next_items()], ids[1:2])
        self.assertEqual([s.sandbox_id for s in first.next_items()], ids[:1])
        for metadata, found in (({"n": "1"}, ids[1:2]), ({"odd%": "a b&=%"}, ids[1:2]),
                                ({"n": "0", "odd%": "a b&=%"}, []), ({"none": "1"}, [])):
            items = list_them(query=query(metadata=metadata)).next_items()
            self.assertEqual([s.sandbox_id for s in items], found, metadata)
        states = self.e2b.SandboxState
        self.assertEqual(len(list_them(query=query(state=[states.RUNNING])).next_items()), 2)
        self.assertEqual(list_them(query=query(state=[states.PAUSED])).next_items(), [])
        self.assertEqual(list_them(query=query(template="other")).next_items(), [])

    def test_a_page_has_many_and_none_twice(self):
        self.sandboxes()
        ids = [self.create(metadata={"n": str(n % 2)}).sandbox_id for n in range(23)]
        pages = self.e2b.Sandbox.list(limit=21, order="asc")
        self.assertEqual([s.sandbox_id for s in pages.next_items()], ids[:21])
        self.assertEqual([s.sandbox_id for s in pages.next_items()], ids[21:])
        self.assertFalse(pages.has_next)
        even = self.e2b.Sandbox.list(query=self.e2b.SandboxQuery(metadata={"n": "0"}))
        self.assertEqual([s.sandbox_id for s in even.next_items()], ids[::-2])
        self.assertEqual(self.gets(200, "GET", "/v2/sandboxes?metadata=n"), [])

    def test_its_time_ends_it(self):
        self.sandboxes()
        sandbox = self.create(timeout=1)
        longer = self.create(timeout=1)
        longer.set_timeout(100)
        await_that(lambda: not sandbox.is_running(), "its time is over")
        self.assertTrue(longer.is_running())
        self.assertEqual([s.sandbox_id for s in self.e2b.Sandbox.list().next_items()],
                         [longer.sandbox_id])
        await_that(lambda: len(self.gets(200, "GET", "/api/v1/instances")["instances"]) == 1,
                   "its instance has ended")

    def test_who_connects_gives_it_more_time_and_never_less(self):
        self.sandboxes()
        sandbox = self.create(timeout=1000)
        end_at = sandbox.get_info().end_at
        same = self.e2b.Sandbox.connect(sandbox.sandbox_id, timeout=10)
        self.assertEqual(same.commands.run("echo hi").stdout, "hi\n")
        self.assertLess(abs((same.get_info().end_at - end_at).total_seconds()), 5)
        sandbox.connect(timeout=5000)
        self.assertGreater((sandbox.get_info().end_at - end_at).total_seconds(), 3000)

    def test_a_template_is_a_function(self):
        self.register("small", "cat", "shell", "--concurrency", "4")
        self.register("one", "cat", "shell")
        self.sandboxes()
        sandbox = self.create(template="small", envs={"A": "1", "B": "2"})
        self.assertEqual(sandbox.get_info().template_id, "small")
        done = sandbox.commands.run("echo $A$B$C", envs={"B": "3", "C": "4"})
        self.assertEqual(done.stdout, "134\n")
        error, create = self.e2b.SandboxException, self.e2b.Sandbox.create
        self.raises(error, "--concurrency 16", create, template="one")
        self.raises(error, "'none'", create, template="none")
        self.raises(error, "--network nat", create, template="small", allow_internet_access=True)
        self.create(template="small", allow_internet_access=False)

    def test_a_template_may_be_a_version_or_an_alias(self):
        self.register("small", "cat", "shell", "--concurrency", "4")
        self.novactl("version", "publish", "small")
        self.novactl("alias", "set", "small", "prod", "1")
        self.novactl("update", "small", "--memory", "256")
        self.sandboxes()
        for template, version, name in (("small:1", 1, "small:1"), ("small:prod", 1, "small:1"),
                                        ("small", 2, "small"), ("small:latest", 2, "small")):
            with self.subTest(template):
                sandbox = self.create(template=template)
                path = f"/api/v1/instances/{sandbox.sandbox_id}"
                self.assertEqual(self.gets(200, "GET", path)["version"], version)
                self.assertEqual(sandbox.get_info().template_id, name)

    def test_a_sandbox_stays_that_of_its_key_whatever_the_key_is_called(self):
        self.sandboxes()
        sandbox = self.create()
        keys = self.home / "novad/keys"
        for lines in (f"# a comment\n{self.key}\n", f"me={self.key}\n"):
            before = self.log().count("again")
            keys.write_text(lines)
            await_that(lambda before=before: self.log().count("again") > before, "it is read")
            self.assertEqual(sandbox.commands.run("echo hi").stdout, "hi\n")

    def test_the_one_for_asyncio_works_as_well(self):
        self.sandboxes()
        path = self.directory / "x"  # the fake engine's guests have the host's files

        async def live():
            async with await self.e2b.AsyncSandbox.create() as sandbox:
                await sandbox.files.write(str(path), "x")
                done = await sandbox.commands.run(f"cat {path}")
                handle = await sandbox.commands.run("sleep 1000", background=True)
                return done.stdout, await handle.kill(), await sandbox.commands.list()
        self.assertEqual(asyncio.run(live()), ("x", True, []))
        self.assertEqual(self.e2b.Sandbox.list().next_items(), [])

    def test_what_is_not_there_says_so(self):
        self.sandboxes()
        error, create = self.e2b.SandboxException, self.e2b.Sandbox.create
        self.raises(error, "no 'network'", create, network={"deny_out": ["0.0.0.0/0"]})
        self.raises(error, "Sandbox.connect()", create,
                    lifecycle={"on_timeout": "pause", "auto_resume": True})
        self.raises(error, "with their memory", create, lifecycle={
            "on_timeout": {"action": "pause", "mode": "filesystem"}})
        self.raises(error, "no snapshots", create, lifecycle={"on_timeout": "pause"})
        sandbox = self.create()
        self.raises(error, "no snapshots", sandbox.pause)  # the fake engine has no snapshots
        self.raises(error, "with their memory", sandbox.pause, mode="filesystem")
        self.raises(error, "no snapshots", sandbox.fork)
        self.raises(error, "pause() and fork()", sandbox.create_snapshot)
        self.raises(error, "killed takes its snapshots", self.e2b.Sandbox.delete_snapshot, "x")
        self.raises(error, "that of its template", sandbox.update_network, {})
        self.raises(error, "501", sandbox.get_metrics)
        self.assertEqual(sandbox.get_host(3000),
                         f"3000-{sandbox.sandbox_id}.ports-are-not-there.invalid")
        wrong = self.e2b.InvalidArgumentException
        self.raises(wrong, "leave 'user' away", sandbox.files.write, "x", "x", user="root")
        waits = sandbox.commands.run("sleep 1000", background=True)
        self.raises(error, "without a terminal", sandbox.pty.send_stdin, waits.pid, b"x")
        waits.kill()
        self.raises(self.e2b.VolumeException, "files.write()", self.e2b.Volume.list)
        self.raises(error, "not watched", sandbox.files.watch_dir, "/tmp")
        self.raises(error, "without a terminal", sandbox.pty.create,
                    self.e2b.PtySize(rows=24, cols=80))
        self.raises(error, "send_stdin", sandbox.commands.stream_input, 1, iter(["x"]))
        self.assertEqual(sandbox.commands.run("echo it runs on").stdout, "it runs on\n")

    def test_a_request_that_is_malformed_is_refused(self):
        self.sandboxes()
        for path, body in (("/v2/sandboxes", {}), ("/v2/sandboxes", {"templateID": 1}),
                           ("/v2/sandboxes", {"templateID": "base", "timeout": 10**6}),
                           ("/v2/sandboxes", {"templateID": "base", "nonsense": 1}),
                           ("/v2/sandboxes", {"templateID": "base",
                                              "metadata": {"a": "x" * 40000, "b": "x" * 40000}}),
                           ("/v2/sandboxes", b"{")):
            answer = self.ask("POST", path, body)
            self.assertEqual((answer.status, answer.json()["code"]), (400, 400), answer)
            self.assertTrue(answer.json()["message"])
        self.assertEqual(self.gets(200, "GET", "/v2/sandboxes"), [])


    def test_a_refusal_waits_for_the_body(self):
        self.sandboxes()
        head = self.head("POST", "/process.Process/Start", "E2b-Sandbox-Id: none",
                         "Content-Length: 5").replace(self.key.encode(), b"wrong")
        raw = self.raw(head)
        self.assertEqual(self.ask("GET", "/v2/sandboxes").status, 200)  # it has been looked at
        raw.sendall(b"12345" + self.head("GET", "/healthz", "Connection: close"))
        data = self.read_all(raw)
        self.assertIn(b"was not found", data)
        self.assertIn(b'{"status":"ok"}', data)  # and the connection is of use


class Keys(E2bCase):
    def two(self, *words):
        keys = self.write("keys.txt", "one=1111111111111111\ntwo=2222222222222222\n")
        keys.chmod(0o600)
        self.sandboxes("--key-file", keys, *words)
        return {"api_key": "1111111111111111"}, {"api_key": "2222222222222222"}

    def test_a_wrong_key_is_refused(self):
        self.sandboxes()
        self.raises(self.e2b.AuthenticationException, "401", self.e2b.Sandbox.create,
                    api_key="wrong")

    def test_no_other_key_sees_it(self):
        one, two = self.two()
        sandbox = self.create(**one)
        self.assertEqual(self.e2b.Sandbox.list(**two).next_items(), [])
        gone = self.e2b.SandboxNotFoundException
        for call in (self.e2b.Sandbox.get_info, self.e2b.Sandbox.connect,
                     self.e2b.Sandbox.pause, self.e2b.Sandbox.fork):
            self.raises(gone, "", call, sandbox.sandbox_id, **two)
        self.assertFalse(self.e2b.Sandbox.kill(sandbox.sandbox_id, **two))
        self.assertTrue(sandbox.is_running())
        self.assertTrue(self.e2b.Sandbox.kill(sandbox.sandbox_id, **one))

    def test_nobody_gets_inside_without_its_token(self):
        self.sandboxes()
        sandbox, other = self.create(), self.create()
        for token in (None, "wrong", other._envd_access_token):  # pylint: disable=protected-access
            headers = {"E2b-Sandbox-Id": sandbox.sandbox_id}
            if token:
                headers["X-Access-Token"] = token
            for method, path, code in (("GET", "/files?path=/tmp", 401), ("GET", "/health", 401),
                                       ("POST", "/process.Process/List", "unauthenticated")):
                answer = self.ask(method, path, {} if method == "POST" else None, **headers)
                self.assertEqual((answer.status, answer.json()["code"]), (401, code), answer)
        answer = self.ask("GET", "/files?path=/tmp/x")  # as a link would
        self.assertIn("not by links", answer.json()["message"])

    def test_a_key_that_is_gone_takes_its_sandboxes_along(self):
        one, _ = self.two()
        sandbox = self.create(**one)
        self.assertEqual(sandbox.commands.run("echo 1").stdout, "1\n")
        self.write("keys.txt", "one=3333333333333333\n")

        def is_refused():
            try:
                sandbox.commands.run("true")
            except self.e2b.AuthenticationException:
                return True
            return False
        await_that(is_refused, "the key is out")

    def test_a_command_outlives_the_key_that_began_it(self):
        one, two = self.two()
        go, gone = self.directory / "go", self.directory / "gone"
        self.create(**one).commands.run(
            f"while ! test -e {go}; do sleep 0.02; done; touch {gone}", background=True,
            timeout=0).disconnect()
        self.write("keys.txt", "two=2222222222222222\n")
        await_that(lambda: self.ask("GET", "/v2/sandboxes", x_api_key=one["api_key"]).status
                   == 401, "the key is out")
        self.create(**two).kill()
        go.touch()
        await_that(gone.exists, "it has ended")
        self.create(**two)  # nothing has lost its place

    def test_there_are_so_many_of_a_key_and_of_all_and_no_more(self):
        one, two = self.two("--max-sandboxes", "3")
        create, full = self.e2b.Sandbox.create, self.e2b.RateLimitException
        first, _, _ = self.create(**one), self.create(**one), self.create(**two)
        self.raises(full, "3 sandboxes", create, **two)
        self.assertTrue(first.kill())
        self.create(**two)
        self.raises(full, "3 sandboxes", create, **one)
        self.assertEqual(len(self.e2b.Sandbox.list(**one).next_items()), 1)

    def test_one_key_has_not_all_of_them(self):
        one, two = self.two("--max-sandboxes", "10", "--key-sandboxes", "2")
        made, refused = [], []

        def create():
            try:
                made.append(self.create(**one))
            except self.e2b.RateLimitException as error:
                refused.append(str(error))
        threads = [threading.Thread(target=create) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(made), len(refused)), (2, 4))
        self.assertIn("this key has 2 sandboxes", refused[0])
        self.create(**two)
        self.assertEqual(len(self.e2b.Sandbox.list(**one).next_items()), 2)

    def test_a_key_has_no_more_of_a_plan_in_sandboxes(self):
        card = json.loads((ROOT / "lib/usage/rates.json").read_text(encoding="utf-8"))
        card["plans"] = [{"name": "tiny", "price": 1, "mcu": 1000, "vcpus": 1, "memory_gb": 1}]
        self.environment.update(
            NOVA_USAGE_RATES=str(self.write("rates.json", json.dumps(card))),
            NOVA_USAGE_RECORD="on", NOVA_USAGE_PLAN="tiny", NOVA_USAGE_LIMIT="on")
        one, two = self.two()
        first = self.create(**one)
        with self.assertRaisesRegex(self.e2b.RateLimitException, "the plan 'tiny' has 1 virtual"):
            self.create(**one)
        self.create(**two)
        first.kill()
        self.create(**one)

    def test_a_key_of_the_store_will_do(self):
        made = self.novactl_json("apikey", "create", "ci")
        self.sandboxes()
        sandbox = self.create(api_key=made["key"])
        self.assertEqual(sandbox.commands.run("echo 1").stdout, "1\n")
        self.assertEqual(self.e2b.Sandbox.list().next_items(), [])

    def test_without_keys_all_is_open_on_this_machine(self):
        self.sandboxes("--no-keys")
        sandbox = self.create()
        self.assertEqual(sandbox.commands.run("echo 1").stdout, "1\n")

    def test_many_are_created_and_killed_at_once(self):
        self.sandboxes()
        failed = []

        def live():
            try:
                with self.e2b.Sandbox.create() as sandbox:
                    assert sandbox.commands.run("echo 1").stdout == "1\n"
            except Exception as error:  # pylint: disable=broad-exception-caught
                failed.append(error)
        threads = [threading.Thread(target=live) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual(self.e2b.Sandbox.list().next_items(), [])
