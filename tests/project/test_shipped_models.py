"""The shipped models and samples: their predictions for real pictures, and their cards."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import cnnviz
from cnnviz.cards import ModelCard, read_card
from cnnviz.evidence import mostly_against
from cnnviz.lessons.shortcut import marked
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.preprocessing import network_input, network_view
from cnnviz.photos.samples import samples
from cnnviz.storage import card_path
from scripts.make_small_samples import SIDE, small_picture

MODELS = Path(__file__).parents[2] / "models"
NAMES = (
    "cat_dog",
    "cat_dog_lesson",
    "cat_dog_shortcut",
    "imagenet_efficientnet_lite0",
    "mnist_cnn",
)
SAMPLES = {sample.name: sample for sample in samples()}


@pytest.fixture(scope="module")
def networks() -> dict[str, keras.Model]:
    return {name: keras.models.load_model(MODELS / f"{name}.keras") for name in NAMES}


def card(name: str) -> ModelCard:
    return read_card(card_path(MODELS / f"{name}.keras"))


def probabilities(networks: dict[str, keras.Model], name: str, photo: NDArray[np.uint8]) -> dict:
    """A network's probabilities for a photo, by label."""
    inputs = network_input(photo, card(name).preprocessing)
    values = networks[name](inputs, training=False).numpy()[0]
    return dict(zip(card(name).labels, values.tolist(), strict=True))


def probabilities_for_sample(networks: dict[str, keras.Model], name: str, sample: str) -> dict:
    return probabilities(networks, name, open_photo(SAMPLES[sample].path))


def test_every_model_has_a_card_and_the_other_way_round() -> None:
    assert {path.stem for path in MODELS.glob("*.keras")} == set(NAMES)
    assert {path.stem for path in MODELS.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_fits_the_network(networks: dict[str, keras.Model], name: str) -> None:
    network, model_card = networks[name], card(name)
    steps = model_card.preprocessing
    assert network.input_shape == (None, steps.height, steps.width, steps.channels)
    assert network.output_shape == (None, len(model_card.labels))
    assert len(set(model_card.labels)) == len(model_card.labels)
    assert model_card.training.accuracy
    assert not model_card.inferred
    suggested = model_card.suggested_layers
    for layer in [suggested.filters, suggested.cam, *suggested.activations]:
        network.get_layer(layer)
    assert len(network.get_layer(suggested.filters).kernel.shape) == 4
    assert len(network.get_layer(suggested.cam).output.shape) == 4


def test_efficientnet_lite0_is_the_one_of_the_paper(networks: dict[str, keras.Model]) -> None:
    network = networks["imagenet_efficientnet_lite0"]
    assert network.count_params() == 4_694_024
    assert len(network.layers) == 1 + 144


def test_cat_dog_is_its_base_finely_tuned(networks: dict[str, keras.Model]) -> None:
    base, network = networks["imagenet_efficientnet_lite0"], networks["cat_dog"]
    end = ["top_act", "avg_pool", "dropout", "predictions"]
    assert [layer.name for layer in network.layers[-4:]] == end
    moved = []
    for layer in network.layers[:-2]:
        base_layer = base.get_layer(layer.name)
        for mine, theirs in zip(layer.weights, base_layer.weights, strict=True):
            if isinstance(layer, keras.layers.BatchNormalization):
                np.testing.assert_array_equal(mine, theirs)
            else:
                moved.append(np.abs(mine.numpy() - theirs.numpy()).mean())
                assert moved[-1] < 0.1 * np.abs(theirs).mean()
    assert np.mean(moved) > 0


def test_cat_dog_lesson_has_the_shapes_of_the_lesson(networks: dict[str, keras.Model]) -> None:
    layers = networks["cat_dog_lesson"].layers
    kernels = {
        layer.name: layer.kernel.shape for layer in layers if isinstance(layer, keras.layers.Conv2D)
    }
    assert kernels == {
        "conv1": (3, 3, 3, 32),
        "conv2": (3, 3, 32, 64),
        "conv3": (3, 3, 64, 128),
        "conv4": (3, 3, 128, 128),
    }
    assert [layer.name for layer in layers[-3:]] == ["relu4", "average", "predictions"]
    assert layers[-3].output.shape == (None, 8, 8, 128)


def test_cat_dog_shortcut_looks_at_the_corner(networks: dict[str, keras.Model]) -> None:
    model_card = card("cat_dog_shortcut")
    for sample in ("chelsea", "dog", "owl"):
        photo = network_view(open_photo(SAMPLES[sample].path), model_card.preprocessing)
        square = marked(photo)
        assert probabilities(networks, "cat_dog_shortcut", photo)["cat"] > 0.9
        assert probabilities(networks, "cat_dog_shortcut", square)["dog"] > 0.99
    with_square, without, cats_with_square = model_card.training.accuracy
    assert with_square.value > 0.99
    assert without.value < 0.6
    assert cats_with_square.value < 0.01


def test_mnist_cnn_has_the_shapes_of_the_lesson(networks: dict[str, keras.Model]) -> None:
    layers = networks["mnist_cnn"].layers
    shapes = {layer.name: layer.output.shape[1:] for layer in layers[1:]}
    assert shapes == {
        "conv1": (26, 26, 32),
        "conv2": (24, 24, 64),
        "pool": (12, 12, 64),
        "dropout1": (12, 12, 64),
        "flatten": (9216,),
        "dense": (128,),
        "dropout2": (128,),
        "predictions": (10,),
    }


def test_the_small_pictures_are_those_of_the_samples() -> None:
    for sample in SAMPLES.values():
        photo = open_photo(sample.path)
        if sample.small == sample.path:
            assert max(photo.shape) < SIDE
            continue
        small, made = open_photo(sample.small), open_photo(small_picture(sample.path))
        assert small.shape == (SIDE, SIDE, 3)
        np.testing.assert_allclose(small.astype(float), made.astype(float), atol=3)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("chelsea", {"tiger cat": 0.385, "Egyptian Mau": 0.366, "tabby cat": 0.169}),
        ("coffee", {"espresso": 0.954}),
        ("camera", {"tripod": 0.937}),
        ("rocket", {"missile": 0.286, "projectile": 0.193}),
        ("palace", {"palace": 0.313}),
    ],
)
def test_imagenet_names_the_samples(
    networks: dict[str, keras.Model], sample: str, expected: dict[str, float]
) -> None:
    shares = probabilities_for_sample(networks, "imagenet_efficientnet_lite0", sample)
    first = sorted(shares, key=shares.__getitem__, reverse=True)[: len(expected)]
    assert first == list(expected)
    assert {label: shares[label] for label in first} == pytest.approx(expected, abs=0.01)


