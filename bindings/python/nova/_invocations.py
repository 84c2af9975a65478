# SPDX-License-Identifier: MIT
"""The log of calls."""
from ctypes import POINTER, byref, c_size_t, c_void_p, cast, string_at
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, List, Optional

from . import _ffi
from ._call import check, text

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Invocation:
    """What one call of a function has left behind."""

    number: int
    """Later records have higher ones."""
    request_id: str
    function: str
    """Its name; "" for code that was run by run()."""
    function_id: str
    version: int
    runtime: str
    instance: str
    """Id of the instance that it ran in, or ""."""
    path: str
    started: datetime
    duration_us: int
    """From when it was accepted until its end, with all waiting."""
    cold: bool
    code: int
    """What the call returned: 0, or a code of errors."""
    error: str
    stdout: bytes = field(repr=False)
    """The last of what was written there."""
    stderr: bytes = field(repr=False)
    cut: bool
    """Whether there was more."""
    input_size: int
    output_size: int
    memory_peak: int
    """Bytes; 0: not known."""
    lost: int
    """So many calls ended before it whose records had no room."""


@dataclass(frozen=True)
class Summary:
    """What the calls of one function were like."""

    function: str
    calls: int
    errors: int
    cold: int
    p50_us: int
    p95_us: int
    p99_us: int
    longest_us: int


def since_epoch(moment: Optional[datetime]) -> int:
    if moment is None:
        return 0
    aware = moment.astimezone(timezone.utc)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def list_options(function: Optional[str], request_id: Optional[str], since: Optional[datetime],
                 until: Optional[datetime], **members: Any) -> Any:
    return _ffi.InvocationListOpts(
        function=text(function), request_id=text(request_id), since_us=since_epoch(since),
        until_us=since_epoch(until), **members)


def summary_options(function: Optional[str], since: Optional[datetime],
                    until: Optional[datetime]) -> Any:
    return _ffi.InvocationSummaryOpts(function=text(function), since_us=since_epoch(since),
                                      until_us=since_epoch(until))


def _invocation(address: Any) -> Invocation:
    row = cast(address, POINTER(_ffi.Invocation)).contents
    return Invocation(
        number=row.number, request_id=row.request_id.decode(), function=row.function.decode(),
        function_id=row.function_id.decode(), version=row.version, runtime=row.runtime.decode(),
        instance=row.instance.decode(), path=row.path.decode(),
        started=_EPOCH + timedelta(microseconds=row.started_us), duration_us=row.duration_us,
        cold=bool(row.cold), code=row.code, error=row.error.decode("utf-8", "replace"),
        stdout=string_at(row.out, row.out_len), stderr=string_at(row.err, row.err_len),
        cut=bool(row.cut), input_size=row.input_size, output_size=row.output_size,
        memory_peak=row.memory_peak, lost=row.lost)


def list_invocations(nova: c_void_p, options: Any) -> List[Invocation]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_invocation_list", nova, byref(options), byref(found), byref(count))
    try:
        return [_invocation(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_invocation_list_free(found, count)


def _summary(address: Any) -> Summary:
    row = cast(address, POINTER(_ffi.InvocationSummary)).contents
    return Summary(row.function.decode(), row.calls, row.errors, row.cold, row.p50_us, row.p95_us,
                   row.p99_us, row.longest_us)


def list_summaries(nova: c_void_p, options: Any) -> List[Summary]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_invocation_summarize", nova, byref(options), byref(found), byref(count))
    try:
        return [_summary(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_invocation_summaries_free(found, count)
