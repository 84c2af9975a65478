# SPDX-License-Identifier: MIT
"""What the Python test suites share: where things are, a state directory, running novactl."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import typing
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("NOVA_BUILD", ROOT / "build"))
NOVACTL = BUILD / "tools/novactl"
FUNCTIONS = ROOT / "examples/functions"


def await_that(condition, what, seconds=20):
    """Polls until the condition holds. The time only bounds a failure."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not after {seconds} s: {what}")
        time.sleep(0.02)


# What the function of make_tree() returns.
TREE = {"helper": "helper", "link": "/usr/bin/python3", "names": ["café.txt", "caf\\xe9.txt"],
        "sub": ["inner.txt"], "inside": "inner"}


def make_tree(path):
    """A code directory as people have them: umask 077, links, a socket, odd names."""
    path.mkdir()
    for name in (".venv/bin", "app", "run", "sub"):
        (path / name).mkdir(parents=True)
    (path / "app/helper.py").write_text("WORD = 'helper'\n")
    (path / "sub/inner.txt").write_text("inner")
    (path / "main.py").write_text(
        "import os\n"
        "from app.helper import WORD\n"
        "def handler(event):\n"
        "    names = [os.fsencode(n).decode('utf-8', 'backslashreplace')\n"
        "        for n in os.listdir('.')]\n"
        "    assert not {'agent.sock', 'pipe'} & {*names, *os.listdir('run')}\n"
        "    return {'helper': WORD, 'link': os.readlink('.venv/bin/python3'),\n"
        "            'names': sorted((n for n in names if n.startswith('caf')), reverse=True),\n"
        "            'sub': os.listdir('sub'), 'inside': open('around').read()}\n")
    for name in ("café.txt".encode(), b"caf\xe9.txt"):
        with open(os.path.join(os.fsencode(path), name), "wb"):
            pass
    for name, target in ((".venv/bin/python3", "/usr/bin/python3"), ("common", "../common"),
                         ("around", "app/../sub/inner.txt"), ("dangling", "nowhere")):
        (path / name).symlink_to(target)
    os.mkfifo(path / "run/pipe")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path)  # the name of a socket is short
        listener.bind("agent.sock")
        os.chdir(here)
    for directory, _, files in os.walk(path):
        os.chmod(directory, 0o700)
        for name in files:
            file = os.path.join(directory, name)
            if os.path.isfile(file) and not os.path.islink(file):
                os.chmod(file, 0o600)
    return path


class Process(typing.NamedTuple):
    pid: int
    parent: int
    words: typing.List[str]
    """Of its command line."""

    def names(self, path):
        return any(str(path) in word for word in self.words)


def processes():
    """Each process that lives, but this one."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            stat = pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if stat[0] != b"Z" and pid != os.getpid():
            yield Process(pid, int(stat[1]), words.split("\0"))


# Both outputs of a process kept, as text.
PIPED = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def end(process):
    with process:  # closes its pipes, and waits
        process.kill()


class HomeCase(unittest.TestCase):
    """Each test has a state directory of its own,
    which is empty of running things when the test ends."""

    engine = "fake"

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nova-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.home = self.directory / "home"
        # Nothing of the user's own settings; images may be where the user has them.
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith("NOVA_") or k in ("NOVA_IMAGES", "NOVA_LIBRARY")}
        self.environment.update(NOVA_HOME=str(self.home), NOVA_ENGINE=self.engine,
                                XDG_CONFIG_HOME=str(self.directory / "config"), TERM="xterm")
        self.environment.pop("NO_COLOR", None)

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def run_program(self, *command, environment=None, **options):
        """Runs a program to its end, whatever its exit status; both its outputs are text."""
        return subprocess.run([str(word) for word in command], check=False,
                              env={**self.environment, **(environment or {})}, **PIPED | options)

    def start_program(self, *command, **options):
        """Starts one that goes on, with its outputs kept; it is ended with the test."""
        process = subprocess.Popen([str(word) for word in command], env=self.environment,
                                   **PIPED | options)
        self.addCleanup(end, process)
        return process

    def novactl(self, *words, stdin="", status=0, environment=None):
        """Runs novactl and checks its exit status."""
        done = self.run_program(NOVACTL, *words, input=stdin, timeout=240, environment=environment)
        self.assertEqual(done.returncode, status,
                         f"novactl {words}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def refuses(self, part, *words, status=1, **named):
        """Asserts that novactl fails, and that its message has this part."""
        self.assertIn(part, self.novactl(*words, status=status, **named).stderr)

    def novactl_json(self, *words, **named):
        return json.loads(self.novactl("--json", *words, **named).stdout)

    def error_of(self, *words, status, **named):
        """The error object of a command that fails."""
        done = self.novactl("--json", *words, status=status, **named)
        return json.loads(done.stderr.strip().splitlines()[-1])["error"]

    def register(self, name, code, runtime="python", *options):
        if isinstance(code, str):
            code = self.write(f"{name}.code", code)
        return self.novactl("register", name, "--runtime", runtime, "--code", code, *options)

    def nothing_runs(self):
        """Whether no context has left anything in the state directory.
        (The lock of the directory itself stays.)"""
        run = self.home / "run"
        return not run.exists() or all(path.name == ".lock" for path in run.iterdir())
