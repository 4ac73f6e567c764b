"""What import-linter cannot check: app.py, late imports, libraries, and what a process loads.

The contracts in pyproject.toml define which package may import which.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
# What a process without TensorFlow may import; the last three import what needs it in functions.
WITHOUT_TENSORFLOW = (
    *next(
        contract["source_modules"]
        for contract in CONTRACTS
        if contract["name"].startswith("What runs no network")
    ),
    "cnnviz.attribution.faithfulness",
    "cnnviz.serving",
    "cnnviz.ui",
)
# And what the server's process never loads all the same.
WORKERS_ONLY = ("cnnviz.inspection",)
# What answers questions about a converted network.
ON_LITERT = (
    "cnnviz.attribution.explanations",
    "cnnviz.attribution.map_traces",
    "cnnviz.attribution.outlines",
    "cnnviz.attribution.stages",
    "cnnviz.networks.arithmetic",
    "cnnviz.networks.engines.litert",
    "cnnviz.networks.feature_maps",
    "cnnviz.networks.kernels",
    "cnnviz.networks.loading",
    "cnnviz.networks.predictions",
)
HEAVY = {"h5py", "keras", "ray", "tensorflow"}

# Libraries by file or folder, the longest path that fits; NumPy may be imported in all of cnnviz.
LIBRARIES = {
    "app.py": {"streamlit"},
    "pages": {"streamlit"},
    "cnnviz": set(),
    "cnnviz/batch/cluster.py": {"ray", "tensorflow"},
    "cnnviz/batch/runs.py": {"pyarrow"},
    "cnnviz/cards.py": {"pydantic"},
    "cnnviz/cli": {"PIL", "rich", "typer"},
    "cnnviz/colours.py": {"plotly"},
    "cnnviz/features": {"PIL", "tensorflow"},
    "cnnviz/features/kept_galleries.py": {"pydantic"},
    "cnnviz/figures": {"PIL", "plotly"},
    "cnnviz/inspection": {"h5py"},
    "cnnviz/networks": {"keras", "tensorflow"},
    "cnnviz/networks/conversions.py": {"pydantic"},
    "cnnviz/networks/engines": {"ai_edge_litert", "keras", "tensorflow"},
    "cnnviz/networks/weight_files.py": {"h5py"},
    "cnnviz/photos": {"PIL", "pillow_heif"},
    "cnnviz/results.py": {"pydantic"},
    "cnnviz/serving": {"loky", "pydantic", "tensorflow"},
    "cnnviz/settings.py": {"platformdirs"},
    "cnnviz/training": {"keras", "tensorflow"},
    "cnnviz/training/data": {"loky", "pydantic"},
    "cnnviz/ui": {"pandas", "plotly", "streamlit"},
    "cnnviz/ui/share.py": {"segno", "streamlit"},
    "cnnviz/ui/web": {"google", "starlette", "streamlit"},
    "cnnviz/ui/web/lan.py": {"ifaddr", "segno"},
}
# An import whose name is not a constant, and the modules that may have one.
DYNAMIC = "(dynamic)"
DYNAMIC_IMPORTS = {
    "cnnviz/__init__.py",
    "cnnviz/serving/worker_process.py",
    "cnnviz/training/data/pixels.py",
    "cnnviz/ui/page_imports.py",
}


def imports(source: str) -> list[tuple[str, bool]]:
    """The dotted name of each import that can run, and whether it is inside a function."""
    return list(_walk(ast.parse(source).body, late=False))


def _walk(nodes: Iterable[ast.AST], *, late: bool) -> Iterator[tuple[str, bool]]:
    for node in nodes:
        for name in _names(node):
            yield name, late
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        children = node.orelse if typing else ast.iter_child_nodes(node)
        yield from _walk(children, late=late or function)


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            return [f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[module, *_]) if (
            name in {"import_module", "__import__"}
        ):
            return [str(module.value) if isinstance(module, ast.Constant) else DYNAMIC]
    return []


def wrong_imports(path: str, source: str) -> list[str]:
    """The imports that a module at this path, relative to the project, must not have."""
    return sorted({name for name, late in imports(source) if not _is_allowed(path, name, late)})


def _is_allowed(path: str, name: str, late: bool) -> bool:
    top = name.partition(".")[0]
    if name == DYNAMIC:
        return path in DYNAMIC_IMPORTS
    if top in sys.stdlib_module_names:
        return True
    page = path == "app.py" or path.startswith("pages/")
    if top == "cnnviz":
        # The lazy public names would import TensorFlow: only commands use them.
        if not (path.startswith("cnnviz/cli/") or _is_module(name)):
            return False
        if page:
            return name.startswith("cnnviz.ui.")
    elif top != "numpy" or page:
        folders = [folder for folder in LIBRARIES if f"{path}/".startswith(f"{folder}/")]
        if top not in LIBRARIES[max(folders, key=len)]:
            return False
    if path.startswith("cnnviz/serving/") and not late:
        return not _runs_networks(name)
    if path.startswith(("cnnviz/figures/", "cnnviz/ui/")):
        return not _runs_networks(name)
    return late or path != "cnnviz/batch/cluster.py" or top not in HEAVY


def _is_module(name: str) -> bool:
    """Whether a name begins with a module or sub-package of cnnviz."""
    path = ROOT.joinpath(*name.split(".")[:2])
    return path != ROOT / "cnnviz" and (path.is_dir() or path.with_suffix(".py").is_file())


def _runs_networks(name: str) -> bool:
    if not name.startswith("cnnviz."):
        return name.partition(".")[0] in HEAVY
    within = tuple(f"{package}." for package in WITHOUT_TENSORFLOW)
    workers_only = tuple(f"{package}." for package in WORKERS_ONLY)
    return f"{name}.".startswith(workers_only) or not f"{name}.".startswith(within)


def test_every_module_imports_only_what_it_may() -> None:
    paths = [*(ROOT / "cnnviz").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    wrong = {}
    for path in (str(path.relative_to(ROOT)) for path in paths):
        if names := wrong_imports(path, (ROOT / path).read_text(encoding="utf-8")):
            wrong[path] = names
    assert len(paths) > 100
    assert wrong == {}


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("pages/filters.py", "from cnnviz import predict", ["cnnviz.predict"]),
        ("pages/filters.py", "import cnnviz.geometry, PIL.Image", ["PIL.Image", "cnnviz.geometry"]),
        ("pages/filters.py", "def f():\n    import scipy", ["scipy"]),
        ("app.py", "import numpy\nfrom cnnviz.ui import shell", ["numpy"]),
        ("cnnviz/ui/parts.py", "import cnnviz", ["cnnviz"]),
        ("cnnviz/ui/parts.py", "from cnnviz import predict", ["cnnviz.predict"]),
        ("cnnviz/ui/parts.py", "def f():\n    import_module('keras')", ["keras"]),
        (
            "cnnviz/ui/parts.py",
            "importlib.import_module('cnnviz.networks.loading')",
            ["cnnviz.networks.loading"],
        ),
        ("cnnviz/ui/parts.py", "importlib.import_module(name)", [DYNAMIC]),
        ("cnnviz/figures/bars.py", "from cnnviz import predict", ["cnnviz.predict"]),
        ("cnnviz/figures/bars.py", "import streamlit", ["streamlit"]),
        ("cnnviz/photos/decoding.py", "from plotly import colors", ["plotly.colors"]),
        ("cnnviz/arrays.py", "import numpy, math, pandas", ["pandas"]),
        ("cnnviz/cards.py", "from . import arrays", [".None.arrays"]),
        ("cnnviz/serving/workers.py", "import tensorflow", ["tensorflow"]),
        ("cnnviz/serving/workers.py", "def f():\n    import tensorflow", []),
        (
            "cnnviz/serving/workers.py",
            "from cnnviz.attribution.explanations import explain",
            ["cnnviz.attribution.explanations.explain"],
        ),
        ("cnnviz/serving/workers.py", "import cnnviz.training.loop", ["cnnviz.training.loop"]),
        (
            "cnnviz/serving/workers.py",
            "from cnnviz.networks import channels, heads",
            ["cnnviz.networks.heads"],
        ),
        ("cnnviz/batch/cluster.py", "try:\n    import ray\nfinally: pass", ["ray"]),
        ("cnnviz/batch/cluster.py", "def f():\n    import ray.data", []),
    ],
)
def test_a_wrong_import_is_named(path: str, source: str, wrong: list[str]) -> None:
    assert wrong_imports(path, source) == wrong


def test_imports_are_found_wherever_they_are() -> None:
    source = """
