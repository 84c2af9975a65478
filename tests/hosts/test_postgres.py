# SPDX-License-Identifier: MIT
"""A real PostgreSQL server whose backends have libnova inside: examples/postgres."""
import glob
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import pgserver
from novatest import BUILD, FUNCTIONS, NOVACTL, ROOT, HomeCase, await_that

SANITIZED = os.environ.get("NOVA_SANITIZED", "none") != "none"
SLOW = """import time
def handler(event):
    open(event["file"], "w").close()
    time.sleep(600)
"""


def headers(programs):
    """The directory of its headers, unpacked and not installed; None: they cannot be had."""
    major = programs.parent.name
    installed = pathlib.Path(f"/usr/include/postgresql/{major}/server")
    if (installed / "postgres.h").exists():
        return installed
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    kept = cache / "nova" / f"postgresql-{major}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            subprocess.run(["apt-get", "download", f"postgresql-server-dev-{major}"], cwd=work,
                           capture_output=True, timeout=200, check=False)
            for package in pathlib.Path(work).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, f"{work}/files"], check=True)
            unpacked = pathlib.Path(work, f"files/usr/include/postgresql/{major}/server")
            if not unpacked.exists():
                return None
            try:
                unpacked.rename(kept)
            except OSError:
                pass  # another build was faster
    return kept


