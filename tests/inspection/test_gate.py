"""The gate: an accepted file computes the same, a refused one leaves no file behind.

The files come from `corpus/`; most tests here need no Keras.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import random
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from corpus import models, mutations
from corpus import networks as n
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.errors import ModelError, RefusedModelError
from cnnviz.inspection import configs, gate, keras2, kinds, limits, strict_json, weights
from cnnviz.inspection.refusals import REASONS, refusal, refusing

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LOADING = [one for one in models.CASES if one.expected == models.LOADS]
REFUSED = [one for one in models.CASES if one.expected != models.LOADS]


def _id(one: models.Case) -> str:
    return one.name


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty at first."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refusal_of(path: Path) -> RefusedModelError:
    with pytest.raises(RefusedModelError) as caught:
        gate.inspect_model(path)
    return caught.value


def code_of(path: Path) -> str:
    return refusal_of(path).code


# --- Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("one", REFUSED, ids=_id)
def test_a_bad_file_is_refused_with_its_code(
    one: models.Case, tmp_path: Path, temporary: Path
) -> None:
    path = one.write(tmp_path)
    before = open_files()
    error = refusal_of(path)
    assert error.code == one.expected
    assert str(error).startswith(REASONS[one.expected])
    assert isinstance(error, ModelError)
    assert list(temporary.iterdir()) == []
    assert open_files() == before


def open_files() -> int:
    """How many files this process has open; 0 where the system has no such list."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_a_file_of_more_than_2_gb(tmp_path: Path) -> None:
    path = tmp_path / "large.keras"
    path.write_bytes(n.keras_file())
    os.truncate(path, limits.MAX_FILE_BYTES + 1)
    assert code_of(path) == "too-large"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert code_of(tmp_path / "model.keras") == "not-a-model"
    folder = tmp_path / "model"
    folder.mkdir()
    assert code_of(folder) == "folder"
    (folder / "saved_model.pb").touch()
    assert code_of(folder) == "saved-model"


def test_every_code_has_a_case_and_every_case_a_name_of_its_own() -> None:
    others = {"folder", "too-large", "unreadable"}
    assert {one.expected for one in REFUSED} | others == set(REASONS)
    assert len({one.name for one in models.CASES}) == len(models.CASES)
    assert len(models.CASES) >= 60


def test_a_reason_is_one_plain_sentence() -> None:
    for code, sentence in REASONS.items():
        assert sentence[0].isupper(), code
        assert sentence.endswith("."), code
        assert ". " not in sentence, code
        assert len(sentence) < 200, code
        assert code == code.lower().replace(" ", "-").replace("_", "-")


def test_a_refusal_inside_keeps_its_own_code() -> None:
    with pytest.raises(RefusedModelError) as caught, refusing("damaged-weights"):
        gate.inspect_model(Path("nowhere"))
    assert caught.value.code == "not-a-model"


def test_the_code_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(refusal("lambda-code")))  # noqa: S301 - our own bytes
    assert (error.code, str(error)) == ("lambda-code", REASONS["lambda-code"])


# --- What is accepted -------------------------------------------------------------------------


def load(path: Path, inspection: gate.Inspection, folder: Path) -> Any:
    """The copy, as Keras loads it."""
    import keras

    target = folder / f"copy{inspection.suffix}"
    gate.write_sanitised(path, inspection, target)
    return keras.saving.load_model(target, compile=False, safe_mode=True)


def scores(model: Any, pictures: Any = n.PICTURES) -> Any:
    return np.asarray(model(pictures, training=False), dtype="float32")


@pytest.mark.parametrize("one", LOADING, ids=_id)
def test_a_good_file_loads_and_gives_the_scores_worked_out_in_numpy(
    one: models.Case, tmp_path: Path, temporary: Path
) -> None:
    import keras

    path = one.write(tmp_path)
    before = keras.config.floatx(), keras.config.dtype_policy().name, keras.config.backend()
    inspection = gate.inspect_model(path)
    model = load(path, inspection, tmp_path)
    np.testing.assert_allclose(scores(model), n.answer(), atol=one.tolerance)
    assert inspection.parameters == 127
    assert model.count_params() == 127
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before[:2]
    assert keras.config.backend() == before[2]
    assert list(temporary.iterdir()) == []


