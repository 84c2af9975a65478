# SPDX-License-Identifier: MIT
"""What novactl says without running a function: help, mistakes, the store, disks."""
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import termios
import unittest

from novatest import BUILD, FUNCTIONS, NOVACTL, HomeCase

HELLO = FUNCTIONS / "python/hello.py"


class Help(HomeCase):
    def test_without_arguments_it_explains_itself_on_stderr(self):
        done = self.novactl(status=2)
        self.assertEqual(done.stdout, "")
        self.assertIn("Examples:", done.stderr)

    def test_help_is_data_and_begins_with_purpose_and_examples(self):
        text = self.novactl("--help").stdout
        self.assertLess(text.index("Examples:"), text.index("Usage:"))
        for status in ("0", "1", "2", "3", "4", "124", "125"):
            self.assertRegex(text, rf"(?m)^  {status} +\w")

    def test_every_command_has_help_in_three_ways(self):
        listing = self.novactl("help").stdout.split("Commands:")[1].split("\n\n")[0]
        commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?= )", listing, re.M)
        self.assertGreaterEqual(len(commands), 12)
        for command in commands:
            with self.subTest(command):
                words = command.split()
                text = self.novactl("help", *words).stdout
                self.assertIn("Examples:", text)
                self.assertIn(f"Usage: novactl {command}", text)
                self.assertEqual(self.novactl(*words, "--help").stdout, text)
                self.assertEqual(self.novactl("-h", *words).stdout, text)

    def test_help_wins_over_a_wrong_command_line(self):
        text = self.novactl("invoke", "--nonsense", "--help").stdout
        self.assertIn("Usage: novactl invoke", text)

    def test_defaults_of_register_are_those_of_the_manual(self):
        text = self.novactl("help", "register").stdout
        for pattern in (r"-r, --runtime", r"-c, --code", r"-H, --handler .*main\.handler",
                        r"-m, --memory .*128", r"-t, --timeout .*\[30\]", r"--min-replicas .*\[0\]",
                        r"-e, --env", r"--vcpus .*\[1\]", r"--disk-iops .*\[0",
                        r"--disk-bandwidth .*\[0", r"--net-rx-bandwidth .*\[0",
                        r"--net-tx-bandwidth .*\[0"):
            self.assertRegex(text, pattern)

    def test_version_names_library_and_headers(self):
        self.assertRegex(self.novactl("--version").stdout,
                         r"^novactl \d+\.\d+\.\d+ \(libnova \d+\.\d+\.\d+\)$")
        self.assertEqual(set(self.novactl_json("version")), {"library", "headers"})

    def test_completion_knows_commands_options_and_functions(self):
        script = self.novactl("completion", "bash").stdout
        self.register("hello", HELLO)
        probe = """
            t() {
                COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
                _novactl
                echo "${COMPREPLY[*]}"
            }
            t novactl reg
            t novactl disk bu
            t novactl register --run
            t novactl invoke hel
            t novactl image ''"""
        path = f"{BUILD}/tools:{os.environ['PATH']}"
        done = self.run_program("bash", "-c", script + probe, environment={"PATH": path})
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:4], ["register", "build", "--runtime", "hello"])
        self.assertTrue(lines[4].startswith("kernel check"), lines[4])
        for shell in ("zsh", "fish"):
            self.assertIn("register", self.novactl("completion", shell).stdout)
        self.novactl("completion", "tcsh", status=2)