@unittest.skipIf(SANITIZED, "the server has no sanitizer")
@unittest.skipIf(pgserver.programs() is None, "no PostgreSQL: see test_packages in tools/packages")
class Postgres(HomeCase):
    def setUp(self):
        super().setUp()
        self.programs = pgserver.programs()
        if headers(self.programs) is None:
            self.skipTest("the server's headers can neither be found nor downloaded with apt-get")
        self.directory.chmod(0o755)
        self.install()
        # A server refuses to run as root.
        self.user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] \
            if os.geteuid() == 0 else []
        self.own = self.directory / "own"
        self.own.mkdir()
        self.home = self.own / "home"
        lib = self.directory / "lib"
        self.environment.update(NOVA_HOME=str(self.home), NOVA_AGENT=str(lib / "nova-agent"),
                                LD_LIBRARY_PATH=str(lib), HOME=str(self.own), LC_ALL="C.UTF-8")
        self.environment.pop("NOVA_LIBRARY", None)
        self.environment.pop("NOVA_IMAGES", None)
        if self.engine == "qemu":
            cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
            shutil.copytree(cache / "nova/images", self.directory / "images")
            self.environment["NOVA_IMAGES"] = str(self.directory / "images")
        self.start()

    def install(self):
        """What the server's user must be able to read, and the extension."""
        lib = self.directory / "lib"
        shutil.copytree(BUILD / "lib/module", lib / "nova", ignore=lambda where, names: [
            name for name in names if not name.endswith(".so")])
        for path in (BUILD / "lib/libnova.so.0", BUILD / "lib/nova-keeper",
                     BUILD / "agent/nova-agent", NOVACTL, FUNCTIONS / "python/hello.py"):
            shutil.copy(path, lib / path.name)
        (lib / "slow.py").write_text(SLOW)
        (lib / "libnova.so").symlink_to("libnova.so.0")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-isystem", headers(self.programs),
             "-I", ROOT / "include", ROOT / "examples/postgres/nova_pg.c", "-L", lib, "-lnova",
             "-o", lib / "nova_pg.so"], check=True)
        for path in [lib, *lib.rglob("*")]:
            path.chmod(0o755)

    def as_user(self, *words, **named):
        done = subprocess.run([*self.user, *map(str, words)], cwd=self.own, env=self.environment,
                              capture_output=True, text=True, timeout=200, check=False)
        if named.get("check", True):
            self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self):
        self.server = pgserver.Server(self.own, self.environment)
        self.addCleanup(self.server.stop)
        self.server.make()
        self.server.start(max_connections=10)
        for name in ("hello", "slow"):
            self.as_user(self.directory / "lib/novactl", "register", name, "--runtime", "python",
                         "--code", self.directory / f"lib/{name}.py")
        self.ask("CREATE FUNCTION nova_invoke(name text, event text) RETURNS text "
                 f"AS '{self.directory}/lib/nova_pg', 'nova_invoke_pg' LANGUAGE C STRICT")

    def psql(self, sql):
        """The words of a command that asks the server."""
        return [str(self.programs / "psql"), "-h", str(self.own), "-U", "tester", "-d", "postgres",
                "-At", "-v", "ON_ERROR_STOP=1", "-X", "-c", sql]

    def ask(self, *sql):
        """The answers to statements of one session."""
        words = self.psql(sql[0])
        for statement in sql[1:]:
            words += ["-c", statement]
        return self.as_user(*words).stdout.splitlines()

    def await_server(self):
        await_that(lambda: self.as_user(*self.psql("SELECT 1"), check=False).returncode == 0,
                   "the server answers", 200)

    # --- what is ours ---

    def processes(self):
        """Those that run from, or were started for, the directory of this test; not the
        server's."""
        found = {}
        for path in glob.glob("/proc/[0-9]*"):
            try:
                program = os.readlink(f"{path}/exe")
                with open(f"{path}/cmdline", "rb") as file:
                    words = file.read().decode("utf-8", "replace")
                about = (program, words, os.readlink(f"{path}/cwd"))
            except OSError:
                continue
            if any(str(self.directory) in text for text in about) and \
                    not program.endswith(("/postgres", "/psql")):
                found[path] = words
        return found

    def nothing_is_left(self):
        await_that(self.nothing_runs, f"nothing is left in {self.home}/run", 200)
        await_that(lambda: not self.processes(), "no process is left", 200)

    # --- calls that are ended ---

    def slow_call(self):
        """A session in which a call is under way, and the file that is there when it runs."""
        marker = self.own / "runs"
        marker.unlink(missing_ok=True)
        words = self.psql(f"SELECT nova_invoke('slow', '{{\"file\": \"{marker}\"}}')")
        session = subprocess.Popen([*self.user, *words], cwd=self.own, env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(session.communicate)
        self.addCleanup(session.kill)
        return session, marker

    def backend_of(self, marker):
        """The backend whose function runs."""
        await_that(marker.exists, "the function runs", 200)
        return self.ask("SELECT pid FROM pg_stat_activity "
                        "WHERE query LIKE 'SELECT nova_invoke(%'")[0]

    def says(self, session, part):
        _, said = session.communicate(timeout=200)
        self.assertIn(part, said)

    def server_lives(self):
        self.nothing_is_left()
        self.await_server()
        self.assertEqual(
            self.ask("SELECT nova_invoke('hello', '{\"name\": \"World\"}')")[0],
            '{"message": "Hello, World!", "runtime": "python"}')
        self.nothing_is_left()

    def test_a_query_has_the_answer_of_a_function_and_nothing_is_left(self):
        answers = self.ask(
            "SELECT nova_invoke('hello', json_build_object('name', n)::text)::json->>'message' "
            "FROM generate_series(1, 3) AS n",
            "SELECT json_object('{a,b}')")  # a name of jansson's, too
        self.assertEqual(answers, ["Hello, 1!", "Hello, 2!", "Hello, 3!", '{"a" : "b"}'])
        failed = self.as_user(*self.psql("SELECT nova_invoke('no such', '{}')"), check=False)
        self.assertRegex(failed.stderr, "^ERROR:  .*no such")
        self.nothing_is_left()

    def test_every_way_to_end_a_call_leaves_nothing_and_the_server_lives(self):
        # Its backend goes on.
        words = self.psql("SET statement_timeout = '2s'")
        for sql in (f"SELECT nova_invoke('slow', '{{\"file\": \"{self.own}/runs\"}}')",
                    "SET statement_timeout = 0",
                    "SELECT nova_invoke('hello', '{\"name\": \"World\"}')::json->>'message'"):
            words += ["-c", sql]
        done = self.as_user(*words, "-v", "ON_ERROR_STOP=0")
        self.assertIn("canceling statement due to statement timeout", done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "Hello, World!")
        self.server_lives()

        session, marker = self.slow_call()
        self.assertEqual(self.ask(f"SELECT pg_cancel_backend({self.backend_of(marker)})"), ["t"])
        self.says(session, "canceling statement due to user request")
        self.server_lives()

        session, marker = self.slow_call()
        self.assertEqual(self.ask(f"SELECT pg_terminate_backend({self.backend_of(marker)})"), ["t"])
        self.says(session, "terminating connection due to administrator command")
        self.server_lives()

        session, marker = self.slow_call()
        os.kill(int(self.backend_of(marker)), 9)
        self.says(session, "server closed the connection unexpectedly")
        self.server_lives()


@unittest.skipUnless(os.environ.get("NOVA_TEST_LONG"), "only in tools/test --long")
class PostgresWithGuests(Postgres):
    """The same with real guests."""

    engine = "qemu"
    test_every_way_to_end_a_call_leaves_nothing_and_the_server_lives = None
