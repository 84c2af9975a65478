# SPDX-License-Identifier: MIT
"""What the storms share: chance with a seed, processes that are awaited,
and a look at what is left."""
import ctypes
import os
import pathlib
import random
import select
import signal
import subprocess

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNET = 0x40000000
HANG_S = 120  # nothing here takes a tenth of it

LONG = bool(os.environ.get("NOVA_TEST_LONG"))
SEED = int(os.environ.get("NOVA_TEST_SEED") or int.from_bytes(os.urandom(3), "big"))


def chance(what):
    """A generator of its own for each test, so that one does not change what the next one does."""
    print(f"# note: {what}: NOVA_TEST_SEED={SEED}", flush=True)
    return random.Random(f"{SEED} {what}")


def adopt_orphans():
    """From now on whoever is left by a parent that was killed is ours:
    nothing can get away unseen."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("prctl")


def own_network():
    """Whether this process has a network of its own now, in which each TAP is one of ours."""
    return os.geteuid() == 0 and ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            pass  # it has ended meanwhile
    return found


def command_line(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")


def keeper_of(pid):
    """The keeper of that host: a child of its reaper, which is a child of it, or was left to us.
    None: it has none."""
    reapers = children(pid) + children(os.getpid())
    for child in reapers + [child for reaper in reapers for child in children(reaper)]:
        line = command_line(child)
        if "nova-keeper" in line and f"/run/{pid}-" in line:
            return child
    return None


def await_all_children(but=()):
    """Waits until there is no child (but those), and reaps each; names those that do not end."""
    while True:
        left = [pid for pid in children(os.getpid()) if pid not in but]
        if not left:
            return
        fd = os.pidfd_open(left[0])
        if not select.select([fd], [], [], HANG_S)[0]:
            lines = [f"{pid} {command_line(pid)}" for pid in left]
            raise AssertionError(f"still there after {HANG_S} s: {lines}")
        os.close(fd)
        os.waitpid(left[0], 0)


def end_all_children():
    """Kills what is left, and what that leaves to us in turn."""
    while left := children(os.getpid()):
        for pid in left:
            kill(pid)
            os.waitpid(pid, 0)


class OwnGroup:
    """A control group for this process, so that those of VMs are made in it and nowhere else."""

    def __init__(self):
        self.paths, self.homes = [], []
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                self.enter(pathlib.Path(f"/sys/fs/cgroup/memory{path}"))

    def enter(self, home):
        own = home / f"test-{os.getpid()}"
        try:
            own.mkdir()
            (own / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            return  # no rights: then the library has none either
        self.paths.append(own)
        self.homes.append(home)

    def groups(self):
        return [path for own in self.paths for path in own.iterdir() if path.is_dir()]

    def leave(self):
        for path in self.groups():  # of what was killed
            path.rmdir()
        for own, home in zip(self.paths, self.homes):
            (home / "cgroup.procs").write_text(str(os.getpid()))
            own.rmdir()


class Traces:
    """What there was in this machine before, to be compared with what is there now."""

    def __init__(self, home):
        self.home = str(home)
        self.group = OwnGroup()
        self.before = self.now()

    def lines_of(self, path):
        return [line for line in pathlib.Path(path).read_text().splitlines() if self.home in line]

    def now(self):
        return {
            "mounts": self.lines_of("/proc/self/mountinfo"),
            "sockets": [line.split()[-1] for line in self.lines_of("/proc/net/unix")],
            "groups": [str(path) for path in self.group.groups()],
            "TAPs": sorted(name for name in os.listdir("/sys/class/net")
                           if name.startswith("nova-")),
        }


def trace(case):
    """The traces of a test, whose processes end before it leaves its group, whatever came of it."""
    traces = Traces(case.home)
    for step in (traces.group.leave, end_all_children, case.end_all):
        case.addCleanup(step)
    return traces


class Lines:
    """The lines that a process writes to a pipe, as they come."""

    def __init__(self, fd):
        self.fd = fd
        self.rest = b""
        self.ended = False

    def take(self, seconds):
        """The lines that are there, or come within so many seconds; [] also at the end."""
        if self.ended or not select.select([self.fd], [], [], seconds)[0]:
            return []
        piece = os.read(self.fd, 1 << 16)
        self.ended = not piece
        *whole, self.rest = (self.rest + piece).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def take_rest(self):
        lines = []
        while not self.ended:
            some = self.take(HANG_S)
            if not some and not self.ended:
                raise AssertionError("the pipe of a killed process does not end")
            lines += some
        os.close(self.fd)
        return lines


def start_logged(arguments, environment):
    """Starts a program, with the number of a pipe for `{log}`; the process and its Lines."""
    read, write = os.pipe()
    words = [str(write) if word == "{log}" else str(word) for word in arguments]
    process = subprocess.Popen(words, env=environment, pass_fds=[write], stdin=subprocess.DEVNULL)
    os.close(write)
    return process, Lines(read)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False
