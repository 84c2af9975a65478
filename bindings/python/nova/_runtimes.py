# SPDX-License-Identifier: MIT
"""What functions are run by."""
from ctypes import POINTER, byref, c_size_t, c_void_p, cast
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

from . import _ffi
from ._call import check, text, text_array


@dataclass(frozen=True)
class Runtime:
    """One runtime."""

    name: str
    alias: Optional[str]
    built_in: bool
    rootfs: str
    """The file that it was copied from, or the name of a guest image."""
    rootfs_hash: Optional[str]
    """SHA-256 of the copy; None: it is a guest image."""
    protocol: str
    argv: Tuple[str, ...]
    """Its command line; of a built-in one not told."""
    memory_mb: int
    """What a function has that does not say; 0: as others. So are the next two."""
    timeout_s: int
    init_timeout_s: int
    least_memory_mb: int


def _read(address: Any) -> Runtime:
    row = cast(address, POINTER(_ffi.Runtime)).contents

    def words(name: str) -> Optional[str]:
        value = getattr(row, name)
        return None if value is None else value.decode("utf-8", "replace")

    return Runtime(
        words("name") or "", words("alias"), bool(row.built_in), words("rootfs") or "",
        words("rootfs_hash"), words("protocol") or "",
        tuple(row.argv[i].decode("utf-8", "replace") for i in range(row.argv_count)),
        row.memory_mb, row.timeout_s, row.init_timeout_s, row.least_memory_mb)


def read_runtime(address: c_void_p) -> Runtime:
    """Takes what nova_runtime_get() gave."""
    try:
        return _read(address)
    finally:
        _ffi.lib.nova_runtime_free(cast(address, POINTER(_ffi.Runtime)))


def list_runtimes(nova: c_void_p) -> List[Runtime]:
    found, count = POINTER(c_void_p)(), c_size_t()
    check("nova_runtime_list", nova, byref(found), byref(count))
    try:
        return [_read(found[i]) for i in range(count.value)]
    finally:
        _ffi.lib.nova_runtime_list_free(found, count)


def runtime_options(name: str, rootfs: Any, argv: Sequence[str], protocol: Optional[str],
                    replace: bool, **numbers: int) -> Any:
    return _ffi.RuntimeOpts(
        name=text(name), rootfs=text(rootfs), argv=text_array(list(argv)), argv_count=len(argv),
        protocol=text(protocol),
        flags=_ffi.RUNTIME_REPLACE if replace else 0, **numbers)
