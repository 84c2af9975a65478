# SPDX-License-Identifier: MIT
"""Unicode: forms, folding, names, and letters outside the first plane."""
import unicodedata


def handler(event):
    text = event["text"]
    forms = {form: unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC")}
    return {**forms, "folded": text.casefold(), "length": [len(text), len(text.encode())],
            "names": [unicodedata.name(letter, "?") for letter in text], "back": text[::-1]}
