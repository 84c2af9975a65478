# SPDX-License-Identifier: MIT
"""The process: its flags, its API, the state machine behind it. One thread, so one request at a
time, as in the real one."""
import fcntl
import heapq
import json
import os
import re
import selectors
import signal
import socket
import struct
import sys
import time
import zlib

import schema
import wire
from guest import Guest, GuestError, NoGuest, write_sparse
from vsock import Vsock

MOST_CONNECTIONS = 10
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 0x0002, 0x1000, 0x4000
PAYLOAD_LIMIT = 51200
MAGIC = b"FCDOUBLE"
EARLY = "The requested operation is not supported before starting the microVM."
LATE = "The requested operation is not supported after starting the microVM."
JSON_PREFIX = "An error occurred when deserializing the json body of a request: "
CONTINUE = b"HTTP/1.1 100 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n"
NOT_ON_THE_BUS = "Device manager error: Failed to find the device on the bus."
NO_DRIVE = "Drive config error: Unable to create the virtio block device: "
NO_TAP = ("Network config error: Could not create the network device: "
          "Open tap device failed: ")
NO_IFREQ = NO_TAP + "Error while creating ifreq structure: "
NO_RESTORE = "Failed to restore from snapshot: "
MACHINE = {"vcpu_count": 1, "mem_size_mib": 128, "smt": False, "track_dirty_pages": False,
           "huge_pages": "None"}
BOOT_RESOURCES = ("boot-source", "drives", "machine-config", "network-interfaces", "vsock",
                  "entropy")


class Refusal(Exception):
    """Becomes a 400 with fault_message. `fatal`: the process ends after it."""

    def __init__(self, text, fatal=False):
        super().__init__(text)
        self.fatal = fatal


def os_error(error):
    return f"{error.strerror} (os error {error.errno})"


def unknown_variant(given, expected):
    return Refusal(f"{JSON_PREFIX}unknown variant `{given}`, expected {expected} "
                   "at line 1 column 1.")


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.inbox = b""


