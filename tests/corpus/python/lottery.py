# SPDX-License-Identifier: MIT
"""Numbers from a seed on purpose, which are the same wherever they are drawn."""
import random

seeded = random.Random(42)


def handler(event):
    own = random.Random(event["seed"])
    return {"own": own.sample(range(1, 50), 6), "module": [seeded.randrange(100) for _ in range(3)]}
