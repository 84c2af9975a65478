# SPDX-License-Identifier: MIT
"""What each version of the API accepts: every field, its kind, and the version that brought it."""

FORMATS = [  # snapshot format by version, newest first
    ((1, 17), "11.0.0"), ((1, 16), "10.0.0"), ((1, 15), "9.0.0"), ((1, 13), "8.0.0"),
    ((1, 12), "6.0.0"), ((1, 11), "5.0.0"), ((1, 10, 1), "4.0.0"), ((1, 9), "3.0.0"),
    ((1, 8), "2.0.0"), ((1, 7), "1.0.0"),
]
NONE = (0, 0)
EXPECTED = {"text": "a string", "bool": "a boolean", "object": "a map", "list": "a sequence"}


class Field:
    """`since`: the version that brought it; `deprecated`: the one that told not to use it."""

    def __init__(self, kind, required=False, since=NONE, fields=None, lenient=False,
                 deprecated=None):
        self.kind, self.required, self.since = kind, required, since
        self.fields, self.lenient, self.deprecated = fields, lenient, deprecated


def need(kind, **more):
    return Field(kind, required=True, **more)


BUCKET = {"size": need("u64"), "refill_time": need("u64"), "one_time_burst": Field("u64")}
LIMITER = {"bandwidth": Field("object", fields=BUCKET, lenient=True),
           "ops": Field("object", fields=BUCKET, lenient=True)}


def limiter(**more):
    return Field("object", fields=LIMITER, **more)


class Endpoint:
    """`when`: pre, post or any. `id_field`: the member that must be the last part of the path."""

    def __init__(self, when, fields, since=NONE, id_field=None, lenient=False, optional_body=False):
        self.when, self.fields, self.since = when, fields, since
        self.id_field, self.lenient, self.optional_body = id_field, lenient, optional_body


BACKEND = {"backend_type": need("text"), "backend_path": need("text")}
ENDPOINTS = {
    ("PUT", "/boot-source"): Endpoint("pre", {
        "kernel_image_path": need("text"), "initrd_path": Field("text"),
        "boot_args": Field("text")}),
    ("PUT", "/machine-config"): Endpoint("pre", {
        "vcpu_count": need("u8"), "mem_size_mib": need("u64"), "smt": Field("bool"),
        "cpu_template": Field("text", deprecated=NONE), "track_dirty_pages": Field("bool"),
        "huge_pages": Field("text", since=(1, 7))}),
    ("PATCH", "/machine-config"): Endpoint("pre", {
        "vcpu_count": Field("u8"), "mem_size_mib": Field("u64"), "smt": Field("bool"),
        "cpu_template": Field("text", deprecated=NONE), "track_dirty_pages": Field("bool"),
        "huge_pages": Field("text", since=(1, 7))}),
    ("PUT", "/drives/"): Endpoint("pre", {
        "drive_id": need("text"), "is_root_device": need("bool"), "partuuid": Field("text"),
        "cache_type": Field("text"), "path_on_host": Field("text"), "is_read_only": Field("bool"),
        "rate_limiter": limiter(), "io_engine": Field("text"), "socket": Field("text")},
        id_field="drive_id"),
    ("PATCH", "/drives/"): Endpoint("post", {
        "drive_id": need("text"), "path_on_host": Field("text"), "rate_limiter": limiter()},
        id_field="drive_id"),
    ("PUT", "/network-interfaces/"): Endpoint("pre", {
        "iface_id": need("text"), "host_dev_name": need("text"), "guest_mac": Field("text"),
        "mtu": Field("u64", since=(1, 16)), "rx_rate_limiter": limiter(),
        "tx_rate_limiter": limiter()}, id_field="iface_id"),
    ("PATCH", "/network-interfaces/"): Endpoint("post", {
        "iface_id": need("text"), "rx_rate_limiter": limiter(), "tx_rate_limiter": limiter()},
        id_field="iface_id"),
    ("PUT", "/vsock"): Endpoint("pre", {
        "guest_cid": need("u64"), "uds_path": need("text"),
        "vsock_id": Field("text", deprecated=NONE)}),
    ("PUT", "/entropy"): Endpoint("pre", {"rate_limiter": limiter()}),
    ("PUT", "/serial"): Endpoint("pre", {
        "serial_out_path": Field("text"),
        "rate_limiter": Field("object", fields=BUCKET, since=(1, 16), lenient=True)},
        since=(1, 14)),
    ("PUT", "/logger"): Endpoint("any", {
        "log_path": Field("text"), "level": Field("text"), "show_level": Field("bool"),
        "show_log_origin": Field("bool"), "module": Field("text")}),
    ("PUT", "/metrics"): Endpoint("any", {
        "metrics_path": need("text"), "emit_id": Field("bool", since=(1, 17)),
        "properties": Field("object", since=(1, 17))}, lenient=True),
    ("PUT", "/actions"): Endpoint("any", {"action_type": need("text")}),
    ("PATCH", "/vm"): Endpoint("post", {"state": need("text")}),
    ("PUT", "/snapshot/create"): Endpoint("post", {
        "snapshot_path": need("text"), "mem_file_path": need("text"),
        "snapshot_type": Field("text")}),
    ("PUT", "/snapshot/load"): Endpoint("pre", {
        "snapshot_path": need("text"), "mem_file_path": Field("text", deprecated=NONE),
        "mem_backend": Field("object", fields=BACKEND),
        "enable_diff_snapshots": Field("bool", deprecated=(1, 13)),
        "track_dirty_pages": Field("bool", since=(1, 13)), "resume_vm": Field("bool"),
        "network_overrides": Field("list", since=(1, 12)),
        "vsock_override": Field("object", since=(1, 16), lenient=True,
                                fields={"uds_path": need("text")}),
        "clock_realtime": Field("bool", since=(1, 16)),
        "huge_pages": Field("text", since=(1, 17))}),
}


