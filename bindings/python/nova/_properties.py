# SPDX-License-Identifier: MIT
# Made by tests/api/properties.py BUILD update; do not edit.
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, TypedDict

NUMBERS = (
    "memory_mb",
    "timeout_s",
    "init_timeout_s",
    "vcpus",
    "min_replicas",
    "concurrency",
    "disk_iops",
    "disk_bandwidth",
    "net_rx_bandwidth",
    "net_tx_bandwidth",
    "rate",
    "rate_period_ms",
    "rate_burst",
)
TEXTS = (
    "runtime",
    "handler",
    "network",
    "rehearse",
)
LISTS = (
    "env",
    "labels",
    "preopens",
)


class Properties(TypedDict, total=False):
    """Keywords of Nova.register(); 0 and None stand for the defaults."""

    # Module and function, as in app.api.run [main.handler, else main.lambda_handler, else the file
    # is a script].
    handler: Optional[str]
    # Memory of the VM (python: from 96) (MB): 64 to 65536.
    memory_mb: int
    # Time limit of one call (seconds): 1 to 86400.
    timeout_s: int
    # Time limit of its import (0: the timeout, at least 30) (seconds): 0 to 86400.
    init_timeout_s: int
    # Processors of the VM: 1 to 32.
    vcpus: int
    # VMs that a daemon keeps warm: 0 to 1000.
    min_replicas: int
    # Calls at once in one VM: 1 to 16.
    concurrency: int
    # None, or nat: the way out to this host's network (root).
    network: Optional[str]
    # Operations a second on its disk (operations/s): 0 to 2⁶³ − 1.
    disk_iops: int
    # Bytes a second on its disk (bytes/s): 0 to 2⁶³ − 1.
    disk_bandwidth: int
    # Bytes a second into the VM (bytes/s): 0 to 2⁶³ − 1.
    net_rx_bandwidth: int
    # Bytes a second out of the VM (bytes/s): 0 to 2⁶³ − 1.
    net_tx_bandwidth: int
    # Variable of its environment; repeatable.
    env: Optional[Mapping[str, str]]
    # Label for lists and bills; repeatable, at most 16.
    labels: Optional[Mapping[str, str]]
    # Wasm: the guest's directory that the module opens as NAME; repeatable [/code and .].
    preopens: Optional[Mapping[str, str]]
    # An input that it is called with ahead, without network and secrets, so that starts by a fork
    # are faster.
    rehearse: Optional[str]
    # Calls of it that may begin in each --rate-period (0: no limit) (calls): 0 to 1000000.
    rate: int
    # In which its rate may be used (0: a second) (ms): 0 to 86400000.
    rate_period_ms: int
    # Calls at once after a pause (0: as --rate) (calls): 0 to 1000000.
    rate_burst: int


@dataclass(frozen=True)
class FunctionProperties:
    """What a function was given, or has by default."""

    runtime: str
    handler: str
    memory_mb: int
    timeout_s: int
    init_timeout_s: int
    vcpus: int
    min_replicas: int
    concurrency: int
    network: str
    disk_iops: int
    disk_bandwidth: int
    net_rx_bandwidth: int
    net_tx_bandwidth: int
    env: Dict[str, str]
    labels: Dict[str, str]
    preopens: Dict[str, str]
    rehearse: str
    rate: int
    rate_period_ms: int
    rate_burst: int
