# SPDX-License-Identifier: MIT
"""Looks a user up over HTTPS and tells login and name. Needs a VM with a network.

The event is {"user": "..."}; the variable USERS_API names the service (by default GitHub's), so
that the function can be tried against a server of one's own.
"""
import json
import os
import sys
import urllib.parse
import urllib.request


def handler(event):
    service = os.environ.get("USERS_API", "https://api.github.com/users/")
    url = service + urllib.parse.quote(event.get("user", "torvalds"), safe="")
    headers = {"Accept": "application/json", "User-Agent": "nova-example"}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        user = json.load(answer)
    return {"login": user["login"], "name": user.get("name")}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as event_file:
        json.dump(handler(json.load(event_file)), sys.stdout)
