# SPDX-License-Identifier: MIT
"""Asynchronous calls: any number in flight, collected as they finish."""
import contextlib
import threading
import time
from collections import deque
from ctypes import byref, c_void_p
from typing import Any, Callable, Deque, Dict, Generic, List, Optional, Sequence, TypeVar, cast

from . import _ffi, errors
from ._call import Handle, OnOutput, OnProgress, OutputTap, check, text
from ._host import Vm, encode_payload, opened_snapshot, take_snapshot_id
from ._instance import Instance
from ._interrupt import Interrupt, interruptible, pointer_of, wait_options
from ._options import (Content, command_options, init_options, instance_options, invoke_options,
                       run_options, snapshot_options, vm_invoke_options, vm_options)
from ._results import Result
from ._stdin import Stdin, stdin_options

T = TypeVar("T")

_SLICE_MS = 1000
_LOOK_S = 0.05  # how often who waits for another thread to collect looks at its token


def _take_result(pointer: c_void_p) -> Optional[Result]:
    made = _ffi.lib.nova_call_take_result(pointer)
    return Result._take(c_void_p(made)) if made else None


def _take_vms(pointer: c_void_p) -> List[Vm]:
    vms = []
    while made := _ffi.lib.nova_call_take_vm(pointer):
        vms.append(Vm._take(c_void_p(made)))
    return vms


def _take_vm(pointer: c_void_p) -> Optional[Vm]:
    return next(iter(_take_vms(pointer)), None)


def _take_snapshot(pointer: c_void_p) -> Optional[str]:
    made = _ffi.lib.nova_call_take_snapshot(pointer)
    return take_snapshot_id(c_void_p(made)) if made else None


