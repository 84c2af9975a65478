#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hygiene of the public surface and of the source tree. Arguments: source root, build root.
Prints TAP."""
import ast
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import arrows  # noqa: E402
import examples  # noqa: E402
import exceptions  # noqa: E402
import headers  # noqa: E402
import made_up  # noqa: E402
import properties  # noqa: E402

ROOT = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()
LIBRARY = BUILD / "lib/libnova.so"
CC = os.environ.get("CC", "cc")
CXX = next((name for name in (os.environ.get("CXX"), "c++", "g++", "clang++")
            if name and shutil.which(name)), None)
MAX_FUNCTION = 40
MAX_FILE = 800
MAX_PARAMETERS = 6
FOLDERS = ["include", "lib", "agent", "tools", "examples", "tests", "bindings"]
ROOMS = ["base", "zygote", "memory", "module", "hash", "json", "tar", "proto", "keeper", "disk",
         "image",
         "config", "net", "property", "engine", "snapshot", "host", "vm", "files", "deps",
         "template", "pool", "store", "blob", "keys", "usage", "secret", "registry", "redis",
         "rate", "job", "kv", "platform"]
TOOLS = ["serve", "novactl", "novad"]
WRITTEN = (".c", ".h", ".py", ".js", ".mjs", ".sh", ".go", ".rs")
AGENT_ROOMS = ["io", "boot", "files", "run", "worker"]
# fprintf and its like write where they are told to; these write to the terminal or end the process.
FORBIDDEN_IMPORTS = {"printf", "puts", "putchar", "perror", "exit", "_exit", "abort", "vprintf",
                     "stdout", "stderr", "chdir", "signal", "sigaction", "getenv", "__printf_chk",
                     "__vprintf_chk", "__assert_fail", "system", "popen", "err", "errx", "psignal",
                     "quick_exit", "stdin"}
BANNED = ["strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "system", "popen", "gets",
          "strtok", "tmpnam", "mktemp", "alloca"]
# Of the C library, in nova-zygote.so: at the start and in threads that run, but for the memory and
# string functions, which take no lock.
ZYGOTE_IMPORTS = {"getenv", "unsetenv", "dlsym", "dlvsym", "malloc", "free", "pthread_detach",
                  "pthread_join", "pthread_self", "__pthread_register_cancel",
                  "__pthread_unregister_cancel", "__sigsetjmp", "memchr", "memcmp", "memcpy",
                  "memmove", "memset", "strchr", "strlen", "strncmp", "strcmp", "strstr",
                  "__stack_chk_fail"}
tests = []


class Skip(Exception):
    pass


def test(function):
    tests.append((function.__name__.replace("_", " "), function, ()))
    return function


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def expect(problems, what):
    """Fails with one line for each problem."""
    problems = sorted(problems)
    assert not problems, what + ":\n" + "\n".join(f"  {problem}" for problem in problems)


def sources(*folders, suffixes=(".c", ".h")):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes:
                yield path


def read(path):
    return path.read_text(encoding="utf-8")


def code_of(path):
    """The text with comments and strings blanked, lines kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: "\n" * m.group().count("\n"), read(path))


def relative(path):
    return path.relative_to(ROOT).as_posix()


def nm(*options):
    status, text = run("nm", *options, LIBRARY)
    assert status == 0, text
    return text.splitlines()


# --- headers --------------------------------------------------------------------------------------


def compile_alone(header, compiler, *options):
    suffix = ".cc" if compiler == CXX else ".c"
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / ("alone" + suffix)
        # Twice, so that the include guard is tried too.
        source.write_text(f"#include <nova/{header}>\n#include <nova/{header}>\nint alone;\n",
                          encoding="utf-8")
        status, text = run(compiler, *options, "-Wall", "-Wextra", "-Werror", "-I",
                           ROOT / "include", "-fsyntax-only", source)
    assert status == 0, text


def compile_as_cxx(header):
    if not CXX:
        raise Skip("no C++ compiler: install g++")
    compile_alone(header, CXX, "-std=c++11", "-pedantic")


