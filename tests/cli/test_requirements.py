# SPDX-License-Identifier: MIT
"""Packages of a function, by pip, out of a directory of tiny wheels and sources or a registry of
this machine: nothing here needs a network. The guest of the engine fake is this host."""
import base64
import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import unittest
import zipfile

from novatest import BUILD, NOVACTL, HomeCase

HANDLER = "import {0}\ndef handler(event):\n    return {0}.WORD\n"
# A build backend that needs no package: it makes a wheel with this tag, or runs the compiler.
BACKEND = """
import os, subprocess, zipfile
def build_wheel(directory, settings=None, metadata=None):
    {action}
    name = '{name}-1.0-{tag}.whl'
    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:
        wheel.writestr('{name}.py', "WORD = 'built'\\n")
        info = '{name}-1.0.dist-info/'
        wheel.writestr(info + 'METADATA',
                       'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')
        wheel.writestr(info + 'WHEEL',
                       'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n')
        wheel.writestr(info + 'RECORD', '')
    return name
"""


def record(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def make_wheel(directory, name, version="1.0", tag="py3-none-any", files=None, needs=()):
    """A wheel whose module has WORD, its own name and version."""
    info = f"{name}-{version}.dist-info"
    content = {f"{name}.py": f"WORD = '{name} {version}'\n".encode()}
    content.update(files or {})
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {need}\n" for need in needs
    )
    content[f"{info}/METADATA"] = metadata.encode()
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    path = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for entry, data in content.items():
            wheel.writestr(entry, data)
        wheel.writestr(
            f"{info}/RECORD",
            "".join(record(*item) for item in content.items()) + f"{info}/RECORD,,\n",
        )
    return path


