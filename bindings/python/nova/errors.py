# SPDX-License-Identifier: MIT
"""Failures as exceptions: one class for each code of the library, all of them a NovaError.

Whatever the class, three properties tell whether your function ran: `never_ran` (trying again is
safe), `ran` and `outcome_unknown`.
"""
from ctypes import c_void_p
from typing import TYPE_CHECKING, Dict, Optional, Type

from . import _ffi

if TYPE_CHECKING:
    from ._files import Merge
    from ._results import Result


class NovaError(Exception):
    """A call of the library failed. `str(error)` is one sentence for a person."""

    code: int = 0
    """The number of the failure, as in enum nova_code."""
    name: str = ""
    """Its name, such as "NOVA_ENOTFOUND"."""
    os_errno: int = 0
    """The operating system's errno behind it, or 0."""
    outcome: int = 0
    """0: the function never ran; 1: it ran; 2: unknown."""
    limit: int = 0
    """Of LimitReached: which, as in enum nova_limit."""
    retry_after: float = 0.0
    """Seconds after which it is worth trying again, for a rate that is used up; 0: unknown;
    infinity: never, as a VM that has no room on this host."""
    result: "Optional[Result]" = None
    """What the function left, if it ran: its output streams, exit code and times."""
    merge: "Optional[Merge]" = None
    """The conflicts for which a merge was refused: see Vm.merge()."""

    @property
    def never_ran(self) -> bool:
        """Not one instruction of the function ran: trying again is safe."""
        return self.outcome == _ffi.CONSTANTS["NOVA_OUTCOME_NEVER_RAN"]

    @property
    def ran(self) -> bool:
        """The function ran, and this is its failure."""
        return self.outcome == _ffi.CONSTANTS["NOVA_OUTCOME_RAN"]

    @property
    def outcome_unknown(self) -> bool:
        """The function was sent and no answer came: it may have run, wholly or in part."""
        return self.outcome == _ffi.CONSTANTS["NOVA_OUTCOME_UNKNOWN"]


class InvalidArgument(NovaError, ValueError):
    """A bad argument, name or combination; nothing was done."""


class OutOfMemory(NovaError, MemoryError):
    """Out of memory."""


class NotFound(NovaError, LookupError):
    """No function, file, image or VM of that name."""


class AlreadyExists(NovaError):
    """The name is taken by something else."""


class Busy(NovaError):
    """The state of the object forbids this now."""


class NotSupported(NovaError):
    """Not available with this engine or on this host."""


class SystemFailure(NovaError):
    """The operating system refused; see `os_errno`."""


class PermissionDenied(NovaError):
    """Missing rights."""


class NoSpace(NovaError):
    """No space left where something had to be written."""


class TooBig(NovaError, ValueError):
    """Over a documented size limit."""


class Corrupt(NovaError):
    """A file, image or database is damaged or not what it claims."""


class VersionMismatch(NovaError):
    """The library does not know what this package asks for."""


class BadConfig(NovaError, ValueError):
    """A configuration file, variable or setting cannot be understood."""


class EngineFailure(NovaError):
    """The virtual machine monitor did not start, or refused a command."""


class AgentFailure(NovaError):
    """The agent in the guest did not answer in time, or not in its protocol."""


class LimitReached(NovaError):
    """A limit on VMs, memory, queue or waiting time was reached, or that of a plan."""

    @property
    def of_plan(self) -> bool:
        """It is the plan's, of MCUs or of what a key may hold, and not one that all share."""
        return self.limit == _ffi.CONSTANTS["NOVA_LIMIT_PLAN"]


class Canceled(NovaError):
    """Cancelled, or the object is closing."""


class FunctionFailed(NovaError):
    """The function failed; `result` has what it said, if it ran."""


class FunctionTimeout(FunctionFailed):
    """The function exceeded its time limit and was killed."""


class Lost(NovaError):
    """The VM was lost while the function may have been running."""


class Stale(NovaError):
    """A snapshot or template does not fit this host or these inputs."""


BY_CODE: Dict[int, Type[NovaError]] = {-1: InvalidArgument, -2: OutOfMemory, -3: NotFound,
                                       -4: AlreadyExists, -5: Busy, -6: NotSupported,
                                       -7: SystemFailure, -8: PermissionDenied, -9: NoSpace,
                                       -10: TooBig, -11: Corrupt, -12: VersionMismatch,
                                       -13: BadConfig, -14: EngineFailure, -15: AgentFailure,
                                       -16: LimitReached, -17: Canceled, -18: FunctionFailed,
                                       -19: FunctionTimeout, -20: Lost, -21: Stale}


def from_library(error: c_void_p) -> NovaError:
    """The exception for a nova_error_t, which is freed."""
    lib = _ffi.lib
    code = lib.nova_error_code(error)
    made = BY_CODE.get(code, NovaError)(lib.nova_error_message(error).decode("utf-8", "replace"))
    made.code = code
    made.name = lib.nova_code_name(code).decode()
    made.os_errno = lib.nova_error_os(error)
    made.outcome = lib.nova_error_outcome(error)
    retry_ms = lib.nova_error_retry_ms(error)
    made.retry_after = float("inf") if retry_ms == 2**64 - 1 else retry_ms / 1000
    made.limit = lib.nova_error_limit(error)
    lib.nova_error_free(error)
    return made
