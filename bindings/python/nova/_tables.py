# SPDX-License-Identifier: MIT
# Made from the headers by tests/api/headers.py update; do not edit.
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof)

OUTPUT_FN = CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_size_t)
LOG_FN = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
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
    ]


class InvokeOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("timeout_ms", c_uint32),
        ("request_id", c_char_p),
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
    ]


class PoolOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("idle_ttl_ms", c_uint64),
        ("max_vms", c_uint32),
        ("queue_timeout_ms", c_uint32),
    ]


class RegisterOpts(_Options):
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
    ]


class SnapshotOpts(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("life_time_s", c_uint64),
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
        ("on_output", OUTPUT_FN),
        ("userdata", c_void_p),
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
    ]


class PoolWant(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("key", c_char_p),
        ("vm", POINTER(VmOpts)),
        ("init", POINTER(VmInitOpts)),
    ]


FUNCTIONS = {
    "nova_version": (c_char_p, []),
    "nova_error_code": (c_int, [c_void_p]),
    "nova_error_message": (c_char_p, [c_void_p]),
    "nova_error_os": (c_int, [c_void_p]),
    "nova_error_outcome": (c_int, [c_void_p]),
    "nova_error_free": (None, [c_void_p]),
    "nova_code_name": (c_char_p, [c_int]),
    "nova_free": (None, [c_void_p]),
    "nova_config_new": (c_int, [POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_config_free": (None, [c_void_p]),
    "nova_config_load": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_config_load_env": (c_int, [c_void_p, POINTER(c_void_p)]),
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
    "nova_get_host": (c_void_p, [c_void_p]),
    "nova_get_pool": (c_void_p, [c_void_p]),
    "nova_register": (c_int, [c_void_p, POINTER(RegisterOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_get": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_list": (c_int, [c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_function_free": (None, [c_void_p]),
    "nova_function_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_function_id": (c_char_p, [c_void_p]),
    "nova_function_name": (c_char_p, [c_void_p]),
    "nova_function_runtime": (c_char_p, [c_void_p]),
    "nova_function_handler": (c_char_p, [c_void_p]),
    "nova_function_code_path": (c_char_p, [c_void_p]),
    "nova_function_code_hash": (c_char_p, [c_void_p]),
    "nova_function_memory_mb": (c_uint32, [c_void_p]),
    "nova_function_timeout_s": (c_uint32, [c_void_p]),
    "nova_function_vcpus": (c_uint32, [c_void_p]),
    "nova_function_min_replicas": (c_uint32, [c_void_p]),
    "nova_function_disk_iops": (c_uint64, [c_void_p]),
    "nova_function_disk_bandwidth": (c_uint64, [c_void_p]),
    "nova_function_net_rx_bandwidth": (c_uint64, [c_void_p]),
    "nova_function_net_tx_bandwidth": (c_uint64, [c_void_p]),
    "nova_function_version": (c_uint32, [c_void_p]),
    "nova_function_created_us": (c_uint64, [c_void_p]),
    "nova_function_updated_us": (c_uint64, [c_void_p]),
    "nova_function_env_count": (c_size_t, [c_void_p]),
    "nova_function_env": (c_char_p, [c_void_p, c_size_t]),
    "nova_function_to_json": (c_void_p, [c_void_p]),
    "nova_template_build": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_invoke": (c_int, [c_void_p, c_char_p, c_void_p, c_size_t, POINTER(InvokeOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_host_new": (c_int, [c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_host_ref": (c_void_p, [c_void_p]),
    "nova_host_unref": (None, [c_void_p]),
    "nova_host_set_log": (None, [c_void_p, LOG_FN, c_void_p, c_int]),
    "nova_host_home": (c_char_p, [c_void_p]),
    "nova_host_images": (c_char_p, [c_void_p]),
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
    "nova_probe_kvm": (c_char_p, [c_void_p]),
    "nova_image_extract_kernel": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_image_check": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "nova_pool_new": (c_int, [c_void_p, POINTER(PoolOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_pool_free": (None, [c_void_p]),
    "nova_pool_acquire": (c_int, [c_void_p, POINTER(PoolWant), POINTER(c_void_p), POINTER(c_int), POINTER(c_void_p)]),
    "nova_pool_release": (None, [c_void_p, c_void_p, c_int]),
    "nova_pool_forget": (None, [c_void_p, c_char_p]),
    "nova_pool_tick": (c_int64, [c_void_p]),
    "nova_pool_count": (c_uint64, [c_void_p, c_int]),
    "nova_frame_encode": (c_int, [c_int, c_char_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_decoder_new": (c_int, [c_size_t, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_decoder_free": (None, [c_void_p]),
    "nova_decoder_feed": (c_int, [c_void_p, c_void_p, c_size_t, POINTER(c_void_p)]),
    "nova_decoder_next": (c_int, [c_void_p, POINTER(c_int), POINTER(c_char_p), POINTER(c_size_t), POINTER(c_void_p)]),
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
    "nova_result_timing_us": (c_uint64, [c_void_p, c_int]),
    "nova_result_duration_ms": (c_uint64, [c_void_p]),
    "nova_result_to_json": (c_void_p, [c_void_p]),
    "nova_vm_fork": (c_int, [c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_park": (c_int, [c_void_p, c_size_t, c_uint32, POINTER(c_void_p)]),
    "nova_vm_stood_still_us": (c_uint64, [c_void_p]),
    "nova_vm_snapshot": (c_int, [c_void_p, POINTER(SnapshotOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_snapshot_open": (c_int, [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_snapshot_list": (c_int, [c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_snapshot_delete": (c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "nova_snapshot_prune": (c_int, [c_void_p, POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_vm_restore": (c_int, [c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_template_list": (c_int, [c_void_p, POINTER(POINTER(c_void_p)), POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_template_prune": (c_int, [c_void_p, c_int, POINTER(c_size_t), POINTER(c_void_p)]),
    "nova_snapshot_free": (None, [c_void_p]),
    "nova_snapshot_list_free": (None, [POINTER(c_void_p), c_size_t]),
    "nova_snapshot_id": (c_char_p, [c_void_p]),
    "nova_snapshot_name": (c_char_p, [c_void_p]),
    "nova_snapshot_path": (c_char_p, [c_void_p]),
    "nova_snapshot_base": (c_char_p, [c_void_p]),
    "nova_snapshot_created_us": (c_uint64, [c_void_p]),
    "nova_snapshot_life_time_s": (c_uint64, [c_void_p]),
    "nova_snapshot_disk_bytes": (c_uint64, [c_void_p]),
    "nova_vm_start": (c_int, [c_void_p, POINTER(VmOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_free": (None, [c_void_p]),
    "nova_vm_id": (c_char_p, [c_void_p]),
    "nova_vm_engine": (c_char_p, [c_void_p]),
    "nova_vm_state": (c_int, [c_void_p]),
    "nova_vm_pid": (c_int64, [c_void_p]),
    "nova_vm_init": (c_int, [c_void_p, POINTER(VmInitOpts), POINTER(c_void_p)]),
    "nova_vm_invoke": (c_int, [c_void_p, c_void_p, c_size_t, c_uint32, c_char_p, OUTPUT_FN, c_void_p, POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_cancel": (None, [c_void_p, c_char_p]),
    "nova_vm_command": (c_int, [c_void_p, POINTER(VmCommandOpts), POINTER(c_void_p), POINTER(c_void_p)]),
    "nova_vm_ping": (c_int, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "nova_vm_pause": (c_int, [c_void_p, POINTER(c_void_p)]),
    "nova_vm_resume": (c_int, [c_void_p, POINTER(c_void_p)]),
    "nova_vm_stop": (c_int, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "nova_vm_kill": (None, [c_void_p]),
    "nova_vm_console": (c_void_p, [c_void_p]),
    "nova_vm_timing_us": (c_uint64, [c_void_p, c_int]),
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
    "NOVA_OK": 0,
    "NOVA_OUTCOME_NEVER_RAN": 0,
    "NOVA_OUTCOME_RAN": 1,
    "NOVA_OUTCOME_UNKNOWN": 2,
    "NOVA_LOG_NONE": 0,
    "NOVA_LOG_ERROR": 1,
    "NOVA_LOG_WARN": 2,
    "NOVA_LOG_INFO": 3,
    "NOVA_LOG_DEBUG": 4,
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
    "NOVA_POOL_IDLE": 0,
    "NOVA_POOL_BUSY": 1,
    "NOVA_POOL_STARTING": 2,
    "NOVA_POOL_HITS": 3,
    "NOVA_POOL_MISSES": 4,
    "NOVA_POOL_EXPIRED": 5,
    "NOVA_POOL_DISCARDED": 6,
    "NOVA_MSG_INIT": 1,
    "NOVA_MSG_EXEC": 2,
    "NOVA_MSG_RESP": 3,
    "NOVA_MSG_PING": 4,
    "NOVA_MSG_STOP": 5,
    "NOVA_MSG_READY": 64,
    "NOVA_MSG_STREAM": 65,
    "NOVA_MSG_RESUME": 66,
    "NOVA_MSG_COMMAND": 67,
    "NOVA_MSG_FREEZE": 74,
    "NOVA_MSG_CANCEL": 75,
    "NOVA_TIMING_TOTAL": 0,
    "NOVA_TIMING_LOOKUP": 1,
    "NOVA_TIMING_QUEUE": 2,
    "NOVA_TIMING_START": 3,
    "NOVA_TIMING_BOOT": 4,
    "NOVA_TIMING_INIT": 5,
    "NOVA_TIMING_EXEC": 6,
    "NOVA_TIMING_GUEST": 7,
    "NOVA_VM_RUNNING": 1,
    "NOVA_VM_PAUSED": 2,
    "NOVA_VM_DEAD": 3,
    "NOVA_VM_STAT_PSS": 0,
    "NOVA_VM_STAT_PRIVATE": 1,
    "NOVA_VM_STAT_SHARED": 2,
    "NOVA_VM_STAT_RSS": 3,
    "NOVA_VM_STAT_CPU_US": 4,
}