for _header in headers.public_headers(ROOT):
    tests.append((f"{_header.name} compiles alone as C99",
                  lambda h: compile_alone(h, CC, "-std=c99", "-pedantic"), (_header.name,)))
    tests.append((f"{_header.name} compiles alone as C++", compile_as_cxx, (_header.name,)))


@test
def no_struct_of_the_public_headers_has_padding_without_a_name():
    # A later member there would be ignored silently by a library that does not know it.
    compile_alone("nova.h", CC, "-std=c99", "-Wpadded")


@test
def every_public_header_is_installed_and_in_nova_h():
    names = {path.name for path in headers.public_headers(ROOT)}
    installed = set(re.findall(r"'(\w+\.h)'", read(ROOT / "include/nova/meson.build")))
    together = set(re.findall(r"<nova/(\w+\.h)>", read(ROOT / "include/nova/nova.h")))
    expect(names ^ installed, "headers that are not installed, or do not exist")
    expect(names - {"nova.h"} ^ together, "headers that nova.h does not include")


@test
def every_declaration_has_a_comment_that_says_since_when():
    expect(headers.undocumented(ROOT), "public declarations without a doc comment with 'Since'")


@test
def each_header_begins_with_what_it_is_for_and_a_short_example_that_compiles():
    wrong = []
    for header in headers.public_headers(ROOT):
        text = examples.opening(header)
        if not re.match(rf"@file nova/{header.name}\n[A-Z].*[.:]", text):
            wrong.append(f"{header.name}: what it is for")
        found = examples.pieces(text)
        if [1 for piece in found if 3 <= len(piece.splitlines()) <= 6] != [1]:
            wrong.append(f"{header.name}: one example of about five lines")
        wrong += [f"{header.name}:\n{said}" for said in
                  (examples.compiled(CC, ROOT, piece, ".c", "-std=c99") for piece in found) if said]
    expect(wrong, "openings of headers")


def what_is_wrong_with(language, code):
    """Of a piece of code in a document; "" if nothing."""
    if language == "c":
        postgres = examples.postgres_headers() if "<postgres.h>" in code else []
        if "<postgres.h>" in code and not postgres:
            return ""  # they cannot be had here; examples/postgres is compiled in tests/hosts
        return examples.compiled(CC, ROOT, code, ".c", "-std=gnu99", *postgres)
    if language == "cpp":
        return examples.compiled(CXX, ROOT, code, ".cc", "-std=c++11") if CXX else ""
    if language == "python":
        return ", ".join(sorted(examples.wrong_names(code)))
    return ""


@test
def the_code_in_the_documents_compiles():
    ffi()  # for the package
    wrong, count = [], 0
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for language, code in examples.fenced(document):
            said = what_is_wrong_with(language, code)
            count += language in ("c", "cpp", "python")
            wrong += [f"{relative(document)}: {said}"] if said else []
    assert count > 12, count
    expect(wrong, "code in documents")


@test
def no_public_call_has_too_many_parameters():
    expect((f"{name}: {len(parameters)}"
            for name, (_, parameters) in headers.prototypes(ROOT).items()
            if len(parameters) > MAX_PARAMETERS), f"calls of more than {MAX_PARAMETERS} parameters")


@test
def the_comment_of_each_call_has_its_parameters_and_its_codes_a_line_each():
    expect(headers.wrong_comments(ROOT), "comments")


# --- engines --------------------------------------------------------------------------------------


def engines_by_name():
    """{name: its source text}: a folder of lib/engine each, with the engine's table in it."""
    folders = [path for path in (ROOT / "lib/engine").iterdir() if path.is_dir()]
    texts = ["".join(read(path) for path in folder.glob("*.[ch]")) for folder in folders]
    table = r'engine_ops \w+_engine = \{\s*\.name = "(\w+)"'
    return {re.search(table, text)[1]: text for text in texts}


