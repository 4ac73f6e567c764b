"""The public names: they work in five lines, and do not change."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import pydoc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import keras
import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.arrays import Bytes
from cnnviz.cards import write_card
from cnnviz.results import Floats

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_five_lines_from_a_saved_model_and_a_photo(
    tiny: Callable[[str], Any], photo: np.ndarray, tmp_path: Path
) -> None:
    tiny("two_classes").model.save(tmp_path / "cat_dog.keras")
    write_card(tiny("two_classes").card, tmp_path / "cat_dog.json")
    Image.fromarray(photo).save(tmp_path / "cat.png")

    network = cnnviz.load_model(str(tmp_path / "cat_dog.keras"))
    picture = cnnviz.open_photo(str(tmp_path / "cat.png"))
    top = cnnviz.predict(network, picture).top(3)
    kernels = cnnviz.filters(network, "conv1")
    maps = cnnviz.activations(network, picture, ["conv1"])
    cam = cnnviz.class_activation_map(network, picture, "cat")

    np.testing.assert_array_equal(picture, photo)
    assert {score.label for score in top} == {"cat", "dog"}
    assert top[0].probability >= top[1].probability
    assert sum(score.probability for score in top) == pytest.approx(1)
    assert kernels.kernels.shape == (3, 3, 3, 4)
    assert maps["conv1"].shape == (12, 12, 4)
    assert (cam.values.shape, cam.method, cam.layer, cam.target) == ((6, 6), "cam", "conv2", "cat")
    overlay = cnnviz.overlay(picture, cam, network.card.preprocessing)
    assert overlay.shape == photo.shape


def test_every_public_name_is_there_and_listed() -> None:
    assert cnnviz.__all__ == sorted(cnnviz.__all__)
    for name in cnnviz.__all__:
        assert callable(getattr(cnnviz, name))
        assert getattr(cnnviz, name).__doc__
        assert name in dir(cnnviz)
    assert cnnviz.__version__


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers, `from cnnviz.x import y as y`, and the lazy ones agree."""
    tree = ast.parse(Path(cnnviz.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {
        alias.asname: node.module
        for node in imports
        for alias in node.names
        if alias.asname is not None
    }
    assert sorted(names) == cnnviz.__all__
    for name, module in names.items():
        assert getattr(cnnviz, name) is getattr(importlib.import_module(module), name), name


FUNCTIONS = [name for name in cnnviz.__all__ if inspect.isfunction(getattr(cnnviz, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_a_function_returns_and_raises_is_public(name: str) -> None:
    function = getattr(cnnviz, name)
    returned = set(re.findall(r"[A-Z]\w+", function.__annotations__["return"]))
    assert returned - {"Bytes", "Floats", "Iterator", "NDArray", "None"} <= set(cnnviz.__all__)
    _, _, raises = (inspect.getdoc(function) or "").partition("Raises:")
    raised = set(re.findall(r"^ +(\w+Error):", raises, re.M))
    assert {error for error in raised if not hasattr(builtins, error)} <= set(cnnviz.__all__)


def _types_in(hint: Any) -> set[type]:
    """The classes that an annotation names, also those inside of others."""
    if isinstance(hint, list):
        return set().union(*map(_types_in, hint))
    inner = set().union(*map(_types_in, get_args(hint)))
    return inner | ({hint} if isinstance(hint, type) else set())


@pytest.mark.parametrize("name", cnnviz.__all__)
def test_what_a_function_takes_and_a_type_holds_is_public(name: str) -> None:
    # How a network is loaded and run is for cnnviz itself; some modules import types lazily.
    extra = {
        **dict.fromkeys(("CompiledPass", "Converted", "ModelSource", "PassKey"), object),
        **{"Bytes": Bytes, "Floats": Floats, "keras": keras},
    }
    hints = get_type_hints(getattr(cnnviz, name), localns=extra)
    types = set().union(*map(_types_in, hints.values()))
    named = {one.__name__ for one in types if one.__module__.startswith("cnnviz.")}
    assert named <= set(cnnviz.__all__)


def test_help_lists_every_public_name_with_its_docstring() -> None:
    text = pydoc.render_doc(cnnviz, renderer=pydoc.plaintext)
    for name in cnnviz.__all__:
        (first_line, *_) = inspect.getdoc(getattr(cnnviz, name)).splitlines()  # type: ignore[union-attr]
        assert re.search(rf"^    (class )?{name}\(", text, re.M), name
        assert first_line in text


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'cnnviz' has no attribute 'heatmap'"):
        _ = cnnviz.heatmap  # type: ignore[attr-defined]


def test_no_module_takes_the_place_of_a_function() -> None:
    """Importing `cnnviz.x` sets the attribute `x`: a module of a function's name would hide it."""
    modules = {module.name for module in pkgutil.iter_modules(cnnviz.__path__)}
    assert len(modules) > 15
    for name in modules - {"__main__"}:
        importlib.import_module(f"cnnviz.{name}")
    assert modules.isdisjoint(cnnviz.__all__)
    for name in cnnviz.__all__:
        assert callable(getattr(cnnviz, name)), name


def test_importing_the_package_starts_nothing_heavy() -> None:
    code = (
        "import sys, cnnviz; cnnviz.__all__; dir(cnnviz); "
        "print(sorted({'tensorflow', 'keras', 'streamlit', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
