# SPDX-License-Identifier: MIT
"""A PostgreSQL server of one's own: on a Unix socket in a temporary directory, as a user that is
not root, and gone with whoever started it.

As a program: runs another one, which finds the server by NOVA_TEST_PG, and ends as it does."""
import ctypes
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
SETTINGS = {"listen_addresses": "", "fsync": "off", "autovacuum": "off", "shared_buffers": "16MB",
            "max_connections": "60", "log_min_messages": "fatal"}


def programs():
    """The directory of the newest server's programs; None: none is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    newest = max(found, key=lambda path: int(path.split("/")[4]), default=None)
    return newest and pathlib.Path(newest).parent


def as_user():
    """What subprocess needs so that a program does not run as root, which a server refuses."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


class Server:
    """Its files are in a directory of that user."""

    def __init__(self, own, environment=None):
        self.own = pathlib.Path(own)
        self.programs = programs()
        self.environment = {**(environment or os.environ), "LC_ALL": "C.UTF-8"}
        self.process = None
        self.port = 5432
        if os.geteuid() == 0:
            shutil.chown(self.own, "nobody", "nogroup")

    def run(self, program, *words):
        return subprocess.run([self.programs / program, *map(str, words)], cwd=self.own, text=True,
                              env=self.environment, capture_output=True, timeout=200, check=True,
                              **as_user())

    def make(self):
        self.run("initdb", "-D", self.own / "data", "-U", "tester", "-A", "trust", "--no-sync",
                 "--no-locale", "-E", "UTF8")
        rules = self.own / "data/pg_hba.conf"
        rules.write_text("local needs_password all scram-sha-256\n" + rules.read_text())

    def certificate(self, name, host):
        """Makes one of its own, and the key to it."""
        key, made = self.own / f"{name}.key", self.own / f"{name}.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key,
                        "-out", made, "-subj", f"/CN={host}", "-addext",
                        f"subjectAltName=DNS:{host}"], capture_output=True, check=True)
        key.chmod(0o600)
        made.chmod(0o644)
        if os.geteuid() == 0:
            shutil.chown(key, "nobody", "nogroup")
        return made

    def restart_with_tls(self, host):
        """On a TCP port, which only TLS gets in by; the port."""
        self.stop()
        made = self.certificate("server", host)
        rules = self.own / "data/pg_hba.conf"
        rules.write_text("local all all trust\nhostssl all all all trust\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.port = port
        self.start(port=port, listen_addresses="localhost", ssl="on", ssl_cert_file=made,
                   ssl_key_file=self.own / "server.key")
        return port

    def start(self, data="data", **settings):
        """Returns when it answers."""
        # Killed with whoever started it; SIGQUIT ends its own processes at once.
        libc = ctypes.CDLL(None)
        words = [f"-c{name}={value}" for name, value in {**SETTINGS, **settings}.items()]
        with open(self.own / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.own / data, "-k", self.own, *words],
                cwd=self.own, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT), **as_user())
        end = time.monotonic() + 200
        while self.psql("SELECT 1", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self.own / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(200)
            self.process = None

    def dsn(self, database="postgres", user="tester"):
        return f"host={self.own} port={self.port} user={user} dbname={database}"

    def psql(self, sql, database="postgres", check=True):
        done = subprocess.run(
            [self.programs / "psql", "-AtX", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database),
             "-c", sql], env=self.environment, capture_output=True, text=True, timeout=200,
            check=False)
        if check and done.returncode:
            raise AssertionError(f"{sql}\n{done.stderr}")
        return done


def start_for(case):
    """One that ends with this test case."""
    own = pathlib.Path(tempfile.mkdtemp(prefix="nova-pg-"))
    case.addCleanup(shutil.rmtree, own, ignore_errors=True)
    server = Server(own)
    case.addCleanup(server.stop)
    server.make()
    server.start()
    return server


def main(command):
    if programs() is None:  # the program runs what needs none
        return subprocess.run(command, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="nova-pg-") as own:
        server = Server(own)
        try:
            server.make()
            server.start()
            return subprocess.run(command, env={**os.environ, "NOVA_TEST_PG": server.dsn()},
                                  check=False).returncode
        finally:
            server.stop(signal.SIGQUIT)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
