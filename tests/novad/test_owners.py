# SPDX-License-Identifier: MIT
"""Whose things are: what one key makes is not there for another."""
import hashlib
import json
import re
import unittest

import redisserver
from novadcase import NovadCase, UnixConnection
from novatest import await_that

API = "/api/v1"
KEYS = {name: name * 16 for name in ("alice", "bob", "root")}
SNAPSHOT = "c" * 16
SECRET = "of-alice-alone"  # in all that she makes


def owner_of(name):
    return hashlib.sha256(KEYS[name].encode()).hexdigest()


class OwnersCase(NovadCase):
    def setUp(self):
        super().setUp()
        self.novactl("secret", "key", self.directory / "secret.key")
        keys = self.write("keys.txt", f"alice={KEYS['alice']}\nbob={KEYS['bob']}\n"
                                      f"root={KEYS['root']} admin\n")
        keys.chmod(0o600)
        self.words = ("--key-file", keys, "--e2b", "--set",
                      f"secret.key_file={self.directory / 'secret.key'}",
                      "--listen", f"unix:{self.directory}/socket")

    def asks(self, who, method, path, body=None, **headers):
        return self.ask(method, path, body, key=False, x_api_key=KEYS[who], **headers)

    def has(self, who, status, method, path, body=None, **headers):
        answer = self.asks(who, method, path, body, **headers)
        self.assertEqual(answer.status, status, answer)
        return answer.json() if answer.body else None

    def function(self, who, name, code="cat", **more):
        return self.has(who, 201, "POST", f"{API}/functions",
                        {"name": name, "runtime": "shell", "code": code, **more})


