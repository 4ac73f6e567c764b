"""Who may import whom. The table is the rule; every import of every module is held to it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A room's name, and what it may import besides the standard library, NumPy and cnnviz.errors.
# A bare name is a room of cnnviz; "lib:" marks a library; DYNAMIC is an import whose name
# is only known when it runs. `if TYPE_CHECKING` never runs and draws no arrow.
DYNAMIC = "lib:(chosen at run time)"
WEB_SIDE: dict[str, set[str]] = {
    "__init__": {DYNAMIC},
    "errors": set(),
    "settings": set(),
    "storage": set(),
    "processes": set(),
    "cards": {"lib:pydantic"},
    "results": {"cards"},
    "arrays": {"results"},
    "channels": {"results"},
    "colours": {"lib:plotly"},
    "photo_checks": set(),
    "images": {"lib:PIL", "lib:pillow_heif", "photo_checks"},
    "cams": {"arrays", "results"},
    "preprocessing": {"lib:PIL", "arrays", "cards"},
    "localization": {"cards", "preprocessing", "results"},
    "overlays": {"arrays", "cards", "colours", "preprocessing", "results"},
    "descriptions": {"cards", "preprocessing", "results"},
    "exports": {"results"},
    "figures": {
        "lib:PIL",
        "lib:plotly",
        "arrays",
        "cards",
        "colours",
        "images",
        "preprocessing",
        "results",
    },
    "model_files": {"cards", "settings"},
    "answers": set(),
    "data": {
        "lib:loky",
        "lib:pydantic",
        DYNAMIC,
        "cards",
        "images",
        "photo_checks",
        "preprocessing",
        "processes",
        "storage",
    },
    "recipes": {"cards"},
    "training_runs": {"cards", "storage"},
    "trainer": {"cards", "model_files", "scratch", "settings", "storage", "training_runs"},
    "inside_trainer": {"data", "processes", "recipes", "trainer", "training_runs"},
    "scratch": set(),
    "inside_worker": {"cards", "model_files", "processes", "settings"},
    "workers": {"lib:loky", "answers", "inside_worker", "model_files", "scratch", "settings"},
}
NETWORK_SIDE: dict[str, set[str]] = {
    "confinement": set(),
    "inspection": {"lib:h5py"},
    "layouts": {"lib:keras"},
    "layers": {"lib:keras", "layouts", "results"},
    "loading": {"lib:keras", "cards", "inspection", "layers", "layouts", "results"},
    "graph": {"lib:keras", "lib:tensorflow", "layers", "layouts", "loading", "results"},
    "kernels": {"arrays", "layers", "loading", "results"},
    "predictions": {"graph", "layers", "loading", "preprocessing", "results"},
    "feature_maps": {"graph", "loading", "preprocessing", "results"},
    "gradients": {"graph", "loading", "preprocessing", "results"},
    "explanations": {
        "cams",
        "gradients",
        "graph",
        "layers",
        "loading",
        "predictions",
        "preprocessing",
        "results",
    },
    "many": {
        "explanations",
        "graph",
        "images",
        "loading",
        "localization",
        "preprocessing",
        "results",
    },
    "runs": {
        "lib:pyarrow",
        "cams",
        "exports",
        "images",
        "loading",
        "many",
        "overlays",
        "results",
        "storage",
    },
    "cluster": {"loading", "runs"},
    "outlines": {
        "explanations",
        "graph",
        "layers",
        "layouts",
        "loading",
        "predictions",
        "results",
    },
    "architectures": {"lib:keras", "settings"},
    "pipelines": {"lib:tensorflow", "data", "recipes"},
    "training": {
        "lib:keras",
        "lib:tensorflow",
        "architectures",
        "cards",
        "data",
        "pipelines",
        "recipes",
        "storage",
        "training_runs",
    },
}
_BACKEND_FOR_PEOPLE = WEB_SIDE.keys() - {"__init__"}
FRONT: dict[str, set[str]] = {
    "app": {"lib:streamlit", "ui"},
    "pages": {"lib:streamlit", "ui", *_BACKEND_FOR_PEOPLE},
    "ui": {"lib:streamlit", "lib:pandas", "lib:plotly", "ui", *_BACKEND_FOR_PEOPLE},
}
SHELL: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {
        "lib:typer",
        "lib:rich",
        "__init__",
        "terminal",
        "training_cli",
        *_BACKEND_FOR_PEOPLE,
        *NETWORK_SIDE,
    },
    "terminal": {"lib:typer", "lib:rich", DYNAMIC},
    "training_cli": {"lib:typer", "lib:rich", "data", "terminal", "training_runs"},
}
ROOMS = WEB_SIDE | NETWORK_SIDE | FRONT | SHELL
EVERYWHERE = {"errors", "lib:numpy"}
# Inside functions alone: what runs in a worker's own process, where TensorFlow belongs.
# And what a person need not have installed.
INSIDE = {
    "inside_worker": {"lib:tensorflow", DYNAMIC, "confinement", *NETWORK_SIDE},
    "inside_trainer": {"lib:tensorflow", "training"},
    "cluster": {"lib:tensorflow", "lib:ray"},
}


def modules() -> list[Path]:
    """Every module that has a room: the package, the pages and the entry file."""
    found = [*(ROOT / "cnnviz").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    return sorted(path.relative_to(ROOT) for path in found if path.exists())


def room_of(path: Path) -> str:
    """The room of a module: ``pages`` and each package of cnnviz are one."""
    parts = path.with_suffix("").parts
    return parts[1] if parts[0] == "cnnviz" else parts[0]


def imports(source: str, package: str = "cnnviz") -> list[tuple[str, bool]]:
    """The (room or library, whether inside a function) of each import that can run.

    `package` is the dotted package of the module, for imports that are relative to it.
    """
    return list(_walk(ast.parse(source).body, package, inside=False))


def _walk(nodes: Iterable[ast.AST], package: str, inside: bool) -> Iterator[tuple[str, bool]]:
    for node in nodes:
        for name in _names(node, package):
            yield _target(name), inside
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        children = node.orelse if typing else ast.iter_child_nodes(node)
        yield from _walk(children, package, inside or function)


def _names(node: ast.AST, package: str) -> list[str]:
    """The dotted names that one node of a syntax tree imports."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            return [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if (
            name in {"import_module", "__import__"}
        ):
            return [str(first.value) if isinstance(first, ast.Constant) else "(dynamic)"]
    return []