import os.path, keras.layers
from cnnviz.networks import loading
if TYPE_CHECKING:
    import streamlit
else:
    import plotly
try:
    import ray
except ImportError:
    pass
def later():
    import tensorflow
    importlib.import_module("cnnviz.drawing")
    importlib.import_module(name)
"""
    assert imports(source) == [
        ("os.path", False),
        ("keras.layers", False),
        ("cnnviz.networks.loading", False),
        ("plotly", False),
        ("ray", False),
        ("tensorflow", True),
        ("cnnviz.drawing", True),
        (DYNAMIC, True),
    ]


def loaded_after(names: list[str]) -> set[str]:
    """The top-level modules in a new Python process after it has imported `names`."""
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


def test_what_answers_about_converted_networks_loads_neither_keras_nor_tensorflow() -> None:
    loaded = loaded_after([*ON_LITERT, "ai_edge_litert.interpreter"])
    assert {"ai_edge_litert", "h5py"} <= loaded
    assert loaded & {"tensorflow", "keras"} == set()


def test_the_server_answers_before_it_imports_the_pages() -> None:
    # Pillow and Plotly are Streamlit's.
    for_pages = {"loky", "numpy", "pandas", "pyarrow", "pydantic"}
    assert loaded_after(["app", "cnnviz.ui.__main__"]) & for_pages == set()


def test_the_web_process_loads_no_network_library() -> None:
    """Everything that pages, their parts and the entry file import, in one new process."""
    paths = (path.relative_to(ROOT) for path in (ROOT / "cnnviz").rglob("*.py"))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    within = tuple(f"{package}." for package in WITHOUT_TENSORFLOW)
    inside = [name for name in sorted(names) if f"{name}.".startswith(within)]
    # The gate reads weights by h5py, which the web process does not load.
    loaded = loaded_after([name for name in inside if not name.startswith("cnnviz.inspection")])
    assert {"loky", "plotly"} <= loaded
    assert loaded & {"tensorflow", "keras", "h5py"} == set()
    assert loaded_after(inside) & {"tensorflow", "keras"} == set()
