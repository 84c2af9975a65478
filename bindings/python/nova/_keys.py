# SPDX-License-Identifier: MIT
"""Keys for those who call a host program over a network."""
from ctypes import POINTER, byref, c_size_t, c_void_p, cast
from dataclasses import dataclass, field
from typing import Any, List, Optional

from . import _ffi
from ._call import check, text


@dataclass(frozen=True)
class Key:
    """A key: whose it is, and whether it is valid."""

    name: str
    prefix: str
    """How it begins."""
    tier: str
    expires_us: int
    """Microseconds since 1970; 0: never."""
    created_us: int
    updated_us: int
    revoked: bool
    rate: int = 0
    """Calls that it may make in a period; 0: no limit."""
    period_ms: int = 0
    burst: int = 0
    """Calls at once."""
    text: Optional[str] = field(default=None, repr=False)
    """The key itself, in what create_key() gave; else None."""


def _read(address: Any) -> Key:
    row = cast(address, POINTER(_ffi.Key)).contents
    return Key(row.name.decode(), row.prefix.decode(), row.tier.decode(), row.expires_us,
               row.created_us, row.updated_us, bool(row.revoked), row.rate, row.period_ms,
               row.burst, row.text.decode() if row.text else None)


def take_key(address: c_void_p) -> Key:
    """Takes what nova_key_get() gave."""
    try:
        return _read(address)
    finally:
        _ffi.lib.nova_key_free(cast(address, POINTER(_ffi.Key)))


def ask_for_key(call: str, nova: c_void_p, word: str) -> Key:
    found = c_void_p()
    check(call, nova, text(word), byref(found))
    return take_key(found)


def list_keys(nova: c_void_p) -> List[Key]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_key_list", nova, byref(found), byref(count))
    try:
        return [_read(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_key_list_free(found, count)
