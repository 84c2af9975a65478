# SPDX-License-Identifier: MIT
"""The options that every kind of call takes."""
from typing import Any, Dict, Mapping, Optional, Union

from . import _ffi
from ._call import OutputTap, environment, milliseconds, text
from ._interrupt import Interrupt, pointer_of
from ._properties import LISTS, NUMBERS, TEXTS

MODES = ("cached", "ephemeral", "checkpointed", "branched", "persistent")


def invoke_options(tap: OutputTap, *, timeout: Optional[float] = None, request_id: Optional[str] = None, mode: str = "cached",
                   snapshot: Optional[str] = None, checkpoint_after: Union[bool, str] = False, instance: Any = None,
                   queue_timeout: Optional[float] = None, interrupt: Optional[Interrupt] = None) -> "_ffi.InvokeOpts":
    """`checkpoint_after` may be a name for the snapshot; `instance` an Instance, its name or its id."""
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not one of {', '.join(MODES)}")
    name = getattr(instance, "id", instance)
    return _ffi.InvokeOpts(
        timeout_ms=milliseconds(timeout), request_id=text(request_id), on_output=tap.function, mode=MODES.index(mode),
        checkpoint_after=1 if checkpoint_after else 0, snapshot=text(snapshot),
        snapshot_after=text(checkpoint_after) if isinstance(checkpoint_after, str) else None, instance=text(name),
        queue_timeout_ms=milliseconds(queue_timeout), interrupt=pointer_of(interrupt))


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
