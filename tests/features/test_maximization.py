"""Ascents against slow oracles, and what the network says of their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from cnnviz.errors import LayerError, ModelError, PhotoError, TargetError
from cnnviz.features import forms, fourier
from cnnviz.features import maximization as maximisation
from cnnviz.features.found import better, stays_silent
from cnnviz.features.objectives import (
    CROPS,
    OF_CHANNELS,
    OF_CLASSES,
    OF_CLASSES_PHASE,
    OF_DIGITS,
    Ascent,
    AscentQuestion,
    AscentState,
    Maximised,
    Objective,
    PictureCheck,
)
from cnnviz.features.ways import before_activation
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import scale_pixels

CHANNELS = dataclasses.replace(OF_CHANNELS, side=24, steps=6)
CLASSES = dataclasses.replace(OF_CLASSES, side=24, steps=6)
# Nothing moves, so that the picture that is shown is the one that the network sees.
STILL = dataclasses.replace(CLASSES, variation=0.0, zoom=(1.0, 1.0), turn=0, shift=0.0, noise=0.0)
Tiny = Callable[[str], Network]


def search(network: Network, question: AscentQuestion, *parts: int) -> AscentState:
    state = None
    for steps in parts:
        state = maximisation.ascend(network, question, state, steps)
    assert state is not None
    return state


def same(one: AscentState, other: AscentState) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def of_classes(ascent: Ascent, *classes: int) -> AscentQuestion:
    return AscentQuestion(tuple(Objective(None, index) for index in classes), ascent)


def test_parts_of_any_length_give_the_same_state(tiny: Tiny) -> None:
    question = of_classes(CLASSES, 0, 2)
    whole = search(tiny("flat"), question, 6)
    assert same(whole, search(tiny("flat"), question, 1, 3, 5))
    assert whole.step == whole.values.shape[1] == 6
    other = dataclasses.replace(CLASSES, seed=1)
    assert not same(whole, search(tiny("flat"), of_classes(other, 0, 2), 6))


def test_a_picture_is_the_same_whatever_is_beside_it(tiny: Tiny) -> None:
    network = tiny("flat")
    alone, beside = (search(network, of_classes(CLASSES, *one), 4) for one in ([2], [1, 2]))
    np.testing.assert_allclose(alone.values[0], beside.values[1], rtol=1e-4)
    np.testing.assert_allclose(alone.pictures[0], beside.pictures[1], atol=1)


def test_the_first_step_follows_differences(tiny: Tiny) -> None:
    """Adam's mean after one step is a tenth of the gradient."""
    question = of_classes(dataclasses.replace(STILL, variation=2.0), 1)
    network = tiny("flat")
    first = search(network, question, 1)
    start = maximisation.begin(network, question.objectives, question.ascent)
    slope = first.mean / 0.1

    def aim(parameters: np.ndarray) -> float:
        """The objective in NumPy, around the network's own answer."""
        plane = parameters[0, ..., 0] + 1j * parameters[0, ..., 1]
        picture = np.fft.irfft2(plane * fourier.frequency_scale(24), (24, 24)).transpose(1, 2, 0)
        picture = picture @ fourier.COLOURS.astype(np.float64)
        picture = 1 / (1 + np.exp(-picture * fourier.CONTRAST / picture.std()))
        base, *full = scale_pixels(
            np.vstack([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.uint8),
            network.card.preprocessing.scaling,
        )
        inputs = (picture @ (np.stack(full) - base) + base).astype(np.float32)
        logits = passes.forward(network, inputs[None]).logits
        assert logits is not None
        rough = sum((np.diff(picture, axis=axis) ** 2).mean() for axis in (0, 1))
        return float(logits[0, 1]) - 2.0 * float(rough)

    assert aim(start.parameters) + 2.0 * _roughness(first) == pytest.approx(
        float(first.values[0, 0]), abs=2e-3
    )
    # The largest slopes: elsewhere a difference of float32 is mostly rounding.
    for place in np.argsort(-np.abs(slope).ravel())[:4]:
        step = np.zeros(slope.size)
        step[place] = 3e-3
        there, back = (
            aim(start.parameters.astype(np.float64) + sign * step.reshape(slope.shape))
            for sign in (1, -1)
        )
        assert (there - back) / 6e-3 == pytest.approx(slope.ravel()[place], rel=0.05)


def _roughness(state: AscentState) -> float:
    picture = state.pictures[0].astype(np.float64) / 255
    return float(sum((np.diff(picture, axis=axis) ** 2).mean() for axis in (0, 1)))


@pytest.mark.parametrize("name", ["flat", "one_sigmoid", "nested_functional", "logit_maps"])
def test_the_value_is_the_score_of_the_picture_that_is_shown(tiny: Tiny, name: str) -> None:
    network = tiny(name)
    count = len(network.card.labels)
    question = AscentQuestion(
        (Objective(None, count - 1), Objective(None, 0, against=count - 1)), STILL
    )
    side = network.card.preprocessing.height
    question = dataclasses.replace(question, ascent=dataclasses.replace(STILL, side=side))
    state = search(network, question, 6)
    assert (state.values[:, -1] > state.values[:, 0]).all()
    inputs = scale_pixels(state.pictures, network.card.preprocessing.scaling)
    values = passes.forward(network, inputs)
    scores = values.output if values.logits is None else values.logits
    if scores.shape[1] == 1:
        scores = np.hstack([-scores, scores])
    expected = [scores[0, -1], scores[1, 0] - scores[1, -1]]
    np.testing.assert_allclose(state.values[:, -1], expected, atol=0.02)


def test_a_channel_is_read_before_its_activation(tiny: Tiny) -> None:
    network = tiny("skip_connections")
    topology = passes.facts(network).topology
    rectified = [path for path, node in topology.nodes.items() if node.kind == "ReLU"]
    for path in rectified:
        assert before_activation(topology.nodes, path) == topology.nodes[path].inputs[0]
    first = next(layer.path for layer in network.layers if layer.kernel_shape)
    assert before_activation(topology.nodes, first) == first
    side = network.card.preprocessing.height
    ascent = dataclasses.replace(STILL, side=side, steps=3)
    state = search(network, AscentQuestion((Objective(first, 1),), ascent), 3)
    inputs = scale_pixels(state.pictures, network.card.preprocessing.scaling)
    maps = passes.forward(network, inputs, [first]).layers[first]
    assert state.values[0, -1] == pytest.approx(maps[0, ..., 1].mean(), abs=2e-3)


def test_phases_alone_change(tiny: Tiny) -> None:
    """The magnitude of the picture before the sigmoid is that of the photos."""
    ascent = dataclasses.replace(OF_CLASSES_PHASE, side=24, steps=4)
    state = search(tiny("flat"), of_classes(ascent, 0), 4)
    shares = state.pictures[0] / 255.0
    planes = np.log(shares / (1 - shares)) @ np.linalg.inv(fourier.COLOURS.astype(np.float64))
    found = np.abs(np.fft.rfft2(planes, axes=(0, 1))).transpose(2, 0, 1)
    expected = forms.magnitudes(24, 3)
    # The first and the last column of a real picture's spectrum cannot have any phase. The
    # pictures have 256 levels, which shows in the high frequencies.
    np.testing.assert_allclose(found[0, :5, 1:5], expected[0, :5, 1:5], rtol=0.05)
    assert (
        np.ptp(
            state.parameters
            - maximisation.begin(tiny("flat"), [Objective(None, 0)], ascent).parameters
        )
        > 0.1
    )


def test_digits_are_made_of_their_components() -> None:
    mean, components = forms.digit_components()
    assert (mean.shape, components.shape) == ((784,), (40, 784))
    gram = components @ components.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-3)
    assert (np.diff(np.diag(gram)) <= 0).all()
    # By hand: the sigmoid of 6 (mean + 2 · component 3 − 0.5), and back.
    shares = 1 / (1 + np.exp(-6 * (mean + 2 * components[3] - 0.5)))
    picture = np.rint(255 * shares).astype(np.uint8).reshape(28, 28, 1)
    found = forms.FORMS["digits"].of_picture(picture)
    assert found[3] == pytest.approx(2, abs=0.5)
    assert np.abs(np.delete(found, 3)).max() < 0.5


