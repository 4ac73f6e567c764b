"""Streamlit's scripts that every page needs, named to the browser with the page itself.

Streamlit's page names what it needs to start. The scripts of its parts are requested when the first
of each is drawn, and theirs when they have come.
"""

from __future__ import annotations

import re
from pathlib import Path

# The parts that the sidebar and the styles of every page are made of, by the names of their files.
_PARTS = ("Checkbox", "FileUploader", "Html", "ImageList", "Selectbox")
_NAMED = re.compile(r"static/js/([\w.-]+\.js)")
_IMPORTED = re.compile(r"(?:from|import)[\"'`]\./([\w.-]+\.js)[\"'`]")


def preload_header(static: Path) -> str:
    """The ``Link`` header of a page, for the scripts that ``index.html`` does not name.

    Args:
        static: Streamlit's folder of ``index.html``.
    """
    folder = static / "static" / "js"
    named = set(_NAMED.findall((static / "index.html").read_text(encoding="utf-8")))
    waiting = [path.name for part in _PARTS for path in sorted(folder.glob(f"{part}.*.js"))]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name not in named and name not in found:
            found[name] = None
            waiting += _IMPORTED.findall((folder / name).read_text(encoding="utf-8"))
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload" for name in sorted(found))
