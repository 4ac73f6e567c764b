"""Loading: the same answers after saving, cards, and everything that is no model."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import models
from corpus import networks as n

import cnnviz
from cnnviz.cards import write_card
from cnnviz.errors import CardError, LayerError, ModelError, RefusedModelError
from cnnviz.networks import keras_models
from cnnviz.networks.keras_models import describe_model
from cnnviz.networks.loading import with_card

Tiny = Callable[[str], Any]

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def dense_tail(*inputs: Any) -> Any:
    from keras import layers

    x = layers.GlobalAveragePooling2D()(inputs[0])
    return layers.Dense(2, "softmax")(x)


# --- Saved and loaded -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["flat", "nested_functional", "shared_layer", "mixed_precision", "augmented"]
)
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file.*")
def test_a_saved_network_gives_the_same_answers(
    tiny: Tiny, photo: np.ndarray, tmp_path: Path, name: str, ending: str
) -> None:
    network = tiny(name)
    path = tmp_path / f"net.{ending}"
    network.model.save(path)
    write_card(network.card, tmp_path / "net.json")
    loaded = cnnviz.load_model(path)
    assert loaded.card == network.card
    assert loaded.path == path
    assert loaded.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [info.path for info in loaded.layers] == [info.path for info in network.layers]
    np.testing.assert_allclose(
        cnnviz.predict(loaded, photo).probabilities,
        cnnviz.predict(network, photo).probabilities,
        rtol=1e-5,
    )
    before, after = (cnnviz.class_activation_map(each, photo, "dog") for each in (network, loaded))
    assert (after.method, after.layer, after.target) == ("cam", before.layer, "dog")
    np.testing.assert_allclose(after.values, before.values, rtol=1e-4, atol=1e-6)


def test_without_a_card_one_is_inferred_and_marked(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "birds.keras"
    tiny("flat").model.save(path)
    card = cnnviz.load_model(path).card
    assert card.inferred
    assert card.title == "birds"
    assert "inferred" in card.description
    assert card.labels == ["class 0", "class 1", "class 2"]
    size = card.preprocessing
    assert (size.height, size.width, size.channels, size.scaling) == (12, 12, 3, "unknown")


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("rescaled", "scaling", "none"),
        ("augmented", "scaling", "none"),
        ("normalised", "scaling", "none"),
        ("grey", "channels", 1),
        ("four_channels", "channels", 4),
        ("channels_first", "channels", 3),
        ("channels_first", "width", 14),
        ("wide", "width", 14),
        ("wide", "height", 8),
        ("free_size", "height", 224),
        ("free_size", "width", 224),
    ],
)
def test_the_inferred_preprocessing(tiny: Tiny, name: str, field: str, value: Any) -> None:
    card = cnnviz.network(tiny(name).model).card
    assert getattr(card.preprocessing, field) == value


def test_an_inferred_card_of_several_outputs_is_that_of_the_first_row_of_scores(
    tiny: Tiny,
) -> None:
    card = cnnviz.network(tiny("several_outputs").model).card
    assert card.labels == ["class 0", "class 1", "class 2"]
    assert card.output is None


@pytest.mark.parametrize("name", ["one_sigmoid", "two_classes", "one_sigmoid_map"])
def test_one_unit_and_two_units_both_represent_two_classes(tiny: Tiny, name: str) -> None:
    assert cnnviz.network(tiny(name).model).card.labels == ["class 0", "class 1"]


def test_the_structure_is_worked_out_once_per_load(
    tiny: Tiny, photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny("channels_first").model.save(tmp_path / "net.keras")
    calls: list[Any] = []
    monkeypatch.setattr(
        keras_models, "describe_model", lambda model: calls.append(model) or describe_model(model)
    )
    network = cnnviz.load_model(tmp_path / "net.keras")
    cnnviz.outline(network)
    cnnviz.predict(network, photo)
    cnnviz.activations(network, photo, [info.path for info in network.layers if info.spatial])
    cnnviz.class_activation_map(network, photo, method="grad-cam")
    renamed = with_card(network, network.card.model_copy(update={"title": "another"}))
    assert renamed.structure is network.structure
    assert len(calls) == 1


# --- Too many classes -----------------------------------------------------------------------


@pytest.mark.parametrize(("width", "fits"), [(256, True), (257, False)])
def test_at_most_65536_classes_are_shown(width: int, fits: bool) -> None:
    """A file of a few KB may declare millions: each would have a name, and a probability."""
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((256, width, 1)), layers.Flatten(), layers.Softmax()])
    if fits:
        assert len(cnnviz.network(model).card.labels) == 65_536
        return
    with pytest.raises(ModelError, match="has 65,792 outputs, and .* at most 65,536 classes"):
        cnnviz.network(model)


# --- Cards that do not fit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ["cat", "dog"]}, "labels: there are 2, but the model has 3 outputs"),
        (
            {"preprocessing": {"height": 24, "width": 12}},
            "preprocessing: height, width and channels are (24, 12, 3), but the model takes "
            "(12, 12, 3)",
        ),
        ({"preprocessing": {"height": 12, "width": 12, "channels": 1}}, "are (12, 12, 1)"),
        (
            {"suggested_layers": {"cam": "conv9"}},
            "suggested_layers: the model has no layer 'conv9'",
        ),
        ({"suggested_layers": {"activations": ["conv1", "x"]}}, "no layer 'x'"),
        ({"title": ""}, "title: string should have at least 1 character"),
    ],
)
def test_a_card_that_does_not_fit_names_its_file_and_the_field(
    tiny: Tiny, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    network = tiny("flat")
    network.model.save(tmp_path / "net.keras")
    data = network.card.model_dump() | changes
    (tmp_path / "net.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CardError, match=re.escape(problem)) as error:
        cnnviz.load_model(tmp_path / "net.keras")
    assert str(error.value).startswith("The card net.json needs a correction.")


def test_the_card_of_a_model_in_memory_is_named_by_its_title(tiny: Tiny) -> None:
    network = tiny("flat")
    wrong = network.card.model_copy(update={"labels": ["cat"]})
    with pytest.raises(CardError, match="The card 'A tiny network' needs a correction"):
        cnnviz.network(network.model, wrong)


def test_a_network_of_free_size_takes_any_size_from_its_card(fresh: Any, photo: Any) -> None:
    network = fresh("free_size", preprocessing={"height": 10, "width": 14})
    assert cnnviz.activations(network, photo, ["conv1"])["conv1"].shape == (10, 14, 4)


# --- What is no model -----------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model file at .*none\.keras"):
        cnnviz.load_model(tmp_path / "none.keras")
    with pytest.raises(RefusedModelError, match="This is a folder: give the .keras or .h5 file"):
        cnnviz.load_model(str(tmp_path))


def truncated(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: len(whole) // 2])


def text(path: Path, whole: bytes) -> None:
    path.write_text("not a model", encoding="utf-8")


def empty(path: Path, whole: bytes) -> None:
    path.write_bytes(b"")


def another_archive(path: Path, whole: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing here")


def without_weights(path: Path, whole: bytes) -> None:
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if "weights" not in name}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in kept.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("spoil", [truncated, text, empty, another_archive, without_weights])
@pytest.mark.parametrize("ending", ["keras", "h5", "txt"])
def test_a_file_that_is_no_model_is_refused_with_a_message(
    tiny: Tiny, tmp_path: Path, spoil: Callable[[Path, bytes], None], ending: str
) -> None:
    tiny("flat").model.save(tmp_path / "whole.keras")
    path = tmp_path / f"broken.{ending}"
    spoil(path, (tmp_path / "whole.keras").read_bytes())
    with pytest.raises(RefusedModelError, match=f"broken.{ending} is refused. Th(is|e) ") as error:
        cnnviz.load_model(path)
    assert str(tmp_path) not in str(error.value)
    with pytest.raises(ModelError, match=f"broken.{ending} cannot be loaded") as error:
        cnnviz.load_model(path, trusted=True)
    assert str(tmp_path) not in str(error.value)


def test_code_in_a_model_is_not_run(tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    scaled = layers.Lambda(lambda x: x / 255)(image)
    keras.Model(image, dense_tail(scaled)).save(tmp_path / "code.keras")
    with pytest.raises(RefusedModelError, match="has a Lambda layer") as refused:
        cnnviz.load_model(tmp_path / "code.keras")
    assert refused.value.code == "lambda-code"
    with pytest.raises(ModelError, match="needs code of its own"):
        cnnviz.load_model(tmp_path / "code.keras", trusted=True)


def test_a_registered_custom_class_loads_if_trusted(tmp_path: Path, photo: Any) -> None:
    import keras
    from keras import layers

    @keras.saving.register_keras_serializable("cnnviz_test")
    class Twice(layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    image = keras.Input((8, 8, 3))
    keras.Model(image, dense_tail(Twice()(image))).save(tmp_path / "own.keras")
    with pytest.raises(RefusedModelError, match="uses a class of its own"):
        cnnviz.load_model(tmp_path / "own.keras")
    network = cnnviz.load_model(tmp_path / "own.keras", trusted=True, preset="unit")
    assert cnnviz.predict(network, photo).probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_nested_normalization_keeps_its_mean(tmp_path: Path, ending: str) -> None:
    import keras
    from keras import layers

    norm = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])
    inner = keras.Sequential([keras.Input((8, 8, 3)), norm], name="inner")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, dense_tail(inner(image)))
    model.save(tmp_path / f"nested{ending}")
    network = cnnviz.load_model(tmp_path / f"nested{ending}")
    pixels = np.random.default_rng(3).uniform(0, 9, (1, 8, 8, 3)).astype(np.float32)
    normal = (pixels - np.array([1, 2, 3])) / np.sqrt(np.array([4, 5, 6]))
    actual = network.model.get_layer("inner")(pixels)
    np.testing.assert_allclose(actual, normal, atol=1e-5)


def test_the_model_inside_a_multi_gpu_file_is_extracted(tmp_path: Path) -> None:
    path = tmp_path / "eight_cards.h5"
    path.write_bytes(n.hdf5_file(n.multi_gpu(cards=8), models.multi_gpu_weights()))
    with pytest.raises(RefusedModelError, match="the real model is inside it"):
        cnnviz.load_model(path)
    inner = cnnviz.extract_model(path)
    np.testing.assert_allclose(inner.model(n.PICTURES), n.answer(), atol=1e-5)
    assert cnnviz.extract_model(path, inner.model.name).layers == inner.layers
    with pytest.raises(LayerError, match=f"no model 'other' inside.*{inner.model.name}"):
        cnnviz.extract_model(path, "other")


# --- Models of another kind -----------------------------------------------------------------


def unbuilt() -> Any:
    import keras
    from keras import layers

    return keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])


def two_inputs() -> Any:
    import keras
    from keras import layers

    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return keras.Model(images, dense_tail(layers.Add()(images)))


def no_scores() -> Any:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    return keras.Model(image, layers.Reshape((6, 2))(layers.Dense(12)(layers.Flatten()(image))))


def row_in() -> Any:
    import keras
    from keras import layers

    row = keras.Input((8,))
    return keras.Model(row, layers.Dense(2)(row))


def text_in() -> Any:
    import keras
    from keras import layers

    words = keras.Input((20,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(words))
    return keras.Model(words, layers.Dense(2)(x))


def sound_in() -> Any:
    import keras
    from keras import layers

    samples = keras.Input((400, 1))
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(2, 9)(samples))
    return keras.Model(samples, layers.Dense(2)(x))


def volume_in() -> Any:
    import keras
    from keras import layers

    volume = keras.Input((8, 8, 8, 1))
    x = layers.GlobalAveragePooling3D()(layers.Conv3D(2, 3)(volume))
    return keras.Model(volume, layers.Dense(2)(x))


def five_channels() -> Any:
    import keras

    image = keras.Input((8, 8, 5))
    return keras.Model(image, dense_tail(image))


def layout_unclear() -> Any:
    """The pooling reads channels last, and there are eight."""
    import keras

    image = keras.Input((3, 8, 8))
    return keras.Model(image, dense_tail(image))


def huge() -> Any:
    import keras

    image = keras.Input((5000, 8, 3))
    return keras.Model(image, dense_tail(image))


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (unbuilt, "was never built"),
        (two_inputs, "that take one picture.*several inputs.*8, 8, 3.*8, 8, 3"),
        (no_scores, r"an output of \(batch, classes\).*gives \(None, 6, 2\)"),
        (row_in, r"that take one picture.*text, sound, tables.*takes \(None, 8\)"),
        (text_in, "that take one picture.*text, sound, tables"),
        (sound_in, "that take one picture.*text, sound, tables"),
        (volume_in, "that take one picture.*video or volumes"),
        (five_channels, r"of 1 channel \(grey\), 3 \(RGB\) or 4.*8, 8, 5"),
        (layout_unclear, r"of 1 channel \(grey\), 3 \(RGB\) or 4.*3, 8, 8"),
        (huge, "at most 4096 pixels a side"),
    ],
)
def test_a_model_of_another_kind_is_refused_with_a_message(
    build: Callable[[], Any], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        cnnviz.network(build())


def test_a_name_that_cannot_run_is_refused_and_an_underscore_is_not() -> None:
    import keras

    def named(name: str) -> keras.Model:
        image = keras.Input((4, 4, 1))
        maps = keras.layers.Conv2D(2, 3, name=name)(image)
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps))

    with pytest.raises(ModelError, match="cannot run a layer named 'a b'"):
        cnnviz.network(named("a b"))
    photo = np.zeros((4, 4, 3), np.uint8)
    assert cnnviz.predict(
        cnnviz.network(named("_maps"), preset="unit"), photo
    ).probabilities.sum() == pytest.approx(1)
