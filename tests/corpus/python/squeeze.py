# SPDX-License-Identifier: MIT
"""A text through each compression of the standard library and back."""
import bz2
import gzip
import lzma
import zlib


def handler(event):
    data = event["text"].encode() * event["times"]
    answer = {"crc32": zlib.crc32(data), "adler32": zlib.adler32(data)}
    for module in (bz2, gzip, lzma, zlib):
        packed = module.compress(data)
        answer[module.__name__] = [module.decompress(packed) == data, len(packed) < len(data)]
    return answer
