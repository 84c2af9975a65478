# SPDX-License-Identifier: MIT
"""A module that is pushed, plugged and called by curl, in real microVMs."""
import base64
import json
import pathlib
import shutil

from novadcase import NovadCase
from novatest import NOVACTL

SAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples/functions/wasm"


class Module(NovadCase):
    engine = "qemu"

    def setUp(self):
        super().setUp()
        done = self.run_program(NOVACTL, "--json", "image", "check")
        if done.returncode:
            error = json.loads(done.stderr)["error"]
            self.assertEqual(error["name"], "NOVA_ENOTFOUND", error["message"])
            self.skipTest(error["message"])
        for program in ("curl", "wat2wasm"):
            if not shutil.which(program):
                self.skipTest(f"there is no {program}: install curl and wabt")
        self.process = self.novad()

    def curl(self, path, *words):
        done = self.run_program("curl", "-sS", "-H", f"x-api-key: {self.key}",
                                f"localhost:{self.port}{path}", *words, timeout=900)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def call(self, **body):
        done = json.loads(self.curl("/my-own-cluster/api/function/call", "-d", json.dumps(body)))
        self.assertIn("result", done, done)
        return done["result"], base64.b64decode(done["output"]).decode(), done["error"]

    def test_a_sample_is_pushed_plugged_and_called(self):
        module = self.directory / "upper.wasm"
        self.run_program("wat2wasm", str(SAMPLES / "upper.wat"), "-o", str(module))
        self.novactl("push", "upper", module)
        self.novactl("plug", "/upper", "upper", "--method", "POST")
        self.assertEqual(self.curl("/upper", "-d", "hello, you"), "HELLO, YOU")
        self.assertEqual(self.call(name="upper", mode="posix", input="abc",
                                   wasi_file_name="upper.wasm"), (0, "ABC", False))
        self.assertEqual(self.call(name="upper", start_function="add", arguments=[3, -10]),
                         (-7, "", False))
        self.assertEqual(self.call(name="upper", start_function="trap"), (134, "", True))
        self.assertEqual(self.call(name="upper", mode="posix", arguments=["a", "b"],
                                   wasi_file_name="x"), (0, "", False))
        missing = json.loads(self.curl(
            "/my-own-cluster/api/function/call", "-d",
            json.dumps({"name": "upper", "start_function": "none"})))
        self.assertIn("none", missing["message"])
        self.assertIs(missing["error"], True)
        self.novactl("plug", "/argc", "upper", "add")
        self.stops(self.process)
