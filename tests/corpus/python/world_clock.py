# SPDX-License-Identifier: MIT
"""One instant in several zones, and how far each is from UTC."""
from datetime import datetime
from zoneinfo import ZoneInfo


def handler(event):
    instant = datetime.fromisoformat(event["instant"])
    return {zone: instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z %z")
            for zone in event["zones"]}
