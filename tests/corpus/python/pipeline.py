# SPDX-License-Identifier: MIT
"""Programs in a pipe, one of them bash, and their exit statuses."""
import subprocess


def handler(event):
    script = 'words=("$@"); for w in "${words[@]^^}"; do echo "$w"; done; exit "$STATUS"'
    first = subprocess.Popen(["bash", "-c", script, "bash", *event["words"]],
                             stdout=subprocess.PIPE, env={"STATUS": str(event["status"]),
                                                          "PATH": "/usr/bin:/bin"})
    second = subprocess.run(["sort", "-u"], stdin=first.stdout, capture_output=True, text=True,
                            check=True)
    first.stdout.close()
    return {"lines": second.stdout.split(), "status": first.wait()}
