"""The rows of docs/tables/compatibility.md: a network, with all answers about it checked.

``python -m tests.corpus.compatibility`` writes the file.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import cnnviz
from cnnviz.networks.engines.conversion import NotConvertedError, convert
from cnnviz.networks.keras_models import find
from cnnviz.photos.preprocessing import network_input

from . import builders, photos

# The message of a test whose row is not in the file.
OUTDATED = "run `python -m tests.corpus.compatibility`"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tables" / "compatibility.md"

# Each architecture with the side of its input: small, but with maps of more than one cell.
STOCK = {
    "VGG16": 64,
    "ResNet50V2": 64,
    "InceptionV3": 107,
    "Xception": 71,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "NASNetMobile": 64,
    "ConvNeXtTiny": 64,
}
NESTED = ("VGG16", "MobileNetV2")

# Of a network with hundreds of layers so many are looked at, evenly spread.
MOST_MAPS = 20

# Networks that end in logits, so that Keras's own answer has yet to become probabilities.
LOGITS = (
    "averaged_class_maps",
    "channels_first_maps",
    "channels_last_maps_twin",
    "linear_logits",
    "logit_maps",
    "one_logit",
)

INTRODUCTION = """\
# Compatibility: the tables

`python -m tests.corpus.compatibility` writes this file; the tests check every row.
[compatibility.md](../compatibility.md) describes what the rows mean.
"""
HEADING = """
| network | input | classes | layers | with maps | first filters | best method | of layer \
| engine | differs by |
|---|---|---|---|---|---|---|---|---|---|
"""


def row(name: str, network: Any, photo: np.ndarray, logits: bool = False) -> str:
    """The row of a network without its engine; the answers are checked against Keras's own."""
    spatial = [info for info in network.layers if info.spatial]
    seen = spatial[:: -(-len(spatial) // MOST_MAPS)]
    maps = cnnviz.activations(network, photo, [info.path for info in seen])
    for info in seen:
        assert np.isfinite(maps[info.path]).all(), info
        for listed, size in zip(info.output_shape[1:], maps[info.path].shape, strict=True):
            assert listed in (None, size), info

    # From here on the view that was compiled for the maps is used again.
    outline = cnnviz.outline(network)
    prediction = cnnviz.predict(network, photo)
    expected = keras_answer(network, photo, logits)
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=0, atol=1e-5)

    first = next(info for info in outline.layers if info.kernel_shape)
    kernels = cnnviz.filters(network, first.path).kernels
    weights = np.asarray(find(network.model, first.path).weights[0], np.float32)
    np.testing.assert_array_equal(kernels.ravel(), weights.ravel())

    cam = cnnviz.class_activation_map(network, photo)
    assert (cam.method, cam.target) == (outline.methods[0], prediction.label)
    assert cam.values.ndim == 2
    assert np.isfinite(cam.values).all()
    assert cam.values.any()

    kind = "" if prediction.exclusive else " (each by itself)"
    cells = (
        name.replace("_", " "),
        times(outline.input_shape[1:]),
        f"{len(prediction.labels)}{kind}",
        len(outline.layers),
        len(spatial),
        times(kernels.shape),
        cam.method,
        # Keras numbers layers without a name by what else the process has built.
        f"`{re.sub(r'_[0-9]+$', '', cam.layer)}`",
    )
    return f"| {' | '.join(map(str, cells))} |"


def engine_cells(network: Any) -> str:
    """The last cells of a row: what runs a network, and how much it differs from TensorFlow."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            difference = convert(network, Path(folder)).difference
            return f" LiteRT | {difference:.0e} |" if difference else " LiteRT | 0 |"
        except NotConvertedError as error:
            return f" TensorFlow: {error} | |"


def keras_answer(network: Any, photo: np.ndarray, logits: bool) -> np.ndarray:
    """Probabilities from the plain model: Keras's `predict`, then NumPy alone."""
    import keras

    model = network.model
    inputs = network_input(photo, network.card.preprocessing)
    if model.inputs[0].shape[-1] not in (1, 3, 4):
        inputs = inputs.transpose(0, 3, 1, 2)
    graph = getattr(model, "_functional", None) or model
    packed = keras.tree.pack_sequence_as(graph.input, [inputs])
    # Keras answers for one photo sooner operation by operation than when it has to compile.
    model.run_eagerly = True
    try:
        answers = keras.tree.flatten(model.predict(packed, verbose=0))
    finally:
        model.run_eagerly = False
    answer = next((each for each in answers if each.ndim == 2), answers[0])[0]
    answer = answer.astype(np.float64)
    if answer.ndim == 3:
        cells = (1, 2) if inputs.shape[1] == network.card.preprocessing.channels else (0, 1)
        answer = answer.mean(axis=cells)
    if logits:
        answer = np.concatenate([[0], answer]) if answer.size == 1 else answer
        answer = np.exp(answer - answer.max())
        return answer / answer.sum()
    return np.array([1 - answer[0], answer[0]]) if answer.size == 1 else answer


def times(sizes: Iterable[int | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in sizes)


def stock(name: str) -> Any:
    """A stock architecture with ten classes; for "X nested", X is a layer in a new model."""
    import keras

    kind, _, nested = name.partition(" ")
    side = STOCK[kind]
    build = getattr(keras.applications, kind)
    keras.utils.set_random_seed(5)
    if nested:
        image = keras.Input((side, side, 3))
        backbone = build(weights=None, input_shape=(side, side, 3), include_top=False)
        x = keras.layers.GlobalAveragePooling2D()(backbone(image, training=False))
        model = keras.Model(image, keras.layers.Dense(10, "softmax")(x))
    else:
        model = build(weights=None, input_shape=(side, side, 3), classes=10)
    return model


STOCK_NAMES = [*STOCK, *(f"{name} nested" for name in NESTED)]


def small_row(name: str) -> str:
    """The row of one of the small networks."""
    return row(name, builders.network(name), photos.random_photo(), name in LOGITS)


def documented() -> list[str]:
    """The rows of the document as it is, without their engines."""
    return [line.rsplit("|", 3)[0] + "|" for line in _lines()]


def documented_engines() -> dict[str, str]:
    """The engine of each network in the document as it is."""
    cells = [line.split(" | ") for line in _lines()]
    return {first.removeprefix("| "): engine for first, *_, engine, _ in cells}


def _lines() -> list[str]:
    return [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if "×" in line]


def write() -> None:
    """Writes the document."""
    photo = photos.random_photo()
    rows = []
    for name in STOCK_NAMES:
        network = cnnviz.network(stock(name), preset="unit")
        rows.append(row(name, network, photo) + engine_cells(network))
    tiny = [small_row(name) + engine_cells(builders.network(name)) for name in builders.NAMES]
    text = (
        f"{INTRODUCTION}\n## Stock architectures of keras.applications\n{HEADING}"
        + "\n".join(rows)
        + f"\n\n## Small networks, one for each way to build one\n{HEADING}"
        + "\n".join(tiny)
        + "\n"
    )
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