def features_of(text):
    """{feature: "yes" or "with KVM"} of what the probe of an engine reports."""
    with_kvm = re.findall(r"kvm \? (NOVA_FEATURE_\w+)", text)
    always = re.search(r"#define \w+_FEATURES((?:.*\\\n)*.*)", text)[1]
    names = re.findall(r"NOVA_FEATURE_\w+", always) + with_kvm
    return {name: "with KVM" if name in with_kvm else "yes" for name in names}


@test
def the_table_of_engines_says_what_they_report():
    header = read(ROOT / "include/nova/engine.h")
    features = re.findall(r"(NOVA_FEATURE_\w+) = ", header)
    page = read(ROOT / "docs/engines.md")
    engines = [cell.strip() for cell in re.search(r"^\| \|(.*)\|$", page, re.M)[1].split("|")]
    known = engines_by_name()
    expect(set(engines) ^ set(known), "engines only in one of docs/engines.md and lib/engine")
    rows = {name: [cell.strip() for cell in cells.split("|")]
            for name, cells in re.findall(r"^\| `(NOVA_FEATURE_\w+)`[^|]*\|(.*)\|$", page, re.M)}
    expect(set(features) ^ set(rows), "features only in one of docs/engines.md and engine.h")
    wrong = []
    for column, engine in enumerate(engines):
        reported = {**dict.fromkeys(rows, "no"), **features_of(known[engine])}
        wrong += [f"{engine}, {name}: {row[column]}, but the engine reports {reported[name]}"
                  for name, row in rows.items() if row[column] != reported[name]]
    expect(wrong, "docs/engines.md is wrong")


# --- symbols --------------------------------------------------------------------------------------


def mapped():
    return headers.mapped(ROOT)


@test
def the_symbol_map_lists_exactly_what_the_headers_declare():
    expect(mapped() ^ set(headers.declarations(ROOT)),
           "in only one of lib/nova.map and the headers")


@test
def the_library_exports_exactly_the_symbol_map():
    exported = {line.split()[-1].split("@")[0]
                for line in nm("-D", "--defined-only") if " A " not in line}
    expect(exported ^ mapped(), "in only one of libnova.so and lib/nova.map")


@test
def the_library_keeps_no_writable_global_data():
    found, writable = set(), (".data", ".bss", ".tdata", ".tbss")
    for line in nm("--format=sysv"):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[3] in ("OBJECT", "TLS") and cells[6] in writable:
            found.add(cells[0])
    # Made by the linker and the C runtime, not by us.
    found = {name for name in found
             if not re.match(r"completed\.\d+$|__dso_handle$|__TMC_END__$", name)}
    found = {re.sub(r"\.\d+$", "", name) for name in found}
    expect(found - set(exceptions.WRITABLE_DATA), "writable data")
    expect(set(exceptions.WRITABLE_DATA) - found, "exceptions that are no longer needed")


@test
def the_library_imports_nothing_that_prints_or_ends_the_process():
    imported = {line.split()[-1].split("@")[0] for line in nm("-D", "--undefined-only")}
    expect(imported & FORBIDDEN_IMPORTS - set(exceptions.IMPORTS), "forbidden imports")
    # Others that the exceptions name must still be there, or their reasons mislead.
    expect(set(exceptions.IMPORTS) - imported - {"__assert_fail"},
           "exceptions that are no longer needed")


@test
def library_and_modules_need_nothing_but_the_c_library():
    # What they call of others is linked in, so no name of a program can take its place.
    wrong = []
    for path in [LIBRARY, *sorted((BUILD / "lib/module").glob("*.so"))]:
        text = run("readelf", "--dynamic", "--wide", path)[1]
        needed = {name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text)
                  if not re.match(r"lib[cm]\.so|ld-linux", name)
                  and name not in exceptions.NEEDED.get(path.name, ())}
        wrong += [f"{path.name} needs {name}" for name in needed]
        for line in run("nm", "-D", "--undefined-only", path)[1].splitlines():
            name = line.split()[-1] # weak ones too: a program could have them
            if "@GLIBC_" not in name:
                wrong.append(f"{path.name} imports {name}")
    expect(wrong, "what is not of the C library")