def _target(name: str) -> str:
    """The room or the library behind a dotted name."""
    first, _, rest = name.partition(".")
    if first == "(dynamic)":
        return DYNAMIC
    if first != "cnnviz":
        return f"lib:{first}"
    room = rest.partition(".")[0]
    is_module = (ROOT / "cnnviz" / f"{room}.py").exists() or (ROOT / "cnnviz" / room).is_dir()
    return room if room and is_module else "__init__"


def is_standard(target: str) -> bool:
    """Whether a target is the standard library."""
    return target.removeprefix("lib:") in sys.stdlib_module_names


def check(room: str, found: list[tuple[str, bool]]) -> list[str]:
    """What a room imports and should not."""
    allowed = ROOMS[room] | EVERYWHERE | {room}
    later = allowed | INSIDE.get(room, set())
    wrong = {
        f"{target} at import" if target in later else target
        for target, inside in found
        if target not in (later if inside else allowed) and not is_standard(target)
    }
    return sorted(wrong)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    room = room_of(path)
    assert room in ROOMS, f"{path} is a room that the table does not know: give it a line"
    package = ".".join(path.with_suffix("").parts[:-1])
    found = imports((ROOT / path).read_text(encoding="utf-8"), package)
    assert check(room, found) == [], f"{path} imports what the table does not allow to {room}"


def test_imports_are_seen_wherever_they_are() -> None:
    source = """
import os.path, keras.layers
from tensorflow import function as f
from cnnviz import graph, predict
from cnnviz.ui.sidebar import draw
from . import arrays
from .cams import METHODS
if TYPE_CHECKING:
    import streamlit
else:
    import plotly
def later():
    import typer
    importlib.import_module("cnnviz.loading")
    importlib.import_module(name)
"""
    assert imports(source) == [
        ("lib:os", False),
        ("lib:keras", False),
        ("lib:tensorflow", False),
        ("graph", False),
        ("__init__", False),
        ("ui" if (ROOT / "cnnviz/ui").is_dir() else "__init__", False),
        ("arrays", False),
        ("cams", False),
        ("lib:plotly", False),
        ("lib:typer", True),
        ("loading", True),
        (DYNAMIC, True),
    ]


def test_relative_imports_inside_a_room_of_several_files() -> None:
    source = "from ..arrays import resize\nfrom ..cams import METHODS"
    assert [name for name, _ in imports(source, "cnnviz.ui")] == ["arrays", "cams"]


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("figures", "import streamlit", ["lib:streamlit"]),
        ("pages", "def f():\n    import keras", ["lib:keras"]),
        ("pages", "from cnnviz import predict", ["__init__"]),
        ("ui", "from cnnviz.loading import load_model", ["loading"]),
        ("cams", "import numpy, math\nfrom cnnviz.errors import LayerError", []),
        ("inside_worker", "import tensorflow", ["lib:tensorflow at import"]),
        ("inside_worker", "def f():\n    import tensorflow", []),
        ("workers", "def f():\n    import tensorflow", ["lib:tensorflow"]),
    ],
)
def test_a_wrong_import_is_named(room: str, source: str, wrong: list[str]) -> None:
    assert check(room, imports(source)) == wrong


def loaded_after(names: list[str]) -> set[str]:
    """The top-level modules that a fresh Python holds after importing `names`."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light() -> None:
    heavy = {"tensorflow", "keras", "streamlit", "plotly", "PIL", "numpy"}
    assert loaded_after(["cnnviz"]) & heavy == set()


def test_the_web_process_holds_no_network_library() -> None:
    """All that pages, their parts and the entry file import, in one fresh process."""
    inside = [p for p in modules() if room_of(p) in WEB_SIDE or room_of(p) == "ui"]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in inside}
    loaded = loaded_after(sorted(names))
    assert {"loky", "plotly"} <= loaded
    assert loaded & {"tensorflow", "keras", "h5py"} == set()
