# SPDX-License-Identifier: MIT
"""Many functions that take all the memory they may, in a control group that has room for few."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

from novatest import BUILD, ROOT, HomeCase

LONG = bool(os.environ.get("NOVA_TEST_LONG"))
FUNCTIONS = 60 if LONG else 8
SIZE_MB = 192
TAKEN_MB = 100
"""Of a guest's memory a call may have three quarters; its kernel has some before."""
GROUP_MB = 4 * SIZE_MB

HOG = f"""
def handler(event):
    taken = bytearray({TAKEN_MB} << 20)
    for at in range(0, len(taken), 4096):
        taken[at] = 1
    return len(taken) >> 20
"""

# What runs in the group: a program that uses the library.
HOST = f"""
import json, nova, os, pathlib, sys
group, home, engine, code = sys.argv[1:]
pathlib.Path(group, "cgroup.procs").write_text(str(os.getpid()))
with nova.open(home=home, engine=engine, pool_max_vms=100, pool_queue_timeout="10m") as platform:
    names = [f"f{{i}}" for i in range({FUNCTIONS})]
    for name in names:
        platform.register(name, runtime="python", code=code, memory_mb={SIZE_MB},
                          env={{"NAME": name}})
    with platform.queue(threads=len(names)) as queue:
        calls = [queue.submit(name, {{}}) for name in names]
        values = [call.result().output for call in calls]
    print(json.dumps({{"values": values, "stats": platform.pool_stats()}}))
"""


def memory_group():
    """The control group of memory that this process is in, and the file of its limit."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return pathlib.Path("/sys/fs/cgroup/memory" + path), "memory.limit_in_bytes"
        if number == "0" and os.path.exists(f"/sys/fs/cgroup{path}/cgroup.controllers"):
            return pathlib.Path("/sys/fs/cgroup" + path), "memory.max"
    raise OSError("there is no control group of memory")


class Group:
    def __init__(self, limit_mb):
        parent, limit = memory_group()
        self.path = parent / f"nova-test-{os.getpid()}"
        self.path.mkdir()
        try:
            (self.path / limit).write_text(str(limit_mb << 20))
        except OSError:
            self.path.rmdir()
            raise

    def kills(self):
        """How many processes the kernel has ended in it for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            file = self.path / name
            if file.exists():
                words = file.read_text().split()
                return int(words[words.index("oom_kill") + 1])
        raise OSError("the kernel does not count what it ends")


class Memory(HomeCase):
    def storm(self, engine):
        try:
            group = Group(GROUP_MB)
        except OSError as error:
            raise unittest.SkipTest(f"no control group can be made here: {error}")
        self.addCleanup(group.path.rmdir)
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "bindings/python"),
                           NOVA_LIBRARY=str(BUILD / "lib/libnova.so"))
        code = self.write("hog.py", HOG)
        ended = subprocess.run(
            [sys.executable, "-c", HOST, str(group.path), str(self.home), engine, str(code)],
            env=environment, stdout=subprocess.PIPE, text=True, timeout=3000, check=True)
        told = json.loads(ended.stdout)
        self.assertEqual(told["values"], [TAKEN_MB] * FUNCTIONS)
        self.assertGreater(told["stats"]["held_back"], 0)
        self.assertEqual(group.kills(), 0)


class Fake(Memory):
    def test_functions_that_take_all_their_memory_wait_for_each_other(self):
        self.storm("fake")


class Qemu(Memory):
    def test_functions_that_take_all_their_memory_wait_for_each_other(self):
        if not LONG:
            self.skipTest("takes minutes: tools/test --long")
        self.storm("qemu")