def test_the_numpy_oracle_equals_plain_loops() -> None:
    """The network of the corpus against a definition by plain loops."""
    picture, (height, width) = n.PICTURES[0], (6, 6)
    total = np.zeros(4)
    for y in range(height):
        for x in range(width):
            for k in range(4):
                value = float(n.BIAS[k])
                for i in range(3):
                    for j in range(3):
                        for c in range(3):
                            value += float(picture[y + i, x + j, c]) * float(n.KERNEL[i, j, c, k])
                total[k] += max(value, 0) / (height * width)
    logits = total @ n.DENSE + n.DENSE_BIAS
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(n.answer()[0], expected, atol=1e-6)


def test_what_an_inspection_returns(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(n.keras_file())
    inspection = gate.inspect_model(path)
    assert (inspection.format, inspection.suffix, inspection.keras_version) == (
        "keras",
        ".keras",
        "3.15.1",
    )
    layers = {"InputLayer": 1, "Conv2D": 1, "GlobalAveragePooling2D": 1, "Dense": 1}
    assert inspection.kinds == layers | {"Sequential": 1}
    assert inspection.config["config"]["layers"][1]["config"]["filters"] == 4


def test_a_version_that_is_none_is_not_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(n.keras_file(metadata='{"keras_version": "<script>3.0</script>"}'))
    assert gate.inspect_model(path).keras_version == ""


def test_a_keras_2_file_has_its_version(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(n.hdf5_file())
    inspection = gate.inspect_model(path)
    assert (inspection.format, inspection.suffix, inspection.keras_version) == (
        "hdf5",
        ".h5",
        "2.2.4",
    )
    assert inspection.arrays["scores"] == (
        "model_weights/scores/scores/kernel:0",
        "model_weights/scores/scores/bias:0",
    )


# --- The copy ---------------------------------------------------------------------------------


def sanitised(data: bytes, folder: Path, inspect: Any = gate.inspect_model) -> Path:
    path = folder / "original"
    path.write_bytes(data)
    inspection = inspect(path)
    target = folder / f"copy{inspection.suffix}"
    gate.write_sanitised(path, inspection, target)
    return target


def test_a_copy_holds_the_model_and_nothing_else(tmp_path: Path) -> None:
    one = next(one for one in LOADING if one.name == "with-the-state-of-an-optimizer")
    with zipfile.ZipFile(sanitised(one.make(), tmp_path)) as archive:
        assert set(archive.namelist()) == {"config.json", "metadata.json", "model.weights.h5"}
        config = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            arrays: dict[str, Any] = {}
            file.visititems(lambda name, item: arrays.update({name: item}))
            values = {
                name: item[()] for name, item in arrays.items() if isinstance(item, h5py.Dataset)
            }
            assert all(len(item.attrs) == 0 for item in arrays.values())
    assert values.keys() == n.KERAS_WEIGHTS.keys()
    for name, expected in n.KERAS_WEIGHTS.items():
        np.testing.assert_array_equal(values[name], expected)
    assert config.keys() == {"module", "class_name", "config", "registered_name"}


@pytest.mark.parametrize(
    "name",
    [
        "compiled-with-anything",
        "nested-compiled-with-anything",
        "built-for-a-huge-input",
        "initializer-of-its-own",
        "regularizer-of-its-own",
        "lora-and-quantisation",
    ],
)
def test_what_training_left_is_not_in_the_copy(name: str, tmp_path: Path) -> None:
    one = next(one for one in LOADING if one.name == name)
    with zipfile.ZipFile(sanitised(one.make(), tmp_path)) as archive:
        text = archive.read("config.json").decode()
    for word in ("floatx", "compile", "Mine", "hostname", "getcwd", "2147483648", "quantization"):
        assert word not in text


def test_a_wrong_suffix_is_an_error_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(n.keras_file())
    inspection = gate.inspect_model(path)
    with pytest.raises(ValueError, match="ends with .keras"):
        gate.write_sanitised(path, inspection, tmp_path / "copy.h5")


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("sequential", "external-storage", "external-storage"),
        ("sequential", "cut-archive", "damaged-archive"),
        ("keras-2", "array-that-is-not-there", None),
        ("keras-2", "h5-external-link", "external-link"),
        ("keras-2-nested", "keras-2", "damaged-weights"),
    ],
)
def test_a_file_exchanged_after_the_inspection(
    first: str, then: str, code: str | None, tmp_path: Path
) -> None:
    """Only the arrays are read again, and they are checked again."""
    cases = {one.name: one for one in models.CASES}
    path, target = tmp_path / "model", tmp_path / f"copy{cases[first].suffix}"
    path.write_bytes(cases[first].make())
    inspection = gate.inspect_model(path)
    path.write_bytes(cases[then].make())
    if code is None:
        gate.write_sanitised(path, inspection, target)
        return
    with pytest.raises(RefusedModelError) as caught:
        gate.write_sanitised(path, inspection, target)
    assert caught.value.code == code
    assert not target.exists()


