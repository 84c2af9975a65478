# SPDX-License-Identifier: MIT
"""The functions of functions.json, and the programs that are compiled of them."""
import fcntl
import json
import os
import shutil
import subprocess
import typing
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from novatest import BUILD

HERE = Path(__file__).resolve().parent
MADE = BUILD / "corpus"

# What compiles a language, and the packages that have it.
COMPILERS = {
    "go": ("go", "golang-go"),
    "rust": ("rustc", "rustc"),
    "c": ("cc", "gcc"),
    ".c": ("clang", "clang lld"),
    ".wat": ("wat2wasm", "wabt"),
    "node": ("node", "nodejs"),  # runs it here
}


class Function(typing.NamedTuple):
    path: str
    """Of its code, below this directory: python/invoice.py."""
    entry: typing.Dict[str, typing.Any]

    @property
    def language(self):
        return self.path.split("/", maxsplit=1)[0]

    @property
    def runtime(self):
        return "binary" if self.language == "c" else self.language

    @property
    def name(self):
        return self.path.split(".", maxsplit=1)[0].replace("/", "-").replace("_", "-")

    @property
    def is_called(self):
        """By an interpreter that has imported it; else it is run."""
        return self.language in ("python", "node") and not self.entry.get("script")

    @property
    def code(self):
        """What is registered."""
        if self.language in ("go", "rust", "c"):
            return MADE / self.language / Path(self.path).stem
        if self.language == "wasm":
            return MADE / "wasm" / f"{Path(self.path).stem}.wasm"
        return HERE / self.path

    def wheels(self):
        """Of the packages that it requires."""
        return [make_wheel(name) for name in self.entry.get("packages", ())]

    def missing(self):
        """What would have to be installed to try it, or ""."""
        kinds = [self.language, Path(self.path).suffix if self.language == "wasm" else ""]
        kinds += ["node"] if self.language == "wasm" else []
        for program, package in (COMPILERS[kind] for kind in kinds if kind in COMPILERS):
            if not shutil.which(program):
                return f"there is no {program}: install {package}"
        return ""

    def compiler(self):
        """The command that makes the code of the source, if one does."""
        source = HERE / self.path
        return {
            "rust": ["rustc", "--edition", "2021", "-O", "-C", "target-feature=+crt-static", "-C",
                     "strip=symbols", "-o", self.code, source],
            "c": ["cc", "-static", "-O2", "-Wall", "-Werror", "-o", self.code, source, "-lm"],
            ".c": ["clang", "--target=wasm32-wasi", "-nostdlib", "-ffreestanding", "-fno-builtin",
                   "-Oz", "-Wall", "-Werror", "-s", "-o", self.code, source],
            ".wat": ["wat2wasm", "-o", self.code, source],
        }.get(source.suffix if self.language == "wasm" else self.language)


def make_wheel(name):
    """A wheel of packages/NAME, version 1.2, in a directory of its own."""
    wheel = MADE / "wheels" / f"{name}-1.2-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as made:
        for path in sorted((HERE / "packages" / name).rglob("*.py")):
            made.write(path, path.relative_to(HERE / "packages"))
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        made.writestr(f"{info}/WHEEL",
                      "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")
    return wheel


def functions():
    entries = json.loads((HERE / "functions.json").read_text("utf-8"))
    return [Function(path, entry) for path, entry in entries.items()]


def is_newer(made, sources):
    """Whether it was made since any file of these directories was changed."""
    times = [path.stat().st_mtime for path in sources.rglob("*")]
    return made.exists() and made.stat().st_mtime > max(times)


def run(command, **environment):
    done = subprocess.run(command, cwd=HERE / "go", env={**os.environ, **environment}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}")


def compile_go(wanted):
    """All at once: they share what they import."""
    if wanted and not all(is_newer(function.code, HERE / "go") for function in wanted):
        run(["go", "build", "-o", f"{MADE}/go/", *(f"./{Path(f.path).name}" for f in wanted)],
            CGO_ENABLED="0", GOOS="linux", GOARCH="amd64", GO111MODULE="on", GOFLAGS="")


def compile_one(function):
    if not is_newer(function.code, HERE / function.language):
        run(function.compiler())


def compile_all(wanted):
    """Compiles what has no compiled form yet, in parallel; a second process waits."""
    wanted = [function for function in wanted if not function.missing()]
    for language in ("go", "rust", "c", "wasm"):
        (MADE / language).mkdir(parents=True, exist_ok=True)
    with open(MADE / ".lock", "w", encoding="ascii") as lock, \
            ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        programs = [pool.submit(compile_one, function) for function in wanted
                    if function.compiler()]
        compile_go([function for function in wanted if function.language == "go"])
        for program in programs:
            program.result()
