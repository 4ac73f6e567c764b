"""Text on pages: names and labels from files are never markup."""

from __future__ import annotations

import re

# Spaces at the beginning of a line are not visible, but make it a block of code.
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&=@])")
# Streamlit also looks for icons and emoji (:smile:), addresses (www.example.org) and arrows (->),
# and not with the escapes. Each of them is divided at these places,
_DIVISION = re.compile(
    r"(?<=:)(?=[\w+/-])|(?=@)|(?<=[-<>~=])(?=[-<>=])|(?<=www)(?=\.)", re.IGNORECASE
)
# by a directive of Streamlit's around nothing: it ends the text before it, and is not visible.
_NOTHING = ":small[]"


def plain(text: str) -> str:
    """Escapes all that Streamlit's Markdown would read as markup, so that it stays text."""
    parts = _DIVISION.split(_INDENT.sub("", text))
    return _NOTHING.join(_MARKUP.sub(r"\\\1", part) for part in parts)