def make_source(directory, name, tag="py3-none-any", action="pass"):
    """A source distribution with a backend of its own."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        f'backend-path = ["."]\n[project]\nname = "{name}"\nversion = "1.0"\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "backend.py": BACKEND.format(name=name, tag=tag, action=action),
    }
    with tarfile.open(directory / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for entry, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.0/{entry}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *unused):
        pass


class RequirementsCase(HomeCase):
    def serve(self, handler):
        """A server of this machine until the test ends; its address."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    def setUp(self):
        super().setUp()
        self.packages = self.directory / "packages"
        self.packages.mkdir()
        for name in [
            name
            for name in self.environment
            if name.startswith("PIP_") or name.lower().endswith("_proxy")
        ]:
            del self.environment[name]
        self.environment.update(
            PIP_CONFIG_FILE=os.devnull, PIP_NO_CACHE_DIR="1", PIP_DISABLE_PIP_VERSION_CHECK="1"
        )

    def asking(self, requirements, *more, module="tiny"):
        """The command line that registers f with these requirements."""
        self.write("requirements.txt", requirements)
        self.write("code.py", HANDLER.format(module))
        return [
            "register",
            "f",
            "-r",
            "python",
            "-c",
            self.directory / "code.py",
            "--requirements",
            self.directory / "requirements.txt",
            "--check",
            "never",
            *more,
        ]

    def from_packages(self, requirements, *more, **named):
        return self.asking(requirements, "--find-links", self.packages, *more, **named)

    def kept(self):
        """What is kept of installations."""
        deps = self.home / "deps"
        return (
            sorted(path.name for path in deps.iterdir() if path.is_dir()) if deps.exists() else []
        )

    def refused(self, command, code, *parts, **named):
        """One sentence with these parts; nothing is stored, kept or left."""
        error = self.error_of(*command, status=2 if code == "NOVA_EINVAL" else 1, **named)
        self.assertEqual(error["name"], code, error)
        for part in parts:
            self.assertIn(part, error["message"])
        self.assertNotIn("\n", error["message"])
        self.nothing_is_left()

    def nothing_is_left(self):
        self.assertTrue(self.nothing_runs())
        self.assertEqual(self.kept(), [])
        self.assertEqual(self.novactl_json("list"), [])
        self.assertEqual(self.processes(), [])

    def processes(self):
        """Those that have this test's directory on their command line."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (
                    (entry / "cmdline").read_bytes()
                    if entry.name.isdigit() and int(entry.name) != os.getpid()
                    else b""
                )
            except OSError:
                continue
            if os.fsencode(self.directory) in words:
                found.append(words)
        return found


class Installed(RequirementsCase):
    def test_packages_lie_beside_the_code_with_what_they_need_themselves(self):
        make_wheel(self.packages, "tiny", needs=("helper",))
        make_wheel(self.packages, "helper")
        self.novactl(*self.from_packages("tiny\n"))
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "tiny 1.0")
        self.write("code.py", HANDLER.format("helper"))
        self.novactl(*self.from_packages("tiny\n", "--replace", module="helper"))
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "helper 1.0")
        self.assertTrue(self.nothing_runs())

    def test_the_functions_own_file_wins_and_its_directories_are_joined(self):
        make_wheel(
            self.packages,
            "tiny",
            files={
                "main.py": b"def handler(event): return 'package'\n",
                "both/theirs.py": b"WORD = 'theirs'\n",
            },
        )
        code = self.directory / "code"
        (code / "both").mkdir(parents=True)
        (code / "both/ours.py").write_text("WORD = 'ours'\n")
        (code / "main.py").write_text(
            "from both import ours, theirs\ndef handler(event): return [ours.WORD, theirs.WORD]\n"
        )
        command = self.from_packages("tiny\n")
        command[5] = code
        self.novactl(*command)
        self.assertEqual(self.novactl_json("invoke", "f")["output"], ["ours", "theirs"])

    def test_the_same_again_is_found_without_the_packages(self):
        make_wheel(self.packages, "tiny")
        index = self.index()
        self.novactl(*self.asking("tiny\n"), environment=index)
        self.assertEqual(len(self.kept()), 1)
        hash_before = self.novactl_json("get", "f")["code_hash"]
        dead = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
        self.novactl(*self.asking("tiny\n"), environment=dead)
        self.assertEqual(self.novactl_json("get", "f")["code_hash"], hash_before)
        self.assertEqual(len(self.kept()), 1)

    def index(self):
        """A registry with what is in the directory: the variables that lead to it."""
        root = self.directory / "index/simple"
        for wheel in self.packages.iterdir():
            place = root / wheel.name.split("-")[0]
            place.mkdir(parents=True, exist_ok=True)
            (place / wheel.name).symlink_to(wheel)
            (place / "index.html").write_text(
                "".join(
                    f'<a href="{name.name}">{name.name}</a>\n'
                    for name in sorted(place.glob("*.whl"))
                )
            )
        address = self.serve(functools.partial(Silent, directory=root.parent))
        return {"PIP_INDEX_URL": f"{address}/simple"}

    def test_requirements_that_refer_to_another_file_follow_its_content(self):
        make_wheel(self.packages, "tiny")
        make_wheel(self.packages, "tiny", "2.0")
        self.write("more.txt", "tiny==1.0\n")
        self.novactl(*self.from_packages("-r more.txt\n"))
        self.write("more.txt", "tiny==2.0\n")
        self.novactl(*self.from_packages("-r more.txt\n", "--replace"))
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "tiny 2.0")
        self.assertEqual(self.kept(), [])

    def test_the_source_of_a_package_becomes_a_wheel_if_it_is_for_every_machine(self):
        make_source(self.packages, "tiny")
        self.novactl(*self.from_packages("tiny\n"))
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "built")

    def test_a_terminal_shows_what_is_being_installed(self):
        shown = threading.Event()

        class Slow(Silent):
            def do_GET(self):  # noqa: N802, the name of the base class
                shown.wait()
                self.send_error(404)

        self.addCleanup(shown.set)
        self.environment["PIP_INDEX_URL"] = f"{self.serve(Slow)}/simple"
        terminal, end = pty.openpty()
        with os.fdopen(terminal, "rb", buffering=0) as terminal:
            process = self.start_program(NOVACTL, *self.asking("tiny\n"), stderr=end)
            os.close(end)
            text = b""
            while b"Looking for packages... " not in text:
                text += terminal.read(4096)
            shown.set()
            with contextlib.suppress(OSError):  # the other end is closed
                while terminal.read(4096):
                    pass
        process.communicate()
        self.assertEqual(process.returncode, 1)

    def test_of_many_installations_the_ones_used_last_are_kept(self):
        make_wheel(self.packages, "tiny")
        self.novactl(*self.from_packages("tiny\n"))
        first = self.kept()[0]
        for number in range(16):  # as if they had been used before and after
            (self.home / "deps" / f"{number:064x}").mkdir()
            mark = self.home / "deps" / f"{number:064x}.used"
            mark.touch()
            os.utime(mark, (1000 + number, 1000 + number))
        mark.unlink()
        mark.mkdir()  # and one whose mark could not be written
        for gone in 15, 0:
            self.novactl(*self.from_packages("tiny\n"))
            self.assertNotIn(f"{gone:064x}", self.kept())
            self.assertFalse((self.home / "deps" / f"{gone:064x}.used").exists())
            self.assertEqual(len(self.kept()), 16)
            (self.home / "deps" / f"{16 + gone:064x}").mkdir()
            (self.home / "deps" / f"{16 + gone:064x}.used").touch()
        self.assertIn(first, self.kept())


class Refused(RequirementsCase):
    def test_a_registry_that_cannot_be_reached_is_named_as_that(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.refused(
            self.asking("tiny\n"),
            "NOVA_EIO",
            "the registry cannot be reached for tiny",
            "find_links",
            environment={"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"},
        )

    def test_a_package_or_version_that_does_not_exist_is_named(self):
        make_wheel(self.packages, "tiny")
        self.refused(
            self.from_packages("tiny\nnosuch\n"),
            "NOVA_ENOTFOUND",
            "there is no package nosuch",
            str(self.packages),
        )
        self.refused(
            self.from_packages("tiny==9\n"),
            "NOVA_ENOTFOUND",
            "there is no version tiny==9; there are 1.0",
        )

    def test_a_wheel_that_does_not_fit_the_guest_is_named(self):
        make_wheel(self.packages, "tiny", tag="cp27-cp27m-win_amd64")
        self.refused(
            self.from_packages("tiny\n"),
            "NOVA_EINVAL",
            "tiny-1.0-cp27-cp27m-win_amd64.whl does not fit the guest",
        )
        self.refused(
            self.from_packages("./packages/tiny-1.0-cp27-cp27m-win_amd64.whl\n"),
            "NOVA_EINVAL",
            "tiny-1.0-cp27-cp27m-win_amd64.whl does not fit the guest",
        )

    def test_a_source_that_builds_native_code_is_refused(self):
        make_source(self.packages, "tiny", tag="cp311-cp311-linux_x86_64")
        self.refused(
            self.from_packages("tiny\n"),
            "NOVA_EINVAL",
            "tiny has no wheel for the guest",
            "native code",
        )
        self.refused(
            self.from_packages("./packages/tiny-1.0.tar.gz\n"), "NOVA_EINVAL", "tiny", "native code"
        )
        make_source(
            self.packages, "tiny", action="subprocess.run([os.environ['CC'], 'x.c'], check=True)"
        )
        self.refused(
            self.from_packages("tiny\n"),
            "NOVA_EINVAL",
            "tiny has no wheel for the guest",
            "native code",
        )

    def test_packages_over_the_limit_are_named_with_their_sizes(self):
        make_wheel(self.packages, "huge", files={"huge_data/zeros": bytes(300 << 20)})
        make_wheel(self.packages, "tiny", needs=("huge",))
        self.refused(self.from_packages("tiny\n"), "NOVA_ETOOBIG", "250 MB", "huge_data (300 MB)")

    def test_a_package_that_has_another_hash_is_refused(self):
        make_wheel(self.packages, "tiny")
        self.refused(
            self.from_packages(f"tiny==1.0 --hash=sha256:{'0' * 64}\n"),
            "NOVA_ECORRUPT",
            "tiny==1.0",
            "hash",
        )
        wheel = make_wheel(self.packages, "other", needs=("tiny",))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        self.refused(
            self.from_packages(f"other==1.0 --hash=sha256:{digest}\n"),
            "NOVA_EINVAL",
            "tiny",
            "has none",
        )

    def test_packages_that_do_not_go_together_are_told_in_pips_words(self):
        make_wheel(self.packages, "tiny", needs=("helper==1.0",))
        make_wheel(self.packages, "helper")
        make_wheel(self.packages, "helper", "2.0")
        self.refused(
            self.from_packages("tiny\nhelper==2.0\n"), "NOVA_EINVAL", "conflicting dependencies"
        )

    def test_a_host_without_pip_is_told_how_to_get_it(self):
        programs = self.directory / "bin"
        programs.mkdir()
        self.refused(
            self.from_packages("tiny\n"),
            "NOVA_ENOTFOUND",
            "pip is missing on this host",
            "apt-get install python3-pip",
            environment={"PATH": str(programs)},
        )
        (programs / "python3").write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
        (programs / "python3").chmod(0o755)
        self.refused(
            self.from_packages("tiny\n"),
            "NOVA_ENOTFOUND",
            "pip is missing on this host",
            environment={"PATH": str(programs)},
        )

    def test_requirements_that_cannot_be_read_or_make_no_sense_are_named(self):
        command = self.from_packages("")
        command[7] = self.directory / "nowhere.txt"
        self.refused(command, "NOVA_ENOTFOUND", "nowhere.txt")
        self.refused(
            self.from_packages("tiny ==== 1\n"),
            "NOVA_EINVAL",
            "requirements.txt",
            "Invalid requirement",
        )
        command = self.asking("tiny\n")
        command[3] = "shell"
        self.refused(command, "NOVA_EINVAL", "functions of runtime shell have none")
        del command[6:8]
        self.refused([*command, "--find-links", "/"], "NOVA_EINVAL", "without requirements")

    def test_a_signal_in_the_middle_ends_all_of_it(self):
        asked = threading.Event()

        class Hang(Silent):
            def do_GET(self):  # noqa: N802, the name of the base class
                asked.set()
                self.rfile.read()  # until pip has gone

        address = self.serve(Hang)
        command = [str(word) for word in self.asking("tiny\n")]
        with subprocess.Popen(
            [str(NOVACTL), *command],
            stderr=subprocess.PIPE,
            text=True,
            env={
                **self.environment,
                "PIP_INDEX_URL": f"{address}/simple",
            },
        ) as process:
            self.assertTrue(asked.wait(120))
            process.send_signal(signal.SIGINT)
            text = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, -signal.SIGINT, text)
        self.nothing_is_left()


@unittest.skipUnless(shutil.which("npm"), "npm is not there")
class Node(RequirementsCase):
    """What nova-deps makes of package.json and the lock file beside it, asked as the library asks:
    lib/deps/wire.h."""

    def setUp(self):
        super().setUp()
        variables = {
            name: value
            for name, value in self.environment.items()
            if not name.lower().startswith("npm_config_")
        }
        self.environment = {
            **variables,
            "npm_config_userconfig": os.devnull,
            "npm_config_cache": str(self.directory / "npm"),
        }

    def make_package(self, files):
        """The package tiny; its archive and the hash that a lock file has of it."""
        path = self.directory / "tiny-1.0.0.tgz"
        files = {"package.json": json.dumps({"name": "tiny", "version": "1.0.0"}), **files}
        with tarfile.open(path, "w:gz") as archive:
            for entry, text in files.items():
                info = tarfile.TarInfo(f"package/{entry}")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        return f"file:{path}", f"sha512-{digest}"

    def write_files(self, wanted, *locked, locked_as="1.0.0"):
        """package.json, which wants tiny, and the lock file beside it; their directory."""
        package = {"name": "f", "version": "1.0.0", "dependencies": {"tiny": wanted}}
        if len(locked) == 2:
            tiny = {"version": "1.0.0", "resolved": locked[0], "integrity": locked[1]}
            locked = [{"node_modules/tiny": tiny}]
        locked = {"": {**package, "dependencies": {"tiny": locked_as}}, **locked[0]}
        source = self.directory / "source"
        source.mkdir(exist_ok=True)
        (source / "package.json").write_text(json.dumps(package))
        (source / "package-lock.json").write_text(
            json.dumps({"name": "f", "version": "1.0.0", "lockfileVersion": 3, "packages": locked})
        )
        return source

    def ask(self, *wanted, links="", lock=True, limit=250 << 20, **variables):
        """Has tiny installed, and gives the directory of it and the helper's last line."""
        named = {"locked_as": variables.pop("locked_as")} if "locked_as" in variables else {}
        source = self.write_files(*wanted, **named)
        if not lock:
            (source / "package-lock.json").unlink()
        work = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        (work / "target").mkdir()
        texts = ["npm", source / "package.json", links, work, "", "", limit]
        texts += [f"{name}={value}" for name, value in {**self.environment, **variables}.items()]
        request = b"".join(os.fsencode(str(text)) + b"\0" for text in texts)
        ours, theirs = socket.socketpair()
        with ours, theirs:

            def take_socket():
                os.dup2(theirs.fileno(), 3)
                os.set_inheritable(3, True)

            helper = subprocess.Popen(
                [BUILD / "lib/nova-deps"], close_fds=False, preexec_fn=take_socket
            )
            theirs.close()
            ours.sendall(len(request).to_bytes(4, "little") + request)
            lines = ours.makefile("r", encoding="utf-8").read().splitlines()
            helper.wait()
        return work / "target", lines[-1]

    def registry(self):
        """One of this machine that knows version 2.0.0 of tiny; its address."""

        class Registry(Silent):
            def do_GET(self):  # noqa: N802, the name of the base class
                version = {
                    "name": "tiny",
                    "version": "2.0.0",
                    "dist": {"tarball": "http://127.0.0.1:9/tiny.tgz"},
                }
                document = {
                    "name": "tiny",
                    "dist-tags": {"latest": "2.0.0"},
                    "versions": {"2.0.0": version},
                }
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return self.serve(Registry)

    def refuses_to(self, code, part, *asked, **named):
        """It fails with that code, in one sentence with this part."""
        line = self.ask(*asked, **named)[1]
        self.assertRegex(line, f"^E{code} .*{part}")

    def test_packages_are_installed_as_the_lock_file_says_and_none_of_their_scripts_runs(self):
        ran = self.directory / "ran"
        manifest = {"name": "tiny", "version": "1.0.0", "scripts": {"install": f"touch {ran}"}}
        package = self.make_package({"index.js": "// tiny", "package.json": json.dumps(manifest)})
        target, line = self.ask("1.0.0", *package)
        self.assertEqual(line, "D")
        self.assertFalse(ran.exists())
        self.assertEqual([entry.name for entry in target.iterdir()], ["node_modules"])
        self.assertEqual((target / "node_modules/tiny/index.js").read_text(), "// tiny")

    def test_what_npm_cannot_do_is_told_in_a_sentence(self):
        package = self.make_package({"index.js": ""})
        registry = self.registry()
        self.refuses_to(
            -1,
            "package-lock.json .* does not fit",
            "2.0.0",
            *package,
            npm_config_registry=registry,
        )
        self.refuses_to(-1, "there is no package-lock.json", "1.0.0", *package, lock=False)
        wrong = "sha512-" + "A" * 86 + "=="
        self.refuses_to(-11, "does not have the hash", "1.0.0", package[0], wrong)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            dead = f"http://127.0.0.1:{listener.getsockname()[1]}/tiny.tgz"
        self.refuses_to(-7, "the registry cannot be reached", "1.0.0", dead, wrong)
        cache = self.directory / "empty"
        self.refuses_to(-3, "is not there", "1.0.0", dead, wrong, links=cache)
        programs = self.directory / "bin"
        programs.mkdir()
        self.refuses_to(-3, "npm is missing on this host", "1.0.0", *package, PATH=programs)

    def test_what_is_no_javascript_to_be_copied_is_named(self):
        native = self.make_package({"index.js": "", "binding.gyp": "{}"})
        self.refuses_to(-1, "the package tiny builds native code", "1.0.0", *native)
        manifest = {"name": "tiny", "version": "1.0.0", "scripts": {"install": "node-pre-gyp"}}
        native = self.make_package({"package.json": json.dumps(manifest)})
        self.refuses_to(-1, "the package tiny builds native code", "1.0.0", *native)
        large = self.make_package({"data": "0" * (3 << 20)})
        self.refuses_to(
            -10, r"more than the 2 MB .* tiny \(3 MB\)", "1.0.0", *large, limit=2 << 20
        )
        (self.directory / "tiny").mkdir()
        (self.directory / "tiny/package.json").write_text('{"name": "tiny", "version": "1.0.0"}')
        link = {
            "../tiny": {"version": "1.0.0"},
            "node_modules/tiny": {"resolved": "../tiny", "link": True},
        }
        wanted = "file:../tiny"
        self.refuses_to(
            -1, "the package tiny is a directory of this host", wanted, link, locked_as=wanted
        )

    @unittest.skipUnless(shutil.which("node"), "Node is not there")
    def test_a_function_has_its_packages_in_both_kinds_of_modules(self):
        manifest = {"name": "tiny", "version": "1.0.0", "main": "a.js"}
        package = self.make_package(
            {"package.json": json.dumps(manifest), "a.js": "module.exports = 'tiny one';\n"}
        )
        source = self.write_files("1.0.0", *package)
        for name, code in (
            ("index.js", "const tiny = require('tiny');\nexports.handler = () => tiny;\n"),
            ("index.mjs", "import tiny from 'tiny';\nexport const handler = () => tiny;\n"),
        ):
            self.write(name, code)
            command = ["register", "f", "-r", "node", "-c", self.directory / name, "--replace"]
            message = self.error_of(*command, status=3)["message"]
            self.assertRegex(message, r"Cannot find (module|package) 'tiny'[^{}]*$")
            self.novactl(*command, "--requirements", source / "package.json")
            self.assertEqual(self.novactl_json("invoke", "f")["output"], "tiny one")
        self.assertEqual(len(self.kept()), 1)


if __name__ == "__main__":
    unittest.main()
