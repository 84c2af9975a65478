# SPDX-License-Identifier: MIT
"""Totals of a CSV table by one of its columns, as CSV."""
import csv
import io
from collections import defaultdict
from decimal import Decimal


def handler(event):
    totals = defaultdict(Decimal)
    for row in csv.DictReader(io.StringIO(event["table"])):
        totals[row[event["by"]]] += Decimal(row[event["sum"]])
    report = io.StringIO()
    writer = csv.writer(report, lineterminator="\n")
    writer.writerow([event["by"], event["sum"]])
    writer.writerows(sorted(totals.items()))
    return report.getvalue()
