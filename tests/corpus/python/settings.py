# SPDX-License-Identifier: MIT
"""Settings by the environment, with defaults and what the platform gives."""
import os


def handler(event):
    given = {name: os.environ.get(name, "not set") for name in event["names"]}
    inherited = os.popen("echo $CITY").read().strip()
    return {"given": given, "inherited": inherited, "home": os.path.expanduser("~"),
            "language": os.environ["LANG"], "path": "/usr/bin" in os.environ["PATH"].split(":"),
            "runtime": os.environ["NOVA_RUNTIME"], "request": bool(os.environ["NOVA_REQUEST_ID"])}
