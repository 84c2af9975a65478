# SPDX-License-Identifier: MIT
"""A property that does not exist, added to a copy of the tree as a developer would: a row of the
table, a member of the config, a member of the options. Everything else has to follow from it."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys

import headers
import properties

_OPTIONS = ("include/nova/function.h", "} nova_function_opts;",
            "\tuint32_t made_up; /**< 1 to 9; 0: 3 */\n")
_MEMBER = ("lib/property/property.h", "\tuint32_t min_replicas;\n", "\tuint32_t made_up;\n")
_ROW = ("lib/property/table.c", "\t/* Of a machine only", """\t{
		.is = { PUBLIC(made_up), .type = NOVA_PROPERTY_U32, .least = 1, .most = 9,
			.standard = 3, .since = "0.1", .label = "Made up", .option = "made-up",
			.letter = "", .value = "N", .help = "how much it is made up" },
		OF_FUNCTION(made_up), .json = "made_up", .schema = %d,
	},
""")
# What holds a config or options by value, and so has to be compiled anew.
_HOLDERS = re.compile(r"function_config|FUNCTION_CONFIG|function_record|nova_function_opts|"
                      r'FUNCTION_OPTS|^#include "(platform|registry|store)/', re.M)
_COMPILED = ("lib/libnova-core.a.p/", "tools/novactl.p/")
_FASTER = ["-O0", "-g0", "-w"]


def _run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Copy:
    """The tree with the property, and a build of what it changes."""

    def __init__(self, root, build, folder):
        self.root, self.original = pathlib.Path(folder), pathlib.Path(build)
        self.build = self.root / "build"
        for name in ("include", "lib", "tools", "bindings/python/nova", "docs"):
            shutil.copytree(root / name, self.root / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        self._add(_OPTIONS)
        self._add(_MEMBER)
        table = (self.root / _ROW[0]).read_text(encoding="utf-8")
        steps = (self.root / "lib/store/sql/schema.c").read_text(encoding="utf-8")
        newest = max(int(number) for number in re.findall(r"\.schema = (\d+)", table)
                     + re.findall(r"^\t/\* (\d+) \*/$", steps, re.M))
        self._add((_ROW[0], _ROW[1], _ROW[2] % (newest + 1)))

    def _add(self, change):
        name, before, text = change
        path = self.root / name
        old = path.read_text(encoding="utf-8")
        assert old.count(before) == 1, f"{name}: '{before.strip()}' is not there once"
        path.write_text(old.replace(before, text + before), encoding="utf-8")

    def _compile(self, entry):
        words = [word for word in shlex.split(entry["command"]) if word != "ccache"]
        _run(words[:-1] + _FASTER + words[-1:], cwd=self.build)

    def _link(self, target, anew):
        """By the command of the build, with its objects but for those that were compiled anew."""
        commands = _run(["ninja", "-C", self.original, "-t", "commands", target])
        command = shlex.split(commands.splitlines()[-1])
        archives = [word for word in command if word.endswith(".a")]  # thin ones name their objects
        for word in command + [word + ".p" for word in archives]:
            ours = word.endswith((".o", ".a", ".a.p")) and word[0] != "/"
            if ours and word not in anew:
                (self.build / word).parent.mkdir(parents=True, exist_ok=True)
                (self.build / word).symlink_to(self.original / word)
        _run(command, cwd=self.build)

    def compile(self):
        entries = json.loads((self.original / "compile_commands.json").read_text(encoding="utf-8"))
        anew = {}
        for entry in entries:
            output, source = entry["output"], (self.build / entry["file"]).resolve()
            if output.startswith(_COMPILED) and _HOLDERS.search(source.read_text(encoding="utf-8")):
                anew[output] = entry
                (self.build / output).parent.mkdir(parents=True, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(self._compile, anew.values()))
        library = (self.original / "lib/libnova.so").resolve().name
        for name in ("libnova.so.0", "libnova.so"):
            (self.build / "lib" / name).symlink_to(library)
        for name in ("module", "nova-keeper"):
            (self.build / "lib" / name).symlink_to(self.original / "lib" / name)
        self._link(f"lib/{library}", anew)
        self._link("tools/novactl", anew)

    def generate(self):
        """As a developer does after a change."""
        tables = {headers.TABLES: headers.python_tables(self.root)}
        for name, text in {**tables, **properties.made(self.root, self.build)}.items():
            (self.root / name).write_text(text, encoding="utf-8")

    # --- use ---

    def environment(self):
        # Meson's tests are given the path of the other library.
        outer = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        return {**outer, "NOVA_HOME": str(self.root / "home"), "NOVA_ENGINE": "fake",
                "NOVA_LIBRARY": str(self.build / "lib/libnova.so"),
                "PYTHONPATH": str(self.root / "bindings/python")}

    def novactl(self, *words, build=None):
        return _run([(build or self.build) / "tools/novactl", *words], env=self.environment(),
                    cwd=self.root)

    def python(self, program):
        return _run([sys.executable, "-B", "-c", "import nova\nplatform = nova.open()\n" + program],
                    env=self.environment())

    def column(self):
        """{name of a function: value} in the database."""
        with sqlite3.connect(self.root / "home/nova.db") as database:
            return dict(database.execute("SELECT name, made_up FROM functions"))


def check(root, build, folder):
    copy = Copy(root, build, folder)
    (copy.root / "f.sh").write_text("true\n", encoding="utf-8")
    code = ("-r", "shell", "-c", "f.sh")
    copy.novactl("register", "old", *code, build=build)
    copy.build.mkdir()
    copy.compile()
    copy.generate()
    for name in properties.MADE:
        assert "ow much it is made up" in (copy.root / name).read_text(encoding="utf-8"), name
    text = copy.novactl("help", "register")
    assert re.search(r"--made-up N +how much it is made up, 1 to 9 \[3\]", text), text
    copy.novactl("register", "cli", *code, "--made-up", "7")
    copy.python("made = platform.register('python', runtime='shell', code=b'true', made_up=8)\n"
                "assert made.made_up == 8, made")
    copy.python("try: platform.register('wrong', runtime='shell', code=b'true', made_up=10)\n"
                "except nova.InvalidArgument as error:\n"
                "    assert 'made_up is 10; it must be 1 to 9' in str(error), error\n"
                "else: raise AssertionError('10 was taken')")
    assert copy.column() == {"old": 3, "cli": 7, "python": 8}, copy.column()
    stored = {f["name"]: f["made_up"] for f in json.loads(copy.novactl("list", "--json"))}
    assert stored == copy.column(), stored
    text = copy.novactl("get", "cli")
    assert re.search(r"(?m)^Made up: +7$", text), text
