# SPDX-License-Identifier: MIT
"""Runs functions in microVMs, from inside your program.

    import nova

    with nova.open() as platform:
        platform.register("hello", runtime="python", code="hello.py", replace=True)
        print(platform.invoke("hello", {"name": "World"}).output)

Every call may be made from several threads at once. Failures are exceptions: see nova.errors.
"""
import json
import math
import os
import threading
import weakref
from contextlib import contextmanager
from ctypes import (POINTER, addressof, byref, c_char_p, c_int, c_size_t, c_uint64,
                    c_void_p, cast, pointer)
from datetime import datetime
from typing import (TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping,
                    Optional, Sequence, Tuple, Union)

from . import _call, _ffi, errors
from ._aliases import Alias, list_aliases, take_alias
from ._call import (Handle, OnOutput, OnProgress, OutputTap, check, label_list, milliseconds,
                    text, text_array)
from ._files import File, Merge, MergedPath
from ._host import Vm, collect, encode_payload, probe, read_probe, refusal, send_log_to_logging
from ._images import build_disk, check_images, extract_disk, extract_kernel
from ._instance import Instance
from ._interrupt import Interrupt, interruptible, pointer_of
from ._invocations import (Invocation, Summary, list_invocations, list_options, list_summaries,
                           since_epoch, summary_options)
from ._jobs import ask_for_job, list_jobs
from ._keys import Key, ask_for_key, list_keys, take_key
from ._kv import Entry, KeptFile, Space
from ._modules import Module, modules
from ._options import (Content, emptied, instance_options, invoke_options, property_members,
                       run_options, vm_options)
from ._queue import Call, Queue
from ._results import Engine, Function, Probe, Result
from ._runtimes import Runtime, list_runtimes, read_runtime, runtime_options
from ._secrets import Secret, create_secret_key, list_secrets, rotate, set_secret
from ._settings import Config, Setting, setting_key, settings
from ._snapshots import Snapshot, list_snapshots, open_snapshot, prune
from ._usage import MODES, ask_for_bill, list_usage, usage_after
from .errors import (Canceled, FunctionFailed, FunctionTimeout, InvalidArgument, LimitReached,
                     Lost, NotFound, NovaError)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._properties import Properties

__all__ = [
    "Alias", "Call", "Canceled", "Engine", "Entry", "File", "Function", "FunctionFailed",
    "FunctionTimeout", "Instance", "Interrupt", "InvalidArgument", "Invocation", "KeptFile", "Key",
    "Lost", "Merge", "MergedPath", "Module", "NotFound", "Nova", "NovaError", "Probe", "Queue",
    "Result", "Runtime", "Secret", "Setting", "Snapshot", "Space", "Summary", "Vm", "build_disk",
    "check_images", "create_secret_key", "errors", "extract_disk", "extract_kernel",
    "library_version", "modules", "open", "probe", "run", "settings",
]
__version__ = "0.1.0"

library_version: str = _ffi.lib.nova_version().decode()
"""Version of the loaded library."""


def _set_code(options: Any, code: Any) -> None:
    if isinstance(code, (bytes, bytearray)):
        content = bytes(code)
        options.code = cast(c_char_p(content), c_void_p)
        options.code_len = len(content)
    else:
        options.code_path = text(code)


