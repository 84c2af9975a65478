# SPDX-License-Identifier: MIT
"""Finds libnova, loads it, and gives every function its types out of the tables."""
import ctypes
import ctypes.util
import os
import pathlib
import sys

from ._tables import *  # noqa: F401,F403
from ._tables import CONSTANTS, FUNCTIONS

REGISTER_REPLACE, REGISTER_IN_PLACE, REGISTER_KEEP_TMP, REGISTER_TEMPLATE = 1, 2, 4, 8
REGISTER_SECRETS_AT_INIT = 16
RUNTIME_REPLACE = 1
DELETE_FORCE = 1
CHECKS = {"auto": 0, "always": 1, "never": 2}
VERSION = (0, 1)


def _names(prefix, first, last):
    """What stands between two constants of the headers, by value,
    in lower case and without the prefix."""
    listed = list(CONSTANTS)
    found = listed[listed.index(first):listed.index(last) + 1]
    assert [CONSTANTS[name] for name in found] == list(range(len(found)))
    return [name[len(prefix):].lower() for name in found]


POOL_COUNTERS = _names("NOVA_POOL_", "NOVA_POOL_IDLE", "NOVA_POOL_PARKED")
CAPACITIES = _names("NOVA_CAPACITY_", "NOVA_CAPACITY_MEMORY", "NOVA_CAPACITY_PROCESSORS")
QUEUE_COUNTERS = _names("NOVA_QUEUE_", "NOVA_QUEUE_WAITING", "NOVA_QUEUE_THREADS")
VM_STATS = _names("NOVA_VM_STAT_", "NOVA_VM_STAT_PSS", "NOVA_VM_STAT_MERGED")
POOL_LATENCIES = _names("NOVA_POOL_LATENCY_", "NOVA_POOL_LATENCY_WARM", "NOVA_POOL_LATENCY_WAIT")


def _candidates():
    """Where the library may be: named by the user (unless Python ignores the environment), beside
    this file, in the build tree around it, in the system."""
    if os.environ.get("NOVA_LIBRARY") and not sys.flags.ignore_environment:
        return [os.environ["NOVA_LIBRARY"]]
    here = pathlib.Path(__file__).resolve().parent
    found = [str(path)
             for path in (here / "libnova.so.0", here.parents[2] / "build/lib/libnova.so.0")
             if path.exists()]
    system = ctypes.util.find_library("nova")
    return found + ([system] if system else [])


def _load():
    failures = []
    for path in _candidates():
        try:
            return ctypes.CDLL(path)
        except OSError as failure:
            failures.append(str(failure))
    reasons = "; ".join(failures) or "it is nowhere to be found"
    raise ImportError(f"libnova.so.0 cannot be loaded ({reasons}): install libnova, or set "
                      "NOVA_LIBRARY to the path of the file")


def _missing(library, name):
    """Stands for a function that came after the loaded library: only who calls it is concerned."""
    def refuse(*_unused):
        raise NotImplementedError(f"{library._name} has no {name}: this needs a newer libnova")

    return refuse


def _bind(library):
    if not hasattr(library, "nova_version"):
        raise ImportError(f"{library._name} is not libnova: it has no nova_version")
    for name, (result, parameters) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            setattr(library, name, _missing(library, name))
            continue
        function.restype = result
        function.argtypes = parameters
    version = library.nova_version().decode()
    major, minor = (int(part) for part in version.split(".")[:2])
    if major != VERSION[0] or minor < VERSION[1]:
        raise ImportError(f"{library._name} is libnova {version}; this package needs "
                          f"{VERSION[0]}.{VERSION[1]} or a later {VERSION[0]}.x")
    return library


lib = _bind(_load())
