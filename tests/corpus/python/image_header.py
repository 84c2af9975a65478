# SPDX-License-Identifier: MIT
"""Format and size of an image, read from its first bytes."""
import base64
import struct


def png(data):
    return struct.unpack(">II", data[16:24])


def gif(data):
    return struct.unpack("<HH", data[6:10])


def jpeg(data):
    at = 2
    while at < len(data):
        marker, length = struct.unpack(">xBH", data[at:at + 4])
        if marker in (0xC0, 0xC2):
            height, width = struct.unpack(">HH", data[at + 5:at + 9])
            return width, height
        at += 2 + length
    raise ValueError("a JPEG without a frame")


FORMATS = ((b"\x89PNG\r\n\x1a\n", png), (b"GIF8", gif), (b"\xff\xd8", jpeg))


def handler(event):
    data = base64.b64decode(event["base64"], validate=True)
    for magic, read in FORMATS:
        if data.startswith(magic):
            width, height = read(data)
            return {"format": read.__name__, "width": width, "height": height}
    raise ValueError(f"no image: {data[:4]!r}")