# --- Several graphics cards -------------------------------------------------------------------


def test_the_real_model_is_taken_out_of_a_multi_gpu_file(tmp_path: Path) -> None:
    import keras

    data = n.hdf5_file(n.multi_gpu(cards=8), models.multi_gpu_weights())
    target = sanitised(data, tmp_path, gate.inspect_inner_model)
    assert "Lambda" not in target.read_bytes().decode("latin-1")
    model = keras.saving.load_model(target, compile=False, safe_mode=True)
    np.testing.assert_allclose(scores(model), n.answer(), atol=1e-6)


def test_the_weights_of_a_multi_gpu_file_are_assigned_by_the_names_of_the_layers() -> None:
    """Trainable weights of all layers are first, then the others, as Keras 2 kept them."""
    description = n.keras_2_sequential(
        [
            n.layer("Conv2D", "conv", filters=1, kernel_size=[1, 1]),
            n.layer("BatchNormalization", "norm"),
            n.sequential(n.layer("Dense", "deep", units=1), name="inner"),
        ]
    )
    names = ["conv/kernel:0", "norm/gamma:0", "deep/kernel:0", "norm/moving_mean:0"]
    paths = tuple(f"model_weights/small/{name}" for name in names)
    shared = gate.hdf5_models.inner_listing(description, {"small": paths, "joined": ()})
    assert shared == {"conv": (paths[0],), "norm": (paths[1], paths[3]), "inner": (paths[2],)}


@pytest.mark.parametrize("name", ["keras-2", "sequential", "operation-in-h5"])
def test_other_files_have_no_model_inside(name: str, tmp_path: Path) -> None:
    path = next(one for one in models.CASES if one.name == name).write(tmp_path)
    with pytest.raises(RefusedModelError) as caught:
        gate.inspect_inner_model(path)
    assert caught.value.code == "not-a-model"


# --- JSON -------------------------------------------------------------------------------------

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(-1e38, 1e38)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=9), plain, max_size=4))
def test_json_within_the_limits_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    assert strict_json.parse(json.dumps(value).encode()) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1, "a": 1}', "duplicate-key"),
        ('{"a": {"b": 1, "\\u0062": 2}}', "duplicate-key"),
        ('{"a": NaN}', "not-a-number"),
        ('{"a": 1e400}', "not-a-number"),
        ('{"a": -1e39}', "huge-number"),
        ('{"a": 123456789012345678901}', "huge-number"),
        ('{"a": 1} x', "damaged-config"),
        ("3", "damaged-config"),
        (b'\xff{"a": 1}', "damaged-config"),
        ("", "damaged-config"),
    ],
)
def test_other_json_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(RefusedModelError) as caught:
        strict_json.parse(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("levels", "fits"), [(limits.MAX_DEPTH, True), (limits.MAX_DEPTH + 1, False)]
)
def test_the_depth_is_counted_exactly(levels: int, fits: bool) -> None:
    text = '{"x":' * (levels - 1) + "0" + "}" * (levels - 1)
    if fits:
        strict_json.parse(text)
        return
    with pytest.raises(RefusedModelError) as caught:
        strict_json.parse(text)
    assert caught.value.code == "too-deep"


