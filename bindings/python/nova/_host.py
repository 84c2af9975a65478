# SPDX-License-Identifier: MIT
"""The host context and VMs of one's own."""
import contextlib
import json
import logging
from ctypes import byref, c_char_p, c_size_t, c_uint64, c_void_p, cast, string_at
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import _ffi
from ._call import (Handle, Lent, OnOutput, OutputTap, called_back, check, milliseconds,
                    owned_text, text)
from ._files import CONFLICTS, File, Merge, take_files, take_merge
from ._interrupt import Interrupt, interruptible, pointer_of, wait_options
from ._options import command_options, init_options, snapshot_options, vm_invoke_options
from ._results import Probe, Result
from ._settings import Config
from ._stdin import Stdin, stdin_options
from .errors import InvalidArgument, NovaError

_log = logging.getLogger("nova")
_log.addHandler(logging.NullHandler())
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


def _pass_log_on(_userdata: Any, level: int, module: bytes, line: bytes) -> None:
    with called_back():
        _log.log(_LEVELS.get(level, logging.DEBUG), "%s: %s", module.decode("utf-8", "replace"),
                 line.decode("utf-8", "replace"))


# Lives as long as the module, so that no context can outlive it.
LOG_FUNCTION = _ffi.LOG_FN(_pass_log_on)


def send_log_to_logging(host: c_void_p) -> None:
    """To the logger "nova", as far as it wants to hear:
    see logging.getLogger("nova").setLevel()."""
    wanted = max((level for level, python in _LEVELS.items() if _log.isEnabledFor(python)),
                 default=0)
    _ffi.lib.nova_host_set_log(host, LOG_FUNCTION, None, wanted)


def read_probe(host: c_void_p) -> Probe:
    found = c_void_p()
    check("nova_engine_probe", host, byref(found))
    return Probe._take(found)