def sentence_of_unknown(name, fields):
    known = ", ".join(f"`{field}`" for field in fields)
    return f"unknown field `{name}`, expected one of {known} at line 1 column {len(name) + 4}"


def sentence_of_kind(kind, value):
    """As serde puts it."""
    if isinstance(value, int) and kind.startswith("u"):
        return f"invalid value: integer `{value}`, expected {kind} at line 1 column 1"
    kinds = {str: ("string", f' "{value}"'), bool: ("boolean", f" `{str(value).lower()}`"),
             int: ("integer", f" `{value}`"), dict: ("map", ""), list: ("sequence", "")}
    name, shown = kinds.get(type(value), ("null", ""))
    return f"invalid type: {name}{shown}, expected {EXPECTED.get(kind, kind)} at line 1 column 1"


def right_kind(kind, value):
    if kind == "text":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    if kind in ("u8", "u64"):
        most = 255 if kind == "u8" else 2**64 - 1
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
    return isinstance(value, dict if kind == "object" else list)


def check(fields, body, version, lenient=False):
    """The first thing wrong with a body as serde would put it, or None;
    and whether a deprecated field was used."""
    known = {name: field for name, field in fields.items() if version >= field.since}
    deprecated = False
    for name, value in body.items():
        field = known.get(name)
        if field is None:
            if lenient:
                continue
            return sentence_of_unknown(name, known), False
        deprecated |= field.deprecated is not None and version >= field.deprecated
        if value is None and not field.required:
            continue
        if not right_kind(field.kind, value):
            return sentence_of_kind(field.kind, value), False
        if field.fields:
            wrong, _ = check(field.fields, value, version, field.lenient)
            if wrong:
                return wrong, False
    for name, field in known.items():
        if field.required and name not in body:
            return f"missing field `{name}` at line 1 column 1", False
    return None, deprecated


def snapshot_format(version):
    return next(text for since, text in FORMATS if version >= since)