class Mistakes(HomeCase):
    def test_a_typo_gets_a_suggestion(self):
        for words, near in ((["invke", "x"], "novactl invoke"), (["lst"], "novactl list"),
                            (["disk", "bulid", "x"], "novactl disk build"),
                            (["invoke", "x", "--paylod", "{}"], "--payload"),
                            (["list", "--jsno"], "--json")):
            with self.subTest(words):
                done = self.novactl(*words, status=2)
                named = f"'{near}'" if " " in near else near
                self.assertIn(f"did you mean {named}?", done.stderr)
                self.assertEqual(done.stdout, "")

    def test_wrong_options_are_usage_errors(self):
        register = ["register", "x", "-r", "python", "-c", HELLO]
        for words, part in (
                (["register", "x", "-r", "python"], "--code is required"),
                (["register", "x", "-c", "y"], "--runtime is required"),
                ([*register, "-m", "much"],
                 "'much' is not a whole number of MB such as 512, 512M or 0.5G"),
                ([*register, "-m", "512K"], "not a whole number of MB"),
                ([*register, "-m", "0.3G"], "not a whole number of MB"),
                ([*register, "-m", "4294967296"], "not a whole number"),
                ([*register, "-m", "-1"], "not a whole number"),
                ([*register, "-t", "1500ms"], "whole seconds"),
                ([*register, "--disk-bandwidth", "1.5"], "is not a size"),
                ([*register, "--disk-bandwidth", "10Q"], "is not a size"),
                (["register", "--memory"], "--memory needs a value"),
                (["invoke"], "needs NAME"),
                (["get", "a", "b"], "one word too many"),
                (["invoke", "a", "{}"],
                 "'{}' is one word too many; an event is given by --payload"),
                (["list", "--json=1"], "--json takes no value"),
                (["list", "-z"], "no option -z"),
                (["list", "-o", "xml"], "'xml' is not"),
                (["disk"], "needs another word"),
                (["disk", "build", HELLO], "-o is required"),
                (["--log-level", "loud", "list"], "'loud'")):
            with self.subTest(words):
                self.refuses(part, *words, status=2)

    def test_help_of_a_word_lists_the_commands_that_begin_with_it(self):
        for words in (("help", "job"), ("job", "--help")):
            told = self.novactl(*words).stdout
            self.assertIn("job submit", told)
            self.assertIn("job list", told)
            self.assertNotIn("register", told)
        self.refuses("no command 'jobs'", "help", "jobs", status=2)

    def test_what_cannot_be_0_is_refused_as_0(self):
        for words in (["register", "x", "-r", "python", "-c", HELLO, "--memory", "0"],
                      ["update", "x", "--timeout", "0"], ["update", "x", "--vcpus", "0"],
                      ["invoke", "x", "--timeout", "0ms"],
                      ["list", "--limit", "0"], ["logs", "x", "--since", "0"],
                      ["kv", "put", "x", "k", "--ttl", "0"],
                      ["kv", "delete", "x", "k", "--if-version", "0"],
                      ["apikey", "create", "x", "--days", "0"],
                      ["alias", "set", "x", "prod", "1", "--second", "0"],
                      ["job", "submit", "x", "--attempts", "0"]):
            with self.subTest(words):
                self.refuses(f"{words[-2]} cannot be 0; leave it out", *words, status=2)

    def test_with_json_errors_are_json_on_stderr(self):
        self.assertEqual(self.error_of("lst", status=2)["name"], "NOVA_EINVAL")
        error = self.error_of("get", "nobody", status=1)
        self.assertEqual((error["code"], error["name"], error["outcome"]),
                         (-3, "NOVA_ENOTFOUND", "never-ran"))
        self.assertIn("nobody", error["message"])

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_program(NOVACTL, "help", stdout=full)
        self.assertEqual(done.returncode, 4)
        self.assertIn("the output could not be written: No space left on device", done.stderr)

    def test_a_configuration_that_cannot_be_understood_is_named(self):
        path = self.write("broken.yaml", "engine: [\n")
        self.assertIn("broken.yaml", self.novactl("--config", path, "list", status=1).stderr)
        self.refuses("NOVA_ENGINE", "list", environment={"NOVA_ENGINE": "warp"})
        self.novactl("--engine", "warp", "list", status=1)

    def test_the_log_is_shown_by_modules(self):
        self.register("hello", HELLO)
        for filter_, shown in (("vm=info", True), ("info,vm=error", False)):
            said = self.novactl("--no-daemon", "invoke", "hello",
                                environment={"NOVA_LOG": filter_}).stderr
            self.assertEqual(" booted on fake" in said, shown, said)
        said = self.novactl("--log-level", "vm=info", "--no-daemon", "invoke", "hello",
                            environment={"NOVA_LOG": "none"}).stderr
        self.assertIn("novactl: info: vm: ", said)
        self.refuses("NOVA_LOG: 'loud' is no filter", "list", environment={"NOVA_LOG": "loud"})

    def test_what_a_program_of_rust_says_of_its_own_log_is_not_ours(self):
        self.register("hello", HELLO)
        said = self.novactl("--no-daemon", "invoke", "hello",
                            environment={"RUST_LOG": "vm=info,host[span{x=1}]=debug"}).stderr
        self.assertNotIn(" booted on fake", said)