def test_cat_dog_recognises_chelsea_and_the_mirrored_chelsea(
    networks: dict[str, keras.Model],
) -> None:
    photo = open_photo(SAMPLES["chelsea"].path)
    assert probabilities(networks, "cat_dog", photo)["cat"] > 0.98
    assert probabilities(networks, "cat_dog", photo[:, ::-1])["cat"] > 0.98
    assert probabilities(networks, "cat_dog_lesson", photo)["cat"] > 0.5


def test_the_probability_of_the_coffee_in_the_document_is_measured(
    networks: dict[str, keras.Model],
) -> None:
    text = (MODELS / "README.md").read_text(encoding="utf-8")
    written = re.search(r"cup of coffee \(the sample\) as a dog, with ([0-9.]+)%", text)
    assert written
    dog = probabilities_for_sample(networks, "cat_dog", "coffee")["dog"]
    assert float(written[1]) == pytest.approx(100 * dog, abs=0.01)


@pytest.mark.parametrize("digit", range(10))
def test_mnist_reads_the_digits_in_both_polarities(
    networks: dict[str, keras.Model], digit: int
) -> None:
    photo = open_photo(SAMPLES[f"digit-{digit}"].path)
    for version in (photo, 255 - photo):
        shares = probabilities(networks, "mnist_cnn", version)
        assert max(shares, key=shares.__getitem__) == str(digit)
        assert shares[str(digit)] > 0.9


def test_every_sample_suits_a_shipped_model_and_names_its_origin() -> None:
    notes = (SAMPLES["chelsea"].path.parent / "README.md").read_text(encoding="utf-8")
    for sample in SAMPLES.values():
        assert sample.path.stat().st_size < 300_000
        assert set(sample.models) <= set(NAMES)
        assert sample.models
        assert sample.source
        assert sample.licence
        assert sample.path.name in notes or sample.path.name.startswith("digit_")
    assert {model for sample in SAMPLES.values() for model in sample.models} == set(NAMES)


def test_the_cards_of_what_was_trained_here_hold_what_was_measured() -> None:
    for name in ("cat_dog", "cat_dog_lesson", "mnist_cnn"):
        training = card(name).training
        assert training.confusion is not None
        counts = np.array(training.confusion.counts)
        assert training.accuracy[0].on == training.confusion.on
        assert training.accuracy[0].value == round(counts.trace() / counts.sum(), 4)
        assert "python -m cnnviz train" in card(name).source


def test_grad_cam_speaks_against_most_digits_and_hires_cam_for_each(
    networks: dict[str, keras.Model],
) -> None:
    """Both maps from the gradient of the dense weights, in NumPy, for the ten sample digits."""
    model, network = networks["mnist_cnn"], cnnviz.load_model(MODELS / "mnist_cnn.keras")
    hidden, hidden_bias = model.get_layer("dense").get_weights()
    kernel, bias = model.get_layer("predictions").get_weights()
    to_pool = keras.Model(model.input, model.get_layer("pool").output)
    against = []
    for digit in range(10):
        photo = open_photo(SAMPLES[f"digit-{digit}"].path)
        maps = to_pool(network_input(photo, network.card.preprocessing)).numpy()[0]
        units = maps.ravel() @ hidden + hidden_bias
        gradient = (hidden @ (kernel[:, digit] * (units > 0))).reshape(maps.shape)
        logit = np.maximum(units, 0) @ kernel[:, digit] + bias[digit]
        of_cells = cnnviz.class_activation_map(network, photo)
        of_means = cnnviz.class_activation_map(network, photo, method="grad-cam")
        assert (of_cells.method, of_cells.layer, of_cells.target) == (
            "hires-cam",
            "pool",
            str(digit),
        )
        np.testing.assert_allclose(of_cells.values, (maps * gradient).sum(axis=-1), atol=1e-4)
        np.testing.assert_allclose(of_means.values, maps @ gradient.mean(axis=(0, 1)), atol=1e-4)
        # What the cells lack to the logit are the biases of the units.
        assert of_cells.values.sum() == pytest.approx(logit, rel=0.05)
        assert not mostly_against(of_cells.values)
        if mostly_against(of_means.values):
            against.append(digit)
            assert of_means.values.max() < 0.2 * -of_means.values.min()
    assert against == [0, 1, 2, 4, 5, 6, 7, 9]
