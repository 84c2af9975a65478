# SPDX-License-Identifier: MIT
"""novactl push, upload, plug and unplug: what they leave in the store. That a gateway serves it:
novad/test_plug."""
import json

from novatest import HomeCase

# A module that exports a function _start, which does nothing.
MODULE = (b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\x0a\1\6_start\0\0\x0a\4\1\2\0\x0b")


class Plug(HomeCase):
    def json(self, *words, **named):
        return json.loads(self.novactl("--json", *words, **named).stdout)

    def plugs(self):
        return [one["key"] for one in self.json("kv", "list", "plugged-paths")]

    def test_push_stores_a_function_by_the_ending_of_its_file_and_replaces_it(self):
        for name, ending, content in (("wasm", "wasm", MODULE), ("python", "py", b"print(1)\n"),
                                      ("node", "mjs", b"export default () => 1\n"),
                                      ("shell", "sh", b"echo 1\n")):
            path = self.directory / f"code.{ending}"
            path.write_bytes(content)
            made = self.json("push", f"f-{name}", path)
            self.assertEqual((made["name"], made["runtime"]), (f"f-{name}", name))
        path.write_bytes(b"echo 2\n")
        self.assertIn("novactl plug /f-shell f-shell",
                      self.novactl("push", "f-shell", path).stderr)
        self.assertEqual(self.json("invoke", "f-shell")["output"], 2)
        named = self.json("push", "g", self.write("plain", "echo 3\n"), "--runtime", "shell")
        self.assertEqual(named["runtime"], "shell")

    def test_push_says_what_is_wrong(self):
        plain = self.write("plain", "echo 1\n")
        self.assertIn("--runtime does", self.novactl("push", "f", plain, status=2).stderr)
        self.assertIn("perl", self.novactl("push", "f", plain, "-r", "perl", status=2).stderr)
        self.novactl("push", "f", self.directory / "none.sh", status=1)
        self.novactl("push", "a b", self.write("x.sh", "true\n"), status=2)
        bad = self.write("bad.wasm", "(module)\n")
        self.assertIn("wasm32-wasip1", self.novactl("push", "f", bad, status=2).stderr)

    def test_functions_and_files_are_plugged_and_unplugged(self):
        self.novactl("push", "f", self.write("f.sh", "echo 1\n"))
        self.assertEqual(self.json("plug", "/f", "f"),
                         {"method": "GET", "path": "/f", "function": "f"})
        self.assertEqual(self.json("plug", "/f", "f", "add", "--method", "post"),
                         {"method": "POST", "path": "/f", "function": "f",
                          "start_function": "add"})
        put = self.json("upload", "/a/b.html", self.write("b.html", "<b>"))
        self.assertEqual(put, {"method": "GET", "path": "/a/b.html", "size": 3,
                               "type": "text/html; charset=utf-8"})
        self.json("upload", "/c", "-", "--type", "image/png", stdin="png")
        self.assertEqual(self.plugs(), ["GET /a/b.html", "GET /c", "GET /f", "POST /f"])
        files = self.json("file", "list", "plugged-paths")
        self.assertEqual([(one["name"], one["type"]) for one in files],
                         [("GET /a/b.html", "text/html; charset=utf-8"), ("GET /c", "image/png")])
        self.assertEqual(self.json("unplug", "/a/b.html"),
                         {"method": "GET", "path": "/a/b.html"})
        self.novactl("unplug", "/f", "--method", "POST")
        self.assertEqual(self.plugs(), ["GET /c", "GET /f"])
        self.assertEqual([one["name"] for one in self.json("file", "list", "plugged-paths")],
                         ["GET /c"])

    def test_what_cannot_be_plugged_is_refused_by_a_sentence(self):
        self.novactl("push", "f", self.write("f.sh", "echo 1\n"))
        for part, path, *more in (
                ("begins with '/'", "f"), ("begins with '/'", "/a b"), ("begins with '/'", "/%2e"),
                ("begins with '/'", "/a//b"), ("begins with '/'", "/a/.."),
                ("begins with '/'", "/./a"), ("begins with '/'", "/a?b"),
                ("the gateway's own", "/"), ("the gateway's own", "/api/v1/x"),
                ("the gateway's own", "/functions/x"), ("255 bytes", "/" + "x" * 260),
                ("none of GET, POST", "/f", "--method", "BREW")):
            with self.subTest(path=path):
                self.assertIn(part, self.novactl("plug", path, "f", *more, status=2).stderr)
                self.assertIn(part, self.novactl("unplug", path, *more, status=2).stderr)
                self.assertIn(part, self.novactl("upload", path, "-", *more, stdin="",
                                                 status=2).stderr)
        self.assertIn("none", self.novactl("plug", "/g", "none", status=1).stderr)
        self.assertIn("nothing is plugged", self.novactl("unplug", "/g", status=1).stderr)
        self.novactl("plug", "/g", "f")
        error = json.loads(self.novactl("--json", "unplug", "/h", status=1).stderr)["error"]
        self.assertEqual(error["name"], "NOVA_ENOTFOUND")
        self.novactl("upload", "/x", self.directory / "nothing", status=1)
        self.assertEqual(self.plugs(), ["GET /g"])
