# SPDX-License-Identifier: MIT
"""What every call shares: errors become exceptions,
handles are closed once and not under a running call."""
import ctypes
import os
import threading
from contextlib import contextmanager, suppress
from ctypes import byref, c_char_p, c_void_p
from queue import SimpleQueue
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Tuple

from . import _ffi, errors
from ._interrupt import current_job

OnOutput = Callable[[int, bytes], Any]
OnProgress = Callable[[str], Any]


def check(name: str, *arguments: Any) -> int:
    """Calls a function of the library whose last parameter is the error."""
    error = c_void_p()
    code = getattr(_ffi.lib, name)(*arguments, byref(error))
    if code < 0:
        raise errors.from_library(error)
    return code


def text(value: Any) -> Optional[bytes]:
    """A string, or a path, for the library; None stays None."""
    if value is None:
        return None
    data = os.fsencode(value)
    if b"\0" in data:
        raise ValueError("text with a NUL character")
    return data


def owned_text(address: Optional[int]) -> str:
    """A string that has to be freed with nova_free()."""
    if not address:
        raise MemoryError("libnova is out of memory")
    try:
        return ctypes.string_at(address).decode("utf-8", "replace")
    finally:
        _ffi.lib.nova_free(address)


def text_array(items: Sequence[Any]) -> "ctypes.Array[c_char_p]":
    return (c_char_p * max(len(items), 1))(*[text(item) for item in items])


def environment(env: Optional[Mapping[str, str]]) -> Tuple["ctypes.Array[c_char_p]", int]:
    pairs = [f"{name}={value}" for name, value in (env or {}).items()]
    return text_array(pairs), len(pairs)


def label_list(
        labels: Optional[Mapping[str, Optional[str]]]) -> Tuple["ctypes.Array[c_char_p]", int]:
    """Labels to look for; None stands for any value."""
    wanted = [key if value is None else f"{key}={value}" for key, value in (labels or {}).items()]
    return text_array(wanted), len(wanted)


def milliseconds(seconds: Optional[float], bits: int = 32) -> int:
    """A time limit for the library, in which 0 means "the default"."""
    if seconds is None:
        return 0
    if not 0 < seconds < 2**bits / 1000:
        raise ValueError(f"a time limit of {seconds} seconds")
    return max(1, round(seconds * 1000))


_callback = threading.local()
_forgotten: "SimpleQueue[Callable[[], None]]" = SimpleQueue()  # its put() is for finalizers, too
_closing = False  # a thread is there that closes them


def _close_forgotten() -> None:
    while True:
        _forgotten.get()()


def _after_fork() -> None:
    global _forgotten, _closing
    _forgotten, _closing = SimpleQueue(), False  # the thread stays in the parent


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def called_back() -> Iterator[None]:
    """Around Python that the library calls.

    A handle that is forgotten meanwhile, by chance when garbage is collected, is closed by a thread
    of its own: here the library may hold a lock, or be in a thread that closing waits for.
    """
    global _closing
    if not _closing:
        closer = threading.Thread(target=_close_forgotten, name="nova-forgotten", daemon=True)
        with suppress(RuntimeError):  # no thread can be started: the next one that is called may
            closer.start()
            _closing = True
    depth = getattr(_callback, "depth", 0)
    _callback.depth = depth + 1
    try:
        yield
    finally:
        _callback.depth = depth


class Tap:
    """Calls a Python function from the library, in the thread that has made the call.

    An Exception that it raises is raised when the call is over;
    all else, such as KeyboardInterrupt, ends the call.
    """

    def __init__(self) -> None:
        self._raised: Optional[BaseException] = None

    def tell(self, function: Callable[[], Any]) -> None:
        job = current_job()
        try:
            with called_back():
                if job is None:
                    function()
                else:
                    job.call_back(lambda: self._hear(function))
        except BaseException as raised:  # an exception cannot pass through C
            self._raised = raised

    def _hear(self, function: Callable[[], Any]) -> None:
        try:
            with called_back():  # another thread
                function()
        except Exception as raised:
            self._raised = raised

    def finish(self) -> None:
        if self._raised is not None:
            raise self._raised


