# SPDX-License-Identifier: MIT
"""What comes back: plain values, copied out of the library."""
import ctypes
import json
from ctypes import byref, c_size_t, c_void_p
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Dict, Tuple

from . import _ffi
from ._properties import LISTS, NUMBERS, TEXTS, FunctionProperties

_TIMINGS = ("total", "lookup", "queue", "start", "boot", "init", "exec", "guest")


def timing(name: str) -> int:
    """The constant of a part of a call."""
    return _ffi.CONSTANTS["NOVA_TIMING_" + name.upper()]


def _bytes(function: str, pointer: c_void_p) -> bytes:
    length = c_size_t()
    address = getattr(_ffi.lib, function)(pointer, byref(length))
    return ctypes.string_at(address, length.value)


def _str(function: str, pointer: c_void_p) -> str:
    return getattr(_ffi.lib, function)(pointer).decode("utf-8", "replace")


@dataclass(frozen=True)
class Result:
    """What came of running something in a guest."""

    output_json: str
    """The answer as JSON text."""
    stdout: str
    stderr: str
    exit_code: int
    """Exit status; 128 + n if signal n ended it."""
    failure: str
    """Why it failed, or ""."""
    truncated: bool
    """Whether stdout or stderr was longer than is kept."""
    request_id: str
    cold_start: bool
    """Whether a VM had to be made for this call."""
    duration_ms: int
    vm_id: str
    snapshot: str
    """Id of the snapshot that the call left, or ""."""
    instance: str
    """Id of the instance that ran it, or ""."""
    version: int
    """The published version that ran; 0: the function as it was, or code that is run once."""
    path: str
    """How its VM had come to be: "hot", "parked" or "classic"."""
    path_why: str
    """Why it was not "hot" or "parked"; "" if it was, or nobody has tried."""
    timings: Dict[str, int] = field(repr=False)
    """Microseconds of the parts: total, lookup, queue, start, boot, init, exec, guest."""

    @cached_property
    def output(self) -> Any:
        """The answer, parsed when it is first asked for."""
        return json.loads(self.output_json)

    @classmethod
    def _take(cls, pointer: c_void_p) -> "Result":
        """Copies a nova_result_t and frees it."""
        lib = _ffi.lib
        try:
            return cls(
                output_json=_bytes("nova_result_output", pointer).decode("utf-8", "replace"),
                stdout=_bytes("nova_result_stdout", pointer).decode("utf-8", "replace"),
                stderr=_bytes("nova_result_stderr", pointer).decode("utf-8", "replace"),
                exit_code=lib.nova_result_exit_code(pointer),
                failure=_str("nova_result_failure", pointer),
                truncated=bool(lib.nova_result_truncated(pointer)),
                request_id=_str("nova_result_request_id", pointer),
                cold_start=bool(lib.nova_result_cold_start(pointer)),
                duration_ms=(lib.nova_result_timing_us(pointer, timing("total")) + 500) // 1000,
                vm_id=_str("nova_result_vm_id", pointer),
                snapshot=_str("nova_result_snapshot", pointer),
                instance=_str("nova_result_instance", pointer),
                version=lib.nova_result_version(pointer),
                path=_str("nova_result_path", pointer),
                path_why=_str("nova_result_path_why", pointer),
                timings={
                    name: lib.nova_result_timing_us(pointer, timing(name)) for name in _TIMINGS
                },
            )
        finally:
            lib.nova_result_free(pointer)


def _time(unix_us: int) -> datetime:
    return datetime.fromtimestamp(unix_us / 1e6, timezone.utc)


def _list(pointer: c_void_p, name: str) -> Dict[str, str]:
    """A list of "NAME=value" of a nova_function_t."""
    pairs: Dict[str, str] = {}
    while True:
        entry = _ffi.lib.nova_function_text(pointer, name.encode(), len(pairs))
        if entry is None:
            return pairs
        key, _, value = entry.decode("utf-8", "replace").partition("=")
        pairs[key] = value


@dataclass(frozen=True)
class Function(FunctionProperties):
    """A registered function, with its properties (docs/configuration.md)."""

    id: str
    name: str
    code_path: str
    """As given, absolute; "" if the code came from memory."""
    code_hash: str
    version: int
    """1, and one more with each replacement."""
    created: datetime
    updated: datetime

    @classmethod
    def _read(cls, pointer: c_void_p) -> "Function":
        """Copies a nova_function_t."""
        lib = _ffi.lib
        values: Dict[str, Any] = {
            "id": _str("nova_function_id", pointer),
            "name": _str("nova_function_name", pointer),
            "code_path": _str("nova_function_code_path", pointer),
            "code_hash": _str("nova_function_code_hash", pointer),
        }
        for name in NUMBERS:
            values[name] = lib.nova_function_number(pointer, name.encode())
        for name in TEXTS:
            values[name] = lib.nova_function_text(pointer, name.encode(),
                                                  0).decode("utf-8", "replace")
        for name in LISTS:
            values[name] = _list(pointer, name)
        return cls(version=lib.nova_function_version(pointer),
                   created=_time(lib.nova_function_created_us(pointer)),
                   updated=_time(lib.nova_function_updated_us(pointer)), **values)


@dataclass(frozen=True)
class Engine:
    """What was found out about one engine on this host."""

    name: str
    usable: bool
    reason: str
    advice: str
    """What to do to make it usable or better, or ""."""
    version: str
    binary: str
    accelerator: str
    """"kvm", "tcg" or "none"."""
    features: Tuple[str, ...]
    """Of "isolates", "hardware", "pause", "snapshot", "fork", "network"."""


@dataclass(frozen=True)
class Probe:
    """What this host can do."""

    engines: Tuple[Engine, ...]
    choice: str
    """Name of the engine that will be used, or "" if none can be."""
    choice_reason: str
    kvm: str
    unlimited: str
    """Why the memory that a VMM takes for itself cannot be limited here, or ""."""
    not_hot: str
    """Why running microVMs are not forked as the processes that they are, or ""."""

    @classmethod
    def _take(cls, pointer: c_void_p) -> "Probe":
        """Copies a nova_probe_t and frees it."""
        lib = _ffi.lib
        try:
            engines = tuple(_engine(pointer, i) for i in range(lib.nova_probe_count(pointer)))
            choice = lib.nova_probe_choice(pointer)
            return cls(
                engines=engines,
                choice=engines[choice].name if choice >= 0 else "",
                choice_reason=_str("nova_probe_choice_reason", pointer),
                kvm=_str("nova_probe_kvm", pointer),
                unlimited=_str("nova_probe_unlimited", pointer),
                not_hot=_str("nova_probe_not_hot", pointer),
            )
        finally:
            lib.nova_probe_free(pointer)


def _engine(pointer: c_void_p, i: int) -> Engine:
    lib = _ffi.lib

    def read(function: str) -> str:
        return getattr(lib, function)(pointer, i).decode("utf-8", "replace")

    bits = lib.nova_probe_features(pointer, i)
    features = tuple(name[len("NOVA_FEATURE_"):].lower() for name, bit in _ffi.CONSTANTS.items()
                     if name.startswith("NOVA_FEATURE_") and bits & bit)
    return Engine(read("nova_probe_engine"), bool(lib.nova_probe_usable(pointer, i)),
                  read("nova_probe_reason"), read("nova_probe_advice"), read("nova_probe_version"),
                  read("nova_probe_binary"), read("nova_probe_accelerator"), features)
