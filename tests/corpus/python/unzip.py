# SPDX-License-Identifier: MIT
"""Packs files into an archive in /tmp and takes them out again; a bad archive is told."""
import base64
import os
import pathlib
import tempfile
import zipfile


def handler(event):
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        archive = place / "archive.zip"
        if "base64" in event:
            archive.write_bytes(base64.b64decode(event["base64"]))
        else:
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
                for path, text in event["files"].items():
                    made.writestr(path, text)
        with zipfile.ZipFile(archive) as found:
            found.extractall(place / "out")
        files = sorted(path for path in (place / "out").rglob("*") if path.is_file())
        return {"files": {str(path.relative_to(place / "out")): path.read_text("utf-8")
                          for path in files},
                "private": oct(os.stat(place).st_mode & 0o777)}