@test
def a_module_exports_its_table_alone():
    modules = sorted((BUILD / "lib/module").glob("*.so"))
    assert modules
    wrong = []
    for path in modules:
        names = {line.split()[-1].split("@")[0]
                 for line in run("nm", "-D", "--defined-only", path)[1].splitlines()}
        if names != {"nova_module_" + path.stem.removeprefix("nova-")}:
            wrong.append(f"{path.name}: {sorted(names)}")
    expect(wrong, "exports")


@test
def what_is_loaded_into_zygotes_interposes_and_needs_the_c_library_alone():
    path = BUILD / "lib/nova-zygote.so"
    if not path.exists():
        raise Skip("nova-zygote.so is made for x86-64 and glibc alone")
    lines = run("nm", "-D", path)[1].splitlines()
    exported = {line.split()[-1] for line in lines if " T " in line}
    interposed = {name for source in sources("lib/zygote", suffixes=(".c",))
                  for name in re.findall(r"^INTERPOSED \w+ (\w+)\(", read(source), re.M)}
    assert "pthread_create" in exported, lines
    expect(exported ^ interposed, "only one of exported and interposed")
    foreign = {line.split()[-1] for line in lines if " U " in line and "@GLIBC_" not in line}
    expect(foreign, "what is not of the C library")
    # Nothing that takes a lock may be called while the threads of a program stand: what is used
    # at all is listed here, and looked at.
    imported = {line.split()[-1].split("@")[0] for line in lines if " U " in line}
    expect(imported - ZYGOTE_IMPORTS, "imports; are they free of locks?")


@test
def each_library_is_behind_one_header():
    allowed = re.compile(r"^lib/(module/(\w+)\.[ch]$|json/json\.h$)")
    pattern = re.compile(r"^#include <(jansson|openssl/|curl/|netlink/|sqlite3|ext2fs/|yaml|lz4|"
                         "libpq|lzma|zlib|zstd)", re.M)
    expect((relative(path) for path in sources("lib")
            if pattern.search(read(path)) and not allowed.match(relative(path))),
           "headers of libraries included elsewhere")


@test
def the_library_runs_no_code_when_it_is_loaded():
    status, text = run("readelf", "--dynamic", "--wide", LIBRARY)
    assert status == 0, text
    sizes = {name: int(size)
             for name, size in re.findall(r"\((INIT_ARRAYSZ|FINI_ARRAYSZ)\)\s+(\d+)", text)}
    # One pointer each is the C runtime's own frame_dummy.
    expect((f"{name} {size}" for name, size in sizes.items() if size > 8),
           "constructors or destructors")


# --- the Python side ------------------------------------------------------------------------------


def ffi():
    os.environ["NOVA_LIBRARY"] = str(LIBRARY)
    sys.path.insert(0, str(ROOT / "bindings/python"))
    from nova import _ffi
    return _ffi


def ctypes_label(module, value):
    """The text by which _ffi.py spells a ctypes type."""
    if value is None:
        return "None"
    for name in ("OUTPUT_FN", "LOG_FN", "PROGRESS_FN"):
        if value is getattr(module, name):
            return name
    if issubclass(value, ctypes._Pointer):
        return f"POINTER({ctypes_label(module, value._type_)})"
    aliases = {ctypes.c_uint32: "c_uint32", ctypes.c_uint64: "c_uint64", ctypes.c_int64: "c_int64",
               ctypes.c_int: "c_int"}
    if value is ctypes.c_size_t:
        return "c_size_t"
    return aliases.get(value, value.__name__)


def same_type(label):
    """size_t and uint64_t are one type to ctypes here."""
    return label.replace("c_size_t", "c_uint64")


@test
def the_python_table_has_exactly_the_declared_functions():
    module = ffi()
    expect(set(module.FUNCTIONS) ^ set(headers.declarations(ROOT)),
           "in only one of _ffi.py and the headers")


