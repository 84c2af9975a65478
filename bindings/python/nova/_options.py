# SPDX-License-Identifier: MIT
"""The options that every kind of call takes."""
import contextlib
import json
import os
import pathlib
from ctypes import Array, c_char_p, c_void_p, cast
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from . import _ffi
from ._call import OutputTap, environment, milliseconds, text, text_array
from ._interrupt import Interrupt, pointer_of
from ._properties import LISTS, NUMBERS, TEXTS


def invoke_options(tap: OutputTap, *, timeout: Optional[float] = None,
                   request_id: Optional[str] = None, fresh: bool = False,
                   snapshot: Optional[str] = None, checkpoint: Union[bool, str] = False,
                   instance: Any = None, queue_timeout: Optional[float] = None,
                   interrupt: Optional[Interrupt] = None, key: Optional[str] = None,
                   client_context: Any = None, program: bool = False,
                   args: Sequence[str] = (), stdin: Union[str, bytes] = b"",
                   start: Optional[str] = None,
                   program_name: Optional[str] = None) -> "_ffi.InvokeOpts":
    """`checkpoint` may be a name for the snapshot."""
    given = content_of(stdin)
    told = None if client_context is None else json.dumps(client_context)
    name = checkpoint if isinstance(checkpoint, str) else None
    flags = _ffi.CONSTANTS["NOVA_INVOKE_FRESH"] if fresh else 0
    flags |= _ffi.CONSTANTS["NOVA_INVOKE_CHECKPOINT"] if checkpoint else 0
    flags |= _ffi.CONSTANTS["NOVA_INVOKE_PROGRAM"] if program else 0
    with instance._handle.using() if instance else contextlib.nullcontext() as lent:
        return _ffi.InvokeOpts(timeout_ms=milliseconds(timeout), request_id=text(request_id),
                               on_output=tap.function, on_progress=tap.progress.function,
                               flags=flags, snapshot=text(snapshot),
                               checkpoint_name=text(name), instance=lent,
                               queue_timeout_ms=milliseconds(queue_timeout),
                               interrupt=pointer_of(interrupt), key=text(key),
                               client_context=text(told), args=text_array(args),
                               args_count=len(args), stdin_data=address_of(given),
                               stdin_len=len(given), start=text(start),
                               program_name=text(program_name))


def vm_options(rootfs: Optional[str] = None, *, code_disk: Any = None, memory_mb: int = 0,
               vcpus: int = 0, engine: Optional[str] = None, boot_timeout: Optional[float] = None,
               network: Optional[str] = None,
               interrupt: Optional[Interrupt] = None) -> "_ffi.VmOpts":
    return _ffi.VmOpts(engine=text(engine), rootfs=text(rootfs), code_disk=text(code_disk),
                       memory_mb=memory_mb, vcpus=vcpus,
                       boot_timeout_ms=milliseconds(boot_timeout), network=text(network),
                       interrupt=pointer_of(interrupt))


def init_options(runtime: str, handler: Optional[str] = None,
                 env: Optional[Mapping[str, str]] = None, timeout: Optional[float] = None,
                 concurrency: int = 1, *,
                 interrupt: Optional[Interrupt] = None) -> "_ffi.VmInitOpts":
    variables, count = environment(env)
    return _ffi.VmInitOpts(runtime=text(runtime), handler=text(handler), env=variables,
                           env_count=count, timeout_ms=milliseconds(timeout),
                           concurrency=concurrency, interrupt=pointer_of(interrupt))


def vm_invoke_options(tap: OutputTap, timeout: Optional[float] = None,
                      request_id: Optional[str] = None, *,
                      interrupt: Optional[Interrupt] = None) -> "_ffi.VmInvokeOpts":
    return _ffi.VmInvokeOpts(timeout_ms=milliseconds(timeout), request_id=text(request_id),
                             on_output=tap.function, interrupt=pointer_of(interrupt))


def command_options(tap: OutputTap, given_stdin: Mapping[str, Any], argv: Sequence[str],
                    env: Optional[Mapping[str, str]] = None, cwd: Optional[str] = None,
                    timeout: Optional[float] = None, *,
                    interrupt: Optional[Interrupt] = None) -> "_ffi.VmCommandOpts":
    """`given_stdin` is what stdin_options() makes."""
    variables, count = environment(env)
    return _ffi.VmCommandOpts(argv=text_array(argv), argc=len(argv), env=variables,
                              env_count=count, directory=text(cwd),
                              timeout_ms=milliseconds(timeout), on_output=tap.function,
                              interrupt=pointer_of(interrupt), **given_stdin)


