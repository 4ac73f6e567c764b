"""Keras 2 files against Keras 2: what it computed with them is stored beside them.

`scripts/make_keras2_corpus.py` writes the files and the arrays with `tf_keras`. Each file comes
through the gate as an untrusted one does, and Keras 3 has to give the same outputs.

A run takes one of the two formats of each network, and of the many settings of single layers a
third; with CNNVIZ_EVERY_FILE=1 it takes all of them, which takes a minute.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import RefusedModelError
from cnnviz.inspection import gate, keras2_functions, kinds
from cnnviz.networks import loading
from cnnviz.networks.engines import conversion

pytestmark = pytest.mark.slow

EVERY_FILE = os.environ.get("CNNVIZ_EVERY_FILE") == "1"
SHARE_OF_LAYERS = 3

CORPUS = Path(__file__).resolve().parent.parent / "corpus" / "keras2"
NETWORKS = json.loads((CORPUS / "index.json").read_text())["networks"]
PICTURES = [file for network in NETWORKS if network["picture"] for file in network["files"]]
TOLERANCE = 1e-5


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What differs or is refused, by reason: the error of each, and the files.
EXPECTED_FAILURES: list[tuple[str, type[Exception], str]] = [
    (
        "Keras 3.15 adds the bias along the width where that equals the number of filters",
        AssertionError,
        "Conv?DTranspose-*-filters=6_kernel_size=3_data_format=channels_first.*",
    ),
    (
        "Keras 3 has no such interpolation",
        RefusedModelError,
        "*interpolation=gaussian.* *interpolation=mitchellcubic.*",
    ),
    ("Keras 3 loads no weights of an activation", RefusedModelError, "Conv2D-layer-PReLU.*"),
    (
        "Keras 3 finds weights in an archive by the name of the class",
        RefusedModelError,
        "SyncBatchNormalization.keras",
    ),
    (
        "Keras 3 has no operation for this TensorFlow function",
        RefusedModelError,
        "op2-squared_difference.*",
    ),
]

# Layers of the gate's list that Keras 2 did not have, or did not save under this name.
NEW_IN_KERAS_3 = words(
    """
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D
    AdaptiveMaxPooling2D AdaptiveMaxPooling3D AugMix AutoContrast CustomScaleLayer Equalization
    GroupQueryAttention LayerScale Pipeline RMSNormalization RandAugment RandomColorDegeneration
    RandomColorJitter RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale
    RandomHue RandomInvert RandomPerspective RandomPosterization RandomSaturation RandomSharpness
    RandomShear Solarization StochasticDepth
    """
)
NEW_ACTIVATIONS = words(
    """
    celu glu hard_shrink hard_silu hard_swish hard_tanh log_sigmoid soft_shrink sparse_plus
    sparse_sigmoid sparsemax squareplus tanh_shrink threshold
    """
)


def _expected(file: str) -> tuple[str, type[Exception] | None]:
    """Why a file is expected to fail, and with which error; None where it is right."""
    return next(
        (
            (reason, error)
            for reason, error, patterns in EXPECTED_FAILURES
            if any(fnmatchcase(file, pattern) for pattern in patterns.split())
        ),
        ("", None),
    )


def _files() -> Iterator[Any]:
    """The files of a run with their entries in the index, marked where they are known to fail."""
    for index, network in enumerate(NETWORKS):
        files = network["files"]
        if not EVERY_FILE:
            if network["group"] == "layer" and index % SHARE_OF_LAYERS:
                continue
            files = [files[index % len(files)]]
        for file in files:
            reason, error = _expected(file)
            marks = [pytest.mark.xfail(reason=reason, raises=error, strict=True)] if error else []
            yield pytest.param(file, network, id=file, marks=marks)


@functools.cache
def arrays() -> dict[str, Any]:
    with np.load(CORPUS / "arrays.npz") as stored:
        return dict(stored)


@functools.cache
def contents() -> dict[str, bytes]:
    with tarfile.open(CORPUS / "models.tar.xz") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def load(path: Path, *, picture: bool) -> Any:
    """The Keras 3 model; a network for pictures comes all the way that it comes in the app."""
    if picture:
        return loading.load_model(path).model
    from cnnviz.networks.keras_files import open_copy

    found = gate.inspect_model(path)
    copy = path.with_name(f"copy{found.suffix}")
    gate.write_sanitised(path, found, copy)
    return open_copy(copy, path.name)


def outputs_of(model: Any, inputs: list[Any]) -> list[Any]:
    """The outputs; compiled with channels first, which Keras 3 gets wrong when called directly."""
    import keras

    channels_first = any(
        getattr(layer, "data_format", "") == "channels_first" for layer in model._flatten_layers()
    )
    run = model.predict_on_batch if channels_first else functools.partial(model, training=False)
    outputs = run(inputs if len(inputs) > 1 else inputs[0])
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


# From Keras's own Tensordot, for an axis of free size.
@pytest.mark.filterwarnings("ignore:NotImplemented should not be used:DeprecationWarning")
@pytest.mark.parametrize(("file", "network"), list(_files()))
def test_keras_3_gives_the_outputs_of_keras_2(
    file: str, network: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / f"model{Path(file).suffix}"
    path.write_bytes(contents()[file])
    model = load(path, picture=network["picture"])
    outputs = outputs_of(model, [arrays()[name] for name in network["inputs"]])
    assert len(outputs) == len(network["outputs"])
    for output, name in zip(outputs, network["outputs"], strict=True):
        np.testing.assert_allclose(output, arrays()[name], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("file", PICTURES if EVERY_FILE else PICTURES[::23])
def test_litert_runs_every_network_for_pictures(file: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{Path(file).suffix}"
    path.write_bytes(contents()[file])
    assert conversion.convert(loading.load_model(path), tmp_path).difference < 1e-5


def test_every_layer_that_keras_2_had_is_in_the_corpus() -> None:
    covered = {kind for network in NETWORKS for kind in network["layers"]}
    assert kinds.LAYERS.keys() - covered - {"InputLayer"} == NEW_IN_KERAS_3


def test_every_activation_that_keras_2_had_is_in_the_corpus() -> None:
    names = {network["name"] for network in NETWORKS}
    covered = {name for name in kinds.ACTIVATIONS if f"Conv2D-{name}" in names}
    assert kinds.ACTIVATIONS - covered == NEW_ACTIVATIONS


def test_every_function_with_a_rule_is_in_the_corpus() -> None:
    covered = {
        function.decode()
        for file, content in contents().items()
        if file.endswith(".h5")
        for function in re.findall(rb'"function": "([\w.]+)"', content)
    }
    assert keras2_functions.RULES.keys() <= covered


@pytest.mark.parametrize(
    "file",
    [
        "preprocess_input-mobilenet_v2.keras",
        "preprocess_input-resnet50.h5",
        "scaling-divide.h5",
        "scaling-mean-and-deviation.keras",
    ],
)
def test_scaling_by_tensorflow_functions_is_not_applied_twice(file: str, tmp_path: Path) -> None:
    """The inferred card gives the model pixels of 0 to 255."""
    (tmp_path / file).write_bytes(contents()[file])
    network = loading.load_model(tmp_path / file)
    seen = network.card.preprocessing
    photo = np.random.default_rng(0).integers(0, 256, (seen.height, seen.width, 3), np.uint8)
    expected = network.model.predict(photo[None].astype(np.float32), verbose=0)[0]
    given = cnnviz.predict(network, photo).probabilities
    np.testing.assert_allclose(given, expected, atol=1e-5)
