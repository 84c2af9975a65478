# SPDX-License-Identifier: MIT
"""Where the function's code is, what in it is called, and how; and what is said when that fails.

Goes in front of worker.py, in the same program. What few functions need is imported then.
"""
import importlib.machinery
import importlib.util
import opcode
import os
import re
import sys

ONLY_TREE = 0x400  # compile() flag, as in module ast, which takes long to import
# Where no handler was named: the first that the module defines.
AUTOMATIC = ("handler", "lambda_handler")
IMPORTS_STAR = re.compile(rb"import[\s\\]*\*")
NEEDS_TREE = re.compile(IMPORTS_STAR.pattern + rb"|__name__[\s\\]*==")
DEEPEST = 20  # modules that import each other's names by *
# Instructions of two bytes, in all versions.
STORE_NAME, DELETE_NAME, EXTENDED_ARG = (
    opcode.opmap[name] for name in ("STORE_NAME", "DELETE_NAME", "EXTENDED_ARG"))
# Of code objects.
IS_GENERATOR, IS_COROUTINE, IS_ASYNC_GENERATOR, TAKES_MORE = 0x20, 0x80, 0x200, 0x04


class NoHandler(Exception):
    """What was named is not there, or cannot be called. Its text says all: no traceback."""


# --- what a module defines, without running it ---

def may_define(source, names):
    """False: whoever wrote it does not even mention one. Text that is not ASCII may spell a name in
    other letters that mean the same."""
    return (not source.isascii() or IMPORTS_STAR.search(source) is not None
            or any(name.encode() in source for name in names))


def source_of(path):
    with open(path, "rb") as file:
        return file.read()


def tree_of(source, path):
    return compile(source, path, "exec", ONLY_TREE, dont_inherit=True)


def kind_of(node):
    return type(node).__name__


def targets_of(node):
    """Names that an assignment, a loop or a with statement binds, tuples opened."""
    if isinstance(node, (list, tuple)):
        return [name for one in node for name in targets_of(one)]
    kind = kind_of(node)
    if kind == "Name":
        return [node.id]
    if kind in ("Tuple", "List"):
        return targets_of(node.elts)
    return targets_of(node.value) if kind == "Starred" else []


def bound_by(node, directory, depth):
    """Names that one statement binds at the top level of a module, what is in it included."""
    kind = kind_of(node)
    if kind in ("FunctionDef", "AsyncFunctionDef", "ClassDef"):
        return [node.name]
    if kind == "ImportFrom" and node.names[0].name == "*":
        return bound_by_star(node, directory, depth)
    if kind in ("Import", "ImportFrom"):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    if kind in ("Assign", "AnnAssign", "AugAssign", "For", "AsyncFor"):
        names = targets_of(getattr(node, "targets", None) or getattr(node, "target", []))
    else:
        names = targets_of([item.optional_vars for item in getattr(node, "items", [])])
    parts = ["orelse"]
    if not is_main_part(node):
        parts = ["body", "orelse", "finalbody", "handlers", "cases"]
    for part in parts:
        for inner in getattr(node, part, None) or []:
            names += bound_by(inner, directory, depth)
    return names


def is_main_part(node):
    """`if __name__ == "__main__":`, which is for running the file as a program."""
    test = getattr(node, "test", None)
    return (kind_of(node) == "If" and getattr(getattr(test, "left", None), "id", None) == "__name__"
            and kind_of(test.ops[0]) == "Eq")


def bound_by_star(node, directory, depth):
    """Those of a module of the function's own; one of the library has no handlers."""
    path = module_file(directory, node.module or "")
    if path is None or depth >= DEEPEST:
        return []
    try:
        return defined_names(tree_of(source_of(path), path), directory, depth + 1)
    except (SyntaxError, ValueError, OSError):
        return []  # the import will say so


def defined_names(tree, directory, depth=0):
    return [name for node in tree.body for name in bound_by(node, directory, depth)]


def stores_of(code):
    """Names that the instructions of a module bind, and those that they unbind again. Cheap beside
    a tree, which is made of many objects."""
    bound, unbound, argument = set(), set(), 0
    text = code.co_code
    for at in range(0, len(text), 2):
        argument = argument << 8 | text[at + 1]
        if text[at] == STORE_NAME:
            bound.add(code.co_names[argument])
        elif text[at] == DELETE_NAME:
            unbound.add(code.co_names[argument])
        if text[at] != EXTENDED_ARG:
            argument = 0
    return bound, unbound


def automatic_of(source, code, path, directory):
    """Which handler the module defines, "": none. Its tree is looked at only where names may come
    from another module, be in what only a program does, or be an exception's."""
    bound, unbound = stores_of(code)
    names = bound
    if NEEDS_TREE.search(source) or not unbound.isdisjoint(AUTOMATIC):
        names = defined_names(tree_of(source, path), directory)
    return next((name for name in AUTOMATIC if name in names), "")


def module_file(directory, name):
    base = os.path.join(directory, *name.split("."))
    for path in (base + ".py", os.path.join(base, "__init__.py")):
        if name and os.path.isfile(path):
            return path
    return None


# --- importing it ---

