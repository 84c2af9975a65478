# SPDX-License-Identifier: MIT
# Made from the headers by tests/api/headers.py update; do not edit.
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_int64, c_size_t,
                    c_uint32, c_uint64, c_void_p, sizeof)

OUTPUT_FN = CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_size_t)
LOG_FN = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
PROGRESS_FN = CFUNCTYPE(None, c_void_p, c_char_p)
_NUMBERS = {c_uint32: 2**32, c_uint64: 2**64}


class _Options(Structure):
    """An option struct: its first member holds its size."""

    def __init__(self, **members):
        for name, kind in self._fields_:
            limit = _NUMBERS.get(kind)
            if limit and not 0 <= members.get(name, 0) < limit:
                # ctypes would take it modulo 2**32.
                raise ValueError(f"{name}: {members[name]} is not between 0 and {limit - 1}")
        super().__init__(size=sizeof(type(self)), **members)


class Alias(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("name", c_char_p),
        ("version", c_uint32),
        ("second", c_uint32),
        ("weight", c_uint32),
        ("reserved", c_uint32),
        ("created_us", c_uint64),
        ("updated_us", c_uint64),
    ]


class AliasOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("name", c_char_p),
        ("version", c_uint32),
        ("second", c_uint32),
        ("weight", c_uint32),
        ("reserved", c_uint32),
    ]


class Bill(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("start_us", c_uint64),
        ("end_us", c_uint64),
        ("calls", c_uint64),
        ("lost", c_uint64),
        ("cpu_nano", c_uint64),
        ("memory_nano", c_uint64),
        ("gpu_nano", c_uint64),
        ("snapshot_nano", c_uint64),
        ("egress_nano", c_uint64),
        ("ingress_nano", c_uint64),
        ("subtotal_nano", c_uint64),
        ("discount_nano", c_uint64),
        ("total_nano", c_uint64),
        ("mcu_micro", c_uint64),
        ("plan_mcu", c_uint64),
        ("plan_nano", c_uint64),
        ("overage_nano", c_uint64),
        ("tier", c_char_p),
        ("plan", c_char_p),
        ("discount_percent", c_uint32),
        ("reserved", c_uint32),
    ]


class DiskOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("source", c_char_p),
        ("data", c_void_p),
        ("data_len", c_size_t),
        ("entry_name", c_char_p),
        ("min_size", c_uint64),
        ("max_size", c_uint64),
        ("label", c_char_p),
        ("log", LOG_FN),
        ("log_userdata", c_void_p),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("below", c_char_p),
    ]


class File(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("type", c_char_p),
        ("sha256", c_char_p),
        ("data", c_void_p),
        ("data_len", c_size_t),
        ("updated_us", c_uint64),
    ]


class FilePutOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("type", c_char_p),
        ("data", c_void_p),
        ("data_len", c_size_t),
    ]


class FileReadOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("max_size", c_size_t),
        ("interrupt", c_void_p),
    ]


class FileWriteOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("mode", c_uint32),
        ("reserved", c_uint32),
        ("interrupt", c_void_p),
    ]


class FunctionDeleteOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("if_updated_us", c_uint64),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    ]


class FunctionListOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("labels", POINTER(c_char_p)),
        ("labels_count", c_size_t),
        ("after", c_char_p),
        ("limit", c_uint32),
        ("reserved", c_uint32),
    ]


class FunctionOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("runtime", c_char_p),
        ("code_path", c_char_p),
        ("code", c_void_p),
        ("code_len", c_size_t),
        ("handler", c_char_p),
        ("memory_mb", c_uint32),
        ("timeout_s", c_uint32),
        ("vcpus", c_uint32),
        ("min_replicas", c_uint32),
        ("disk_iops", c_uint64),
        ("disk_bandwidth", c_uint64),
        ("net_rx_bandwidth", c_uint64),
        ("net_tx_bandwidth", c_uint64),
        ("env", POINTER(c_char_p)),
        ("env_count", c_size_t),
        ("flags", c_uint32),
        ("concurrency", c_uint32),
        ("network", c_char_p),
        ("check", c_uint32),
        ("init_timeout_s", c_uint32),
        ("interrupt", c_void_p),
        ("labels", POINTER(c_char_p)),
        ("labels_count", c_size_t),
        ("requirements", c_char_p),
        ("find_links", c_char_p),
        ("on_progress", PROGRESS_FN),
        ("userdata", c_void_p),
        ("preopens", POINTER(c_char_p)),
        ("preopens_count", c_size_t),
        ("rehearse", c_char_p),
        ("if_updated_us", c_uint64),
        ("rate", c_uint32),
        ("rate_period_ms", c_uint32),
        ("rate_burst", c_uint32),
        ("reserved", c_uint32),
    ]


class InstanceOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("name", c_char_p),
        ("snapshot", c_char_p),
        ("memory_mb", c_uint32),
        ("vcpus", c_uint32),
        ("interrupt", c_void_p),
        ("userdata", c_void_p),
        ("key", c_char_p),
    ]


class Invocation(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("number", c_uint64),
        ("request_id", c_char_p),
        ("function", c_char_p),
        ("function_id", c_char_p),
        ("runtime", c_char_p),
        ("instance", c_char_p),
        ("path", c_char_p),
        ("error", c_char_p),
        ("out", c_void_p),
        ("out_len", c_size_t),
        ("err", c_void_p),
        ("err_len", c_size_t),
        ("started_us", c_uint64),
        ("duration_us", c_uint64),
        ("input_size", c_uint64),
        ("output_size", c_uint64),
        ("memory_peak", c_uint64),
        ("lost", c_uint64),
        ("version", c_uint32),
        ("code", c_int),
        ("cold", c_uint32),
        ("cut", c_uint32),
    ]


class InvocationListOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("request_id", c_char_p),
        ("since_us", c_uint64),
        ("until_us", c_uint64),
        ("cursor", c_uint64),
        ("version", c_uint32),
        ("code", c_int),
        ("errors", c_uint32),
        ("order", c_uint32),
        ("limit", c_uint32),
        ("wait_ms", c_uint32),
        ("interrupt", c_void_p),
    ]


class InvocationSummary(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("calls", c_uint64),
        ("errors", c_uint64),
        ("cold", c_uint64),
        ("p50_us", c_uint64),
        ("p95_us", c_uint64),
        ("p99_us", c_uint64),
        ("longest_us", c_uint64),
    ]


class InvocationSummaryOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("since_us", c_uint64),
        ("until_us", c_uint64),
    ]


class InvokeOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("timeout_ms", c_uint32),
        ("queue_timeout_ms", c_uint32),
        ("request_id", c_char_p),
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
        ("flags", c_uint32),
        ("reserved", c_uint32),
        ("snapshot", c_char_p),
        ("checkpoint_name", c_char_p),
        ("instance", c_void_p),
        ("interrupt", c_void_p),
        ("on_progress", PROGRESS_FN),
        ("key", c_char_p),
        ("client_context", c_char_p),
        ("args", POINTER(c_char_p)),
        ("args_count", c_size_t),
        ("stdin_data", c_void_p),
        ("stdin_len", c_size_t),
        ("start", c_char_p),
        ("program_name", c_char_p),
    ]


class JobListOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("owner", c_char_p),
        ("cursor", c_uint64),
        ("states", c_uint32),
        ("limit", c_uint32),
        ("interrupt", c_void_p),
    ]


class JobOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("attempts", c_uint32),
        ("lease_ms", c_uint32),
        ("keep_s", c_uint32),
        ("reserved", c_uint32),
        ("usage_key", c_char_p),
        ("client_context", c_char_p),
        ("owner", c_char_p),
        ("if_label", c_char_p),
    ]


class Key(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("text", c_char_p),
        ("prefix", c_char_p),
        ("tier", c_char_p),
        ("expires_us", c_uint64),
        ("created_us", c_uint64),
        ("updated_us", c_uint64),
        ("revoked", c_uint32),
        ("reserved", c_uint32),
        ("rate", c_uint32),
        ("period_ms", c_uint32),
        ("burst", c_uint32),
        ("reserved2", c_uint32),
    ]


class KeyOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("tier", c_char_p),
        ("expires_us", c_uint64),
        ("rate", c_uint32),
        ("period_ms", c_uint32),
        ("burst", c_uint32),
        ("reserved", c_uint32),
    ]


class KvEntry(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("value", c_void_p),
        ("value_len", c_size_t),
        ("version", c_uint64),
        ("expires_us", c_uint64),
    ]


class KvListOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("prefix", c_char_p),
        ("after", c_char_p),
        ("limit", c_uint32),
        ("reserved", c_uint32),
    ]


class KvPutOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("value", c_void_p),
        ("value_len", c_size_t),
        ("ttl_ms", c_uint64),
        ("if_version", c_uint64),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    ]


class MergeOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("branches", POINTER(c_void_p)),
        ("branch_count", c_size_t),
        ("directory", c_char_p),
        ("on_conflict", c_uint32),
        ("reserved", c_uint32),
        ("interrupt", c_void_p),
    ]


class PoolOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("idle_ttl_ms", c_uint64),
        ("max_vms", c_uint32),
        ("queue_timeout_ms", c_uint32),
        ("max_memory_mb", c_uint64),
        ("max_queue", c_uint32),
        ("pause_after_ms", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    ]


class Property(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("type", c_uint32),
        ("unit", c_uint32),
        ("least", c_uint64),
        ("most", c_uint64),
        ("standard", c_uint64),
        ("choices", POINTER(c_char_p)),
        ("since", c_char_p),
        ("features", c_uint32),
        ("flags", c_uint32),
        ("label", c_char_p),
        ("option", c_char_p),
        ("letter", c_char_p),
        ("value", c_char_p),
        ("help", c_char_p),
        ("offset", c_size_t),
    ]


class QueueOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("threads", c_uint32),
        ("max_calls", c_uint32),
    ]


class RateOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("rate", c_uint32),
        ("period_ms", c_uint32),
        ("burst", c_uint32),
        ("tokens", c_uint32),
    ]


class RunFile(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("data", c_void_p),
        ("len", c_size_t),
    ]


class RunOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("code_len", c_size_t),
        ("code_name", c_char_p),
        ("handler", c_char_p),
        ("input", c_char_p),
        ("args", POINTER(c_char_p)),
        ("args_count", c_size_t),
        ("stdin_data", c_void_p),
        ("stdin_len", c_size_t),
        ("env", POINTER(c_char_p)),
        ("env_count", c_size_t),
        ("files", c_void_p),
        ("files_count", c_size_t),
        ("memory_mb", c_uint32),
        ("vcpus", c_uint32),
        ("timeout_ms", c_uint32),
        ("queue_timeout_ms", c_uint32),
        ("network", c_char_p),
        ("request_id", c_char_p),
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
        ("interrupt", c_void_p),
        ("key", c_char_p),
    ]


class Runtime(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("alias", c_char_p),
        ("built_in", c_uint32),
        ("memory_mb", c_uint32),
        ("least_memory_mb", c_uint32),
        ("timeout_s", c_uint32),
        ("init_timeout_s", c_uint32),
        ("reserved", c_uint32),
        ("rootfs", c_char_p),
        ("rootfs_hash", c_char_p),
        ("protocol", c_char_p),
        ("argv", POINTER(c_char_p)),
        ("argv_count", c_size_t),
        ("created_us", c_uint64),
    ]


class RuntimeOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("rootfs", c_char_p),
        ("argv", POINTER(c_char_p)),
        ("argv_count", c_size_t),
        ("protocol", c_char_p),
        ("memory_mb", c_uint32),
        ("timeout_s", c_uint32),
        ("init_timeout_s", c_uint32),
        ("flags", c_uint32),
    ]


class Secret(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("key_id", c_char_p),
        ("created_us", c_uint64),
        ("updated_us", c_uint64),
    ]


class SnapshotOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("life_time_s", c_uint64),
        ("compress", c_uint32),
        ("reserved", c_uint32),
        ("interrupt", c_void_p),
        ("userdata", c_void_p),
    ]


class TemplateOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("interrupt", c_void_p),
        ("on_progress", PROGRESS_FN),
        ("userdata", c_void_p),
    ]


class Usage(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("start_us", c_uint64),
        ("key", c_char_p),
        ("function", c_char_p),
        ("calls", c_uint64),
        ("vcpu_us", c_uint64),
        ("memory_mb_us", c_uint64),
        ("disk_mb_us", c_uint64),
        ("gpu_us", c_uint64),
        ("egress_bytes", c_uint64),
        ("ingress_bytes", c_uint64),
        ("snapshot_kb_s", c_uint64),
        ("lost", c_uint64),
        ("cost_nano", c_uint64),
        ("mcu_micro", c_uint64),
        ("mode", c_uint32),
        ("reserved", c_uint32),
    ]


class UsageBillOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("time_us", c_uint64),
        ("key", c_char_p),
    ]


class UsageEstimateOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("function", c_char_p),
        ("calls", c_uint64),
        ("duration_us", c_uint64),
        ("egress_bytes", c_uint64),
        ("ingress_bytes", c_uint64),
        ("gpu_us", c_uint64),
        ("disk_mb", c_uint64),
        ("snapshot_kb", c_uint64),
        ("snapshot_life_s", c_uint64),
        ("memory_mb", c_uint32),
        ("vcpus", c_uint32),
        ("mode", c_uint32),
        ("reserved", c_uint32),
    ]


class UsageListOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("since_us", c_uint64),
        ("until_us", c_uint64),
        ("key", c_char_p),
        ("function", c_char_p),
        ("after", c_void_p),
        ("by", c_uint32),
        ("period", c_uint32),
        ("limit", c_uint32),
        ("reserved", c_uint32),
    ]


class VmCommandOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("argv", POINTER(c_char_p)),
        ("argc", c_size_t),
        ("env", POINTER(c_char_p)),
        ("env_count", c_size_t),
        ("stdin_data", c_void_p),
        ("stdin_len", c_size_t),
        ("directory", c_char_p),
        ("timeout_ms", c_uint32),
        ("reserved", c_uint32),
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
        ("interrupt", c_void_p),
        ("flags", c_uint32),
        ("stdin_fd", c_int),
    ]


class VmInitOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("runtime", c_char_p),
        ("handler", c_char_p),
        ("env", POINTER(c_char_p)),
        ("env_count", c_size_t),
        ("timeout_ms", c_uint32),
        ("concurrency", c_uint32),
        ("interrupt", c_void_p),
        ("userdata", c_void_p),
        ("preopens", POINTER(c_char_p)),
        ("preopens_count", c_size_t),
    ]


class VmInvokeOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("timeout_ms", c_uint32),
        ("reserved", c_uint32),
        ("request_id", c_char_p),
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
        ("interrupt", c_void_p),
    ]


class VmOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("engine", c_char_p),
        ("rootfs", c_char_p),
        ("code_disk", c_char_p),
        ("memory_mb", c_uint32),
        ("vcpus", c_uint32),
        ("boot_timeout_ms", c_uint32),
        ("flags", c_uint32),
        ("disk_iops", c_uint64),
        ("disk_bandwidth", c_uint64),
        ("network", c_char_p),
        ("net_rx_bandwidth", c_uint64),
        ("net_tx_bandwidth", c_uint64),
        ("interrupt", c_void_p),
        ("userdata", c_void_p),
    ]


class WaitOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("interrupt", c_void_p),
        ("userdata", c_void_p),
    ]


class FunctionUpdateOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("change", POINTER(FunctionOpts)),
        ("reset", POINTER(c_char_p)),
        ("reset_count", c_size_t),
    ]


class PoolWant(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("vm", POINTER(VmOpts)),
        ("init", POINTER(VmInitOpts)),
        ("concurrency", c_uint32),
        ("flags", c_uint32),
        ("queue_timeout_ms", c_uint32),
        ("reserved", c_uint32),
        ("interrupt", c_void_p),
    ]


