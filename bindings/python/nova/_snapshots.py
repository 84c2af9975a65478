# SPDX-License-Identifier: MIT
"""Snapshots of VMs on disk, and the templates that the pool makes by itself."""
from ctypes import POINTER, byref, c_size_t, c_void_p
from dataclasses import dataclass
from datetime import datetime
from typing import List, Optional

from . import _ffi
from ._call import check, text
from ._results import _str, _time


@dataclass(frozen=True)
class Snapshot:
    """An instant of a VM, from which others go on: see Nova.restore_vm()."""

    id: str
    name: str
    """Its id if it was given none; of a template, "template:" and the id."""
    path: str
    """The directory with its files."""
    base: str
    """Id of the snapshot whose memory it shares, or ""."""
    parent: str
    """Id of the snapshot that its VM had gone on from, or had left last, or ""."""
    has_function: bool
    """False in the template of a runtime, and for a VM that was given none."""
    draws: str
    """Of a template: why its function is imported anew in each VM, or ""."""
    created: datetime
    used: datetime
    """When a VM was last made from it, a minute late at most; else when it was written."""
    life_time: Optional[int]
    """Seconds; when it is older, Nova.prune_snapshots() deletes it; None: never."""
    disk_bytes: int
    """What it takes on disk, holes not counted."""

    @classmethod
    def _read(cls, pointer: c_void_p) -> "Snapshot":
        """Copies a nova_snapshot_t."""
        lib = _ffi.lib
        return cls(
            id=_str("nova_snapshot_id", pointer),
            name=_str("nova_snapshot_name", pointer),
            path=_str("nova_snapshot_path", pointer),
            base=_str("nova_snapshot_base", pointer),
            parent=_str("nova_snapshot_parent", pointer),
            has_function=bool(lib.nova_snapshot_has_function(pointer)),
            draws=_str("nova_snapshot_draws", pointer),
            created=_time(lib.nova_snapshot_created_us(pointer)),
            used=_time(lib.nova_snapshot_used_us(pointer)),
            life_time=lib.nova_snapshot_life_time_s(pointer) or None,
            disk_bytes=lib.nova_snapshot_disk_bytes(pointer),
        )


def open_snapshot(host: c_void_p, name: str) -> Snapshot:
    """Finds one and checks that it is whole."""
    found = c_void_p()
    check("nova_snapshot_open", host, text(name), byref(found))
    try:
        return Snapshot._read(found)
    finally:
        _ffi.lib.nova_snapshot_free(found)


def list_snapshots(function: str, host: c_void_p) -> List[Snapshot]:
    """What nova_snapshot_list() or nova_template_list() finds."""
    found, count = POINTER(c_void_p)(), c_size_t()
    check(function, host, byref(found), byref(count))
    try:
        return [Snapshot._read(c_void_p(found[i])) for i in range(count.value)]
    finally:
        _ffi.lib.nova_snapshot_list_free(found, count)


def prune(function: str, host: c_void_p, *options: int) -> int:
    """How many nova_snapshot_prune() or nova_template_prune() has deleted."""
    count = c_size_t()
    check(function, host, *options, byref(count))
    return count.value
