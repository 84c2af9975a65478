# SPDX-License-Identifier: MIT
"""Asynchronous calls: any number in flight, collected as they finish."""
import threading
import time
from collections import deque
from ctypes import byref, c_void_p
from typing import Any, Deque, Dict, Optional

from . import _ffi, errors
from ._call import Handle, OnOutput, OutputTap, check, text
from ._host import encode_payload
from ._interrupt import Interrupt, interruptible, wait_options
from ._options import invoke_options
from ._results import Result

_SLICE_MS = 1000
_LOOK_S = 0.05  # how often who waits for another thread to collect looks at its token


class Call:
    """A call that was submitted. Any thread may wait for it, and cancel it."""

    def __init__(self, queue: "Queue", tap: OutputTap) -> None:
        self._queue = queue
        self._tap = tap
        self._pointer: Optional[c_void_p] = None  # while the queue has it
        self._done = False
        self._result: Optional[Result] = None
        self._error: Optional[BaseException] = None
        self._interrupt: Optional[Interrupt] = None  # the library has it until the call is finished
        self.request_id = ""
        """The id that logs and the guest see."""

    def done(self) -> bool:
        """Whether it is finished: answered, failed or cancelled."""
        if not self._done:
            self._queue._gather()
        return self._done

    def cancel(self) -> bool:
        """Ends it as soon as can be, wherever it is; result() then raises Canceled.
        False if it was finished already."""
        return self._queue._cancel(self)

    @interruptible()
    def result(self, timeout: Optional[float] = None, *,
               interrupt: Optional[Interrupt] = None) -> Result:
        """Waits for the answer. Raises what Nova.invoke() would have raised,
        and TimeoutError if it is not there after so many seconds.

        `interrupt`, and Ctrl-C in the main thread, cancel the call.
        """
        self._queue._wait(self, timeout, interrupt)
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    @interruptible()
    def exception(self, timeout: Optional[float] = None, *,
                  interrupt: Optional[Interrupt] = None) -> Optional[BaseException]:
        """What result() would raise, or None."""
        self._queue._wait(self, timeout, interrupt)
        return self._error

    def _finish(self, pointer: c_void_p) -> None:
        lib = _ffi.lib
        result, error = lib.nova_call_take_result(pointer), lib.nova_call_take_error(pointer)
        lib.nova_call_free(pointer)
        self._pointer = self._interrupt = None
        self._result = Result._take(c_void_p(result)) if result else None
        if error:
            self._error = errors.from_library(c_void_p(error))
            self._error.result = self._result
        try:
            self._tap.finish()
        except BaseException as raised:  # what on_output raised comes before what came of the call
            self._error = raised
        self._done = True


