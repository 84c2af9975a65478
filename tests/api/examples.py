# SPDX-License-Identifier: MIT
"""The code in the comments of the public headers and in the documents, and whether it compiles."""
import ast
import os
import pathlib
import re
import subprocess
import tempfile

# What a piece of code may use without declaring it.
_PRELUDE = """
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <nova/nova.h>

static nova_t *nova;
static nova_config_t *config;
static nova_host_t *host;
static nova_probe_t *probe;
static nova_pool_t *pool;
static nova_vm_t *vm, *copy, *children[2];
static nova_snapshot_t *snapshot;
static nova_instance_t *instance;
static nova_function_t *function;
static nova_queue_t *queue;
static nova_call_t *call;
static nova_result_t *result;
static nova_interrupt_t *stop;
static nova_decoder_t *decoder;
static nova_error_t *error;
static nova_invoke_opts opts;
static const char *payload;
static size_t len;
static int type, i;

static void on_log(void *userdata, int level, const char *module, const char *text)
{
	fprintf(stderr, "%s\\n", text);
}

static void on_signal(int number)
{
	nova_interrupt_trigger(stop);
}

static void example(void)
{
"""


def opening(header):
    """The comment at the top of a header, without its stars."""
    text = header.read_text(encoding="utf-8")
    comment = re.search(r"^/\*\*\n( \* @file .*?)^ \*/", text, re.S | re.M)
    return re.sub(r"^ \* ?", "", comment.group(1), flags=re.M) if comment else ""


def pieces(text):
    """What is indented by 4 or more, as in the comments of headers."""
    return re.findall(r"(?:^    .*\n)+", text, re.M)


def fenced(document):
    """[(language, code), ...] of a Markdown document."""
    return re.findall(r"^```(\w+)\n(.*?)^```", document.read_text(encoding="utf-8"), re.S | re.M)


def postgres_headers():
    """["-isystem", directory] of the server's headers; []: there are none."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    found = [*pathlib.Path("/usr/include/postgresql").glob("*/server"),
             *(cache / "nova").glob("postgresql-*")]
    return next((["-isystem", str(path)] for path in found if (path / "postgres.h").exists()), [])


def wrong_names(code):
    """What a piece of Python takes from the package `nova` that is not there."""
    import nova
    used = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == "nova"}
    return {name for name in used if not hasattr(nova, name)}


def is_whole(code):
    """A file of its own; else a piece of a function."""
    return "#include" in code


def compiled(compiler, root, code, suffix, *options):
    """What the compiler says of it; "" if nothing."""
    whole = code if is_whole(code) else _PRELUDE + code + "}\n"
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / ("example" + suffix)
        source.write_text(whole, encoding="utf-8")
        done = subprocess.run([compiler, *options, "-Wall", "-Wextra", "-Werror", "-Wno-unused",
                               "-Wno-unused-parameter", "-I", str(root / "include"),
                               "-fsyntax-only", str(source)],
                              capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{code}\n{done.stdout}{done.stderr}"