def snapshot_options(name: Optional[str] = None, life_time: Optional[float] = None,
                     compress: Optional[bool] = None, *,
                     interrupt: Optional[Interrupt] = None) -> "_ffi.SnapshotOpts":
    return _ffi.SnapshotOpts(name=text(name), life_time_s=int(life_time or 0),
                             compress=0 if compress is None else 1 if compress else 2,
                             interrupt=pointer_of(interrupt))


def instance_options(function: str, name: Optional[str] = None, *,
                     snapshot: Optional[str] = None, memory_mb: int = 0, vcpus: int = 0,
                     interrupt: Optional[Interrupt] = None,
                     key: Optional[str] = None) -> "_ffi.InstanceOpts":
    return _ffi.InstanceOpts(function=text(function), name=text(name), snapshot=text(snapshot),
                             memory_mb=memory_mb, vcpus=vcpus, interrupt=pointer_of(interrupt),
                             key=text(key))


Content = Union[str, bytes, "os.PathLike[str]"]
"""Of a file: text, bytes, or the path of another file."""


def content_of(given: Content) -> bytes:
    if isinstance(given, os.PathLike):
        return pathlib.Path(given).read_bytes()
    return given.encode() if isinstance(given, str) else bytes(given)


def address_of(data: bytes) -> c_void_p:
    return cast(c_char_p(data), c_void_p)


def run_files(files: Optional[Mapping[str, Content]]) -> "Tuple[Array[_ffi.RunFile], int]":
    contents = {name: content_of(given) for name, given in (files or {}).items()}
    made = [_ffi.RunFile(text(name), address_of(data), len(data))
            for name, data in contents.items()]
    return (_ffi.RunFile * max(len(made), 1))(*made), len(made)


def run_options(tap: OutputTap, code: Content, *, data: Optional[bytes],
                handler: Optional[str] = None,
                args: Sequence[str] = (), stdin: Union[str, bytes] = b"",
                env: Optional[Mapping[str, str]] = None,
                files: Optional[Mapping[str, Content]] = None, memory_mb: int = 0, vcpus: int = 0,
                timeout: Optional[float] = None, queue_timeout: Optional[float] = None,
                network: Optional[str] = None, request_id: Optional[str] = None,
                interrupt: Optional[Interrupt] = None,
                key: Optional[str] = None) -> "Tuple[bytes, _ffi.RunOpts]":
    """The code and the options."""
    content, given = content_of(code), content_of(stdin)
    name = text(code) if isinstance(code, os.PathLike) else None
    variables, count = environment(env)
    beside, beside_count = run_files(files)
    return content, _ffi.RunOpts(
        code_len=len(content), code_name=name,
        handler=text(handler), input=data, args=text_array(args), args_count=len(args),
        stdin_data=address_of(given), stdin_len=len(given), env=variables, env_count=count,
        files=cast(beside, c_void_p), files_count=beside_count, memory_mb=memory_mb, vcpus=vcpus,
        timeout_ms=milliseconds(timeout), queue_timeout_ms=milliseconds(queue_timeout),
        network=text(network), request_id=text(request_id), on_output=tap.function,
        interrupt=pointer_of(interrupt), key=text(key))


def emptied(given: Mapping[str, Any]) -> List[str]:
    """Those given as 0 or as an empty list, which an option struct cannot tell from those that are
    not given."""
    names = [name for name, value in given.items()
             if name in NUMBERS + LISTS and value is not None and not value]
    if "rate" in names:  # without it these mean nothing
        names += ["rate_period_ms", "rate_burst"]
    return names


def property_members(call: str, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Properties of a function as members of an option struct."""
    members: Dict[str, Any] = {}
    for name, value in given.items():
        if name in NUMBERS:
            members[name] = value or 0
        elif name in TEXTS:
            members[name] = text(value)
        elif name in LISTS:
            members[name], members[name + "_count"] = environment(value)
        else:
            raise TypeError(f"{call}() got an unexpected keyword argument '{name}'")
    return members
