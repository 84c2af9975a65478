# SPDX-License-Identifier: MIT
"""Paths at which functions and files are plugged, and the web API of My Own Cluster. Modules run in
e2e/test_wasm, as the fake engine has nothing that runs them."""
import base64
import io
import json
import tarfile

from novadcase import NovadCase

API = "/api/v1"
OWN = "/my-own-cluster/api"
MODULE = (b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\7\x0a\1\6_start\0\0\x0a\4\1\2\0\x0b")


def coded(data):
    return base64.b64encode(data).decode()


class Plugged(NovadCase):
    def setUp(self):
        super().setUp()
        self.novad()

    def function(self, name, code, runtime="shell"):
        self.gets(201, "POST", f"{API}/functions",
                  {"name": name, "runtime": runtime, "code": code})

    def test_a_program_gets_the_body_and_what_it_prints_is_the_answer(self):
        self.function("upper", 'tr a-z A-Z; printf %s "$NOVA_CLIENT_CONTEXT" >&2')
        self.function("bytes", "printf '\\377'")
        self.function("told", 'printf %s "$NOVA_CLIENT_CONTEXT"')
        self.novactl("plug", "/upper", "upper", "--method", "POST")
        answer = self.ask("POST", "/upper", b"a\nb")
        self.assertEqual((answer.status, answer.body), (200, b"A\nB"))
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["Content-Security-Policy"], "sandbox")
        self.assertEqual(self.ask("POST", "/upper", b"").body, b"")
        self.gets(200, "POST", f"{OWN}/function/plug", {"path": "/bytes", "name": "bytes"})
        answer = self.ask("GET", "/bytes")
        self.assertEqual((answer.body, answer.headers["Content-Type"]),
                         (b"\xff", "application/octet-stream"))
        self.novactl("plug", "/a/told", "told", "--method", "DELETE")
        told = self.gets(200, "DELETE", "/a/told?x=%41&y")
        self.assertEqual(told["custom"], {"method": "DELETE", "path": "/a/told",
                                          "query": "x=%41&y"})

    def test_of_another_function_the_body_is_the_event(self):
        self.function("sum", "def handler(event, context):\n"
                      "    return [sum(event.get('n', [])), context.client_context.custom]",
                      "python")
        for method in ("GET", "PUT"):
            self.novactl("plug", "/sum", "sum", "--method", method)
        total, custom = self.gets(200, "PUT", "/sum?a=b", {"n": [3, 4]})
        self.assertEqual((total, custom["query"]), (7, "a=b"))
        self.assertEqual(self.gets(200, "GET", "/sum")[0], 0)
        self.is_refused(400, "invalid", "PUT", "/sum", b"{")
        self.is_refused(400, "malformed", "PUT", "/sum", b"1\0")

    def test_a_file_comes_with_its_type_and_without_the_rights_of_our_pages(self):
        self.novactl("upload", "/site/a.html", self.write("a.html", "<b>"))
        answer = self.ask("GET", "/site/a.html")
        self.assertEqual((answer.status, answer.body), (200, b"<b>"))
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(answer.headers["Content-Security-Policy"], "sandbox")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        head = self.ask("HEAD", "/site/a.html")
        self.assertEqual((head.status, head.headers["Content-Length"]), (200, "3"))
        self.is_refused(404, "no_route", "POST", "/site/a.html")
        self.is_refused(404, "no_route", "GET", "/site/a.htm")
        self.is_refused(404, "no_route", "GET", "/site%2Fa.html")
        self.is_refused(401, "unauthorized", "GET", "/site/a.html", key=False)
        self.novactl("unplug", "/site/a.html")
        self.is_refused(404, "no_route", "GET", "/site/a.html")

    def test_a_function_that_fails_or_is_gone_is_a_problem(self):
        self.function("bad", "echo so >&2; exit 3")
        self.novactl("plug", "/bad", "bad")
        problem = self.is_refused(500, "function_failed", "GET", "/bad")
        self.assertEqual(problem["outcome"], "ran")
        self.assertIn("so", problem["detail"])
        self.gets(204, "DELETE", f"{API}/functions/bad")
        problem = self.is_refused(404, "not_found", "GET", "/bad")
        self.assertIn("unplug the path", problem["detail"])
        self.novactl("kv", "put", "plugged-paths", "GET /bad", "[]")
        self.is_refused(500, "corrupt", "GET", "/bad")

    def test_no_route_of_our_own_can_be_plugged(self):
        self.function("f", "true")
        document = self.gets(200, "GET", "/openapi.json", key=False)
        for path in {*document["paths"], "/page.js", "/2015-03-31/functions", "/sandboxes/x"}:
            wrong = self.is_refused(400, "invalid", "POST", f"{OWN}/function/plug",
                                    {"path": path.replace("{id}", "f"), "name": "f"})
            self.assertIn("path", wrong["detail"])


