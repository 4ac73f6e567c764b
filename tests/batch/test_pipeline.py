"""Many photos: each has the same result as alone, in order, with bounded memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.attribution.localization import find_box, find_parts
from cnnviz.batch import pipeline
from cnnviz.batch.pipeline import explain_many, map_in_order
from cnnviz.errors import LayerError, ModelError, TargetError
from cnnviz.evidence import why_empty
from cnnviz.networks import passes
from cnnviz.networks.engines import tensorflow

Tiny = Callable[[str], Any]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Seven photos of different sizes, the third of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(8)
    files = []
    for number in range(7):
        pixels = random.integers(0, 256, (14 + number, 30 - 2 * number, 3), np.uint8)
        files.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(files[-1])
    files[2].write_bytes(b"no photo")
    return files


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches of three photos and a last one that is not full."""
    monkeypatch.setattr(tensorflow, "MAX_BATCH_SIZE", 3)


def test_a_map_that_is_the_same_everywhere_has_no_box(fresh: Any, tmp_path: Path) -> None:
    network = fresh("rescaled")
    Image.new("RGB", (12, 12), (90, 90, 90)).save(tmp_path / "grey.png")
    for target in range(3):
        (result,) = explain_many(network, [tmp_path / "grey.png"], [target])
        assert result.explanation is not None
        (cam,) = result.explanation.maps
        assert why_empty(cam) == "even"
        assert result.box is None


def test_many_runs_a_photo_are_as_alone_and_told_one_after_the_other(
    tiny: Tiny, paths: list[Path]
) -> None:
    told: list[tuple[int, int]] = []
    results = explain_many(
        tiny("flat"),
        paths[:2],
        method="occlusion",
        runs=25,
        progress=lambda done, of: told.append((done, of)),
    )
    for path, result in zip(paths, results, strict=False):
        assert result.explanation is not None
        photo = cnnviz.open_photo(path)
        alone = cnnviz.class_activation_map(tiny("flat"), photo, method="occlusion", runs=25)
        np.testing.assert_allclose(result.explanation.maps[0].values, alone.values, atol=1e-6)
        assert alone.values.shape == (5, 5)
    assert told == [(16, 25), (25, 25)] * 2


def test_who_stops_need_not_wait_for_all_runs_of_a_photo(tiny: Tiny, paths: list[Path]) -> None:
    """Ctrl-C after the first part: no more than the parts that had begun are done."""
    told: list[int] = []

    def report(done: int, of: int) -> None:
        told.append(done)
        if len(told) == 1:
            signal.pthread_kill(int(threading.main_thread().ident or 0), signal.SIGINT)

    results = explain_many(tiny("flat"), paths[:1], method="rise", runs=16 * 2000, progress=report)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert len(told) < 1000


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flat", {}),
        ("flat", {"method": "contrastive-cam"}),
        ("flat", {"method": "grad-cam", "layer": "conv1"}),
        ("one_sigmoid", {}),
        ("one_sigmoid", {"method": "grad-cam"}),
        ("hidden_dense", {}),
        ("averaged_probabilities", {}),
        ("softmax_maps", {}),
        ("nested_functional", {}),
        ("shared_layer", {"method": "grad-cam"}),
        ("channels_first", {}),
        ("attention", {}),
        ("normalised", {}),
        ("reshaped_maps", {}),
        ("grey", {}),
    ],
)
@pytest.mark.parametrize("targets", [(), (1, 0)])
def test_a_photo_among_many_has_the_same_result_as_alone(
    fresh: Any, tiny: Tiny, paths: list[Path], name: str, options: Any, targets: Any
) -> None:
    network = tiny(name) if name == "channels_first" else fresh(name)
    results = list(explain_many(network, paths, targets, **options))
    assert [result.path for result in results] == paths
    for result in results:
        if result.path.stem == "2":
            assert "cannot be read as a photo" in str(result.error)
            assert (result.explanation, result.box, result.size) == (None, None, (0, 0))
            continue
        photo = cnnviz.open_photo(result.path)
        alone = cnnviz.explain(network, photo, targets, **options)
        together = result.explanation
        assert together is not None
        assert (result.error, result.photo, result.size) == (None, None, photo.shape[:2])
        np.testing.assert_allclose(
            together.prediction.probabilities, alone.prediction.probabilities, rtol=1e-4
        )
        assert len(together.maps) == len(alone.maps)
        for mine, expected in zip(together.maps, alone.maps, strict=True):
            scale = np.abs(expected.values).max()
            np.testing.assert_allclose(mine.values, expected.values, rtol=1e-4, atol=1e-5 * scale)
            assert mine.score == pytest.approx(expected.score, rel=1e-4, abs=1e-5)
            for field in ("method", "layer", "target", "bias", "saturated"):
                assert getattr(mine, field) == getattr(expected, field)
        assert why_empty(together.maps[0]) is None
        place = (*photo.shape[:2], network.card.preprocessing)
        assert result.parts == find_parts(together.maps[0].values, *place)
        assert result.box == find_box(together.maps[0].values, *place)