class Queue:
    """Calls in flight. Made by Nova.queue();
    close it, or use it as a context manager: that cancels what is not finished.

    Collect calls as they finish with collect(), waiting for fileno() in an event loop,
    or ask each Call for its result(); not both for one call.
    """

    def __init__(self, nova: Handle, threads: int, max_calls: int, collects: bool) -> None:
        options = _ffi.QueueOpts(threads=threads, max_calls=max_calls)
        made = c_void_p()
        with nova.using() as pointer:
            check("nova_queue_new", pointer, byref(options), byref(made))
        self._handle = Handle(made, _ffi.lib.nova_queue_free)
        self._nova = nova  # so that a forgotten platform ends after its forgotten queue
        self._changed = threading.Condition()
        self._calls: Dict[int, Call] = {}
        self._next = 1
        self._finished: Optional[Deque[Call]] = deque() if collects else None
        self._collecting = False

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what is not finished, waits until nothing is under way, and ends the threads."""
        if self._handle.closed:
            return
        with self._changed:
            calls = list(self._calls.values())
        for call in calls:
            call.cancel()
        for call in calls:
            call.exception()
        self._handle.close()

    def fileno(self) -> int:
        """A descriptor that is readable while collect() has something to give:
        for selectors, asyncio's add_reader() and their like."""
        with self._handle.using() as queue:
            return _ffi.lib.nova_queue_fd(queue)

    def counts(self) -> Dict[str, int]:
        """How many calls are waiting, under_way and finished, and how many threads there are."""
        with self._handle.using() as queue:
            return {name: _ffi.lib.nova_queue_count(queue, counter)
                    for counter, name in enumerate(_ffi.QUEUE_COUNTERS)}

    def submit(self, name: str, payload: Any = None, *, on_output: Optional[OnOutput] = None,
               interrupt: Optional[Interrupt] = None, **options: Any) -> Call:
        """Hands in a call and returns at once; takes what Nova.invoke() takes.
        `on_output` is called in a thread of the queue."""
        tap = OutputTap(on_output)
        data, opts = encode_payload(payload), invoke_options(tap, interrupt=interrupt, **options)
        call, pointer = Call(self, tap), c_void_p()
        with self._handle.using() as queue, self._changed:
            key = self._next
            self._next += 1
            opts.userdata = key
            check("nova_queue_submit", queue, text(name), data, byref(opts), byref(pointer))
            # It cannot have been collected yet: that needs the lock too.
            call._pointer, call._interrupt = pointer, interrupt
            call.request_id = _ffi.lib.nova_call_request_id(pointer).decode()
            self._calls[key] = call
        return call

    @interruptible(undo=lambda queue, call: queue._give_back(call))
    def collect(self, timeout: Optional[float] = 0, *,
                interrupt: Optional[Interrupt] = None) -> Optional[Call]:
        """The next call that is finished, each once, in the order in which they finish;
        None if there is none after so many seconds.

        A timeout of None waits for as long as it takes.
        """
        if self._finished is None:
            raise TypeError("calls of Nova.submit() are asked for their result(); collect() is for "
                            "a queue of one's own")
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                if self._finished:
                    return self._finished.popleft()
            left = _left(end)
            if not self._gather(left, interrupt) and left == 0:
                with self._changed:
                    return self._finished.popleft() if self._finished else None

    def _give_back(self, call: Call) -> None:
        with self._changed:
            if self._finished is not None:
                self._finished.appendleft(call)

    def _gather(self, wait_ms: int = 0, interrupt: Optional[Interrupt] = None) -> bool:
        """Takes finished calls from the library; waits for the first.

        False: there was none, or another thread is at it.
        """
        with self._changed:
            if self._collecting:
                if interrupt is not None and interrupt.triggered:
                    raise errors.Canceled("interrupted while it waited for a call")
                wait_s = wait_ms / 1000
                self._changed.wait(wait_s if interrupt is None else min(wait_s, _LOOK_S))
                return False
            self._collecting = True
        got = False
        try:
            with self._handle.using() as queue:
                while self._take_one(queue, 0 if got else wait_ms, interrupt):
                    got = True
        finally:
            with self._changed:
                self._collecting = False
                self._changed.notify_all()
        return got

    def _take_one(self, queue: c_void_p, wait_ms: int, interrupt: Optional[Interrupt]) -> bool:
        pointer = c_void_p()
        check("nova_queue_collect", queue, wait_ms, wait_options(interrupt), byref(pointer))
        if not pointer:
            return False
        with self._changed:
            call = self._calls.pop(_ffi.lib.nova_call_userdata(pointer))
            call._finish(pointer)
            if self._finished is not None:
                self._finished.append(call)
            self._changed.notify_all()
        return True

    def _cancel(self, call: Call) -> bool:
        with self._changed:
            return call._pointer is not None and _ffi.lib.nova_call_cancel(call._pointer) == 0

    def _wait(self, call: Call, timeout: Optional[float], interrupt: Optional[Interrupt]) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while not call._done:
            left = _left(end)
            try:
                waited = self._gather(left, interrupt)
            except errors.Canceled:
                if interrupt is None or not interrupt.triggered:
                    raise
                self._cancel(call)
                end = interrupt = None  # its end is near
                continue
            if not waited and left == 0 and not call._done:
                raise TimeoutError(f"call {call.request_id} is not finished")
        with self._changed:
            if self._finished is not None and call in self._finished:
                self._finished.remove(call)


def _left(end: Optional[float]) -> int:
    """Milliseconds to wait in one piece."""
    if end is None:
        return _SLICE_MS
    return max(0, min(_SLICE_MS, int((end - time.monotonic()) * 1000 + 0.999)))