class OutputTap(Tap):
    """Passes pieces of output on, and what the call waits for before there are any."""

    def __init__(self, on_output: Optional[OnOutput],
                 on_progress: Optional[OnProgress] = None) -> None:
        super().__init__()
        self.progress = ProgressTap(on_progress)
        self._on_output = on_output
        self.function = _ffi.OUTPUT_FN(self._pass_on) if on_output else _ffi.OUTPUT_FN()

    def _pass_on(self, _userdata: Any, stream: int, data: int, length: int) -> None:
        on_output = self._on_output
        if self._raised is None and on_output is not None:
            piece = ctypes.string_at(data, length)
            self.tell(lambda: on_output(stream, piece))

    def finish(self) -> None:
        self.progress.finish()
        super().finish()


class ProgressTap(Tap):
    """Passes on what is being done."""

    def __init__(self, on_progress: Optional[OnProgress]) -> None:
        super().__init__()
        self._on_progress = on_progress
        self.function = _ffi.PROGRESS_FN(self._pass_on) if on_progress else _ffi.PROGRESS_FN()

    def _pass_on(self, _userdata: Any, what: bytes) -> None:
        on_progress, words = self._on_progress, what.decode("utf-8", "replace")
        if self._raised is None and on_progress is not None:
            self.tell(lambda: on_progress(words))


class Handle:
    """Owns a handle of the library. Any thread may use it;
    close() waits for the calls that are under way.

    It uses the handle `of`, if there is one, until it is closed, and `keeps` what the library has
    until then: garbage is collected in any order.
    """

    def __init__(self, pointer: c_void_p, free: Callable[[c_void_p], Any],
                 of: "Optional[Handle]" = None, keeps: Any = None) -> None:
        self._pointer = pointer
        self._free = free
        self._of = of
        self._keeps = keeps
        self._users = 0
        self._closed = self._is_forgotten = False
        self._changed = threading.Condition()
        if of is not None:
            of._enter()
        self._process = os.getpid()

    @property
    def ours(self) -> bool:
        """Whether this process has opened it. In a child made by fork(), a thread that is not there
        may hold its lock."""
        return self._process == os.getpid()

    def check(self) -> None:
        if self._closed:
            raise ValueError("it is closed")
        if not self.ours:
            raise RuntimeError("opened before fork(): open it anew in the child process")

    def _enter(self) -> None:
        self.check()
        with self._changed:
            self.check()
            self._users += 1

    def _leave(self) -> None:
        with self._changed:
            self._users -= 1
            self._changed.notify_all()
            is_last = self._is_forgotten and not self._users
        if is_last:
            self.close()

    @contextmanager
    def using(self) -> Iterator[c_void_p]:
        self._enter()
        try:
            yield self._pointer
        finally:
            self._leave()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self.ours:
            self._closed = True
            return
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.wait_for(lambda: self._users == 0)
        self._free(self._pointer)
        self._keeps = None
        if self._of is not None:
            self._of._leave()

    def __del__(self) -> None:
        # Forgotten handles end their VMs too. An object whose __init__ failed has nothing to end.
        if getattr(self, "_process", None) is None or self._closed:
            return
        if self._users:
            self._is_forgotten = True  # who uses it is forgotten, too, and closes it
        elif getattr(_callback, "depth", 0):
            _forgotten.put(self.close)
        else:
            self.close()


class Lent(Handle):
    """A handle that belongs to another one, which lives as long."""

    def __init__(self, owner: Handle, get: Callable[[c_void_p], Optional[int]]) -> None:
        super().__init__(c_void_p(), lambda _pointer: None)
        self._owner = owner
        self._get = get

    @contextmanager
    def using(self) -> Iterator[c_void_p]:
        with super().using(), self._owner.using() as owner:
            yield c_void_p(self._get(owner))
