# SPDX-License-Identifier: MIT
"""Hosts whose stores go into an archive and out of one."""
import io
import pathlib
import tarfile

from novatest import HomeCase

ECORRUPT, EEXIST = "NOVA_ECORRUPT", "NOVA_EEXIST"


class BackupCase(HomeCase):
    def setUp(self):
        super().setUp()
        self.archive = self.directory / "all.tar.gz"
        self.environment["NOVA_SECRET_KEY_FILE"] = str(self.directory / "keys")
        self.novactl("secret", "key", self.directory / "keys")
        self.a, self.b = self.at("a"), self.at("b")

    def at(self, name):
        return {"NOVA_HOME": str(self.directory / name)}

    def add(self, answer, *options, name="f", host=None):
        code = self.write("f.py", f"def handler(event):\n    return {answer!r}\n")
        self.novactl("register", name, "--runtime", "python", "--code", code, *options,
                     environment=host or self.a)

    def export(self, host=None, to=None):
        return self.novactl_json("export", to or self.archive, environment=host or self.a)

    def says(self, host, name="f"):
        return self.novactl_json("invoke", name, environment=host)["output"]

    def is_empty(self, host):
        return self.novactl_json("list", environment=host) == [] and \
            not [path for path in pathlib.Path(host["NOVA_HOME"]).glob("disk*/*")
                 if path.name.endswith(".ext4") or path.name.startswith(".new")]

    def refused(self, code, part, *words, host=None):
        """One clear sentence, and nothing of the archive is there."""
        host = host or self.b
        error = self.error_of("import", *words, self.archive, status=1, environment=host)
        self.assertEqual(error["name"], code, error)
        self.assertIn(part, error["message"])
        self.assertNotIn("\n", error["message"])
        if "--merge" not in words:
            self.assertTrue(self.is_empty(host))

    def rewrite(self, change):
        """The archive with its members changed: a list of (TarInfo, bytes)."""
        with tarfile.open(self.archive) as tar:
            members = [(info, tar.extractfile(info).read()) for info in tar]
        with tarfile.open(self.archive, "w:gz", format=tarfile.USTAR_FORMAT) as tar:
            for info, data in change(members):
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

    def member(self, name):
        with tarfile.open(self.archive) as tar:
            return tar.extractfile(name).read()