@test
def the_python_table_has_the_declared_types():
    module, wrong = ffi(), []
    for name, declared in headers.declarations(ROOT).items():
        result, parameters = module.FUNCTIONS[name]
        have = [ctypes_label(module, result)] + [ctypes_label(module, p) for p in parameters]
        want = [declared.result] + declared.parameters
        if [same_type(h) for h in have] != [same_type(w) for w in want]:
            wrong.append(f"{name}: {have}, declared {want}")
    expect(wrong, "types that differ")


@test
def the_python_structs_have_the_layout_of_the_headers():
    module = ffi()
    structs = headers.structs(ROOT)
    lines = ["#include <nova/nova.h>", "#include <stdio.h>", "int main(void) {"]
    for struct, members in structs.items():
        lines.append(f'printf("{struct} %zu\\n", sizeof({struct}));')
        for member, _ in members:
            lines.append(f'printf("{struct}.{member} %zu %zu\\n", offsetof({struct}, {member}), '
                         f"sizeof((({struct} *)0)->{member}));")
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "layout.c", pathlib.Path(folder) / "layout"
        source.write_text("\n".join(lines) + "\nreturn 0; }\n", encoding="utf-8")
        status, text = run(CC, "-I", ROOT / "include", source, "-o", program)
        assert status == 0, text
        want = set(run(program)[1].splitlines())
    have = set()
    for struct in structs:
        kind = getattr(module, headers.struct_name(struct))
        have.add(f"{struct} {ctypes.sizeof(kind)}")
        for member, _ in kind._fields_:
            field = getattr(kind, member)
            have.add(f"{struct}.{member} {field.offset} {field.size}")
    expect(want ^ have, "in only one of headers and _ffi.py")


@test
def the_python_tables_are_those_of_the_headers():
    kept = read(ROOT / headers.TABLES)
    assert kept == headers.python_tables(ROOT), "type: tests/api/headers.py update"


@test
def the_document_and_the_python_keywords_are_those_of_the_table():
    assert not properties.wrong(ROOT, BUILD), "type: tests/api/properties.py BUILD update"


@test
def a_made_up_property_is_everywhere_by_its_row_alone():
    with tempfile.TemporaryDirectory() as folder:
        made_up.check(ROOT, BUILD, folder)


def names_in_python(path):
    """The calls of the library in a Python file: as attributes, or as text on their own."""
    found = set()
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def calls_in_tests():
    found = set()
    for path in sources("tests", suffixes=(".c",)):
        found |= set(re.findall(r"\b(nova_\w+)\(", code_of(path)))
    for path in sources("tests/python", "bindings/python/tests", suffixes=(".py",)):
        found |= names_in_python(path)
    return found


@test
def every_exported_call_is_called_in_a_test():
    expect(mapped() - calls_in_tests(), "calls of lib/nova.map without a test")


@test
def every_exported_call_is_bound_in_python_or_only_c_needs_it():
    bound = set()
    for path in (ROOT / "bindings/python/nova").glob("*.py"):
        if path.name not in ("_tables.py", "_properties.py"):
            bound |= names_in_python(path)
    only_c = set(exceptions.ONLY_C)
    expect(mapped() - bound - only_c, "calls of lib/nova.map that the Python package does not use")
    expect((only_c & bound) | (only_c - mapped()), "exceptions that are no longer needed")


@test
def every_code_is_an_exception_in_python():
    module = ffi()
    from nova import errors
    expect(set(errors.BY_CODE) ^ set(module.CODES),
           "codes without an exception class, or the reverse")


# --- the source tree ------------------------------------------------------------------------------


@test
def no_function_and_no_file_is_too_long():
    if not shutil.which("ctags"):
        raise Skip("no ctags: install universal-ctags")
    files = [path for path in sources("lib", "agent", "tools", "include")]
    status, text = run("ctags", "-f", "-", "--sort=no", "--languages=C", "--langmap=C:.c.h",
                       "--kinds-C=f", "--fields=+ne", *files)
    assert status == 0 and "end:" in text, text[:500]
    long = set()
    for line in text.splitlines():
        cells = line.split("\t")
        numbers = dict(re.findall(r"\t(line|end):(\d+)", line))
        if int(numbers.get("end", 0)) - int(numbers.get("line", 0)) + 1 > MAX_FUNCTION:
            long.add(f"{relative(pathlib.Path(cells[1]))}:{cells[0]}")
    expect(long - set(exceptions.LONG_FUNCTIONS), f"functions of more than {MAX_FUNCTION} lines")
    big = {relative(path) for path in files if len(read(path).splitlines()) > MAX_FILE}
    expect(big - set(exceptions.LONG_FILES), f"files of more than {MAX_FILE} lines")


