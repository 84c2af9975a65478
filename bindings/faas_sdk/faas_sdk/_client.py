# SPDX-License-Identifier: MIT
"""FaaSClient: what novad offers, as calls."""
import json

from ._errors import FaaSError
from ._http import Endpoint, Pool, Request, settings
from ._stream import Stream
from ._sync import Sync


class Group:
    def __init__(self, client):
        self._call = client.call
        self._client = client


class Functions(Group):
    """What is registered: docs/functions.md."""

    def list(self, **page):
        return self._call("listFunctions", **page)

    def create(self, name, runtime, code=None, **more):
        return self._call("createFunction", name=name, runtime=runtime, code=code, **more)

    def get(self, name):
        return self._call("getFunction", id=name)

    def replace(self, name, runtime, code=None, **more):
        return self._call("putFunction", id=name, runtime=runtime, code=code, **more)

    def update(self, name, **changed):
        """Changes only what is given; `reset` names what is to have its default again."""
        return self._call("patchFunction", id=name, **changed)

    def delete(self, name, *, force=False):
        """With `force` also a function with versions, or a version that an alias points at."""
        return self._call("deleteFunction", id=name, force="true" if force else None)

    def publish(self, name):
        return self._call("publishVersion", id=name)

    def versions(self, name):
        return self._call("listVersions", id=name)

    def aliases(self, name):
        return self._call("listAliases", id=name)

    def set_alias(self, name, alias, version, **shared):
        return self._call("putAlias", id=name, alias=alias, version=version, **shared)

    def roll_back(self, name, alias):
        return self._call("rollbackAlias", id=name, alias=alias)

    def delete_alias(self, name, alias):
        return self._call("deleteAlias", id=name, alias=alias)


class Instances(Group):
    """VMs that go on: docs/modes.md."""

    def list(self):
        return self._call("listInstances")

    def start(self, function, **more):
        return self._call("startInstance", function=function, **more)

    def get(self, instance):
        return self._call("getInstance", id=instance)

    def stop(self, instance, **more):
        return self._call("stopInstance", id=instance, **more)

    def pause(self, instance):
        return self._call("pauseInstance", id=instance)

    def resume(self, instance):
        return self._call("resumeInstance", id=instance)

    def exec(self, instance, command, **more):
        return self._call("execInInstance", id=instance, command=command, **more)

    def files(self, instance, path, **more):
        return self._call("listFiles", id=instance, path=path, **more)

    def read(self, instance, path):
        return self._call("readFile", id=instance, path=path)

    def write(self, instance, path, data, **more):
        """`data` is bytes."""
        return self._call("writeFile", data, id=instance, path=path, **more)

    def remove(self, instance, path):
        return self._call("removeFile", id=instance, path=path)

    def sync(self, instance, local_dir, remote_dir="/workspace", *, exclude=(), direction="up",
             delete=False, dry_run=False):
        """Makes the files of one side those of the other, "up" into the guest or "down" out of
        it: what is missing there, of another size, or newer here. `exclude` are names or patterns
        as of fnmatch; `delete` removes what is only there. Returns what was done, or with
        `dry_run` would be: a list of (verb, path). Symbolic links and empty directories are left
        out."""
        return self._client.run_sync(Sync(instance, local_dir, remote_dir, exclude, direction,
                                          delete, dry_run))

    def expose(self, instance, **port):
        """Not there yet: raises what novad says."""
        return self._call("exposePort", id=instance, **port)


class Snapshots(Group):
    """What instances and calls go on from: docs/snapshots.md."""

    def list(self):
        return self._call("listSnapshots")

    def take(self, instance, **more):
        return self._call("takeSnapshot", instance_id=instance, **more)

    def get(self, snapshot):
        return self._call("getSnapshot", id=snapshot)

    def restore(self, snapshot, **more):
        return self._call("restoreSnapshot", id=snapshot, **more)

    def delete(self, snapshot):
        return self._call("deleteSnapshot", id=snapshot)


class Logs(Group):
    """What calls have left behind: docs/logs.md."""

    def list(self, **which):
        """A page, the newest first; `cursor` is next_cursor of the page before. With
        order="oldest" and wait_ms= it waits for what comes."""
        return self._call("listInvocations", **which)

    def get(self, request_id):
        """Of one call, by its executionId or X-Nova-Execution-Id."""
        return self._call("getInvocation", id=request_id)

    def stats(self, **which):
        """Calls, errors and times by function."""
        return self._call("summarizeInvocations", **which)


class Usage(Group):
    """What was used, and what it costs: docs/usage.md."""

    def list(self, **which):
        return self._call("listUsage", **which)

    def bill(self, **which):
        """Of this month, or that of time_us=; money is in nano-dollars."""
        return self._call("getBill", **which)

    def estimate(self, **what):
        """Of function=, calls=, duration_us= and more."""
        return self._call("estimateUsage", **what)


