# SPDX-License-Identifier: MIT
"""Programs of others that have libnova inside."""
import os
import shutil
import subprocess
import unittest

from novatest import BUILD, FUNCTIONS, ROOT, HomeCase

HELLO = FUNCTIONS / "python/hello.py"
SANITIZED = os.environ.get("NOVA_SANITIZED", "none") != "none"


def shared_library(name):
    """The file that the loader would take; None: it is not installed."""
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False)
    found = [line.split()[-1] for line in listing.stdout.splitlines() if line.split()[:1] == [name]]
    return found[0] if found else None


class Hosts(HomeCase):
    def answers(self, program, **variables):
        # A file of settings, so that the module for these is loaded as well.
        settings = self.write("settings.yaml", "engine: fake\n")
        done = subprocess.run(
            [program, HELLO, '{"name":"World"}'], capture_output=True, text=True, timeout=200,
            check=False, env={**self.environment, "NOVA_CONFIG": str(settings), **variables})
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("Hello, World!", done.stdout)

    def test_a_program_with_the_names_of_all_our_libraries_is_not_called(self):
        self.answers(BUILD / "tests/hosts/hostile")

    @unittest.skipIf(SANITIZED, "libnova.a is not made with a sanitizer")
    def test_such_a_program_may_have_the_library_and_its_modules_inside(self):
        program = self.directory / "bin/hostile-static"  # no module is near
        program.parent.mkdir()
        shutil.copy(BUILD / "tests/hosts/hostile-static", program)
        shutil.copy(BUILD / "lib/nova-keeper", program.parent)
        self.answers(program, NOVA_AGENT=str(BUILD / "agent/nova-agent"))

    def guest(self, network, **variables):
        """What a program says that exports those names and starts a guest on Firecracker's
        double."""
        if "NOVA_IMAGES" not in self.environment:
            self.skipTest("there are no images for this kind of machine")
        program = self.directory / "firecracker"
        program.unlink(missing_ok=True)
        program.symlink_to(ROOT / "tests/double/firecracker/firecracker")
        self.write("firecracker.control", '{"guest": "none"}')
        done = subprocess.run(
            [BUILD / "tests/hosts/hostile-guest", network], capture_output=True, text=True,
            timeout=200, check=False,
            env={**self.environment, "NOVA_ENGINE": "firecracker", "NOVA_FIRECRACKER_JAILER": "off",
                 "NOVA_FIRECRACKER": str(program), **variables})
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_such_a_program_starts_a_guest_on_firecracker(self):
        self.assertEqual(self.guest("none"), "started on firecracker\n")

    @unittest.skipIf(os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
                     "a network needs root and /dev/net/tun")
    def test_such_a_program_starts_a_guest_with_a_network(self):
        said = self.guest("nat")
        if said == "no namespace\n":
            self.skipTest("no network namespace can be made")
        self.assertEqual(said, "started on firecracker\n")

    @unittest.skipIf(SANITIZED, "a sanitizer has an allocator of its own")
    def test_other_allocators_serve_the_modules_too(self):
        for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4"):
            with self.subTest(name):
                path = shared_library(name)
                if not path:
                    self.skipTest(f"{name} is not installed: see test_packages in tools/packages")
                self.answers(BUILD / "examples/embed", LD_PRELOAD=path)
                self.assertEqual(self.guest("none", LD_PRELOAD=path), "started on firecracker\n")

    def twice(self, how):
        done = subprocess.run(
            [BUILD / "tests/hosts/twice", how, self.directory, HELLO], capture_output=True,
            text=True, timeout=200, check=False, env=self.environment)
        self.assertEqual((done.returncode, done.stdout), (0, "both answered\n"), done.stderr)

    def test_two_threads_that_load_at_once_both_get_their_answers(self):
        self.twice("threads")

    def test_a_child_loads_for_itself(self):
        self.twice("fork")
