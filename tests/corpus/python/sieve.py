# SPDX-License-Identifier: MIT
"""Primes and twins by generators that feed one another."""
from itertools import count, islice, pairwise


def primes():
    known = {}
    for number in count(2):
        factor = known.pop(number, None)
        if factor is None:
            yield number
            known[number * number] = number
        else:
            following = number + factor
            while following in known:
                following += factor
            known[following] = factor


def handler(event):
    first = islice(primes(), event["first"])
    twins = ([a, b] for a, b in pairwise(primes()) if b - a == 2)
    return {"primes": list(first), "twins": list(islice(twins, event["twins"]))}
