# SPDX-License-Identifier: MIT
"""Fills in a letter whose text lies beside the code."""
import string


def handler(event):
    with open("letter.txt", encoding="utf-8") as file:
        return string.Template(file.read()).substitute(event)