class Store(HomeCase):
    def test_register_prints_what_was_stored(self):
        text = self.register("hello", HELLO).stdout
        for pattern in (r"ID: +[0-9a-f-]{36}", r"Name: +hello", r"Runtime: +python",
                        r"Handler: +main\.handler", rf"Code: +{re.escape(str(HELLO))}",
                        r"Memory: +128 MB", r"vCPUs: +1", r"Mode: +process", r"Min replicas: 0",
                        r"Timeout: +30 s"):
            self.assertRegex(text, rf"(?m)^{pattern}$")
        self.assertNotIn("bandwidth", text)

    def test_settings_are_listed_with_where_they_come_from(self):
        path = self.write("nova.yaml", "pool:\n  max_queue: 7\n")
        listed = {row["key"]: row for row in self.novactl_json(
            "--config", path, "config", environment={"NOVA_POOL_IDLE_TTL": "5m"})}
        for key, value, source in (("pool.max_queue", "7", "file"), ("store", "auto", "default"),
                                   ("pool.idle_ttl", "5m", "environment")):
            self.assertEqual((listed[key]["value"], listed[key]["source"]), (value, source))
        self.assertEqual(listed["pool.idle_ttl"]["variable"], "NOVA_POOL_IDLE_TTL")
        self.assertTrue(all(row["purpose"] for row in listed.values()))
        self.assertRegex(self.novactl("--home", self.home, "config").stdout,
                         r"(?m)^home +/.* +command line +NOVA_HOME$")

    def test_a_code_disk_is_taken_apart_again(self):
        image, directory = self.directory / "x.ext4", self.directory / "files"
        self.novactl("disk", "build", HELLO, "-o", image)
        self.novactl("disk", "extract", image, directory)
        self.assertEqual((directory / "handler").read_bytes(), HELLO.read_bytes())
        self.refuses("not empty", "disk", "extract", image, directory)
        self.refuses("nowhere", "disk", "extract", self.directory / "nowhere.ext4",
                     self.directory / "other")

    def test_doctor_names_the_functions_whose_code_is_damaged(self):
        for name in ("sound", "broken"):
            self.register(name, "echo 1 # " + name, "shell")
        code_hash = self.novactl_json("get", "broken")["code_hash"]

        def code():
            done = self.run_program(NOVACTL, "--json", "doctor")
            return [check for check in json.loads(done.stdout)["checks"] if check["name"] == "code"]
        self.assertEqual([check["status"] for check in code()], ["ok"])
        with open(self.home / f"disks/{code_hash}.ext4", "ab") as disk:
            disk.write(b"x")
        found = code()
        self.assertEqual([check["status"] for check in found], ["bad"])
        self.assertRegex(found[0]["detail"], "function 'broken': the code disk .* is damaged")

    def make_rootfs(self, name="root"):
        tree = self.directory / name
        for directory in ("dev", "proc", "sys", "run", "tmp", "code", "bin"):
            (tree / directory).mkdir(parents=True)
        (tree / "bin/sh").write_text(name)
        (tree / "bin/sh").chmod(0o755)
        image = self.directory / f"{name}.ext4"
        self.novactl("disk", "build", tree, "-o", image)
        return image

    def test_a_runtime_of_ones_own_is_added_used_and_removed(self):
        image, code = self.make_rootfs(), self.directory / "f.sh"
        code.write_text('echo "\\"$NOVA_RUNTIME $1\\""')
        add = ("runtime", "add", "own", "--rootfs", image, "--memory", "96", "--timeout", "90s")
        self.assertIn("argv: it is empty", self.novactl(*add, status=2).stderr)
        self.assertIn("no program '/bin/lua'",
                      self.novactl(*add, "--", "/bin/lua", "{file}", status=1).stderr)
        self.assertIn("--rootfs is required", self.novactl("runtime", "add", "x", status=2).stderr)
        made = self.novactl_json(*add, "--", "/bin/sh", "{file}", "-x")
        self.assertEqual((made["argv"], made["memory_mb"], made["timeout_s"]),
                         (["/bin/sh", "{file}", "-x"], 96, 90))
        self.assertRegex(self.novactl("runtime", "list").stdout, r"(?m)^own +own .*/bin/sh \.\.\.$")
        self.assertEqual(self.novactl_json("runtime", "show", "javascript")["name"], "node")
        self.novactl("register", "f", "-r", "own", "-c", code)
        self.assertEqual(self.novactl_json("get", "f")["memory_mb"], 96)
        self.assertEqual(self.novactl_json("invoke", "f")["output"], "own -x")
        self.assertIn("is that of f", self.novactl("runtime", "remove", "own", status=1).stderr)
        self.novactl("delete", "f")
        self.novactl("runtime", "remove", "own")
        self.assertIn("'own' is unknown", self.novactl("runtime", "show", "own", status=1).stderr)

    def test_doctor_names_the_runtime_whose_root_filesystem_is_damaged(self):
        self.novactl("runtime", "add", "own", "--rootfs", self.make_rootfs(), "--", "/bin/sh")
        with open(next((self.home / "disks").glob("*.ext4")), "r+b") as file:
            file.seek(8192)
            file.write(b"damage")
        done = self.run_program(NOVACTL, "--json", "doctor")
        wrong = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "runtimes"]
        self.assertEqual([c["status"] for c in wrong], ["bad"])
        self.assertIn("is damaged", wrong[0]["detail"])

    def test_functions_are_listed_by_their_labels(self):
        for name, labels in (("p", ("team=a", "cost=7")), ("q", ("team=b",)), ("r", ())):
            options = [word for label in labels for word in ("--label", label)]
            self.register(name, HELLO, "python", *options)

        def listed(*words):
            return self.novactl("list", "-o", "name", *words).stdout.split()
        self.assertEqual(listed("--label", "team=a"), ["p"])
        self.assertEqual(listed("-l", "team"), ["p", "q"])
        self.assertEqual(listed("-l", "team", "--label", "cost=7"), ["p"])
        self.assertEqual(listed("-l", "team=c"), [])
        self.assertEqual(listed(), ["p", "q", "r"])
        self.assertIn("not of the form key=value", self.novactl("list", "-l", "=", status=2).stderr)

    def test_every_limit_can_be_given(self):
        self.environment["NOVA_ENGINE"] = "firecracker"  # fake refuses them
        text = self.register(
            "big", HELLO, "python", "--memory", 512, "--vcpus", 2, "--timeout", 120,
            "--disk-iops", 1000, "--disk-bandwidth", 10485760,
            "--net-rx-bandwidth", 5242880, "--net-tx-bandwidth", "5M",
            "--min-replicas", 1, "-e", "A=1", "--env", "B=x=y", "--init-timeout", 45,
            "--label", "team=a", "--label", "cost-center=7", "--check", "never").stdout
        for line in ("Memory:     512 MB", "Timeout:    120 s", "vCPUs:      2", "Min replicas: 1",
                     "Disk IOPS:  1000 operations/s", "Disk bandwidth: 10485760 bytes/s",
                     "Net RX bandwidth: 5242880 bytes/s", "Net TX bandwidth: 5242880 bytes/s",
                     "Env:        A=1", "Env:        B=x=y", "Init timeout: 45 s",
                     "Label:      cost-center=7", "Label:      team=a"):
            self.assertIn(line + "\n", text)
        stored = self.novactl_json("get", "big")
        self.assertEqual((stored["memory_mb"], stored["timeout_s"], stored["limits"]["vcpus"]),
                         (512, 120, 2))
        self.assertEqual(stored["limits"]["net_tx_bandwidth"], 5242880)
        self.assertEqual((stored["init_timeout_s"], stored["labels"]),
                         (45, {"cost-center": "7", "team": "a"}))

    def test_sizes_have_units(self):
        self.environment["NOVA_ENGINE"] = "firecracker"  # fake refuses limits
        sizes = {"512": 512, "512M": 512, "0.5G": 512, "1.25GiB": 1280}
        for number, (memory, mb) in enumerate(sizes.items()):
            self.register(f"f{number}", HELLO, "python", "--memory", memory,
                          "--disk-bandwidth", "0.5M", "--check", "never")
            stored = self.novactl_json("get", f"f{number}")
            self.assertEqual(stored["memory_mb"], mb)
            self.assertEqual(stored["limits"]["disk_bandwidth"], 524288)

    def test_a_function_is_looked_at_before_it_is_stored(self):
        wrong = self.write("wrong.py", "def handler(event):\n    return 1\nimport no_such_module\n")
        self.refuses("ModuleNotFoundError: No module named 'no_such_module' (handler, line 3)",
                     "register", "wrong", "-r", "python", "-c", wrong, status=3)
        self.novactl("get", "wrong", status=1)
        self.refuses("did you mean 'handler'?",
                     "register", "w", "-r", "python", "-c", HELLO, "-H", "main.hanlder", status=3)
        self.novactl("register", "wrong", "-r", "python", "-c", wrong, "--check", "never")
        self.refuses("'sometimes' is not auto",
                     "register", "w", "-r", "python", "-c", HELLO, "--check", "sometimes", status=2)
        shown = self.register("aws", "def lambda_handler(e, c): return 1\n").stdout
        self.assertRegex(shown, r"(?m)^Handler: +main.lambda_handler$")
        self.assertRegex(shown, r"(?m)^State: +each call begins with the module as imported$")

    def test_a_function_can_keep_its_state_between_calls(self):
        counter = self.write("counter.py",
                             "n = 0\ndef handler(event):\n    global n\n    n += 1\n    return n\n")
        shown = self.novactl("register", "counter", "-r", "python", "-c", counter,
                             "--in-place").stdout
        self.assertRegex(shown, r"(?m)^Mode: +in place$")
        self.assertRegex(shown, r"(?m)^State: +kept between calls of a VM$")
        self.novactl("register", "f", "-r", "shell", "-c", self.write("f.sh", "echo 1"),
                     "--in-place", status=2)

    def test_list_has_five_shapes(self):
        self.assertIn("no function yet", self.novactl("list").stderr)
        self.assertEqual(self.novactl_json("list"), [])
        self.register("one", HELLO)
        self.register("two", HELLO)
        self.assertRegex(self.novactl("ls").stdout,
                         r"^NAME +RUNTIME +HANDLER +MEMORY +TIMEOUT +VERSION\n"
                         r"one +python +main\.handler +128 MB +30 s +1\ntwo ")
        self.assertIn("HASH", self.novactl("list", "-o", "wide").stdout.splitlines()[0])
        self.assertEqual(self.novactl("list", "-o", "name").stdout, "one\ntwo\n")
        self.assertEqual([f["name"] for f in self.novactl_json("list")], ["one", "two"])
        self.assertEqual(json.loads(self.novactl("list", "-o", "json").stdout),
                         self.novactl_json("list"))
        self.assertRegex(self.novactl("list", "--output=yaml").stdout,
                         r"(?m)^- .*\n(  .*\n)*  name: one$|^- name: one$")

    def test_get_shows_one_function_in_three_shapes(self):
        self.register("hello", HELLO)
        self.assertRegex(self.novactl("get", "hello").stdout, r"(?m)^Code hash: +[0-9a-f]{64}$")
        self.assertRegex(self.novactl("get", "hello", "-o", "yaml").stdout, r"(?m)^name: hello$")
        self.assertEqual(self.novactl_json("get", "hello")["runtime"], "python")

    def test_a_rate_is_set_kept_to_and_lifted(self):
        self.register("hello", HELLO, "python", "--rate", "1", "--rate-period", "24h")
        self.assertRegex(self.novactl("get", "hello").stdout,
                         r"(?m)^Rate: +1 calls\nRate period: +86400000 ms$")
        made = self.novactl_json("update", "hello", "--rate-burst", "2")
        self.assertEqual((made["limits"]["rate_burst"], made["version"]), (2, 1))
        error = self.error_of("update", "hello", "--reset", "rate", status=2)
        self.assertIn("rate_burst is given, but there is no rate", error["message"])
        self.novactl("update", "hello", "--reset", "rate", "--reset", "rate_period_ms",
                     "--reset", "rate_burst")
        self.assertNotIn("Rate", self.novactl("get", "hello").stdout)

    def test_what_is_updated_to_0_is_0(self):
        self.environment["NOVA_ENGINE"] = "firecracker"  # fake refuses limits
        self.register("hello", HELLO, "python", "--rate", "5", "--rate-period", "60s",
                      "--rate-burst", "9", "--min-replicas", "2", "--init-timeout", "45",
                      "--disk-iops", "100", "--net-rx-bandwidth", "1M", "--check", "never")
        made = self.novactl_json("update", "hello", "--rate-burst", "0", "--check", "never")
        self.assertEqual((made["limits"]["rate"], made["limits"]["rate_burst"]), (5, 0))
        made = self.novactl_json(
            "update", "hello", "--rate", "0", "--min-replicas", "0", "--init-timeout", "0",
            "--disk-iops", "0", "--memory", "256", "--check", "never")
        limits = made["limits"]
        self.assertEqual((limits["rate"], limits["rate_period_ms"], limits["disk_iops"]), (0, 0, 0))
        self.assertEqual((made["min_replicas"], made["init_timeout_s"]), (0, 0))
        self.assertEqual((made["memory_mb"], limits["net_rx_bandwidth"]), (256, 1 << 20))

    def test_delete_forgets_the_function(self):
        self.register("one", HELLO)
        self.register("two", HELLO)
        self.assertEqual(self.novactl_json("rm", "one"), {"deleted": ["one"]})
        self.assertEqual(self.error_of("delete", "one", status=1)["name"], "NOVA_ENOTFOUND")
        self.novactl("delete", "--force", "one")
        self.assertEqual([f["name"] for f in self.novactl_json("list", "--after", "a", "-n", "1")],
                         ["two"])
        # What can be deleted is, even if another name is wrong.
        self.novactl("delete", "wrong", "two", status=1)
        self.assertEqual(self.novactl_json("list"), [])

    def test_versions_are_published_named_and_rolled_back(self):
        self.register("f", HELLO)
        self.assertEqual(self.novactl_json("version", "publish", "f")["version"], 1)
        self.assertEqual(self.novactl_json("update", "f", "--memory", "200")["memory_mb"], 200)
        self.assertEqual(self.novactl_json("version", "publish", "f")["version"], 2)
        self.novactl("update", "f", "--reset", "memory_mb")
        self.assertEqual(self.novactl_json("get", "f")["memory_mb"], 128)
        made = self.novactl_json("alias", "set", "f", "prod", "2", "--second", "1",
                                 "--weight", "10")
        self.assertEqual((made["version"], made["second"], made["weight"]), (2, 1, 10))
        self.assertEqual(self.novactl_json("alias", "rollback", "f", "prod")["version"], 1)
        self.assertEqual(self.novactl_json("get", "f:prod")["version"], 1)
        shown = self.novactl_json("get", "-v", "f")
        self.assertEqual([v["memory_mb"] for v in shown["versions"]], [128, 200])
        self.assertEqual([a["name"] for a in shown["aliases"]], ["prod"])
        self.assertIn("Published", self.novactl("get", "--versions", "f").stdout)
        self.assertIn("prod", self.novactl("alias", "list", "f").stdout)
        self.assertEqual(len(self.novactl_json("version", "list", "f")), 2)
        self.assertEqual(self.error_of("version", "delete", "f", "1", status=1)["name"],
                         "NOVA_EBUSY")
        self.novactl("version", "delete", "f", "x", status=2)
        self.novactl("alias", "rollback", "f", "prod", status=1)
        self.assertEqual(self.novactl_json("alias", "delete", "f", "prod"), {"deleted": ["prod"]})
        self.assertEqual(self.novactl_json("version", "delete", "f", "1"), {"deleted": ["f:1"]})
        self.assertEqual(self.error_of("rm", "f", status=1)["name"], "NOVA_EBUSY")
        self.novactl("rm", "--force", "f")
        self.novactl("version", status=0)

    def test_a_secret_is_read_from_stdin_or_a_file_and_never_shown(self):
        keys, value = self.directory / "keys", self.directory / "value"
        self.assertIn("secret key FILE", self.error_of(
            "secret", "set", "db", stdin="x", status=1)["message"])
        self.assertEqual(self.novactl_json("secret", "key", keys), {"file": str(keys)})
        self.environment["NOVA_SECRET_KEY_FILE"] = str(keys)
        self.assertEqual(self.novactl_json("secret", "set", "db", stdin="hunter-two\n"),
                         {"set": "db"})
        value.write_bytes(b"two\nlines\r\n")
        self.novactl("secret", "set", "other", "--file", value)
        shown = self.novactl("secret", "list").stdout
        self.assertNotIn("hunter", shown)
        listed = self.novactl_json("secret", "list")
        self.assertEqual([s["name"] for s in listed], ["db", "other"])
        self.assertIn(listed[0]["key_id"], shown)
        self.novactl("secret", "key", keys)
        self.assertEqual(self.novactl_json("secret", "rotate"), {"rotated": 2})
        self.assertEqual(self.novactl_json("secret", "rotate"), {"rotated": 0})
        self.assertEqual(self.novactl_json("secret", "delete", "db", "other"),
                         {"deleted": ["db", "other"]})
        self.novactl("secret", "delete", "db", status=1)
        self.novactl("secret", "set", "db", "hunter-two", status=2)
        self.assertEqual(self.error_of("secret", "set", "x", stdin="\0", status=2)["name"],
                         "NOVA_EINVAL")
        self.assertIn("65536", self.error_of("secret", "set", "x", stdin="x" * 100000,
                                             status=1)["message"])

    def test_of_a_value_only_the_end_of_its_last_line_is_cut(self):
        keys, longest = self.directory / "keys", "x" * 65536
        self.novactl("secret", "key", keys)
        self.environment["NOVA_SECRET_KEY_FILE"] = str(keys)
        for end in ("", "\n", "\r\n"):
            self.novactl("secret", "set", "long", stdin=longest + end)
        for end in ("\r", "\n\n", "\r\nx", "\r\r\n"):
            self.assertIn("65536", self.error_of("secret", "set", "long", stdin=longest + end,
                                                 status=1)["message"])

    def typed(self, text, status, number=None):
        """What is shown when a value is typed on a terminal, or a signal comes instead."""
        master, slave = pty.openpty()
        process = self.start_program(NOVACTL, "secret", "set", "typed", stdin=slave, stderr=slave)
        shown = b""
        while b"Value: " not in shown:
            shown += os.read(master, 4096)
        self.assertFalse(termios.tcgetattr(slave)[3] & termios.ECHO)
        if number:
            process.send_signal(number)
        else:
            os.write(master, text)
        process.communicate(timeout=20)
        self.assertTrue(termios.tcgetattr(slave)[3] & termios.ECHO)
        os.close(slave)
        with contextlib.suppress(OSError):  # EIO: that was all, which comes piece by piece
            while True:
                shown += os.read(master, 65536)
        os.close(master)
        self.assertEqual(process.returncode, status, shown)
        return shown.decode()

    def test_a_value_that_is_typed_is_one_whole_line_and_not_shown(self):
        keys = self.directory / "keys"
        self.novactl("secret", "key", keys)
        self.environment["NOVA_SECRET_KEY_FILE"] = str(keys)
        shown = self.typed(b"hunter-two\n", 0)
        self.assertIn("Set typed.", shown)
        self.assertNotIn("hunter", shown)
        before = self.novactl_json("secret", "list")
        self.assertIn("no value was typed", self.typed(b"\x04", 1))
        self.assertIn("one whole line", self.typed(b"half\x04", 1))
        self.assertIn("one whole line", self.typed(b"one\ntwo\n", 1))
        self.assertIn("one whole line", self.typed(b"one\ntwo", 1))
        self.assertIn("longer than a terminal", self.typed(b"x" * 4096 + b"\n", 1))
        for number in (signal.SIGINT, signal.SIGTERM):
            self.typed(b"", -number, number)
        self.assertEqual(self.novactl_json("secret", "list"), before)

    def test_a_key_is_shown_once_and_can_be_revoked(self):
        text = self.novactl("apikey", "create", "ci", "--days", "1").stdout
        self.assertRegex(text, r"\Anova_[0-9a-f]{40}\n\Z")
        made = self.novactl_json("apikey", "create", "other", "--tier", "gold")
        self.assertTrue(made["key"].startswith(made["prefix"]))
        listed = self.novactl_json("apikey", "list")
        self.assertEqual([(k["name"], k["tier"], k["state"]) for k in listed],
                         [("ci", "default", "valid"), ("other", "gold", "valid")])
        self.assertNotIn(text.strip(), str(listed))
        self.assertEqual(self.novactl_json("apikey", "revoke", "ci"), {"revoked": ["ci"]})
        self.assertIn("revoked", self.novactl("apikey", "list").stdout)
        self.assertEqual(self.error_of("apikey", "create", "ci", status=1)["name"], "NOVA_EEXIST")
        self.assertEqual(self.novactl_json("apikey", "delete", "ci", "other"),
                         {"deleted": ["ci", "other"]})
        self.novactl("apikey", "revoke", "ci", status=1)

    def test_a_name_that_is_taken_needs_replace(self):
        self.register("hello", HELLO)
        self.register("hello", HELLO)
        self.assertEqual(self.error_of("register", "hello", "-r", "python", "-c", HELLO, "-m", 256,
                                       status=1)["name"], "NOVA_EEXIST")
        self.assertRegex(self.novactl("register", "hello", "-r", "python", "-c", HELLO, "-m", 256,
                                      "--replace").stdout, r"Version: +2")

    def test_bad_runtime_and_missing_code_are_named(self):
        self.refuses("pyton", "register", "x", "-r", "pyton", "-c", HELLO, status=2)
        error = self.error_of("register", "x", "-r", "python", "-c", "/nowhere/code.py", status=1)
        self.assertEqual(error["name"], "NOVA_ENOTFOUND")
        self.assertIn("/nowhere/code.py", error["message"])
        self.assertEqual(self.novactl_json("list"), [])

    def test_home_can_be_given_before_and_behind_the_command(self):
        other = self.directory / "other"
        self.register("hello", HELLO)
        self.assertEqual(self.novactl_json("--home", other, "list"), [])
        self.assertEqual(self.novactl_json("list", "--home", other), [])
        self.assertEqual(len(self.novactl_json("list", "--home", self.home)), 1)

    def test_a_damaged_store_is_an_error_and_is_left_alone(self):
        self.register("hello", HELLO)
        database = next(path for path in self.home.rglob("*")
                        if path.is_file() and path.read_bytes().startswith(b"SQLite format 3"))
        database.write_bytes(b"this is no database" * 1000)
        error = self.error_of("list", status=1)
        self.assertEqual(error["name"], "NOVA_ECORRUPT")
        self.assertIn(database.name, error["message"])
        self.assertTrue(database.read_bytes().startswith(b"this is no database"))


