# SPDX-License-Identifier: MIT
"""Settings, places, code disks and guest images."""
import hashlib
import os
import struct
import unittest
from unittest import mock

from test_nova import GREET, PlatformCase, errors, nova

# An ELF64 file for x86-64 with one segment, the four bytes behind these heads.
ELF_HEAD = struct.pack("<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 2, 62, 1, 0, 64, 0, 0, 64, 56,
                       1, 0, 0, 0)
LOADED_PART = struct.pack("<IIQQQQQQ", 1, 5, 120, 0, 0, 4, 4, 1)


class Places(PlatformCase):
    def test_a_platform_tells_its_directories(self):
        images = str(self.directory / "no images yet")
        home = str(self.directory / "second")
        with nova.open(home=home, images=images, engine="fake") as platform:
            self.assertEqual((platform.home, platform.images), (home, images))
        self.assertRaises(ValueError, lambda: platform.home)

    def test_a_platform_tells_its_settings_by_key_and_by_keyword(self):
        with nova.open(home=self.directory / "second", engine="fake",
                       pool_idle_ttl="5m") as platform:
            self.assertEqual(platform.setting("pool.idle_ttl"), "5m")
            self.assertEqual(platform.setting("pool_idle_ttl"), "5m")
            self.assertEqual(platform.setting("engine"), "fake")

    def test_a_setting_that_does_not_exist_is_refused_by_name(self):
        with self.assertRaisesRegex(nova.InvalidArgument, "'pool.idle'") as caught:
            self.nova.setting("pool.idle")
        self.assertEqual(caught.exception.name, "NOVA_EINVAL")


class Settings(PlatformCase):
    def test_each_setting_tells_where_it_comes_from(self):
        file = self.directory / "nova.yaml"
        file.write_text("pool:\n  max_vms: 3\n", encoding="utf-8")
        with mock.patch.dict(os.environ, {"NOVA_POOL_IDLE_TTL": "7s"}):
            found = {one.key: one for one in nova.settings(file, pool_max_queue=9)}
        told = {key: (found[key].value, found[key].source)
                for key in ("pool.max_vms", "pool.idle_ttl", "pool.max_queue")}
        self.assertEqual(told, {
            "pool.max_vms": ("3", "file"),
            "pool.idle_ttl": ("7s", "environment"),
            "pool.max_queue": ("9", "program"),
        })
        self.assertEqual(found["pool.standby"].source, "default")
        self.assertEqual(found["pool.idle_ttl"].variable, "NOVA_POOL_IDLE_TTL")
        self.assertTrue(all(one.description for one in found.values()))

    def test_without_the_environment_a_setting_is_as_the_program_says(self):
        with mock.patch.dict(os.environ, {"NOVA_POOL_IDLE_TTL": "7s"}):
            found = {one.key: one for one in nova.settings(environment=False)}
        self.assertEqual(found["pool.idle_ttl"].source, "default")

    def test_a_setting_that_cannot_be_understood_is_refused(self):
        self.assertRaises(errors.BadConfig, nova.settings, pool_idle_ttl="soon")
        self.assertRaises(nova.InvalidArgument, nova.settings, pool_idle="5m")


class Disks(PlatformCase):
    def test_what_was_built_into_a_disk_comes_out_again(self):
        code, out, image = (self.directory / name for name in ("code", "out", "code.ext4"))
        (code / "below").mkdir(parents=True)
        (code / "main.py").write_bytes(GREET)
        (code / "below/data").write_bytes(b"\0" * 5000 + b"end")
        nova.build_disk(image, code)
        out.mkdir()
        nova.extract_disk(image, out)
        self.assertEqual((out / "main.py").read_bytes(), GREET)
        self.assertEqual((out / "below/data").read_bytes(), b"\0" * 5000 + b"end")

    def test_a_disk_is_not_extracted_over_other_files(self):
        image, out = self.directory / "code.ext4", self.directory / "out"
        nova.build_disk(image, data=GREET)
        out.mkdir()
        (out / "mine").touch()
        self.assertRaises(errors.AlreadyExists, nova.extract_disk, image, out)
        self.assertEqual([path.name for path in out.iterdir()], ["mine"])

    def test_what_is_no_disk_is_refused_and_leaves_nothing(self):
        image, out = self.directory / "code.ext4", self.directory / "out"
        image.write_bytes(b"no file system" * 1000)
        out.mkdir()
        self.assertRaises(errors.Corrupt, nova.extract_disk, image, out)
        self.assertEqual(list(out.iterdir()), [])
        self.assertRaises(nova.NotFound, nova.extract_disk, self.directory / "nothing", out)


class Images(PlatformCase):
    def test_images_that_are_as_their_manifest_says_pass(self):
        images = self.make_images()
        nova.check_images(images)
        nova.check_images(images, "kernel/vmlinux")

    def test_an_image_that_is_damaged_or_missing_is_named(self):
        images = self.make_images()
        (images / "kernel/vmlinux").write_bytes(b"kernel/vmlinuX")
        with self.assertRaisesRegex(errors.Corrupt, "kernel/vmlinux"):
            nova.check_images(images)
        (images / "kernel/vmlinux").unlink()
        with self.assertRaisesRegex(nova.NotFound, "kernel/vmlinux"):
            nova.check_images(images, "kernel/vmlinux")

    def test_a_kernel_that_is_not_compressed_is_copied(self):
        kernel, copy = self.directory / "kernel", self.directory / "vmlinux"
        kernel.write_bytes(ELF_HEAD + LOADED_PART + b"code")
        nova.extract_kernel(kernel, copy)
        self.assertEqual(copy.read_bytes(), kernel.read_bytes())

    def test_what_is_no_kernel_is_refused_and_nothing_is_written(self):
        kernel, copy = self.directory / "kernel", self.directory / "vmlinux"
        kernel.write_bytes(b"not a kernel")
        self.assertRaises(errors.Corrupt, nova.extract_kernel, kernel, copy)
        self.assertRaises(nova.NotFound, nova.extract_kernel, self.directory / "none", copy)
        self.assertFalse(copy.exists())

    def make_images(self):
        images = self.directory / "images"
        lines = []
        for name in ("kernel/vmlinux", "kernel/initramfs.cpio", "rootfs/base.ext4"):
            content = name.encode()
            (images / name).parent.mkdir(parents=True, exist_ok=True)
            (images / name).write_bytes(content)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {len(content)}  {name}\n")
        (images / "MANIFEST").write_text("".join(lines), encoding="utf-8")
        return images


class Probing(PlatformCase):
    def test_a_probe_tells_whether_the_memory_of_a_vmm_is_limited(self):
        self.assertIsInstance(self.nova.probe().unlimited, str)
        self.assertIn("fork the process", self.nova.probe().not_hot)


if __name__ == "__main__":
    unittest.main()
