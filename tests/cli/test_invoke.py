# SPDX-License-Identifier: MIT
"""novactl invoke and doctor, on the fake engine: the same agent as in a VM, as a plain process."""
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from novatest import BUILD, FUNCTIONS, NOVACTL, ROOT, TREE, HomeCase, await_that, make_tree

BLOCK = (r"^Request ID: [0-9a-f]{8}\nCold Start: (true|false)\nDuration:   \d+ ms\n"
         r'Output:\n\{\n  "message": "Hello, World!",\n  "runtime": "python"\n\}\n$')


class Invoke(HomeCase):
    def test_the_block_has_its_labels_and_columns(self):
        self.register("hello-python", FUNCTIONS / "python/hello.py")
        done = self.novactl("invoke", "hello-python", "--payload", '{"name":"World"}')
        self.assertRegex(done.stdout, BLOCK)
        self.assertEqual(done.stderr, "")

    def test_the_default_payload_is_an_empty_object(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        self.assertIn("Hello, Anonymous!", self.novactl("invoke", "hello", "--local").stdout)

    def test_a_payload_comes_from_a_file_or_from_standard_input(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        event = self.write("event.json", '{"name": "File"}')
        self.assertIn("Hello, File!", self.novactl("invoke", "hello", "-p", f"@{event}").stdout)
        done = self.novactl("invoke", "hello", "-p", "-", stdin='{"name": "Pipe"}')
        self.assertIn("Hello, Pipe!", done.stdout)
        self.refuses("/nowhere.json", "invoke", "hello", "-p", "@/nowhere.json")

    def test_with_json_the_whole_result_is_one_object(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        result = self.novactl_json("invoke", "hello", "-p", '{"name":"World"}')
        self.assertEqual(result["output"], {"message": "Hello, World!", "runtime": "python"})
        self.assertTrue(result["cold_start"])
        self.assertRegex(result["request_id"], "^[0-9a-f]{8}$")

    def test_what_a_function_prints_besides_its_output_is_shown_on_stderr(self):
        self.register("talks", "import sys\ndef handler(event):\n    print('to stdout')\n"
                               "    print('to stderr', file=sys.stderr)\n    return 5\n")
        done = self.novactl("invoke", "talks")
        self.assertIn("Output:\n5\n", done.stdout)
        self.assertEqual(sorted(done.stderr.splitlines()), ["to stderr", "to stdout"])
        self.assertEqual(self.novactl("invoke", "talks", "-q").stderr, "")
        script = "import sys\nprint('text')\nprint('warned', file=sys.stderr)\n"
        for name, code, runtime in (("json", "echo '{\"a\":  1}'; echo warned >&2", "shell"),
                                    ("text", "echo some text; echo warned >&2", "shell"),
                                    ("script", script, "python")):
            self.register(name, code, runtime)
            self.assertEqual(self.novactl("invoke", name).stderr, "warned\n")

    def test_a_code_tree_is_taken_as_far_as_it_makes_sense(self):
        code = make_tree(self.directory / "tree")
        done = self.register("tree", code)
        self.assertEqual([line for line in done.stderr.splitlines() if "novactl: " in line], [
            "novactl: warn: function: 'agent.sock' is a socket, and left out",
            "novactl: warn: function: 'common' is a link that leads out of the code: in the guest "
            "there is nothing of yours",
            "novactl: warn: function: 'run/pipe' is a FIFO, and left out"])
        self.assertEqual(self.novactl_json("invoke", "tree")["output"], TREE)
        built = self.novactl("disk", "build", code, "-o", self.directory / "tree.ext4")
        self.assertEqual(built.stderr.count("left out"), 2)

    def test_text_that_is_not_json_becomes_a_string(self):
        self.register("plain", "echo hello there", "shell")
        self.assertIn('Output:\n"hello there"\n', self.novactl("invoke", "plain").stdout)

    def test_a_payload_that_is_not_json_never_runs(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        error = self.error_of("invoke", "hello", "-p", "{name", status=2)
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_EINVAL", "never-ran"))

    def test_a_payload_over_the_limit_never_runs(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        big = self.write("big.json", '"' + "x" * (7 << 20) + '"')
        error = self.error_of("invoke", "hello", "-p", f"@{big}", status=1)
        self.assertEqual(error["name"], "NOVA_ETOOBIG")

    def closing(self, descriptors, *words):
        """Runs novactl without some of its standard descriptors."""
        closed = " ".join(f"{fd}>&-" for fd in descriptors)
        return self.run_program("sh", "-c", f'exec "$0" "$@" {closed}', NOVACTL, *words,
                                stdin=subprocess.DEVNULL, timeout=60)

    def test_an_answer_that_cannot_be_written_is_told_as_that_of_a_function_that_ran(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        for words in (["--json"], []):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = self.run_program(NOVACTL, "invoke", "hello", *words, stdout=full)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("the function ran, but the output could not be written: "
                          "No space left on device", done.stderr)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_program(NOVACTL, "invoke", "hello", "--json", stdout=full)
        self.assertEqual(json.loads(done.stderr)["error"]["outcome"], "ran")

    def test_the_answer_goes_into_no_file_in_the_place_of_a_closed_stdout(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        for closed in ((1,), (0, 1)):
            done = self.closing(closed, "invoke", "hello", "-q")
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("could not be written: Bad file descriptor", done.stderr)
        done = self.closing((0, 2), "invoke", "hello", "-q")
        self.assertEqual(done.returncode, 0)
        self.assertIn("Hello, Anonymous!", done.stdout)
        for path in self.home.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"Request ID", path.read_bytes(), path)

    def test_a_payload_from_a_closed_stdin_is_an_error(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        done = self.closing((0,), "invoke", "hello", "-p", "-")
        self.assertEqual(done.returncode, 1)
        self.assertIn("payload '-': Bad file descriptor", done.stderr)

    def test_a_limit_on_the_size_of_files_gets_a_sentence(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        done = self.run_program(
            "sh", "-c", 'ulimit -f 1; exec "$0" "$@"', NOVACTL, "register", "big",
            "--runtime", "python", "--code", FUNCTIONS / "python/hello.py")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("File too large", done.stderr)

    def test_an_unknown_function_is_named_with_the_nearest(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        done = self.novactl("invoke", "helo", status=1)
        self.assertEqual(done.stdout, "")
        self.assertIn("helo", done.stderr)
        self.assertIn("hello", done.stderr)

    def test_a_failing_function_has_an_error_line_and_its_stderr(self):
        self.register("fails", "echo no such city >&2; exit 3", "shell")
        done = self.novactl("invoke", "fails", status=3)
        self.assertRegex(done.stdout,
                         r"^Request ID: \w+\nCold Start: true\nDuration:   \d+ ms\n"
                         r"Error:      exit 3: no such city\n$")
        self.assertEqual(done.stderr, "no such city\n")

    def test_what_a_function_says_steers_no_terminal_and_forges_no_line(self):
        said = "no\nOutput:\n\x1b[2J\x9b\x7f\u00e9"
        self.register("lies", f"def handler(event):\n    raise ValueError({said!r})\n")
        shown = self.novactl("invoke", "lies", status=3).stdout
        self.assertRegex(shown, r"(?m)^Error:      .*no Output: \?\[2J\?\?\?\u00e9$")
        self.assertNotIn("\nOutput:", shown)
        self.register("tells", f"def handler(event):\n    return {said!r}\n")
        shown = self.novactl("invoke", "tells").stdout
        self.assertIn(r"Output:\n\u001B[2J\u009b\u007f" + "\u00e9", shown)

    def test_a_failing_function_gives_result_and_error_with_json(self):
        self.register("fails", "def handler(event):\n    raise ValueError('bad event')\n")
        done = self.novactl("--json", "invoke", "fails", status=3)
        self.assertIn("ValueError", json.loads(done.stdout)["stderr"])
        error = json.loads(done.stderr)["error"]
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_EFUNCTION", "ran"))

    def test_a_function_over_its_time_is_killed(self):
        self.register("slow", "sleep 600", "shell")
        done = self.novactl("invoke", "slow", "--timeout", "300ms", status=124)
        self.assertRegex(done.stdout, r"(?m)^Error:      .*timeout")

    def test_stream_shows_output_as_it_comes(self):
        self.register("talks", "echo one; echo two >&2; echo three", "shell")
        done = self.novactl("invoke", "talks", "--stream")
        self.assertEqual(sorted(done.stderr.split()), ["one", "three", "two"])
        self.assertIn("Output:", done.stdout)

    def test_environment_reaches_the_function(self):
        self.register("env", 'printf \'"%s %s"\' "$REGION" "$MODE"', "shell",
                      "-e", "REGION=eu", "-e", "MODE=a=b")
        self.assertEqual(self.novactl_json("invoke", "env")["output"], "eu a=b")

    def test_nothing_runs_on_after_a_call(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        self.novactl("invoke", "hello")
        self.assertTrue(self.nothing_runs(), list((self.home / "run").glob("**/*")))

    def test_killed_during_a_call_it_leaves_nothing_behind(self):
        self.killed(signal.SIGKILL)
        await_that(self.nothing_runs, "the run directory is empty")

    def killed(self, number, *words):
        """What novactl says that gets this signal while its function runs.

        It ends by it, which a shell sees as 128 and the number.
        """
        started = self.directory / "started"
        self.register("waits", f"echo >{started}; sleep 600", "shell", "--replace")
        process = self.start_program(NOVACTL, *words, "invoke", "waits")
        await_that(started.exists, "the function has started")
        process.send_signal(number)
        told = process.communicate(timeout=20)
        self.assertEqual(process.returncode, -number)
        started.unlink()
        return told

    def test_a_signal_cancels_the_call_says_so_and_leaves_nothing_when_it_has_ended(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                self.assertRegex("".join(self.killed(number)), "cancel|interrupt")
                self.assertTrue(self.nothing_runs())
        _, said = self.killed(signal.SIGINT, "--json")
        error = json.loads(said.strip().splitlines()[-1])["error"]
        self.assertEqual((error["name"], error["outcome"]), ("NOVA_ECANCELED", "ran"))

    def test_a_shell_sees_128_and_the_number_of_the_signal(self):
        self.register("signals", f"kill -INT $(cat {self.directory}/pid); sleep 600", "shell")
        script = f"echo $$ >{self.directory}/pid; exec {NOVACTL} invoke signals"
        done = self.run_program("bash", "-c", f"sh -c '{script}'; echo status $?", timeout=60)
        self.assertIn("status 130", done.stdout)

    def test_who_ignores_a_signal_goes_on_ignoring_it(self):
        self.register("signals", f"kill -INT $(cat {self.directory}/pid); echo 5", "shell")
        script = f"trap '' INT; echo $$ >{self.directory}/pid; exec {NOVACTL} --json invoke signals"
        done = self.run_program("sh", "-c", script, timeout=60)
        self.assertEqual((json.loads(done.stdout)["output"], done.returncode), (5, 0))

    def test_a_signal_ends_a_call_whose_function_is_not_ready_yet(self):
        started = self.directory / "started"
        self.register("slow", f"open({str(started)!r}, 'w').close()\nimport time\n"
                              "time.sleep(600)\ndef handler(event): pass\n",
                      "python", "--check", "never")
        process = self.start_program(NOVACTL, "invoke", "slow")
        await_that(started.exists, "the function's code is read")
        process.send_signal(signal.SIGTERM)
        self.assertIn("cancelled", process.communicate(timeout=20)[1])
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertTrue(self.nothing_runs())

    def test_on_a_terminal_it_tells_what_it_waits_for_and_cleans_up(self):
        self.register("slow", "sleep 1; echo '\"done\"'", "shell")
        master, slave = pty.openpty()
        process = self.start_program(NOVACTL, "invoke", "slow", stderr=slave)
        os.close(slave)
        stdout = process.communicate()[0]
        shown = b""
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:
            pass  # the other end is closed
        os.close(master)
        self.assertEqual(process.returncode, 0)
        self.assertIn('"done"', stdout)
        self.assertRegex(shown.decode(), r"(starting microVM|running)\.\.\. \d\.\d s")
        self.assertRegex(shown.decode(), r"\r +\r$")

    def test_verbose_tells_the_library_s_decisions(self):
        self.register("hello", FUNCTIONS / "python/hello.py")
        self.assertRegex(self.novactl("invoke", "hello", "-v").stderr,
                         r"(?m)^novactl: (info|warn): \w+: ")


class Examples(HomeCase):
    def test_shell(self):
        self.register("hello", FUNCTIONS / "shell/hello.sh", "shell")
        self.assertEqual(self.novactl_json("invoke", "hello", "-p", '{"name":"World"}')["output"],
                         {"message": "Hello, World!", "runtime": "shell"})

    def test_node(self):
        if not shutil.which("node"):
            self.skipTest("no Node: install nodejs")
        self.register("hello", FUNCTIONS / "node/hello.mjs", "javascript")
        self.assertEqual(self.novactl_json("get", "hello")["runtime"], "node")
        self.assertEqual(
            self.novactl_json("invoke", "hello", "-p", '{"name":"World"}')["output"],
            {"message": "Hello, World!", "runtime": "node", "calls": 1})
        done = self.novactl("invoke", "hello")
        self.assertRegex(done.stderr, r"request \w+, \d+ ms left")

    def test_c(self):
        program = BUILD / "examples/hello-c"
        if not program.exists():
            self.skipTest("examples/hello-c was not built: there is no static C library")
        self.register("hello", program, "binary")
        self.assertEqual(self.novactl_json("invoke", "hello", "-p", "[1]")["output"],
                         {"runtime": "c", "event": [1]})

    def test_go(self):
        if not shutil.which("go"):
            self.skipTest("no Go compiler: install golang-go")
        program = self.directory / "handler"
        environment = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64",
                       "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", program, FUNCTIONS / "go/hello.go"],
                       check=True, cwd=self.directory, env=environment)
        self.register("hello", program, "go")
        self.assertEqual(self.novactl_json("invoke", "hello", "-p", '{"name":"World"}')["output"],
                         {"message": "Hello, World!", "runtime": "go"})

    def test_rust(self):
        # rustup leaves a rustc in PATH that has nothing behind it until a toolchain is chosen.
        if not shutil.which("rustc") or self.run_program("rustc", "--version").returncode:
            self.skipTest("no Rust compiler: install rustc")
        program = self.directory / "handler"
        subprocess.run(["rustc", "-O", "-C", "target-feature=+crt-static", "-o", program,
                        FUNCTIONS / "rust/plain.rs"], check=True)
        self.register("echo", program, "rust")
        self.assertEqual(self.novactl_json("invoke", "echo", "-p", '{"a":1}')["output"],
                         {"event": {"a": 1}, "runtime": "rust"})

    def test_every_example_is_an_ordinary_program_too(self):
        event = self.write("event.json", '{"name": "World"}')
        for command in (["python3", FUNCTIONS / "python/hello.py"],
                        ["sh", FUNCTIONS / "shell/hello.sh"]):
            done = subprocess.run([*command, event], capture_output=True, text=True, check=True)
            self.assertEqual(json.loads(done.stdout)["message"], "Hello, World!")

    def test_the_network_sample_asks_a_server(self):
        class Users(BaseHTTPRequestHandler):
            def do_GET(self):
                text = json.dumps({"login": self.path.split("/")[-1], "name": "Some One"}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_unused):
                pass

        server = HTTPServer(("127.0.0.1", 0), Users)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.register("fetch", FUNCTIONS / "python/fetch.py", "python", "-e",
                      f"USERS_API=http://127.0.0.1:{server.server_port}/users/")
        self.assertEqual(self.novactl_json("invoke", "fetch", "-p", '{"user":"someone"}')["output"],
                         {"login": "someone", "name": "Some One"})

    def test_the_embedding_c_program_prints_an_answer(self):
        source = (ROOT / "examples/c/embed.c").read_text(encoding="utf-8")
        self.assertLess(len(source.splitlines()), 40)
        done = self.run_program(BUILD / "examples/embed", FUNCTIONS / "python/hello.py",
                                '{"name":"World"}')
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["message"], "Hello, World!")

    def test_the_c_program_with_a_hundred_calls_in_flight_gets_every_answer(self):
        source = (ROOT / "examples/c/async.c").read_text(encoding="utf-8")
        self.assertLess(len(source.splitlines()), 60)
        done = self.run_program(BUILD / "examples/async", FUNCTIONS / "python/hello.py",
                                environment={"NOVA_POOL_MAX_VMS": "4"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], list(range(99, -1, -1)))
        self.assertTrue(all("Hello" in line for line in lines), lines)

    def test_the_c_program_that_starts_microvms_side_by_side_runs_a_command_in_each(self):
        done = subprocess.run([BUILD / "examples/jobs", "sh", "-c", "echo $((6 * 7))"],
                              capture_output=True, text=True, env=self.environment, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "42\n" * 3, ""))


class Readme(HomeCase):
    def test_the_lines_about_the_first_function_run_as_they_stand(self):
        block = (ROOT / "README.md").read_text(encoding="utf-8").split("```console\n")[1]
        lines = re.findall(r"(?m)^\$ build/(tools/novactl .*)$", block.split("```")[0])
        self.assertEqual(len(lines), 2)
        for line in lines:
            words = shlex.split(line)
            done = subprocess.run([BUILD / words[0], *words[1:]], capture_output=True, text=True,
                                  cwd=ROOT, env=self.environment, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        answer = done.stdout.split("Output:\n")[1]
        self.assertIn("Output:\n" + answer, block)


class Doctor(HomeCase):
    def test_it_names_every_engine_and_the_choice(self):
        done = self.run_program(NOVACTL, "--json", "doctor")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["ok"] else 1)
        engines = {engine["name"]: engine for engine in report["engines"]}
        self.assertLessEqual({"qemu", "fake"}, set(engines))
        self.assertTrue(engines["fake"]["chosen"])
        self.assertEqual({"library", "modules", "home", "store", "images", "kvm", "engine",
                          "memory limit", "forks", "room", "templates"},
                         {check["name"] for check in report["checks"]})

    def test_missing_images_are_bad_and_the_way_out_is_named(self):
        done = self.novactl("doctor", status=1,
                            environment={"NOVA_IMAGES": str(self.directory / "none")})
        self.assertRegex(done.stdout, r"(?m)^bad +images .*tools/images")
        self.assertIn("cannot run here yet", done.stdout)

    def test_a_missing_vmm_is_explained(self):
        done = self.novactl("--engine", "qemu", "doctor", status=1,
                            environment={"NOVA_QEMU": "/nowhere/qemu"})
        self.assertRegex(done.stdout, r"(?m)^- +qemu +.*/nowhere/qemu")

    def test_boot_starts_a_vm_for_real(self):
        done = self.run_program(NOVACTL, "doctor", "--boot")
        self.assertRegex(done.stdout, r"(?m)^ok +boot +.* answered after \d+ ms$")

    def test_no_colours_where_none_are_wanted(self):
        done = self.run_program(NOVACTL, "doctor")
        self.assertFalse(re.search("\033", done.stdout + done.stderr))


if __name__ == "__main__":
    unittest.main()
