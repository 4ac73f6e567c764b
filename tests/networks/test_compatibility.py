"""Stock architectures: saved, inspected, loaded unchanged, as docs/tables/compatibility.md says.

The rows of the small networks are checked in `test_every_network.py`, with all else about them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import builders
from corpus.compatibility import (
    OUTDATED,
    STOCK_NAMES,
    documented,
    documented_engines,
    engine_cells,
    row,
    stock,
)

import cnnviz

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def add_noise(model: Any, chance: np.random.Generator) -> None:
    """Changes every weight, so that none equals what an initializer would make."""
    for weight in model.weights:
        values = np.asarray(weight)
        weight.assign(values + chance.normal(0, 0.01, weight.shape).astype(values.dtype))


def scores(model: Any, picture: np.ndarray) -> np.ndarray:
    return np.asarray(model(picture, training=False), dtype="float32")


# Plain, with dense layers after maps that are flattened; residual, with scaled inputs, depthwise
# convolutions and blocks that weigh channels.
EVERY_RUN = ("VGG16", "MobileNetV3Small")
CHECKED = STOCK_NAMES if os.environ.get("CNNVIZ_EVERY_FILE") == "1" else EVERY_RUN


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_a_stock_architecture(name: str, photo: np.ndarray, tmp_path: Path) -> None:
    """The file passes inspection; its copy has the same weights, scores and documented row."""
    chance = np.random.default_rng(0)
    model = stock(name)
    add_noise(model, chance)
    path = tmp_path / "model.keras"
    model.save(path)
    network = cnnviz.load_model(path, preset="unit")
    for weight, copied in zip(model.weights, network.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), np.asarray(copied))
    picture = chance.uniform(-1, 1, (1, *model.input_shape[1:])).astype("float32")
    expected = scores(model, picture)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(scores(network.model, picture), expected, rtol=1e-5, atol=1e-6)
    assert row(name, network, photo) in documented(), OUTDATED
    if CHECKED is STOCK_NAMES:
        engine, _ = engine_cells(network).split(" | ")
        assert engine.strip() == documented_engines()[name], OUTDATED


def test_the_document_has_a_row_for_each_network_and_no_more() -> None:
    names = [line.split(" | ")[0].removeprefix("| ") for line in documented()]
    assert names == [*STOCK_NAMES, *(name.replace("_", " ") for name in builders.NAMES)], OUTDATED


def test_the_document_names_the_engine_of_each_small_network() -> None:
    """Other tests convert these networks, or see that they cannot be."""
    engines = documented_engines()
    for name in builders.NAMES:
        kind = builders.HALF_PRECISION.get(name)
        engine = f"TensorFlow: it computes in {kind}" if kind else "LiteRT"
        assert engines[name.replace("_", " ")] == engine, OUTDATED
