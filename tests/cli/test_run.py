# SPDX-License-Identifier: MIT
"""novactl run: what code prints, and its status, become novactl's."""
import hashlib
import json

from novatest import BUILD, NOVACTL, HomeCase


class Run(HomeCase):
    def code(self, *words, language="shell", **named):
        return self.novactl("run", "--language", language, *words, **named)

    def test_what_code_prints_comes_as_it_is_and_nothing_is_kept_of_it(self):
        done = self.code("echo out; echo err >&2; exit 7", status=7)
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))
        self.assertEqual(self.code("printf 5").stdout, "5")
        self.assertEqual(self.code("printf '  1 a \\n\\n 2 b\\n\\n'").stdout,
                         "  1 a \n\n 2 b\n\n")
        self.assertEqual(json.loads(self.novactl("list", "--json").stdout), [])
        self.assertTrue(self.nothing_runs())

    def test_a_handler_is_called_and_what_it_returns_is_printed(self):
        code = "def handler(event):\n    print('hi')\n    return sum(event)"
        done = self.code(code, "--payload", "[1, 2]", language="python")
        self.assertEqual(done.stdout, "hi\n3\n")

    def test_code_comes_from_a_file_or_from_standard_input(self):
        path = self.write("job.py", "import sys; print(__file__[-7:], *sys.argv[1:])")
        done = self.code("-f", path, "--", "-x", "a b", language="python")
        self.assertEqual(done.stdout, "main.py -x a b\n")
        done = self.code("-", "a b", stdin='echo "$1"')
        self.assertEqual(done.stdout, "a b\n")

    def test_code_is_given_stdin_variables_and_files(self):
        data, other = self.write("data.csv", "1,2\n"), self.write("other", "x\n")
        done = self.code('cat - data.csv renamed; echo "$WHO"; cat "$NOVA_INPUT"',
                         "--stdin", "-", "--file", data, "--file", f"renamed={other}",
                         "-e", "WHO=me", "-p", "[7]", stdin="in\n")
        self.assertEqual(done.stdout, "in\n1,2\nx\nme\n[7]")

    def test_the_status_tells_how_code_ended_and_when_it_could_not_run(self):
        cases = [
            (124, "timeout after 300 ms", ("sleep 100000", "-t", "300ms"), "shell"),
            (137, "signal 9", ("kill -9 $$",), "shell"),
            (1, "SyntaxError", ("def f(:",), "python"),
            (1, "ZeroDivisionError", ("1/0",), "python"),
            (1, "6291456", ("head -c 10000000 /dev/zero",), "shell"),
            (125, "python, node, go, rust, wasm, shell, binary", ("1",), "perl"),
            (125, "empty", ("",), "shell"),
            (125, "not JSON", ("1", "-p", "{"), "shell"),
            (125, "'a/b'", ("1", "--file", "a/b=/dev/null"), "shell"),
            (125, "No such file", ("1", "--file", "/nowhere"), "shell"),
            (125, "no option --paylod", ("1", "--paylod", "1"), "shell"),
        ]
        for status, part, words, language in cases:
            self.assertIn(part, self.code(*words, language=language, status=status).stderr)
        self.refuses("needs --language", "run", "1", status=125)
        self.refuses("needs CODE", "run", "-l", "shell", status=125)

    def test_an_image_that_is_missing_is_named_with_what_makes_it(self):
        images = self.directory / "images"
        lines = []
        for name in ("vmlinux", "initramfs.cpio"):
            (images / "kernel").mkdir(parents=True, exist_ok=True)
            (images / "kernel" / name).write_text(name)
            digest = hashlib.sha256(name.encode()).hexdigest()
            lines.append(f"{digest}  {len(name)}  kernel/{name}\n")
        kinds = {"python": "python", "javascript": "node", "wasm": "wasm", "shell": "base"}
        lines += [f"{'0' * 64}  {1 << 20}  rootfs/{image}.ext4\n" for image in kinds.values()]
        (images / "MANIFEST").write_text("".join(lines))
        code = self.write("module.wat", '(module (func (export "_start")))')
        for language, image in kinds.items():
            done = self.code("-f", code, "--json", language=language, status=125, environment={
                "NOVA_ENGINE": "qemu", "NOVA_IMAGES": str(images)})
            error = json.loads(done.stderr)["error"]
            self.assertEqual((error["name"], error["outcome"]), ("NOVA_ENOTFOUND", "never-ran"))
            self.assertRegex(error["message"],
                             rf"{image}.ext4' is missing; .*tools/images.* {image}$")

    def test_the_example_runs_several_languages(self):
        done = self.run_program(BUILD / "examples/run")
        self.assertEqual((done.stdout, done.stderr), ("python: 10\nshell: 2\n", ""))

    def test_with_json_the_whole_result_is_one_object(self):
        result = json.loads(self.code("--json", "echo 5; echo why >&2").stdout)
        self.assertEqual((result["output"], result["stderr"], result["exit_code"]),
                         (5, "why\n", 0))
        failed = self.run_program(NOVACTL, "run", "-l", "shell", "--json", "exit 3")
        self.assertEqual((failed.returncode, json.loads(failed.stdout)["exit_code"]), (3, 3))
        self.assertEqual(json.loads(failed.stderr)["error"]["outcome"], "ran")
