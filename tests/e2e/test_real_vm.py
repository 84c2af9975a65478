# SPDX-License-Identifier: MIT
"""The main job with a real microVM: what a person types, and what they read."""
import json
import os
import pathlib
import re
import signal
import sys
import unittest

from daemoncase import DaemonCase, Peer
from novatest import (BUILD, FUNCTIONS, NOVACTL, ROOT, TREE, HomeCase, await_that, make_tree,
                      processes)

BLOCK = (r"^Request ID: [0-9a-f]{8}\nCold Start: true\nDuration:   \d+ ms\n"
         r'Output:\n\{\n  "message": "Hello, World!",\n  "runtime": "python"\n\}\n$')


class VmCase(HomeCase):
    engine = "qemu"

    def setUp(self):
        super().setUp()
        # Only images that are not there are a reason to skip; broken ones are a failure.
        done = self.run_program(NOVACTL, "--json", "image", "check")
        if done.returncode:
            error = json.loads(done.stderr)["error"]
            if error["name"] == "NOVA_ENOTFOUND":
                self.skipTest(error["message"])
            self.fail(error["message"])

    def vmms(self):
        """Process ids of the VMMs of this state directory: QEMU itself knows no path of it, but
        their keeper does."""
        alive = list(processes())
        keepers = {process.pid for process in alive if process.names(self.home)}
        return {process.pid for process in alive
                if process.parent in keepers and "qemu" in process.words[0]}

    def is_over(self, vmms):
        """Whether these VMMs have ended, and nothing of any context is left."""
        return self.nothing_runs() and not vmms & {process.pid for process in processes()}


