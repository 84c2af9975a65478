# SPDX-License-Identifier: MIT
"""Snapshots and templates on disk. The fake engine takes none: these are made by hand."""
import hashlib
import json
import os
import time
import unittest

from test_nova import GREET, PlatformCase, errors, nova

MEMORY_MB = 64
STATE = b"devices"


def file_sum(size, content=b""):
    return {"size": size, "unpacked": 0, "sha256": hashlib.sha256(content).hexdigest()}


class SnapshotCase(PlatformCase):
    def make(self, number, name, created=1e9, **members):
        """A snapshot as libnova writes one, whose VM has an empty memory."""
        identity = f"{number:016x}"
        folder = self.directory / "home/snapshots" / identity
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        (folder / "state").write_bytes(STATE)
        (folder / "memory").touch()
        os.truncate(folder / "memory", MEMORY_MB << 20)
        texts = ("base", "engine_identity", "rootfs", "rootfs_identity", "code_disk",
                 "code_identity")
        manifest = {
            "format": 2, "id": identity, "name": name, "engine": "fake",
            **dict.fromkeys(texts, ""), "memory_mb": MEMORY_MB, "vcpus": 1,
            "created_us": int(created * 1e6), "pages": None,
            "memory": file_sum(MEMORY_MB << 20),  # pages of zeros are not summed up
            "state": file_sum(len(STATE), STATE), **members}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return folder


class Snapshots(SnapshotCase):
    def test_a_snapshot_tells_all_about_itself(self):
        folder = self.make(1, "before-order", 1e9, life_time_s=3600, parent="f" * 16,
                           has_function=True)
        found = self.nova.snapshot("before-order")
        self.assertEqual((found.id, found.name, found.path),
                         (folder.name, "before-order", str(folder)))
        self.assertEqual((found.base, found.parent, found.draws), ("", "f" * 16, ""))
        self.assertIs(found.has_function, True)
        self.assertEqual(found.created.timestamp(), 1e9)
        self.assertEqual(found.life_time, 3600)
        self.assertGreater(found.disk_bytes, 0)
        self.assertEqual(self.nova.snapshot(found.id), found)

    def test_a_snapshot_without_a_life_time_has_none(self):
        self.make(1, "kept")
        self.assertIsNone(self.nova.snapshot("kept").life_time)

    def test_snapshots_are_listed_by_time_and_templates_apart(self):
        self.assertEqual((self.nova.snapshots(), self.nova.templates()), ([], []))
        self.make(1, "late", 2e9)
        self.make(2, "early", 1e9)
        self.make(3, "template:" + "3" * 16, draws="uuid.uuid4() in main.py, line 3")
        self.assertEqual([s.name for s in self.nova.snapshots()], ["early", "late"])
        self.assertEqual([t.draws for t in self.nova.templates()],
                         ["uuid.uuid4() in main.py, line 3"])

    def test_a_damaged_snapshot_is_refused_by_the_name_of_its_file(self):
        folder = self.make(1, "damaged")
        (folder / "state").write_bytes(b"device?")
        with self.assertRaisesRegex(errors.Corrupt, "state.*checksum"):
            self.nova.snapshot("damaged")

    def test_a_deleted_snapshot_is_gone(self):
        folder = self.make(1, "first")
        self.nova.delete_snapshot("first")
        self.assertFalse(folder.exists())
        self.assertEqual(self.nova.snapshots(), [])

    def test_a_snapshot_that_is_not_there_is_not_found(self):
        for call in (self.nova.snapshot, self.nova.delete_snapshot, self.nova.restore_vm):
            with self.assertRaisesRegex(nova.NotFound, "'nothing'"):
                call("nothing")

    def test_pruning_deletes_what_has_outlived_its_time_alone(self):
        now = time.time()
        self.make(1, "over", now - 7200, life_time_s=3600)
        self.make(2, "young", now - 7200, life_time_s=1 << 62)
        self.make(3, "for ever", 1e9)
        self.assertEqual(self.nova.prune_snapshots(), 1)
        self.assertEqual([s.name for s in self.nova.snapshots()], ["for ever", "young"])
        self.assertEqual(self.nova.prune_snapshots(), 0)


class Templates(SnapshotCase):
    def test_pruning_deletes_templates_that_fit_nothing_and_no_snapshot(self):
        self.make(1, "mine")
        self.make(2, "template:" + "2" * 16, engine="qemu", engine_identity="of another host")
        self.assertEqual(self.nova.prune_templates(), 1)
        self.assertEqual((self.nova.templates(), len(self.nova.snapshots())), ([], 1))

    def test_what_they_take_is_told_with_the_limit(self):
        self.make(1, "mine")
        self.make(2, "template:" + "2" * 16)
        stats = self.nova.template_stats()
        self.assertEqual((stats["count"], stats["bases"]), (1, 1))
        template, = self.nova.templates()
        self.assertEqual(stats["bytes"], template.disk_bytes)
        self.assertGreater(stats["limit_bytes"], 0)
        self.assertGreater(template.used, template.created)

    def test_all_templates_can_be_pruned(self):
        self.make(1, "mine")
        for number in (2, 3):
            self.make(number, f"template:{number:016x}")
        self.assertEqual(self.nova.prune_templates(all=True), 2)
        self.assertEqual((self.nova.templates(), len(self.nova.snapshots())), ([], 1))

    def test_an_engine_without_snapshots_refuses_to_make_a_template(self):
        self.nova.register("f", runtime="python", code=GREET)
        with self.assertRaisesRegex(errors.NotSupported, "fake"):
            self.nova.build_template("f")


if __name__ == "__main__":
    unittest.main()
