# SPDX-License-Identifier: MIT
"""What a function keeps between its calls."""
import ctypes
from ctypes import POINTER, byref, c_size_t, c_uint64, c_void_p, cast
from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Tuple, Union

from . import _ffi
from ._call import Handle, check, milliseconds, text

Bytes = Union[str, bytes, bytearray]


@dataclass(frozen=True)
class Entry:
    """A key with its value."""

    key: str
    value: Optional[bytes]
    """None in what list() gives."""
    size: int
    version: int
    """Each change makes it higher."""
    expires_us: int
    """Microseconds since 1970; 0: never."""


@dataclass(frozen=True)
class KeptFile:
    """A file that a function keeps."""

    name: str
    type: str
    sha256: str
    data: Optional[bytes]
    """None in what files() gives."""
    size: int
    updated_us: int


def _content(data: Bytes) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _entry(address: Any) -> Entry:
    row = cast(address, POINTER(_ffi.KvEntry)).contents
    value = ctypes.string_at(row.value, row.value_len) if row.value else None
    return Entry(row.key.decode(), value, row.value_len, row.version, row.expires_us)


def _file(address: Any) -> KeptFile:
    row = cast(address, POINTER(_ffi.File)).contents
    data = ctypes.string_at(row.data, row.data_len) if row.data else None
    return KeptFile(row.name.decode(), row.type.decode(), row.sha256.decode(), data, row.data_len,
                    row.updated_us)


class Space:
    """What one function keeps: values under keys, and files. Nova.kv() gives it."""

    def __init__(self, handle: Handle, function: str) -> None:
        self._handle = handle
        self._function = text(function)

    def put(self, key: str, value: Bytes, *, ttl: Optional[float] = None, if_version: int = 0,
            new: bool = False) -> int:
        """Puts a value under a key; returns its version. After `ttl` seconds, at most 10 years, it
        is gone. With `new` the key is not to be there, and with `if_version` it is to have that
        version."""
        content = _content(value)
        options = _ffi.KvPutOpts(
            key=text(key), value=cast(content, c_void_p), value_len=len(content),
            ttl_ms=milliseconds(ttl, 63), if_version=if_version, flags=1 if new else 0)
        version = c_uint64()
        with self._handle.using() as nova:
            check("nova_kv_put", nova, self._function, byref(options), byref(version))
        return version.value

    def get(self, key: str) -> Entry:
        """What is under a key."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_kv_get", nova, self._function, text(key), byref(found))
        try:
            return _entry(found)
        finally:
            _ffi.lib.nova_kv_entry_free(cast(found, POINTER(_ffi.KvEntry)))

    def delete(self, key: str, *, if_version: int = 0) -> None:
        """Deletes a key, with `if_version` only if it has that version."""
        with self._handle.using() as nova:
            check("nova_kv_delete", nova, self._function, text(key), c_uint64(if_version))

    def list(self, prefix: Optional[str] = None, *, after: Optional[str] = None,
             limit: int = 100) -> "List[Entry]":
        """Keys without their values; the next page is asked for with `after`, the last one."""
        return self._list(("nova_kv_list", "nova_kv_list_free"), _entry, prefix, after, limit)

    def put_file(self, name: str, data: Bytes, type: Optional[str] = None) -> None:
        """Puts a file; one of that name is replaced."""
        content = _content(data)
        options = _ffi.FilePutOpts(name=text(name), type=text(type),
                                   data=cast(content, c_void_p), data_len=len(content))
        with self._handle.using() as nova:
            check("nova_file_put", nova, self._function, byref(options))

    def get_file(self, name: str) -> KeptFile:
        """A file with its content."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_file_get", nova, self._function, text(name), byref(found))
        try:
            return _file(found)
        finally:
            _ffi.lib.nova_file_free(cast(found, POINTER(_ffi.File)))

    def delete_file(self, name: str) -> None:
        """Deletes a file."""
        with self._handle.using() as nova:
            check("nova_file_delete", nova, self._function, text(name))

    def files(self, prefix: Optional[str] = None, *, after: Optional[str] = None,
              limit: int = 100) -> "List[KeptFile]":
        """Files without their contents, by pages as list()."""
        return self._list(("nova_file_list", "nova_file_list_free"), _file, prefix, after, limit)

    def _list(self, calls: Tuple[str, str], read: Callable[[Any], Any], prefix: Optional[str],
              after: Optional[str], limit: int) -> "List[Any]":
        options = _ffi.KvListOpts(prefix=text(prefix), after=text(after), limit=limit)
        found, count = POINTER(c_void_p)(), c_size_t()
        with self._handle.using() as nova:
            check(calls[0], nova, self._function, byref(options), byref(found), byref(count))
        try:
            return [read(found[i]) for i in range(count.value)]
        finally:
            getattr(_ffi.lib, calls[1])(found, count)