class Vmm:
    def __init__(self, options, control):
        self.options, self.control = options, control
        self.version = tuple(int(part) for part in control.get("version", "1.16.1").split("."))
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.connections = []
        self.config = {"machine-config": MACHINE, "drives": [], "network-interfaces": []}
        self.configured = set()
        self.taps = {}
        self.state = "Not started"
        self.guest = None
        self.vsock = None
        self.tracking = False
        self.was_saved = True  # since it was paused
        self.metrics = False
        self.exit_code = None
        self.open_files_of_flags()

    def real(self, path):
        """Where a path of the API is: the double of the jailer cannot change the root."""
        return self.options.get("double-root", "") + path

    # --- events

    def watch(self, sock, handler):
        self.selector.register(sock, selectors.EVENT_READ, handler)

    def unwatch(self, sock):
        try:
            self.selector.unregister(sock)
        except (KeyError, ValueError):
            pass

    def at(self, moment, action):
        if moment <= time.monotonic():
            action()
        else:
            heapq.heappush(self.timers, (moment, id(action), action))

    def fault(self, name):
        return self.control.get(name)

    def count_down(self, name):
        """For faults that happen a number of times."""
        left = self.control.get(name, 0)
        self.control[name] = left - 1
        return left > 0

    def is_of_api(self, end, listener):
        """Whether requests come by it, or the answers of QEMU that they need."""
        return end is listener or any(connection.sock is end for connection in self.connections) \
            or (self.guest is not None and end is getattr(self.guest, "monitor", None))

    def serve(self, listener):
        self.watch(listener, lambda: self.accept(listener))
        while self.exit_code is None:
            wait = max(0, self.timers[0][0] - time.monotonic()) if self.timers else None
            for key, _ in self.selector.select(wait):
                # Paused through the API, nothing but the API is served.
                if self.state == "Paused" and not self.is_of_api(key.fileobj, listener):
                    time.sleep(0.001)
                    continue
                if key.fileobj.fileno() >= 0 and self.exit_code is None:
                    key.data()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()
        return self.exit_code

    # --- connections

    def accept(self, listener):
        sock, _ = listener.accept()
        if len(self.connections) >= MOST_CONNECTIONS or self.count_down("too_many"):
            try:
                sock.sendall(wire.TOO_MANY)
            except OSError:
                pass  # it has gone already
            sock.close()
            return
        connection = Connection(sock)
        self.connections.append(connection)
        self.watch(sock, lambda: self.on_request(connection))

    def hang_up(self, connection):
        self.unwatch(connection.sock)
        connection.sock.close()
        if connection in self.connections:
            self.connections.remove(connection)

    def on_request(self, connection):
        try:
            block = connection.sock.recv(65536)
        except ConnectionResetError:
            block = b""
        if not block:
            self.hang_up(connection)
            return
        connection.inbox += block
        try:
            self.take_requests(connection)
        except wire.BadRequest as bad:
            connection.sock.sendall(wire.lost(str(bad)))
            self.hang_up(connection)
        except BrokenPipeError:
            self.hang_up(connection)

    def take_requests(self, connection):
        while True:
            request, connection.inbox, wants_more = wire.parse(connection.inbox, PAYLOAD_LIMIT)
            if wants_more:
                connection.sock.sendall(CONTINUE)
            if request is None:
                return
            self.note(request)
            answer, fatal = self.answer(request)
            if answer is None:
                return
            connection.sock.sendall(answer)
            if fatal:
                self.exit_code = 1
                return

    def note(self, request):
        if self.fault("record"):
            with open(self.fault("record"), "a", encoding="utf-8") as record:
                body = request.body.decode("utf-8", "replace")
                record.write(f"{request.method} {request.path} {body}\n")

    def misbehave(self, name):
        """Faults that are set for one request."""
        how = self.control.get("on", {}).get(name)
        if not how:
            return None
        if "delay_ms" in how:
            time.sleep(how["delay_ms"] / 1000)
        if how.get("die") == "signal":
            os.kill(os.getpid(), signal.SIGABRT)
        if "die" in how:
            os._exit({"sigsys": 148}.get(how["die"], 1))
        if "raw" in how:
            return how["raw"].encode("latin-1")
        if "lost" in how:
            return wire.lost(how["lost"])
        if "huge" in how:
            return wire.reply(200, "x" * how["huge"])
        if "fault" in how:
            return wire.reply(400, wire.fault(how["fault"]))
        if "status" in how:
            return wire.reply(how["status"], "no words")
        if "hang" in how:
            time.sleep(3600)
        return None

    def answer(self, request):
        odd = self.misbehave(f"{request.method} {request.path}")
        if odd is not None and request.path == "/snapshot/create":
            self.cut_streams()
        if odd is not None:
            return odd, bool(self.control["on"][f"{request.method} {request.path}"].get("fatal"))
        self.deprecated = False
        try:
            body = self.route(request)
        except Refusal as refusal:
            return wire.reply(400, wire.fault(str(refusal)), self.deprecated), refusal.fatal
        except GuestError as error:
            return wire.reply(400, wire.fault(f"The double's guest: {error}")), True
        if body is None:
            deprecated = self.deprecated or bool(self.fault("deprecation"))
            return wire.reply(204, deprecated=deprecated), False
        return wire.reply(200, json.dumps(body), self.deprecated), False

    # --- routing

    def route(self, request):
        path = "/" + request.path.lstrip("/").split("?")[0].rstrip("/")
        if request.method == "GET":
            if request.body:
                raise Refusal("GET request cannot have a body.")
            return self.get(path)
        parts = path.strip("/").split("/")
        has_id = parts[0] in ("drives", "network-interfaces", "pmem")
        name = f"/{parts[0]}/" if has_id else "/" + "/".join(parts[:2])
        endpoint = schema.ENDPOINTS.get((request.method, name))
        if endpoint is None or self.version < endpoint.since:
            raise Refusal("Invalid request method and/or path: "
                          f"{request.method} {path.lstrip('/')}.")
        body = self.read_body(request, endpoint)
        if endpoint.id_field:
            self.check_id(parts, body, endpoint.id_field)
        if endpoint.when == "pre" and self.state != "Not started":
            raise Refusal(LATE)
        if endpoint.when == "post" and self.state == "Not started":
            raise Refusal(EARLY)
        action = [request.method.lower(), *parts[:2 if parts[0] == "snapshot" else 1]]
        getattr(self, "_".join(action).replace("-", "_"))(body)

    def read_body(self, request, endpoint):
        if not request.body:
            raise Refusal(f"Empty {request.method} request.")
        try:
            body = json.loads(request.body)
        except ValueError:
            cut = request.body.count(b"{") > request.body.count(b"}")
            wrong = "EOF while parsing an object" if cut else "expected value"
            raise Refusal(f"{JSON_PREFIX}{wrong} at line 1 column {len(request.body)}.") from None
        if not isinstance(body, dict):
            raise Refusal(JSON_PREFIX + "invalid type: expected a struct at line 1 column 1")
        wrong, self.deprecated = schema.check(endpoint.fields, body, self.version, endpoint.lenient)
        if wrong:
            raise Refusal(JSON_PREFIX + wrong + ".")
        return body

    def check_id(self, parts, body, field):
        if len(parts) < 2 or not parts[1]:
            raise Refusal("The ID cannot be empty.")
        if not re.fullmatch(r"[A-Za-z0-9_]+", parts[1]):
            raise Refusal("API Resource IDs can only contain alphanumeric characters and "
                          "underscores.")
        if body[field] != parts[1]:
            path, own = ("", "") if field == "drive_id" else (f" [{parts[1]}]", f" [{body[field]}]")
            raise Refusal(f"The id from the path{path} does not match the id from the body{own}!")

    def get(self, path):
        if path == "/":
            return {"id": self.options["id"], "state": self.state,
                    "vmm_version": self.control.get("version", "1.16.1"), "app_name": "Firecracker"}
        if path == "/version":
            return {"firecracker_version": self.control.get("version", "1.16.1")}
        if path == "/machine-config":
            return self.config["machine-config"]
        if path == "/vm/config":
            return self.config
        if path == "/mmds":
            if self.version < (1, 13):  # as 1.12.1 was seen to do
                return {}
            raise Refusal("MMDS error: The MMDS data store is not initialized.")
        raise Refusal(f"Invalid request method and/or path: GET {path.lstrip('/')}.")

    # --- before the start

    def put_logger(self, body):
        self.open_log(body.get("log_path"), "Logger error: Failed to open target file:")

    def put_metrics(self, body):
        if self.metrics:
            raise Refusal("Metrics error: Metrics system already initialized.")
        self.open_log(body["metrics_path"],
                      "Metrics error: Cannot initialize the metrics system due to bad user input:")
        self.metrics = self.real(body["metrics_path"])

    def write_metrics(self):
        """The real one does so each minute, and at its end."""
        if self.metrics:
            with open(self.metrics, "a", encoding="ascii") as file:
                file.write('{"utc_timestamp_ms":1}\n')

    def open_files_of_flags(self):
        """It ends at once where the API would refuse."""
        try:
            self.open_log(self.options.get("log-path"), "Logger")
            if "metrics-path" in self.options:
                self.put_metrics({"metrics_path": self.options["metrics-path"]})
        except Refusal as refusal:
            print(f"RunWithApiError error: {refusal}", file=sys.stderr)
            sys.exit(1)

    def open_log(self, path, what):
        """Before 1.14 the file must exist."""
        if path is None:
            return
        create = os.O_CREAT if self.version >= (1, 14) else 0
        try:
            os.close(os.open(self.real(path), os.O_RDWR | os.O_NONBLOCK | create, 0o600))
        except OSError as error:
            raise Refusal(f"{what} {os_error(error)}") from None

    def put_machine_config(self, body):
        count = body["vcpu_count"]
        if not 1 <= count <= 32 or (body.get("smt") and count > 1 and count % 2):
            raise Refusal("Machine config error: The number of vCPUs must be greater than 0, less "
                          "than 32 and must be 1 or an even number if SMT is enabled.")
        if not body["mem_size_mib"]:
            raise Refusal("Machine config error: The memory size (MiB) is either 0, or not a "
                          "multiple of the configured page size.")
        self.config["machine-config"] = {**MACHINE, **body}
        self.tracking = bool(body.get("track_dirty_pages"))
        self.configured.add("machine-config")

    def patch_machine_config(self, body):
        if not body:
            raise Refusal("Empty PATCH request.")
        self.put_machine_config({**self.config["machine-config"], **body})

    def must_open(self, path, sentence, behind=""):
        try:
            os.close(os.open(self.real(path), os.O_RDONLY))
        except OSError as error:
            raise Refusal(f"{sentence} {os_error(error)}{behind}") from None

    def put_boot_source(self, body):
        self.must_open(body["kernel_image_path"],
                       "Boot source error: The kernel file cannot be opened:")
        if body.get("initrd_path"):
            self.must_open(body["initrd_path"], "Boot source error: The initrd file cannot be "
                           "opened due to invalid path or invalid permissions.")
        if len(body.get("boot_args") or "") > 2048:
            raise Refusal("Boot source error: The kernel command line is invalid: Command line "
                          "string overflows capacity.")
        self.config["boot-source"] = body
        self.configured.add("boot-source")

    def put_drives(self, body):
        engine = body.get("io_engine", "Sync")
        if engine not in ("Sync", "Async"):
            raise unknown_variant(engine, "`Async` or `Sync`")
        if not body.get("path_on_host") and not body.get("socket"):
            raise Refusal(NO_DRIVE + "Invalid block config.")
        self.must_open(body["path_on_host"],
                       NO_DRIVE + "Virtio backend error: Error manipulating the backing file:",
                       " " + body["path_on_host"])
        others = [drive for drive in self.config["drives"] if drive["drive_id"] != body["drive_id"]]
        if body["is_root_device"] and any(drive["is_root_device"] for drive in others):
            raise Refusal("Drive config error: A root block device already exists!")
        self.config["drives"] = [body] + others if body["is_root_device"] else others + [body]
        self.configured.add("drives")

    def patch_drives(self, body):
        drive = next((drive for drive in self.config["drives"]
                      if drive["drive_id"] == body["drive_id"]), None)
        if drive is None or not (body.get("path_on_host") or body.get("rate_limiter")):
            raise Refusal("Drive config error: Unable to patch the block device: "
                          f"{NOT_ON_THE_BUS} Please verify the request arguments.")
        drive.update({name: value for name, value in body.items() if value is not None})

    def nic(self, name):
        return next((nic for nic in self.config["network-interfaces"] if nic["iface_id"] == name),
                    None)

    def put_network_interfaces(self, body):
        others = [nic for nic in self.config["network-interfaces"]
                  if nic["iface_id"] != body["iface_id"]]
        name = body["host_dev_name"]
        if len(name.encode()) >= 16:
            raise Refusal(NO_TAP + "Invalid interface name")
        if body.get("guest_mac") in {nic.get("guest_mac") for nic in others} - {None}:
            raise Refusal(f"The MAC address is already in use: {body['guest_mac']}")
        if name in self.control.get("busy_taps", []):
            raise Refusal(f"{NO_IFREQ}Resource busy (os error 16). Invalid TUN/TAP Backend "
                          f"provided by {name}.")
        self.taps[body["iface_id"]] = self.open_tap(name)
        self.config["network-interfaces"] = others + [body]
        self.configured.add("network-interfaces")

    def open_tap(self, name):
        """Its descriptor. One that is not there is only a name here; the real one makes it."""
        if name not in [device for _, device in socket.if_nameindex()]:
            return None
        tap = os.open(self.real("/dev/net/tun"), os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        try:
            fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        except OSError as error:
            os.close(tap)
            raise Refusal(f"{NO_IFREQ}{os_error(error)}. Invalid TUN/TAP Backend provided by "
                          f"{name}.") from None
        return tap

    def patch_network_interfaces(self, body):
        if self.nic(body["iface_id"]) is None:
            raise Refusal("Network config error: Unable to update the net device: "
                          + NOT_ON_THE_BUS)

    def put_entropy(self, body):
        self.config["entropy"] = body
        self.configured.add("entropy")

    def put_serial(self, body):
        self.config["serial"] = body

    def put_vsock(self, body):
        if self.vsock:
            self.vsock.close()
        self.bind_vsock(body["uds_path"], "Vsock config error: ")
        self.config["vsock"] = body
        self.configured.add("vsock")

    def bind_vsock(self, path, prefix, fatal=False):
        try:
            self.vsock = Vsock(self, self.real(path))
        except OSError as error:
            words = "Address in use" if error.errno == 98 else error.strerror
            raise Refusal(f"{prefix}Cannot create backend for vsock device: Error binding to the "
                          f"host-side Unix socket: {words} (os error {error.errno})",
                          fatal) from None

    # --- life

    def put_actions(self, body):
        kind = body["action_type"]
        if kind == "InstanceStart":
            if self.state != "Not started":
                raise Refusal(LATE)
            self.start_instance()
        elif kind in ("SendCtrlAltDel", "FlushMetrics"):
            if self.state == "Not started":
                raise Refusal(EARLY)
        else:
            raise unknown_variant(
                kind, "one of `FlushMetrics`, `InstanceStart`, `SendCtrlAltDel`")

    def make_guest(self):
        kind = NoGuest if self.control.get("guest") == "none" else Guest
        guest = kind(self.config, self.on_agent, self.on_guest_end, self.real)
        guest.taps = self.taps
        return guest

    def start_instance(self):
        if "boot-source" not in self.configured:
            raise Refusal("Start microvm error: Cannot start microvm without kernel configuration.")
        if self.fault("no_kvm"):
            raise Refusal("Start microvm error: Kvm error: Error creating KVM object: "
                          "No such file or directory (os error 2) Make sure the user launching "
                          "the firecracker process is configured on the /dev/kvm file's ACL.")
        self.guest = self.make_guest()
        self.guest.boot(self.config)
        self.watch_guest()
        self.write_metrics()
        self.state = "Running"
        self.on_agent()

    def watch_guest(self):
        if isinstance(self.guest, Guest):
            self.watch(self.guest.monitor, self.guest.on_monitor)
            self.watch(self.guest.console, self.on_console)

    def on_console(self):
        try:
            block = self.guest.console.recv(65536)
        except (BlockingIOError, ConnectionResetError):
            return
        if not block:
            self.unwatch(self.guest.console)
            return
        try:
            os.write(1, block)
        except OSError:
            pass  # nobody reads: dropped

    def on_agent(self):
        if self.vsock and self.guest and self.guest.listening:
            self.vsock.guest_listens()

    def on_guest_end(self, was_reset):
        self.exit_code = 0 if was_reset else 1

    def patch_vm(self, body):
        if body["state"] not in ("Paused", "Resumed"):
            raise unknown_variant(body["state"], "`Paused` or `Resumed`")
        if body["state"] == "Paused" and self.state == "Running":
            self.guest.stop()
            self.state = "Paused"
            self.was_saved = False
        elif body["state"] == "Resumed" and self.state == "Paused":
            self.guest.go_on()
            self.state = "Running"
            if self.vsock:
                self.vsock.go_on(self.was_saved)

    # --- snapshots

    def cut_streams(self):
        """By a snapshot, also when it then fails."""
        self.was_saved = True
        if self.vsock:
            self.vsock.reset()

    def put_snapshot_create(self, body):
        kind = body.get("snapshot_type", "Full")
        if kind not in ("Full", "Diff"):
            raise unknown_variant(kind, "`Diff` or `Full`")
        self.cut_streams()
        if self.state != "Paused":
            raise Refusal("Create snapshot error: Cannot save the microVM state: Operation not "
                          "allowed: save/restore unavailable while running")
        if kind == "Diff" and not self.tracking and self.version < (1, 13):
            raise Refusal("Create snapshot error: Diff snapshots are not allowed on uVMs with "
                          "dirty page tracking disabled.")
        config = {name: self.config.get(name)
                  for name in ("machine-config", "drives", "vsock", "network-interfaces")}
        version = schema.snapshot_format(self.version)
        head = json.dumps({"format": version, "config": config}).encode()
        content = MAGIC + struct.pack("<I", len(head)) + head + self.guest.save()
        try:
            with open(self.real(body["snapshot_path"]), "wb") as file:
                file.write(content + struct.pack("<I", zlib.crc32(content)))
            self.write_memory(self.real(body["mem_file_path"]), kind == "Diff")
        except OSError as error:
            raise Refusal("Create snapshot error: Cannot perform open on the snapshot backing "
                          f"file: {os_error(error)}") from None

    def write_memory(self, path, diff):
        """A file of another size is made anew; in one of the same size what is written lies over
        what was there."""
        target = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        size = self.config["machine-config"]["mem_size_mib"] << 20
        if os.fstat(target).st_size != size:
            os.ftruncate(target, 0)
            os.ftruncate(target, size)
        for number, content in self.guest.pages(diff and self.tracking):
            write_sparse(target, number, content)
        os.close(target)

    def put_snapshot_load(self, body):
        if self.configured.intersection(BOOT_RESOURCES):
            raise Refusal("Load snapshot error: Loading a microVM snapshot not allowed after "
                          "configuring boot-specific resources.")
        if bool(body.get("mem_backend")) == bool(body.get("mem_file_path")):
            raise Refusal(JSON_PREFIX + "missing field: either `mem_backend` or `mem_file_path` "
                          "is required.")
        try:
            self.load(body)
        except (OSError, ValueError, GuestError, Refusal) as error:
            raise Refusal(f"Load snapshot error: {error}", fatal=True) from None

    def read_state(self, path):
        sentence = NO_RESTORE + "Failed to get snapshot state from file: "
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            raise ValueError(f"{sentence}Failed to open snapshot file: {os_error(error)}") from None
        sentence += "Failed to load snapshot state from file: "
        if len(content) < 8:
            raise ValueError(sentence + "Snapshot file is smaller than CRC length.")
        if content[:8] != MAGIC or struct.unpack("<I", content[-4:])[0] != zlib.crc32(content[:-4]):
            raise ValueError(f"{sentence}CRC64 validation failed: {1 << 63 | zlib.crc32(content)}")
        return content

    def load(self, body):
        content = self.read_state(self.real(body["snapshot_path"]))
        length = struct.unpack("<I", content[8:12])[0]
        head = json.loads(content[12:12 + length])
        ours, theirs = schema.snapshot_format(self.version).split("."), head["format"].split(".")
        if ours[0] != theirs[0] or int(theirs[1]) > int(ours[1]):
            raise ValueError(f"{NO_RESTORE}Invalid format version of snapshot file: "
                             + head["format"])
        memory = self.real(body.get("mem_file_path") or body["mem_backend"]["backend_path"])
        self.config.update(head["config"])
        size = self.config["machine-config"]["mem_size_mib"] << 20
        if os.stat(memory).st_size != size:
            raise ValueError(NO_RESTORE + "The memory file has another size")
        for drive in self.config["drives"]:
            os.close(os.open(self.real(drive["path_on_host"]), os.O_RDONLY))
        if self.config.get("vsock"):
            self.config["vsock"].update(body.get("vsock_override") or {})
            self.bind_vsock(self.config["vsock"]["uds_path"], "Vsock Error: ")
            self.vsock.expect_reset()
        elif body.get("vsock_override"):
            raise ValueError("Unknown Vsock Device.")
        for override in body.get("network_overrides") or []:
            nic = self.nic(override.get("iface_id"))
            if nic is None:
                raise ValueError("Unknown Network Device.")
            nic["host_dev_name"] = override["host_dev_name"]
        for nic in self.config["network-interfaces"]:
            self.taps[nic["iface_id"]] = self.open_tap(nic["host_dev_name"])
        self.tracking = bool(body.get("track_dirty_pages") or body.get("enable_diff_snapshots"))
        self.guest = self.make_guest()
        self.guest.restore(self.config, content[12 + length:-4], memory,
                           bool(body.get("resume_vm")))
        self.watch_guest()
        self.state = "Running" if body.get("resume_vm") else "Paused"


# --- the program ----------------------------------------------------------------------------------


def read_control(program):
    """Beside the name that it was started by, which may be a link in a test's own directory."""
    try:
        with open(program + ".control", encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return {}


VALUED = {"--double-root", "--api-sock", "--id", "--level", "--log-path", "--module",
          "--metrics-path", "--seccomp-filter", "--http-api-max-payload-size", "--mmds-size-limit",
          "--start-time-us", "--start-time-cpu-us", "--parent-cpu-time-us", "--config-file",
          "--metadata"}
PLAIN = {"--no-seccomp", "--show-level", "--show-log-origin", "--boot-timer", "--enable-pci",
         "--no-api"}


def parse_flags(argv):
    options = {"api-sock": "/run/firecracker.socket", "id": "anonymous-instance"}
    at = 1
    while at < len(argv):
        if argv[at] in VALUED and at + 1 < len(argv):
            options[argv[at][2:]] = argv[at + 1]
            at += 1
        elif argv[at] in PLAIN:
            options[argv[at][2:]] = True
        else:
            print(f"Arguments parsing error: Found argument '{argv[at]}' which wasn't expected, "
                  "or isn't valid in this context.", file=sys.stderr)
            sys.exit(153)
        at += 1
    return options


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
    except OSError:
        print(f"Failed to open the API socket at: {path}. Check that it is not already used.",
              file=sys.stderr)
        sys.exit(1)
    listener.listen(32)
    return listener


def main(argv):
    control = read_control(argv[0])
    version = control.get("version", "1.16.1")
    if argv[1:] == ["--version"]:
        print(control.get("version_line", f"Firecracker v{version}"))
        return control.get("version_status", 0)
    if argv[1:] == ["--snapshot-version"]:
        print("v" + schema.snapshot_format(tuple(int(part) for part in version.split("."))))
        return 0
    options = parse_flags(argv)
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", options["id"]):
        print("thread 'main' panicked: Invalid instance ID", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGABRT)
    if control.get("exit_at_start") is not None:
        print(control.get("words", "the double ends at once"), file=sys.stderr)
        return control["exit_at_start"]
    time.sleep(control.get("start_ms", 0) / 1000)
    if control.get("deaf"):
        time.sleep(3600)
    listener = listen(options.get("double-root", "") + options["api-sock"])
    return Vmm(options, control).serve(listener)
