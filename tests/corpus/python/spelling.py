# SPDX-License-Identifier: MIT
"""The nearest words of a list, by Levenshtein's distance."""


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def handler(event):
    return sorted([distance(event["word"], known), known] for known in event["words"])[:3]
