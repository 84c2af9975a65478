# SPDX-License-Identifier: MIT
"""Digests of a text, a keyed one, and whether a signature is right."""
import hashlib
import hmac


def handler(event):
    data = event["text"].encode()
    made = {name: hashlib.new(name, data).hexdigest()
            for name in ("sha256", "sha3_224", "blake2b", "sha1")}
    made["hmac"] = hmac.new(event["key"].encode(), data, "sha512").hexdigest()
    made["scrypt"] = hashlib.scrypt(data, salt=b"corpus", n=16, r=1, p=1, dklen=16).hex()
    made["right"] = hmac.compare_digest(made["sha256"], event.get("sha256", ""))
    return made