class RealVm(VmCase):
    def test_doctor_boots_one(self):
        done = self.novactl("doctor", "--boot")
        self.assertRegex(done.stdout, r"(?m)^ok +boot +a microVM on qemu answered after \d+ ms$")

    def images(self):
        return pathlib.Path(self.novactl_json("image", "check")["directory"])

    def test_root_filesystems_have_the_sizes_that_they_are_promised_with(self):
        sizes = {path.stem: path.stat().st_size >> 20
                 for path in self.images().glob("rootfs/*.ext4")}
        wanted = {"base": 32, "python": 256, "node": 256, "wasm": 256}
        self.assertEqual({name: sizes.get(name, size) for name, size in wanted.items()}, wanted)

    def test_node_is_the_one_that_the_distribution_builds(self):
        image = self.images() / "rootfs/node.ext4"
        if not image.exists():
            self.skipTest(f"there is no {image}")
        # what others build is one file
        done = self.run_program("/usr/sbin/debugfs", "-R", "ls -p /usr/lib/x86_64-linux-gnu", image)
        self.assertRegex(done.stdout, r"/libnode\.so\.\d+/")

    def test_hello_python_prints_the_block(self):
        self.register("hello-python", FUNCTIONS / "python/hello.py")
        done = self.novactl("invoke", "hello-python", "--payload", '{"name":"World"}')
        self.assertRegex(done.stdout, BLOCK)
        self.assertEqual(self.vmms(), set())
        self.assertTrue(self.nothing_runs())

    def test_a_shell_function_runs_behind_a_kernel_of_its_own(self):
        self.register("where", "printf '\"%s\"' \"$(cat /proc/sys/kernel/random/boot_id)\"",
                      "shell")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as own:
            self.assertNotEqual(self.novactl_json("invoke", "where")["output"], own.read().strip())

    def test_clones_share_what_their_function_keeps_and_no_snapshot_takes_it_back(self):
        self.register("f", """
import subprocess
import nova

calls = 0


def handler(event):
    global calls
    calls += 1
    kept = int(nova.kv.get("n") or 0) + 1
    nova.kv.put("n", str(kept))
    done = subprocess.run(["nova", "kv", "get", "n"], capture_output=True, text=True)
    return [calls, kept, done.stdout, done.stderr]
""")
        outputs = [self.novactl_json("invoke", "f")["output"] for _ in range(3)]
        self.assertEqual(outputs, [[1, 1, "1", ""], [1, 2, "2", ""], [1, 3, "3", ""]])
        self.register("g", "nova kv put k v >/dev/null && nova kv list", "shell")
        self.assertRegex(self.novactl_json("invoke", "g")["output"], r"^k\t1\t\d+$")

    def finds_its_code_and_what_programs_expect(self):
        """A tree of umask 077; zones, libraries, locale, services and certificates."""
        code = make_tree(self.directory / "tree")
        with open(code / "main.py", "a", encoding="utf-8") as main:
            main.write(
                "tree = handler\n"
                "def handler(event):\n"
                "    import ctypes, datetime, locale, shutil, socket, ssl, subprocess, zoneinfo\n"
                "    noon = datetime.datetime(2026, 7, 1, 12, tzinfo=datetime.timezone.utc)\n"
                "    shell = subprocess.run(['sh', '-c', 'date -d @1782907200 \"+%H %Z\"'],\n"
                "        env={'TZ': 'Europe/Berlin'}, capture_output=True, text=True)\n"
                "    for library in ('libstdc++.so.6', 'libgomp.so.1'): ctypes.CDLL(library)\n"
                "    linker = subprocess.run(['/lib64/ld-linux-x86-64.so.2', '--help'],\n"
                "        capture_output=True, text=True).stdout\n"
                "    shutil.copytree('.', '/tmp/copy', symlinks=True)\n"
                "    there = noon.astimezone(zoneinfo.ZoneInfo('Europe/Berlin'))\n"
                "    return {'tree': tree(event), 'uid': os.getuid(),\n"
                "            'shell': shell.stdout.strip(),\n"
                "            'zone': there.strftime('%H %Z'),\n"
                "            'locale': locale.setlocale(locale.LC_ALL, ''),\n"
                "            'http': socket.getservbyname('http'),\n"
                "            'v2': 'x86-64-v2 (supported' in linker,\n"
                "            'tcp': socket.getprotobyname('tcp'),\n"
                "            'cas': len(ssl.create_default_context().get_ca_certs()) > 50}\n")
        self.register("tree", code, "python", "--check", "never")
        self.assertEqual(self.novactl_json("invoke", "tree")["output"], {
            "tree": TREE, "uid": 1000, "shell": "14 CEST", "zone": "14 CEST", "locale": "C.UTF-8",
            "http": 80, "tcp": 6, "v2": True, "cas": True})

    def test_functions_run_as_they_do_elsewhere(self):
        code = self.directory / "shop"
        (code / "app").mkdir(parents=True)
        (code / "app/__init__.py").write_text("")
        (code / "data.txt").write_text("data")
        (code / "app/api.py").write_text(
            "import concurrent.futures, multiprocessing, os\n"
            "def square(x): return x * x\n"
            "def handler(event, any_name=None):\n"
            "    with open('/dev/stderr', 'w') as log: log.write('logged\\n')\n"
            "    with open('/proc/self/fd/1', 'w') as out: out.write('printed\\n')\n"
            "    spawn = multiprocessing.get_context('spawn')\n"
            "    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:\n"
            "        squares = list(pool.map(square, [2, 3]))\n"
            "    if os.fork() == 0: return 'a child'\n"
            "    os.wait()\n"
            "    return [open('data.txt').read(), squares, any_name.function_name,\n"
            "            any_name.memory_limit_in_mb]\n")
        self.register("shop", code, "python", "--handler", "app.api.handler")
        done = self.novactl("invoke", "shop", "--timeout", "120")
        self.assertEqual(json.loads(done.stdout.split("Output:")[1]),
                         ["data", [4, 9], "shop", "128"])
        self.assertEqual(sorted(done.stderr.splitlines()), ["logged", "printed"])
        self.register("logs", "echo log > /dev/stderr; echo more | tee /dev/stderr >/dev/null\n"
                              "echo '{\"a\":1}' > /dev/stdout", "shell")
        done = self.novactl("invoke", "logs")
        self.assertEqual(done.stderr, "log\nmore\n")
        self.finds_its_code_and_what_programs_expect()

    def test_a_failure_in_the_guest_keeps_its_words_and_its_code(self):
        self.register("fails", "echo no such city >&2; exit 3", "shell")
        done = self.novactl("invoke", "fails", status=3)
        self.assertIn("Error:      exit 3: no such city\n", done.stdout)

    def test_a_function_over_its_time_is_killed_in_the_guest(self):
        self.register("slow", "import time\ndef handler(event):\n    time.sleep(600)\n")
        done = self.novactl("invoke", "slow", "-t", "1", status=124)
        self.assertRegex(done.stdout, r"(?m)^Error: .*timeout")

    def test_killed_during_a_call_it_leaves_no_vm_behind(self):
        self.register("waits", "echo started >&2; sleep 600", "shell")
        process = self.start_program(NOVACTL, "invoke", "waits", "--stream")
        self.assertEqual(process.stderr.readline(), "started\n")
        vmms = self.vmms()
        self.assertEqual(len(vmms), 1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        await_that(lambda: self.is_over(vmms), "VMM and run directory are gone")

    def test_a_vm_is_forked_and_restored_from_python(self):
        sys.path.insert(0, str(ROOT / "bindings/python"))
        os.environ.setdefault("NOVA_LIBRARY", str(BUILD / "lib/libnova.so"))
        import nova  # pylint: disable=import-outside-toplevel
        disk = self.directory / "code.ext4"
        code = b"import os\ndef handler(event):\n    return os.urandom(8).hex()\n"
        nova.build_disk(disk, data=code)
        with nova.open(home=self.home, engine="qemu") as platform, \
                platform.start_vm("python", code_disk=disk) as vm:
            vm.init("python")
            children = vm.fork(2)
            name = vm.snapshot("kept")
            with platform.restore_vm("kept") as restored, children[0], children[1]:
                answers = {one.invoke().output for one in (vm, *children, restored)}
            self.assertEqual(len(answers), 4)
            self.assertRegex(name, "^[0-9a-f]{16}$")

    def test_branches_are_merged_from_python_and_on_the_command_line(self):
        sys.path.insert(0, str(ROOT / "bindings/python"))
        os.environ.setdefault("NOVA_LIBRARY", str(BUILD / "lib/libnova.so"))
        import nova  # pylint: disable=import-outside-toplevel
        with nova.open(home=self.home, engine="qemu") as platform:
            with platform.start_vm("base") as vm:
                vm.write_file("/tmp/common", b"1")
                parent = vm.snapshot("start")
            for branch in "left", "right":
                with platform.restore_vm("start") as vm:
                    vm.write_file("/tmp/common", branch.encode())
                    vm.write_file(f"/tmp/{branch}", b"")
                    vm.snapshot(branch)
            with platform.restore_vm("start") as vm, platform.restore_vm("left") as left, \
                    platform.restore_vm("right") as right:
                with self.assertRaises(nova.errors.AlreadyExists) as caught:
                    vm.merge([left, right])
                self.assertEqual(caught.exception.merge.paths,
                                 (nova.MergedPath("/tmp/common", "conflict", -1),))
                merged, report = vm.merge([left, right], on_conflict="first")
                with merged:
                    self.assertEqual(merged.read_file("/tmp/common"), b"left")
                self.assertEqual([(p.path, p.kind, p.branch) for p in report.paths],
                                 [("/tmp/common", "conflict", 0), ("/tmp/left", "added", 0),
                                  ("/tmp/right", "added", 1)])
                for branch in left, right:
                    branch.write_file("/tmp/agreed", b"by both")
                merged, report = vm.merge([left, right], on_conflict="intersection")
                with merged:
                    self.assertEqual([f.path for f in merged.list_files("/tmp")],
                                     ["agreed", "common"])
                    self.assertEqual(merged.read_file("/tmp/agreed"), b"by both")
                    self.assertEqual(merged.read_file("/tmp/common"), b"1")
                self.assertEqual([(p.path, p.kind, p.branch) for p in report.paths],
                                 [("/tmp/agreed", "added", 0), ("/tmp/common", "conflict", -1)])
        refused = self.novactl("snapshot", "merge", "start", "left", "right", status=1)
        self.assertRegex(refused.stdout, r"(?m)^conflict +/tmp/common +-$")
        self.assertIn("nothing was merged", refused.stderr)
        done = self.novactl_json("snapshot", "merge", "start", "left", "right",
                                 "--on-conflict", "latest", "--name", "both")
        self.assertEqual((done["name"], done["parent"], done["conflicts"]), ("both", parent, 1))
        self.assertIn({"path": "/tmp/common", "kind": "conflict", "branch": "right"}, done["paths"])
        parents = {s["name"]: s["parent"] for s in self.novactl_json("snapshot", "list")}
        self.assertEqual(parents, {"start": "", "left": parent, "right": parent, "both": parent})
        self.assertEqual(self.vmms(), set())
        with nova.open(home=self.home, engine="qemu") as platform, \
                platform.restore_vm("both") as vm:
            self.assertEqual(vm.read_file("/tmp/common"), b"right")
            paths = [file.path for file in vm.list_files("/tmp")]
            self.assertEqual(paths, ["common", "left", "right"])

    def test_the_result_names_its_vm(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        result = self.novactl_json("invoke", "hello")
        self.assertTrue(result["cold_start"])
        self.assertTrue(re.fullmatch("[0-9a-f]{8}", result["vm"]))


class Packages(VmCase):
    def test_a_package_of_the_registry_with_native_code_runs_in_the_guest(self):
        requirements = self.write("requirements.txt", "markupsafe\n")
        self.write("code.py", "import markupsafe, markupsafe._speedups, sys\n"
                   "def handler(event):\n"
                   "    return [str(markupsafe.escape('<a>')), markupsafe.__file__,\n"
                   "            markupsafe.__cached__]\n")
        done = self.run_program(
            NOVACTL, "--json", "register", "f", "-r", "python", "-c", self.directory / "code.py",
            "--requirements", requirements)
        if done.returncode and "the registry cannot be reached" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        escaped, path, cached = self.novactl_json("invoke", "f")["output"]
        self.assertEqual((escaped, path), ("&lt;a&gt;", "/code/markupsafe/__init__.py"))
        self.assertTrue(cached.startswith("/code/markupsafe/__pycache__/"))


class RealDaemon(VmCase, DaemonCase):
    def test_the_second_call_is_warm_and_no_vm_survives_the_daemon(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        process = self.daemon("--idle-ttl", "60s")
        first = self.novactl("invoke", "hello", "--payload", '{"name":"World"}')
        second = self.novactl("invoke", "hello", "--payload", '{"name":"World"}')
        self.assertRegex(first.stdout, BLOCK)
        self.assertRegex(second.stdout, BLOCK.replace("true", "false"))
        vmms = self.vmms()
        self.assertGreaterEqual(len(vmms), 1)
        self.stop(process)
        self.assertTrue(self.is_over(vmms))

    def test_killed_it_leaves_no_vm_behind(self):
        self.novactl("template", "prepare", "python")
        # so that the daemon is the one who loads it
        self.register("hello", FUNCTIONS / "python/hello.py", "python", "--check", "never")
        process = self.daemon()
        peer = Peer(self.socket)
        peer.begin("hello", progress=True)
        texts, reply = peer.reply()
        peer.close()
        self.assertIn("result", reply)
        self.assertEqual(texts["progress"], "loading hello into a template, once")
        vmms = self.vmms()
        process.kill()
        process.wait()
        await_that(lambda: self.is_over(vmms), "VMMs and run directory are gone")


if __name__ == "__main__":
    unittest.main()
