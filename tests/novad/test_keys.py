# SPDX-License-Identifier: MIT
"""Keys that the store has: novactl apikey, nova/key.h."""
import http.client
import os
import threading

from novadcase import NovadCase
from novatest import await_that

API = "/api/v1"
RUNS = {"code": "echo hello", "language": "shell"}


class Keys(NovadCase):
    def setUp(self):
        super().setUp()
        self.novad()

    def make(self, name, *options):
        return self.novactl("apikey", "create", name, *options).stdout.strip()

    def asks_with(self, key, method="GET", path=f"{API}/functions", body=None, **headers):
        return self.ask(method, path, body, key=False, x_api_key=key, **headers)

    def is_out(self, key):
        answer = self.asks_with(key)
        return answer.status == 401 and answer.json()["code"] == "unauthorized"

    def test_a_key_of_the_store_works_at_once_and_not_once_it_is_revoked(self):
        key = self.make("ci")
        self.assertEqual(self.asks_with(key).status, 200)
        self.assertEqual(self.ask("GET", f"{API}/functions", key=False,
                                  Authorization=f"Bearer {key}").status, 200)
        answer = self.asks_with(key, "POST", f"{API}/execute", RUNS)
        self.assertEqual((answer.status, answer.json()["output"]), (200, "hello"))
        self.novactl("apikey", "revoke", "ci")
        await_that(lambda: self.is_out(key), "a second, and a revoked key is out")
        self.assertIn("'ci' was revoked", self.asks_with(key).json()["detail"])
        self.assertEqual(self.asks_with(self.key).status, 200)  # that of the file

    def test_what_is_no_key_is_refused_however_it_comes(self):
        for wrong in ("nova_" + "0" * 40, "x", "nova_", "\xff\xfe", "a" * 8000):
            with self.subTest(wrong[:10]):
                self.assertTrue(self.is_out(wrong))
        # Its body is not waited for.
        head = self.head("POST", f"{API}/execute", "Content-Length: 1000000")
        raw = self.raw(head.replace(self.key.encode(), b"nova_" + b"1" * 40))
        self.assertTrue(self.read_all(raw).startswith(b"HTTP/1.1 401 "))

    def test_requests_behind_each_other_each_have_their_key(self):
        key = self.make("ci")
        connection = self.connection()
        for given, status in ((key, 200), ("nova_x", 401), (key, 200), (self.key, 200)):
            answer = self.ask("POST", f"{API}/execute", RUNS, connection=connection, key=False,
                              x_api_key=given)
            self.assertEqual(answer.status, status)
            if answer.headers["Connection"] == "close":
                connection = self.connection()

    def test_many_who_come_at_once_are_all_let_in(self):
        key = self.make("ci")
        statuses = []

        def come():
            try:
                statuses.append(self.asks_with(key).status)
            except (OSError, http.client.HTTPException) as error:
                statuses.append(error)

        threads = [threading.Thread(target=come) for _ in range(150)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(statuses, [200] * 150)

    def test_who_goes_away_while_the_key_is_looked_up_leaves_nothing(self):
        for number in range(100):
            head = self.head("GET", f"{API}/functions")
            self.raw(head.replace(self.key.encode(), b"nova_%d" % number)).close()
        await_that(lambda: self.asks_with(self.make(f"k{os.urandom(4).hex()}")).status == 200,
                   "others are let in")

    def test_the_log_has_the_name_and_never_the_key(self):
        process = self.novad("--access-log", self.directory / "access",
                             environment={"NOVA_HOME": str(self.directory / "other")})
        self.environment["NOVA_HOME"] = str(self.directory / "other")
        key = self.make("ci")
        self.assertEqual(self.asks_with(key).status, 200)
        process.terminate()
        process.wait(60)
        log = (self.directory / "access").read_text()
        self.assertIn('"key":"ci"', log.replace(" ", ""))
        self.assertNotIn(key, log + self.log())
