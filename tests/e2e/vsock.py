#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots a guest without a virtio port, whose agent listens on vsock, and passes on the TAP of
vsock_tester.c. Argument: build root."""
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1])
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nova"
KERNEL_OPTIONS = "rdinit=/tester quiet reboot=t panic=-1 tsc=reliable no_timer_check"
IMAGES = pathlib.Path(os.environ.get("NOVA_IMAGES") or CACHE / "images")
ORDER = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk", "vsock",
         "vmw_vsock_virtio_transport_common", "vsock_loopback"]


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(77)


def module_tree():
    """The kernel package that tools/images has unpacked."""
    module = "lib/modules/*/kernel/net/vmw_vsock/vsock_loopback.ko"
    found = list((CACHE / "packages").glob(f"kernel-*/{module}"))
    if not found:
        skip("there is no unpacked kernel package with the module vsock_loopback; "
             "make it with: tools/images --force initramfs")
    return max(found, key=os.path.getmtime).parents[3]


def pack(folder):
    """An archive to follow the first one of the initramfs: its files take the place of those with
    the same name."""
    names = "\n".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
    return subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "--owner=0:0"],
                          input=names.encode(), cwd=folder, stdout=subprocess.PIPE,
                          check=True).stdout


def make_initramfs(folder):
    modules = module_tree()
    extra = folder / "extra"
    (extra / "modules").mkdir(parents=True)
    for name in ORDER:
        for path in modules.rglob(name + ".ko"):
            (extra / "modules" / path.name).write_bytes(path.read_bytes())
    present = [name + ".ko" for name in ORDER if (extra / "modules" / (name + ".ko")).exists()]
    (extra / "modules/order").write_text("\n".join(present) + "\n", encoding="ascii")
    for name, target in (("agent/nova-agent", "init"), ("tests/e2e/vsock-tester", "tester")):
        (extra / target).write_bytes((BUILD / name).read_bytes())
        (extra / target).chmod(0o755)
    whole = folder / "initramfs"
    whole.write_bytes((IMAGES / "kernel/initramfs.cpio").read_bytes() + pack(extra))
    return whole


def make_code(folder):
    source = folder / "main.sh"
    source.write_text('cat "$1"\n', encoding="ascii")
    disk = folder / "code.ext4"
    subprocess.run([BUILD / "tools/novactl", "disk", "build", source, "-o", disk], check=True,
                   stdout=subprocess.DEVNULL)
    return disk


def disks(*paths):
    for number, path in enumerate(paths):
        yield from ("-blockdev", f"driver=raw,node-name=d{number},read-only=on,file.driver=file,"
                                 f"file.filename={path},file.locking=off",
                    "-device", f"virtio-blk-device,drive=d{number}")


def tsc_khz():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "double/firecracker"))
    import guest
    return guest.tsc_khz()


def main():
    for path in ("kernel/vmlinux", "kernel/initramfs.cpio", "rootfs/base.ext4"):
        if not (IMAGES / path).exists():
            skip(f"there is no {IMAGES / path}; make it with: tools/images")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
            "-M", "microvm,acpi=on,pic=off", "-accel", "tcg", "-cpu", "qemu64", "-m", "256M",
            "-serial", "stdio", "-kernel", IMAGES / "kernel/vmlinux",
            "-initrd", make_initramfs(folder),
            "-append", f"{KERNEL_OPTIONS} tsc_early_khz={tsc_khz()}",
            *disks(IMAGES / "rootfs/base.ext4", make_code(folder))]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  timeout=170, check=False)
        except FileNotFoundError:
            skip("QEMU is not installed: apt-get install qemu-system-x86")
        except subprocess.TimeoutExpired as late:
            print((late.stdout or b"").decode(errors="replace"))
            print("Bail out! the guest does not end")
            return 1
    text = done.stdout.decode(errors="replace").replace("\r", "")
    print(text)
    return 0 if "\n1.." in text and "not ok" not in text else 1


sys.exit(main())
