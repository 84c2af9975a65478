# SPDX-License-Identifier: MIT
"""A little Markdown to HTML."""
import html
import re

INLINE = ((r"`(.+?)`", r"<code>\1</code>"), (r"\*\*(.+?)\*\*", r"<strong>\1</strong>"),
          (r"\*(.+?)\*", r"<em>\1</em>"), (r"\[(.+?)\]\((.+?)\)", r'<a href="\2">\1</a>'))


def inline(text):
    text = html.escape(text, quote=False)
    for pattern, replacement in INLINE:
        text = re.sub(pattern, replacement, text)
    return text


def block(text):
    heading = re.match(r"(#{1,6}) (.*)", text)
    if heading:
        level = len(heading[1])
        return f"<h{level}>{inline(heading[2])}</h{level}>"
    lines = text.splitlines()
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>"
    return f"<p>{inline(' '.join(lines))}</p>"


def handler(event):
    return "\n".join(block(text) for text in re.split(r"\n{2,}", event["text"].strip()))
