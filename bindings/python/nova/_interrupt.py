# SPDX-License-Identifier: MIT
"""How a call that waits is ended: by a token, and by Ctrl-C.

Python runs signal handlers in the main thread only, and only between two steps of Python: not while
that thread is inside a function of the library. So a call of the main thread is made in a helper
thread, and the main thread waits where a signal wakes it. If the handler raises nothing, the call
goes on; else the call's token is triggered, its end is awaited, and what the handler has raised is
raised. Calls of other threads are made directly.
"""
import functools
import os
import threading
from ctypes import byref, c_void_p
from queue import Empty, SimpleQueue
from typing import Any, Callable, List, Optional, Set, Tuple, TypeVar, cast

from . import _ffi, errors

F = TypeVar("F", bound=Callable[..., Any])
# A signal that comes just before the main thread sleeps does not wake it: Python sees it when it
# looks again.
_LOOK_S = 0.05


class Interrupt:
    """Ends calls: give it to any number of them as `interrupt`,
    and call trigger() from any thread or signal handler.

    They raise Canceled, or return if they were over already; so does every call that gets it later,
    as it stays triggered. A `with` statement triggers it at its end, so that no call with it
    outlives the statement.
    """

    def __init__(self) -> None:
        self._pointer = c_void_p()
        self._inner: Set[Interrupt] = set()
        self._triggered = False
        error = c_void_p()
        if _ffi.lib.nova_interrupt_new(byref(self._pointer), byref(error)) < 0:
            raise errors.from_library(error)

    def __enter__(self) -> "Interrupt":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.trigger()

    def __del__(self) -> None:
        if self._pointer:
            _ffi.lib.nova_interrupt_free(self._pointer)

    @property
    def triggered(self) -> bool:
        return self._triggered

    def trigger(self) -> None:
        """Ends all calls that have it, now and later."""
        # No lock: a signal handler may come here in the middle of the same.
        self._triggered = True
        _ffi.lib.nova_interrupt_trigger(self._pointer)
        for token in list(self._inner):
            token.trigger()

    def _pass_on_to(self, token: "Interrupt") -> None:
        self._inner.add(token)
        if self._triggered:
            token.trigger()


def pointer_of(interrupt: Optional[Interrupt]) -> Optional[c_void_p]:
    """For an option struct, which must not outlive the token."""
    return interrupt._pointer if interrupt is not None else None


def wait_options(interrupt: Optional[Interrupt]) -> Any:
    """For calls that have no options but a token."""
    return None if interrupt is None else byref(_ffi.WaitOpts(interrupt=interrupt._pointer))


class _Job:
    """Work of the main thread in a helper thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        # For the main thread, to be called there.
        self._news: "SimpleQueue[Callable[[], None]]" = SimpleQueue()
        self._given_up = False
        self._heard: Optional[threading.Event] = None
        self.outcome: Optional[Tuple[Any, Optional[BaseException]]] = None  # result, error

    def _claimed_by(self, who: str) -> bool:
        """Either the helper does the work, or the caller has given up before:
        whoever asks first."""
        owner: str = self.__dict__.setdefault("_owner", who)  # one step, whatever the thread
        return owner == who

    # --- in the helper ---

    def perform(self) -> None:
        if not self._claimed_by("helper"):
            return
        _current.job = self
        try:
            self.outcome = self._work(), None
        except BaseException as error:
            self.outcome = None, error
        finally:
            _current.job = None

    def tell(self) -> None:
        self._news.put(_nothing)

    def call_back(self, function: Callable[[], None]) -> None:
        """Calls it in the thread that has made the call, and waits."""
        if self._given_up:
            return
        heard = self._heard = threading.Event()

        def hear() -> None:
            try:
                if not self._given_up:
                    function()
            finally:
                heard.set()

        self._news.put(hear)
        heard.wait()

    # --- in the main thread ---

    def wait(self) -> None:
        while self.outcome is None:
            try:
                self._news.get(timeout=_LOOK_S)()
            except Empty:
                pass

    def give_up(self) -> None:
        """Waits for the end of what has been told to end.
        May be called again if it was interrupted itself."""
        if self._claimed_by("caller"):
            self.outcome = None, None
        self._given_up = True
        if self._heard is not None:
            self._heard.set()
        self.wait()


def _nothing() -> None:
    pass


_current = threading.local()
# What the helper threads that have nothing to do take their jobs from.
_idle: "List[SimpleQueue[_Job]]" = []


def _help(jobs: "SimpleQueue[_Job]") -> None:
    while True:
        job = jobs.get()
        job.perform()
        _idle.append(jobs)
        job.tell()
        del job  # and with it its result


def _begin(job: _Job) -> None:
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue()
        threading.Thread(target=_help, args=(jobs,), name="nova", daemon=True).start()
    jobs.put(job)


os.register_at_fork(after_in_child=_idle.clear)  # threads stay in the parent


def current_job() -> Optional[_Job]:
    return getattr(_current, "job", None)


def interruptible(undo: Optional[Callable[..., Any]] = None) -> Callable[[F], F]:
    """For methods that wait, with a keyword `interrupt`:
    they get a token there that Ctrl-C triggers too.

    `undo(self, result)` takes back what was made by a call that was over when it was interrupted.
    """
    def decorate(method: F) -> F:
        @functools.wraps(method)
        def call(self: Any, *args: Any, interrupt: Optional[Interrupt] = None,
                 **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return method(self, *args, interrupt=interrupt, **options)
            token = Interrupt()
            job = _Job(lambda: method(self, *args, interrupt=token, **options))
            return _call(job, token, interrupt, undo and functools.partial(undo, self))

        return cast(F, call)

    return decorate


def _call(job: _Job, token: Interrupt, outer: Optional[Interrupt],
          undo: Optional[Callable[[Any], Any]]) -> Any:
    try:
        if outer is not None:
            outer._pass_on_to(token)
        _begin(job)
        job.wait()
        assert job.outcome is not None
        result, error = job.outcome
        if error is None:
            return result
    except BaseException as raised:
        _end(job, token)
        _explain(raised, job, undo)
        raise
    finally:
        if outer is not None:
            outer._inner.discard(token)
    try:
        raise error
    finally:
        del error, job  # they refer to this frame


def _end(job: _Job, token: Interrupt) -> None:
    """Another Ctrl-C changes nothing: the end is near."""
    while True:
        try:
            token.trigger()
            job.give_up()
            return
        except BaseException:
            continue


def _explain(raised: BaseException, job: _Job, undo: Optional[Callable[[Any], Any]]) -> None:
    """What became of the call is the context of what has interrupted it;
    what it has made nobody would ever get."""
    assert job.outcome is not None
    result, error = job.outcome
    if error is None and result is not None:
        what = "what it had made is ended" if undo else f"it gave {result!r:.200}"
        error = errors.Canceled(f"interrupted when the call was over: {what}")
        error.outcome = _ffi.CONSTANTS["NOVA_OUTCOME_RAN"]
        error.result = None if undo else result
        try:
            if undo is not None:
                undo(result)
        except errors.NovaError as failed:
            error = failed
    if error is not None and error is not raised and raised.__context__ is None:
        raised.__context__ = error