class Disks(HomeCase):
    def test_disk_build_writes_an_image_that_is_always_the_same(self):
        one, two = self.directory / "one.ext4", self.directory / "two.ext4"
        self.assertEqual(self.novactl_json("disk", "build", HELLO, "-o", one)["image"], str(one))
        self.novactl("disk", "build", "-o", two, HELLO)
        self.assertEqual(one.read_bytes(), two.read_bytes())
        self.assertEqual(one.stat().st_size, 16 << 20)
        self.novactl("disk", "build", HELLO, "-o", two, "--size", "32M", "--label", "mine")
        self.assertEqual(two.stat().st_size, 32 << 20)
        self.assertIn(b"mine", two.read_bytes()[1024:2048])

    def test_disk_build_of_nothing_leaves_nothing(self):
        image = self.directory / "none.ext4"
        self.assertEqual(self.error_of("disk", "build", "/nowhere/at/all", "-o", image,
                                       status=1)["name"], "NOVA_ENOTFOUND")
        self.assertEqual(list(self.directory.glob("none*")), [])

    def test_image_kernel_refuses_what_is_no_kernel(self):
        out = self.directory / "vmlinux"
        self.assertEqual(self.error_of("image", "kernel", HELLO, "-o", out, status=1)["name"],
                         "NOVA_ECORRUPT")
        self.assertFalse(out.exists())

    def test_image_check_says_which_command_makes_images(self):
        empty = self.directory / "images"
        empty.mkdir()
        error = self.error_of("image", "check", status=1, environment={"NOVA_IMAGES": str(empty)})
        self.assertEqual(error["name"], "NOVA_ENOTFOUND")
        self.assertIn("tools/images", error["message"])


