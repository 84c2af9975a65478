# SPDX-License-Identifier: MIT
"""A redis-server of a test's own, on a Unix socket in its directory."""
import shutil
import subprocess

from novatest import await_that

MISSING = None if shutil.which("redis-server") else "no redis-server: see test_packages"


class Server:
    def __init__(self, case, *words):
        self.directory = case.directory
        self.path = case.directory / "redis.sock"
        self.words = words
        self.process = None
        case.addCleanup(self.stop)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir",
             self.directory, "--logfile", "redis.log", *self.words])
        await_that(lambda: self.ask("PING") == "PONG", "the server answers")

    def ask(self, *words):
        """What redis-cli says to a command."""
        return subprocess.run(["redis-cli", "-s", self.path, *words], capture_output=True,
                              text=True, timeout=60, check=False).stdout.strip()

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
