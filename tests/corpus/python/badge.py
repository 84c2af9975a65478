# SPDX-License-Identifier: MIT
"""Uses a package that is installed at registering, as `badges==1.2` of its requirements."""
import importlib.metadata

import badges


def handler(event):
    return {"badge": badges.make(event["label"], event["value"]),
            "version": importlib.metadata.version("badges")}
