# SPDX-License-Identifier: MIT
"""Names for published versions."""
from ctypes import POINTER, byref, c_size_t, c_void_p, cast
from dataclasses import dataclass
from typing import Any, List

from . import _ffi
from ._call import check, text


@dataclass(frozen=True)
class Alias:
    """A name for a published version of a function, or for two that share the calls."""

    function: str
    name: str
    version: int
    second: int
    """The version that gets `weight` of 100 calls; 0: none does."""
    weight: int


def _read(address: Any) -> Alias:
    row = cast(address, POINTER(_ffi.Alias)).contents
    return Alias(row.function.decode(), row.name.decode(), row.version, row.second, row.weight)


def take_alias(address: c_void_p) -> Alias:
    """Takes what nova_alias_get() gave."""
    try:
        return _read(address)
    finally:
        _ffi.lib.nova_alias_free(cast(address, POINTER(_ffi.Alias)))


def list_aliases(nova: c_void_p, function: str) -> List[Alias]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_alias_list", nova, text(function), byref(found), byref(count))
    try:
        return [_read(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_alias_list_free(found, count)
