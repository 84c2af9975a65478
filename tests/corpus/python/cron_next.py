# SPDX-License-Identifier: MIT
"""When a line of a crontab runs next, in a zone that changes its clocks."""
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def numbers(field, low, high):
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def handler(event):
    minutes, hours, days, months, weekdays = (
        set(numbers(field, *limits)) for field, limits in zip(event["cron"].split(), RANGES))
    zone = ZoneInfo(event["zone"])
    at = datetime.fromisoformat(event["after"]).astimezone(timezone.utc)
    at = at.replace(second=0, microsecond=0)
    for _ in range(60 * 24 * 40):
        at += timedelta(minutes=1)
        local = at.astimezone(zone)
        if (local.minute in minutes and local.hour in hours and local.day in days
                and local.month in months and local.isoweekday() % 7 in weekdays):
            return local.isoformat()
    return None