class Hostile(OwnersCase):
    """Bob tries everything on what is Alice's, and then on what is nobody's."""

    def take_snapshot(self, owner, function="hers"):
        """As novad does for a key; the fake engine takes none."""
        self.plant_snapshot(SNAPSHOT, "taken")
        facts = self.home / "novad/snapshots"
        facts.mkdir(parents=True, mode=0o700)
        (facts / SNAPSHOT).write_text(json.dumps({"owner": owner_of(owner), "of": function,
                                                  "name": ""}), encoding="utf-8")

    def make_all(self):
        """What Alice has, each with the names by which it is reached."""
        self.function("alice", "hers", f"echo '\"{SECRET}\"'", env_vars={"A": SECRET},
                      labels={"team": SECRET})
        self.has("alice", 201, "POST", f"{API}/functions/hers/versions")
        self.has("alice", 200, "PUT", f"{API}/functions/hers/aliases/prod", {"version": 1})
        self.asks("alice", "PUT", f"{API}/functions/hers/kv/value?key=k", SECRET.encode())
        self.asks("alice", "PUT", f"{API}/functions/hers/files/content?name=f", SECRET.encode())
        self.has("alice", 204, "PUT", f"{API}/secrets/db", {"value": SECRET})
        called = self.asks("alice", "POST", "/functions/hers/invoke", {})
        one = self.has("alice", 201, "POST", f"{API}/instances", {"function": "hers",
                                                                "name": "box"})
        ran = self.has("alice", 200, "POST", "/execute", {"command": ["echo", SECRET]})
        kept = self.has("alice", 200, "POST", "/execute", {
            "mode": "persistent", "language": "shell", "code": f"echo {SECRET}"})
        sandbox = self.has("alice", 201, "POST", "/v2/sandboxes", {"templateID": "base"})
        return {"instance": one["id"], "call": called.headers["X-Nova-Execution-Id"],
                "run": ran["executionId"], "kept": kept["executionId"],
                "runner": self.has("alice", 200, "GET",
                                   f"{API}/instances/{kept['instance_id']}")["function"],
                "keptbox": kept["instance_id"], "sandbox": sandbox["sandboxID"]}

    def attempts(self, at):
        """Every route that names something, on what is hers: method, path, body."""
        function, code = f"{API}/functions/hers", {"runtime": "shell", "code": "true"}
        for name in ("hers", "hers:1", "hers:prod", at["runner"]):
            yield "GET", f"{API}/functions/{name}", None
            yield "POST", f"/functions/{name}/invoke", {}
            yield "POST", f"/functions/{name}/invoke?mode=ephemeral", {}
            yield "POST", f"{API}/instances", {"function": name}
            yield "POST", f"{API}/usage/estimate", {"function": name}
            yield "GET", f"/2015-03-31/functions/{name}", None
            yield "POST", f"/2015-03-31/functions/{name}/invocations", {}
        yield "PATCH", function, code
        yield "DELETE", f"{function}?force=true", None
        yield "DELETE", f"{function}:1", None
        yield "GET", f"{function}/versions", None
        yield "POST", f"{function}/versions", None
        yield "GET", f"{function}/aliases", None
        yield "GET", f"{function}/aliases/prod", None
        yield "PUT", f"{function}/aliases/prod", {"version": 1}
        yield "POST", f"{function}/aliases/prod/rollback", None
        yield "DELETE", f"{function}/aliases/prod", None
        for part, name in (("kv", "value?key=k"), ("files", "content?name=f")):
            yield "GET", f"{function}/{part}", None
            for method in ("GET", "PUT", "DELETE"):
                yield method, f"{function}/{part}/{name}", b"x" if method == "PUT" else None
        yield "DELETE", f"{API}/secrets/db", None
        for name in (at["instance"], "box", at["keptbox"], at["sandbox"]):
            place = f"{API}/instances/{name}"
            for method, path, body in (
                    ("GET", "", None), ("DELETE", "", None), ("POST", "/stop", {}),
                    ("POST", "/pause", None), ("POST", "/resume", None),
                    ("POST", "/exec", {"command": ["true"]}), ("GET", "/files?path=/tmp", None),
                    ("GET", "/files/content?path=/tmp/x", None),
                    ("PUT", "/files/content?path=/tmp/x", b"x"),
                    ("DELETE", "/files/content?path=/tmp/x", None)):
                yield method, place + path, body
            yield "POST", f"/functions/his/invoke?instance={name}", {}
            yield "POST", f"{API}/snapshots", {"instance_id": name}
            yield "POST", "/execute", {"instance": name, "language": "shell", "code": "true"}
            yield "POST", "/execute", {"instance": name, "command": ["true"]}
            yield "POST", f"{API}/branches/merge", {"branch_ids": [name],
                                                    "parent_snapshot_id": "taken"}
        for name in (SNAPSHOT, "taken"):
            place = f"{API}/snapshots/{name}"
            yield "GET", place, None
            yield "POST", f"{place}/restore", {"function": "his"}
            yield "DELETE", place, None
            yield "POST", f"{API}/branches", {"parent_snapshot_id": name, "function": "his"}
            yield "POST", f"{API}/instances", {"function": "his", "snapshot_id": name}
            yield "POST", f"/functions/his/invoke?snapshot={name}", {}
            yield "POST", "/execute", {"parent_snapshot": name, "language": "shell",
                                       "code": "true"}
        for name in ("call", "run", "kept"):
            yield "GET", f"{API}/logs/{at[name]}", None
            yield "POST", f"{API}/snapshots", {"instance_id": at[name]}
        place = f"/sandboxes/{at['sandbox']}"
        for method, path, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/pause", {}),
                                   ("POST", "/timeout", {"timeout": 1}), ("POST", "/fork", {})):
            yield method, place + path, body
        yield "POST", f"/v2{place}/connect", {}

    def nothing_learned(self, answer, said, asked=""):
        """Neither what she has made nor who she is, but for what was in the question."""
        for text in (SECRET, owner_of("alice"), owner_of("alice")[:12], "alice"):
            if text not in asked:
                self.assertNotIn(text.encode(), answer.body, said)
                self.assertNotIn(text, str(answer.headers), said)

    def test_what_is_hers_is_not_there_for_another_key(self):
        self.take_snapshot("alice")
        self.novad(*self.words)
        at = self.make_all()
        self.function("bob", "his")
        count = 0
        for method, path, body in self.attempts(at):
            answer = self.asks("bob", method, path, body)
            said = f"{method} {path} {body}: {answer}"
            self.assertEqual(answer.status, 404, said)
            hers = [*at.values(), "hers:1", "hers:prod", "hers", "box", SNAPSHOT, "taken", "db"]
            asked = path + json.dumps(body if not isinstance(body, bytes) else None)
            for name in hers:  # what was not named in the question is not named in the answer
                if name not in asked:
                    self.assertNotIn(f"'{name}", answer.body.decode(), said)
            self.nothing_learned(answer, said, asked)
            count += 1
        self.assertGreater(count, 120)
        self.is_all_there(at)

    def is_all_there(self, at):
        self.assertEqual(self.has("alice", 200, "POST", "/functions/hers/invoke", {}), SECRET)
        self.assertEqual(self.asks("alice", "GET",
                                   f"{API}/functions/hers/kv/value?key=k").body, SECRET.encode())
        self.assertEqual(self.asks("alice", "GET", f"{API}/functions/hers/files/content?name=f")
                         .body, SECRET.encode())
        for name in (at["instance"], at["keptbox"], at["sandbox"]):
            found = self.has("alice", 200, "GET", f"{API}/instances/{name}")
            self.assertEqual(found["state"], "running")
        found = self.has("alice", 200, "GET", f"{API}/snapshots/taken")
        self.assertEqual((found["id"], found["function"]), (SNAPSHOT, "hers"))
        self.assertEqual(len(self.has("alice", 200, "GET", f"{API}/secrets")["secrets"]), 1)
        for name in ("call", "run", "kept"):
            record = self.has("alice", 200, "GET", f"{API}/logs/{at[name]}")
            self.assertEqual(record["request_id"], at[name])

    def test_an_admin_who_goes_on_from_her_snapshot_registers_nothing_of_its_own(self):
        runner = f"execute-shell-{owner_of('alice')[:12]}"  # which has been deleted since
        self.take_snapshot("alice", runner)
        self.novad(*self.words)
        answer = self.asks("root", "POST", "/execute", {
            "mode": "branched", "parent_snapshot": SNAPSHOT, "language": "shell", "code": "true"})
        self.assertGreaterEqual(answer.status, 400, answer)  # the fake engine has no snapshots
        self.has("alice", 200, "GET", f"{API}/functions/{runner}")
        found = self.has("root", 200, "GET", f"{API}/functions/{runner}")
        self.assertEqual(found["owner"], owner_of("alice"))

    def test_lists_have_what_belongs_to_who_asks_and_an_admin_sees_all(self):
        self.take_snapshot("alice")
        self.novad(*self.words)
        at = self.make_all()
        self.function("bob", "his")
        self.asks("bob", "POST", "/functions/his/invoke", {})
        seen = {"functions": {"base", "his"}, "instances": set(), "snapshots": set(),
                "secrets": set()}
        for part, names in seen.items():
            answer = self.asks("bob", "GET", f"{API}/{part}")
            self.assertEqual({one["name"] for one in answer.json()[part]}, names, part)
            self.nothing_learned(answer, part)
            everything = self.has("root", 200, "GET", f"{API}/{part}")[part]
            self.assertGreater(len(everything), len(names), part)
        answer = self.asks("bob", "GET", f"{API}/logs")
        self.assertEqual([r["function"] for r in answer.json()["invocations"]], ["his"])
        self.nothing_learned(answer, "logs")
        own = {r["request_id"] for r in self.has("alice", 200, "GET", f"{API}/logs")["invocations"]}
        self.assertEqual(own, {at["call"], at["run"], at["kept"]})
        whole = self.has("root", 200, "GET", f"{API}/logs")["invocations"]
        self.assertEqual(len(whole), 4)
        stats = self.has("bob", 200, "GET", f"{API}/stats")["functions"]
        self.assertEqual([(s["function"], s["calls"]) for s in stats], [("his", 1)])
        self.assertEqual(self.has("bob", 200, "GET", f"{API}/stats?function=hers")["functions"], [])
        listed = self.has("bob", 200, "GET", "/2015-03-31/functions/")["Functions"]
        self.assertEqual({one["FunctionName"] for one in listed}, {"base", "his"})
        label = f"novad.owner={owner_of('alice')}"
        self.assertEqual(self.has("bob", 200, "GET", f"{API}/functions?label={label}"),
                         {"functions": [], "next_cursor": None})
        self.assertEqual(self.has("bob", 200, "GET", "/v2/sandboxes"), [])
        found = self.has("root", 200, "GET", f"{API}/functions/hers")
        self.assertEqual(found["owner"], owner_of("alice"))
        self.assertEqual(self.has("root", 200, "POST", "/functions/hers/invoke", {}), SECRET)
        usage = {r["key"] for r in self.has("root", 200, "GET", f"{API}/usage?by=key")["usage"]}
        self.assertLessEqual({"alice", "bob"}, usage)
        self.assertEqual(self.asks("bob", "GET", f"{API}/usage?key=alice").status, 403)

    def test_a_page_of_a_list_is_full_although_others_are_between(self):
        self.novad(*self.words)
        for number in range(5):
            self.function("alice", f"f{number}a")
            self.function("bob", f"f{number}b")
        first = self.has("bob", 200, "GET", f"{API}/functions?limit=3")
        self.assertEqual([f["name"] for f in first["functions"]], ["f0b", "f1b", "f2b"])
        second = self.has("bob", 200, "GET",
                          f"{API}/functions?limit=3&cursor={first['next_cursor']}")
        self.assertEqual([f["name"] for f in second["functions"]], ["f3b", "f4b"])
        self.assertIsNone(second["next_cursor"])

    def test_a_name_that_is_taken_is_nobody_elses_and_says_no_more(self):
        self.novad(*self.words)
        body = {"name": "hers", "runtime": "shell", "code": "cat"}
        self.has("alice", 201, "POST", f"{API}/functions", body)
        put = {key: value for key, value in body.items() if key != "name"}
        for method, path, given in (("POST", f"{API}/functions", body),
                                    ("POST", f"{API}/functions", {**body, "code": "x"}),
                                    ("PUT", f"{API}/functions/hers", put)):
            answer = self.asks("bob", method, path, given)
            self.assertEqual((answer.status, answer.json()["code"], answer.json()["detail"]),
                             (409, "exists", "the name 'hers' is taken"))
        self.has("alice", 204, "DELETE", f"{API}/functions/hers")
        self.has("bob", 200, "PUT", f"{API}/functions/hers", put)
        self.assertEqual(self.asks("alice", "GET", f"{API}/functions/hers").status, 404)

    def test_an_admin_who_changes_a_function_leaves_it_to_its_owner(self):
        self.novad(*self.words)
        self.function("alice", "hers", labels={"a": "b"})
        put = {"runtime": "shell", "code": "echo 1"}
        self.has("root", 200, "PUT", f"{API}/functions/hers", put)
        self.has("root", 200, "PATCH", f"{API}/functions/hers", {"labels": {"c": "d"}})
        self.has("alice", 200, "PATCH", f"{API}/functions/hers", {"reset": ["labels"]})
        found = self.has("alice", 200, "GET", f"{API}/functions/hers")
        self.assertEqual((found["labels"], "owner" in found), ({}, False))
        self.assertEqual(self.asks("bob", "GET", f"{API}/functions/hers").status, 404)
        for who in ("bob", "root"):
            answer = self.asks(who, "POST", f"{API}/functions", {
                "name": "forged", **put, "labels": {"novad.owner": owner_of("alice")}})
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid"))
        answer = self.asks("bob", "POST", f"{API}/functions", {"name": "execute-python", **put})
        self.assertIn("code that is executed", answer.json()["detail"])


