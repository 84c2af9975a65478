# SPDX-License-Identifier: MIT
"""Hosts that share a PostgreSQL database, each with a state directory of its own."""
import json
import os
import subprocess
import sys
import threading
import unittest

import pgserver
from novatest import BUILD, NOVACTL, ROOT, HomeCase, await_that

LONG = bool(os.environ.get("NOVA_TEST_LONG"))
HELLO = "def handler(event):\n    return {'said': event['word'] + %r}\n"

# A program of the library: calls f as often as each line says, until there are no more.
CALLER = """
import sys
import nova
with nova.open() as platform:
    for line in sys.stdin:
        for i in range(int(line)):
            platform.invoke("f", {}, request_id=f"r{i}")
        print("called", flush=True)
"""

# Another one: sets a number and tells of it, again and again; what fails as the server is away is
# tried again.
WRITER = """
import nova
with nova.open() as platform:
    for number in range(10, 80000):
        while True:
            try:
                platform.update("f", timeout_s=number)
                break
            except nova.errors.NovaError as error:
                assert error.name == "NOVA_EIO", error
        print(number, flush=True)
"""


@unittest.skipIf(pgserver.programs() is None, "no PostgreSQL: see test_packages in tools/packages")
class Postgres(HomeCase):
    def setUp(self):
        super().setUp()
        self.server = pgserver.start_for(self)
        self.environment["NOVA_PG_DSN"] = self.server.dsn()
        self.a = {"NOVA_HOME": str(self.directory / "a")}
        self.b = {"NOVA_HOME": str(self.directory / "b")}

    def add(self, host, word, *options):
        code = self.write("hello.py", HELLO % word)
        self.novactl("register", "hello", "--runtime", "python", "--code", code, *options,
                     environment=host)

    def says(self, host, word):
        result = self.novactl_json("invoke", "hello", "--payload", '{"word": "a"}',
                                   environment=host)
        self.assertEqual(result["output"], {"said": f"a{word}"})

    def test_what_one_host_registers_another_runs(self):
        self.add(self.a, "1")
        self.says(self.b, "1")
        self.add(self.b, "2", "--replace")
        self.says(self.a, "2")
        self.assertFalse((self.directory / "a/nova.db").exists())
        # A flag says more than a variable.
        self.refuses("cannot connect", "--pg-dsn", "host=/nowhere dbname=x", "list")
        self.novactl("delete", "hello", environment=self.a)
        self.refuses("there is no function 'hello'", "invoke", "hello", environment=self.b)

    def test_a_server_that_goes_is_named_and_one_that_comes_back_has_everything(self):
        self.add(self.a, "1")
        self.server.stop(pgserver.signal.SIGQUIT)
        error = self.error_of("list", status=1, environment=self.a)
        self.assertEqual(error["code"], -7)  # NOVA_EIO
        self.assertIn(f"{self.server.own}:5432/postgres: cannot connect", error["message"])
        self.server.start()
        self.says(self.b, "1")

    def test_who_follows_the_log_waits_for_a_server_that_is_away(self):
        self.register_quick()
        self.novactl("invoke", "f", environment=self.a)
        with subprocess.Popen([NOVACTL, "logs", "f", "--follow", "--json"], text=True,
                              env={**self.environment, **self.b}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            self.assertEqual(json.loads(process.stdout.readline())["function"], "f")
            self.server.stop(pgserver.signal.SIGQUIT)
            self.assertIn("waiting until it is back", process.stderr.readline())
            self.server.start()
            self.novactl("invoke", "f", environment=self.a)
            self.assertEqual(json.loads(process.stdout.readline())["function"], "f")
            process.send_signal(pgserver.signal.SIGINT)
            self.assertEqual(process.wait(100), 0)

    def caller(self):
        """A program that calls functions; how many calls it is to make goes in by lines."""
        return self.program(CALLER)

    def program(self, text):
        """One in Python, on the first host."""
        environment = {**self.environment, **self.a, "PYTHONPATH": str(ROOT / "bindings/python"),
                       "LD_LIBRARY_PATH": str(BUILD / "lib"), "NOVA_POSTGRES_TTL": "1h",
                       "NOVA_POOL_THREAD": "on"}
        process = subprocess.Popen([sys.executable, "-c", text], env=environment, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        for end in (process.wait, process.stdout.close, process.stdin.close, process.kill):
            self.addCleanup(end)
        return process

    def call(self, process, times):
        process.stdin.write(f"{times}\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "called\n")

    def logged(self):
        """How many calls have left a record, and how many are told to have none."""
        done = self.server.psql("SELECT count(*), coalesce(sum(lost), 0) FROM calls", check=False)
        return tuple(map(int, done.stdout.split("|"))) if done.returncode == 0 else None

    def register_quick(self):
        code = self.write("f.py", "__nova_in_place__ = True\ndef handler(event):\n"
                                  "    return 1\n")
        self.novactl("register", "f", "--runtime", "python", "--code", code, environment=self.a)

    def test_calls_that_end_while_the_server_is_away_are_logged_when_it_is_back(self):
        self.register_quick()
        process = self.caller()
        self.call(process, 1)
        self.server.stop(pgserver.signal.SIGQUIT)
        self.call(process, 200)
        self.call(process, 5000)  # the queue has room for 4096
        self.server.start()
        await_that(lambda: self.logged() and self.logged()[0] >= 4096, "they are logged", 100)
        self.call(process, 1)
        await_that(lambda: self.logged()[1], "those that had no room are counted", 100)
        kept, lost = self.logged()
        # A record that was being confirmed when the server went may be there twice.
        self.assertIn(kept + lost, (5202, 5203))
        self.assertGreater(lost, 1000)

    def test_a_record_that_the_database_refuses_does_not_take_others_along(self):
        self.register_quick()
        self.server.psql("ALTER TABLE calls ADD CHECK (request_id NOT LIKE '%7')")
        process = self.caller()
        self.call(process, 200)
        await_that(lambda: self.logged()[0] == 180, "the others are logged", 100)
        self.call(process, 1)
        await_that(lambda: self.logged() == (181, 20), "those that are not are counted", 100)

    def test_what_was_acknowledged_is_there_when_the_server_is_killed_meanwhile(self):
        self.register_quick()
        writer = self.program(WRITER)
        told = 0
        for _ in range(10 if LONG else 3):
            for _ in range(20):
                told = int(writer.stdout.readline())
            self.server.stop(pgserver.signal.SIGQUIT)  # its processes end at once
            self.server.start()
            f = self.novactl_json("get", "f", environment=self.b)
            self.assertGreaterEqual(f["timeout_s"], told)
        self.assertGreater(int(writer.stdout.readline()), told)  # it goes on

    def test_two_hosts_make_the_schema_at_once(self):
        lists = [threading.Thread(target=self.novactl, args=("list",),
                                  kwargs={"environment": host}) for host in (self.a, self.b) * 2]
        for one in lists:
            one.start()
        for one in lists:
            one.join()
        self.assertEqual(self.server.psql("SELECT count(*) FROM nova_schema").stdout, "1\n")

    def test_four_hosts_bring_an_older_schema_to_the_present_one_at_once(self):
        """That of version 13 is what is left without what the steps behind it have made."""
        def now():
            return self.server.psql("SELECT table_name, column_name, data_type, is_nullable, "
                                    "column_default FROM information_schema.columns WHERE "
                                    "table_schema = 'public' ORDER BY 1, 2").stdout

        self.add(self.a, "kept")
        made = now()
        self.server.psql("DROP TABLE usage, usage_places, kv_entries, kv_files, kv_contents, "
                         "kv_spaces; "
                         + "".join(f"ALTER TABLE {table} DROP COLUMN {column}; "
                                   for table in ("functions", "versions")
                                   for column in ("rehearse", "rate", "rate_period_ms",
                                                  "rate_burst")) +
                         "UPDATE nova_schema SET version = 13")
        lists = [threading.Thread(target=self.novactl, args=("list",), kwargs={
            "environment": {"NOVA_HOME": str(self.directory / f"h{n}")}}) for n in range(4)]
        for one in lists:
            one.start()
        for one in lists:
            one.join()
        self.assertEqual(now(), made)
        self.assertIn("usage_places|place|", made)
        self.assertEqual(self.server.psql("SELECT version FROM nova_schema").stdout, "18\n")
        self.says(self.b, "kept")

    def test_without_a_database_the_functions_are_in_the_state_directory(self):
        self.environment.pop("NOVA_PG_DSN")
        self.environment["DATABASE_URL"] = self.server.dsn()  # of something else
        self.add(self.a, "1")
        self.assertTrue((self.directory / "a/nova.db").exists())
        self.environment["NOVA_STORE"] = "postgres"
        self.refuses("there is no function", "invoke", "hello", environment=self.a)

    def test_tls_is_as_the_dsn_says_and_a_wrong_name_is_refused(self):
        port = self.server.restart_with_tls("localhost")
        self.environment["PGSSLROOTCERT"] = str(self.server.own / "server.crt")
        words = f"user=tester dbname=postgres port={port}"
        self.environment["NOVA_PG_DSN"] = f"host=localhost {words} sslmode=verify-full"
        self.add(self.a, "1")
        self.says(self.b, "1")
        self.assertEqual(self.server.psql(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl "
            "AND application_name = 'libnova'").stdout, "0\n")
        other = f"host=127.0.0.1 {words} sslmode=verify-full"
        self.refuses('does not match host name "127.0.0.1"', "--pg-dsn", other, "list")
        self.novactl("--pg-dsn", other.replace("full", "ca"), "list")
        self.refuses("certificate verify failed", "--pg-dsn",
                     f"host=localhost {words} sslmode=verify-full "
                     f"sslrootcert={self.server.certificate('other', 'localhost')}", "list")
        # The server lets nobody in without TLS.
        self.refuses("no encryption", "--pg-dsn", f"host=localhost {words} sslmode=disable", "list")

    @unittest.skipUnless(LONG, "only in tools/test --long")
    def test_a_standby_can_be_read(self):
        self.add(self.a, "1")
        self.server.run("pg_basebackup", "-D", self.server.own / "standby", "-R", "-d",
                        self.server.dsn(), "-X", "stream", "--checkpoint=fast")
        os.chmod(self.server.own / "standby", 0o700)
        standby = pgserver.Server(self.server.own)
        self.addCleanup(standby.stop)
        dsn = standby.dsn() + " port=5433"
        standby.dsn = lambda *_: dsn
        standby.start("standby", port=5433)
        self.environment["NOVA_PG_DSN"] = dsn
        self.says(self.b, "1")
        self.refuses("is it a standby?", "delete", "hello", environment=self.b)


if __name__ == "__main__":
    unittest.main()
