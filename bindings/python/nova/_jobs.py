# SPDX-License-Identifier: MIT
"""Calls that wait in Redis until a host has time."""
import json
from ctypes import POINTER, byref, c_size_t, c_uint64, c_void_p
from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import _ffi
from ._call import check, owned_text, text

_STATES = ("waiting", "running", "done", "dead")


def _read(job: c_void_p) -> Dict[str, Any]:
    members: Dict[str, Any] = json.loads(owned_text(_ffi.lib.nova_job_to_json(job)))
    return members


def ask_for_job(call: str, nova: c_void_p, *arguments: Any) -> Dict[str, Any]:
    """What a call gives that gives a job; {}: none."""
    found = c_void_p()
    check(call, nova, *arguments, byref(found))
    if not found:
        return {}
    try:
        return _read(found)
    finally:
        _ffi.lib.nova_job_free(found)


def _bits(states: Iterable[str]) -> int:
    bits = 0
    for state in states:
        if state not in _STATES:
            raise ValueError(f"states: {state!r} is none; there are {', '.join(_STATES)}")
        bits |= 1 << _STATES.index(state)
    return bits


def list_jobs(nova: c_void_p, function: Optional[str], states: Iterable[str],
              owner: Optional[str], **rest: Any) -> Tuple[List[Dict[str, Any]], int]:
    """A page, and where the next one begins; 0: there is none."""
    options = _ffi.JobListOpts(function=text(function), owner=text(owner), states=_bits(states),
                               **rest)
    found, count, following = POINTER(c_void_p)(), c_size_t(), c_uint64()
    check("nova_job_list", nova, byref(options), byref(found), byref(count), byref(following))
    try:
        return [_read(c_void_p(found[i])) for i in range(count.value)], following.value
    finally:
        _ffi.lib.nova_job_list_free(found, count)