@pytest.fixture
def converted(lite: Tiny) -> Any:
    """A network that LiteRT runs, with nothing compiled for TensorFlow."""
    return replace(lite("flat"), compiled={})


@pytest.mark.parametrize("options", [{}, {"method": "finer-cam"}, {"method": "contrastive-cam"}])
def test_litert_gives_many_photos_the_answers_of_tensorflow(
    converted: Any, tiny: Tiny, paths: list[Path], batch_sizes: list[int], options: Any
) -> None:
    many = [path for path in paths * 3 if path.stem != "2"]
    results = list(explain_many(converted, many, **options))
    assert [result.path for result in results] == many
    # Nothing is computed for no photo, and nothing by TensorFlow.
    assert batch_sizes == [1, 16, 2]
    assert not converted.compiled
    for result in results:
        alone = cnnviz.explain(tiny("flat"), cnnviz.open_photo(result.path), **options)
        assert result.explanation is not None
        np.testing.assert_allclose(
            result.explanation.prediction.probabilities, alone.prediction.probabilities, rtol=1e-4
        )
        (mine,), (expected,) = result.explanation.maps, alone.maps
        scale = np.abs(expected.values).max()
        np.testing.assert_allclose(mine.values, expected.values, atol=1e-4 * scale)
        assert (mine.method, mine.layer, mine.target) == (
            expected.method,
            expected.layer,
            expected.target,
        )


def test_what_litert_cannot_answer_is_batched_for_tensorflow(
    converted: Any, paths: list[Path], batch_sizes: list[int]
) -> None:
    assert len(list(explain_many(converted, paths[:6], method="grad-cam", layer="conv1"))) == 6
    assert converted.compiled
    assert batch_sizes == [1, 6]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize(
    "damaged",
    [{0}, {1}, {3}, {0, 1}, {1, 2}, {0, 3}, {0, 2}, {4}, {5}, {0, 5}, {0, 1, 2}],
    ids=str,
)
def test_damaged_photos_anywhere_in_a_batch_shift_no_result(
    fresh: Any, tmp_path: Path, damaged: set[int]
) -> None:
    """Two batches of three photos: each photo that can be read gets its own answer."""
    network = fresh("flat")
    photos = [np.full((12, 12, 3), 50 * level, np.uint8) for level in range(6)]
    alone = [cnnviz.predict(network, photo).probabilities for photo in photos]
    gaps = [np.abs(one - other).max() for one, other in combinations(alone, 2)]
    assert min(gaps) > 1e-3, "photos with one answer would prove nothing"

    paths = [tmp_path / f"{level}.png" for level in range(6)]
    for level, (path, photo) in enumerate(zip(paths, photos, strict=True)):
        Image.fromarray(photo).save(path)
        if level in damaged:
            path.write_bytes(b"no photo")
    results = list(explain_many(network, paths, keep_photos=True))
    assert [result.path for result in results] == paths
    assert {level for level, result in enumerate(results) if result.error} == damaged
    for level, result in enumerate(results):
        if level in damaged:
            assert (result.explanation, result.box, result.photo) == (None, None, None)
            continue
        assert result.explanation is not None
        np.testing.assert_array_equal(result.photo, photos[level])
        np.testing.assert_allclose(
            result.explanation.prediction.probabilities, alone[level], rtol=1e-5
        )


def test_a_batch_that_is_not_full_causes_no_new_trace(
    fresh: Any, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow, "MAX_BATCH_SIZE", 4)
    network = fresh("flat")
    assert len(list(explain_many(network, paths))) == 7
    (compiled,) = network.compiled.values()
    assert list(compiled.by_size) == [1, 4]


def test_the_photos_are_kept_on_request(tiny: Tiny, paths: list[Path]) -> None:
    first, second, damaged, *_ = explain_many(tiny("flat"), paths, keep_photos=True)
    np.testing.assert_array_equal(first.photo, cnnviz.open_photo(paths[0]))
    np.testing.assert_array_equal(second.photo, cnnviz.open_photo(paths[1]))
    assert damaged.photo is None


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the network gets; a black picture comes first, alone."""
    sizes = []
    original = pipeline.explain_inputs

    def recording(network: Any, inputs: np.ndarray, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(inputs))
        return original(network, inputs, *arguments, **options)

    monkeypatch.setattr(pipeline, "explain_inputs", recording)
    return sizes


def test_a_few_photos_make_a_small_batch(
    tiny: Tiny, paths: list[Path], batch_sizes: list[int]
) -> None:
    """The network computes no more than there are photos."""
    assert len(list(explain_many(tiny("flat"), paths[:2]))) == 2
    assert batch_sizes == [1, 2]


def test_every_batch_is_filled(
    fresh: Any, paths: list[Path], batch_sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four photos one is damaged, then three are left: both batches have four inputs."""
    monkeypatch.setattr(tensorflow, "MAX_BATCH_SIZE", 4)
    assert len(list(explain_many(fresh("flat"), paths))) == 7
    assert batch_sizes == [1, 4, 4]


