# SPDX-License-Identifier: MIT
"""What the hygiene tests let pass, each with its reason. The shorter, the better."""

# Writable data of the library: symbol -> reason.
WRITABLE_DATA = {}

# Functions that the library imports although it must not print or end the process: symbol -> reason.
IMPORTS = {
    "__assert_fail": "an assertion that fails is a fault of ours, and going on would do harm",
}

# Functions of more than MAX_FUNCTION lines: "file:function" -> reason.
LONG_FUNCTIONS = {}

# Files of more than MAX_FILE lines: path -> reason.
LONG_FILES = {}

# Files outside lib/base, lib/keeper and agent that may read errno: path -> reason.
ERRNO = {
    "tools/novactl/socket.c": "the daemon's socket and lock are the tool's own: the library has nothing of that kind",
}
