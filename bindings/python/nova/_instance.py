# SPDX-License-Identifier: MIT
"""Instances: VMs of one function that stay until they are stopped."""
import json
from ctypes import byref, c_void_p
from datetime import datetime
from typing import Any, Dict, Optional, Union

from . import _ffi
from ._call import Handle, Lent, OnOutput, OutputTap, check, milliseconds, owned_text
from ._host import Vm, collect, encode_payload
from ._interrupt import Interrupt, interruptible
from ._options import invoke_options
from ._results import Result, _time


class Instance:
    """One instance, made by Nova.start_instance() or found by Nova.instance().
    It lives until stop(), or until the platform is closed.

    As a context manager it is stopped at the end.
    """

    def __init__(self, pointer: c_void_p, platform: Handle) -> None:
        lib = _ffi.lib
        self._handle = Handle(pointer, lib.nova_instance_free)
        self._platform = platform
        self.id: str = lib.nova_instance_id(pointer).decode()
        self.name: str = lib.nova_instance_name(pointer).decode()
        self.function: str = lib.nova_instance_function(pointer).decode()
        self.version: int = lib.nova_instance_version(pointer)
        self.vm_id: str = lib.nova_vm_id(lib.nova_instance_vm(pointer)).decode()
        self.created: datetime = _time(lib.nova_instance_created_us(pointer))
        told = json.loads(owned_text(lib.nova_instance_to_json(pointer)))
        self.labels: Dict[str, str] = told["labels"]

    def __repr__(self) -> str:
        return f"<nova.Instance {self.name} of {self.function}>"

    def __enter__(self) -> "Instance":
        return self

    def __exit__(self, *_unused: Any) -> None:
        if self._handle.ours:
            self.stop()

    @property
    def state(self) -> str:
        """"running", "paused" or "dead"."""
        with self._handle.using() as instance:
            return {1: "running", 2: "paused", 3: "dead"}[_ffi.lib.nova_instance_state(instance)]

    @interruptible()
    def invoke(self, payload: Any = None, *, timeout: Optional[float] = None,
               request_id: Optional[str] = None, on_output: Optional[OnOutput] = None,
               checkpoint: Union[bool, str] = False,
               interrupt: Optional[Interrupt] = None) -> Result:
        """Runs its function once: Nova.invoke() with `instance`."""
        data, tap, result = encode_payload(payload), OutputTap(on_output), c_void_p()
        options = invoke_options(tap, timeout=timeout, request_id=request_id, checkpoint=checkpoint,
                                 instance=self, interrupt=interrupt)
        with self._platform.using() as nova:
            return collect(result, tap, "nova_invoke", nova, None, data, byref(options),
                           byref(result))

    @property
    def vm(self) -> Vm:
        """Its VM, lent: to run a command in it, pause it, take a snapshot of it and so on.
        Nothing of it has to be closed."""
        return Vm(Lent(self._handle, _ffi.lib.nova_instance_vm))

    def stop(self, grace: Optional[float] = None) -> None:
        """Ends it. Calls under way have `grace` seconds (2) to finish;
        raises FunctionTimeout if something had to be killed."""
        with self._handle.using() as instance:
            check("nova_instance_stop", instance, milliseconds(grace))
