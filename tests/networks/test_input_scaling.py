"""The scaling that is inferred from a model's first operations: the answers are Keras's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import applications, layers, ops

import cnnviz
from cnnviz.errors import CardError
from cnnviz.networks import input_scaling
from cnnviz.networks.input_scaling import find_scaling

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*"),
]

SIZE = 12
IMAGENET = [123.68, 116.779, 103.939]


def tail(x: Any) -> Any:
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.BatchNormalization(name="normal")(x)
    return layers.Dense(3, "softmax", name="scores")(layers.GlobalAveragePooling2D()(x))


def network(first: Callable[[Any], Any], channels: int = 3, **kwargs: Any) -> keras.Model:
    """A model whose first steps are `first`."""
    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, channels), **kwargs)
    return keras.Model(image, tail(first(image)))


def split_and_joined(x: Any) -> Any:
    parts = [(x[..., c : c + 1] - mean) / 60.0 for c, mean in enumerate(IMAGENET)]
    return layers.Concatenate()(parts)


def shared_model(x: Any) -> Any:
    inner = keras.Input((SIZE, SIZE, 3))
    flipped = layers.RandomFlip()(inner)
    return keras.Model(inner, layers.Rescaling(1 / 127.5, -1)(flipped), name="steps")(x)


def adapted(span: float) -> Any:
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(1).uniform(0, span, (40, SIZE, SIZE, 3)))
    return layer


def seen_before(span: float) -> Callable[[Any], Any]:
    """A batch normalization that has seen pictures of 0 to `span`."""

    def first(x: Any) -> Any:
        layer = layers.BatchNormalization(name="first")
        y = layer(x)
        layer.moving_mean.assign([0.45 * span, 0.5 * span, 0.55 * span])
        layer.moving_variance.assign([(0.25 * span) ** 2] * 3)
        return y

    return first


# Those that take pixels as they are: 0 to 255.
SCALED_INSIDE: dict[str, Callable[[Any], Any]] = {
    "divided": lambda x: x / 255.0,
    "multiplied": lambda x: x * (1 / 255.0),
    "multiplied from the left": lambda x: (1 / 255.0) * x,
    "tf": applications.mobilenet_v2.preprocess_input,
    "torch": applications.densenet.preprocess_input,
    "caffe": applications.resnet50.preprocess_input,
    "mean subtracted": lambda x: x - np.array(IMAGENET, "float32"),
    "mean and deviation": lambda x: (x - 127.0) / 64.0,
    "inverted": lambda x: 1.0 - x / 255.0,
    "operations": lambda x: ops.subtract(ops.true_divide(x, 127.5), 1.0),
    "split by colour": split_and_joined,
    "rescaling": layers.Rescaling(1 / 255),
    "normalization": lambda x: layers.Normalization(mean=IMAGENET, variance=[3600.0] * 3)(x),
    "normalization adapted": lambda x: adapted(255)(x),
    "batch normalization": seen_before(255),
    "nested": shared_model,
    "nested sequential": lambda x: keras.Sequential([layers.Rescaling(1 / 255)])(x),
    "resized and padded": lambda x: layers.Resizing(9, 9)(layers.ZeroPadding2D(2)(x)) / 127.5 - 1.0,
    "augmented": lambda x: layers.RandomContrast(0.5)(layers.RandomRotation(0.3)(x)) / 255.0,
    "half precision": lambda x: ops.cast(ops.cast(x, "float16") / 255.0, "float32"),
    "clipped": lambda x: ops.relu(x / 127.5 - 1.0),
}
# Their constants fit 0 to 1, or −1 to 1, alone.
SCALED_BEFORE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "centred": ("unit", lambda x: x - 0.5),
    "twice": ("unit", lambda x: x * 2.0 - 1.0),
    "enlarged": ("unit", lambda x: x * 255.0),
    "enlarged caffe": ("unit", lambda x: applications.resnet50.preprocess_input(x * 255.0)),
    "normalization adapted": ("unit", lambda x: adapted(1)(x)),
    "batch normalization": ("unit", seen_before(1)),
    "moved": ("tf", lambda x: (x + 1.0) / 2.0),
    "moved and enlarged": ("tf", lambda x: (x + 1.0) * 127.5),
}
UNKNOWN: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda x: x,
    "a factor": lambda x: x * 2.0,
    "untrained normalization": lambda x: layers.BatchNormalization()(x),
    "identity": lambda x: layers.Rescaling(1.0)(x),
    "per picture": lambda x: x - ops.mean(x, axis=(1, 2, 3), keepdims=True),
    "two ways": lambda x: layers.Concatenate()([x / 255.0, x - 0.5]),
}


def resized(photo: np.ndarray) -> np.ndarray:
    """The photo in the size of the networks, (1, h, w, 3) of 0 to 255, by Pillow."""
    from PIL import Image

    picture = Image.fromarray(photo).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32)[None]


@pytest.mark.parametrize("name", SCALED_INSIDE)
def test_what_scales_inside_gets_pixels_as_they_are(name: str, photo: np.ndarray) -> None:
    model = network(SCALED_INSIDE[name])
    made = cnnviz.network(model)
    assert made.card.preprocessing.scaling == "none"
    expected = model.predict(resized(photo), verbose=0)[0]
    np.testing.assert_allclose(cnnviz.predict(made, photo).probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    "name", ["divided", "multiplied", "tf", "torch", "caffe", "mean subtracted", "nested"]
)
def test_a_saved_model_gives_the_answer_of_keras(
    name: str, ending: str, photo: np.ndarray, tmp_path: Path
) -> None:
    model = network(SCALED_INSIDE[name])
    model.save(tmp_path / f"net.{ending}")
    expected = model.predict(resized(photo), verbose=0)[0]
    made = cnnviz.load_model(tmp_path / f"net.{ending}")
    np.testing.assert_allclose(cnnviz.predict(made, photo).probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("name", SCALED_BEFORE)
def test_constants_that_fit_one_other_range_show_it(name: str) -> None:
    scaling, first = SCALED_BEFORE[name]
    assert find_scaling(network(first)) == scaling


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_it_cannot_be_told_there_is_no_answer(name: str, photo: np.ndarray) -> None:
    made = cnnviz.network(network(UNKNOWN[name]))
    assert made.card.preprocessing.scaling == "unknown"
    for ask in (cnnviz.predict, cnnviz.class_activation_map, cnnviz.explain):
        with pytest.raises(CardError, match="Name a preset .*unit, tf, torch"):
            ask(made, photo)
    with pytest.raises(CardError, match="Name a preset"):
        cnnviz.activations(made, photo, ["conv"])
    # What needs no photo is there.
    assert cnnviz.filters(made, "conv").kernels.shape[3] == 4


def test_a_logarithm_does_not_show_which_pixels_it_takes() -> None:
    """Plus one it looks as if it took −1 to 1; of what takes 0 to 255 as they are, it does."""
    assert find_scaling(network(lambda x: ops.log(x + 1))) is None
    assert find_scaling(network(lambda x: ops.tanh(x / 127.5 - 1))) == "none"


def test_a_preset_gives_the_answer_of_pixels_scaled_by_hand(photo: np.ndarray) -> None:
    model = network(UNKNOWN["nothing"])
    by_hand = {
        "none": resized(photo),
        "unit": resized(photo) / 255,
        "tf": resized(photo) / 127.5 - 1,
        "torch": applications.densenet.preprocess_input(resized(photo).copy()),
        "caffe": applications.resnet50.preprocess_input(resized(photo).copy()),
    }
    answers = []
    for preset, pixels in by_hand.items():
        made = cnnviz.network(model, preset=preset)
        answers.append(cnnviz.predict(made, photo).probabilities)
        np.testing.assert_allclose(answers[-1], model.predict(pixels, verbose=0)[0], atol=1e-5)
    assert all(not np.allclose(answers[0], other, atol=1e-3) for other in answers[1:])
    with pytest.raises(CardError, match="no preset 'vgg'. Choose from none, unit"):
        cnnviz.network(model, preset="vgg")


def test_whole_numbers_are_pixels_as_they_are(photo: np.ndarray) -> None:
    model = network(lambda x: ops.cast(x, "float32"), dtype="uint8")
    expected = model.predict(resized(photo).astype(np.uint8), verbose=0)[0]
    made = cnnviz.network(model)
    assert made.card.preprocessing.scaling == "none"
    np.testing.assert_allclose(cnnviz.predict(made, photo).probabilities, expected, atol=1e-5)


def test_a_chain_of_many_operations_is_not_run_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def doubled(x: Any) -> Any:
        for _ in range(40):
            x = layers.Add()([x, x])
        return x

    limited = functools.partial(input_scaling._Walk, left=3 * 5 * SIZE * SIZE * 3)
    monkeypatch.setattr(input_scaling, "_Walk", limited)
    runs: list[Any] = []
    run = input_scaling.run_in_inference
    monkeypatch.setattr(
        input_scaling, "run_in_inference", lambda *args: runs.append(1) or run(*args)
    )
    assert find_scaling(network(doubled)) is None
    assert len(runs) == 3 * 5


def test_grey_pictures_and_free_sizes_are_read_too() -> None:
    assert find_scaling(network(lambda x: x / 255.0, channels=1)) == "none"
    free = keras.Input((None, None, 3))
    assert find_scaling(keras.Model(free, tail(free / 127.5 - 1.0))) == "none"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scaling"),
    [
        ("EfficientNetB0", "none"),
        ("MobileNetV3Small", "none"),
        ("MobileNetV2", None),
    ],
)
def test_stock_architectures(name: str, scaling: str | None) -> None:
    build = getattr(applications, name)
    assert find_scaling(build(weights=None, input_shape=(64, 64, 3))) == scaling
