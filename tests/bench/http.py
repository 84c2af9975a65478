#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nova-bench's neighbour for HTTP: what novad adds to a warm call, on the fake engine, and how it
compares with nginx. Needs wrk; nginx is compared with if it is there. Ratios count, not times.

    tests/bench/http.py [SECONDS]
"""
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bindings/python"), str(ROOT / "tests")]
import nova  # noqa: E402
from novatest import BUILD, await_that  # noqa: E402

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
IDLE = 10000
CODE = "def handler(event):\n    return event\n"


def microseconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1000, "s": 1000000}[unit]


def wrk(url, connections, *words):
    """Requests a second, and the percentiles of the time in microseconds."""
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", *words,
                          url], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in out, out
    times = dict(re.findall(r"(50|99)%\s+(\S+)", out))
    return (float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1)),
            microseconds(times["50"]), microseconds(times["99"]))


def library(home):
    """The same call within one process, by the Python package."""
    settings = {"home": str(home), "engine": "fake"}
    with nova.open(**settings) as platform:
        platform.register("echo", runtime="python", code=CODE.encode(), in_place=True,
                          check="never")
        times = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            begun = time.perf_counter()
            platform.invoke("echo", {})
            times.append((time.perf_counter() - begun) * 1e6)
    times.sort()
    return len(times) / SECONDS, times[len(times) // 2], times[len(times) * 99 // 100]


def start_nginx(directory):
    (directory / "healthz").write_text('{"status":"ok"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; client_body_temp_path {directory}/a; proxy_temp_path "
        f"{directory}/b; fastcgi_temp_path {directory}/c; uwsgi_temp_path {directory}/d;\n"
        f"scgi_temp_path {directory}/e; keepalive_requests 100000000; default_type "
        f"application/json;\nserver {{ listen 127.0.0.1:{port}; root {directory}; }} }}\n")
    process = subprocess.Popen(["nginx", "-c", f"{directory}/nginx.conf"],
                               stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await_that(listens, "nginx listens")
    return process, port


def resident(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0])


def show(name, requests, middle, late):
    print(f"{name:34} {requests:9.0f}/s  p50 {middle:8.0f} us  p99 {late:8.0f} us", flush=True)


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="nova-bench-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        direct = library(directory / "home")
        show("library, Python, one at a time", *direct)
        process = subprocess.Popen(
            [BUILD / "tools/novad", "--listen", "127.0.0.1:0", "--no-keys", "--set",
             f"home={directory}/home", "--set", "engine=fake", "--set", "log.level=error"],
            stdout=subprocess.PIPE, text=True)
        url = re.search(r"http://\S+", process.stdout.readline()).group(0)
        post = directory / "post.lua"
        post.write_text('wrk.method = "POST"\nwrk.body = "{}"\n')
        call = f"{url}/functions/echo/invoke"
        wrk(call, 1, "-s", str(post))  # warm
        single = wrk(call, 1, "-s", str(post))
        show("novad, one at a time", *single)
        show("novad, 32 at a time", *wrk(call, 32, "-s", str(post)))
        print(f"added at p50: {single[1] - direct[1]:.0f} us ({single[1] / direct[1]:.2f})")
        own = wrk(f"{url}/healthz", 32)
        show("novad /healthz, 32 connections", *own)
        if shutil.which("nginx"):
            server, port = start_nginx(directory)
            other = wrk(f"http://127.0.0.1:{port}/healthz", 32)
            show("nginx, a static file, 32", *other)
            print(f"novad over nginx: {own[0] / other[0]:.2f}")
            server.terminate()
            server.wait()
        before = resident(process)
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        crowd = [socket.create_connection(address) for _ in range(min(IDLE, hard - 200))]
        wrk(f"{url}/healthz", 1)
        print(f"{len(crowd)} idle connections: {(resident(process) - before) / 1024:.1f} MiB")
        for idle in crowd:
            idle.close()
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
