"""The components' JavaScript: ES modules that the browser loads once, from this server, as one.

Streamlit sends the code of a component with each message that draws it. What it gets here is two
lines that import the modules, so that these can import each other and stay in the browser. They are
sent as one: a browser that starts needs longer to request thirty files than to run what is in them.
"""

from __future__ import annotations

import functools
import hashlib
import re
from graphlib import TopologicalSorter
from pathlib import Path

FOLDER = Path(__file__).parent
# The path at which `ui.web.scripts` gives them, relative to the page's. Below "static" a proxy
# compresses them, and Streamlit does not, for each request anew.
ADDRESS = "static/component-files"
# The one file that they are sent as.
NAME = "components.js"

# The forms of imports and exports that the modules use.
_IMPORT = re.compile(r'^import (\w+|\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?P<default>default )?(?=(?:async )?(?:function|class|const) (?P<name>\w+))",
    re.MULTILINE,
)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


@functools.cache
def joined() -> bytes:
    """All modules as one, whose default export has for each of them what it exports."""
    return join({path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")})


def join(codes: dict[str, str]) -> bytes:
    """ES modules as one: each is a function that returns its exports.

    Args:
        codes: the code of each module, by its file's name without the ending.

    Raises:
        ValueError: an import or an export in a form that is not known here.
        graphlib.CycleError: modules import each other.
    """
    imported = {
        name: {found[2] for found in _IMPORT.finditer(code)} for name, code in sorted(codes.items())
    }
    parts = [_as_function(name, codes[name]) for name in TopologicalSorter(imported).static_order()]
    return "\n".join(["const modules = {};", *parts, "export default modules;\n"]).encode()


def _as_function(name: str, code: str) -> str:
    """The statement that puts what a module exports into ``modules``."""
    exports = [
        f"default: {found['name']}" if found["default"] else found["name"]
        for found in _EXPORT.finditer(code)
    ]
    code = _EXPORT.sub("", _IMPORT.sub(_as_constants, code))
    unknown = _OTHER.search(code)
    if unknown is not None:
        raise ValueError(f"{name}.js: {unknown[0]}")
    return f"modules.{name} = (() => {{\n{code}return {{ {', '.join(exports)} }};\n}})();"


def _as_constants(found: re.Match[str]) -> str:
    names = found[1].replace(" as ", ": ")
    names = names if names.startswith("{") else f"{{ default: {names} }}"
    return f"const {names} = modules.{found[2]};"


@functools.cache
def version() -> str:
    """Changes with any of the modules, so that a browser never mixes old and new ones."""
    return hashlib.sha256(joined()).hexdigest()[:16]


def address() -> str:
    """Where the modules are, relative to a page."""
    return f"{ADDRESS}/{version()}/{NAME}"


def code(name: str) -> str:
    """The JavaScript for Streamlit, of the component whose module has this file name.

    It runs as a module from a blob, to which no relative address leads.
    """
    return (
        f'const modules = await import(new URL("{address()}", document.baseURI));\n'
        f"export default modules.default.{name.removesuffix('.js')}.default;\n"
    )


def style(*names: str) -> str:
    """The style sheets of a component, one after the other."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)