# --- The walk over a description --------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (n.layer("Dense", "x", units=7), 7),
        (n.layer("Conv2D", "x", filters=5, kernel_size=[3, 2]), 30),
        (n.layer("Conv2D", "x", filters=5, kernel_size=3), 45),
        (n.layer("Conv1DTranspose", "x", filters=5, kernel_size=3), 15),
        (n.layer("Embedding", "x", input_dim=20, output_dim=6), 120),
        (n.layer("Dense", "x", units="many"), 1),
        (n.layer("Flatten", "x"), 0),
    ],
)
def test_the_least_number_of_weights(described: n.Json, expected: int) -> None:
    walk = configs.Walk(legacy=False)
    configs.clean_model(n.sequential(described), walk)
    assert walk.parameters == expected


def test_a_shared_layer_counts_once() -> None:
    mark = {"shared_object_id": 9}
    dense = n.layer("Dense", "x", units=7) | mark
    walk = configs.Walk(legacy=False)
    clean = configs.clean_model(n.sequential(dense, dense), walk)
    assert walk.parameters == 7
    assert [layer["shared_object_id"] for layer in clean["config"]["layers"]] == [1, 1]


@pytest.mark.parametrize(("calls", "fits"), [(7, True), (8, False)])
def test_calls_of_models_in_models_multiply(calls: int, fits: bool) -> None:
    """Three levels: a run takes the innermost layer calls³ times, and two inputs at each level."""

    def level(inside: n.Json) -> n.Json:
        image = n.image_input() | {"name": "image", "inbound_nodes": []}
        sources = [["image", 0, 0], *(["inner", index, 0] for index in range(calls - 1))]
        inner = inside | {"name": "inner", "inbound_nodes": [[[*one, {}]] for one in sources]}
        inner["config"] = inner["config"] | {"name": "inner"}
        return n.functional([image, inner], [["image", 0, 0]], [["inner", calls - 1, 0]])

    described = level(level(level(level(n.layer("Identity", "same")))))
    described, _ = keras2.level(described, "2.9.0", hdf5=True)
    walk = configs.Walk(legacy=False)
    if not fits:
        with pytest.raises(RefusedModelError) as caught:
            configs.clean_model(described, walk)
        assert caught.value.code == "too-many-layers"
        return
    configs.clean_model(described, walk)
    # The layer itself, the three models around it, and an input in each of the four.
    assert walk.calls == 1 + 1 + calls * (2 + calls * (2 + calls * (2 + calls)))


# --- Arrays -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (7,), (5, 3), (3, 1, 4)])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u4", "i8", "?"])
def test_arrays_are_copied_block_by_block(
    shape: tuple[int, ...], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "BLOCK_BYTES", 16)
    values = np.random.default_rng(3).integers(0, 2, shape).astype(dtype)
    with h5py.File(io.BytesIO(), "w") as file:
        file["from"] = values
        weights.copy_array(file["from"], file, "to")
        copied = file["to"]
        assert (copied.shape, copied.dtype) == (shape, np.dtype(dtype))
        np.testing.assert_array_equal(copied[()], values)


def test_objects_are_counted_over_all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MAX_OBJECTS", 10)
    with h5py.File(io.BytesIO(), "w") as file:
        for index in range(9):
            file.create_group(f"{index % 3}/{index}")
        with pytest.raises(RefusedModelError) as caught:
            weights.survey(file, 10**6)
    assert caught.value.code == "too-many-arrays"


def test_bfloat16_becomes_the_same_numbers_in_float32() -> None:
    """Sign, exponent and fraction of four numbers, by hand."""
    halves = np.array([0x3F80, 0xC000, 0x3EAB, 0x7F80], dtype="<u2")
    with h5py.File(io.BytesIO(), "w") as file:
        file["from"] = halves.view("V2")
        weights.copy_array(file["from"], file, "to")
        expected = [1.0, -2.0, (1 + 0x2B / 128) / 4, np.inf]
        np.testing.assert_array_equal(file["to"][()], np.array(expected, dtype="f4"))


# --- Fuzzing ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model"


