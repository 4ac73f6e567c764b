"""The components' JavaScript: ES modules that the browser loads once, from this server.

Streamlit sends the code of a component with each message that draws it. What it gets here is two
lines that import the module, so that the modules can import each other and stay in the browser.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent
# The path at which `ui.web.scripts` gives them, relative to the page's. Below "static" a proxy
# compresses them, and Streamlit does not, for each request anew.
ADDRESS = "static/component-files"


@functools.cache
def names() -> tuple[str, ...]:
    """The files' names."""
    return tuple(sorted(path.name for path in FOLDER.glob("*.js")))


@functools.cache
def version() -> str:
    """Changes with any of the files, so that a browser never mixes old and new ones."""
    hashed = hashlib.sha256()
    for name in names():
        hashed.update(name.encode() + b"\0" + (FOLDER / name).read_bytes())
    return hashed.hexdigest()[:16]


def code(name: str) -> str:
    """The JavaScript for Streamlit, of the component whose module has this name.

    It runs as a module from a blob, to which no relative address leads.
    """
    address = f"{ADDRESS}/{version()}/{name}"
    return (
        f'const module = await import(new URL("{address}", document.baseURI));\n'
        "export default module.default;\n"
    )


def style(*names: str) -> str:
    """The style sheets of a component, one after the other."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
