# SPDX-License-Identifier: MIT
"""The libraries of others that libnova uses."""
from ctypes import byref, c_char_p
from dataclasses import dataclass
from typing import Tuple

from . import _ffi
from ._call import check
from .errors import NovaError


@dataclass(frozen=True)
class Module:
    """A file beside libnova with libraries of others inside."""

    name: str
    purpose: str
    """What it is needed for."""
    contents: str
    """The libraries inside with their versions, or ""."""
    error: str
    """What is wrong with it, or ""."""


def modules() -> Tuple[Module, ...]:
    """Loads every module of libnova, and tells what is wrong with those that cannot be."""
    found = []
    while name := _ffi.lib.nova_module_name(len(found)):
        contents, error = c_char_p(b""), ""
        try:
            check("nova_module_load", len(found), byref(contents))
        except NovaError as failure:
            error = str(failure)
        purpose = _ffi.lib.nova_module_purpose(len(found))
        found.append(Module(name.decode(), purpose.decode(), (contents.value or b"").decode(),
                            error))
    return tuple(found)
