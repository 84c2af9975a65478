# SPDX-License-Identifier: MIT
"""Calls that wait in Redis until a host has time."""
import json
from ctypes import byref, c_void_p
from typing import Any, Dict

from . import _ffi
from ._call import check, owned_text


def ask_for_job(call: str, nova: c_void_p, *arguments: Any) -> Dict[str, Any]:
    """What a call gives that gives a job; {}: none."""
    found = c_void_p()
    check(call, nova, *arguments, byref(found))
    if not found:
        return {}
    try:
        job: Dict[str, Any] = json.loads(owned_text(_ffi.lib.nova_job_to_json(found)))
        return job
    finally:
        _ffi.lib.nova_job_free(found)