class Shared(OwnersCase):
    def test_what_nobody_owns_is_called_by_all_and_changed_by_an_admin(self):
        self.register("common", "echo 7", "shell", "--env", f"A={SECRET}")
        self.novad(*self.words)
        mine = self.asks("alice", "POST", "/functions/common/invoke", {"of": SECRET})
        self.assertEqual(mine.status, 200)
        self.assertEqual(self.has("bob", 200, "POST", "/functions/common/invoke", {}), 7)
        seen = self.asks("bob", "GET", f"{API}/functions/common")
        self.assertNotIn(SECRET.encode(), seen.body)  # not what it is given
        for method, path, body in (
                ("DELETE", "", None), ("PATCH", "", {"memory_mb": 256}),
                ("POST", "/versions", None),
                ("GET", "/kv", None), ("PUT", "/kv/value?key=k", b"x"), ("GET", "/files", None),
                ("PUT", "/aliases/prod", {"version": 1})):
            answer = self.asks("bob", method, f"{API}/functions/common{path}", body)
            self.assertEqual((answer.status, answer.json()["code"]), (403, "not_yours"), path)
        self.assertEqual(self.asks("bob", "GET", f"{API}/functions/common/versions").status, 200)
        theirs = self.asks("bob", "GET", f"{API}/logs")
        self.assertEqual(len(theirs.json()["invocations"]), 1)
        identity = mine.headers["X-Nova-Execution-Id"]
        self.assertEqual(self.asks("bob", "GET", f"{API}/logs/{identity}").status, 404)
        self.has("root", 200, "PATCH", f"{API}/functions/common", {"memory_mb": 256})
        connection = UnixConnection(self.directory / "socket")  # whose it is needs no key
        self.gets(204, "DELETE", f"{API}/functions/common", key=False, connection=connection)

    def test_an_instance_of_a_shared_function_is_its_keys_own(self):
        self.register("common", "cat", "shell")
        self.novad(*self.words)
        one = self.has("alice", 201, "POST", f"{API}/instances", {"function": "common"})
        self.assertEqual(self.asks("bob", "GET", f"{API}/instances/{one['id']}").status, 404)
        path = f"/functions/common/invoke?instance={one['id']}"
        self.assertEqual(self.asks("bob", "POST", path, {}).status, 404)
        self.assertEqual(self.asks("alice", "POST", path, {}).status, 200)

    def test_who_follows_the_log_is_not_woken_by_others(self):
        self.register("common", "cat", "shell")
        self.novad(*self.words)
        self.asks("alice", "POST", "/functions/common/invoke", {})
        follow = f"{API}/logs?order=oldest&wait_ms=1500"
        self.assertEqual(self.has("bob", 200, "GET", follow)["invocations"], [])
        self.asks("bob", "POST", "/functions/common/invoke", {})
        self.assertEqual(len(self.has("bob", 200, "GET", follow)["invocations"]), 1)


