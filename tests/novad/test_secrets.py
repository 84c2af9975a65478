# SPDX-License-Identifier: MIT
"""Secrets of functions over HTTP: they are set and never come back."""
from novadcase import NovadCase

API = "/api/v1"
VALUE = "correct horse ä"


class Secrets(NovadCase):
    def setUp(self):
        super().setUp()
        self.keys = self.directory / "secret.key"
        self.novactl("secret", "key", self.keys)
        self.environment["NOVA_SECRET_KEY_FILE"] = str(self.keys)

    def put(self, name, value, status=204, **named):
        return self.gets(status, "PUT", f"{API}/secrets/{name}", {"value": value}, **named)

    def secrets(self):
        return self.gets(200, "GET", f"{API}/secrets")["secrets"]

    def test_a_function_gets_the_value_and_nobody_else(self):
        access = self.directory / "access.log"
        self.novad("--access-log", access)
        self.put("db", VALUE)
        self.gets(201, "POST", f"{API}/functions", {
            "name": "f", "runtime": "python", "env_vars": {"DB": "$SECRET:db"},
            "code": "import os\ndef handler(event):\n    return os.environ['DB'] == event"})
        self.assertTrue(self.gets(200, "POST", "/functions/f/invoke", VALUE))
        found, = self.secrets()
        self.assertEqual(sorted(found), ["created_us", "key_id", "name", "updated_us"])
        self.assertEqual((found["name"], len(found["key_id"])), ("db", 16))
        self.put("db", "another")
        self.assertEqual(self.gets(200, "POST", "/functions/f/invoke", "another"), True)
        self.is_refused(405, "wrong_method", "GET", f"{API}/secrets/db")
        for answer in (self.ask("GET", f"{API}/secrets"), self.ask("GET", f"{API}/functions/f"),
                       self.ask("GET", f"{API}/logs")):
            self.assertEqual(answer.status, 200)
            self.assertNotIn(b"another", answer.body)
        self.assertNotIn("another", access.read_text() + self.log())
        self.gets(204, "DELETE", f"{API}/secrets/db")
        problem = self.is_refused(500, "config", "POST", "/functions/f/invoke", {})
        self.assertEqual(problem["outcome"], "never_ran")
        self.assertIn("db", problem["detail"])
        self.is_refused(404, "not_found", "DELETE", f"{API}/secrets/db")

    def test_a_rotation_is_seen_by_the_ids_of_keys(self):
        self.novad()
        self.put("a", "1")
        self.novactl("secret", "key", self.keys)
        self.put("b", "2")
        before = {secret["name"]: secret["key_id"] for secret in self.secrets()}
        self.assertNotEqual(before["a"], before["b"])
        self.assertEqual(self.gets(200, "POST", f"{API}/secrets/keys/rotate")["rotated"], 1)
        self.assertEqual({secret["key_id"] for secret in self.secrets()}, {before["b"]})
        self.assertEqual(self.gets(200, "POST", f"{API}/secrets/keys/rotate")["rotated"], 0)
        self.put("rotate", "a name as any other")
        self.gets(204, "DELETE", f"{API}/secrets/rotate")

    def test_what_is_no_secret_is_refused_and_what_was_sent_is_not_told(self):
        self.novad()
        for name, value, status, code in (
                ("a", "x" * 65537, 400, "invalid"), ("a", "a\0hidden", 400, "invalid"),
                ("a", 1, 400, "invalid"), ("a", None, 400, "invalid"),
                ("%2e%2e", "hidden", 404, "no_route"), ("a%2fb", "hidden", 404, "no_route"),
                ("-a", "hidden", 400, "invalid"), ("a" * 65, "hidden", 400, "invalid")):
            with self.subTest(name=name[:5], value=str(value)[:5]):
                problem = self.is_refused(status, code, "PUT", f"{API}/secrets/{name}",
                                          {"value": value})
                self.assertNotIn("hidden", str(problem))
        self.put("whole", "x" * 65536)
        self.put("empty", "")
        self.is_refused(400, "invalid", "PUT", f"{API}/secrets/a", {})
        self.is_refused(400, "invalid", "PUT", f"{API}/secrets/a", {"value": "x", "b": 1})
        for method, path in (("GET", ""), ("PUT", "/a"), ("DELETE", "/a"),
                             ("POST", "/keys/rotate")):
            self.is_refused(401, "unauthorized", method, f"{API}/secrets{path}", key=False)

    def test_without_a_key_it_says_how_to_get_one(self):
        del self.environment["NOVA_SECRET_KEY_FILE"]
        self.novad()
        problem = self.is_refused(500, "config", "PUT", f"{API}/secrets/a", {"value": "hidden"})
        self.assertEqual(problem["outcome"], "never_ran")
        self.assertIn("novactl secret key", problem["detail"])
        self.assertEqual(self.secrets(), [])