@test
def the_c_files_are_as_the_formatter_leaves_them():
    status, text = run(ROOT / "tools/format", "--check")
    if status == 3:
        raise Skip(text.strip())
    assert status == 0, "type tools/format:\n" + text[:4000]


def is_written_by_hand(path):
    """Whether the file is source text that people read: code, scripts, meson's files."""
    if path.suffix in WRITTEN or path.name in ("meson.build", "meson_options.txt"):
        return True
    if path.suffix:
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


@test
def no_line_is_longer_than_100_columns():
    paths = [path for folder in [*FOLDERS, ".ci"] for path in (ROOT / folder).rglob("*")]
    paths += ROOT.glob("meson*")
    wide = {f"{relative(path)}:{number}" for path in paths
            if path.is_file() and is_written_by_hand(path)
            for number, line in enumerate(read(path).splitlines(), 1)
            if len(line.expandtabs(8)) > 100}
    expect((line for line in wide if line.split(":")[0] not in exceptions.LONG_LINES),
           "lines of more than 100 columns")
    expect(set(exceptions.LONG_LINES) - {line.split(":")[0] for line in wide},
           "exceptions that are no longer needed")


@test
def options_are_set_by_the_names_of_their_members():
    pattern = re.compile(r"\bnova_\w+_(?:opts|want)\b[^;{}]*\{\s*sizeof\([^)]*\),(?!\s*[.}])")
    wrong = []
    for path in sources("lib", "agent", "tools", "examples", "tests", "bindings"):
        text = code_of(path)
        wrong += [f"{relative(path)}:{text[:m.end()].count(chr(10)) + 1}"
                  for m in pattern.finditer(text)]
    expect(wrong, "options that are set by the places of their members")


@test
def the_initialiser_of_options_has_a_value_for_each_member():
    text = "".join(read(path)
                   for path in headers.public_headers(ROOT)).replace("\\\n", " ")
    made = re.findall(r"#define NOVA_\w+_INIT\s+\{\s*sizeof\((\w+)\),([^}]*)\}", text)
    values = {name: len(members.split(",")) for name, members in made}
    structs = {name: len(members) - 1
               for name, members in headers.structs(ROOT).items() if name in values}
    assert len(values) > 10 and values.keys() == structs.keys(), values
    expect((f"{name}: {structs[name]}, not {count}"
            for name, count in values.items() if count != structs[name]),
           "members, and values of the initialiser")


@test
def only_the_rooms_that_meet_the_system_look_at_errno():
    allowed = re.compile(r"^(lib/base/|lib/keeper/|agent/)")
    found = {relative(path) for path in sources("lib", "tools", "examples")
             if not allowed.match(relative(path)) and re.search(r"\berrno\b(?!\.h)", code_of(path))}
    expect(found - set(exceptions.ERRNO), "files that read errno")


@test
def one_place_reads_the_environment():
    pattern = re.compile(r"\b(secure_getenv|getenv|environ)\b")
    found = {relative(path) for path in sources("lib") if pattern.search(code_of(path))}
    # The second is no part of the library: the keeper tells it by a variable where its orders come
    # from.
    expect(found ^ {"lib/base/environment.c", "lib/zygote/start.c"},
           "files that read the environment; use env_get()")


@test
def no_banned_function_is_called():
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    expect((f"{relative(path)}: {m.group(1)}"
            for path in sources("lib", "agent", "tools", "examples")
            for m in pattern.finditer(code_of(path))), "banned functions")


