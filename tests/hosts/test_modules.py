# SPDX-License-Identifier: MIT
"""Modules that are missing, cut off, of another version, or something else."""
import json
import os
import pathlib
import shutil
import subprocess

from novatest import BUILD, NOVACTL, ROOT, HomeCase

NAMES = ["compress", "crypto", "curl", "ext2fs", "netlink", "postgres", "redis", "sqlite", "yaml"]


def older(module, name):
    """The same module, as libnova 0.0.9 would have it."""
    at = module.index(b"nova\0\0\0\0" + name.encode() + b"\0")
    return module[:at + 24] + b"0.0.9".ljust(16, b"\0") + module[at + 40:]


class Modules(HomeCase):
    """An installation of its own."""

    def setUp(self):
        super().setUp()
        self.lib = self.directory / "lib"
        self.modules = self.lib / "nova"
        self.modules.mkdir(parents=True)
        for path in (BUILD / "lib/module").glob("*.so"):
            shutil.copy(path, self.modules)
        for name in ("libnova.so.0", "nova-keeper"):
            shutil.copy(BUILD / "lib" / name, self.lib / name)
        self.environment["LD_LIBRARY_PATH"] = str(self.lib)

    def refusal(self, *words):
        """Code and sentence of a command that fails; a sentence is one line."""
        done = subprocess.run(
            [str(NOVACTL), "--json", *map(str, words)], capture_output=True, text=True,
            timeout=100, check=False, env=self.environment)
        self.assertGreater(done.returncode, 0, done.stdout + done.stderr)
        error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
        names = {-6: "NOVA_ENOTSUP", -11: "NOVA_ECORRUPT", -12: "NOVA_EABI"}
        return names.get(error["code"], error["code"]), error["message"]

    def said_by_doctor(self):
        """Module -> whether it can be used, and its sentence."""
        done = subprocess.run(
            [str(NOVACTL), "--json", "doctor"], capture_output=True, text=True, timeout=100,
            check=False, env=self.environment)
        found = json.loads(done.stdout)
        self.checks = {check["name"]: check["status"] for check in found["checks"]}
        self.engines = {engine["name"]: engine for engine in found["engines"] or []}
        return {module["name"]: (module["usable"], module["detail"])
                for module in found["modules"]}

    def test_doctor_tells_what_is_inside_each(self):
        said = self.said_by_doctor()
        self.assertEqual(sorted(said), sorted(NAMES))
        for name, (usable, contents) in said.items():
            self.assertTrue(usable, f"{name}: {contents}")
            self.assertRegex(contents, r"\d\.\d", name)
        self.assertEqual(self.checks["modules"], "ok")

    def refused_by_doctor(self, change, part):
        """Each module's file is changed, all at once: each has one sentence that names it."""
        for name in NAMES:
            change(self.modules / f"nova-{name}.so", name)
        said = self.said_by_doctor()
        for name, (usable, sentence) in said.items():
            self.assertFalse(usable, name)
            self.assertIn(f"nova-{name}.so", sentence)
            self.assertIn(part, sentence)
            self.assertNotIn("\n", sentence)
        self.assertEqual((sorted(said), self.checks["modules"]), (sorted(NAMES), "bad"))

    def test_each_that_is_missing_has_a_sentence(self):
        self.refused_by_doctor(lambda file, name: file.unlink(), "is not installed")

    def test_each_that_is_cut_off_has_a_sentence(self):
        self.refused_by_doctor(lambda file, name: os.truncate(file, file.stat().st_size - 1),
                               "is cut off")

    def test_each_that_is_something_else_has_a_sentence(self):
        self.refused_by_doctor(lambda file, name: shutil.copy(NOVACTL, file),
                               "is not libnova's module for")

    def test_each_that_is_older_has_a_sentence(self):
        self.refused_by_doctor(lambda file, name: file.write_bytes(older(file.read_bytes(), name)),
                               "belongs to libnova 0.0.9, and this is")

    def test_firecracker_is_not_usable_without_curl_and_its_probe_says_so(self):
        program = self.directory / "firecracker"
        program.symlink_to(ROOT / "tests/double/firecracker/firecracker")
        self.environment.update(NOVA_FIRECRACKER=str(program))
        self.said_by_doctor()
        self.assertNotIn("nova-curl.so", self.engines["firecracker"]["reason"])
        (self.modules / "nova-curl.so").unlink()
        said = self.said_by_doctor()
        self.assertFalse(self.engines["firecracker"]["usable"])
        self.assertEqual(self.engines["firecracker"]["reason"], said["curl"][1])
        self.assertEqual(self.checks["modules"], "warn")

    def test_without_netlink_no_engine_offers_a_network(self):
        (self.modules / "nova-netlink.so").unlink()
        self.said_by_doctor()
        self.assertNotIn("network", self.checks)

    def uses(self):
        """Module -> a command that needs it."""
        source = self.write("source.py", "")
        settings = self.write("settings.yaml", "engine: fake\n")
        return {
            "crypto": ["list"], "sqlite": ["list"],
            "redis": ["--redis", "localhost", "list"],
            "ext2fs": ["disk", "build", source, "--output", self.directory / "disk.img"],
            "yaml": ["--config", settings, "list"],
        }

    def test_each_that_is_missing_is_named_and_what_needs_it(self):
        for name, words in self.uses().items():
            with self.subTest(name):
                file = self.modules / f"nova-{name}.so"
                kept = file.rename(self.directory / "kept")
                code, message = self.refusal(*words)
                kept.rename(file)
                self.assertEqual(code, "NOVA_ENOTSUP", message)
                self.assertIn(f"nova-{name}.so", message)
                self.novactl(*words)

    def test_postgres_without_its_module_says_so(self):
        (self.modules / "nova-postgres.so").unlink()
        code, message = self.refusal("--pg-dsn", "dbname=x", "list")
        self.assertEqual(code, "NOVA_ENOTSUP", message)
        self.assertIn("nova-postgres.so, for functions in PostgreSQL, is not installed", message)

    def test_one_that_is_missing_hinders_nothing_else(self):
        for name in ("compress", "curl", "netlink", "postgres", "yaml", "ext2fs"):
            (self.modules / f"nova-{name}.so").unlink()
        self.novactl("list")

    def damaged(self, content, code, part):
        (self.modules / "nova-sqlite.so").write_bytes(content)
        got, message = self.refusal("list")
        self.assertEqual(got, code, message)
        self.assertIn(part, message)
        self.assertIn("nova-sqlite.so", message)

    def test_one_that_is_cut_off_anywhere_is_told_from_a_whole_one(self):
        whole = (self.modules / "nova-sqlite.so").read_bytes()
        for size in (0, 3, 63, 64, 500, 5000, len(whole) // 2, len(whole) - 1):
            with self.subTest(size):
                self.damaged(whole[:size], "NOVA_ECORRUPT", "is cut off")

    def test_what_is_no_module_or_another_one_is_refused_before_it_runs(self):
        yaml = (self.modules / "nova-yaml.so").read_bytes()
        library = pathlib.Path(NOVACTL).read_bytes()
        self.damaged(b"not even a library\n" * 100, "NOVA_ECORRUPT", "no shared library")
        self.damaged(yaml, "NOVA_ECORRUPT", "is not libnova's module for sqlite")
        self.damaged(library, "NOVA_ECORRUPT", "is not libnova's module for sqlite")

    def test_one_of_another_version_is_refused_with_both_versions(self):
        whole = (self.modules / "nova-sqlite.so").read_bytes()
        at = whole.index(b"nova\0\0\0\0sqlite\0")
        note = whole[at:at + 40]
        version = note[24:].rstrip(b"\0")
        other = whole[:at + 24] + b"9.8.7".ljust(16, b"\0") + whole[at + 40:]
        self.damaged(other, "NOVA_EABI",
                     f"belongs to libnova 9.8.7, and this is {version.decode()}")

    def test_one_with_other_functions_is_refused(self):
        whole = (self.modules / "nova-sqlite.so").read_bytes()
        self.damaged(whole.replace(b"sqlite3_step sqlite3", b"sqlite3_stop sqlite3"),
                     "NOVA_EABI", "was built from other sources")