def from_library(name, directory):
    """A module that we need, wherever the function has one of the same name."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if entry != directory]
    try:
        return __import__(name, fromlist=["its own names"])
    finally:
        sys.path[:] = path


def import_handler(path, module, directory, code):
    """The module of that name in the code's directory; `path` where the code is one file. `code`:
    what was compiled of it, if anything was; None."""
    if path == module_file(directory, module) and module not in sys.modules:
        return importlib.import_module(module)
    loader = importlib.machinery.SourceFileLoader(module, path)
    spec = importlib.util.spec_from_file_location(module, path, loader=loader)
    loaded = importlib.util.module_from_spec(spec)
    code = code or compile(source_of(path), path, "exec", dont_inherit=True)
    sys.modules[module] = loaded
    exec(code, loaded.__dict__)
    return loaded


def find_function(module, path, name, directory):
    function = getattr(module, name, None)
    if function is None and not hasattr(module, name):
        raise NoHandler(f"there is no '{name}' in {path}{did_you_mean(module, name, directory)}")
    if not callable(function):
        raise NoHandler(f"the handler '{name}' in {path} is no function: "
                        f"it is of type {type(function).__name__}")
    if code_of(function)[1] & (IS_GENERATOR | IS_ASYNC_GENERATOR):
        raise NoHandler(f"the handler '{name}' in {path} is a generator, as it has a yield in it: "
                        "have it return a value, such as a list")
    return function


def did_you_mean(module, name, directory):
    mine = [key for key, value in vars(module).items()
            if callable(value) and not key.startswith("_")
            and getattr(value, "__module__", None) == module.__name__]
    near = from_library("difflib", directory).get_close_matches(name, mine, 1, 0.6)
    near = near or [key for key in AUTOMATIC if key in mine]
    if near:
        return f"; did you mean '{near[0]}'?"
    if mine:
        return f"; there are {', '.join(sorted(mine)[:8])}"
    return ", and no other function either"


# --- calling it ---

def code_of(function, bound=0, named=()):
    """(names of positional parameters that are free, flags) of what a call runs in the end;
    (None, 0) if that is not Python."""
    kind = type(function)
    code = getattr(function, "__code__", None)
    if kind.__name__ == "partial" and hasattr(function, "func"):
        return code_of(function.func, bound + len(function.args), tuple(function.keywords) + named)
    if hasattr(function, "__func__"):
        return code_of(function.__func__, bound + 1, named)
    if code is None:
        if isinstance(function, type):
            call = getattr(function, "__init__", None)
        else:
            call = getattr(kind, "__call__", None)
        return code_of(call, bound + 1, named) if hasattr(call, "__code__") else (None, 0)
    free = code.co_varnames[:code.co_argcount][bound:]
    for at, parameter in enumerate(free):
        if parameter in named:  # it and what follows can be given by name only
            return free[:at], code.co_flags & ~TAKES_MORE
    return free, code.co_flags


def how_to_call(function):
    """How many arguments the handler is given: 0, 1 (event) or 2 (event, context)."""
    free, flags = code_of(function)
    if free is None:
        return 1
    if len(free) < 2 and flags & TAKES_MORE:
        # By functools.wraps: what it takes is what it is passed.
        behind = getattr(function, "__wrapped__", None)
        return max(how_to_call(behind), len(free)) if behind is not None else 2
    return min(len(free), 2)


class Context:
    """Second argument of a handler that takes two. The names are those of AWS Lambda's; request_id
    and timeout_ms are ours."""

    identity = client_context = None

    def __init__(self, request_id, timeout_ms, now):
        setting = os.environ.get
        self.request_id = self.aws_request_id = request_id
        self.timeout_ms = timeout_ms
        self.function_name = setting("NOVA_FUNCTION_NAME", "")
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = setting("NOVA_FUNCTION_MEMORY_MB", "")
        self.invoked_function_arn = f"nova:function:{self.function_name}"
        self.log_group_name = f"/nova/{self.function_name}"
        self.log_stream_name = os.uname().nodename
        self._now, self._end = now, now() + timeout_ms / 1000

    def get_remaining_time_in_millis(self):
        return max(0, int((self._end - self._now()) * 1000))


class Told:
    """What a client tells of itself, with AWS Lambda's names."""

    def __init__(self, values, names):
        for name in names:
            setattr(self, name, values.get(name))


def client_context(told):
    context = Told(told, ("custom", "env", "client"))
    if isinstance(context.client, dict):
        context.client = Told(context.client, (
            "installation_id", "app_title", "app_version_name", "app_version_code",
            "app_package_name"))
    return context


# --- saying what went wrong ---

def describe(error):
    kind = type(error).__name__
    try:
        text = str(error)
    except BaseException as worse:  # it is the function's
        return f"{kind} (its str() raises {type(worse).__name__})"
    return kind + (": " + text if text else "")


def places(error, directory):
    """Where in the function's code it happened, the innermost first: "lib/b.py, line 3; main.py,
    line 1"."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path.startswith(directory + "/"):
            found.append(f"{path[len(directory) + 1:]}, line {trace.tb_lineno}")
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        name = error.filename
        short = name[len(directory) + 1:] if name.startswith(directory + "/") else name
        found.append(f"{short}, line {error.lineno}")
    return "; ".join(list(dict.fromkeys(reversed(found)))[:6])


def tell(error, directory):
    """In one line: what, where in which chain of imports, and what it came from."""
    parts, seen = [], set()
    while error is not None and id(error) not in seen and len(parts) < 4:
        seen.add(id(error))
        where = places(error, directory)
        text = f"SyntaxError: {error.msg}" if isinstance(error, SyntaxError) else describe(error)
        parts.append(text + (f" ({where})" if where else ""))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ", caused by ".join(parts)
