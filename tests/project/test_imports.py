"""What import-linter cannot hold: app.py, what loads late, and what a fresh process loads.

The contracts in pyproject.toml say which package may import which.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Modules of the web process that name what runs networks inside functions alone.
LATE = sorted(
    str(path.relative_to(ROOT))
    for path in (*(ROOT / "cnnviz" / "serving").glob("*.py"), ROOT / "cnnviz/batch/cluster.py")
)
HEAVY = ("keras", "tensorflow", "ray", "h5py", "cnnviz.inspection", "cnnviz.serving.sandbox")
# Packages and modules that a process without TensorFlow may import.
WITHOUT_TENSORFLOW = (
    "cnnviz.figures",
    "cnnviz.inspection",
    "cnnviz.photos",
    "cnnviz.serving",
    "cnnviz.training.data",
    "cnnviz.ui",
    "cnnviz.arrays",
    "cnnviz.attribution.descriptions",
    "cnnviz.attribution.localization",
    "cnnviz.attribution.methods",
    "cnnviz.cards",
    "cnnviz.colours",
    "cnnviz.drawing",
    "cnnviz.errors",
    "cnnviz.exports",
    "cnnviz.geometry",
    "cnnviz.networks.channels",
    "cnnviz.processes",
    "cnnviz.results",
    "cnnviz.settings",
    "cnnviz.storage",
    "cnnviz.training.recipes",
    "cnnviz.training.runs",
)


def imported_at_once(source: str) -> set[str]:
    """The modules that a module imports as it is loaded: not inside functions."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                return
            case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
                return
            case ast.Import():
                found.update(alias.name for alias in node.names)
            case ast.ImportFrom():
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def test_the_entry_file_imports_streamlit_and_the_shell_alone() -> None:
    found = imported_at_once((ROOT / "app.py").read_text(encoding="utf-8"))
    assert found == {"streamlit", "cnnviz.ui.shell"}


@pytest.mark.parametrize("path", LATE)
def test_what_runs_networks_is_imported_inside_functions(path: str) -> None:
    found = imported_at_once((ROOT / path).read_text(encoding="utf-8"))
    allowed = {"cnnviz.serving.sandbox"} if path.endswith("sandbox.py") else set()
    assert not [name for name in found - allowed if name.startswith(HEAVY)]


def test_imports_inside_functions_are_told_apart() -> None:
    source = """
import os.path, keras.layers
from cnnviz.networks import loading
if TYPE_CHECKING:
    import streamlit
try:
    import ray
except ImportError:
    pass
def later():
    import tensorflow
"""
    expected = {"os.path", "keras.layers", "cnnviz.networks.loading", "ray"}
    assert imported_at_once(source) == expected


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
    paths = (path.relative_to(ROOT) for path in (ROOT / "cnnviz").rglob("*.py"))
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    inside = [name for name in sorted(names) if name.startswith(WITHOUT_TENSORFLOW)]
    # The gate reads weights by h5py, which the web process does without.
    loaded = loaded_after([name for name in inside if not name.startswith("cnnviz.inspection")])
    assert {"loky", "plotly"} <= loaded
    assert loaded & {"tensorflow", "keras", "h5py"} == set()
    assert loaded_after(inside) & {"tensorflow", "keras"} == set()