FUNCTIONS = {
    "nova_export": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_import": (c_int, [c_void_p, c_char_p, c_uint32, POINTER(c_void_p)]),
    "nova_version": (c_char_p, []),
    "nova_error_code": (c_int, [c_void_p]),
    "nova_error_message": (c_char_p, [c_void_p]),
    "nova_error_os": (c_int, [c_void_p]),
    "nova_error_outcome": (c_int, [c_void_p]),
    "nova_error_limit": (c_int, [c_void_p]),
    "nova_error_retry_ms": (c_uint64, [c_void_p]),
    "nova_error_free": (None, [c_void_p]),
    "nova_code_name": (c_char_p, [c_int]),
    "nova_free": (None, [c_void_p]),
    "nova_log_filter_level": (c_int, [c_char_p, c_char_p, c_int]),
    "nova_queue_new": (c_int, [c_void_p, POINTER(QueueOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_free": (None, [c_void_p]),
    "nova_queue_fd": (c_int, [c_void_p]),
    "nova_queue_submit": (c_int, [
        c_void_p, c_char_p, c_char_p, POINTER(InvokeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_run": (c_int, [
        c_void_p, c_char_p, c_char_p, POINTER(RunOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_start": (c_int, [
        c_void_p, POINTER(VmOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_restore": (c_int, [
        c_void_p, c_void_p, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_init": (c_int, [
        c_void_p, c_void_p, POINTER(VmInitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_invoke": (c_int, [
        c_void_p, c_void_p, c_char_p, POINTER(VmInvokeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_command": (c_int, [
        c_void_p, c_void_p, POINTER(VmCommandOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_fork": (c_int, [
        c_void_p, c_void_p, c_size_t, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_vm_snapshot": (c_int, [
        c_void_p, c_void_p, POINTER(SnapshotOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_submit_instance_start": (c_int, [
        c_void_p, POINTER(InstanceOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_collect": (c_int, [
        c_void_p, c_uint32, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_queue_count": (c_uint64, [c_void_p, c_int]),
    "nova_call_cancel": (c_int, [c_void_p]),
    "nova_call_is_finished": (c_int, [c_void_p]),
    "nova_call_code": (c_int, [c_void_p]),
    "nova_call_take_result": (c_void_p, [c_void_p]),
    "nova_call_take_vm": (c_void_p, [c_void_p]),
    "nova_call_take_snapshot": (c_void_p, [c_void_p]),
    "nova_call_take_instance": (c_void_p, [c_void_p]),
    "nova_call_take_error": (c_void_p, [c_void_p]),
    "nova_call_userdata": (c_void_p, [c_void_p]),
    "nova_call_request_id": (c_char_p, [c_void_p]),
    "nova_call_free": (None, [c_void_p]),
    "nova_config_new": (c_int, [POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_config_free": (None, [c_void_p]),
    "nova_config_load": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_config_load_env": (c_int, [c_void_p, POINTER(c_void_p)]),
    "nova_config_ignore_environment": (c_int, [c_void_p, POINTER(c_void_p)]),
    "nova_config_set": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_config_get": (c_char_p, [c_void_p, c_char_p]),
    "nova_config_source": (c_int, [c_void_p, c_char_p]),
    "nova_config_keys": (POINTER(c_char_p), []),
    "nova_config_describe": (c_char_p, [c_char_p]),
    "nova_config_variable": (c_char_p, [c_char_p]),
    "nova_disk_build": (c_int, [c_char_p, POINTER(DiskOpts), POINTER(c_void_p)]),
    "nova_disk_extract": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_open": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_close": (None, [c_void_p]),
    "nova_host_get": (c_void_p, [c_void_p]),
    "nova_pool_get": (c_void_p, [c_void_p]),
    "nova_function_register": (c_int, [
        c_void_p, POINTER(FunctionOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_function_update": (c_int, [
        c_void_p, c_char_p, POINTER(FunctionUpdateOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_function_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_function_list": (c_int, [
        c_void_p, POINTER(FunctionListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_function_delete": (c_int, [c_void_p, c_char_p, c_uint32, POINTER(c_void_p)]),
    "nova_function_delete_with": (c_int, [
        c_void_p, c_char_p, POINTER(FunctionDeleteOpts), POINTER(c_void_p)]),
    "nova_function_check": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_function_free": (None, [c_void_p]),
    "nova_function_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_function_id": (c_char_p, [c_void_p]),
    "nova_function_name": (c_char_p, [c_void_p]),
    "nova_function_code_path": (c_char_p, [c_void_p]),
    "nova_function_code_hash": (c_char_p, [c_void_p]),
    "nova_function_version": (c_uint32, [c_void_p]),
    "nova_function_created_us": (c_uint64, [c_void_p]),
    "nova_function_updated_us": (c_uint64, [c_void_p]),
    "nova_function_number": (c_uint64, [c_void_p, c_char_p]),
    "nova_function_text": (c_char_p, [c_void_p, c_char_p, c_size_t]),
    "nova_function_to_json": (c_void_p, [c_void_p]),
    "nova_template_build": (c_int, [c_void_p, c_char_p, POINTER(TemplateOpts), POINTER(c_void_p)]),
    "nova_template_prepare": (c_int, [
        c_void_p, c_char_p, POINTER(TemplateOpts), POINTER(c_int), POINTER(c_void_p)]),
    "nova_invoke": (c_int, [
        c_void_p, c_char_p, c_char_p, POINTER(InvokeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_host_new": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_host_ref": (c_void_p, [c_void_p]),
    "nova_host_unref": (None, [c_void_p]),
    "nova_host_set_log": (None, [c_void_p, LOG_FN, c_void_p, c_int]),
    "nova_host_home": (c_char_p, [c_void_p]),
    "nova_host_images": (c_char_p, [c_void_p]),
    "nova_host_capacity": (c_int, [c_void_p, c_void_p, c_size_t]),
    "nova_host_setting": (c_char_p, [c_void_p, c_char_p]),
    "nova_engine_probe": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_probe_free": (None, [c_void_p]),
    "nova_probe_count": (c_size_t, [c_void_p]),
    "nova_probe_engine": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_usable": (c_int, [c_void_p, c_size_t]),
    "nova_probe_reason": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_advice": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_version": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_binary": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_accelerator": (c_char_p, [c_void_p, c_size_t]),
    "nova_probe_features": (c_uint32, [c_void_p, c_size_t]),
    "nova_probe_choice": (c_int, [c_void_p]),
    "nova_probe_choice_reason": (c_char_p, [c_void_p]),
    "nova_probe_unlimited": (c_char_p, [c_void_p]),
    "nova_probe_not_hot": (c_char_p, [c_void_p]),
    "nova_probe_kvm": (c_char_p, [c_void_p]),
    "nova_image_extract_kernel": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_image_check": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_instance_start": (c_int, [
        c_void_p, POINTER(InstanceOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_instance_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_instance_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_instance_free": (None, [c_void_p]),
    "nova_instance_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_instance_id": (c_char_p, [c_void_p]),
    "nova_instance_name": (c_char_p, [c_void_p]),
    "nova_instance_function": (c_char_p, [c_void_p]),
    "nova_instance_version": (c_uint32, [c_void_p]),
    "nova_instance_created_us": (c_uint64, [c_void_p]),
    "nova_instance_state": (c_int, [c_void_p]),
    "nova_instance_to_json": (c_void_p, [c_void_p]),
    "nova_instance_vm": (c_void_p, [c_void_p]),
    "nova_instance_stop": (c_int, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "nova_interrupt_new": (c_int, [POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_interrupt_trigger": (None, [c_void_p]),
    "nova_interrupt_free": (None, [c_void_p]),
    "nova_invocation_list": (c_int, [
        c_void_p, POINTER(InvocationListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_invocation_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_invocation_summarize": (c_int, [
        c_void_p, POINTER(InvocationSummaryOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_invocation_summaries_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_job_submit": (c_int, [
        c_void_p, c_char_p, c_char_p, POINTER(JobOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_job_perform": (c_int, [
        c_void_p, c_uint32, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_job_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_job_list": (c_int, [
        c_void_p, POINTER(JobListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t), c_void_p,
        POINTER(c_void_p)]),
    "nova_job_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_job_id": (c_char_p, [c_void_p]),
    "nova_job_owner": (c_char_p, [c_void_p]),
    "nova_job_state": (c_int, [c_void_p]),
    "nova_job_output": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "nova_job_error": (c_char_p, [c_void_p]),
    "nova_job_to_json": (c_void_p, [c_void_p]),
    "nova_job_free": (None, [c_void_p]),
    "nova_key_create": (c_int, [c_void_p, POINTER(KeyOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_key_check": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_key_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_key_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_key_revoke": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_key_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_key_free": (None, [POINTER(Key)]),
    "nova_key_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_kv_put": (c_int, [c_void_p, c_char_p, POINTER(KvPutOpts), c_void_p, POINTER(c_void_p)]),
    "nova_kv_get": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_kv_delete": (c_int, [c_void_p, c_char_p, c_char_p, c_uint64, POINTER(c_void_p)]),
    "nova_kv_list": (c_int, [
        c_void_p, c_char_p, POINTER(KvListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_kv_entry_free": (None, [POINTER(KvEntry)]),
    "nova_kv_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_file_put": (c_int, [c_void_p, c_char_p, POINTER(FilePutOpts), POINTER(c_void_p)]),
    "nova_file_get": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_file_delete": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_file_list": (c_int, [
        c_void_p, c_char_p, POINTER(KvListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_file_free": (None, [POINTER(File)]),
    "nova_file_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_module_name": (c_char_p, [c_size_t]),
    "nova_module_purpose": (c_char_p, [c_size_t]),
    "nova_module_load": (c_int, [c_size_t, POINTER(c_char_p), POINTER(c_void_p)]),
    "nova_pool_new": (c_int, [c_void_p, POINTER(PoolOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_pool_free": (None, [c_void_p]),
    "nova_pool_acquire": (c_int, [
        c_void_p, POINTER(PoolWant), POINTER(c_void_p), POINTER(c_int), POINTER(c_void_p)]),
    "nova_pool_release": (None, [c_void_p, c_void_p, c_int]),
    "nova_pool_forget": (None, [c_void_p, c_char_p]),
    "nova_pool_keep": (c_int, [c_void_p, POINTER(PoolWant), c_uint32, POINTER(c_void_p)]),
    "nova_pool_tick": (c_int64, [c_void_p]),
    "nova_pool_fd": (c_int, [c_void_p]),
    "nova_pool_drain": (c_int, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "nova_pool_stats": (c_int, [c_void_p, c_void_p, c_size_t]),
    "nova_pool_percentile_us": (c_uint64, [c_void_p, c_int, c_double]),
    "nova_pool_histogram": (c_int, [c_void_p, c_int, c_void_p, c_void_p, c_size_t]),
    "nova_property_get": (POINTER(Property), [c_size_t]),
    "nova_frame_encode": (c_int, [
        c_int, c_char_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_decoder_new": (c_int, [c_size_t, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_decoder_free": (None, [c_void_p]),
    "nova_decoder_feed": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_void_p)]),
    "nova_decoder_next": (c_int, [
        c_void_p, POINTER(c_int), POINTER(c_char_p), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_rate_take": (c_int, [c_void_p, POINTER(RateOpts), c_void_p, POINTER(c_void_p)]),
    "nova_result_free": (None, [c_void_p]),
    "nova_result_output": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "nova_result_stdout": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "nova_result_stderr": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "nova_result_truncated": (c_int, [c_void_p]),
    "nova_result_failure": (c_char_p, [c_void_p]),
    "nova_result_exit_code": (c_int, [c_void_p]),
    "nova_result_request_id": (c_char_p, [c_void_p]),
    "nova_result_cold_start": (c_int, [c_void_p]),
    "nova_result_vm_id": (c_char_p, [c_void_p]),
    "nova_result_snapshot": (c_char_p, [c_void_p]),
    "nova_result_instance": (c_char_p, [c_void_p]),
    "nova_result_version": (c_uint32, [c_void_p]),
    "nova_result_path": (c_char_p, [c_void_p]),
    "nova_result_path_why": (c_char_p, [c_void_p]),
    "nova_result_timing_us": (c_uint64, [c_void_p, c_int]),
    "nova_result_to_json": (c_void_p, [c_void_p]),
    "nova_run": (c_int, [
        c_void_p, c_char_p, c_char_p, POINTER(RunOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_runtime_register": (c_int, [
        c_void_p, POINTER(RuntimeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_runtime_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_runtime_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_runtime_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_runtime_check": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_runtime_free": (None, [POINTER(Runtime)]),
    "nova_runtime_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_secret_set": (c_int, [c_void_p, c_char_p, c_void_p, c_size_t, POINTER(c_void_p)]),
    "nova_secret_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_secret_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_secret_rotate": (c_int, [c_void_p, POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_secret_key_create": (c_int, [c_char_p, POINTER(c_void_p)]),
    "nova_secret_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_vm_fork": (c_int, [
        c_void_p, c_size_t, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_merge": (c_int, [
        c_void_p, POINTER(MergeOpts), POINTER(c_void_p), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_merge_count": (c_size_t, [c_void_p]),
    "nova_merge_conflicts": (c_size_t, [c_void_p]),
    "nova_merge_path": (c_char_p, [c_void_p, c_size_t]),
    "nova_merge_kind": (c_int, [c_void_p, c_size_t]),
    "nova_merge_branch": (c_int, [c_void_p, c_size_t]),
    "nova_merge_free": (None, [c_void_p]),
    "nova_vm_park": (c_int, [c_void_p, c_size_t, c_uint32, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_snapshot": (c_int, [
        c_void_p, POINTER(SnapshotOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_snapshot_open": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_snapshot_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_snapshot_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_snapshot_prune": (c_int, [c_void_p, POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_vm_restore": (c_int, [
        c_void_p, c_void_p, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_template_list": (c_int, [
        c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_template_prune": (c_int, [c_void_p, c_int, POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_template_stats": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_void_p)]),
    "nova_snapshot_free": (None, [c_void_p]),
    "nova_snapshot_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_snapshot_id": (c_char_p, [c_void_p]),
    "nova_snapshot_name": (c_char_p, [c_void_p]),
    "nova_snapshot_path": (c_char_p, [c_void_p]),
    "nova_snapshot_base": (c_char_p, [c_void_p]),
    "nova_snapshot_parent": (c_char_p, [c_void_p]),
    "nova_snapshot_has_function": (c_int, [c_void_p]),
    "nova_snapshot_draws": (c_char_p, [c_void_p]),
    "nova_snapshot_created_us": (c_uint64, [c_void_p]),
    "nova_snapshot_used_us": (c_uint64, [c_void_p]),
    "nova_snapshot_life_time_s": (c_uint64, [c_void_p]),
    "nova_snapshot_disk_bytes": (c_uint64, [c_void_p]),
    "nova_usage_list": (c_int, [
        c_void_p, POINTER(UsageListOpts), POINTER(POINTER(c_void_p)), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_usage_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_usage_to_json": (c_void_p, [c_void_p]),
    "nova_usage_bill": (c_int, [
        c_void_p, POINTER(UsageBillOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_usage_estimate": (c_int, [
        c_void_p, POINTER(UsageEstimateOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_bill_to_json": (c_void_p, [c_void_p]),
    "nova_bill_free": (None, [c_void_p]),
    "nova_function_publish": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_function_list_versions": (c_int, [
        c_void_p, c_char_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_alias_set": (c_int, [c_void_p, POINTER(AliasOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_alias_get": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_alias_list": (c_int, [
        c_void_p, c_char_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_alias_delete": (c_int, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_alias_free": (None, [POINTER(Alias)]),
    "nova_alias_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_vm_start": (c_int, [c_void_p, POINTER(VmOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_free": (None, [c_void_p]),
    "nova_vm_id": (c_char_p, [c_void_p]),
    "nova_vm_engine": (c_char_p, [c_void_p]),
    "nova_vm_path": (c_char_p, [c_void_p]),
    "nova_vm_path_why": (c_char_p, [c_void_p]),
    "nova_vm_state": (c_int, [c_void_p]),
    "nova_vm_pid": (c_int64, [c_void_p]),
    "nova_vm_init": (c_int, [c_void_p, POINTER(VmInitOpts), POINTER(c_void_p)]),
    "nova_vm_invoke": (c_int, [
        c_void_p, c_char_p, POINTER(VmInvokeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_cancel": (None, [c_void_p, c_char_p]),
    "nova_vm_command": (c_int, [
        c_void_p, POINTER(VmCommandOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_list_files": (c_int, [
        c_void_p, c_char_p, c_uint32, POINTER(WaitOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_files_count": (c_size_t, [c_void_p]),
    "nova_files_path": (c_char_p, [c_void_p, c_size_t]),
    "nova_files_kind": (c_int, [c_void_p, c_size_t]),
    "nova_files_size": (c_uint64, [c_void_p, c_size_t]),
    "nova_files_mode": (c_uint32, [c_void_p, c_size_t]),
    "nova_files_mtime_us": (c_uint64, [c_void_p, c_size_t]),
    "nova_files_digest": (c_uint64, [c_void_p, c_size_t]),
    "nova_files_target": (c_char_p, [c_void_p, c_size_t]),
    "nova_files_free": (None, [c_void_p]),
    "nova_vm_read_file": (c_int, [
        c_void_p, c_char_p, POINTER(FileReadOpts), POINTER(c_void_p), POINTER(c_size_t),
        POINTER(c_void_p)]),
    "nova_vm_write_file": (c_int, [
        c_void_p, c_char_p, c_void_p, c_size_t, POINTER(FileWriteOpts), POINTER(c_void_p)]),
    "nova_vm_remove_file": (c_int, [c_void_p, c_char_p, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_ping": (c_int, [c_void_p, c_uint32, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_pause": (c_int, [c_void_p, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_resume": (c_int, [c_void_p, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_stop": (c_int, [c_void_p, c_uint32, POINTER(WaitOpts), POINTER(c_void_p)]),
    "nova_vm_kill": (None, [c_void_p]),
    "nova_vm_console": (c_void_p, [c_void_p]),
    "nova_vm_stats": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_void_p)]),
}

CODES = {
    -1: "NOVA_EINVAL",
    -2: "NOVA_ENOMEM",
    -3: "NOVA_ENOTFOUND",
    -4: "NOVA_EEXIST",
    -5: "NOVA_EBUSY",
    -6: "NOVA_ENOTSUP",
    -7: "NOVA_EIO",
    -8: "NOVA_EPERM",
    -9: "NOVA_ENOSPC",
    -10: "NOVA_ETOOBIG",
    -11: "NOVA_ECORRUPT",
    -12: "NOVA_EABI",
    -13: "NOVA_ECONFIG",
    -14: "NOVA_EENGINE",
    -15: "NOVA_EAGENT",
    -16: "NOVA_ELIMIT",
    -17: "NOVA_ECANCELED",
    -18: "NOVA_EFUNCTION",
    -19: "NOVA_ETIMEDOUT",
    -20: "NOVA_ELOST",
    -21: "NOVA_ESTALE",
}

CONSTANTS = {
    "NOVA_IMPORT_MERGE": 1,
    "NOVA_OK": 0,
    "NOVA_OUTCOME_NEVER_RAN": 0,
    "NOVA_OUTCOME_RAN": 1,
    "NOVA_OUTCOME_UNKNOWN": 2,
    "NOVA_LIMIT_HOST": 0,
    "NOVA_LIMIT_PLAN": 1,
    "NOVA_LIMIT_RATE": 2,
    "NOVA_LOG_NONE": 0,
    "NOVA_LOG_ERROR": 1,
    "NOVA_LOG_WARN": 2,
    "NOVA_LOG_INFO": 3,
    "NOVA_LOG_DEBUG": 4,
    "NOVA_QUEUE_WAITING": 0,
    "NOVA_QUEUE_UNDER_WAY": 1,
    "NOVA_QUEUE_FINISHED": 2,
    "NOVA_QUEUE_THREADS": 3,
    "NOVA_CONFIG_DEFAULT": 0,
    "NOVA_CONFIG_FILE": 1,
    "NOVA_CONFIG_ENV": 2,
    "NOVA_CONFIG_SET": 3,
    "NOVA_FEATURE_ISOLATES": 1,
    "NOVA_FEATURE_HARDWARE": 2,
    "NOVA_FEATURE_PAUSE": 4,
    "NOVA_FEATURE_SNAPSHOT": 8,
    "NOVA_FEATURE_FORK": 16,
    "NOVA_FEATURE_NETWORK": 32,
    "NOVA_FEATURE_DISK_LIMITS": 64,
    "NOVA_FEATURE_NET_LIMITS": 128,
    "NOVA_FEATURE_GUEST": 256,
    "NOVA_FEATURE_LATE_CODE": 512,
    "NOVA_CHECK_AUTO": 0,
    "NOVA_CHECK_ALWAYS": 1,
    "NOVA_CHECK_NEVER": 2,
    "NOVA_INVOKE_FRESH": 1,
    "NOVA_INVOKE_CHECKPOINT": 2,
    "NOVA_INVOKE_PROGRAM": 4,
    "NOVA_CAPACITY_MEMORY": 0,
    "NOVA_CAPACITY_PROCESSES": 1,
    "NOVA_CAPACITY_DESCRIPTORS": 2,
    "NOVA_CAPACITY_PROCESSORS": 3,
    "NOVA_INVOCATION_NEWEST": 0,
    "NOVA_INVOCATION_OLDEST": 1,
    "NOVA_JOB_WAITING": 0,
    "NOVA_JOB_RUNNING": 1,
    "NOVA_JOB_DONE": 2,
    "NOVA_JOB_DEAD": 3,
    "NOVA_KV_NEW": 1,
    "NOVA_POOL_THREAD": 1,
    "NOVA_POOL_FRESH": 1,
    "NOVA_POOL_IDLE": 0,
    "NOVA_POOL_BUSY": 1,
    "NOVA_POOL_STARTING": 2,
    "NOVA_POOL_HITS": 3,
    "NOVA_POOL_MISSES": 4,
    "NOVA_POOL_EXPIRED": 5,
    "NOVA_POOL_DISCARDED": 6,
    "NOVA_POOL_PAUSED": 7,
    "NOVA_POOL_STANDBY": 8,
    "NOVA_POOL_WAITING": 9,
    "NOVA_POOL_MEMORY_MB": 10,
    "NOVA_POOL_RESUMED": 11,
    "NOVA_POOL_SHARED": 12,
    "NOVA_POOL_BOOTS": 13,
    "NOVA_POOL_TEMPLATE_STARTS": 14,
    "NOVA_POOL_STANDBY_STARTS": 15,
    "NOVA_POOL_START_FAILURES": 16,
    "NOVA_POOL_WAITS": 17,
    "NOVA_POOL_TIMEOUTS": 18,
    "NOVA_POOL_QUEUE_FULL": 19,
    "NOVA_POOL_TOO_LARGE": 20,
    "NOVA_POOL_CANCELED": 21,
    "NOVA_POOL_EVICTED": 22,
    "NOVA_POOL_MOST_VMS": 23,
    "NOVA_POOL_HELD_BACK": 24,
    "NOVA_POOL_ZYGOTES": 25,
    "NOVA_POOL_HOT_STARTS": 26,
    "NOVA_POOL_HOT_FALLBACKS": 27,
    "NOVA_POOL_PARKED": 28,
    "NOVA_POOL_LATENCY_WARM": 0,
    "NOVA_POOL_LATENCY_RESUMED": 1,
    "NOVA_POOL_LATENCY_COLD": 2,
    "NOVA_POOL_LATENCY_WAIT": 3,
    "NOVA_PROPERTY_U32": 1,
    "NOVA_PROPERTY_U64": 2,
    "NOVA_PROPERTY_TEXT": 3,
    "NOVA_PROPERTY_CHOICE": 4,
    "NOVA_PROPERTY_LIST": 5,
    "NOVA_UNIT_NONE": 0,
    "NOVA_UNIT_MB": 1,
    "NOVA_UNIT_SECONDS": 2,
    "NOVA_UNIT_OPERATIONS": 3,
    "NOVA_UNIT_BYTES": 4,
    "NOVA_UNIT_CALLS": 5,
    "NOVA_UNIT_MILLISECONDS": 6,
    "NOVA_MSG_INIT": 1,
    "NOVA_MSG_EXEC": 2,
    "NOVA_MSG_RESP": 3,
    "NOVA_MSG_PING": 4,
    "NOVA_MSG_STOP": 5,
    "NOVA_MSG_READY": 64,
    "NOVA_MSG_STREAM": 65,
    "NOVA_MSG_RESUME": 66,
    "NOVA_MSG_COMMAND": 67,
    "NOVA_MSG_FILE_READ": 68,
    "NOVA_MSG_FILE_WRITE": 69,
    "NOVA_MSG_FILE_LIST": 70,
    "NOVA_MSG_FREEZE": 74,
    "NOVA_MSG_OUTPUT": 73,
    "NOVA_MSG_CANCEL": 75,
    "NOVA_MSG_INPUT": 76,
    "NOVA_MSG_CREDIT": 77,
    "NOVA_MSG_REHEARSE": 78,
    "NOVA_MSG_SECRETS": 79,
    "NOVA_MSG_KV": 80,
    "NOVA_MSG_KV_REPLY": 81,
    "NOVA_TIMING_TOTAL": 0,
    "NOVA_TIMING_LOOKUP": 1,
    "NOVA_TIMING_QUEUE": 2,
    "NOVA_TIMING_START": 3,
    "NOVA_TIMING_BOOT": 4,
    "NOVA_TIMING_INIT": 5,
    "NOVA_TIMING_EXEC": 6,
    "NOVA_TIMING_GUEST": 7,
    "NOVA_MERGE_REFUSE": 0,
    "NOVA_MERGE_LATEST": 1,
    "NOVA_MERGE_FIRST": 2,
    "NOVA_MERGE_INTERSECTION": 3,
    "NOVA_MERGE_ADDED": 1,
    "NOVA_MERGE_CHANGED": 2,
    "NOVA_MERGE_DELETED": 3,
    "NOVA_MERGE_CONFLICT": 4,
    "NOVA_COMPRESS_DEFAULT": 0,
    "NOVA_COMPRESS_ON": 1,
    "NOVA_COMPRESS_OFF": 2,
    "NOVA_TEMPLATE_COUNT": 0,
    "NOVA_TEMPLATE_BASES": 1,
    "NOVA_TEMPLATE_BYTES": 2,
    "NOVA_TEMPLATE_LIMIT_BYTES": 3,
    "NOVA_USAGE_STORAGE": 0,
    "NOVA_USAGE_EPHEMERAL": 1,
    "NOVA_USAGE_CACHED": 2,
    "NOVA_USAGE_CHECKPOINTED": 3,
    "NOVA_USAGE_BRANCHED": 4,
    "NOVA_USAGE_PERSISTENT": 5,
    "NOVA_USAGE_MODES": 6,
    "NOVA_USAGE_BY_KEY": 1,
    "NOVA_USAGE_BY_FUNCTION": 2,
    "NOVA_USAGE_EVER": 0,
    "NOVA_USAGE_BY_HOUR": 1,
    "NOVA_USAGE_BY_DAY": 2,
    "NOVA_USAGE_BY_MONTH": 3,
    "NOVA_VM_RUNNING": 1,
    "NOVA_VM_PAUSED": 2,
    "NOVA_VM_DEAD": 3,
    "NOVA_COMMAND_STREAMED": 1,
    "NOVA_FILE_REGULAR": 1,
    "NOVA_FILE_DIRECTORY": 2,
    "NOVA_FILE_LINK": 3,
    "NOVA_FILE_OTHER": 4,
    "NOVA_VM_STAT_PSS": 0,
    "NOVA_VM_STAT_PRIVATE": 1,
    "NOVA_VM_STAT_SHARED": 2,
    "NOVA_VM_STAT_RSS": 3,
    "NOVA_VM_STAT_CPU_US": 4,
    "NOVA_VM_STAT_START_US": 5,
    "NOVA_VM_STAT_BOOT_US": 6,
    "NOVA_VM_STAT_INIT_US": 7,
    "NOVA_VM_STAT_STOOD_STILL_US": 8,
    "NOVA_VM_STAT_MERGED": 9,
}
