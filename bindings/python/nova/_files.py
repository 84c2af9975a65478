# SPDX-License-Identifier: MIT
"""Files of a guest, and what came of merging those of several."""
from ctypes import c_void_p
from dataclasses import dataclass
from datetime import datetime
from typing import List, Tuple

from . import _ffi
from ._results import _time

CONFLICTS = ("refuse", "latest", "first", "intersection")
_FILE_KINDS = ("", "file", "directory", "link", "other")
_MERGE_KINDS = ("", "added", "changed", "deleted", "conflict")


@dataclass(frozen=True)
class File:
    """One entry of a directory in a guest."""

    path: str
    """Within the directory that was listed."""
    kind: str
    """"file", "directory", "link" or "other": a pipe, socket or device."""
    size: int
    mode: int
    """Permissions, as in 0o644."""
    changed: datetime
    digest: int
    """A number made from the content; 0 for what has none."""
    target: str
    """Where a link leads."""


@dataclass(frozen=True)
class MergedPath:
    """What a merge did to one path, or would not do."""

    path: str
    kind: str
    """"added", "changed", "deleted" or "conflict"."""
    branch: int
    """Whose it is: an index of the branches; -1 for none."""


@dataclass(frozen=True)
class Merge:
    """What came of a merge: see Vm.merge()."""

    paths: Tuple[MergedPath, ...]
    conflicts: int


def _file(files: c_void_p, i: int) -> File:
    lib = _ffi.lib
    return File(path=lib.nova_files_path(files, i).decode(),
                kind=_FILE_KINDS[lib.nova_files_kind(files, i)],
                size=lib.nova_files_size(files, i), mode=lib.nova_files_mode(files, i),
                changed=_time(lib.nova_files_mtime_us(files, i)),
                digest=lib.nova_files_digest(files, i),
                target=lib.nova_files_target(files, i).decode())


def take_files(pointer: c_void_p) -> List[File]:
    """Copies a nova_files_t and frees it."""
    try:
        return [_file(pointer, i) for i in range(_ffi.lib.nova_files_count(pointer))]
    finally:
        _ffi.lib.nova_files_free(pointer)


def _merged(merge: c_void_p, i: int) -> MergedPath:
    lib = _ffi.lib
    return MergedPath(lib.nova_merge_path(merge, i).decode(),
                      _MERGE_KINDS[lib.nova_merge_kind(merge, i)], lib.nova_merge_branch(merge, i))


def take_merge(pointer: c_void_p) -> Merge:
    """Copies a nova_merge_t and frees it."""
    lib = _ffi.lib
    try:
        paths = tuple(_merged(pointer, i) for i in range(lib.nova_merge_count(pointer)))
        return Merge(paths, conflicts=lib.nova_merge_conflicts(pointer))
    finally:
        lib.nova_merge_free(pointer)
