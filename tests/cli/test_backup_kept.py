# SPDX-License-Identifier: MIT
"""What functions keep in archives of novactl export and import."""
import functools
import json
import shutil
import subprocess
import tarfile
import unittest

import pgserver
from backupcase import ECORRUPT, EEXIST, BackupCase
from novatest import NOVACTL


class Kept(BackupCase):
    def keep(self, host=None):
        """Values and files of f, one that goes and one that has gone; what is to be there."""
        host = host or self.a
        put = functools.partial(self.novactl_json, "kv", "put", "f", environment=host)
        for key, value in (("a/\u00e4", "one"), ("empty", ""),
                           ("'; DROP TABLE kv_entries; --", "2")):
            put(key, value)
        put("late", "3", "--ttl", "1h")
        put("gone", "4", "--ttl", "1ms")
        data = self.directory / "data"
        data.write_bytes(bytes(range(256)) * 4096)
        for name in ("one", "same"):
            self.novactl("file", "put", "f", name, data, "--type", "image/png", environment=host)
        return self.kept(host)

    def kept(self, host):
        ask = functools.partial(self.novactl_json, environment=host)
        keys, files = ask("kv", "list", "f"), ask("file", "list", "f")
        return ([ask("kv", "get", "f", key["key"]) for key in keys],
                [ask("file", "get", "f", file["name"]) for file in files])

    def kept_rows(self):
        with tarfile.open(self.archive) as tar:
            lines = tar.extractfile("kept.jsonl").read().splitlines()
        return [json.loads(line) for line in lines]

    def test_what_functions_keep_goes_along_with_its_versions_and_times(self):
        self.add("one")
        kept = self.keep()
        self.assertEqual([len(kept[0]), len(kept[1])], [4, 2])
        self.export()
        self.novactl("import", self.archive, environment=self.b)
        self.assertEqual(self.kept(self.b), kept)
        seen = {key["key"]: key["version"] for key in kept[0]}
        changed = functools.partial(self.novactl, "kv", "put", "f", "empty", environment=self.b)
        changed("x", "--if-version", seen["empty"])
        changed("y", "--if-version", seen["empty"], status=1)
        # the version of a key that is gone is not given again, whatever the clock there says
        rows = self.kept_rows()
        self.assertGreaterEqual(rows[0]["kv_spaces"]["version"], max(seen.values()))
        self.assertEqual(len([row for row in rows if "kv_contents" in row]), 1)
        self.assertNotIn("gone", json.dumps(rows))
        counts = json.loads(self.member("manifest.json"))["rows"]
        self.assertEqual((counts["kv_entries"], counts["kv_files"]), (4, 2))

    def test_what_functions_keep_goes_from_any_store_into_any_other(self):
        if pgserver.programs() is None:
            self.skipTest("no PostgreSQL: see test_packages in tools/packages")
        server = pgserver.start_for(self)
        server.psql("CREATE DATABASE other")
        first = {**self.at("c"), "NOVA_PG_DSN": server.dsn()}
        second = {**self.at("d"), "NOVA_PG_DSN": server.dsn("other")}
        self.add("one")
        kept = self.keep()
        self.export()
        rows = self.kept_rows()
        for host in (first, second, self.b):
            self.novactl("import", self.archive, environment=host)
            self.assertEqual(self.kept(host), kept)
            self.export(host)
            self.assertEqual(self.kept_rows(), rows)

    def test_an_archive_without_what_functions_keep_is_one_of_before(self):
        self.add("one")
        self.export()
        self.assertEqual(json.loads(self.member("manifest.json"))["format"], 1)
        self.novactl("import", self.archive, environment=self.b)
        self.assertEqual(self.kept(self.b), ([], []))
        self.keep()
        self.export()
        self.assertEqual(json.loads(self.member("manifest.json"))["format"], 2)

    def test_an_import_takes_the_place_of_what_a_deleted_function_has_left(self):
        self.add("one")
        kept = self.keep()
        self.export()
        host = self.at("a2")
        shutil.copytree(self.directory / "a", self.directory / "a2")
        (self.directory / "a2/nova.db").unlink()
        for path in self.directory.glob("a2/nova.db-*"):
            path.unlink()
        self.novactl("import", self.archive, environment=host)
        self.assertEqual(self.kept(host), kept)

    def test_a_merge_leaves_what_others_keep(self):
        self.add("one", name="g", host=self.b)
        self.novactl("kv", "put", "g", "k", "v", environment=self.b)
        self.add("one")
        kept = self.keep()
        self.export()
        self.novactl("import", "--merge", self.archive, environment=self.b)
        self.assertEqual(self.kept(self.b), kept)
        self.assertEqual(self.novactl("kv", "get", "g", "k", environment=self.b).stdout, "v")
        self.novactl("kv", "put", "f", "k", "new", environment=self.b)
        self.refused(EEXIST, "there is a function 'f' already", "--merge")
        self.assertEqual(self.novactl("kv", "get", "f", "k", environment=self.b).stdout, "new")

    def test_an_archive_that_is_written_while_values_change_has_whole_ones(self):
        self.add("one")
        self.keep()
        stop = self.directory / "stop"
        loop = subprocess.Popen(
            ["sh", "-c", f'i=1; while ! [ -e {stop} ]; do {NOVACTL} kv put f "n$i" "$i" >/dev/null '
             f'|| exit 1; {NOVACTL} kv put f last "$i" > /dev/null || exit 1; i=$((i + 1)); done'],
            env={**self.environment, **self.a}, stderr=subprocess.DEVNULL)
        for i in range(3):
            self.export()
            host = self.at(f"n{i}")
            self.novactl("import", self.archive, environment=host)
            values = {key["key"]: key["value"] for key in self.kept(host)[0]}
            last = int(values.get("last", 0))
            self.assertEqual([values[f"n{n}"] for n in range(1, last + 1)],
                             [str(n) for n in range(1, last + 1)])
        stop.touch()
        self.assertEqual(loop.wait(100), 0)

    def change_kept(self, change):
        def apply(members):
            info, data = members[2]
            self.assertEqual(info.name, "kept.jsonl")
            lines = [json.loads(line) for line in data.splitlines()]
            change(lines)
            text = "".join(json.dumps(line) + "\n" for line in lines).encode()
            return [*members[:2], (info, text), *members[3:]]
        self.rewrite(apply)

    def test_kept_rows_that_cannot_be_are_refused(self):
        self.add("one")
        self.keep()

        def of(lines, table, **change):
            next(line for line in lines if table in line)[table].update(change)
        cases = {
            "there is something of a function that it has not":
                lambda lines: of(lines, "kv_entries", function="0" * 36),
            "it has not its columns": lambda lines: of(lines, "kv_entries", odd=1),
            "values that none of them can have": lambda lines: of(lines, "kv_entries", key=1),
            "it has a control character": lambda lines: of(lines, "kv_entries", key="a\x1b[2J"),
            "its size is not that of its value":
                lambda lines: of(lines, "kv_entries", size=1 << 40),
            "the time at which it goes, is none":
                lambda lines: of(lines, "kv_entries", expires_us=-1),
            "its version is none": lambda lines: of(lines, "kv_spaces", version=1 << 60),
            "lacks what it refers to": lambda lines: of(lines, "kv_spaces", version=1),
            "its bytes have another SHA-256":
                lambda lines: of(lines, "kv_contents", data={"hex": "00"}),
            "is none": lambda lines: of(lines, "kv_files", type="a\r\nb"),
            "lacks what it refers": lambda lines: of(lines, "kv_files", hash="0" * 64),
            "lacks what it": lambda lines: of(lines, "kv_files", size=7),
            "it is there twice": lambda lines: lines.append(lines[1]),
            "'kv_cats', a table": lambda lines: lines.append(
                {"kv_cats": {"function": lines[0]["kv_spaces"]["function"]}}),
        }
        for part, change in cases.items():
            with self.subTest(part):
                self.export()
                self.change_kept(change)
                self.refused(ECORRUPT, part)
        self.export()
        self.rewrite(lambda m: [*m, m[2]])
        self.refused(ECORRUPT, "it has kept.jsonl twice")


if __name__ == "__main__":
    unittest.main()
