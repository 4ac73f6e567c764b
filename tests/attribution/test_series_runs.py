"""Methods that take many runs: worked out by hand, in parts, and what must hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from corpus import builders

import cnnviz
from cnnviz.attribution import explanations, pixel_gradients, rise, series_runs
from cnnviz.attribution.channel_series import by_deviation, masked
from cnnviz.attribution.methods import MANY_PASSES, METHODS
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.series_runs import Subject
from cnnviz.errors import TargetError
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]

# Runs of the tests that need not be exact.
FEW = 6
# The networks whose ends differ: several classes, one sigmoid unit, no logits, channels first.
NETWORKS = ("flat", "one_sigmoid", "averaged_probabilities", "channels_first")

# A photo of 2 × 2 pixels x, and a network that reads it: channel 0 is x, channel 1 is 1 − x, and
# each has a weight at each place for the class "B"; "A" has the logit 0.
X = np.array([[1.0, 0.2], [0.0, 0.4]])
PHOTO = np.repeat(np.rint(255 * X)[..., None], 3, axis=2).astype(np.uint8)
WEIGHTS = np.array([[[3.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, -1.0]]])
BIAS = 0.5
# 3 · 1 + 1 · 0.2 + 2 · (1 − 0) − 1 · (1 − 0.4) + 0.5, and 2 − 1 + 0.5 for a black photo.
SCORE, BLACK = 5.1, 1.5


def by_hand(weights: np.ndarray = WEIGHTS, kernel: tuple[float, float] = (1, -1)) -> Any:
    """The network, with a weight for each channel and place, and the kernel of its channels."""
    import keras
    from keras import layers

    image = keras.Input((2, 2, 1))
    maps = layers.Conv2D(2, 1, activation="relu", name="maps")(image)
    dense = layers.Dense(2, "softmax", name="scores")
    model = keras.Model(image, dense(layers.Flatten()(maps)))
    offsets = np.array([0.0, float(kernel[1] != 0)])
    model.get_layer("maps").set_weights([np.reshape(kernel, (1, 1, 1, 2)), offsets])
    columns = np.stack([np.zeros(8), np.moveaxis(weights, 0, -1).ravel()], axis=1)
    dense.set_weights([columns, np.array([0, BIAS])])
    return cnnviz.network(model, builders.make_card(model, labels=["A", "B"]))


@pytest.fixture(scope="module")
def network() -> Any:
    return by_hand()


def map_of(network: Any, method: str, photo: np.ndarray = PHOTO, **how: Any) -> np.ndarray:
    return cnnviz.class_activation_map(network, photo, "B", method=method, **how).values


def subject_of(network: Any, photo: np.ndarray, method: str, *classes: int) -> Subject:
    inputs = network_input(photo, network.card.preprocessing)
    return series_runs.subject(network, inputs, classes, METHODS[method])


# --- By hand --------------------------------------------------------------------------------


def test_score_cam_by_hand(network: Any) -> None:
    """Each map has the size of the photo and reaches from 0 to 1, so it is its own mask.

    Through channel 0 the photo is x², its score 3 + 0.04 + 2 − 0.84 + 0.5; through channel 1 it is
    x (1 − x), and 0.16 + 2 − 0.76 + 0.5.
    """
    expected = (4.7 - BLACK) * X + (1.9 - BLACK) * (1 - X)
    np.testing.assert_allclose(map_of(network, "score-cam"), expected, atol=1e-5)


def test_the_photo_is_seen_through_a_map_and_black_elsewhere() -> None:
    photo, black = np.full((1, 4, 1), 9.0), np.full((1, 4, 1), 1.0)
    (seen,) = masked(photo, black, np.array([[[-2.0], [2.0]]]))
    # The two cells, interpolated to four pixels and scaled: 0, 1/4, 3/4 and 1.
    np.testing.assert_allclose(seen.ravel(), [1, 3, 7, 9])


def test_ablation_cam_by_hand(network: Any) -> None:
    """Channel 0 adds 3 · 1 + 1 · 0.2 to the score, channel 1 adds 2 · 1 − 1 · 0.6."""
    expected = 3.2 * X + 1.4 * (1 - X)
    np.testing.assert_allclose(map_of(network, "ablation-cam"), expected, atol=1e-5)


def test_occlusion_by_hand(network: Any) -> None:
    """Each pixel is a cell: the score falls by its weight times what the blurred copy lacks."""
    lost = X - subject_of(network, PHOTO, "occlusion").blurred[..., 0]
    expected = lost * [[3, 1], [-2, 1]]
    np.testing.assert_allclose(map_of(network, "occlusion", runs=4), expected, atol=1e-5)


def test_integrated_gradients_by_hand(network: Any) -> None:
    """The score is linear in the pixels, so each adds its weight times its light."""
    expected = [[3.0, 0.2], [0, 0.4]]
    values = map_of(network, "integrated-gradients", runs=200)
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert values.sum() == pytest.approx(SCORE - BLACK, abs=1e-3)


def test_smoothgrad_without_noise_is_the_gradient(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_gradients, "NOISE", 0)
    # Away from 0 and 1, where the two channels begin.
    photo = np.full((2, 2, 3), 100, np.uint8)
    values = map_of(network, "smoothgrad", photo)
    np.testing.assert_allclose(values, [[3, 1], [-2, 1]], atol=1e-5)


def test_rise_by_hand(network: Any) -> None:
    """The mean score where a pixel is kept, less the mean of all, written out as loops."""
    drawn = [rise.mask(number, 2, 2) for number in range(9)]
    masks = [rows @ cells @ columns.T for rows, cells, columns in drawn]
    scores = [BLACK + (np.array([[3, 1], [-2, 1]]) * X * mask).sum() for mask in masks]
    mean = sum(scores) / 9
    expected = np.zeros((2, 2))
    for score, mask in zip(scores, masks, strict=True):
        for y, x in np.ndindex(2, 2):
            expected[y, x] += (score - mean) * mask[y, x] / (9 * 0.5)
    np.testing.assert_allclose(map_of(network, "rise", runs=9), expected, atol=1e-5)


def test_a_mask_of_rise_is_its_cells_interpolated_and_shifted() -> None:
    rows, cells, columns = rise.mask(3, 24, 16)
    assert set(np.unique(cells)) == {0, 1}
    # Cells of 3 × 2 pixels, and a cell of room for the shift: 27 × 18 pixels for 8 × 8 cells.
    for lines, length, pixels in ((rows, 24, 3), (columns, 16, 2)):
        whole = np.zeros((9 * pixels, 8))
        for pixel, cell in np.ndindex(whole.shape):
            position = min(max((pixel + 0.5) * 8 / (9 * pixels) - 0.5, 0), 7)
            whole[pixel, cell] = max(0, 1 - abs(position - cell))
        starts = [s for s in range(pixels) if np.allclose(lines, whole[s : s + length], atol=1e-6)]
        assert len(starts) == 1
    shares = [np.mean(rise.mask(i, 8, 8)[1]) for i in range(200)]
    assert np.mean(shares) == pytest.approx(rise.KEPT, abs=0.02)


# --- What must hold -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", MANY_PASSES)
def test_a_series_conforms(tiny: Tiny, photo: np.ndarray, name: str, method: str) -> None:
    """Shape, finite values, inputs and weights as they were; parts add up, classes are alone.

    A against B is the difference of both maps, for all scores are taken at the end.
    """
    network = tiny(name)
    before, weights = photo.copy(), network.model.get_weights()
    labels = network.card.labels[:2]
    both = cnnviz.explain(network, photo, labels, method=method, runs=FEW).maps
    for cam in both:
        height, width = cam.values.shape
        assert cam.values.dtype == np.float32
        assert np.isfinite(cam.values).all()
        assert (cam.layer == "") == (METHODS[method].needs == "photo")
        assert (cam.method, cam.aggregate, cam.bias) == (method, "sum", None)
        if cam.layer:
            maps = cnnviz.activations(network, photo, [cam.layer])[cam.layer]
            assert (height, width) == maps.shape[:2]
    limit = 1e-5 * max(1, *(np.abs(cam.values).max() for cam in both))
    alone = cnnviz.class_activation_map(network, photo, labels[0], method=method, runs=FEW)
    np.testing.assert_allclose(alone.values, both[0].values, atol=limit)
    against = cnnviz.class_activation_map(
        network, photo, labels[0], method=method, runs=FEW, against=labels[1]
    )
    np.testing.assert_allclose(against.values, both[0].values - both[1].values, atol=2 * limit)
    if name == "one_sigmoid":
        np.testing.assert_allclose(both[0].values, -both[1].values, atol=limit)

    question = SeriesQuestion(method, tuple(labels), runs=FEW)
    count = series_runs.run_part(network, photo, question, 0, 1).count
    for step in (1, 4, 100):
        parts = [
            series_runs.run_part(network, photo, question, start, start + step).values
            for start in range(0, count, step)
        ]
        maps = series_runs.explain_sum(network, photo, question, sum(parts), count).maps
        for one, other in zip(maps, both, strict=True):
            np.testing.assert_allclose(one.values, other.values, atol=limit)

    np.testing.assert_array_equal(photo, before)
    for one, other in zip(network.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", MANY_PASSES)
def test_a_network_that_ignores_the_photo_has_maps_of_zeros(method: str) -> None:
    assert not map_of(by_hand(0 * WEIGHTS), method, runs=FEW).any()


def test_the_map_of_one_live_channel_is_that_channel_times_its_rise() -> None:
    network = by_hand(kernel=(1, 0))
    np.testing.assert_allclose(
        map_of(network, "score-cam"), (3 + 0.04 + BIAS - BIAS) * X, atol=1e-5
    )


def test_fewer_channels_are_those_that_differ_most(network: Any) -> None:
    """Channel 0 and 1 differ as much; then the first comes first."""
    np.testing.assert_allclose(map_of(network, "score-cam", runs=1), (4.7 - BLACK) * X, atol=1e-5)
    maps = np.array([[[1.0, 0.0, 5.0], [2.0, 9.0, 5.0]]])
    assert by_deviation(maps, np.array([True] * 3)).tolist() == [1, 0, 2]


def test_at_averaged_maps_a_channel_s_ablation_is_its_weight_times_its_mean(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("flat")
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    weights = np.asarray(network.model.get_layer("scores").kernel)[:, 1]
    cam = cnnviz.class_activation_map(network, photo, 1, method="ablation-cam")
    expected = (maps * weights * maps.mean(axis=(0, 1))).sum(axis=-1)
    np.testing.assert_allclose(cam.values, expected, atol=1e-5)


def test_what_follows_the_layer_is_run_where_no_weights_say_it(
    tiny: Tiny, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At averaged maps both ways agree; before them, the plain model without one channel does."""
    network = tiny("flat")
    exact = cnnviz.class_activation_map(network, photo, 1, method="ablation-cam")
    with monkeypatch.context() as patch:
        patch.setattr(Subject, "is_linear", False)
        run = cnnviz.class_activation_map(network, photo, 1, method="ablation-cam")
    np.testing.assert_allclose(run.values, exact.values, atol=1e-5)

    maps = cnnviz.activations(network, photo, ["conv1"])["conv1"]
    layers = network.model.layers
    names = [layer.name for layer in layers]

    def difference(channels: np.ndarray) -> float:
        """The logit of class 1 less that of class 0: of logits a softmax leaves no more."""
        values = channels[None]
        for layer in layers[names.index("conv1") + 1 :]:
            values = layer(values)
        return float(np.diff(np.log(values.numpy()[0, :2]))[0])

    cam = cnnviz.class_activation_map(
        network, photo, 1, method="ablation-cam", layer="conv1", against=0
    )
    expected = np.zeros(maps.shape[:2])
    for channel in range(maps.shape[-1]):
        without = maps.copy()
        without[..., channel] = 0
        expected += (difference(maps) - difference(without)) * maps[..., channel]
    np.testing.assert_allclose(cam.values, expected, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_add_up_to_what_the_score_gains(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    network = tiny(name)
    cam = cnnviz.class_activation_map(network, photo, 1, method="integrated-gradients", runs=300)
    subject = subject_of(network, photo, "integrated-gradients", 1)
    gain = cam.score - float(subject.scores(subject.black[None])[0, 0])
    assert abs(gain) > 1e-3
    assert cam.values.sum() == pytest.approx(gain, abs=2e-3 * max(1, abs(gain)))


@pytest.mark.parametrize("method", ["rise", "smoothgrad"])
def test_what_is_drawn_is_the_same_each_time(tiny: Tiny, photo: np.ndarray, method: str) -> None:
    one, same = (
        cnnviz.class_activation_map(tiny("flat"), photo, method=method, runs=FEW).values
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, same)
    assert len({rise.mask(i, 8, 8)[1].tobytes() for i in range(20)}) == 20
    noise = pixel_gradients.noisy(X[..., None], range(3))
    assert len({copy.tobytes() for copy in noise}) == 3


def test_progress_is_told_and_can_stop(network: Any) -> None:
    told: list[tuple[int, int]] = []
    map_of(network, "rise", runs=20, progress=lambda done, of: told.append((done, of)))
    assert told == [(16, 20), (20, 20)]

    class StopError(Exception):
        pass

    def stop(done: int, of: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        map_of(network, "rise", progress=stop)


def test_a_series_needs_a_run_and_a_photo_method_no_layer(network: Any) -> None:
    with pytest.raises(TargetError, match="at least one run"):
        map_of(network, "rise", runs=0)
    with pytest.raises(TargetError, match="reads no layer"):
        map_of(network, "rise", layer="maps")
    record = METHODS["rise"]
    chosen, classes, other = explanations.choose(network, ["B"], "rise", against="A")
    assert (chosen, classes, other) == (record, [1], 0)