class Call(Generic[T]):
    """A call that was submitted. Any thread may wait for it, and cancel it."""

    def __init__(self, queue: "Queue", take: Callable[[c_void_p], Optional[T]],
                 on_output: Optional[OnOutput] = None,
                 on_progress: Optional[OnProgress] = None) -> None:
        self._queue = queue
        self._take = take
        self._tap = OutputTap(on_output, on_progress)
        self._borrowed = contextlib.ExitStack()  # what the library has until the call is finished
        self._pointer: Optional[c_void_p] = None  # while the queue has it
        self._done = False
        self._result: Optional[T] = None
        self._error: Optional[BaseException] = None
        self._interrupt: Optional[Interrupt] = None  # the library has it until the call is finished
        self.request_id = ""
        """The id that logs and the guest see; "" if it is no call of a function."""

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
               interrupt: Optional[Interrupt] = None) -> T:
        """Waits for what comes of it. Raises what Nova.invoke(), Vm.fork() or whatever it does
        would have raised, and TimeoutError if it is not finished after so many seconds.

        `interrupt`, and Ctrl-C in the main thread, cancel the call.
        """
        self._queue._wait(self, timeout, interrupt)
        if self._error is not None:
            raise self._error
        return cast(T, self._result)

    @interruptible()
    def exception(self, timeout: Optional[float] = None, *,
                  interrupt: Optional[Interrupt] = None) -> Optional[BaseException]:
        """What result() would raise, or None."""
        self._queue._wait(self, timeout, interrupt)
        return self._error

    def _finish(self, pointer: c_void_p) -> None:
        error = _ffi.lib.nova_call_take_error(pointer)
        self._result = self._take(pointer)
        _ffi.lib.nova_call_free(pointer)
        self._pointer = self._interrupt = None
        if error:
            self._error = errors.from_library(c_void_p(error))
            self._error.result = self._result if isinstance(self._result, Result) else None
        try:
            self._borrowed.close()
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
        self._nova = nova
        self._changed = threading.Condition()
        self._calls: "Dict[int, Call[Any]]" = {}
        options = _ffi.QueueOpts(threads=threads, max_calls=max_calls)
        made = c_void_p()
        with nova.using() as pointer:
            check("nova_queue_new", pointer, byref(options), byref(made))
            self._handle = Handle(made, _ffi.lib.nova_queue_free, of=nova, keeps=self._calls)
        self._next = 1
        self._finished: "Optional[Deque[Call[Any]]]" = deque() if collects else None
        self._collecting = False

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Cancels what is not finished, waits until nothing is under way, and ends the threads."""
        if self._handle.closed or not self._handle.ours:
            self._handle.close()
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
               on_progress: Optional[OnProgress] = None, interrupt: Optional[Interrupt] = None,
               **options: Any) -> "Call[Result]":
        """Hands in a call and returns at once; takes what Nova.invoke() takes.
        `on_output` and `on_progress` are called in a thread of the queue."""
        call = Call(self, _take_result, on_output, on_progress)
        opts = invoke_options(call._tap, interrupt=interrupt, **options)
        data = None if options.get("program") and payload is None else encode_payload(payload)
        return self._hand_in(call, interrupt, opts, "nova_queue_submit", text(name), data,
                             byref(opts))

    def submit_run(self, language: str, code: Content, input: Any = None, *,
                   on_output: Optional[OnOutput] = None,
                   interrupt: Optional[Interrupt] = None, **options: Any) -> "Call[Result]":
        """Hands in code that is run once; takes what Nova.run() takes.
        `on_output` is called in a thread of the queue."""
        call = Call(self, _take_result, on_output)
        data = None if input is None else encode_payload(input)
        given, opts = run_options(call._tap, code, data=data, interrupt=interrupt, **options)
        return self._hand_in(call, interrupt, opts, "nova_queue_submit_run", text(language), given,
                             byref(opts))

    def submit_vm_start(self, rootfs: Optional[str] = None, *,
                        interrupt: Optional[Interrupt] = None, **options: Any) -> "Call[Vm]":
        """Hands in the start of a microVM; takes what Nova.start_vm() takes."""
        opts = vm_options(rootfs, interrupt=interrupt, **options)
        return self._hand_in(Call(self, _take_vm), interrupt, opts, "nova_queue_submit_vm_start",
                             byref(opts))

    def submit_vm_restore(self, snapshot: str, *,
                          interrupt: Optional[Interrupt] = None) -> "Call[Vm]":
        """Hands in what Nova.restore_vm() does. The snapshot is looked up now."""
        opts = _ffi.WaitOpts(interrupt=pointer_of(interrupt))
        with self._nova.using() as nova:
            with opened_snapshot(_ffi.lib.nova_host_get(nova), snapshot) as opened:
                return self._hand_in(Call(self, _take_vm), interrupt, opts,
                                     "nova_queue_submit_vm_restore", opened, byref(opts))

    def submit_vm_init(self, vm: Vm, runtime: str, *, interrupt: Optional[Interrupt] = None,
                       **options: Any) -> "Call[None]":
        """Hands in giving a VM its function; takes what Vm.init() takes.

        What is handed in for one VM is done in its order, or side by side as far as its
        `concurrency` allows. A VM may be closed meanwhile: its calls then raise Lost.
        """
        opts = init_options(runtime, interrupt=interrupt, **options)
        call: "Call[None]" = Call(self, lambda _pointer: None)
        with vm._handle.using() as pointer:
            return self._hand_in(call, interrupt, opts, "nova_queue_submit_vm_init", pointer,
                                 byref(opts))

    def submit_vm_invoke(self, vm: Vm, payload: Any = None, *,
                         on_output: Optional[OnOutput] = None,
                         interrupt: Optional[Interrupt] = None,
                         **options: Any) -> "Call[Result]":
        """Hands in a call of a VM's function; takes what Vm.invoke() takes.
        `on_output` is called in a thread of the queue."""
        call = Call(self, _take_result, on_output)
        data, opts = encode_payload(payload), vm_invoke_options(call._tap, interrupt=interrupt,
                                                                **options)
        with vm._handle.using() as pointer:
            return self._hand_in(call, interrupt, opts, "nova_queue_submit_vm_invoke", pointer,
                                 data, byref(opts))

    def submit_vm_command(self, vm: Vm, argv: Sequence[str], *, stdin: Stdin = b"",
                          on_output: Optional[OnOutput] = None,
                          interrupt: Optional[Interrupt] = None,
                          **options: Any) -> "Call[Result]":
        """Hands in a command; takes what Vm.command() takes. A file for stdin must stay open
        until the call is finished. `on_output` is called in a thread of the queue."""
        call = Call(self, _take_result, on_output)
        try:
            given = call._borrowed.enter_context(stdin_options(stdin))
            opts = command_options(call._tap, given, argv, interrupt=interrupt, **options)
            with vm._handle.using() as pointer:
                return self._hand_in(call, interrupt, opts, "nova_queue_submit_vm_command",
                                     pointer, byref(opts))
        except BaseException:
            call._borrowed.close()
            raise

    def submit_vm_fork(self, vm: Vm, count: int = 1, *,
                       interrupt: Optional[Interrupt] = None) -> "Call[List[Vm]]":
        """Hands in what Vm.fork() does."""
        opts = _ffi.WaitOpts(interrupt=pointer_of(interrupt))
        with vm._handle.using() as pointer:
            return self._hand_in(Call(self, _take_vms), interrupt, opts,
                                 "nova_queue_submit_vm_fork", pointer, count, byref(opts))

    def submit_vm_snapshot(self, vm: Vm, name: Optional[str] = None, *,
                           interrupt: Optional[Interrupt] = None,
                           **options: Any) -> "Call[str]":
        """Hands in a snapshot of a VM, whose id comes of it; takes what Vm.snapshot() takes."""
        opts = snapshot_options(name, interrupt=interrupt, **options)
        with vm._handle.using() as pointer:
            return self._hand_in(Call(self, _take_snapshot), interrupt, opts,
                                 "nova_queue_submit_vm_snapshot", pointer, byref(opts))

    def submit_instance_start(self, function: str, name: Optional[str] = None, *,
                              interrupt: Optional[Interrupt] = None,
                              **options: Any) -> "Call[Instance]":
        """Hands in the start of an instance; takes what Nova.start_instance() takes."""
        opts = instance_options(function, name, interrupt=interrupt, **options)
        return self._hand_in(Call(self, self._take_instance), interrupt, opts,
                             "nova_queue_submit_instance_start", byref(opts))

    def _take_instance(self, pointer: c_void_p) -> Optional[Instance]:
        made = _ffi.lib.nova_call_take_instance(pointer)
        return Instance(c_void_p(made), self._nova) if made else None

    def _hand_in(self, call: "Call[T]", interrupt: Optional[Interrupt], options: Any,
                 function: str, *arguments: Any) -> "Call[T]":
        """Passes the arguments, among which the options are, to a submit of the library."""
        pointer = c_void_p()
        with self._handle.using() as queue, self._changed:
            key = self._next
            self._next += 1
            options.userdata = key
            check(function, queue, *arguments, byref(pointer))
            # It cannot have been collected yet: that needs the lock too.
            call._pointer, call._interrupt = pointer, interrupt
            call.request_id = _ffi.lib.nova_call_request_id(pointer).decode()
            self._calls[key] = call
        return call

    @interruptible(undo=lambda queue, call: queue._give_back(call))
    def collect(self, timeout: Optional[float] = 0, *,
                interrupt: Optional[Interrupt] = None) -> "Optional[Call[Any]]":
        """The next call that is finished, each once, in the order in which they finish;
        None if there is none after so many seconds.

        A timeout of None waits for as long as it takes.
        """
        if self._finished is None:
            raise TypeError("calls of Nova.submit() are asked for their result(); collect() is for "
                            "a queue of one's own")
        self._handle.check()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                if self._finished:
                    return self._finished.popleft()
            left = _left(end)
            if not self._gather(left, interrupt) and left == 0:
                with self._changed:
                    return self._finished.popleft() if self._finished else None

    def _give_back(self, call: "Call[Any]") -> None:
        with self._changed:
            if self._finished is not None:
                self._finished.appendleft(call)

    def _gather(self, wait_ms: int = 0, interrupt: Optional[Interrupt] = None) -> bool:
        """Takes finished calls from the library; waits for the first.

        False: there was none, or another thread is at it.
        """
        self._handle.check()
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

    def _cancel(self, call: "Call[Any]") -> bool:
        if not self._handle.ours:
            return False
        with self._changed:
            return call._pointer is not None and _ffi.lib.nova_call_cancel(call._pointer) == 0

    def _wait(self, call: "Call[Any]", timeout: Optional[float],
              interrupt: Optional[Interrupt]) -> None:
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
