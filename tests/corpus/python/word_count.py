# SPDX-License-Identifier: MIT
"""Statistics of a text in any script."""
import re
import statistics
import unicodedata
from collections import Counter


def handler(event):
    words = re.findall(r"[^\W\d_]+", event["text"].casefold())
    kinds = Counter(unicodedata.category(letter) for letter in event["text"])
    return {"words": len(words), "common": sorted(Counter(words).items(),
                                                  key=lambda pair: (-pair[1], pair[0]))[:3],
            "mean": round(statistics.fmean(map(len, words)), 3), "categories": kinds}