class Secrets(OwnersCase):
    def test_each_key_names_its_own_secrets(self):
        self.novad(*self.words)
        for who in KEYS:
            self.has(who, 204, "PUT", f"{API}/secrets/db", {"value": f"of {who}"})
            found, = [s for s in self.has(who, 200, "GET", f"{API}/secrets")["secrets"]
                      if s["name"] == "db"]
            self.assertEqual(len(found["key_id"]), 16)
        self.assertEqual(len(self.has("root", 200, "GET", f"{API}/secrets")["secrets"]), 3)
        reads = {"runtime": "shell", "code": "printf '\"%s\"' \"$A\"", "env_vars": {
            "A": "$SECRET:db"}}
        for who in KEYS:
            made = self.has(who, 201, "POST", f"{API}/functions", {"name": f"of-{who}", **reads})
            self.assertEqual(made["env_vars"], {"A": "$SECRET:db"})
            self.assertEqual(self.has(who, 200, "POST", f"/functions/of-{who}/invoke", {}),
                             f"of {who}")
            done = self.has(who, 200, "POST", "/execute", {
                "language": "shell", "code": "echo $A", "env_vars": ["A=$SECRET:db"]})
            self.assertEqual(done["stdout"], f"of {who}\n")
        name = self.has("root", 200, "GET", f"{API}/functions/of-alice")["env_vars"]["A"]
        self.assertRegex(name, r"^\$SECRET:k[0-9a-f]{16}\.db$")
        self.has("bob", 201, "POST", f"{API}/functions",
                 {"name": "thief", **reads, "env_vars": {"A": name}})
        self.assertEqual(self.asks("bob", "POST", "/functions/thief/invoke", {}).status, 500)
        self.assertEqual(self.asks("bob", "POST", f"{API}/secrets/keys/rotate").status, 403)
        self.has("bob", 204, "DELETE", f"{API}/secrets/db")
        self.assertEqual(self.has("alice", 200, "POST", "/functions/of-alice/invoke", {}),
                         "of alice")
        self.assertEqual(self.asks("bob", "PUT", f"{API}/secrets/{'x' * 47}",
                                   {"value": "v"}).status, 400)


