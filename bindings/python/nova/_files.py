# SPDX-License-Identifier: MIT
"""Files of a guest, and what came of merging those of several."""
from ctypes import c_void_p
from dataclasses import dataclass
from datetime import datetime
from typing import List, Tuple

from . import _ffi
from ._results import _time

CONFLICTS = ("refuse", "latest", "first")
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


def take_files(pointer: c_void_p) -> List[File]:
    """Copies a nova_files_t and frees it."""
    lib = _ffi.lib
    try:
        return [File(path=lib.nova_files_path(pointer, i).decode(), kind=_FILE_KINDS[lib.nova_files_kind(pointer, i)],
                     size=lib.nova_files_size(pointer, i), mode=lib.nova_files_mode(pointer, i),
                     changed=_time(lib.nova_files_mtime_us(pointer, i)), digest=lib.nova_files_digest(pointer, i),
                     target=lib.nova_files_target(pointer, i).decode())
                for i in range(lib.nova_files_count(pointer))]
    finally:
        lib.nova_files_free(pointer)


def take_merge(pointer: c_void_p) -> Merge:
    """Copies a nova_merge_t and frees it."""
    lib = _ffi.lib
    try:
        return Merge(paths=tuple(MergedPath(lib.nova_merge_path(pointer, i).decode(), _MERGE_KINDS[lib.nova_merge_kind(pointer, i)],
                                            lib.nova_merge_branch(pointer, i)) for i in range(lib.nova_merge_count(pointer))),
                     conflicts=lib.nova_merge_conflicts(pointer))
    finally:
        lib.nova_merge_free(pointer)