class Prepare(HomeCase):
    def test_where_there_are_no_templates_it_says_so_and_succeeds(self):
        done = self.novactl("template", "prepare", "python")
        self.assertEqual(done.stderr,
                         "No template of python is made: the engine fake has no templates\n")
        self.assertEqual(done.stdout, "")
        self.assertEqual(self.novactl("-q", "template", "prepare").stderr, "")
        self.assertEqual(self.novactl_json("template", "prepare"), {"prepared": []})

    def test_a_runtime_that_there_is_not_is_a_mistake(self):
        self.assertIn("did you mean 'python'?",
                      self.novactl("template", "prepare", "pyton", status=2).stderr)

    @unittest.skipUnless(shutil.which("qemu-system-x86_64"), "there is no QEMU")
    def test_without_images_only_those_asked_for_are_missed(self):
        environment = {"NOVA_ENGINE": "qemu", "NOVA_IMAGES": str(self.directory / "none")}
        done = self.novactl("template", "prepare", environment=environment)
        self.assertEqual(done.stderr.count("tools/images"), 4, done.stderr)
        done = self.novactl("template", "prepare", "node", status=1, environment=environment)
        self.assertIn("make them with: tools/images --dir", done.stderr)


    @unittest.skipUnless(shutil.which("qemu-system-x86_64"), "there is no QEMU")
    def test_registering_without_the_image_tells_the_command_that_makes_it(self):
        environment = {"NOVA_ENGINE": "qemu", "NOVA_IMAGES": str(self.directory / "none")}
        for runtime, code in (("python", HELLO), ("node", FUNCTIONS / "node/hello.mjs"),
                              ("shell", FUNCTIONS / "shell/hello.sh")):
            done = self.novactl("register", "f", "-r", runtime, "-c", code, "--replace",
                                environment=environment)
            self.assertRegex(done.stderr, "'f' is stored, but cannot be called yet: .*"
                                          "make them with: tools/images --dir")


