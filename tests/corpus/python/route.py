# SPDX-License-Identifier: MIT
"""The shortest way through a graph."""
import heapq


def handler(event):
    graph, start, goal = event["graph"], event["from"], event["to"]
    waiting, done = [(0, start, [start])], set()
    while waiting:
        length, place, path = heapq.heappop(waiting)
        if place == goal:
            return {"length": length, "path": path}
        if place in done:
            continue
        done.add(place)
        for near, more in graph[place].items():
            heapq.heappush(waiting, (length + more, near, path + [near]))
    return None