class Vm:
    """One microVM, made by Nova.start_vm(). Ends with close(), or with its `with` statement."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @classmethod
    def _take(cls, pointer: c_void_p) -> "Vm":
        return cls(Handle(pointer, _ffi.lib.nova_vm_free))

    @classmethod
    def _start(cls, host: c_void_p, options: "_ffi.VmOpts") -> "Vm":
        made = c_void_p()
        check("nova_vm_start", host, byref(options), byref(made))
        return cls._take(made)

    def __enter__(self) -> "Vm":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Ends the VM at once, whatever it does, and waits for the calls that this breaks off.
        One that is lent goes on."""
        if isinstance(self._handle, Lent) or not self._handle.ours:
            self._handle.close()
        elif not self._handle.closed:
            try:
                self.kill()
            finally:
                self._handle.close()

    @property
    def id(self) -> str:
        with self._handle.using() as vm:
            return _ffi.lib.nova_vm_id(vm).decode()

    @property
    def engine(self) -> str:
        with self._handle.using() as vm:
            return _ffi.lib.nova_vm_engine(vm).decode()

    @property
    def path(self) -> str:
        """How it has come to be: "hot", "parked" or "classic"."""
        with self._handle.using() as vm:
            return _ffi.lib.nova_vm_path(vm).decode()

    @property
    def path_why(self) -> str:
        """Why it was not "hot" or "parked"; "" if it was, or nobody has tried."""
        with self._handle.using() as vm:
            return _ffi.lib.nova_vm_path_why(vm).decode("utf-8", "replace")

    @property
    def state(self) -> str:
        """"running", "paused" or "dead"."""
        with self._handle.using() as vm:
            return {1: "running", 2: "paused", 3: "dead"}[_ffi.lib.nova_vm_state(vm)]

    @property
    def pid(self) -> int:
        """Process id of the VMM; 0 once it is dead."""
        with self._handle.using() as vm:
            return _ffi.lib.nova_vm_pid(vm)

    @interruptible()
    def init(self, runtime: str, handler: Optional[str] = None,
             env: Optional[Mapping[str, str]] = None, timeout: Optional[float] = None,
             concurrency: int = 1, *, interrupt: Optional[Interrupt] = None) -> None:
        """Gives the VM the function on its code disk.
        `concurrency` calls may be under way at once; more wait for their turn."""
        options = init_options(runtime, handler, env, timeout, concurrency, interrupt=interrupt)
        with self._handle.using() as vm:
            check("nova_vm_init", vm, byref(options))

    @interruptible()
    def invoke(self, payload: Any = None, timeout: Optional[float] = None,
               request_id: Optional[str] = None, on_output: Optional[OnOutput] = None, *,
               interrupt: Optional[Interrupt] = None) -> Result:
        """Runs the function once; `payload` is anything that json.dumps() takes."""
        data = encode_payload(payload)
        tap = OutputTap(on_output)
        options = vm_invoke_options(tap, timeout, request_id, interrupt=interrupt)
        result = c_void_p()
        with self._handle.using() as vm:
            return collect(result, tap, "nova_vm_invoke", vm, data, byref(options), byref(result))

    def cancel(self, request_id: str) -> None:
        """Ends the call of that request id, if it is under way: it raises Canceled.
        Any thread may do so, and `on_output`."""
        with self._handle.using() as vm:
            _ffi.lib.nova_vm_cancel(vm, text(request_id))

    @interruptible()
    def command(self, argv: Sequence[str], env: Optional[Mapping[str, str]] = None,
                stdin: Stdin = b"", cwd: Optional[str] = None, timeout: Optional[float] = None,
                on_output: Optional[OnOutput] = None, *,
                interrupt: Optional[Interrupt] = None) -> Result:
        """Runs a program in the guest. One that fails raises nothing: see `exit_code`.

        `stdin` may be a file with a descriptor, or an iterable of bytes:
        it is passed on while the command runs.
        """
        tap = OutputTap(on_output)
        result = c_void_p()
        with stdin_options(stdin) as given:
            options = command_options(tap, given, argv, env, cwd, timeout, interrupt=interrupt)
            with self._handle.using() as vm:
                return collect(result, tap, "nova_vm_command", vm, byref(options), byref(result))

    @interruptible()
    def list_files(self, directory: str, depth: int = 0, *,
                   interrupt: Optional[Interrupt] = None) -> List[File]:
        """All that is in a directory of the guest, `depth` levels deep (0: all),
        each directory before what is in it."""
        found = c_void_p()
        with self._handle.using() as vm:
            check("nova_vm_list_files", vm, text(directory), depth, wait_options(interrupt),
                  byref(found))
        return take_files(found)

    @interruptible()
    def read_file(self, path: str, most: int = 0, *,
                  interrupt: Optional[Interrupt] = None) -> bytes:
        """The content of a file of the guest;
        one of more than `most` bytes (0: 64 MiB) is refused."""
        data, length = c_void_p(), c_size_t()
        options = _ffi.FileReadOpts(max_size=most, interrupt=pointer_of(interrupt))
        with self._handle.using() as vm:
            check("nova_vm_read_file", vm, text(path), byref(options), byref(data), byref(length))
        try:
            return string_at(data, length.value)
        finally:
            _ffi.lib.nova_free(data)

    @interruptible()
    def write_file(self, path: str, data: bytes, mode: int = 0o644, *,
                   interrupt: Optional[Interrupt] = None) -> None:
        """Writes a file of the guest, or replaces it: whole, or not at all.
        It belongs to the user that functions run as."""
        options = _ffi.FileWriteOpts(mode=mode, interrupt=pointer_of(interrupt))
        with self._handle.using() as vm:
            check("nova_vm_write_file", vm, text(path), cast(c_char_p(bytes(data)), c_void_p),
                  len(data), byref(options))

    @interruptible()
    def remove_file(self, path: str, *, interrupt: Optional[Interrupt] = None) -> None:
        """Removes a file, a link or an empty directory of the guest."""
        with self._handle.using() as vm:
            check("nova_vm_remove_file", vm, text(path), wait_options(interrupt))

    @interruptible()
    def ping(self, timeout: Optional[float] = None, *,
             interrupt: Optional[Interrupt] = None) -> None:
        """Asks the agent for a sign of life."""
        with self._handle.using() as vm:
            check("nova_vm_ping", vm, milliseconds(timeout), wait_options(interrupt))

    @interruptible()
    def pause(self, *, interrupt: Optional[Interrupt] = None) -> None:
        """Stops the guest's processors; nothing in it is lost."""
        with self._handle.using() as vm:
            check("nova_vm_pause", vm, wait_options(interrupt))

    @interruptible()
    def resume(self, *, interrupt: Optional[Interrupt] = None) -> None:
        """Lets a paused guest go on."""
        with self._handle.using() as vm:
            check("nova_vm_resume", vm, wait_options(interrupt))

    @interruptible(undo=lambda _vm, children: [child.close() for child in children])
    def fork(self, count: int = 1, *, interrupt: Optional[Interrupt] = None) -> List["Vm"]:
        """`count` children that go on from this instant, with their memory shared copy-on-write."""
        children = (c_void_p * max(count, 1))()
        with self._handle.using() as vm:
            check("nova_vm_fork", vm, count, wait_options(interrupt), children)
        return [Vm._take(c_void_p(child)) for child in children]

    @interruptible(undo=lambda _vm, made: made[0].close())
    def merge(self, branches: "Sequence[Vm]", directory: Optional[str] = None,
              on_conflict: str = "refuse", *,
              interrupt: Optional[Interrupt] = None) -> "Tuple[Vm, Merge]":
        """A fork of this VM, the parent of the branches, with what they have made of the files
        below `directory` (/tmp) since; and a report.

        Memory and processes are not merged. Paths that branches have changed differently:
        on_conflict "refuse" raises AlreadyExists, whose `merge` lists them; "latest" takes the one
        that was changed last, "first" that of the first branch. "intersection" takes nothing but
        what all branches have done in the same way, also of other paths.
        """
        if on_conflict not in CONFLICTS:
            raise ValueError(f"on_conflict {on_conflict!r} is not one of {', '.join(CONFLICTS)}")
        options = _ffi.MergeOpts(directory=text(directory),
                                 on_conflict=CONFLICTS.index(on_conflict),
                                 interrupt=pointer_of(interrupt))
        made, report = c_void_p(), c_void_p()
        with contextlib.ExitStack() as stack:
            parent = stack.enter_context(self._handle.using())
            lent = [stack.enter_context(branch._handle.using()) for branch in branches]
            pointers = (c_void_p * max(len(branches), 1))(*lent)
            options.branches, options.branch_count = pointers, len(branches)
            try:
                check("nova_vm_merge", parent, byref(options), byref(made), byref(report))
            except NovaError as error:
                error.merge = take_merge(report) if report else None
                raise
        return Vm._take(made), take_merge(report)

    @interruptible()
    def park(self, count: int, life: Optional[float] = None, *,
             interrupt: Optional[Interrupt] = None) -> None:
        """Keeps `count` VMM processes waiting for the next children of this VM,
        for `life` seconds (a minute); 0 ends them."""
        with self._handle.using() as vm:
            check("nova_vm_park", vm, count, milliseconds(life), wait_options(interrupt))

    @interruptible()
    def snapshot(self, name: Optional[str] = None, life_time: Optional[float] = None,
                 compress: Optional[bool] = None, *, interrupt: Optional[Interrupt] = None) -> str:
        """Writes a snapshot, from which Nova.restore_vm() goes on later; returns its id.
        `life_time` in seconds. `compress` None: as the setting snapshot.compress says."""
        options = snapshot_options(name, life_time, compress, interrupt=interrupt)
        made = c_void_p()
        with self._handle.using() as vm:
            check("nova_vm_snapshot", vm, byref(options), byref(made))
        return take_snapshot_id(made)

    @classmethod
    def _restore(cls, host: c_void_p, name: str, interrupt: Optional[Interrupt]) -> "Vm":
        made = c_void_p()
        with opened_snapshot(host, name) as snapshot:
            check("nova_vm_restore", host, snapshot, wait_options(interrupt), byref(made))
        return cls._take(made)

    @interruptible()
    def stop(self, grace: Optional[float] = None, *, interrupt: Optional[Interrupt] = None) -> None:
        """Asks the guest to end and kills it after `grace` seconds.
        Then it raises FunctionTimeout."""
        with self._handle.using() as vm:
            check("nova_vm_stop", vm, milliseconds(grace), wait_options(interrupt))

    def kill(self) -> None:
        """Kills the VMM at once, from any thread."""
        with self._handle.using() as vm:
            _ffi.lib.nova_vm_kill(vm)

    @property
    def console(self) -> str:
        """The last of what the guest's console and the VMM printed."""
        with self._handle.using() as vm:
            return owned_text(_ffi.lib.nova_vm_console(vm))

    def stats(self) -> Dict[str, int]:
        """What it costs this host now, guest and VMM, and what its start has taken.

        Bytes of memory: `pss` is its fair share, `private` what comes free when it ends, `shared`
        what others use too, `rss` all of it. Microseconds: `cpu_us` of processor time, `start_us`,
        `boot_us` and `init_us` of its start, `stood_still_us` of its last fork or snapshot.
        `merged` are bytes that the kernel keeps once for several (setting `qemu.merge_memory`).
        Raises Lost if it is dead.
        """
        names = _ffi.VM_STATS
        values = (c_uint64 * len(names))()
        with self._handle.using() as vm:
            check("nova_vm_stats", vm, values, len(names))
        return dict(zip(names, values))


