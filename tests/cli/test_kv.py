# SPDX-License-Identifier: MIT
"""novactl kv and file: what functions keep."""
import json
import shutil
import unittest

from novatest import BUILD, HomeCase

PROGRAM = BUILD / "agent/nova"

# A function that asks in words of its own: it gets the replies as they came.
ASK = """
import json, os, socket

def ask(data):
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["NOVA_SOCKET"])
    s.sendall(data)
    reply = b""
    while piece := s.recv(65536):
        reply += piece
    return json.loads(reply[4:]) if reply else None

def frame(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return len(text).to_bytes(4, "big") + text
"""


class Kv(HomeCase):
    def setUp(self):
        super().setUp()
        self.novactl("register", "f", "--runtime", "shell", "--code", self.write("f.sh", "true\n"))

    def json(self, *words):
        return json.loads(self.novactl("--json", *words).stdout)

    def test_keys_are_put_shown_listed_and_deleted(self):
        version = self.json("kv", "put", "f", "a/1", "one")["version"]
        self.assertEqual(self.novactl("kv", "get", "f", "a/1").stdout, "one")
        self.novactl("kv", "put", "f", "long", "x", "--ttl", "7200h")  # ms that 32 bits have not
        self.refuses("more than 10 years", "kv", "put", "f", "long", "x", "--ttl", "99999h",
                     status=2)
        self.novactl("kv", "delete", "f", "long")
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


