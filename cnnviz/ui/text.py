"""Names and labels are read from files: in Markdown they are text, never markup."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:])")


def plain(text: str) -> str:
    """Escapes all that Markdown would read as markup; a link or a picture stays text."""
    return _MARKUP.sub(r"\\\1", text)
