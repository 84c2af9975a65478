# SPDX-License-Identifier: MIT
"""Threads that share work and a lock."""
import threading
from concurrent.futures import ThreadPoolExecutor

LOCK = threading.Lock()


def divisors(number, totals):
    found = sum(number % i == 0 for i in range(1, number + 1))
    with LOCK:
        totals[number] = found
    return found


def handler(numbers):
    totals = {}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: divisors(number, totals), numbers))
    return {"divisors": found, "shared": sum(totals.values()), "alive": threading.active_count()}
