# SPDX-License-Identifier: MIT
"""The guest behind the double: a microvm of QEMU under emulation, or none, where only the client is
tried."""
import json
import mmap
import os
import socket
import struct
import time

PAGE = 4096
ZERO = bytes(PAGE)
AGENT_PORT = 9999
MARK = 1 << 63


class GuestError(Exception):
    pass


def tsc_khz():
    """The frequency of the time stamp counter, by two readings; a guest under emulation cannot find
    it out by itself."""
    import ctypes
    code = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl rdx,32; or rax,rdx; ret
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    first, begin = read(), time.monotonic_ns()
    time.sleep(0.03)
    last, end = read(), time.monotonic_ns()
    return (last - first) * 1000000 // (end - begin)


def write_sparse(target, number, content):
    os.pwrite(target, content, number * PAGE)


class NoGuest:
    """Pages that say how often they were written; an agent that says Ready, and agrees with all."""

    def __init__(self, config, on_agent, on_end, real):
        self.running = False
        self.listening = False
        self.writes = 1
        self.on_agent = on_agent
        self.size = config["machine-config"]["mem_size_mib"] << 20
        self.fds = []

    def boot(self, _config):
        self.listening = True
        self.running = True

    def restore(self, _config, state, _memory, running):
        self.writes = struct.unpack("<Q", state)[0] + 1
        self.listening = True
        self.running = running

    def stop(self):
        self.running = False

    def go_on(self):
        self.running = True
        self.writes += 1

    def save(self):
        return struct.pack("<Q", self.writes)

    def pages(self, diff):
        content = struct.pack("<Q", self.writes) * (PAGE // 8)
        numbers = [5, self.writes % 1000 + 10] if diff else [0, 1, 5]
        return [(number, content) for number in numbers]

    def open_channel(self):
        ours, theirs = socket.socketpair()
        self.fds.append(theirs)
        self.say(theirs, 64, {"protocol": 1})
        return ours

    def say(self, sock, kind, payload):
        frame = json.dumps({"type": kind, "payload": payload}).encode()
        sock.sendall(struct.pack(">I", len(frame)) + frame)

    def hear(self):
        """Each message that is in one piece is agreed with."""
        block = self.fds[-1].recv(65536)
        while len(block) > 4:
            length = struct.unpack(">I", block[:4])[0]
            message, block = json.loads(block[4:4 + length]), block[4 + length:]
            identity = message["payload"].get("request_id", "")
            self.say(self.fds[-1], 3, {"request_id": identity, "status": "ok"})

    def channel_closed(self):
        self.fds.clear()


class Guest:
    """One QEMU. `on_event` is told of its monitor's events, `on_end` of its end."""

    def __init__(self, config, on_agent, on_end, real):
        self.on_agent, self.on_end, self.real = on_agent, on_end, real
        self.running = False
        self.listening = False  # the agent has its port open
        self.size = config["machine-config"]["mem_size_mib"] << 20
        self.shared = None
        self.known = {}
        self.inbox = b""
        self.was_reset = False
        self.silent_until = 0.0

    # --- process

    def start(self, config, memory, share, extra):
        self.monitor, monitor = socket.socketpair()
        self.console, console = socket.socketpair()
        self.listener_name = f"\0nova-double-{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.listener_name)
        listener.listen(4)
        for end in (monitor, console, listener):
            end.set_inheritable(True)
        os.set_inheritable(memory, True)
        mib = config["machine-config"]["mem_size_mib"]
        command = [
            "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-name", "double-guest",
            "-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
            "-M", "microvm,acpi=on,pic=off,memory-backend=mem,dump-guest-core=off,mem-merge=off,"
                  "suppress-vmdesc=on",
            "-global", "migration.send-configuration=off", "-accel", "tcg,tb-size=16",
            "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt", "-m", f"{mib}M",
            "-smp", str(config["machine-config"]["vcpu_count"]),
            "-object", f"memory-backend-file,id=mem,size={mib}M,mem-path=/proc/self/fd/{memory},"
                       f"share={share}",
            "-chardev", f"socket,id=serial,fd={console.fileno()}", "-serial", "chardev:serial",
            "-device", "virtio-serial-device",
            "-chardev", f"socket,id=agent,fd={listener.fileno()},server=on,wait=off",
            "-device", "virtserialport,id=agentport,chardev=agent,name=nova.agent",
            "-chardev", f"socket,id=qmp,fd={monitor.fileno()}", "-mon", "chardev=qmp,mode=control",
        ]
        for drive in config["drives"]:
            where = self.inherited(drive["path_on_host"])
            name = drive["drive_id"]
            command += [
                "-blockdev", f"driver=raw,node-name={name},read-only=on,file.driver=file,"
                             f"file.filename=/proc/self/fd/{where},file.locking=off",
                "-device", f"virtio-blk-device,drive={name}"]
        for nic in config["network-interfaces"]:
            name, tap = nic["iface_id"], self.taps.get(nic["iface_id"])
            if tap is None:
                raise GuestError(f"no TAP {nic['host_dev_name']}")
            os.set_inheritable(tap, True)
            mac = nic.get("guest_mac", "02:00:00:00:00:01")
            command += ["-netdev", f"tap,id={name},fd={tap},vhost=off", "-device",
                        f"virtio-net-device,netdev={name},guest_announce=off,mac={mac}"]
        command += extra
        self.pid = os.posix_spawnp("setpriv", command, dict(os.environ))
        for end in (monitor, console, listener):
            end.close()
        if "QMP" not in self.read_message():
            raise GuestError("no monitor")
        self.ask("qmp_capabilities")
        self.console.setblocking(False)

    def inherited(self, path):
        where = os.open(self.real(path), os.O_RDONLY)
        os.set_inheritable(where, True)
        return where

    def boot(self, config):
        source = config["boot-source"]
        args = source.get("boot_args", "").replace("reboot=k", "reboot=t")
        self.shared = os.memfd_create("guest-memory")
        os.ftruncate(self.shared, self.size)
        kernel = self.inherited(source["kernel_image_path"])
        extra = ["-kernel", f"/proc/self/fd/{kernel}",
                 "-append", f"{args} tsc_early_khz={tsc_khz()}"]
        if source.get("initrd_path"):
            extra += ["-initrd", f"/proc/self/fd/{self.inherited(source['initrd_path'])}"]
        self.start(config, self.shared, "on", extra)
        self.running = True

    def restore(self, config, state, memory, running):
        where = self.writable(memory)
        self.inode = os.fstat(where).st_ino
        self.start(config, where, "off", ["-incoming", "defer", "-S"])
        self.listening = True
        image = os.memfd_create("state")
        os.write(image, state)
        os.lseek(image, 0, os.SEEK_SET)
        self.ask("getfd", send=image, fdname="state")
        self.ask("migrate-incoming", uri="fd:state")
        while self.ask("query-status")["status"] == "inmigrate":
            time.sleep(0.001)
        os.close(image)
        if running:
            self.go_on()

    def writable(self, memory):
        """The real one maps what it may only read; QEMU opens it for writing, so where that is
        forbidden it gets a copy."""
        where = os.open(memory, os.O_RDONLY)
        if os.access(memory, os.W_OK):
            return where
        with mmap.mmap(where, self.size, prot=mmap.PROT_READ) as content:
            os.close(where)
            where = os.memfd_create("memory")
            os.ftruncate(where, self.size)
            for at in range(0, self.size, 1 << 16):
                block = content[at:at + (1 << 16)]
                if block.count(0) < len(block):
                    os.pwrite(where, block, at)
        return where

    # --- monitor

    def read_message(self):
        while b"\n" not in self.inbox:
            block = self.monitor.recv(65536)
            if not block:
                raise GuestError("the guest has ended")
            self.inbox += block
        line, self.inbox = self.inbox.split(b"\n", 1)
        return json.loads(line)

    def take_event(self, message):
        kind = message.get("event")
        if kind == "VSERPORT_CHANGE" and message["data"]["id"] == "agentport":
            self.listening = message["data"]["open"]
            self.on_agent()
        elif kind in ("RESET", "SHUTDOWN", "GUEST_PANICKED"):
            self.was_reset = True

    def ask(self, command, send=None, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments}).encode()
        socket.send_fds(self.monitor, [text], [] if send is None else [send])
        while True:
            message = self.read_message()
            if "error" in message:
                raise GuestError(message["error"]["desc"])
            if "return" in message:
                return message["return"]
            self.take_event(message)

    def on_monitor(self):
        """For the poll loop: whatever has come."""
        try:
            block = self.monitor.recv(65536)
        except ConnectionResetError:
            block = b""
        if not block:
            self.on_end(self.was_reset)
            return
        self.inbox += block
        while b"\n" in self.inbox:
            self.take_event(self.read_message())

    # --- life

    def stop(self):
        self.ask("stop")
        self.running = False

    def go_on(self):
        self.ask("cont")
        self.running = True
        # The guest takes the reset of its connections first.
        self.silent_until = time.monotonic() + 0.15

    def open_channel(self):
        channel = socket.socket(socket.AF_UNIX)
        channel.connect(self.listener_name)
        return channel

    def hear(self):
        """The agent does."""

    def channel_closed(self):
        self.silent_until = time.monotonic() + 0.15

    # --- snapshots

    def save(self):
        image = os.memfd_create("state")
        self.ask("xen-save-devices-state", filename=f"/proc/{os.getpid()}/fd/{image}", live=False)
        state = os.pread(image, os.fstat(image).st_size, 0)
        os.close(image)
        return state

    def mapping(self):
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as lines:
            for line in lines:
                cells = line.split()
                low, high = (int(end, 16) for end in cells[0].split("-"))
                if int(cells[4]) == self.inode and high - low == self.size:
                    return low
        raise GuestError("the memory of the guest was not found")

    def private_pages(self):
        low = self.mapping()
        with open(f"/proc/{self.pid}/pagemap", "rb") as table:
            table.seek(low // PAGE * 8)
            entries = struct.unpack(f"<{self.size // PAGE}Q", table.read(self.size // PAGE * 8))
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            for number, entry in enumerate(entries):
                if entry & (3 << 62) and not entry & (1 << 61):
                    yield number, os.pread(memory.fileno(), PAGE, low + number * PAGE)

    def pages(self, diff):
        """All of memory; or what has changed since the last time, or since it was loaded."""
        if self.shared is not None:
            with mmap.mmap(self.shared, self.size, prot=mmap.PROT_READ) as memory:
                for number in range(self.size // PAGE):
                    content = memory[number * PAGE:(number + 1) * PAGE]
                    if content != ZERO:
                        yield number, content
            return
        if not diff:
            raise GuestError("the double makes full snapshots of booted guests only")
        for number, content in self.private_pages():
            if self.known.get(number) != hash(content):
                self.known[number] = hash(content)
                yield number, content