class Stored(OwnersCase):
    def test_a_key_of_the_tier_admin_is_one_and_the_next_of_a_name_is_another(self):
        self.novad(*self.words)

        def make(name, *options):
            KEYS[name] = self.novactl("apikey", "create", name, *options).stdout.strip()
            self.addCleanup(KEYS.pop, name, None)
        make("ops", "--tier", "admin")
        make("ci")
        self.function("ci", "mine")
        self.assertEqual(self.asks("ops", "GET", f"{API}/functions/mine").status, 200)
        self.assertEqual(self.asks("bob", "GET", f"{API}/functions/mine").status, 404)
        self.novactl("apikey", "delete", "ci")
        make("ci")
        self.assertEqual(self.asks("ci", "GET", f"{API}/functions/mine").status, 404)

    def test_what_is_known_of_a_snapshot_goes_with_it(self):
        self.stops(self.novad(*self.words))
        facts = self.home / "novad/snapshots"
        self.assertEqual(facts.stat().st_mode & 0o777, 0o700)
        for letter, text in (("d", "{}"), ("e", "no JSON")):
            (facts / (letter * 16)).write_text(text)
        self.novad(*self.words)
        self.assertEqual([path.name for path in facts.iterdir()], ["e" * 16])
        self.assertIn(f"cannot read '{facts}/{'e' * 16}'", self.log())


