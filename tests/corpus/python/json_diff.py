# SPDX-License-Identifier: MIT
"""What turns one JSON document into another, as paths."""


def differences(old, new, path):
    if type(old) is not type(new):
        yield ["replace", path, new]
    elif isinstance(old, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in new:
                yield ["remove", f"{path}/{key}"]
            elif key not in old:
                yield ["add", f"{path}/{key}", new[key]]
            else:
                yield from differences(old[key], new[key], f"{path}/{key}")
    elif isinstance(old, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new)):
            yield from differences(*pair, f"{path}/{index}")
    elif old != new:
        yield ["replace", path, new]


def handler(event):
    return list(differences(event["old"], event["new"], ""))
