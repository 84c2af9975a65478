# SPDX-License-Identifier: MIT
"""Instances: VMs of one function that stay until they are stopped."""
from ctypes import byref, c_void_p
from datetime import datetime
from typing import Any, Mapping, Optional, Sequence, Union

from . import _ffi
from ._call import Handle, OnOutput, OutputTap, check, environment, milliseconds, text, text_array
from ._host import collect, encode_payload
from ._interrupt import Interrupt, interruptible, pointer_of, wait_options
from ._options import invoke_options
from ._results import Result, _time
from ._stdin import Stdin, stdin_options


class Instance:
    """One instance, made by Nova.start_instance() or found by Nova.instance(). It lives until stop(), or until the platform is closed.

    As a context manager it is stopped at the end.
    """

    def __init__(self, pointer: c_void_p) -> None:
        lib = _ffi.lib
        self._handle = Handle(pointer, lib.nova_instance_free)
        self.id: str = lib.nova_instance_id(pointer).decode()
        self.name: str = lib.nova_instance_name(pointer).decode()
        self.function: str = lib.nova_instance_function(pointer).decode()
        self.version: int = lib.nova_instance_version(pointer)
        self.vm_id: str = lib.nova_instance_vm_id(pointer).decode()
        self.created: datetime = _time(lib.nova_instance_created_us(pointer))

    def __repr__(self) -> str:
        return f"<nova.Instance {self.name} of {self.function}>"

    def __enter__(self) -> "Instance":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.stop()

    @property
    def state(self) -> str:
        """"running", "paused" or "dead"."""
        with self._handle.using() as instance:
            return {1: "running", 2: "paused", 3: "dead"}[_ffi.lib.nova_instance_state(instance)]

    @interruptible()
    def invoke(self, payload: Any = None, *, timeout: Optional[float] = None, request_id: Optional[str] = None,
               on_output: Optional[OnOutput] = None, checkpoint_after: Union[bool, str] = False,
               interrupt: Optional[Interrupt] = None) -> Result:
        """Runs its function once, as Nova.invoke() with mode="persistent" does."""
        data, tap, result = encode_payload(payload), OutputTap(on_output), c_void_p()
        options = invoke_options(tap, timeout=timeout, request_id=request_id, checkpoint_after=checkpoint_after,
                                 interrupt=interrupt)
        with self._handle.using() as instance:
            return collect(result, tap, "nova_instance_invoke", instance, data, byref(options), byref(result))

    @interruptible()
    def command(self, argv: Sequence[str], env: Optional[Mapping[str, str]] = None, stdin: Stdin = b"", cwd: Optional[str] = None,
                timeout: Optional[float] = None, on_output: Optional[OnOutput] = None,
                *, interrupt: Optional[Interrupt] = None) -> Result:
        """Runs a program in it. One that fails raises nothing: see `exit_code`.

        `stdin` may be a file with a descriptor, or an iterable of bytes: it is passed on while the command runs.
        """
        variables, count = environment(env)
        tap, result = OutputTap(on_output), c_void_p()
        with stdin_options(stdin) as given:
            options = _ffi.VmCommandOpts(argv=text_array(argv), argc=len(argv), env=variables, env_count=count,
                                         directory=text(cwd),
                                         timeout_ms=milliseconds(timeout), on_output=tap.function,
                                         interrupt=pointer_of(interrupt), **given)
            with self._handle.using() as instance:
                return collect(result, tap, "nova_instance_command", instance, byref(options), byref(result))

    @interruptible()
    def pause(self, *, interrupt: Optional[Interrupt] = None) -> None:
        """Stops its processors; nothing in it is lost."""
        with self._handle.using() as instance:
            check("nova_instance_pause", instance, wait_options(interrupt))

    @interruptible()
    def resume(self, *, interrupt: Optional[Interrupt] = None) -> None:
        """Lets it go on after pause()."""
        with self._handle.using() as instance:
            check("nova_instance_resume", instance, wait_options(interrupt))

    @interruptible()
    def snapshot(self, name: Optional[str] = None, life_time: Optional[float] = None, *,
                 interrupt: Optional[Interrupt] = None) -> str:
        """Takes a snapshot, from which calls and instances of this version of the function can go on; returns its id."""
        options = _ffi.SnapshotOpts(name=text(name), life_time_s=int(life_time or 0), interrupt=pointer_of(interrupt))
        made = c_void_p()
        with self._handle.using() as instance:
            check("nova_instance_snapshot", instance, byref(options), byref(made))
        try:
            return _ffi.lib.nova_snapshot_id(made).decode()
        finally:
            _ffi.lib.nova_snapshot_free(made)

    def stop(self, grace: Optional[float] = None) -> None:
        """Ends it. Calls under way have `grace` seconds (2) to finish; raises FunctionTimeout if something had to be killed."""
        with self._handle.using() as instance:
            check("nova_instance_stop", instance, milliseconds(grace))
