# SPDX-License-Identifier: MIT
"""Processes of a pool, started anew (spawn) and forked, and their queue."""
import multiprocessing


def cube(number):
    return number ** 3, multiprocessing.parent_process() is not None


def handler(event):
    with multiprocessing.get_context(event["start"]).Pool(2) as pool:
        found = pool.map(cube, event["numbers"])
    return [number for number, elsewhere in found if elsewhere]