class Nova:
    """The platform: a store of functions, and microVMs that run them. Made by nova.open()."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._queues: "weakref.WeakSet[Queue]" = weakref.WeakSet()
        self._own_queue: Optional[Queue] = None
        self._lock = threading.Lock()

    def __enter__(self) -> "Nova":
        return self

    def __exit__(self, *_unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the calls under way (those that were submitted are cancelled),
        then ends every VM."""
        if not self._handle.ours:
            self._handle.close()
            return
        with self._lock:
            queues, self._own_queue = list(self._queues), None
        for queue in queues:
            queue.close()
        self._handle.close()

    @contextmanager
    def _pool(self) -> Iterator[c_void_p]:
        with self._handle.using() as nova:
            yield _ffi.lib.nova_pool_get(nova)

    @contextmanager
    def _host(self) -> Iterator[c_void_p]:
        with self._handle.using() as nova:
            yield _ffi.lib.nova_host_get(nova)

    @property
    def home(self) -> str:
        """The state directory in use."""
        with self._host() as host:
            return _ffi.lib.nova_host_home(host).decode("utf-8", "replace")

    @property
    def images(self) -> str:
        """The directory of guest images in use, which need not exist: see check_images()."""
        with self._host() as host:
            return _ffi.lib.nova_host_images(host).decode("utf-8", "replace")

    def capacity(self) -> Dict[str, int]:
        """How many VMs of the usual size the host has room for now, by each thing that they need:
        enum nova_capacity in nova/host.h, in lower case without its prefix."""
        names = _ffi.CAPACITIES
        values = (c_uint64 * len(names))()
        with self._host() as host:
            _ffi.lib.nova_host_capacity(host, values, len(names))
        return dict(zip(names, values))

    def setting(self, name: str) -> str:
        """The value of a setting in force: "pool.idle_ttl" or "pool_idle_ttl"; "" for none."""
        with self._host() as host:
            value = _ffi.lib.nova_host_setting(host, text(setting_key(name)))
            if value is None:
                raise refusal(f"there is no setting '{name}'")
            return value.decode("utf-8", "replace")

    @interruptible()
    def register(self, name: str, *, runtime: str, code: Union[str, bytes, Any],
                 replace: bool = False, in_place: bool = False, check: str = "auto",
                 keep_tmp: bool = False, template: bool = False,
                 secrets_at_init: bool = False, requirements: Any = None,
                 find_links: Any = None,
                 on_progress: Optional[OnProgress] = None,
                 interrupt: Optional[Interrupt] = None,
                 **properties: "Unpack[Properties]") -> Function:
        """Stores a function. `code` is the path of a file or directory,
        or the content of one file as bytes.

        `properties` are those that docs/configuration.md lists, as in handler="app.run",
        memory_mb=512, env={"A": "1"}; zero and None mean the defaults. `in_place`: what a call
        leaves in the module the next one finds; `keep_tmp`: what it leaves in /tmp;
        `secrets_at_init`: its import has its secrets. `check` is
        "auto", "always" or "never": whether the module is imported in a VM before the function is
        stored, so that FunctionFailed tells what is wrong with it. With `template` that VM becomes
        the function's template, and the first call need not import it again.

        `requirements` is the path of a file such as requirements.txt; its packages are installed
        for the guest's Python. With `find_links`, a directory or URL that has them, no registry is
        asked. `on_progress` is told what is being done.
        """
        tap = _call.ProgressTap(on_progress)
        if check not in _ffi.CHECKS:
            raise ValueError(f"check={check!r} is not 'auto', 'always' or 'never'")
        options = _ffi.FunctionOpts(
            name=text(name), check=_ffi.CHECKS[check], interrupt=pointer_of(interrupt),
            requirements=text(requirements), find_links=text(find_links), on_progress=tap.function,
            flags=(_ffi.REGISTER_REPLACE if replace else 0)
            | (_ffi.REGISTER_IN_PLACE if in_place else 0)
            | (_ffi.REGISTER_KEEP_TMP if keep_tmp else 0)
            | (_ffi.REGISTER_SECRETS_AT_INIT if secrets_at_init else 0)
            | (_ffi.REGISTER_TEMPLATE if template else 0),
            **property_members("register", {"runtime": runtime, **properties}))
        _set_code(options, code)
        made = c_void_p()
        with self._handle.using() as nova:
            _call.check("nova_function_register", nova, byref(options), byref(made))
        tap.finish()
        return _take_function(made)

    def get(self, name: str) -> Function:
        """Looks a function up; raises NotFound."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_function_get", nova, text(name), byref(found))
        return _take_function(found)

    def list(self, labels: Optional[Mapping[str, Optional[str]]] = None, *,
             after: Optional[str] = None, limit: int = 0) -> "List[Function]":
        """The functions by name; with `labels` those that have all of them, where None stands for
        any value. A page: at most `limit` (0: all) of those whose names come behind `after`."""
        found, count = POINTER(c_void_p)(), c_size_t()
        wanted, wanted_count = label_list(labels)
        options = _ffi.FunctionListOpts(labels=wanted, labels_count=wanted_count,
                                        after=text(after), limit=limit)
        with self._handle.using() as nova:
            check("nova_function_list", nova, byref(options), byref(found), byref(count))
        try:
            return [Function._read(c_void_p(found[i])) for i in range(count.value)]
        finally:
            _ffi.lib.nova_function_list_free(found, count)

    def check(self, name: str) -> None:
        """Reads the stored code of a function; raises Corrupt if it is not as it was registered."""
        with self._handle.using() as nova:
            check("nova_function_check", nova, text(name))

    @interruptible()
    def update(self, name: str, *, code: Union[str, bytes, Any] = None,
               reset: Sequence[str] = (), in_place: bool = False, keep_tmp: bool = False,
               secrets_at_init: bool = False,
               check: str = "auto", template: bool = False, requirements: Any = None,
               find_links: Any = None, on_progress: Optional[OnProgress] = None,
               interrupt: Optional[Interrupt] = None, **properties: Any) -> Function:
        """Changes a function in place, and only what is given: `properties` as of register(),
        of which a list is replaced as a whole; what is 0 or empty has its default again, and None
        stays as it is. `reset` names properties that are to have their
        defaults again, as "env"; also "in_place", "keep_tmp" and
        "secrets_at_init". All else is as in register()."""
        tap = _call.ProgressTap(on_progress)
        if check not in _ffi.CHECKS:
            raise ValueError(f"check={check!r} is not 'auto', 'always' or 'never'")
        change = _ffi.FunctionOpts(
            check=_ffi.CHECKS[check], interrupt=pointer_of(interrupt),
            requirements=text(requirements), find_links=text(find_links), on_progress=tap.function,
            flags=(_ffi.REGISTER_IN_PLACE if in_place else 0)
            | (_ffi.REGISTER_KEEP_TMP if keep_tmp else 0)
            | (_ffi.REGISTER_SECRETS_AT_INIT if secrets_at_init else 0)
            | (_ffi.REGISTER_TEMPLATE if template else 0),
            **property_members("register", properties))
        _set_code(change, code)
        resets = [*reset, *emptied(properties)]
        options = _ffi.FunctionUpdateOpts(
            change=pointer(change), reset=text_array(resets), reset_count=len(resets))
        made = c_void_p()
        with self._handle.using() as nova:
            _call.check("nova_function_update", nova, text(name), byref(options), byref(made))
        tap.finish()
        return _take_function(made)

    def delete(self, name: str, *, force: bool = False,
               if_updated: Optional[datetime] = None) -> None:
        """Deletes a function, or a published version ("name:3"); raises NotFound, and Busy if
        somebody may count on it and `force` is not set. With `if_updated`, the Function.updated
        of what somebody has seen, it raises Busy if that is not what is there any more."""
        options = _ffi.FunctionDeleteOpts(flags=_ffi.DELETE_FORCE if force else 0,
                                          if_updated_us=since_epoch(if_updated))
        with self._handle.using() as nova:
            check("nova_function_delete_with", nova, text(name), byref(options))

    def publish(self, name: str) -> Function:
        """Keeps a copy of a function as it is now, which never changes: "name:version" names it.
        If nothing has changed since the last time, that is it."""
        made = c_void_p()
        with self._handle.using() as nova:
            check("nova_function_publish", nova, text(name), byref(made))
        return _take_function(made)

    def versions(self, name: str) -> "List[Function]":
        """The published versions of a function by their numbers."""
        found, count = POINTER(c_void_p)(), c_size_t()
        with self._handle.using() as nova:
            check("nova_function_list_versions", nova, text(name), byref(found), byref(count))
        try:
            return [Function._read(c_void_p(found[i])) for i in range(count.value)]
        finally:
            _ffi.lib.nova_function_list_free(found, count)

    def set_alias(self, function: str, name: str, version: int, *, second: int = 0,
                  weight: int = 0) -> Alias:
        """Names a published version, or points the alias elsewhere; "function:name" is called then.
        Of 100 calls `weight` go to the `second` version. To roll back is to set an earlier one."""
        options = _ffi.AliasOpts(function=text(function), name=text(name), version=version,
                                 second=second, weight=weight)
        made = c_void_p()
        with self._handle.using() as nova:
            check("nova_alias_set", nova, byref(options), byref(made))
        return take_alias(made)

    def alias(self, function: str, name: str) -> Alias:
        """Looks an alias up; raises NotFound."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_alias_get", nova, text(function), text(name), byref(found))
        return take_alias(found)

    def aliases(self, function: str) -> "List[Alias]":
        """The aliases of a function by name."""
        with self._handle.using() as nova:
            return list_aliases(nova, function)

    def delete_alias(self, function: str, name: str) -> None:
        """Deletes an alias; its versions stay."""
        with self._handle.using() as nova:
            check("nova_alias_delete", nova, text(function), text(name))

    def take(self, name: str, rate: int, *, period_ms: int = 1000, burst: int = 0,
             tokens: int = 1) -> int:
        """Takes tokens of the bucket of that name, to which `rate` come in each period, and which
        holds `burst` at most (0: as `rate`). 0: they are taken; else in how many milliseconds they
        will be there. With the settings redis.* all hosts take from one bucket."""
        options = _ffi.RateOpts(name=text(name), rate=rate, period_ms=period_ms, burst=burst,
                                tokens=tokens)
        wait_ms = c_uint64()
        with self._handle.using() as nova:
            try:
                check("nova_rate_take", nova, byref(options), byref(wait_ms))
            except LimitReached:
                return wait_ms.value
        return 0

    def submit_job(self, function: str, payload: Any = None, *, key: Optional[str] = None,
                   attempts: int = 0, lease: Optional[float] = None, keep: int = 0,
                   usage_key: Optional[str] = None,
                   client_context: Optional[Dict[str, Any]] = None,
                   owner: Optional[str] = None,
                   if_label: Optional[str] = None) -> Dict[str, Any]:
        """Hands a call in that whichever host performs that uses the same Redis, and gives the
        job: include/nova/job.h has its members. `lease` and `keep` are in seconds; `usage_key` and
        `client_context` are as `key` and `client_context` of invoke()."""
        told = None if client_context is None else json.dumps(client_context)
        options = _ffi.JobOpts(key=text(key), attempts=attempts, lease_ms=milliseconds(lease),
                               keep_s=keep, usage_key=text(usage_key), client_context=text(told),
                               owner=text(owner), if_label=text(if_label))
        with self._handle.using() as nova:
            return ask_for_job("nova_job_submit", nova, text(function), encode_payload(payload),
                               byref(options))

    @interruptible()
    def perform_job(self, wait: Optional[float] = None, *,
                    interrupt: Optional[Interrupt] = None) -> Dict[str, Any]:
        """Performs a job, for which it waits so many seconds; {}: there was none."""
        options = _ffi.WaitOpts(interrupt=pointer_of(interrupt))
        with self._handle.using() as nova:
            return ask_for_job("nova_job_perform", nova, milliseconds(wait), byref(options))

    def job(self, id: str) -> Dict[str, Any]:
        """A job as it is now."""
        with self._handle.using() as nova:
            return ask_for_job("nova_job_get", nova, text(id))

    @interruptible()
    def jobs(self, function: Optional[str] = None, *, states: Iterable[str] = (),
             owner: Optional[str] = None, cursor: int = 0, limit: int = 100,
             interrupt: Optional[Interrupt] = None) -> Tuple[List[Dict[str, Any]], int]:
        """Jobs without payloads and outputs, the one that was handed in last first; and the
        `cursor` of the next page, 0 if this is the last one. A page may have fewer than `limit`,
        or none, though there are more. `states` are of "waiting", "running", "done" and "dead",
        none: all; `owner` "" is nobody."""
        with self._handle.using() as nova:
            return list_jobs(nova, function, states, owner, cursor=cursor, limit=limit,
                             interrupt=pointer_of(interrupt))

    def create_key(self, name: str, *, tier: Optional[str] = None, expires_us: int = 0,
                   rate: int = 0, period_ms: int = 0, burst: int = 0) -> Key:
        """Makes a key for somebody who calls your program over a network. Its `text` is in what
        this returns, and nowhere else. `rate`, `period_ms` and `burst` are for who checks it:
        take()."""
        options = _ffi.KeyOpts(name=text(name), tier=text(tier), expires_us=expires_us, rate=rate,
                               period_ms=period_ms, burst=burst)
        made = c_void_p()
        with self._handle.using() as nova:
            check("nova_key_create", nova, byref(options), byref(made))
        return take_key(made)

    def check_key(self, key: str) -> Key:
        """Whose key that is; raises NotFound, and
        PermissionDenied if it was revoked or is over."""
        with self._handle.using() as nova:
            return ask_for_key("nova_key_check", nova, key)

    def key(self, name: str) -> Key:
        """Looks a key up by its name; raises NotFound."""
        with self._handle.using() as nova:
            return ask_for_key("nova_key_get", nova, name)

    def keys(self) -> "List[Key]":
        """All keys by name, valid or not."""
        with self._handle.using() as nova:
            return list_keys(nova)

    def revoke_key(self, name: str) -> None:
        """Makes a key invalid; it stays in the list."""
        with self._handle.using() as nova:
            check("nova_key_revoke", nova, text(name))

    def delete_key(self, name: str) -> None:
        """Deletes a key; its name is free then."""
        with self._handle.using() as nova:
            check("nova_key_delete", nova, text(name))

    def set_secret(self, name: str, value: "Union[str, bytes, bytearray]") -> None:
        """Sets a secret, new or not. A function gets it by a variable with the value
        "$SECRET:name". It is encrypted by the key of the setting `secret_key_file`."""
        with self._handle.using() as nova:
            set_secret(nova, name, value)

    def secrets(self) -> "List[Secret]":
        """All secrets by name, without their values."""
        with self._handle.using() as nova:
            return list_secrets(nova)

    def delete_secret(self, name: str) -> None:
        """Deletes a secret; functions that name it fail from then on."""
        with self._handle.using() as nova:
            check("nova_secret_delete", nova, text(name))

    def rotate_secrets(self) -> int:
        """Encrypts all secrets with the first key that is given; returns how many had another."""
        with self._handle.using() as nova:
            return rotate(nova)

    def kv(self, function: str) -> Space:
        """What a function keeps between its calls: values under keys, and files."""
        return Space(self._handle, function)

    def export_to(self, path: "Union[str, bytes, os.PathLike[str]]") -> None:
        """Writes everything that is stored to an archive: functions with their code, versions,
        aliases, runtimes, keys, and secrets as they are stored, encrypted."""
        with self._handle.using() as nova:
            check("nova_export", nova, os.fsencode(path))

    def import_from(self, path: "Union[str, bytes, os.PathLike[str]]", *,
                    merge: bool = False) -> None:
        """Adds everything that is in an archive, or nothing. Without `merge` the store must be
        empty; with it no name may be in both."""
        with self._handle.using() as nova:
            check("nova_import", nova, os.fsencode(path), 1 if merge else 0)

    @interruptible()
    def invocations(self, function: Optional[str] = None, *, version: int = 0,
                    request_id: Optional[str] = None, since: Optional[datetime] = None,
                    until: Optional[datetime] = None, errors: bool = False, code: int = 0,
                    oldest_first: bool = False, cursor: int = 0, limit: int = 100,
                    wait: Optional[float] = None,
                    interrupt: Optional[Interrupt] = None) -> "List[Invocation]":
        """What calls have left behind, the newest first; "" is code that was run by run().

        The next page is asked for with `cursor`, the `number` of the last one of this page, which
        ends before `limit` where its output has 16 MiB. To
        follow what comes, ask with `oldest_first`, the newest number and `wait`, in seconds.
        """
        options = list_options(function, request_id, since, until, version=version, code=code,
                               errors=errors, order=oldest_first, cursor=cursor, limit=limit,
                               wait_ms=milliseconds(wait), interrupt=pointer_of(interrupt))
        with self._handle.using() as nova:
            return list_invocations(nova, options)

    def summaries(self, function: Optional[str] = None, *, since: Optional[datetime] = None,
                  until: Optional[datetime] = None) -> "List[Summary]":
        """How many calls, errors and cold starts each function had, and how long they took."""
        options = summary_options(function, since, until)
        with self._handle.using() as nova:
            return list_summaries(nova, options)

    def usage(self, *, since: Optional[datetime] = None, until: Optional[datetime] = None,
              key: Optional[str] = None, function: Optional[str] = None, by_key: bool = False,
              by_function: bool = False, period: str = "ever", limit: int = 1000,
              after: Optional[Mapping[str, Any]] = None) -> "List[Dict[str, Any]]":
        """What was used, by mode and what else is said; `period` is "ever", "hour", "day" or
        "month". The next page is asked for with `after`, the last of this one. docs/usage.md has
        the members."""
        options = _ffi.UsageListOpts(
            since_us=since_epoch(since), until_us=since_epoch(until), key=text(key),
            function=text(function), by=by_key + 2 * by_function, limit=limit,
            period=("ever", "hour", "day", "month").index(period))
        last = usage_after(after)
        options.after = last and addressof(last)
        with self._handle.using() as nova:
            return list_usage(nova, options)

    def bill(self, when: Optional[datetime] = None, *, key: Optional[str] = None) -> Dict[str, Any]:
        """The bill of the month that `when` is in, or this one; money is in nano-dollars."""
        options = _ffi.UsageBillOpts(time_us=since_epoch(when), key=text(key))
        with self._handle.using() as nova:
            return ask_for_bill("nova_usage_bill", nova, options)

    def estimate(self, function: Optional[str] = None, *, mode: str = "cached",
                 **amounts: int) -> Dict[str, Any]:
        """What that would cost: calls, duration_us, egress_bytes, memory_mb and the other members
        of nova_usage_estimate_opts."""
        options = _ffi.UsageEstimateOpts(function=text(function), mode=MODES.index(mode),
                                         **amounts)
        with self._handle.using() as nova:
            return ask_for_bill("nova_usage_estimate", nova, options)

    def register_runtime(self, name: str, *, rootfs: Any, argv: Sequence[str] = (),
                         protocol: Optional[str] = None, memory_mb: int = 0, timeout_s: int = 0,
                         init_timeout_s: int = 0, replace: bool = False) -> Runtime:
        """Stores a runtime of your own: `rootfs` is an ext4 file, by a path with a "/" in it,
        which is copied, or the name of a guest image such as "base".

        `argv` is the command line of a call: in it "{file}" becomes the path of the function's
        file, "{code}" that of the directory with its code, "{input}" that of a file with the
        payload, which otherwise comes on stdin. With the `protocol` "python" or "node" the
        interpreter is kept with the module loaded. A function keeps what its runtime was when it
        was registered.
        """
        options = runtime_options(name, rootfs, argv, protocol, replace, memory_mb=memory_mb,
                                  timeout_s=timeout_s, init_timeout_s=init_timeout_s)
        made = c_void_p()
        with self._handle.using() as nova:
            check("nova_runtime_register", nova, byref(options), byref(made))
        return read_runtime(made)

    def runtime(self, name: str) -> Runtime:
        """Looks a runtime up, built in or not; raises NotFound."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_runtime_get", nova, text(name), byref(found))
        return read_runtime(found)

    def runtimes(self) -> "List[Runtime]":
        """Those that are built in, then your own by name."""
        with self._handle.using() as nova:
            return list_runtimes(nova)

    def check_runtime(self, name: str) -> None:
        """Reads the root filesystem of a runtime; raises Corrupt if it is not as it was."""
        with self._handle.using() as nova:
            check("nova_runtime_check", nova, text(name))

    def delete_runtime(self, name: str) -> None:
        """Deletes a runtime of your own that no function has; raises Busy if one does."""
        with self._handle.using() as nova:
            check("nova_runtime_delete", nova, text(name))

    @interruptible()
    def invoke(self, name: str, payload: Any = None, *, timeout: Optional[float] = None,
               request_id: Optional[str] = None, on_output: Optional[OnOutput] = None,
               fresh: bool = False, snapshot: Optional[str] = None,
               checkpoint: Union[bool, str] = False, instance: Optional[Instance] = None,
               queue_timeout: Optional[float] = None, on_progress: Optional[OnProgress] = None,
               interrupt: Optional[Interrupt] = None, key: Optional[str] = None,
               client_context: Optional[Dict[str, Any]] = None, program: bool = False,
               **options: Any) -> Result:
        """Runs a function in its own microVM and waits for the answer.

        `payload` is anything that json.dumps() takes, or JSON text as bytes. `timeout` is in
        seconds; None is the function's own. `on_output(stream, data)` is called with pieces of
        stdout (1) and stderr (2) as they come. Raises FunctionFailed or FunctionTimeout with the
        `result` when the function ran and failed.

        It runs in a VM that waits for this function or, with `fresh`, in one that nobody has used;
        with `snapshot` it goes on from there, and with `instance` it runs in that. `checkpoint`,
        true or a name, leaves a snapshot of the VM: see Result.snapshot. `queue_timeout` is how
        long to wait for a VM. `on_progress` is told what has to be made first, if that takes its
        time: the template of a runtime.

        `interrupt` ends it from elsewhere, as Ctrl-C does in the main thread:
        the function is killed. `key` is to whom its usage belongs. `client_context` is what a
        handler finds in its context besides the payload.

        With `program` one of runtime shell, wasm, go, rust or binary is called as a program,
        without a payload: args=["a", "b"], stdin=b"..."; of WebAssembly also start="add", the
        export that is called with the arguments as numbers, and program_name="add.wasm".
        """
        data = None if program and payload is None else encode_payload(payload)
        tap = OutputTap(on_output, on_progress)
        options = invoke_options(tap, timeout=timeout, request_id=request_id, fresh=fresh,
                                 snapshot=snapshot, checkpoint=checkpoint, instance=instance,
                                 queue_timeout=queue_timeout, interrupt=interrupt, key=key,
                                 client_context=client_context, program=program, **options)
        result = c_void_p()
        with self._handle.using() as nova:
            return collect(result, tap, "nova_invoke", nova, text(name), data, byref(options),
                           byref(result))

    @interruptible()
    def run(self, language: str, code: Content, input: Any = None, *,
            on_output: Optional[OnOutput] = None, interrupt: Optional[Interrupt] = None,
            **options: Any) -> Result:
        """Runs code once in a microVM of its own and waits for its end; nothing is registered.

        `code` is text or bytes, or a path (os.PathLike) of a file; `language` is "python", "node",
        "shell", "wasm", "go", "rust" or "binary". If it defines a handler and is given an
        `input`, and neither args=["a", "b"] nor stdin=b"...", that is called with the input; else
        it is a program, whose only argument is a file with the input, unless `args` are given.

        More options: handler="main.run"; stdin=b"..."; env={"A": "1"}; files={"data.csv": content},
        which lie beside the code; memory_mb; vcpus; network="nat"; `timeout` and `queue_timeout` in
        seconds; request_id; key. `on_output` and `interrupt` are those of invoke(), and what is
        raised as well.
        """
        tap = OutputTap(on_output)
        data = None if input is None else encode_payload(input)
        given, opts = run_options(tap, code, data=data, interrupt=interrupt, **options)
        result = c_void_p()
        with self._handle.using() as nova:
            return collect(result, tap, "nova_run", nova, text(language), given, byref(opts),
                           byref(result))

    def submit(self, name: str, payload: Any = None, **options: Any) -> "Call[Result]":
        """Starts a call and returns at once; takes what invoke() takes.
        Ask the Call for its result(), or cancel() it."""
        with self._lock:
            if self._own_queue is None:
                self._own_queue = self._make_queue(0, 0, False)
            queue = self._own_queue
        try:
            return queue.submit(name, payload, **options)
        except errors.LimitReached:
            queue._gather()  # finished calls that nobody has asked for yet
            return queue.submit(name, payload, **options)

    def queue(self, threads: int = 0, max_calls: int = 0) -> Queue:
        """A queue of calls whose finished ones are collected, for event loops: see Queue."""
        with self._lock:
            return self._make_queue(threads, max_calls, True)

    def _make_queue(self, threads: int, max_calls: int, collects: bool) -> Queue:
        queue = Queue(self._handle, threads, max_calls, collects)
        self._queues.add(queue)
        return queue

    @interruptible(undo=lambda _nova, instance: instance.stop())
    def start_instance(self, function: str, name: Optional[str] = None, *,
                       snapshot: Optional[str] = None, memory_mb: int = 0, vcpus: int = 0,
                       interrupt: Optional[Interrupt] = None,
                       key: Optional[str] = None) -> Instance:
        """Starts a VM of a function that stays until it is stopped; its usage belongs to `key`."""
        options = instance_options(function, name, snapshot=snapshot, memory_mb=memory_mb,
                                   vcpus=vcpus, interrupt=interrupt, key=key)
        made = c_void_p()
        with self._handle.using() as nova:
            check("nova_instance_start", nova, byref(options), byref(made))
        return Instance(made, self._handle)

    def instance(self, name: str) -> Instance:
        """Finds an instance by name or id; raises NotFound."""
        found = c_void_p()
        with self._handle.using() as nova:
            check("nova_instance_get", nova, text(name), byref(found))
        return Instance(found, self._handle)

    def instances(self) -> "List[Instance]":
        """All instances, the oldest first."""
        found, count = POINTER(c_void_p)(), c_size_t()
        with self._handle.using() as nova:
            check("nova_instance_list", nova, byref(found), byref(count))
        made = [Instance(c_void_p(found[i]), self._handle) for i in range(count.value)]
        _ffi.lib.nova_instance_list_free(found, 0)  # the array; each handle belongs to its Instance
        return made

    @interruptible(undo=lambda _nova, vm: vm.close())
    def start_vm(self, rootfs: Optional[str] = None, *, code_disk: Any = None, memory_mb: int = 0,
                 vcpus: int = 0, engine: Optional[str] = None, boot_timeout: Optional[float] = None,
                 network: Optional[str] = None, interrupt: Optional[Interrupt] = None) -> Vm:
        """Starts a microVM of your own, outside the pool, and waits until its agent answers.
        network: "none" (the default) or "nat"."""
        options = vm_options(rootfs, code_disk=code_disk, memory_mb=memory_mb, vcpus=vcpus,
                             engine=engine, boot_timeout=boot_timeout, network=network,
                             interrupt=interrupt)
        with self._host() as host:
            return Vm._start(host, options)

    @interruptible(undo=lambda _nova, vm: vm.close())
    def restore_vm(self, snapshot: str, *, interrupt: Optional[Interrupt] = None) -> Vm:
        """A new microVM that goes on from a snapshot, by name or id; see Vm.snapshot()."""
        with self._host() as host:
            return Vm._restore(host, snapshot, interrupt)

    def snapshot(self, name: str) -> Snapshot:
        """Finds a snapshot by name or id, and reads it through: raises NotFound, or Corrupt.

        Vm.snapshot(), Nova.invoke() with `checkpoint` and `novactl` make them.
        """
        with self._host() as host:
            return open_snapshot(host, name)

    def snapshots(self) -> "List[Snapshot]":
        """All snapshots, the oldest first; damaged ones are not among them."""
        with self._host() as host:
            return list_snapshots("nova_snapshot_list", host)

    def delete_snapshot(self, name: str) -> None:
        """Deletes a snapshot, by name or id; raises Busy if a VM or another snapshot needs it."""
        with self._host() as host:
            check("nova_snapshot_delete", host, text(name))

    def prune_snapshots(self) -> int:
        """Deletes those whose life time is over and that nothing needs; returns how many."""
        with self._host() as host:
            return prune("nova_snapshot_prune", host)

    def templates(self) -> "List[Snapshot]":
        """The snapshots from which the pool starts VMs, made by itself; the oldest first."""
        with self._host() as host:
            return list_snapshots("nova_template_list", host)

    @interruptible()
    def build_template(self, function: str, *, on_progress: Optional[OnProgress] = None,
                       interrupt: Optional[Interrupt] = None) -> None:
        """Makes the template of a function, which else its first call would have to do.
        `on_progress` is told what is being made, and how long that took last time.

        Raises NotSupported where the engine takes no snapshots.
        """
        tap = _call.ProgressTap(on_progress)
        options = _ffi.TemplateOpts(interrupt=pointer_of(interrupt), on_progress=tap.function)
        with self._handle.using() as nova:
            _call.check("nova_template_build", nova, text(function), byref(options))
        tap.finish()

    @interruptible()
    def prepare_template(self, runtime: str, *, on_progress: Optional[OnProgress] = None,
                         interrupt: Optional[Interrupt] = None) -> bool:
        """Makes the template of a runtime, which else the first call of its first function would
        have to do: a guest that has booted. False if it was there. `on_progress` as of
        build_template().

        Raises NotSupported where the engine takes no snapshots.
        """
        tap, made = _call.ProgressTap(on_progress), c_int()
        options = _ffi.TemplateOpts(interrupt=pointer_of(interrupt), on_progress=tap.function)
        with self._handle.using() as nova:
            _call.check("nova_template_prepare", nova, text(runtime), byref(options), byref(made))
        tap.finish()
        return bool(made)

    def template_stats(self) -> Dict[str, int]:
        """What the templates take of the disk, and may take at most: enum nova_template_stat in
        nova/snapshot.h, in lower case without its prefix."""
        names = ("count", "bases", "bytes", "limit_bytes")
        values = (c_uint64 * len(names))()
        with self._host() as host:
            _call.check("nova_template_stats", host, values, len(names))
        return dict(zip(names, values))

    def prune_templates(self, *, all: bool = False) -> int:
        """Deletes the templates that fit nothing any more, or `all`, but none that is in use.

        Returns how many. The pool makes those anew that it needs.
        """
        with self._host() as host:
            return prune("nova_template_prune", host, int(all))

    def tick(self) -> Optional[float]:
        """Does what is due by time: ends or pauses VMs that have waited long enough.
        Seconds until there is something to do; None: nothing is in sight.

        Not needed with the setting pool_thread="on".
        """
        with self._pool() as pool:
            left: int = _ffi.lib.nova_pool_tick(pool)
        return None if left < 0 else left / 1000

    def pool_fd(self) -> int:
        """A descriptor that polls readable when tick() has something to do;
        it lives as long as this object is open."""
        with self._pool() as pool:
            found: int = _ffi.lib.nova_pool_fd(pool)
        if found < 0:
            raise errors.BY_CODE.get(found, NovaError)("the pool has no descriptor")
        return found

    def drain(self, timeout: Optional[float] = None) -> None:
        """Takes no more calls, and waits at most `timeout` seconds (None: 10) until those under way
        are over; their VMs end then."""
        with self._pool() as pool:
            check("nova_pool_drain", pool, milliseconds(10 if timeout is None else timeout))

    def pool_stats(self) -> Dict[str, int]:
        """The counters of the pool as of one moment:
        enum nova_pool_counter in nova/pool.h, in lower case without its prefix."""
        names = _ffi.POOL_COUNTERS
        values = (c_uint64 * len(names))()
        with self._pool() as pool:
            _ffi.lib.nova_pool_stats(pool, values, len(names))
        return dict(zip(names, values))

    def pool_latency(self, kind: str, percent: float = 50) -> float:
        """How many seconds that percentage of the calls took at most to get a VM:
        `kind` is "warm", "resumed", "cold" or "wait"."""
        which = _ffi.POOL_LATENCIES.index(kind)
        with self._pool() as pool:
            took: int = _ffi.lib.nova_pool_percentile_us(pool, which, percent)
        return took / 1e6

    def pool_histogram(self, kind: str) -> "List[Tuple[float, int]]":
        """The distribution behind pool_latency(): pairs of a limit in seconds and how many calls
        took less than it, and no less than the limit before. The last limit is infinity."""
        which = _ffi.POOL_LATENCIES.index(kind)
        with self._pool() as pool:
            size = _ffi.lib.nova_pool_histogram(pool, which, None, None, 0)
            limits, counts = (c_uint64 * size)(), (c_uint64 * size)()
            _ffi.lib.nova_pool_histogram(pool, which, limits, counts, size)
        seconds = [limit / 1e6 for limit in limits[:-1]] + [math.inf]
        return list(zip(seconds, counts))

    def probe(self) -> Probe:
        """What this host can do with the settings in force."""
        with self._host() as host:
            return read_probe(host)


def _take_function(pointer: c_void_p) -> Function:
    try:
        return Function._read(pointer)
    finally:
        _ffi.lib.nova_function_free(pointer)


def open(config: Any = None, *, environment: bool = True, **settings: Any) -> Nova:
    """Opens the platform. No VM is started yet.

    Settings win over the environment, the environment over the configuration file (`config`, or the
    usual places). They have the names of the library's keys, with "_" for ".":
    nova.open(home="/srv/nova", engine="qemu", pool_idle_ttl="5m"). With environment=False nothing
    is taken from the environment, neither settings nor the places of files and programs (see
    nova_config_ignore_environment()).
    """
    made = c_void_p()
    with Config(config, settings, environment) as pointer:
        check("nova_open", pointer, byref(made))
    send_log_to_logging(_ffi.lib.nova_host_get(made))
    return Nova(Handle(made, _ffi.lib.nova_close))


def run(language: str, code: Content, input: Any = None, **options: Any) -> Result:
    """Nova.run() on a platform with the settings in force, opened for this alone:
    nova.run("python", "print(1)").stdout == b"1\\n". Who runs more keeps one open."""
    with open() as platform:
        return platform.run(language, code, input, **options)
