# SPDX-License-Identifier: MIT
"""The options that every kind of call takes."""
import contextlib
from typing import Any, Dict, Mapping, Optional, Union

from . import _ffi
from ._call import OutputTap, environment, milliseconds, text
from ._interrupt import Interrupt, pointer_of
from ._properties import LISTS, NUMBERS, TEXTS


def invoke_options(tap: OutputTap, *, timeout: Optional[float] = None,
                   request_id: Optional[str] = None, fresh: bool = False,
                   snapshot: Optional[str] = None, checkpoint: Union[bool, str] = False,
                   instance: Any = None, queue_timeout: Optional[float] = None,
                   interrupt: Optional[Interrupt] = None) -> "_ffi.InvokeOpts":
    """`checkpoint` may be a name for the snapshot."""
    name = checkpoint if isinstance(checkpoint, str) else None
    flags = _ffi.CONSTANTS["NOVA_INVOKE_FRESH"] if fresh else 0
    flags |= _ffi.CONSTANTS["NOVA_INVOKE_CHECKPOINT"] if checkpoint else 0
    with instance._handle.using() if instance else contextlib.nullcontext() as lent:
        return _ffi.InvokeOpts(timeout_ms=milliseconds(timeout), request_id=text(request_id),
                               on_output=tap.function, flags=flags, snapshot=text(snapshot),
                               checkpoint_name=text(name), instance=lent,
                               queue_timeout_ms=milliseconds(queue_timeout),
                               interrupt=pointer_of(interrupt))


def property_members(call: str, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Properties of a function as members of an option struct."""
    members: Dict[str, Any] = {}
    for name, value in given.items():
        if name in NUMBERS:
            members[name] = value or 0
        elif name in TEXTS:
            members[name] = text(value)
        elif name in LISTS:
            members[name], members[name + "_count"] = environment(value)
        else:
            raise TypeError(f"{call}() got an unexpected keyword argument '{name}'")
    return members
