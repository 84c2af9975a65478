# SPDX-License-Identifier: MIT
"""Hooks: a snapshot is told of, and so is what goes on from it."""
told = []


def before_snapshot():
    told.append("before")


def after_restore():
    told.append("after")


def handler(event):
    return {"event": event, "told": told[-2:]}
