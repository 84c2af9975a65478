# SPDX-License-Identifier: MIT
"""Waits for several things at once, as an async handler."""
import asyncio


async def fetch(name, fails=False):
    await asyncio.sleep(0)
    if fails:
        raise LookupError(name)
    return name.upper()


async def handler(event):
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        for name in event["names"]:
            group.create_task(queue.put(await fetch(name)))
    if event.get("missing"):
        await asyncio.wait_for(fetch(event["missing"], fails=True), 60)
    return sorted([queue.get_nowait() for _ in event["names"]])