def accepted(path: Path) -> gate.Inspection | None:
    """The result of an inspection, None for a refusal; any other error is raised."""
    try:
        return gate.inspect_model(path)
    except RefusedModelError as error:
        code, sentence = error.code, str(error)
    assert re.sub(r"\btf\.[\w.]{1,50}", "a TensorFlow function", sentence) == REASONS[code]
    return None


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_damaged_descriptions_are_refused_or_accepted(model_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    damaged = mutations.damaged_description(chance.choice(mutations.descriptions()), chance)
    text = json.dumps(damaged)
    model_path.write_bytes(n.keras_file(text) if chance.random() < 0.7 else n.hdf5_file(text))
    inspection = accepted(model_path)
    if inspection:
        assert_clean(inspection.config)


def assert_clean(value: Any) -> None:
    """A second, independent definition of what a description may hold."""
    allowed = kinds.MODELS | kinds.LAYERS | kinds.OPERATIONS
    data = {"__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__ellipsis__"}
    for inner in everything_in(value):
        match inner:
            case {"class_name": "function"}:
                assert inner == kinds.HARD_SIGMOID
            case {"class_name": kind} if kind in data:
                assert inner.keys() == {"class_name", "config"}
            case {"class_name": kind}:
                assert inner["registered_name"] is None
                assert inner["module"] in {
                    kinds.MODELS.get(kind),
                    kinds.LAYERS.get(kind),
                    kinds.OPERATIONS.get(kind),
                }
                assert kind in allowed
            case dict():
                assert inner.keys().isdisjoint({"compile_config", "build_config", "function"})
                activation = inner.get("activation")
                assert not isinstance(activation, str) or activation in kinds.ACTIVATIONS
            case str():
                assert len(inner) <= 256
                assert inner.isprintable()
            case bool() | None:
                pass
            case int():
                assert abs(inner) <= 2**20
            case float():
                assert abs(inner) <= 1e38


def everything_in(value: Any) -> Iterator[Any]:
    yield value
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for inner in inside:
            yield from everything_in(inner)


# --- The lists, against Keras -----------------------------------------------------------------


def test_everything_on_the_lists_is_in_keras() -> None:
    import keras

    for name, module in (kinds.MODELS | kinds.LAYERS | kinds.OPERATIONS).items():
        assert issubclass(getattr(importlib.import_module(module), name), keras.Operation), name
    for name in kinds.ACTIVATIONS:
        assert callable(keras.activations.get(name))


def test_every_layer_of_keras_is_allowed_or_left_out_on_purpose() -> None:
    """A new version of Keras has new layers, each of which must be decided on."""
    import keras

    in_keras = {
        name
        for name, kind in vars(keras.layers).items()
        if isinstance(kind, type) and issubclass(kind, keras.Layer) and kind.__name__ == name
    }
    abstract = {"Layer", "Wrapper"}
    parts_of_recurrent_layers = {"RNN", "StackedRNNCells", "GRUCell", "LSTMCell", "SimpleRNNCell"}
    sound_and_text = {"MelSpectrogram", "STFTSpectrogram", "ReversibleEmbedding"}
    for_training = {
        "CutMix",
        "MixUp",
        "MaxNumBoundingBoxes",
        "ContrastLimitedAdaptiveHistogramEqualization",
    }
    left_out = abstract | parts_of_recurrent_layers | sound_and_text | for_training
    assert in_keras - kinds.LAYERS.keys() - kinds.FORBIDDEN.keys() == left_out


# --- Real networks ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "ConvNeXt"])
def test_h5_files_that_keras_itself_cannot_load(name: str, tmp_path: Path) -> None:
    """Keras writes layers and operations of these architectures into HDF5 and cannot load them."""
    from keras.src.applications import convnext, mobilenet_v3

    options = {"weights": None, "input_shape": (32, 32, 3), "classes": 5}
    if name == "ConvNeXt":
        model = convnext.ConvNeXt([1, 2, 1, 1], [8, 12, 16, 24], drop_path_rate=0.1, **options)
    else:
        model = mobilenet_v3.MobileNetV3Small(**options)
    path = tmp_path / "model.h5"
    model.save(path)
    copy = load(path, gate.inspect_model(path), tmp_path)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(scores(copy, picture), scores(model, picture), rtol=1e-5, atol=1e-6)
