"""Teachable Machine's export: its class names, its preprocessing, and the archive it comes in."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image, ImageOps

import cnnviz
from cnnviz.cards import read_class_names, write_card
from cnnviz.errors import RefusedModelError
from cnnviz.inspection.model_archives import decode_labels
from cnnviz.networks import loading

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*"),
]

SIZE = 24


def exported(kind: str = "teachable machine") -> keras.Model:
    """A model of the layers of such an export, with a backbone of one convolution."""
    keras.utils.set_random_seed(4)
    image = keras.Input((SIZE, SIZE, 3), name="input_1")
    maps = layers.Conv2D(8, 3, activation="relu", name="Conv1")(layers.ZeroPadding2D()(image))
    backbone = keras.Model(image, maps, name="model1")
    seen = [backbone, layers.GlobalAveragePooling2D()]
    scores = [
        layers.Dense(9, "relu"),
        layers.Dense(2, "softmax", use_bias=False, kernel_initializer="normal"),
    ]
    if kind == "flat":
        return keras.Sequential([*seen, *scores])
    return keras.Sequential([keras.Sequential(seen), keras.Sequential(scores)])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """``converted_keras.zip``."""
    exported().save(tmp_path / "keras_model.h5")
    path = tmp_path / "download" / "converted_keras.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        written.write(tmp_path / "keras_model.h5", "keras_model.h5")
        written.writestr("labels.txt", "0 cats\n1 big dogs\n")
    return path


def answer_of_its_program(model: Any, photo: np.ndarray) -> np.ndarray:
    """What the program that the export shows gives for a photo."""
    fitted = ImageOps.fit(Image.fromarray(photo), (SIZE, SIZE), Image.Resampling.LANCZOS)
    pixels = np.asarray(fitted).astype(np.float32) / 127.5 - 1
    return model.predict(pixels[None], verbose=0)[0]


@pytest.mark.parametrize("trusted", [False, True])
def test_the_archive_gives_the_answer_of_its_program(
    archive: Path, photo: np.ndarray, trusted: bool
) -> None:
    network = cnnviz.load_model(archive, trusted=trusted)
    assert network.card.labels == ["cats", "big dogs"]
    assert network.card.title == "converted_keras"
    assert network.card.inferred
    assert network.path == archive
    expected = answer_of_its_program(exported(), photo)
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, expected, atol=1e-5)
    upright = np.ascontiguousarray(photo.transpose(1, 0, 2))
    expected = answer_of_its_program(exported(), upright)
    np.testing.assert_allclose(cnnviz.predict(network, upright).probabilities, expected, atol=1e-5)
    assert cnnviz.class_activation_map(network, photo, "big dogs").values.shape == (SIZE, SIZE)


def test_labels_beside_a_model_are_its_class_names(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "keras_model.h5"
    exported().save(path)
    (tmp_path / "labels.txt").write_text("0 Katzen\n1 Hühner\n", encoding="utf-8-sig")
    network = cnnviz.load_model(path)
    assert network.card.labels == ["Katzen", "Hühner"]
    expected = answer_of_its_program(exported(), photo)
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, expected, atol=1e-5)
    # A card has priority over it.
    card = network.card.model_copy(update={"labels": ["one", "two"], "inferred": False})
    write_card(card, tmp_path / "keras_model.json")
    assert cnnviz.load_model(path).card == card


@pytest.mark.parametrize("text", ["0 cats\n", "cats\ncats\n", "a\nb\nc\n", "x" * 300 + "\ny\n", ""])
def test_names_that_do_not_fit_are_not_used(tmp_path: Path, text: str) -> None:
    exported().save(tmp_path / "net.keras")
    (tmp_path / "labels.txt").write_text(text)
    card = cnnviz.load_model(tmp_path / "net.keras").card
    assert card.labels == ["class 0", "class 1"]
    if 0 < len(text) < 300:
        assert "The names of labels.txt are not used" in card.description


def test_other_layers_are_not_taken_for_its_own(tmp_path: Path) -> None:
    """Labels alone do not show the values that a network takes."""
    exported("flat").save(tmp_path / "net.keras")
    (tmp_path / "labels.txt").write_text("0 cats\n1 dogs\n")
    card = cnnviz.load_model(tmp_path / "net.keras").card
    assert card.labels == ["cats", "dogs"]
    assert card.preprocessing.scaling == "unknown"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0 cats\n1 dogs\n", ["cats", "dogs"]),
        ("cats\r\ndogs\r\n\r\n", ["cats", "dogs"]),
        # Not numbers of the lines: the names begin with them.
        ("7 up\n8 ball\n", ["7 up", "8 ball"]),
        ("0\n1\n", ["0", "1"]),
        ("0 \tcats  and\tkittens\n", ["cats and kittens"]),
        ("cat\x1b[31ms\n", ["cat[31ms"]),
    ],
)
def test_the_lines_of_labels(text: str, names: list[str]) -> None:
    assert read_class_names(text) == names


def test_several_models_are_named(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive, "a") as written:
        written.write(tmp_path / "keras_model.h5", "old/second\x1b.h5")
    with pytest.raises(RefusedModelError) as caught:
        cnnviz.load_model(archive)
    assert str(caught.value) == (
        "converted_keras.zip is refused. The ZIP file holds several models: keep one, or give its "
        "file by itself. It holds keras_model.h5, old/second\ufffd.h5."
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_text_of_labels_is_read_in_the_encodings_of_windows(encoding: str) -> None:
    assert decode_labels("0 café\n1 Hühner\n".encode(encoding)) == "0 café\n1 Hühner\n"


def test_labels_that_are_a_pipe_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.txt")
    assert loading._labels_beside(tmp_path / "model.keras") == ""
