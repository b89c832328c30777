"""Text from outside made safe for a terminal: a model's answer or an error body may hold escape sequences."""

from __future__ import annotations

import unicodedata

# Cc: C0 and C1 controls (ESC begins a terminal command). Cf: invisible and bidirectional marks, which can make
# a line read as something else. Zl, Zp: line breaks that are no "\n". Cs: half a character. Co: private use.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Emoji are joined by this mark of category Cf; alone it does nothing.
_HARMLESS = frozenset({"\u200d"})


def printable(text: str, limit: int | None = None) -> str:
    r"""`text` on one line, with control and invisible characters written as `\n`, `\x1b` or `\u202e`.

    Args:
        text: anything a server sent.
        limit: characters of `text` to keep; what is cut is marked with `...`.
    """
    kept = text if limit is None else text[:limit]
    escaped = "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNSAFE and character not in _HARMLESS
        else character
        for character in kept
    )
    return escaped if len(kept) == len(text) else f"{escaped}..."
