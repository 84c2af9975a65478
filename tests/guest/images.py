#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""images.py GUEST DIRECTORY: an image directory whose kernel is the guest without Linux.

The other images are empty."""
import hashlib
import pathlib
import shutil
import sys


def main(guest, directory):
    directory = pathlib.Path(directory)
    shutil.rmtree(directory, ignore_errors=True)
    images = {
        "kernel/vmlinux": pathlib.Path(guest).read_bytes(),
        "kernel/initramfs.cpio": bytes(512),
        "rootfs/base.ext4": bytes(4096),
    }
    lines = ""
    for path, content in images.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
        lines += f"{hashlib.sha256(content).hexdigest()}  {len(content)}  {path}\n"
    (directory / "MANIFEST").write_text(lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
