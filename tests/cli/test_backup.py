# SPDX-License-Identifier: MIT
"""novactl export and import: archives between stores, and archives of somebody else."""
import base64
import fcntl
import gzip
import json
import os
import pathlib
import random
import subprocess
import tarfile
import unittest
import zlib

import pgserver
from backupcase import ECORRUPT, EEXIST, BackupCase
from novatest import NOVACTL

SEED = int(os.environ.get("NOVA_TEST_SEED") or random.randrange(1 << 31))
ROUNDS = 100 if os.environ.get("NOVA_TEST_LONG") else 10
VALUE = "correct horse battery"
ENOTSUP, ENOSPC = "NOVA_ENOTSUP", "NOVA_ENOSPC"


class Backup(BackupCase):
    def fill(self):
        """Two versions, of which the second is as it is now; an alias; a key; a secret."""
        self.add("one")
        self.novactl("version", "publish", "f", environment=self.a)
        self.novactl("alias", "set", "f", "prod", "1", environment=self.a)
        self.add("two", "--replace", "-e", "WORD=$SECRET:word", "--label", "tier=gold",
                 "--rate", "50", "--rate-period", "1m", "--rate-burst", "70")
        self.novactl("secret", "set", "word", stdin=VALUE, environment=self.a)
        self.key = self.novactl_json("apikey", "create", "me", environment=self.a)["key"]

    # --- whole archives ---

    def rows(self, archive=None):
        with tarfile.open(archive or self.archive) as tar:
            return tar.extractfile("store.jsonl").read()

    def check_all_is_there(self, host):
        self.assertEqual(self.says(host), "two")
        self.assertEqual(self.says(host, "f:prod"), "one")
        self.assertEqual(self.novactl_json("apikey", "list", environment=host)[0]["name"], "me")
        shown = self.novactl_json("get", "f", environment=host)
        self.assertIn("gold", json.dumps(shown["labels"]))
        self.assertEqual([shown["limits"][f"rate{name}"] for name in ("", "_period_ms", "_burst")],
                         [50, 60000, 70])

    def test_an_empty_host_answers_after_an_import(self):
        self.fill()
        told = self.export()
        key, = told["secret_keys"]
        self.assertEqual(self.archive.stat().st_mode & 0o777, 0o600)
        told = self.novactl("import", self.archive, environment=self.b)
        self.assertIn(f"the key {key} is needed", told.stdout + told.stderr)
        self.check_all_is_there(self.b)
        second = self.directory / "second.tar.gz"
        self.export(self.b, second)
        self.assertEqual(self.rows(), self.rows(second))

    def test_a_secret_is_in_no_archive(self):
        self.fill()
        self.export()
        value = VALUE.encode()
        with gzip.open(self.archive) as plain:
            content = plain.read()
        for form in (value, base64.b64encode(value), value.hex().encode(), self.key.encode()):
            self.assertNotIn(form, content)
        self.assertIn(b'"sealed"', content)

    def test_an_archive_goes_from_any_store_into_any_other(self):
        if pgserver.programs() is None:
            self.skipTest("no PostgreSQL: see test_packages in tools/packages")
        server = pgserver.start_for(self)
        server.psql("CREATE DATABASE other")
        first = {**self.at("c"), "NOVA_PG_DSN": server.dsn()}
        second = {**self.at("d"), "NOVA_PG_DSN": server.dsn("other")}
        self.fill()
        self.export()
        rows = self.rows()
        for host in (first, second):
            self.novactl("import", self.archive, environment=host)
            self.check_all_is_there(host)
            self.export(host)
            self.assertEqual(rows, self.rows())
        self.novactl("import", self.archive, environment=self.b)
        self.check_all_is_there(self.b)

    def test_a_store_that_is_not_empty_is_left_as_it_is_unless_merged(self):
        self.add("one")
        self.export()
        self.add("other", name="g", host=self.b)
        error = self.error_of("import", self.archive, status=1, environment=self.b)
        self.assertIn("has functions already: import into an empty one, or merge",
                      error["message"])
        self.novactl("import", "--merge", self.archive, environment=self.b)
        self.assertEqual((self.says(self.b), self.says(self.b, "g")), ("one", "other"))
        self.refused(EEXIST, "there is a function 'f' already", "--merge")
        self.assertEqual((self.says(self.b), self.says(self.b, "g")), ("one", "other"))

    def test_an_archive_that_is_written_while_others_register_can_be_imported(self):
        self.add("0")
        stop = self.directory / "stop"
        loop = subprocess.Popen(
            ["sh", "-c", f'i=1; while ! [ -e {stop} ]; do echo "def handler(e): return $i" > g.py; '
             f'{NOVACTL} register g$i --runtime python --code g.py >/dev/null 2>&1 || exit 1; '
             'i=$((i + 1)); done'], cwd=self.directory,
            env={**self.environment, **self.a})
        for i in range(3):
            self.export()
            host = self.at(f"n{i}")
            self.novactl("import", self.archive, environment=host)
            for function in self.novactl_json("list", environment=host):
                self.novactl("invoke", function["name"], environment=host)
        stop.touch()
        self.assertEqual(loop.wait(100), 0)

    def test_an_export_waits_for_nobody_who_registers(self):
        self.add("one")
        with open(self.directory / "a/disks/.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.export()
        self.novactl("import", self.archive, environment=self.b)
        self.assertEqual(self.says(self.b), "one")

    # --- archives that are not as they should be ---

    def change_rows(self, change):
        def apply(members):
            info, data = members[1]
            lines = [json.loads(line) for line in data.splitlines()]
            change(lines)
            text = "".join(json.dumps(line) + "\n" for line in lines).encode()
            return [members[0], (info, text), *members[2:]]
        self.rewrite(apply)

    def has_content(self, archive, content):
        try:
            return gzip.decompress(archive) == content
        except (OSError, EOFError, zlib.error):
            return False

    def test_a_damaged_archive_is_refused(self):
        self.add("one")
        self.export()
        whole = self.archive.read_bytes()
        chance = random.Random(SEED)
        print(f"# seed {SEED}")
        for size in (0, 5, len(whole) // 2, len(whole) - 9, len(whole) - 1):
            self.archive.write_bytes(whole[:size])
            self.refused(ECORRUPT, "is damaged: ")
        for more in (whole, b"\0", bytes(100000)):
            self.archive.write_bytes(whole + more)
            self.refused(ECORRUPT, "there is more behind its end")
        content = gzip.decompress(whole)
        for at in (*(chance.randrange(10, len(whole)) for _ in range(5)), len(whole) - 6):
            changed = whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1:]
            if not self.has_content(changed, content):  # which zeros are repeated is all the same
                self.archive.write_bytes(changed)
                self.refused(ECORRUPT, str(self.archive))
        self.archive.write_text("no archive at all, but a text that is long enough for one")
        self.refused(ECORRUPT, "it is not what gzip has written")
        self.archive.write_bytes(gzip.compress(bytes(1024)))
        self.refused(ECORRUPT, "is no archive of nova_export()")
        self.archive.unlink()
        self.refused("NOVA_ENOTFOUND", str(self.archive))

    def test_names_that_lead_elsewhere_are_refused(self):
        self.add("one")
        for name in ("../../escaped", "/tmp/nova-escaped", "blobs/../../escaped", "blobs/x",
                     "blobs/" + "0" * 64, "./blobs/" + "0" * 64):
            with self.subTest(name):
                self.export()
                self.rewrite(lambda m, n=name: [*m, (tarfile.TarInfo(n), b"x")])
                self.refused(ECORRUPT, "it has a file that no row of it needs")
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "manifest.json"),
                             (tarfile.CHRTYPE, ""), (tarfile.DIRTYPE, "")):
            self.export()
            link = tarfile.TarInfo("blobs/" + "1" * 64)
            link.type, link.linkname = kind, target
            self.rewrite(lambda m, one=link: [*m, (one, b"")])
            self.refused(ECORRUPT, "no plain file")
        self.assertFalse([*self.directory.rglob("*escaped*")])
        self.assertFalse(pathlib.Path("/tmp/nova-escaped").exists())

    def change_manifest(self, **change):
        def apply(members):
            manifest = {**json.loads(members[0][1]), **change}
            return [(members[0][0], json.dumps(manifest).encode()), *members[1:]]
        self.rewrite(apply)

    def test_an_archive_of_a_newer_library_is_refused(self):
        self.add("one")
        for what in ("format", "schema"):
            self.export()
            self.change_manifest(**{what: 4711, "libnova": "9.1.0"})
            self.refused(ENOTSUP, f"has {what} 4711, of libnova 9.1.0")
        for schema in (0, -1, "14", None):
            self.export()
            self.change_manifest(schema=schema)
            self.refused(ECORRUPT, "names no format and schema")

    def test_what_an_archive_of_an_earlier_schema_lacks_has_its_default(self):
        self.fill()
        self.export()
        later = {"preopens": 7}
        later_of_keys = {"rate": 13, "period_ms": 13, "burst": 13}

        def drop(lines):
            for line in lines:
                for table, row in line.items():
                    for column in later_of_keys if table == "api_keys" else later:
                        row.pop(column, None)
        self.change_rows(drop)
        for schema in (7, 13):  # one of the columns, or all, should be there
            self.change_manifest(schema=schema)
            self.refused(ECORRUPT, "it has not the columns of its schema")
        self.change_manifest(schema=6)
        self.novactl("import", self.archive, environment=self.b)
        self.check_all_is_there(self.b)
        rows = self.rows()
        self.export(self.b)
        self.assertNotEqual(rows, self.rows())
        self.change_rows(drop)
        self.assertEqual(rows, self.rows())

    def test_code_that_is_not_what_its_hash_says_is_refused(self):
        self.add("one")
        self.export()
        self.rewrite(lambda m: [*m[:2], (m[2][0], m[2][1][:-1] + b"x")])
        self.refused(ECORRUPT, "has the SHA-256")
        self.export()
        self.rewrite(lambda m: m[:2])
        self.refused(ECORRUPT, "lacks the file")

    def test_rows_that_cannot_be_are_refused(self):
        self.fill()

        def first(lines, **change):
            lines[0]["functions"].update(change)
        cases = {
            "has not the columns of its schema": lambda lines: first(lines, odd=1),
            "values that none of them can have": lambda lines: first(lines, handler=1.5),
            "'cats', a table that this libnova does not know":
                lambda lines: lines.append({"cats": {}}),
            "a row of it has more than 16 MiB":
                lambda lines: first(lines, handler="x" * (17 << 20)),
            "a line of its rows is none": lambda lines: lines.append([]),
            "what was to be imported is not valid": lambda lines: first(lines, memory_mb=1 << 40),
            "there is a function 'f' already": lambda lines: lines.insert(1, lines[0]),
            "the archive lacks what it refers to":
                lambda lines: lines[2]["aliases"].update(version=7),
            "lacks the file": lambda lines: first(lines, image="sha256:" + "0" * 64),
            "'../../etc/passwd', which is no SHA-256":
                lambda lines: first(lines, code_hash="../../etc/passwd"),
        }
        for part, change in cases.items():
            with self.subTest(part):
                self.export()
                self.change_rows(change)
                error = self.error_of("import", self.archive, status=1, environment=self.b)
                self.assertIn(part, error["message"])
                self.assertTrue(self.is_empty(self.b))
        self.export()
        self.change_rows(lambda lines: first(lines, runtime="'; DROP TABLE functions; --"))
        self.error_of("import", self.archive, status=1, environment=self.b)
        self.assertTrue(self.is_empty(self.b))

    # --- hosts that fail ---

    def test_a_full_disk_leaves_the_store_as_it_was(self):
        (self.directory / "big").mkdir()
        (self.directory / "big/data").write_bytes(random.Random(1).randbytes(3 << 20))
        self.write("big/main.py", "def handler(event):\n    return 1\n")
        self.novactl("register", "f", "--runtime", "python", "--code", self.directory / "big",
                     environment=self.a)
        self.export()
        small = self.directory / "b"
        small.mkdir()
        script = f"mount -t tmpfs -o size=2m,mode=700 none {small} || exit 77; " \
                 f"{NOVACTL} --json import {self.archive}; echo $?; {NOVACTL} --json list; " \
                 f"ls {small}/disks"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              env={**self.environment, **self.b}, check=False)
        if done.returncode == 77 or "unshare" in done.stderr:
            self.skipTest("cannot mount a small disk")
        self.assertIn(ENOSPC, done.stdout + done.stderr)
        self.assertIn("\n[]", done.stdout)
        self.assertNotIn(".ext4", done.stdout)
        # and where the archive is to be written: what was there stays
        script = f"mount -t tmpfs -o size=1m,mode=700 none {small} || exit 77; cd {small}; " \
                 f"echo old > x.tar.gz; {NOVACTL} --json export x.tar.gz; cat x.tar.gz; ls -A"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              env={**self.environment, **self.a}, check=False)
        self.assertIn(ENOSPC, done.stdout + done.stderr)
        self.assertTrue(done.stdout.endswith("old\nx.tar.gz\n"), done.stdout)

    def test_an_import_that_is_killed_is_done_or_not_begun(self):
        for i in range(5):
            self.add(f"{i}", name=f"f{i}")
            self.novactl("kv", "put", f"f{i}", "k", str(i), environment=self.a)
        self.export()
        chance = random.Random(SEED)
        for i in range(ROUNDS):
            host = self.at(f"k{i}")
            with subprocess.Popen([NOVACTL, "import", self.archive], stdout=subprocess.DEVNULL,
                                  env={**self.environment, **host}) as process:
                try:
                    process.wait(chance.random() * 0.5)
                except subprocess.TimeoutExpired:
                    process.kill()
            names = [f["name"] for f in self.novactl_json("list", environment=host)]
            self.assertIn(len(names), (0, 5))
            if not names:
                self.assertTrue(self.is_empty(host))
                self.novactl("import", self.archive, environment=host)
            self.assertEqual(self.says(host, "f4"), "4")
            self.assertEqual(self.novactl("kv", "get", "f4", "k", environment=host).stdout, "4")


if __name__ == "__main__":
    unittest.main()