class Cluster(NovadCase):
    """As its own client has it."""

    def setUp(self):
        super().setUp()
        self.novad()

    def own(self, at, **body):
        return self.gets(200, "POST", f"{OWN}/{at}", body)

    def refused(self, status, code, part, at, **body):
        problem = self.is_refused(status, code, "POST", f"{OWN}/{at}", body)
        self.assertIn(part, problem["detail"])

    def call(self, **body):
        done = self.own("function/call", **body)
        return done["result"], base64.b64decode(done["output"]), done["error"]

    def test_modules_are_registered_and_replaced(self):
        done = self.own("function/register", type="wasm", name="m", wasm_bytes=coded(MODULE))
        self.assertEqual({k: done[k] for k in ("status", "type", "name", "wasm_bytes_size")},
                         {"status": True, "type": "wasm", "name": "m",
                          "wasm_bytes_size": len(MODULE)})
        self.assertRegex(done["tech_id"], "^[0-9a-f]{64}$")
        self.own("function/register", type="js", name="m",
                 wasm_bytes=coded(b"exports.handler = (event) => [event]"))
        self.assertEqual(self.gets(200, "POST", "/functions/m/invoke", [1]), [[1]])
        self.refused(400, "invalid", "wasm32-wasip1", "function/register", type="wasm", name="n",
                     wasm_bytes=coded(b"(module)"))
        self.refused(400, "invalid", "'wasm_bytes' is not", "function/register", name="n",
                     wasm_bytes="%")
        self.refused(400, "invalid", "'wasm_bytes' is missing", "function/register", name="n")
        self.refused(400, "invalid", "'type' is not one of wasm, js", "function/register",
                     name="n", type="elf", wasm_bytes="")

    def test_a_program_is_called_with_arguments_and_input(self):
        self.gets(201, "POST", f"{API}/functions", {
            "name": "f", "runtime": "shell", "code": 'cat; echo "[$*]"; exit $#'})
        self.assertEqual(self.call(name="f", mode="posix", arguments=["a b", "c"], input="in"),
                         (2, b"in[a b c]\n", False))
        self.assertEqual(self.call(name="f", mode="posix", posix_arguments=["x"],
                                   input=coded(b"\xff")), (1, b"\xff[x]\n", False))
        self.assertEqual(self.call(name="f"), (0, b"[]\n", False))
        done = self.own("function/call", name="f", mode="posix", arguments=["x"])
        self.assertIn("exit 1", done["message"])
        for part, body in (
                ("'arguments' is not a list of texts", {"mode": "posix", "arguments": [1]}),
                ("'arguments' is not a list of texts", {"mode": "posix", "arguments": "a"}),
                ("'arguments' is not a list of texts", {"mode": "posix", "arguments": ["a\0b"]}),
                ("'arguments' is not a list of whole numbers",
                 {"start_function": "add", "arguments": ["1"]}),
                ("_start takes no 'arguments'", {"mode": "direct", "arguments": [1]}),
                ("for the mode 'direct'", {"mode": "posix", "start_function": "add"}),
                ("for the mode 'posix'", {"wasi_file_name": "a.out"}),
                ("not base64", {"mode": "posix", "posix_arguments": [], "input": "%"}),
                ("'mode' is not one of direct, posix", {"mode": "wasi"}),
                ("this one is of shell", {"mode": "posix", "wasi_file_name": "a.out"}),
                ("this one is of shell", {"start_function": "add", "arguments": [1]})):
            with self.subTest(body=body):
                self.refused(400, "invalid", part, "function/call", name="f", **body)
        self.refused(404, "not_found", "none", "function/call", name="none")
        self.gets(201, "POST", f"{API}/functions", {"name": "p", "runtime": "python",
                                                    "code": "print(1)"})
        self.refused(400, "invalid", "called with a payload", "function/call", name="p")

    def test_one_that_a_signal_ends_is_an_error(self):
        self.gets(201, "POST", f"{API}/functions", {
            "name": "f", "runtime": "shell", "code": "kill -9 $$"})
        self.assertEqual(self.call(name="f", mode="posix")[2], True)

    def test_blobs_and_files_are_plugged(self):
        blob = self.own("blob/register", content_type="image/png", bytes=coded(b"png"))
        self.own("file/plug", method="get", path="/a.png", name=f"techID://{blob['tech_id']}",
                 tags={})
        self.own("blob/register", name="logo", content_type="image/png", bytes=coded(b"2"))
        self.own("file/plug", method="get", path="/b.png", name="logo")
        done = self.own("file/register", method="get", path="/c", content_type="text/css",
                        bytes=coded(b"a{}"))
        self.assertEqual({**done, "tech_id": 0}, {
            "status": True, "tech_id": 0, "method": "get", "path": "/c",
            "content_type": "text/css", "bytes_size": 3})
        for path, body, kind in (("/a.png", b"png", "image/png"), ("/b.png", b"2", "image/png"),
                                 ("/c", b"a{}", "text/css")):
            answer = self.ask("GET", path)
            self.assertEqual((answer.body, answer.headers["Content-Type"]), (body, kind))
        self.own("blob/register", name="m", content_type="application/wasm", bytes=coded(MODULE))
        self.assertEqual(self.gets(200, "GET", f"{API}/functions/m")["runtime"], "wasm")
        self.refused(404, "not_found", "none", "file/plug", path="/d", name="none")
        self.refused(404, "not_found", "none", "function/plug", path="/d", name="none")
        self.refused(501, "not_supported", "'tags'", "file/plug", path="/d", name="logo",
                     tags={"a": "b"})
        self.refused(501, "not_supported", "'data'", "function/plug", path="/d", name="m",
                     data="x")
        self.refused(400, "invalid", "begins with '/'", "file/register", path="d", bytes="")
        self.own("function/unplug", path="/c")
        self.refused(404, "not_found", "nothing is plugged", "function/unplug", path="/c")
        self.is_refused(404, "no_route", "GET", "/c")

    def test_everything_is_exported_under_a_name(self):
        self.own("function/register", name="m", wasm_bytes=coded(MODULE))
        archive, = self.gets(200, "GET", f"{OWN}/admin/export-database").items()
        self.assertEqual(archive[0], "nova.tar.gz")
        path = self.directory / "all.tar.gz"
        path.write_bytes(base64.b64decode(archive[1]))
        self.assertTrue(tarfile.open(fileobj=io.BytesIO(path.read_bytes())).getnames())
        self.novactl("--home", self.directory / "other", "import", path)
        other = json.loads(self.novactl("--home", self.directory / "other", "--json",
                                        "get", "m").stdout)
        self.assertEqual(other["runtime"], "wasm")
        self.assertEqual([p.name for p in (self.home / "novad").glob("export-*")], [])
