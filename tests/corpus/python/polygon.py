# SPDX-License-Identifier: MIT
"""Area, centre and convexity of a polygon."""
from fractions import Fraction


def edges(points):
    return zip(points, points[1:] + points[:1])


def handler(points):
    points = [(Fraction(str(x)), Fraction(str(y))) for x, y in points]
    crosses = [a[0] * b[1] - b[0] * a[1] for a, b in edges(points)]
    twice = sum(crosses)
    if not twice:
        raise ZeroDivisionError("the points lie on a line")
    centre = [sum((a[i] + b[i]) * c for (a, b), c in zip(edges(points), crosses)) / (3 * twice)
              for i in (0, 1)]
    turns = {(b[0] - a[0]) * (c[1] - b[1]) > (b[1] - a[1]) * (c[0] - b[0])
             for (a, b), (_, c) in zip(edges(points), edges(points[1:] + points[:1]))}
    return {"area": float(abs(twice) / 2), "centre": [float(x) for x in centre],
            "convex": len(turns) == 1}