def test_a_photo_can_be_the_start(tiny: Tiny) -> None:
    x = np.linspace(60, 190, 24)
    start = np.stack([np.add.outer(x, x) / 2, np.add.outer(x, -x) / 2 + 125, np.full((24, 24), 99)])
    photo = start.transpose(1, 2, 0).astype(np.uint8)
    question = AscentQuestion((Objective(None, 0),), STILL, photo)
    state = search(tiny("flat"), question, 1)
    shown = state.pictures[0].astype(float)
    for channel in (0, 1):
        assert np.corrcoef(shown[..., channel].ravel(), photo[..., channel].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("value", [0, 90, 255])
def test_no_search_starts_from_a_photo_of_one_colour(tiny: Tiny, value: int) -> None:
    photo = np.full((24, 24, 3), value, np.uint8)
    photo[3, 4] ^= 1
    question = AscentQuestion((Objective(None, 0),), STILL, photo)
    with pytest.raises(PhotoError, match="same colour everywhere"):
        search(tiny("flat"), question, 1)
    # White paper with a line on it is no photo of one colour.
    photo[:, 10:13] = 200 - value // 2
    state = search(tiny("flat"), AscentQuestion((Objective(None, 0),), STILL, photo), 12)
    assert state.values[0, -1] > state.values[0, 0]


def test_what_lasts_is_measured_on_other_crops(tiny: Tiny) -> None:
    network = tiny("flat")
    random = np.random.default_rng(3)
    pictures = random.integers(0, 256, (2, 24, 24, 3), np.uint8)
    objectives = [Objective(None, 1), Objective(None, 1)]
    check = maximisation.check_pictures(network, objectives, pictures, 4)
    assert check.values.shape == (2, CROPS)
    # The first crop by hand.
    crops = np.random.default_rng([4, 1])
    edge = round(24 * crops.uniform(0.85, 0.97))
    top, left = crops.integers(0, 24 - edge + 1, 2)
    crop = pictures[0, top : top + edge, left : left + edge]
    crop = maximisation._as_jpeg(crop)
    size = network.card.preprocessing
    view = np.asarray(crop.resize((size.width, size.height), Image.Resampling.BICUBIC))
    output = passes.forward(network, scale_pixels(view[None], size.scaling)).output
    assert check.values[0, 0] == pytest.approx(output[0, 1], abs=1e-5)
    again = maximisation.check_pictures(network, objectives, pictures, 4)
    np.testing.assert_array_equal(check.values, again.values)
    assert (
        np.abs(
            np.asarray(crop).astype(int) - pictures[0, top : top + edge, left : left + edge]
        ).max()
        > 0
    )


def test_a_second_way_is_tried_where_the_first_does_not_last(tiny: Tiny) -> None:
    network = tiny("flat")
    usual = maximisation.usual_ascents(network, Objective(None, 0), 5)
    assert [(one.side, one.seed) for one in usual] == [(network.card.preprocessing.height, 5)] * 2
    objectives = (Objective(None, 0), Objective(None, 1))

    def found(ascent: Ascent, *lowest: float) -> Maximised:
        values = np.array([[1.0, one] for one in lowest], np.float32)
        count = len(lowest)
        picture = np.full((4, 4, 3), ascent.seed, np.uint8)
        check = PictureCheck(values, ("a",) * count)
        return Maximised(
            objectives[-count:], (ascent,) * count, (picture,) * count, (values[0],) * count, check
        )

    first, second = (dataclasses.replace(CLASSES, seed=seed) for seed in (1, 2))
    best = better(found(first, 0.995, 0.4), found(second, 0.7))
    assert [one.seed for one in best.ascents] == [1, 2]
    assert best.check.values.min(axis=1) == pytest.approx([0.995, 0.7])
    best = better(found(first, 0.995, 0.8), found(second, 0.7))
    assert [one.seed for one in best.ascents] == [1, 1]


def test_more_than_a_batch_is_searched_for_in_order(tiny: Tiny) -> None:
    network = tiny("flat")
    layer = next(one.path for one in network.layers if one.kernel_shape)
    count = 9
    ascent = dataclasses.replace(CHANNELS, steps=2, side=network.card.preprocessing.height)
    told: list[tuple[int, int]] = []
    objectives = [Objective(layer, number % 3) for number in range(count)]
    found = maximisation.maximise(
        network, objectives, [ascent], progress=lambda done, total: told.append((done, total))
    )
    assert (found.objectives, len(found.pictures)) == (tuple(objectives), count)
    assert told == [(2, 4), (4, 4)]
    np.testing.assert_array_equal(found.pictures[0], found.pictures[3])
    alone = maximisation.maximise(network, objectives[-1:], [ascent])
    np.testing.assert_allclose(alone.pictures[0], found.pictures[-1], atol=1)


def test_a_network_of_one_size_says_so(tiny: Tiny) -> None:
    network = tiny("dense_after_flatten")
    size = network.card.preprocessing
    layer = next(one.path for one in network.layers if one.kernel_shape)
    (way,) = maximisation.usual_ascents(network, Objective(layer, 0), 0)
    assert way.side == size.height
    question = AscentQuestion((Objective(layer, 0),), dataclasses.replace(way, side=24))
    with pytest.raises(ModelError, match=f"need the {size.height} × {size.width} that it was"):
        maximisation.ascend(network, question, None, 1)


@pytest.mark.parametrize(
    ("one", "other"), [("channels_first_maps", "channels_last_maps_twin"), ("brain_floats", "flat")]
)
def test_other_layouts_and_floats(tiny: Tiny, one: str, other: str) -> None:
    """Channels first as the twin; of half precision only that it works."""
    is_twin = one == "channels_first_maps"
    objective = Objective("conv1", 1) if is_twin else Objective(None, 1)
    size = tiny(one).card.preprocessing
    ascent = dataclasses.replace(STILL, side=min(size.height, size.width), steps=2)
    question = AscentQuestion((objective,), ascent)
    first, second = (search(tiny(name), question, 2) for name in (one, other))
    assert first.values[0, 1] > first.values[0, 0]
    if is_twin:
        np.testing.assert_allclose(first.values, second.values, rtol=1e-3)


def test_a_channel_behind_its_own_relu_may_stay_silent(fresh: Tiny) -> None:
    network = fresh("flat")
    convolution = network.model.get_layer("conv1")
    kernel, bias = convolution.get_weights()
    bias[2] = -1000
    convolution.set_weights([kernel, bias])
    objectives = [Objective("conv1", channel) for channel in (1, 2)]
    found = maximisation.maximise(
        network, objectives, [dataclasses.replace(CHANNELS, side=12, steps=3)]
    )
    assert [stays_silent(values) for values in found.values] == [False, True]
    assert (found.check.values[1] == 0).all()


def test_a_silent_channel_is_one_that_nothing_changes() -> None:
    assert stays_silent(np.zeros(5, np.float32))
    assert not stays_silent(np.array([0, 0, 0.1], np.float32))
    assert not stays_silent(np.zeros(1, np.float32))


def test_wrong_questions_are_refused(tiny: Tiny) -> None:
    network = tiny("flat")
    layer = network.layers[1].path
    wrong: list[tuple[list[Objective], type[Exception], str]] = [
        ([], TargetError, "at least one"),
        ([Objective(None, 99)], TargetError, "no class 99"),
        ([Objective(None, 0, 0)], TargetError, "against itself"),
        ([Objective("none", 0)], LayerError, "no layer 'none'"),
        ([Objective(layer, 99)], LayerError, "channels 0 to"),
        ([Objective(network.layers[-1].path, 0)], LayerError, "no maps"),
        ([Objective(layer, 0), Objective(None, 0)], LayerError, "one layer"),
    ]
    for objectives, error, text in wrong:
        with pytest.raises(error, match=text):
            maximisation.maximise(network, objectives, [CHANNELS])
    with pytest.raises(ValueError, match="a side of 8 to 512"):
        maximisation.ascend(
            network, of_classes(dataclasses.replace(CLASSES, side=9999), 0), None, 1
        )
    with pytest.raises(ValueError, match="Expected a start"):
        maximisation.begin(network, [Objective(None, 0)], CLASSES, np.zeros((3, 3, 3), np.uint8))
    assert OF_DIGITS.side == 28
