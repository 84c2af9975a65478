# SPDX-License-Identifier: MIT
"""What functions keep, over HTTP: values under keys, and files."""
from novadcase import NovadCase

API = "/api/v1"
KV, FILES = f"{API}/functions/f/kv", f"{API}/functions/f/files"


class Kept(NovadCase):
    def setUp(self):
        super().setUp()
        self.novad()
        self.gets(201, "POST", f"{API}/functions",
                  {"name": "f", "runtime": "shell", "code": "true"})

    def test_values_are_put_read_listed_and_deleted(self):
        answer = self.ask("PUT", f"{KV}/value?key=a%2Fb&ttl_ms=60000", body=b"\0\xff")
        self.assertEqual(answer.status, 200)
        found = self.ask("GET", f"{KV}/value?key=a%2Fb")
        self.assertEqual((found.status, found.body), (200, b"\0\xff"))
        self.assertGreater(int(found.headers["X-Nova-Expires-Us"]), 0)
        self.ask("PUT", f"{KV}/value?key=z", body=b"")
        keys = self.gets(200, "GET", f"{KV}?prefix=a")["keys"]
        self.assertEqual([(one["key"], one["size"]) for one in keys], [("a/b", 2)])
        self.assertEqual([one["key"] for one in self.gets(200, "GET", f"{KV}?after=a/b")["keys"]],
                         ["z"])
        self.gets(204, "DELETE", f"{KV}/value?key=z")
        self.is_refused(404, "not_found", "GET", f"{KV}/value?key=z")

    def test_a_condition_that_is_not_met_is_a_conflict(self):
        self.assertEqual(self.ask("PUT", f"{KV}/value?key=k&new=true", body=b"1").status, 200)
        version = self.ask("GET", f"{KV}/value?key=k").headers["X-Nova-Version"]
        self.assertEqual(self.ask("PUT", f"{KV}/value?key=k&new=true", body=b"2").status, 409)
        self.assertEqual(
            self.ask("PUT", f"{KV}/value?key=k&if_version={version}", body=b"3").status, 200)
        self.assertEqual(
            self.ask("PUT", f"{KV}/value?key=k&if_version={version}", body=b"4").status, 409)
        self.assertEqual(self.ask("GET", f"{KV}/value?key=k").body, b"3")

    def test_files_come_back_as_attachments_with_their_type(self):
        put = self.ask("PUT", f"{FILES}/content?name=a.html&type=text%2Fhtml", body=b"<b>")
        self.assertEqual(put.status, 204)
        found = self.ask("GET", f"{FILES}/content?name=a.html")
        self.assertEqual((found.status, found.body, found.headers["X-Nova-Type"]),
                         (200, b"<b>", "text/html"))
        self.assertEqual(found.headers["Content-Disposition"], "attachment")
        self.assertNotIn("html", found.headers["Content-Type"])
        one, = self.gets(200, "GET", FILES)["files"]
        self.assertEqual((one["name"], one["type"], one["size"]), ("a.html", "text/html", 3))
        self.gets(204, "DELETE", f"{FILES}/content?name=a.html")
        self.assertEqual(self.gets(200, "GET", FILES), {"files": []})

    def test_what_cannot_be_is_refused(self):
        self.is_refused(404, "not_found", "GET", f"{API}/functions/none/kv")
        self.is_refused(400, "invalid", "GET", f"{KV}/value")
        self.is_refused(400, "invalid", "GET", f"{KV}?limit=0")
        self.is_refused(400, "invalid", "PUT", f"{FILES}/content?name=x&type=a%0d%0ab", body=b"")
        self.is_refused(401, "unauthorized", "GET", KV, key=False)
