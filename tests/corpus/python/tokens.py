# SPDX-License-Identifier: MIT
"""Secrets, identifiers and dice: no two calls, in whichever clone, may draw the same."""
import os
import random
import secrets
import ssl
import uuid

dice = random.Random()


def handler(event):
    size = event["size"]
    return {"token": secrets.token_hex(size), "uuid": str(uuid.uuid4()),
            "dice": dice.random(), "shared": random.getrandbits(64), "os": os.urandom(size).hex(),
            "openssl": ssl.RAND_bytes(size).hex(), "size": size}