class Killed(OwnersCase):
    def test_instances_that_have_ended_with_a_killed_novad_are_told(self):
        process = self.novad(*self.words)
        self.function("alice", "hers")
        one = self.has("alice", 201, "POST", f"{API}/instances", {"function": "hers",
                                                                "name": "box"})
        self.has("alice", 200, "POST", f"{API}/instances/box/pause")
        gone = self.has("alice", 201, "POST", f"{API}/instances", {"function": "hers",
                                                                 "name": "stopped"})
        self.has("alice", 200, "POST", f"{API}/instances/{gone['id']}/stop")
        process.kill()
        process.wait()
        await_that(self.nothing_runs, "its VMs have ended with it")
        process = self.novad(*self.words)
        self.assertRegex(self.log(), r"was killed, and 1 instance has ended with it: box\n")
        for name in ("box", one["id"]):
            told = self.has("alice", 404, "GET", f"{API}/instances/{name}")
            self.assertIn("with the novad before this one", told["detail"])
            other = self.has("bob", 404, "GET", f"{API}/instances/{name}")
            self.assertNotIn("novad", other["detail"])
        self.assertEqual(self.has("alice", 200, "GET", f"{API}/instances")["instances"], [])
        self.has("alice", 201, "POST", f"{API}/instances", {"function": "hers", "name": "box"})
        self.stops(process)
        self.novad(*self.words)  # one that stops in order has nothing to tell
        self.assertEqual(len(re.findall("was killed", self.log())), 1)


