#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the cases of nulls.c: every public call with NULL for each of its pointers that is not
optional. Argument: source root."""
import re
import sys

import headers

# What the headers say may be NULL: by its name wherever it occurs, or in one call.
OPTIONAL = {"wait", "userdata", "fn"}
OPTIONAL_IN = {
    "config": {"nova_host_new", "nova_open"},
    "module": {"nova_log_filter_level"},
    "name": {"nova_image_check"},
    "function": {"nova_invoke", "nova_queue_submit"},
    "opts": {"nova_function_delete_with", "nova_function_list", "nova_invocation_list",
             "nova_invocation_summarize", "nova_job_list", "nova_usage_list", "nova_usage_bill",
             "nova_kv_list", "nova_file_list", "nova_vm_start", "nova_vm_invoke",
             "nova_vm_read_file",
             "nova_vm_write_file", "nova_vm_snapshot", "nova_pool_new", "nova_queue_new",
             "nova_invoke", "nova_job_submit", "nova_run", "nova_queue_submit",
             "nova_queue_submit_run",
             "nova_queue_submit_vm_start", "nova_queue_submit_vm_invoke",
             "nova_queue_submit_vm_snapshot", "nova_template_build", "nova_template_prepare"},
    "path": {"nova_config_load"},
    "payload": {"nova_frame_encode", "nova_invoke", "nova_job_submit", "nova_queue_submit"},
    "ret_call": {"nova_queue_submit", "nova_queue_submit_run", "nova_queue_submit_vm_start",
                 "nova_queue_submit_vm_restore",
                 "nova_queue_submit_vm_init", "nova_queue_submit_vm_invoke",
                 "nova_queue_submit_vm_command", "nova_queue_submit_vm_fork",
                 "nova_queue_submit_vm_snapshot", "nova_queue_submit_instance_start"},
    "ret_cold": {"nova_pool_acquire"},
    "ret_count": {"nova_secret_rotate", "nova_snapshot_prune", "nova_template_prune"},
    "ret_counts": {"nova_pool_histogram"},
    "ret_alias": {"nova_alias_set"},
    "ret_function": {"nova_function_register", "nova_function_update", "nova_function_publish"},
    "ret_instance": {"nova_instance_start"},
    "ret_len": {"nova_job_output",
                "nova_result_output", "nova_result_stdout", "nova_result_stderr"},
    "ret_limits_us": {"nova_pool_histogram"},
    "ret_made": {"nova_template_prepare"},
    "ret_report": {"nova_vm_merge"},
    "ret_runtime": {"nova_runtime_register"},
    "ret_version": {"nova_kv_put"},
    "ret_wait_ms": {"nova_rate_take"},
    "ret_job": {"nova_job_submit"},
    "ret_snapshot": {"nova_vm_snapshot"},
    "value": {"nova_config_set"},
}
# Getters whose nothing is not 0, and not "" for a text that the object owns.
NOTHING = {
    "NULL": {"nova_config_get", "nova_config_describe", "nova_config_variable", "nova_host_setting",
             "nova_probe_engine", "nova_function_text",
             "nova_job_output", "nova_files_path", "nova_merge_path"},
    '"null"': {"nova_result_output"},
    '"none"': {"nova_probe_accelerator"},
    "-1": {"nova_probe_choice", "nova_merge_branch", "nova_pool_tick"},
    "NOVA_VM_DEAD": {"nova_vm_state", "nova_instance_state"},
    "NOVA_EINVAL": {"nova_config_source", "nova_queue_fd", "nova_pool_fd", "nova_pool_stats",
                    "nova_host_capacity", "nova_pool_histogram", "nova_call_cancel",
                    "nova_call_code", "nova_job_state", "nova_log_filter_level"},
}


def is_optional(call, parameter):
    return parameter in OPTIONAL or call in OPTIONAL_IN.get(parameter, ())


def expression(call, name, result, arguments):
    """True if the call refuses NULL for the argument `name`, or gives what stands for nothing."""
    text = f"{call}({', '.join(arguments)})"
    if result == "void":
        return f"({text}, true)"
    if arguments[-1] == "&error":
        silent = f"{call}({', '.join(arguments[:-1])}, NULL)"
        return f'is_refusal({text}, "{call}", "{name}") && {silent} == NOVA_EINVAL'
    default = '""' if result == "const char *" else "NULL" if "*" in result else "0"
    nothing = next((value for value, calls in NOTHING.items() if call in calls), default)
    return f"is_text({text}, {nothing})" if nothing[0] == '"' else f"{text} == {nothing}"


def cases(call, result, parameters):
    names = [re.search(r"\w+$", p).group() for p in parameters]
    has_error = bool(parameters) and parameters[-1].startswith("nova_error_t **")
    for at, name in enumerate(names[:-1] if has_error else names):
        if "*" not in parameters[at] or is_optional(call, name):
            continue
        arguments = ["something" if "*" in p else "1" for p in parameters]
        arguments = ["NULL" if i == at or is_optional(call, n) else arguments[i]
                     for i, n in enumerate(names)]
        if has_error:
            arguments[-1] = "&error"
        yield name, expression(call, name, result, arguments)


def main():
    found, rows = headers.prototypes(sys.argv[1]), []
    stale = {c for calls in [*OPTIONAL_IN.values(), *NOTHING.values()] for c in calls} - set(found)
    assert not stale, f"in tests/api/nulls_cases.py, but no call: {sorted(stale)}"
    for call, (result, parameters) in found.items():
        for name, text in cases(call, result, parameters):
            print(f"static bool null_{call}_{name}(void)\n{{\n\treturn {text};\n}}\n")
            rows.append(f'\t{{ "{call}", "{name}", null_{call}_{name} }},')
    print("static const struct null_case cases[] = {\n" + "\n".join(rows) + "\n};")


if __name__ == "__main__":
    main()
