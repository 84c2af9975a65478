# SPDX-License-Identifier: MIT
"""The sections of an INI text."""
import configparser


def handler(event):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(event["text"])
    return {name: dict(parser[name]) for name in parser.sections()}