class InGuest(HomeCase):
    """What functions reach while they run."""

    def call(self, name, payload="{}", **named):
        return self.novactl_json("invoke", name, "--payload", payload, **named)["output"]

    def value(self, function, key):
        return self.novactl("kv", "get", function, key).stdout

    def test_a_script_keeps_values_and_files(self):
        self.register("f", f"""
            nova() {{ {PROGRAM} "$@"; }}
            nova kv put k one >/dev/null && printf two | nova kv put dir/k --ttl 60 >/dev/null
            nova kv put k other --new >/dev/null 2>&1; echo "$?"
            nova kv put k other --if-version "" >/dev/null 2>&1; echo "$?"
            nova kv get k; nova kv get missing 2>/dev/null; echo "$?"
            printf PNG | nova file put logo --type image/png
            nova file get logo; nova file list; nova kv list dir/ | cut -f1,2
            nova kv delete k; nova kv get k 2>/dev/null || echo gone
            nova 2>/dev/null; echo "$?"
            """, "shell")
        self.assertEqual(self.call("f"),
                         "4\n2\none3\nPNGlogo\t3\timage/png\ndir/k\t3\ngone\n2")
        self.assertEqual(self.value("f", "dir/k"), "two")
        self.assertEqual(self.novactl_json("file", "get", "f", "logo")["type"], "image/png")

    def test_a_handler_of_python_counts_by_compare_and_set(self):
        self.register("f", """
import nova

def handler(event):
    was = nova.kv.entry("n")
    if not was:
        return nova.kv.put("n", "1", new=True) > 0
    nova.kv.put("n", str(int(was["value"]) + 1), if_version=was["version"])
    try:
        nova.kv.put("n", 3)  # which would be three zeros
        return "taken"
    except TypeError:
        pass
    try:
        nova.kv.put("n", "9", if_version=was["version"])
    except nova.Error as error:
        return [error.code, nova.kv.get("n").decode(), nova.kv.get("x"),
                [e["key"] for e in nova.kv.list("n")]]
""")
        self.assertEqual(self.call("f"), True)
        self.assertEqual(self.call("f"), ["NOVA_EBUSY", "2", None, ["n"]])
        self.assertEqual(self.value("f", "n"), "2")

    def test_a_handler_of_python_keeps_files_of_any_bytes(self):
        self.register("f", """
import nova

def handler(event):
    data = bytes(range(256)) * 16384
    nova.files.put("big", data, "a/b")
    nova.files.put("empty", b"")
    big = nova.files.get("big")
    try:
        nova.files.put("more", data + b"x")
    except nova.Error as error:
        return [big["value"] == data, big["type"], nova.files.get("empty")["value"] == b"",
                [f["name"] for f in nova.files.list()], error.code]
""")
        self.assertEqual(self.call("f"), [True, "a/b", True, ["big", "empty"], "NOVA_ETOOBIG"])

    @unittest.skipUnless(shutil.which("node"), "needs node")
    def test_a_handler_of_node_keeps_values_and_files(self):
        self.register("f", """
const { kv, files } = require('nova');
exports.handler = async () => {
  const version = await kv.put('k', 'one', { isNew: true });
  await kv.put('k', Buffer.from([0, 255]), { ifVersion: version, ttlMs: 60000 });
  const code = await kv.put('k', 'x', { ifVersion: version }).catch((error) => error.code);
  await files.put('f', 'text', { type: 'text/plain' });
  const file = await files.get('f');
  return [[...await kv.get('k')], code, file.type, String(file.value), await kv.get('none'),
    (await kv.list()).map((entry) => entry.key)];
};
""", "node")
        self.assertEqual(self.call("f"), [[0, 255], "NOVA_EBUSY", "text/plain", "text", None,
                                          ["k"]])

    def test_a_module_of_the_functions_own_of_that_name_comes_first(self):
        code = self.directory / "code"
        code.mkdir()
        (code / "main.py").write_text("import nova\ndef handler(e):\n    return nova.MINE\n")
        (code / "nova.py").write_text("MINE = 'mine'\n")
        self.register("f", code)
        self.assertEqual(self.call("f"), "mine")

    def test_a_function_reaches_no_space_but_its_own(self):
        for name in "f", "g":
            self.register(name, ASK + """
def handler(event):
    return ask(frame({"op": "kv get", "key": "k", **event}))
""")
        self.novactl("kv", "put", "g", "k", "secret")
        id = self.novactl_json("get", "g")["id"]
        for more in {}, {"function": "g"}, {"space": id}, {"function": id}, {"request_id": ""}:
            self.assertEqual(self.call("f", json.dumps(more))["code"], "NOVA_ENOTFOUND")
        self.assertEqual(self.call("f", json.dumps({"request_id": "other"}))["code"],
                         "NOVA_ENOTSUP")
        self.assertEqual(self.call("g")["value"], "c2VjcmV0")

    def test_what_cannot_be_understood_is_told_and_the_call_goes_on(self):
        self.register("f", ASK + r"""
def handler(event):
    asked = [b"[1]", b"{", b"x" * 100, {"op": 5}, {}, {"op": "kv put", "key": "k"},
             {"op": "kv get"}, {"op": "kv get", "key": ""}, {"op": "kv get", "key": "a\0b"},
             {"op": "kv put", "key": "k", "value": "!"}, b'{"op":"kv list","op":"kv list"}',
             {"op": "kv list", "limit": -1}, {"op": "kv list", "limit": 5000},
             {"op": "kv put", "key": "\u001b[2J", "value": ""},
             {"op": "file put", "key": "\u009b2J", "value": ""},
             {"op": "kv get", "key": "k" * 513}, {"op": "kv list", "prefix": "k" * 600},
             {"op": "file put", "key": "k", "value": "", "type": "a\r\nb: c"}]
    codes = [(ask(frame(one)) or {}).get("code") for one in asked]
    return [codes, ask(b"\xff\xff\xff\xff....")["code"], ask(b"\0\0\0\0")["code"],
            "code" in ask(frame({"op": "kv list"}))]
""")
        codes, long, empty, failed = self.call("f")
        self.assertEqual(codes, ["NOVA_EINVAL"] * 18)
        self.assertEqual((long, empty, failed), ("NOVA_ETOOBIG", "NOVA_EINVAL", False))

    def test_connections_that_say_nothing_end_with_their_call(self):
        self.register("f", ASK + """
def handler(event):
    held = [socket.socket(socket.AF_UNIX) for _ in range(30)]
    for one in held:
        one.connect(os.environ["NOVA_SOCKET"])
    held[0].sendall(frame({"op": "kv list"})[:9])
    return len(held)
""")
        self.register("g", ASK + """
def handler(event):
    return ask(frame({"op": "kv list"}))
""")
        self.assertEqual((self.call("f"), self.call("f")), (30, 30))
        self.assertEqual(self.call("g"), {"entries": []})

    def test_who_asks_too_often_is_told_and_goes_on_later(self):
        self.register("f", ASK + """
def handler(event):
    return [ask(frame({"op": "kv list"})).get("code") for _ in range(4)]
""")
        self.assertEqual(self.call("f", environment={"NOVA_KV_RATE": "3"}),
                         [None, None, None, "NOVA_ELIMIT"])

    def test_who_moves_many_bytes_has_asked_often(self):
        self.register("f", ASK + """
def handler(event):
    return [ask(frame(one)).get("code") for one in event]
""")
        self.novactl("file", "put", "f", "f", "-", stdin="x" * 20000)
        get, put, other = {"op": "file get", "key": "f"}, \
            {"op": "kv put", "key": "k", "value": "A" * 40000}, {"op": "kv list"}
        for asked in [get, other, other], [put, other]:
            codes = self.call("f", json.dumps(asked), environment={"NOVA_KV_RATE": "3"})
            self.assertEqual(codes, [None] * (len(asked) - 1) + ["NOVA_ELIMIT"])

    def test_replies_that_nobody_reads_take_no_more_than_some_of_the_guest(self):
        self.register("f", ASK + """
import select

def handler(event):
    asked = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for one in asked:
        one.connect(os.environ["NOVA_SOCKET"])
        one.sendall(frame({"op": "file get", "key": "f"}))
    left = list(asked)
    while left:
        left = [one for one in left if one not in select.select(left, [], [])[0]]
    told = [json.loads(b"".join(iter(lambda: one.recv(1 << 20), b""))[4:]) for one in asked]
    return [len(one.get("value", "")) or one["error"] for one in told]
""")
        data = self.directory / "data"
        data.write_bytes(bytes(4 << 20))
        self.novactl("file", "put", "f", "f", data)
        told = self.call("f", environment={"NOVA_KV_RATE": "0"})
        self.assertEqual(sum(isinstance(one, int) for one in told), 1, told)
        self.assertEqual(sum("not read" in one for one in told if isinstance(one, str)), 7, told)

    def test_an_import_and_code_that_is_run_once_have_no_space(self):
        tries = """
import nova
try:
    found = nova.kv.get("k")
except nova.Error as error:
    found = error.code
"""
        self.register("f", tries + "def handler(event):\n    return [found, nova.kv.get('k')]\n")
        self.assertEqual(self.call("f"), ["NOVA_ENOTSUP", None])
        done = self.novactl("run", "--language", "python", tries + "print(found)\n")
        self.assertEqual(done.stdout, "NOVA_ENOTSUP\n")


if __name__ == "__main__":
    unittest.main()