def test_no_photos_have_no_results(tiny: Tiny) -> None:
    assert list(explain_many(tiny("flat"), [])) == []


def test_photos_that_all_fail_are_all_named(tiny: Tiny, paths: list[Path]) -> None:
    results = list(explain_many(tiny("flat"), [paths[2], Path("gone.png")]))
    assert [str(result.error)[:9] for result in results] == ["This file", "The photo"]


def test_wrong_choices_are_refused_before_a_photo_is_read(tiny: Tiny, paths: list[Path]) -> None:
    with pytest.raises(TargetError, match="no class 'horse'"):
        explain_many(tiny("flat"), paths, ["horse"])
    with pytest.raises(LayerError, match="no maps"):
        explain_many(tiny("flat"), paths, layer="scores")


def test_a_photo_of_the_class_to_compare_with_fails_alone(tiny: Tiny, tmp_path: Path) -> None:
    """The network calls what is white a dog."""
    network, files = tiny("one_sigmoid"), [tmp_path / "white.png", tmp_path / "black.png"]
    for file in files:
        Image.new("RGB", (12, 12), file.stem).save(file)
    white, black = explain_many(network, files, against="dog")
    assert isinstance(white.error, TargetError)
    assert "'dog' cannot be set against itself" in str(white.error)
    assert black.explanation is not None
    (cam,) = black.explanation.maps
    assert (cam.target, cam.against) == ("cat", "dog")


def test_an_answer_that_is_not_a_number_fails_only_its_photo(fresh: Any, tmp_path: Path) -> None:
    """Weights so large that a bright photo overflows and a black one does not."""
    network = fresh("flat")
    for layer in ("conv1", "conv2", "scores"):
        kernel, bias = network.model.get_layer(layer).get_weights()
        network.model.get_layer(layer).set_weights([np.full_like(kernel, 1e20), 0 * bias])
    chosen = []
    for name, level in (("black", 0), ("white", 255), ("dark", 0)):
        chosen.append(tmp_path / f"{name}.png")
        Image.new("RGB", (12, 12), (level,) * 3).save(chosen[-1])
    black, white, dark = explain_many(network, chosen)
    assert isinstance(white.error, ModelError)
    assert "not a number" in str(white.error)
    assert black.explanation is not None
    assert dark.explanation is not None


def test_few_photos_are_in_memory(
    tiny: Tiny, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most three batches are read beyond the one whose results are taken."""
    monkeypatch.setattr(pipeline, "threads", lambda *_: ThreadPoolExecutor(1))
    read = []

    def record(path: Path) -> Image.Image:
        read.append(path)
        return Image.new("RGB", (12, 12))

    monkeypatch.setattr(pipeline, "open_picture", record)
    network = tiny("flat")
    size = passes.facts(network).batch_size
    results = explain_many(network, [Path(str(number)) for number in range(10 * size)])
    for taken in range(1, 6 * size):
        next(results)
        batches = -(-taken // size)
        assert len(read) <= (batches + 3) * size + 1
    results.close()
    assert len(read) <= 9 * size + 1


# --- In order -------------------------------------------------------------------------------


def test_results_keep_their_order_however_long_each_takes() -> None:
    gate = threading.Event()

    def slow_first(number: int) -> int:
        if number == 0:
            assert gate.wait(20)
        if number == 3:
            gate.set()
        return number * number

    with ThreadPoolExecutor(4) as pool:
        assert list(map_in_order(pool, slow_first, range(9), 5)) == [n * n for n in range(9)]


# --- Batches --------------------------------------------------------------------------------


def test_a_large_network_gets_small_batches(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert passes.facts(fresh("flat")).batch_size == 16
    values = sum(int(np.prod(info.output_shape[1:])) for info in fresh("flat").layers)
    monkeypatch.setattr(tensorflow, "MAX_VALUES", int(5.5 * values))
    assert passes.facts(fresh("flat")).batch_size == 5


def test_a_model_of_one_batch_size_gets_one_photo_at_a_time() -> None:
    import keras

    image = keras.Input(batch_shape=(1, 8, 8, 3))
    x = keras.ops.reshape(keras.layers.Conv2D(2, 3)(image), (1, 72))
    model = keras.Model(image, keras.layers.Dense(2, "softmax")(x))
    assert passes.facts(cnnviz.network(model)).batch_size == 1
