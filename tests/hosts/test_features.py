# SPDX-License-Identifier: MIT
"""Modules that are left out when libnova is built."""
import json
import os
import subprocess
import unittest

from novatest import ROOT, HomeCase

LONG = bool(os.environ.get("NOVA_TEST_LONG"))


@unittest.skipIf(os.environ.get("NOVA_SANITIZED", "none") != "none", "the same in each build")
class Features(HomeCase):
    def run_meson(self, *words):
        done = subprocess.run(["meson", *map(str, words)], capture_output=True, text=True,
                              timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_a_feature_leaves_a_module_out_and_the_library_says_so(self):
        build = self.directory / "build"
        self.run_meson("setup", build, ROOT, "-Dtests=false", "-Dagent=false", "-Dcurl=disabled",
                       "-Dyaml=disabled", "-Ddefault_library=both")
        targets = json.loads(self.run_meson("introspect", "--targets", build))
        modules = {target["name"] for target in targets if target["type"] == "shared module"}
        self.assertEqual(modules - {"nova-zygote"}, {  # which is loaded into VMMs
            "nova-compress", "nova-crypto", "nova-ext2fs", "nova-netlink",
            "nova-postgres", "nova-redis", "nova-sqlite"})
        archive = next(target for target in targets if target["name"] == "libnova.a")
        self.assertTrue(archive["installed"])
        core = next(target for target in targets if target["name"] == "nova-core")
        self.assertIn('-DNOVA_LEFT_OUT="curl yaml "', core["target_sources"][0]["parameters"])
        if LONG:  # a build of its own
            self.run_meson("compile", "-C", build)
            self.says_so(build)

    def says_so(self, build):
        self.environment.pop("LD_LIBRARY_PATH", None)  # meson's, which names the other build
        done = subprocess.run(
            [build / "tools/novactl", "--json", "doctor"], capture_output=True, text=True,
            timeout=200, check=False, env=self.environment)
        said = {module["name"]: module["detail"] for module in json.loads(done.stdout)["modules"]}
        self.assertEqual(said["curl"], "this libnova was built without its module nova-curl.so, "
                         "for the engine firecracker: build it with -Dcurl=enabled")
        self.assertRegex(said["sqlite"], "^SQLite")
