"""The networks of the recipes: their parameters by hand, and what can be seen in them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.cards import ModelCard, Preprocessing, Training
from cnnviz.networks import passes
from cnnviz.training.architectures import BUILDERS, freeze
from cnnviz.training.recipes import RECIPES
from cnnviz.training.result_card import suggested_layers

# Networks, each with the first recipe that uses it.
NAME_OF = {build: name for name, build in reversed(BUILDERS.items())}


def shape_of(name: str) -> tuple[int, int, int]:
    side = RECIPES[name].sides[0]
    return side, side, RECIPES[name].channels or 3


def network_of(name: str, model: Any, classes: int) -> Any:
    height, width, channels = shape_of(name)
    recipe = RECIPES[name]
    card = ModelCard(
        title="New",
        description="Untrained.",
        labels=[f"class {index}" for index in range(classes)],
        preprocessing=Preprocessing(
            height=height, width=width, channels=channels, scaling=recipe.scaling
        ),
        training=Training(data="none", split="none"),
        licence="MIT",
        source="made for tests",
        suggested_layers=suggested_layers(recipe),
    )
    return cnnviz.network(model, card)


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    """Each network at its smallest input, with three classes; two recipes share one network."""
    models = {build: build(shape_of(name), 3) for build, name in NAME_OF.items()}
    return {name: models[build] for name, build in BUILDERS.items()}


@pytest.mark.parametrize("name", BUILDERS)
def test_photos_in_probabilities_out(built: dict[str, Any], name: str) -> None:
    model = built[name]
    photos = np.random.default_rng(0).uniform(0, 1, (2, *shape_of(name))).astype(np.float32)
    photos *= 255 if RECIPES[name].scaling == "none" else 1
    probabilities = np.asarray(model(photos, training=False))
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert not np.allclose(probabilities[0], probabilities[1], atol=1e-7)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_suggested_layers_are_there(built: dict[str, Any], name: str) -> None:
    layers = RECIPES[name].layers
    names = {layer.name for layer in built[name].layers}
    assert {layers.filters, *layers.activations, layers.cam} <= names
    assert built[name].get_layer(layers.filters).kernel is not None


def test_parameters_of_the_digits_network_by_hand() -> None:
    model = BUILDERS["lesson-mnist"]((28, 28, 1), 10)
    # 28 -> 26 -> 24, halved 12; 12 · 12 · 64 = 9216.
    expected = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64 + (9216 + 1) * 128 + (128 + 1) * 10
    assert expected == 1_199_882
    assert model.count_params() == expected


def test_parameters_of_tiny_vgg_by_hand() -> None:
    model = BUILDERS["tiny-vgg"]((64, 64, 3), 10)
    # 64 -> 62 -> 60, halved 30, -> 28 -> 26, halved 13; 13 · 13 · 10 = 1690.
    expected = (9 * 3 + 1) * 10 + 3 * (9 * 10 + 1) * 10 + (1690 + 1) * 10
    assert model.count_params() == expected == 19_920


def test_parameters_of_the_cam_network_by_hand(built: dict[str, Any]) -> None:
    sides = (3, 32, 64, 128, 128)
    convolutions = sum(9 * a * b for a, b in itertools.pairwise(sides))
    normalisations = 4 * sum(sides[1:])
    assert built["lesson-cam"].count_params() == convolutions + normalisations + 129 * 3
    assert built["lesson-cam"].get_layer("relu4").output.shape == (None, 4, 4, 128)


@pytest.mark.parametrize("name", ["lesson-cam", "transfer"])
def test_the_class_activation_map_is_computed_from_the_dense_weights(
    built: dict[str, Any], name: str
) -> None:
    model = built[name]
    network = network_of(name, model, 3)
    assert "cam" in cnnviz.methods(network)
    photo = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cam = cnnviz.class_activation_map(network, photo, target=1, method="cam")
    # Its mean, with the bias, is the logit.
    scores = model.get_layer("predictions")
    logit = cnnviz.predict(network, photo).logits[1]
    bias = float(np.asarray(scores.bias)[1])
    np.testing.assert_allclose(cam.values.mean() + bias, logit, rtol=1e-4, atol=1e-5)
    assert cam.layer == RECIPES[name].layers.cam


@pytest.mark.parametrize("name", ["lesson-mnist", "tiny-vgg"])
def test_networks_with_flattened_maps_have_none(built: dict[str, Any], name: str) -> None:
    network = network_of(name, built[name], 3)
    assert passes.facts(network).head.activation == "softmax"
    assert "cam" not in cnnviz.methods(network)


def test_transfer_starts_from_the_shipped_weights(built: dict[str, Any]) -> None:
    import keras

    from cnnviz.settings import ROOT

    shipped = keras.saving.load_model(
        ROOT / "models" / "imagenet_efficientnet_lite0.keras", compile=False
    )
    for name in ("stem_conv", "top_conv"):
        np.testing.assert_array_equal(
            built["transfer"].get_layer(name).kernel, shipped.get_layer(name).kernel
        )


def test_transfer_without_the_shipped_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from cnnviz.errors import ModelError
    from cnnviz.training import architectures

    monkeypatch.setattr(architectures, "BACKBONE", tmp_path / "nothing.keras")
    with pytest.raises(ModelError, match="starts from .*nothing.keras, which is not there"):
        BUILDERS["transfer"]((224, 224, 3), 2)


def test_frozen_only_the_new_dense_layer_learns(built: dict[str, Any]) -> None:
    model = built["transfer"]
    freeze(model, all_but_scores=True)
    scores = model.get_layer("predictions")
    assert [id(v) for v in model.trainable_variables] == [id(scores.kernel), id(scores.bias)]
    freeze(model, all_but_scores=False)
    assert all(
        layer.trainable != (type(layer).__name__ == "BatchNormalization") for layer in model.layers
    )
    tuned = {id(variable) for variable in model.trainable_variables}
    assert {id(scores.kernel), id(model.get_layer("stem_conv").kernel)} <= tuned


def test_normalisations_of_transfer_stay_as_they_are(built: dict[str, Any]) -> None:
    model = built["transfer"]
    freeze(model, all_but_scores=False)
    before = [np.asarray(v) for v in model.non_trainable_variables]
    photos = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 3)).astype(np.float32)
    model(photos, training=True)
    changed = [
        variable.path
        for variable, value in zip(model.non_trainable_variables, before, strict=True)
        if "moving" in variable.path and not np.array_equal(variable, value)
    ]
    assert not changed