@test
def rooms_include_only_what_lies_below_them():
    wrong = []
    for path in sources("lib"):
        room = relative(path).split("/")[1]
        if room not in ROOMS:
            wrong.append(f"{relative(path)}: the room '{room}' has no place in the order")
            continue
        for other in re.findall(r'^#include "(\w+)/', read(path), re.M):
            if other not in ROOMS or ROOMS.index(other) > ROOMS.index(room):
                wrong.append(f"{relative(path)}: {other}")
    expect(wrong, "includes that point upwards")


@test
def what_a_vm_consists_of_is_known_to_its_own_room():
    doors = {"vm/vm.h", "vm/instant.h"}
    wrong = []
    for path in sources("lib"):
        others = re.findall(r'^#include "(vm/[^"]+)"', read(path), re.M)
        if not relative(path).startswith("lib/vm/"):
            wrong += [f"{relative(path)}: {other}" for other in others if other not in doors]
    expect(wrong, "includes of what is private to lib/vm")


@test
def what_a_room_calls_lies_below_it():
    expect(arrows.upwards(arrows.arrows(ROOT, BUILD), ROOMS), "symbols that are used from below")


@test
def folders_of_the_agent_use_only_what_lies_below_them():
    wrong = list(arrows.upwards(arrows.arrows(ROOT, BUILD), AGENT_ROOMS, "agent"))
    for path in sources("agent"):
        for other in re.findall(r'^#include "(agent/[^"]+)"', read(path), re.M):
            if arrows.level(other, AGENT_ROOMS) > arrows.level(relative(path), AGENT_ROOMS):
                wrong.append(f"{relative(path)} includes {other}")
    expect(wrong, "arrows that point upwards")


@test
def circles_and_arrows_upwards_are_found_in_a_made_up_tree():
    graph = {"lib/vm/a.c": {"lib/vm/b.c": {"b"}},
             "lib/vm/b.c": {"lib/vm/c.c": {"c"}, "lib/pool/d.c": {"d"}},
             "lib/vm/c.c": {"lib/vm/a.c": {"a"}}, "lib/vm/e.c": {"lib/vm/a.c": {"a"}},
             "lib/pool/d.c": {"lib/vm/b.c": {"b"}}}
    circle = ("lib/vm", ("lib/vm/a.c", "lib/vm/b.c", "lib/vm/c.c"))
    assert arrows.circles(graph) == [circle], arrows.circles(graph)
    assert list(arrows.upwards(graph, ROOMS)) == ["lib/vm/b.c needs lib/pool/d.c for d"]
    graph = {"agent/io/a.c": {"agent/run/b.c": {"b"}, "agent/main.c": {"m"}},
             "agent/main.c": {"agent/io/a.c": {"a"}}}
    assert list(arrows.upwards(graph, AGENT_ROOMS, "agent")) == [
        "agent/io/a.c needs agent/run/b.c for b", "agent/io/a.c needs agent/main.c for m"]


@test
def the_files_of_a_room_form_no_circles():
    graph = arrows.arrows(ROOT, BUILD)
    found = {f"{place}: {arrows.spell(place, group)}": group
             for place, group in arrows.circles(graph)}
    built = {arrows.room(path) for path in graph}
    known = {f"{place}: {circle}"
             for place in exceptions.CIRCLES.keys() & built
             for circle in exceptions.CIRCLES[place]}
    expect((f"{name}\n{arrows.explain(graph, found[name])}" for name in found.keys() - known),
           "circles of files")
    expect(known - found.keys(), "circles in exceptions.py that are gone, or smaller")


@test
def tools_and_examples_include_only_public_headers():
    own = {"tools/serve": {"serve.h"}, "tools/novactl": {"novactl.h", "daemon.h", "serve/serve.h"},
           "tools/novad": {"novad.h", "http.h", "routes.h", "serve/serve.h", "e2b.h", "../http.h",
                           "../routes.h", "page_html.h", "page_css.h", "page_js.h",
                           "runner_python.h", "runner_node.h", "runner_shell.h"},
           "examples": set()}
    assert {path.parent.name for path in (ROOT / "tools").glob("*/*.c")} == set(TOOLS)
    wrong = []
    for folder, names in own.items():
        for path in sources(folder):
            included = set(re.findall(r'^#include "([^"]+)"', read(path), re.M))
            wrong += [f"{relative(path)}: {name}" for name in included - names]
    expect(wrong, "private headers")


