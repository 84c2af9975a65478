# SPDX-License-Identifier: MIT
"""novactl kv and file: what functions keep."""
import json
import unittest

from novatest import HomeCase


class Kv(HomeCase):
    def setUp(self):
        super().setUp()
        self.novactl("register", "f", "--runtime", "shell", "--code", self.write("f.sh", "true\n"))

    def json(self, *words):
        return json.loads(self.novactl("--json", *words).stdout)

    def test_keys_are_put_shown_listed_and_deleted(self):
        version = self.json("kv", "put", "f", "a/1", "one")["version"]
        self.assertEqual(self.novactl("kv", "get", "f", "a/1").stdout, "one")
        self.novactl("kv", "put", "f", "a/2", stdin="two\n")
        self.novactl("kv", "put", "f", "b", "--file", self.write("b", "three"), "--ttl", "1h")
        self.assertEqual(self.novactl("kv", "get", "f", "a/2").stdout, "two\n")
        entry = self.json("kv", "get", "f", "a/1")
        self.assertEqual(entry, {"key": "a/1", "size": 3, "version": version, "expires_us": 0,
                                 "value": "one"})
        self.assertEqual([e["key"] for e in self.json("kv", "list", "f", "--prefix", "a/")],
                         ["a/1", "a/2"])
        self.assertEqual([e["key"] for e in self.json("kv", "list", "f", "--after", "a/2")], ["b"])
        page = self.novactl("kv", "list", "f", "-n", "2")
        self.assertIn("--after 'a/2'", page.stderr)
        self.novactl("kv", "delete", "f", "a/1", "b")
        self.assertEqual([e["key"] for e in self.json("kv", "list", "f")], ["a/2"])

    def test_a_condition_that_is_not_met_changes_nothing_and_is_told(self):
        version = self.json("kv", "put", "f", "k", "1", "--new")["version"]
        taken = self.novactl("kv", "put", "f", "k", "2", "--new", status=1)
        self.assertIn("already", taken.stderr)
        self.novactl("kv", "put", "f", "k", "3", "--if-version", version)
        stale = self.novactl("kv", "put", "f", "k", "4", "--if-version", version, status=1)
        self.assertIn("somebody else", stale.stderr)
        self.novactl("kv", "delete", "f", "k", "--if-version", version, status=1)
        self.assertEqual(self.novactl("kv", "get", "f", "k").stdout, "3")

    def test_files_have_a_type_and_come_back_byte_by_byte(self):
        image = self.directory / "image"
        image.write_bytes(b"\x89PNG\0")
        self.novactl("file", "put", "f", "a/logo.png", image, "--type", "image/png")
        self.novactl("file", "put", "f", "note", "-", stdin="text")
        logo = self.json("file", "get", "f", "a/logo.png")
        self.assertEqual((logo["type"], logo["hex"], logo["size"]),
                         ("image/png", "89504e4700", 5))
        self.assertEqual(self.novactl("file", "get", "f", "note").stdout, "text")
        self.assertEqual([f["name"] for f in self.json("file", "list", "f")],
                         ["a/logo.png", "note"])
        self.novactl("file", "delete", "f", "note")
        self.novactl("file", "get", "f", "note", status=1)

    def test_what_is_over_a_limit_is_refused_with_the_setting_that_has_it(self):
        limits = {"NOVA_KV_MAX_VALUE": "3", "NOVA_KV_MAX_KEYS": "1", "NOVA_KV_MAX_FILE": "2"}
        self.novactl("kv", "put", "f", "k", "123", environment=limits)
        for setting, words in (("kv.max_value", ("kv", "put", "f", "k", "1234")),
                               ("kv.max_keys", ("kv", "put", "f", "other", "")),
                               ("kv.max_file", ("file", "put", "f", "n", self.write("n", "123")))):
            refused = self.novactl(*words, environment=limits, status=1)
            self.assertIn(setting, refused.stderr)

    def test_what_a_function_keeps_stays_through_updates_and_goes_with_it(self):
        self.novactl("kv", "put", "f", "k", "v")
        code = self.write("g.sh", "false\n")
        self.novactl("register", "f", "--runtime", "shell", "--code", code, "--replace")
        self.assertEqual(self.novactl("kv", "get", "f", "k").stdout, "v")
        self.novactl("delete", "f")
        self.novactl("register", "f", "--runtime", "shell", "--code", code)
        self.assertEqual(self.json("kv", "list", "f"), [])


if __name__ == "__main__":
    unittest.main()
