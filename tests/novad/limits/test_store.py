# SPDX-License-Identifier: MIT
"""The store goes away while calls are under way, and comes back."""
import http.client
import signal
import subprocess
import threading
import unittest

import pgserver
from novadcase import NovadCase
from novatest import await_that

API = "/api/v1"


@unittest.skipIf(pgserver.programs() is None, "no PostgreSQL: see test_packages in tools/packages")
class Store(NovadCase):
    def setUp(self):
        super().setUp()
        self.server = pgserver.start_for(self)
        self.environment["NOVA_PG_DSN"] = self.server.dsn()
        self.answers, self.strange = [], []

    def load(self, ended, method, path):
        """Asks the same without end; notes each answer."""
        while not ended.is_set():
            try:
                answer = self.ask(method, path)
            except (OSError, http.client.HTTPException) as error:
                self.strange.append(error)
                return
            self.answers.append((path, answer.status))
            problem = answer.json() if answer.status >= 400 else {"code": "", "outcome": ""}
            if "code" not in problem or "outcome" not in problem or answer.status in (401, 403):
                self.strange.append(answer)

    def test_who_waits_for_the_store_holds_up_nobody_else(self):
        self.register("echo", "cat \"$1\"", "shell")
        process = self.novad()
        answers = []
        asker = threading.Thread(target=lambda: answers.append(self.ask(
            "POST", "/functions/echo/invoke", b"1").body))
        with self.locked("functions") as lock:
            asker.start()
            await_that(lambda: self.server.psql(
                "SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", "it is looked up")
            for path in ("/healthz", f"{API}/usage"):
                self.assertEqual(self.ask("GET", path).status, 200)
            self.assertEqual(answers, [])
            lock.communicate("ROLLBACK;\n", timeout=60)
        asker.join()
        self.assertEqual(answers, [b"1"])
        self.stops(process)

    def locked(self, table):
        """A session in which nobody else can read the table until it ends."""
        session = subprocess.Popen(
            [self.server.programs / "psql", "-AtqX", "-d", self.server.dsn()], text=True,
            env=self.server.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(session.kill)
        session.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';\n")
        session.stdin.flush()
        self.assertEqual(session.stdout.readline(), "locked\n")
        return session

    def test_a_store_that_is_lost_under_load_costs_answers_and_not_the_server(self):
        self.register("echo", "cat \"$1\"", "shell")
        process = self.novad("--set", "postgres.ttl=1s")
        ended = threading.Event()
        asked = (("POST", "/functions/echo/invoke"), ("GET", f"{API}/functions"),
                 ("GET", f"{API}/logs"), ("GET", f"{API}/usage"))
        threads = [threading.Thread(target=self.load, args=(ended, *what)) for what in asked * 2]
        for thread in threads:
            thread.start()
        lists = (f"{API}/functions", f"{API}/logs", f"{API}/usage")
        try:
            await_that(lambda: all((path, 200) in self.answers for _, path in asked),
                       "all is answered")
            self.server.stop(signal.SIGQUIT)
            del self.answers[:]
            await_that(lambda: all(any(path == at and status >= 500 for at, status in self.answers)
                                   for path in lists), "each is told that the store is away")
            self.assertEqual(self.ask("GET", "/healthz").status, 200)
            self.server.start()
            del self.answers[:]
            await_that(lambda: all((path, 200) in self.answers for _, path in asked),
                       "all is answered again")
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.strange, [])
        self.stops(process)