@test
def folders_of_the_tools_use_only_what_lies_below_them():
    graph = arrows.arrows(ROOT, BUILD)
    assert any(other.startswith("tools/serve/") for other in graph["tools/novactl/daemon.c"])
    expect(arrows.upwards(graph, TOOLS, "tools"), "arrows that point upwards")


@test
def every_file_of_tests_of_novactl_is_run():
    folder = ROOT / "tests" / "cli"
    named = (folder / "meson.build").read_text()
    expect((relative(path) for path in folder.glob("test_*.py")
            if f"'{path.stem.removeprefix('test_')}'" not in named),
           "files that tests/cli/meson.build does not name")


@test
def every_source_file_names_its_licence():
    paths = list(sources("include", "lib", "agent", "tools", "tests", "examples", "bindings",
                         suffixes=(".c", ".h", ".py", ".js", ".mjs", ".go", ".rs", ".sh")))
    paths += [path for path in (ROOT / "tools").iterdir() if path.is_file() and not path.suffix]
    expect((relative(path) for path in paths if path.stat().st_size
            and not any("SPDX-License-Identifier: MIT" in line
                        for line in read(path).splitlines()[:3])), "no licence line")


@test
def the_manual_page_explains_every_command_and_option():
    page = read(ROOT / "docs/novactl.1")
    status, text = run(BUILD / "tools/novactl", "--help")
    assert status == 0, text
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?= )",
                          text.split("Commands:")[1].split("\n\n")[0], re.M)
    assert len(commands) > 8, commands
    options = set(re.findall(r"--([a-z][a-z-]+) ", text.split("Options of every command")[1]))
    for command in commands:
        text = run(BUILD / "tools/novactl", "help", *command.split())[1]
        options |= set(re.findall(r"^  .{4}--([a-z][a-z-]+)", text, re.M))
    missing = [name for name in commands
               if not re.search(rf"^\.(It Cm|Ss|Ss Cm) {name}\b", page, re.M)]
    expect(missing, "commands that docs/novactl.1 lacks")
    expect((f"--{name}" for name in options if f"Fl -{name}" not in page),
           "options that docs/novactl.1 lacks")


@test
def the_manual_page_of_novad_explains_every_option():
    if not (BUILD / "tools/novad").exists():
        raise Skip("novad is not built: it needs libmicrohttpd-dev, libwslay-dev")
    page = read(ROOT / "docs/novad.1")
    options = re.findall(r"^  --([a-z-]+)", run(BUILD / "tools/novad", "--help")[1], re.M)
    assert len(options) > 20, options
    expect((f"--{name}" for name in options if f"Fl -{name}" not in page),
           "options that docs/novad.1 lacks")


@test
def the_manual_pages_are_sound():
    if not shutil.which("mandoc"):
        raise Skip("no mandoc: install mandoc")
    for page in ("novactl.1", "novad.1"):
        status, text = run("mandoc", "-T", "lint", "-W", "warning", ROOT / "docs" / page)
        assert status == 0, text


@test
def the_abi_is_compatible_with_the_dump_in_the_tree():
    if not (ROOT / "docs/abi/libnova-0.1.abi").exists():
        raise Skip("docs/abi/libnova-0.1.abi is not there: tools/abi update makes it")
    if not shutil.which("abidiff"):
        raise Skip("no abidiff: install abigail-tools")
    status, text = run(ROOT / "tools/abi", "check", BUILD)
    assert status == 0, text


def main():
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, function, arguments) in enumerate(tests, 1):
        try:
            function(*arguments)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as problem:  # an error in one test is the failure of that test
            failed += 1
            print(f"not ok {number} - {name}")
            for line in f"{type(problem).__name__}: {problem}".splitlines():
                print(f"# {line}", flush=True)
    return 1 if failed else 0


sys.exit(main())
