# SPDX-License-Identifier: MIT
"""Sums an invoice in decimal money, and refuses what cannot be billed."""
from decimal import ROUND_HALF_EVEN, Decimal


class Unbillable(Exception):
    pass


def handler(event):
    net = Decimal()
    for line in event["lines"]:
        if line["count"] < 0:
            raise Unbillable(f"{line['item']}: a count of {line['count']}")
        net += Decimal(line["price"]) * line["count"]
    cent = Decimal("0.01")
    net = net.quantize(cent, ROUND_HALF_EVEN)
    tax = (net * Decimal(event["tax"])).quantize(cent, ROUND_HALF_EVEN)
    return {"net": str(net), "tax": str(tax), "total": str(net + tax)}
