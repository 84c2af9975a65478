# SPDX-License-Identifier: MIT
"""What the hygiene tests let pass, each with its reason. The shorter, the better."""

# Writable data of the library: symbol -> reason.
WRITABLE_DATA = {
    "loaded": "lib/module/module.c: loaded code belongs to the process; set once, by the first",
    # jansson's own, which is linked in.
    "do_free": "jansson: nobody calls json_set_alloc_funcs()",
    "do_malloc": "jansson: nobody calls json_set_alloc_funcs()",
    "hashtable_seed": "jansson: made once by whoever comes first, with atomics",
    "seed_initialized": "jansson: guards the making of the former",
    "the_false": "jansson: json_false(), whose references are not counted",
    "the_null": "jansson: json_null(), whose references are not counted",
    "the_true": "jansson: json_true(), whose references are not counted",
}

# Functions that the library imports although it must not print or end the process:
# symbol -> reason.
IMPORTS = {
    "__assert_fail": "an assertion that fails is a fault of ours, and going on would do harm",
}

# Libraries that a module needs besides the C library, because they cannot be linked in:
# module -> libraries.
NEEDED = {
    # Debian has no whole archive; its functions are asked for by the library's own handle.
    "nova-postgres.so": ["libpq.so.5"],
}

# Functions of more than MAX_FUNCTION lines: "file:function" -> reason.
LONG_FUNCTIONS = {}

# Files of more than MAX_FILE lines: path -> reason.
LONG_FILES = {}

# Files with lines of more than 100 columns: path -> reason.
LONG_LINES = {}

# Files outside lib/base, lib/keeper and agent that may read errno: path -> reason.
ERRNO = {
    "lib/redis/connect.c": "names are looked up, which the agent cannot, whose base is the same",
    "tools/serve/socket.c": "sockets are the tools' own: the library has nothing of that kind",
    "tools/novad/places.c": "sockets of other families are the gateway's own",
    "tools/serve/place.c": "the lock of a server's directory is the tools' own",
    "tools/novad/shelf.c": "what outlives the gateway are files of its own",
    "tools/novactl/client.c": "whether the daemon of an address lives is the tools' own question",
}

# Circles of files, each as tests/api/arrows.py spells it: room -> circles. A circle that is gone,
# or smaller, must go or become smaller here, too.
CIRCLES = {}

_CODEC = "the protocol of the agent, for those who write a host or an agent of their own"
_OWN_POOL = "pools of one's own, without a store: in Python the platform's is driven and looked at"
_CONTEXT = "Python frees a context once nothing uses it"
_JSON = "a dataclass has the same members as values"
_JOB = "in Python a job is what nova_job_to_json() says"
# Exported calls that only C needs, so that the Python package has none of them: call -> reason.
ONLY_C = {
    "nova_job_error": _JOB,
    "nova_job_id": _JOB,
    "nova_job_output": _JOB,
    "nova_job_state": _JOB,
    "nova_job_owner": _JOB,
    "nova_frame_encode": _CODEC,
    "nova_decoder_new": _CODEC,
    "nova_decoder_feed": _CODEC,
    "nova_decoder_next": _CODEC,
    "nova_decoder_free": _CODEC,
    "nova_pool_new": _OWN_POOL,
    "nova_pool_free": _OWN_POOL,
    "nova_pool_acquire": _OWN_POOL,
    "nova_pool_release": _OWN_POOL,
    "nova_pool_forget": _OWN_POOL,
    "nova_pool_keep": _OWN_POOL,
    "nova_function_delete": "the same is nova_function_delete_with(), which Python has",
    "nova_host_ref": _CONTEXT,
    "nova_function_to_json": _JSON,
    "nova_result_to_json": _JSON,
    "nova_log_filter_level": "the module logging has filters of its own",
    "nova_property_get": "the table is in the package: _properties.py is made from it",
    "nova_call_is_finished": "a Queue collects calls as they finish, so a Call knows",
    "nova_call_code": "a Call has the exception",
}