def take_snapshot_id(made: c_void_p) -> str:
    try:
        return _ffi.lib.nova_snapshot_id(made).decode()
    finally:
        _ffi.lib.nova_snapshot_free(made)


@contextlib.contextmanager
def opened_snapshot(host: c_void_p, name: str) -> Iterator[c_void_p]:
    snapshot = c_void_p()
    check("nova_snapshot_open", host, text(name), byref(snapshot))
    try:
        yield snapshot
    finally:
        _ffi.lib.nova_snapshot_free(snapshot)


def encode_payload(payload: Any) -> bytes:
    """None is "{}"; bytes are JSON text already; all else is turned into JSON."""
    if isinstance(payload, (bytes, bytearray)):
        if 0 in payload:  # the library would see what is before it
            raise refusal("the payload is not JSON: it has a NUL byte in it")
        return bytes(payload)
    try:
        return json.dumps({} if payload is None else payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        reason = "the payload has text in it that is not Unicode"
    except RecursionError:  # the library would refuse less
        reason = "the payload is nested too deeply: 512 levels are the limit"
    raise refusal(reason)


def refusal(message: str) -> InvalidArgument:
    """What the library would say of it."""
    refused = InvalidArgument(message)
    refused.code, refused.name = -1, "NOVA_EINVAL"
    return refused


def collect(result: c_void_p, tap: OutputTap, name: str, *arguments: Any) -> Result:
    """A call that gives a result even when it fails: the exception then carries it."""
    try:
        check(name, *arguments)
    except NovaError as error:
        if result:
            error.result = Result._take(result)
        tap.finish()
        raise
    made = Result._take(result)
    tap.finish()
    return made


def probe(config: Any = None, *, environment: bool = True, **settings: Any) -> Probe:
    """What this host can do: engines, which one is used, and why. Arguments as of open()."""
    host = c_void_p()
    with Config(config, settings, environment) as made:
        check("nova_host_new", made, byref(host))
    try:
        send_log_to_logging(host)
        return read_probe(host)
    finally:
        _ffi.lib.nova_host_unref(host)
