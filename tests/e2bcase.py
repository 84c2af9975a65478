# SPDX-License-Identifier: MIT
"""A novad with sandboxes, and E2B's SDK as it is, pinned to the version that novad knows."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

from novadcase import NovadCase

ROOT = pathlib.Path(__file__).resolve().parents[1]
VERSION = re.search(r'E2B_VERSION "([0-9.]+)"',
                    (ROOT / "tools/novad/http.h").read_text(encoding="utf-8"))[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PLACE = CACHE / f"nova-test-e2b-{VERSION}-{PYTHON}"


def fetch():
    """Once for this machine; pip leaves nothing where it fails."""
    if (PLACE / "e2b").exists():
        return
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
         "--root-user-action=ignore", "--target", PLACE, f"e2b=={VERSION}"],
        capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise unittest.SkipTest(f"pip cannot fetch the SDK of E2B: {done.stderr[-300:]}")


class E2bCase(NovadCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        fetch()
        if str(PLACE) not in sys.path:
            sys.path.insert(0, str(PLACE))
        import e2b  # pylint: disable=import-outside-toplevel
        cls.e2b = e2b

    def sandboxes(self, *words):
        """Starts a novad, and points the SDK to it as docs/novad.md says."""
        process = self.novad("--e2b", *words)
        url = f"http://127.0.0.1:{self.port}"
        os.environ.update(E2B_API_URL=url, E2B_SANDBOX_URL=url, E2B_API_KEY=self.key or "any")
        return process

    def create(self, **options):
        """A sandbox, which is ended with the test."""
        sandbox = self.e2b.Sandbox.create(**options)
        self.addCleanup(self.forget, sandbox)
        return sandbox

    @staticmethod
    def forget(sandbox):
        try:
            sandbox.kill(retries=0)
        except Exception:  # pylint: disable=broad-exception-caught
            pass  # its novad has ended, too

    def raises(self, exception, part, call, /, *args, **named):
        """Asserts that the SDK raises this, and what it says."""
        with self.assertRaises(exception) as caught:
            call(*args, **named)
        self.assertIn(part, str(caught.exception))
        return caught.exception
