# SPDX-License-Identifier: MIT
"""Values that functions are given and nobody else."""
import os
from ctypes import POINTER, byref, c_size_t, c_void_p, cast
from dataclasses import dataclass
from typing import Any, List, Union

from . import _ffi
from ._call import check, text


@dataclass(frozen=True)
class Secret:
    """A secret, without its value."""

    name: str
    key_id: str
    """Which key it is encrypted with."""
    created_us: int
    """Microseconds since 1970."""
    updated_us: int


def _read(address: Any) -> Secret:
    row = cast(address, POINTER(_ffi.Secret)).contents
    return Secret(row.name.decode(), row.key_id.decode(), row.created_us, row.updated_us)


def set_secret(nova: c_void_p, name: str, value: Union[str, bytes, bytearray]) -> None:
    content = value.encode() if isinstance(value, str) else bytes(value)
    check("nova_secret_set", nova, text(name), content, c_size_t(len(content)))


def list_secrets(nova: c_void_p) -> List[Secret]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_secret_list", nova, byref(found), byref(count))
    try:
        return [_read(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_secret_list_free(found, count)


def rotate(nova: c_void_p) -> int:
    count = c_size_t()
    check("nova_secret_rotate", nova, byref(count))
    return count.value


def create_secret_key(path: "Union[str, os.PathLike[str]]") -> None:
    """Puts a new key for secrets before those that a file has, which is made if it is not
    there."""
    check("nova_secret_key_create", text(os.fspath(path)))