@unittest.skipIf(redisserver.MISSING, redisserver.MISSING)
class Jobs(OwnersCase):
    """What waits in Redis is as much somebody's as what is called at once."""

    def setUp(self):
        super().setUp()
        self.redis = redisserver.Server(self)
        self.environment["NOVA_REDIS_ADDR"] = str(self.redis.path)

    def job(self, who, name, query=""):
        return self.has(who, 202, "POST", f"{API}/functions/{name}/jobs{query}", b"1")["id"]

    def test_what_one_key_hands_in_is_not_there_for_another(self):
        self.novactl("register", "common", "--runtime", "shell", "--code",
                     self.write("common", "cat"))
        process = self.novad(*self.words, "--job-workers", "0")
        self.function("alice", "private")
        for path, headers in ((f"{API}/functions/private/jobs", {}),
                              ("/2015-03-31/functions/private/invocations",
                               {"X_Amz_Invocation_Type": "Event"})):
            self.assertEqual(self.asks("bob", "POST", path, b"1", **headers).status, 404, path)
        self.job("alice", "private")
        hers = self.job("alice", "common", "?key=one")
        self.assertEqual(self.job("alice", "common", "?key=one"), hers)
        self.assertNotEqual(self.job("bob", "common", "?key=one"), hers)
        self.has("bob", 404, "GET", f"{API}/jobs/{hers}")
        for who in ("alice", "root"):
            self.assertEqual(self.has(who, 200, "GET", f"{API}/jobs/{hers}")["key"], "one")
        self.assertEqual(self.has("alice", 200, "GET",
                                  f"{API}/jobs/{self.job('alice', 'common')}")["key"], "")
        self.stops(process)

    def jobs(self, who, query=""):
        page = self.has(who, 200, "GET", f"{API}/jobs{query}")
        return [job["id"] for job in page["jobs"]]

    def test_a_key_lists_its_own_jobs_and_an_admin_all_or_those_of_one(self):
        process = self.novad(*self.words, "--job-workers", "0")
        self.function("alice", "hers")
        self.function("bob", "his")
        first, his, second = (self.job("alice", "hers"), self.job("bob", "his"),
                              self.job("alice", "hers"))
        self.assertEqual(self.jobs("alice"), [second, first])
        self.assertEqual(self.jobs("bob"), [his])
        self.assertEqual(self.jobs("bob", "?function=hers"), [])
        self.assertEqual(self.jobs("root"), [second, his, first])
        alice = self.has("alice", 200, "GET", f"{API}/jobs/{first}")["owner"]
        self.assertEqual(self.jobs("root", f"?owner={alice}"), [second, first])
        self.assertEqual(self.jobs("alice", f"?owner={alice}"), [second, first])
        for query in (f"?owner={alice}", "?owner=x"):
            self.has("bob", 403, "GET", f"{API}/jobs{query}")
        self.stops(process)

    def state(self, who, job):
        return self.has(who, 200, "GET", f"{API}/jobs/{job}")["state"]

    def test_a_job_does_not_reach_who_has_taken_the_name_of_its_function(self):
        process = self.novad(*self.words, "--job-workers", "0")
        self.function("alice", "f")
        moved, kept = self.job("alice", "f"), self.job("alice", "f")
        self.has("alice", 204, "DELETE", f"{API}/functions/f")
        self.function("bob", "f")
        self.stops(process)
        process = self.novad(*self.words)
        for job in (moved, kept):
            await_that(lambda one=job: self.state("alice", one) == "dead", "it is dead", 60)
        told = self.has("alice", 200, "GET", f"{API}/jobs/{moved}")
        self.assertIn("function 'f' belongs to somebody else", told["error"])
        self.assertEqual(self.has("root", 200, "GET", f"{API}/logs")["invocations"], [])
        self.stops(process)

    def test_the_log_of_a_job_is_there_for_its_owner(self):
        process = self.novad(*self.words)
        self.function("alice", "f")
        job = self.job("alice", "f")
        await_that(lambda: self.state("alice", job) == "done", "it is done", 60)
        for who, status in (("alice", 200), ("root", 200), ("bob", 404)):
            await_that(lambda: self.asks("root", "GET", f"{API}/logs/{job}").status == 200,
                       "it is logged", 60)
            self.assertEqual(self.asks(who, "GET", f"{API}/logs/{job}").status, status, who)
            listed = self.has(who, 200, "GET", f"{API}/logs")["invocations"]
            self.assertEqual([r["request_id"] for r in listed], [job] * (status == 200), who)
        # Without the server it cannot be said whose job it was; all else is there.
        self.redis.stop()
        self.has("alice", 200, "POST", f"{API}/functions/f/invoke", {})
        for who, unknown, own in (("alice", True, 1), ("bob", True, 0), ("root", False, 2)):
            def listed_now():
                page = self.has(who, 200, "GET", f"{API}/logs")
                return page.get("unknown_jobs", False), len(page["invocations"])
            await_that(lambda: listed_now() == (unknown, own), f"{who} is told", 60)
        self.stops(process)


class Names(OwnersCase):
    def test_what_all_use_is_not_registered_by_a_key(self):
        process = self.novad(*self.words)
        for name in ("plugged-paths", "base", "execute-python"):
            answer = self.asks("bob", "POST", f"{API}/functions",
                               {"name": name, "runtime": "shell", "code": "cat"})
            self.assertEqual((answer.status, answer.json()["code"]), (400, "invalid"), name)
        self.stops(process)

    def test_what_an_admin_registers_by_a_name_stays_its_owners(self):
        process = self.novad(*self.words)
        self.function("alice", "hers")
        self.has("root", 200, "POST", "/my-own-cluster/api/blob/register",
                 {"name": "hers", "content_type": "text/javascript", "bytes": "MQ=="})
        self.has("bob", 404, "GET", f"{API}/functions/hers")
        self.has("alice", 200, "GET", f"{API}/functions/hers")
        self.stops(process)
