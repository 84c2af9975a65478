# SPDX-License-Identifier: MIT
"""What was used, and what it costs."""
import json
from ctypes import POINTER, byref, c_size_t, c_void_p
from typing import Any, Dict, List, Mapping, Optional

from . import _ffi
from ._call import check, owned_text, text

MODES = ("storage", "ephemeral", "cached", "checkpointed", "branched", "persistent")


def usage_after(last: Optional[Mapping[str, Any]]) -> "Optional[_ffi.Usage]":
    return last and _ffi.Usage(start_us=last["start_us"], key=text(last["key"]),
                               function=text(last["function"]), mode=MODES.index(last["mode"]))


def list_usage(nova: c_void_p, options: Any) -> List[Dict[str, Any]]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_usage_list", nova, byref(options), byref(found), byref(count))
    try:
        return [json.loads(owned_text(_ffi.lib.nova_usage_to_json(found[i])))
                for i in range(count.value)]
    finally:
        _ffi.lib.nova_usage_list_free(found, count)


def ask_for_bill(call: str, nova: c_void_p, options: Any) -> Dict[str, Any]:
    found = c_void_p()
    check(call, nova, byref(options), byref(found))
    try:
        bill: Dict[str, Any] = json.loads(owned_text(_ffi.lib.nova_bill_to_json(found)))
        return bill
    finally:
        _ffi.lib.nova_bill_free(found)