class Snapshots(HomeCase):
    def put(self, identity, name, life_time_s=0, engine="qemu", size=4096, **more):
        """A snapshot as the library would have left it.

        Its files are not looked at by list, delete and prune.
        """
        directory = self.home / "snapshots" / identity
        directory.mkdir(parents=True)
        for file in ("memory", "state"):
            (directory / file).write_bytes(b"x" * size)
        sums = {"size": size, "sha256": "0" * 64}
        manifest = {"format": 2, "id": identity, "base": "", "name": name, "created_us": 1_000_000,
                    "life_time_s": life_time_s, "engine": engine, "engine_identity": "another",
                    "rootfs": "", "rootfs_identity": "", "code_disk": "", "code_identity": "",
                    "memory_mb": 128, "vcpus": 1, "has_function": True,
                    "memory": {**sums, "size": 128 << 20}, "pages": None, "state": sums, **more}
        (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return directory

    def test_snapshots_and_templates_are_listed_apart(self):
        self.assertEqual(self.novactl_json("snapshot", "list"), [])
        self.assertEqual(self.novactl_json("template", "list"), [])
        self.put("a" * 16, "mine")
        self.put("b" * 16, "template:" + "b" * 16)
        snapshot, = self.novactl_json("snapshot", "list")
        self.assertEqual((snapshot["name"], snapshot["id"], snapshot["created_us"]),
                         ("mine", "a" * 16, 1_000_000))
        self.assertGreaterEqual(snapshot["disk_bytes"], 8192)
        self.assertEqual([t["name"] for t in self.novactl_json("template", "list")],
                         ["template:" + "b" * 16])
        self.assertRegex(self.novactl("snapshot", "list").stdout,
                         r"(?m)^mine +a{16} +a function +0\.0 MB +1970-01-01T00:00:01Z "
                         r"+20[0-9T:-]+Z +- +- +-$")
        self.assertGreater(snapshot["used_us"], snapshot["created_us"])

    def test_templates_are_counted_against_their_limit_and_deleted_by_id(self):
        kept, template = self.put("a" * 16, "mine"), self.put("b" * 16, "template:" + "b" * 16)
        self.put("c" * 16, "template:" + "c" * 16, size=3_000_000)
        done = self.novactl("template", "list", environment={"NOVA_POOL_TEMPLATES_DISK": "1G"})
        self.assertRegex(done.stderr, r"^2 take 6\.\d MB of at most 1074 MB\.\n$")
        done = self.run_program(NOVACTL, "--json", "doctor",
                                environment={"NOVA_POOL_TEMPLATES_DISK": "1"})
        found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        self.assertEqual(found["templates"]["status"], "warn")
        self.assertIn("of at most 1 MB", found["templates"]["detail"])
        self.assertIn("pool.templates_disk", found["templates"]["advice"])
        error = self.error_of("template", "delete", "a" * 16, status=1)
        self.assertEqual(error["name"], "NOVA_ENOTFOUND")
        self.novactl("template", "delete", "b" * 16, "template:" + "c" * 16)
        self.assertEqual((kept.exists(), template.exists()), (True, False))

    def put_branch(self, letter, parent=""):
        """One that can be opened: memory that is all zero, and files whose checksums are right."""
        state = b"x" * 4096
        sums = {"size": len(state), "sha256": hashlib.sha256(state).hexdigest()}
        directory = self.put(letter * 16, "branch-" + letter, parent=parent and parent * 16,
                             memory_mb=32, state=sums,
                             memory={"size": 32 << 20, "sha256": hashlib.sha256(b"").hexdigest()})
        os.truncate(directory / "memory", 0)
        os.truncate(directory / "memory", 32 << 20)

    def test_the_tree_of_branches_is_shown_and_checked_before_a_merge(self):
        for letter, parent in ("a", ""), ("b", "a"), ("c", "b"), ("d", ""), ("e", "f"):
            self.put_branch(letter, parent)
        parents = [snapshot["parent"] for snapshot in self.novactl_json("snapshot", "list")]
        self.assertEqual(parents.count("a" * 16), 1)
        self.assertRegex(self.novactl("snapshot", "list").stdout, r"(?m)^branch-c .* b{16} +-$")
        self.refuses("'branch-d' does not descend from 'branch-a'",
                     "snapshot", "merge", "branch-a", "branch-c", "branch-d")
        self.refuses("'branch-a' does not descend from 'branch-b'",
                     "snapshot", "merge", "b" * 16, "a" * 16)
        # These may be branches; what stands in the way then is that no VM has made them.
        for branch in "branch-c", "branch-e":
            done = self.novactl("snapshot", "merge", "branch-a", branch, status=1)
            self.assertIn("does not fit any more", done.stderr)
            self.assertEqual("cannot be seen" in done.stderr, branch == "branch-e")

    def test_a_merge_that_cannot_be_is_refused(self):
        self.refuses("--on-conflict 'last'",
                     "snapshot", "merge", "a", "b", "--on-conflict", "last", status=2)
        self.refuses("--output 'xml'", "snapshot", "merge", "a", "b", "-o", "xml", status=2)
        self.novactl("snapshot", "merge", "a", status=2)
        error = self.error_of("snapshot", "merge", "none", "b", status=1)
        self.assertEqual(error["name"], "NOVA_ENOTFOUND")

    def test_delete_takes_names_and_ids_and_tries_every_one(self):
        one, two = self.put("a" * 16, "one"), self.put("b" * 16, "two")
        done = self.novactl("--json", "snapshot", "delete", "none", "one", "b" * 16, status=1)
        self.assertEqual(json.loads(done.stdout)["deleted"], ["one", "b" * 16])
        self.assertIn("none", json.loads(done.stderr)["error"]["message"])
        self.assertFalse(one.exists() or two.exists())

    def test_prune_deletes_what_is_over_and_nothing_else(self):
        old, kept = self.put("a" * 16, "old", life_time_s=5), self.put("b" * 16, "kept")
        self.assertEqual(self.novactl_json("snapshot", "prune"), {"pruned": 1})
        self.assertEqual((old.exists(), kept.exists()), (False, True))

    def test_a_template_that_fits_no_more_is_pruned_and_snapshots_stay(self):
        snapshot, template = self.put("a" * 16, "mine"), self.put("b" * 16, "template:" + "b" * 16)
        self.assertEqual(self.novactl("template", "prune").stderr, "Deleted 1 template.\n")
        self.assertEqual((snapshot.exists(), template.exists()), (True, False))
        self.assertEqual(self.novactl_json("template", "prune", "--all"), {"pruned": 0})

    def test_a_template_in_use_is_not_pruned(self):
        template = self.put("b" * 16, "template:" + "b" * 16)
        with open(template / "memory", "rb") as memory:
            fcntl.flock(memory, fcntl.LOCK_SH)
            self.assertEqual(self.novactl_json("template", "prune", "--all"), {"pruned": 0})
        self.assertEqual(self.novactl_json("template", "prune", "--all"), {"pruned": 1})

    def test_an_engine_without_snapshots_builds_no_template(self):
        self.register("hello", HELLO)
        error = self.error_of("template", "build", "hello", status=1)
        self.assertEqual(error["name"], "NOVA_ENOTSUP")
        self.assertIn("fake", error["message"])


if __name__ == "__main__":
    unittest.main()