class Secrets(Group):
    """What functions are given and nobody else: docs/secrets.md. No call gives a value back."""

    def list(self):
        """Their names, and which key each is encrypted with."""
        return self._call("listSecrets")

    def set(self, name, value):
        return self._call("putSecret", name=name, value=value)

    def delete(self, name):
        return self._call("deleteSecret", name=name)

    def rotate(self):
        """What is encrypted with another key than the first gets that one."""
        return self._call("rotateSecrets")


def as_bytes(value):
    return value.encode() if isinstance(value, str) else value


class Kv(Group):
    """Values that a function keeps under keys: docs/kv.md."""

    def get(self, function, key):
        """Bytes, with its `version` and `expires_us`."""
        return self._call("getValue", id=function, key=key)

    def put(self, function, key, value, *, ttl=None, if_version=None, new=False):
        """Text or bytes, for `ttl` seconds; with if_version= only if the key has that one, with
        `new` only if it is not there, else it raises FaaSError. The answer has its `version`."""
        ttl_ms = None if ttl is None else max(1, round(ttl * 1000))
        return self._call("putValue", as_bytes(value), id=function, key=key, ttl_ms=ttl_ms,
                          if_version=if_version, new="true" if new else None)

    def delete(self, function, key, *, if_version=None):
        return self._call("deleteValue", id=function, key=key, if_version=if_version)

    def list(self, function, **page):
        """Under "keys", in the order of their bytes and without values: those that begin with
        prefix=, behind after=, at most limit=."""
        return self._call("listKeys", id=function, **page)


class Files(Group):
    """Files that a function keeps, of the same document."""

    def get(self, function, name):
        """Bytes, with its `type` and `sha256`."""
        return self._call("getKeptFile", id=function, name=name)

    def put(self, function, name, content, type=None):
        return self._call("putKeptFile", as_bytes(content), id=function, name=name, type=type)

    def delete(self, function, name):
        return self._call("deleteKeptFile", id=function, name=name)

    def list(self, function, **page):
        return self._call("listKeptFiles", id=function, **page)


class Calls:
    """What both clients have. What `call` returns they return: of AsyncFaaSClient, await it."""

    def __init__(self, api_key=None, endpoint=None, *, timeout=330, ssl_context=None):
        key, url = settings(api_key, endpoint)
        self.endpoint, self.timeout = Endpoint(url, ssl_context), timeout
        self.headers = {"x-api-key": key} if key else {}
        self.pool = Pool(self.endpoint, timeout)
        self.functions, self.instances = Functions(self), Instances(self)
        self.snapshots, self.logs = Snapshots(self), Logs(self)
        self.usage, self.secrets = Usage(self), Secrets(self)
        self.kv, self.files = Kv(self), Files(self)

    def call(self, operation, body=None, **parameters):
        """Any operation of /openapi.json by its operationId. Bytes as `body` go as they are."""
        raise NotImplementedError

    def execute(self, **fields):
        """Runs code once: code=, language=; or command=. docs/novad.md has the rest."""
        return self.call("execute", **fields)

    def invoke(self, function, event=None, **query):
        """Calls a function: the event is any JSON value ({} without one), and the answer what it
        returned."""
        body = b"{}" if event is None else json.dumps(event).encode()
        return self.call("invoke", body, id=function, **query)

    def stream(self, execution_id=None, *, after=0, **start):
        """The events of an execution, or of what is to be run as by execute(); see Stream."""
        return Stream(self, execution_id, start, after)

    def create_snapshot(self, instance, **more):
        """Of an instance, or of an execution that has left one, or a snapshot."""
        return self.snapshots.take(instance, **more)

    def create_branch(self, snapshot, **more):
        """An instance that goes on from it; `code` runs in it first."""
        return self.call("createBranch", parent_snapshot_id=snapshot, **more)

    def merge_branches(self, branches, **more):
        return self.call("mergeBranches", branch_ids=branches, **more)

    def close(self):
        self.pool.close()


class FaaSClient(Calls):
    """A client that waits in its thread; any number of threads may use it.

    Without api_key and endpoint the variables FAAS_API_KEY and FAAS_API_URL count. An endpoint is
    http://HOST:PORT, https://HOST:PORT or unix:PATH; `timeout` is in seconds, of each read.
    """

    def call(self, operation, body=None, **parameters):
        return self.pool.ask(Request(operation, body, parameters), self.headers)

    def run_sync(self, sync):
        go_on = sync.begin()
        while not sync.is_done:
            operation, body, parameters = sync.request
            try:
                answer, error = self.call(operation, body, **parameters), None
            except FaaSError as failed:
                answer, error = None, failed
            go_on(answer, error)
        return sync.done

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
