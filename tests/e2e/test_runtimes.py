# SPDX-License-Identifier: MIT
"""Functions of each runtime in real microVMs, built by the tools that people have."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest


from novatest import BUILD, FUNCTIONS, NOVACTL, ROOT
from test_real_vm import VmCase

HERE = pathlib.Path(__file__).resolve().parent
WHEELS = ("ujson==5.10.0", "numpy==1.26.4", "lxml==5.3.0")
ALL = bool(os.environ.get("NOVA_TEST_LONG"))
LONG = ("--init-timeout", "600", "--timeout", "600")  # hang limits: the guest's processor is slow

LUA = """local input = io.open(arg[1]):read("a")
print('{"hello": "' .. input:match('"name": *"([^"]*)"') .. '"}')
"""
RUBY = """require "json"
event = JSON.parse(File.read(ARGV[0]))
puts JSON.generate(hello: event["name"], runtime: ENV["NOVA_RUNTIME"])
"""

# What cargo and pip say of a network, and not of a lock file or a version that does not fit.
UNREACHABLE = re.compile("unable to update|failed to (fetch|download)|connection|timed? ?out|"
                         "name resolution|resolve host|proxy", re.I)

# A module whose only function does not leave the number that it owes.
INVALID = (b"\0asm\1\0\0\0" b"\1\4\1\x60\0\0" b"\3\2\1\0" b"\7\n\1\6_start\0\0"
           b"\n\6\1\4\0\x41\0\x0b")


class RuntimeCase(VmCase):
    def run_tool(self, *command, package, **environment):
        """What is not there leaves nothing to test, but where everything must be."""
        words = [str(word) for word in command]
        if not shutil.which(words[0]):
            if os.environ.get("CI") == "true":
                self.fail(f"there is no {words[0]}: apt-get install {package}")
            self.skipTest(f"there is no {words[0]}: install {package}")
        return subprocess.run(words, cwd=self.directory, env={**os.environ, **environment},
                              capture_output=True, text=True, check=False)

    def build(self, *command, package, **environment):
        done = self.run_tool(*command, package=package, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)

    def fetch(self, *command, package):
        """Gets what others have made, for which their registry must be reached."""
        done = self.run_tool(*command, package=package)
        if done.returncode and UNREACHABLE.search(done.stderr):
            self.skipTest(f"no registry is reached: {done.stderr.strip()[-300:]}")
        self.assertEqual(done.returncode, 0, done.stderr)

    def call(self, name, event, *options, **named):
        return self.novactl_json("invoke", name, "-p", json.dumps(event), *options,
                                 **named)["output"]

    def run_once(self, language, code, event):
        return self.novactl_json("run", "-l", language, "-f", code, "-p", json.dumps(event), "-t",
                                 "600")["output"]

    def failure(self, name, event, status=3):
        done = self.novactl("invoke", name, "-p", json.dumps(event), status=status)
        return (done.stdout + done.stderr).split("Error:")[1].split("\n")[0].strip()


class Runtimes(RuntimeCase):
    def test_static_programs_of_go_and_c(self):
        self.build("go", "build", "-o", "go", FUNCTIONS / "go/hello.go", package="golang-go",
                   CGO_ENABLED="0", GOOS="linux", GOARCH="amd64", GO111MODULE="off")
        self.build("cc", "-static", "-O2", "-o", "c", FUNCTIONS / "c/hello.c", package="gcc")
        self.register("go", self.directory / "go", "go")
        self.register("c", self.directory / "c", "binary")
        self.assertEqual(self.call("go", {"name": "World"}),
                         {"message": "Hello, World!", "runtime": "go"})
        self.assertEqual(self.call("c", [1]), {"runtime": "c", "event": [1]})
        self.assertEqual(self.run_once("go", self.directory / "go", {"name": "you"}),
                         {"message": "Hello, you!", "runtime": "go"})

    def test_static_programs_of_rust_with_crates(self):
        manifest = ("--locked", "--manifest-path", FUNCTIONS / "rust/Cargo.toml")
        self.fetch("cargo", "fetch", *manifest, package="cargo")
        # Where the target musl is, that is the one to take.
        target = "x86_64-unknown-linux-gnu"
        self.build("cargo", "build", "--release", "--offline", *manifest, "--target", target,
                   package="cargo", RUSTFLAGS="-C target-feature=+crt-static",
                   CARGO_TARGET_DIR=str(BUILD / "cargo"))
        self.register("rust", BUILD / "cargo" / target / "release/handler", "rust")
        self.assertEqual(self.call("rust", {"name": "World"}),
                         {"message": "Hello, World!", "runtime": "rust"})
        self.assertEqual(self.run_once("rust", BUILD / "cargo" / target / "release/handler",
                                       {"name": "you"}),
                         {"message": "Hello, you!", "runtime": "rust"})

    def test_a_function_has_the_processors_it_asked_for(self):
        self.register("count", "nproc", "shell", "--vcpus", "2")
        self.assertEqual(self.call("count", {}), 2)

    def test_wheels_find_the_libraries_that_they_expect(self):
        code = self.directory / "wheels"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q",
               "--no-compile", "--target", code, "--python-version", "3.11", "--platform",
               "manylinux2014_x86_64", "--only-binary", ":all:", *WHEELS]
        self.fetch(*pip, package="python3-pip")
        (code / "main.py").write_text(
            "import subprocess, lxml.etree, numpy, ujson\n"
            "def handler(event):\n"
            "    shell = subprocess.run(['bash', '-c', 'a=(1 2); echo ${#a[@]}'],\n"
            "        capture_output=True, text=True, check=True)\n"
            "    return [ujson.loads('[1]'), int(numpy.arange(5).sum()),\n"
            "        lxml.etree.fromstring('<a><b/></a>')[0].tag, shell.stdout.strip()]\n",
            encoding="utf-8")
        self.register("wheels", code, "python", "--memory", "384", "--check", "never", *LONG)
        self.assertEqual(self.call("wheels", {}, "-t", "600"), [[1], 10, "b", "2"])

    def compiled(self, name):
        """The machine code of a function, which is one file, and which one it is."""
        code = self.novactl_json("get", name)["code_hash"]
        [path] = (self.home / "compiled" / code).iterdir()
        return path, path.stat().st_ino, path.stat().st_mtime_ns

    def is_compiled_again_if_damaged(self, name, code):
        path, *before = self.compiled(name)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        self.register(name, code, "wasm", "--replace", "--env", "A=1", *LONG)
        self.assertEqual(self.call(name, 2)["event"], 2)
        again, *after = self.compiled(name)
        self.assertEqual(again.read_bytes(), whole)
        self.assertNotEqual(after, before)

    def test_modules_in_c_rust_and_text_read_their_event(self):
        self.build("clang", "--target=wasm32-wasi", "-O2", "-s", "-o", "c.wasm", HERE / "module.c",
                   package="clang lld wasi-libc libclang-rt-dev-wasm32")
        # The standard library for this target is that of Debian's compiler.
        self.build("/usr/bin/rustc", "-O", "-C", "strip=symbols", "--target", "wasm32-wasi", "-o",
                   "rust.wasm", FUNCTIONS / "wasm/hello.rs", package="libstd-rust-dev-wasm32")
        self.build("wat2wasm", "-o", "wat.wasm", FUNCTIONS / "wasm/hello.wat", package="wabt")
        text = FUNCTIONS / "wasm/hello.wat"
        for name, code in (("rust", self.directory / "rust.wasm"), ("wat", text)):
            self.register(name, code, "wasm", *LONG)
            answer = self.call(name, {"a": [1]})
            self.assertEqual(answer["event"], {"a": [1]})
        self.is_compiled_again_if_damaged("wat", text)
        for code in (self.directory / "wat.wasm", text):
            self.assertEqual(self.run_once("wasm", code, [2])["event"], [2])
        tree = self.directory / "tree"
        tree.mkdir()
        (tree / "data.txt").write_text("data")
        shutil.copy(self.directory / "c.wasm", tree / "handler")
        self.register("c", tree, "wasm", "--env", "WHO=me", *LONG)
        self.assertEqual(self.call("c", {}), {
            "event": {}, "who": "me", "relative": True, "absolute": True, "written": True,
            "outside": False})
        compiled = self.compiled("c")
        self.register("c", tree, "wasm", "--replace", "--env", "WHO=me",
                      "--preopen", "/=/code", "--preopen", "/tmp/more=/dev/shm", *LONG)
        self.assertEqual(self.call("c", {}), {
            "event": {}, "who": "me", "relative": True, "absolute": False, "written": True,
            "outside": False})
        # Another template, of the same machine code: what is compiled replaces the file.
        self.assertEqual(self.compiled("c"), compiled)
        self.assertEqual(self.failure("c", "exit"), "exit 3: no such city")
        self.assertEqual(self.failure("c", "trap"),
                         "exit 134: wasm trap: wasm `unreachable` instruction executed")
        self.assertEqual(self.failure("c", "grow"), "out of memory")

    def test_a_module_that_makes_no_sense_is_told_in_one_sentence(self):
        invalid = self.directory / "invalid.wasm"
        invalid.write_bytes(INVALID)
        error = self.error_of("register", "invalid", "-r", "wasm", "--code", invalid, "--check",
                              "always", *LONG, status=3)
        self.assertRegex(error["message"], "the module cannot be compiled: [^\n]+$")
        self.register("needs", '(module (import "env" "other" (func)) (memory (export "memory") 1)'
                      ' (func (export "_start")))', "wasm", *LONG)
        self.assertRegex(self.failure("needs", {}), "unknown import: `env::other`[^\n]*$")

    def test_a_module_that_is_run_again_is_not_compiled_again(self):
        # of the interface as it was before preview 1
        text = (FUNCTIONS / "wasm/hello.wat").read_text(encoding="utf-8")
        former = self.write("former.wat", text.replace("wasi_snapshot_preview1", "wasi_unstable"))
        self.assertEqual(self.run_once("wasm", former, [1])["event"], [1])
        [directory] = (self.home / "compiled").iterdir()
        [path] = directory.iterdir()
        before = path.stat()
        self.assertEqual(self.run_once("wasm", former, [2])["event"], [2])
        after = path.stat()
        self.assertEqual((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns))
        self.samples_run_once()

    def samples_run_once(self):
        done = self.novactl("run", "-l", "wasm", "-f", FUNCTIONS / "wasm/write.wat", "-t", "600")
        self.assertEqual(done.stdout, "hello world\n")
        self.build("clang++", "--target=wasm32-wasi", "-O2", "-fno-exceptions", "-s", "-o",
                   "words.wasm", FUNCTIONS / "wasm/words.cpp",
                   package="clang lld libclang-rt-dev-wasm32 libc++-dev-wasm32")
        self.assertEqual(self.run_once("wasm", self.directory / "words.wasm",
                                       {"text": "To be or not to be"}),
                         {"be": 2, "not": 1, "or": 1, "text": 1, "to": 2})

    def test_variables_of_a_function_do_not_reach_the_compiler_of_its_module(self):
        self.write("ends.c", "__attribute__((constructor)) static void end(void) { _exit(9); }")
        tree = self.directory / "tree"
        tree.mkdir()
        self.build("cc", "-shared", "-fPIC", "-include", "unistd.h", "-o", tree / "ends.so",
                   "ends.c", package="gcc")
        self.build("wat2wasm", "-o", tree / "handler", FUNCTIONS / "wasm/hello.wat",
                   package="wabt")
        self.register("f", tree, "wasm", "--env", "LD_PRELOAD=/code/ends.so", "--check", "always",
                      *LONG)
        self.assertRegex(self.failure("f", {}), "^exit 9")

    def test_machine_code_has_half_of_the_memory(self):
        body = "(i64.store (i32.const 0) (i64.add (local.get 0) (i64.load (i32.const 8))))"
        functions = f"(func (param i64) {body * 500})" * 200
        text = self.write("large.wat", f'(module (memory 1) {functions} (func (export "_start")))')
        error = self.error_of("register", "large", "-r", "wasm", "--code", text, "--memory", "72",
                              "--check", "always", *LONG, status=3)
        self.assertRegex(error["message"], "cannot be compiled: (its machine code takes more than "
                         "half of the memory|out of memory)")

    @unittest.skipUnless(ALL, "only in tools/test --long")
    def test_the_sample_in_go_is_a_module_too(self):
        ports = self.run_tool("go", "tool", "dist", "list", package="golang-go").stdout.split()
        if "wasip1/wasm" not in ports:
            self.skipTest("this Go has no port to WASI: it needs 1.21 or later")
        self.build("go", "build", "-ldflags=-s -w", "-o", "go.wasm", FUNCTIONS / "go/hello.go",
                   package="golang-go", GOOS="wasip1", GOARCH="wasm", GO111MODULE="off")
        words = (NOVACTL, "--json", "run", "-l", "wasm", "-f", self.directory / "go.wasm", "-m",
                 "512", "-t", "3600", "-p")
        for name in ("World", "you"):  # the second time it is not compiled again
            done = self.run_program(*words, json.dumps({"name": name}))
            self.assertEqual(json.loads(done.stdout or done.stderr).get("output"),
                             {"message": f"Hello, {name}!", "runtime": "go"}, done.stderr)

    @unittest.skipUnless(ALL, "only in tools/test --long")
    def test_gnu_coreutils_work_on_files_that_they_are_given(self):
        tools = self.directory / "tools"
        self.fetch(FUNCTIONS / "wasm/coreutils/build", tools, package="llvm make")
        data = self.write("data.txt", "b 2\nb 2\na 1\n")
        other = self.write("other.txt", "x\ny\nz\n")
        for words, printed in (
                ("wc -l data.txt other.txt", " 3 data.txt\n 3 other.txt\n 6 total\n"),
                ("uniq -c data.txt", "      2 b 2\n      1 a 1\n"),
                ("tac data.txt", "a 1\nb 2\nb 2\n"),
                ("cut '-d ' -f2 data.txt", "2\n2\n1\n"),
                ("paste data.txt other.txt", "b 2\tx\nb 2\ty\na 1\tz\n"),
                ("head -n 1 other.txt", "x\n"),
                ("tail -n +2 other.txt", "y\nz\n"),
                ("cat missing.txt", None)):
            tool, *arguments = shlex.split(words)
            done = self.novactl("run", "-l", "wasm", "-f", tools / f"{tool}.wasm", "--file", data,
                                "--file", other, "-t", "600", "--", *arguments,
                                status=0 if printed else 1)
            self.assertEqual(done.stdout, printed or "")
            self.assertEqual("No such file or directory" in done.stderr, not printed)


class OwnRuntimes(RuntimeCase):
    """Root filesystems that tools/rootfs makes, as docs/runtimes.md has them."""

    def add(self, name, packages, *command, options=()):
        file = self.directory / f"{name}.ext4"
        done = self.run_program(ROOT / "tools/rootfs", "--novactl", NOVACTL,
                                "--agent", BUILD / "agent/nova-agent", *options, file, *packages,
                                cwd=self.directory)
        if done.returncode and re.search("is there a network|refresh the lists", done.stderr):
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(self.directory.glob(".rootfs.*")), [])
        self.novactl("runtime", "add", name, "--rootfs", file, *command)

    def test_a_root_filesystem_with_lua_is_made_and_runs_it(self):
        self.add("lua", ["lua5.4"], "--", "/usr/bin/lua5.4", "{file}", "{input}")
        self.register("hello", LUA, "lua")
        self.assertEqual(self.call("hello", {"name": "you"}), {"hello": "you"})
        self.assertEqual(self.call("hello", {"name": "me"}), {"hello": "me"})
        self.assertEqual(self.failure("hello", {}).split(":")[0], "exit 1")
        self.assertEqual(self.run_once("lua", self.write("x.lua", LUA), {"name": "x"}),
                         {"hello": "x"})

    @unittest.skipUnless(ALL, "only in tools/test --long")
    def test_a_root_filesystem_with_ruby_and_its_library_is_made_and_runs_it(self):
        self.add("ruby", ["ruby"], "--", "/usr/bin/ruby", "{file}", "{input}")
        self.register("hello", RUBY, "ruby", *LONG)
        self.assertEqual(self.call("hello", {"name": "you"}), {"hello": "you", "runtime": "ruby"})

    @unittest.skipUnless(ALL, "only in tools/test --long")
    def test_a_root_filesystem_with_mono_is_made_and_runs_programs_in_csharp(self):
        self.build("mcs", "-r:System.Runtime.Serialization.dll", "-out:hello.exe",
                   FUNCTIONS / "csharp/hello.cs",
                   package="mono-mcs libmono-system-runtime-serialization4.0-cil")
        self.add("csharp", ["mono-runtime", "libmono-system-runtime-serialization4.0-cil"],
                 "--memory", "256", "--", "/usr/bin/mono", "{file}", "{input}",
                 options=("--size", "512M"))
        self.register("hello", self.directory / "hello.exe", "csharp", *LONG)
        self.assertEqual(self.call("hello", {"name": "you"}),
                         {"message": "Hello, you!", "runtime": "csharp"})

    @unittest.skipUnless(ALL, "only in tools/test --long")
    def test_an_own_node_calls_functions_in_the_interpreter_that_it_has_started(self):
        self.novactl("runtime", "add", "mine", "--rootfs", "node", "--protocol", "node", "--",
                     "/usr/bin/node", "--no-deprecation")
        self.register("count", "let calls = 0;\n"
                      "exports.handler = async () => [++calls, process.noDeprecation,\n"
                      "    process.env.NOVA_RUNTIME];\n", "mine", *LONG)
        self.assertEqual(self.call("count", {}), [1, True, "mine"])
