"""The stages of a network, chosen by hand-made lists of layers, and what they show of a photo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnviz.attribution.stages import CLASSES, MAPS, TERMS, explain_stages
from cnnviz.errors import TargetError
from cnnviz.networks import passes
from cnnviz.networks.receptive_fields import receptive_field
from cnnviz.networks.stages import choose_stages
from cnnviz.networks.values import Head
from cnnviz.photos.preprocessing import network_input
from cnnviz.results import LayerInfo

Tiny = Callable[[str], Any]


def layer(path: str, side: int, kind: str = "ReLU", channels: int = 8) -> LayerInfo:
    kernel = (3, 3, 4, channels) if kind == "Conv2D" else None
    return LayerInfo(path, kind, (None, side, side, channels), 0, kernel, nested=False)


def blocks(*sides: int) -> tuple[list[LayerInfo], dict[str, str]]:
    """A scaled photo, then for each side a convolution, its normalisation and its activation."""
    layers = [layer("input", 64, "InputLayer", 3), layer("scaled", 64, "Rescaling", 3)]
    makers = {}
    for number, side in enumerate(sides):
        for kind in ("Conv2D", "BatchNormalization", "ReLU"):
            layers.append(layer(f"{kind}{number}", side, kind))
            makers[f"{kind}{number}"] = f"Conv2D{number}"
    return layers, makers


def head(last: str) -> Head:
    return Head("softmax", "scores", last, last)


def test_a_stage_is_where_the_resolution_changes_after_its_activation() -> None:
    layers, makers = blocks(64, 32, 32, 16)
    assert choose_stages(layers, makers, head("ReLU3")) == ("ReLU0", "ReLU1", "ReLU3")


def test_the_last_stage_is_the_last_layer_with_maps_and_nothing_follows_it() -> None:
    layers, makers = blocks(64, 32, 16, 16, 8)
    assert choose_stages(layers, makers, head("ReLU3")) == ("ReLU0", "ReLU1", "ReLU3")


def test_of_many_resolutions_the_largest_steps_are_kept() -> None:
    # Steps in cells: 4, 1.3, 1.8, 9, 4, 4.
    layers, makers = blocks(64, 32, 28, 21, 7, 4, 2)
    stages = choose_stages(layers, makers, head("ReLU6"))
    assert stages == ("ReLU0", "ReLU1", "ReLU4", "ReLU5", "ReLU6")


def test_without_a_change_of_resolution_the_layers_are_spread_over_the_depth() -> None:
    layers, makers = blocks(*[16] * 300)
    stages = choose_stages(layers, makers, head("ReLU299"))
    assert stages == ("ReLU0", "ReLU100", "ReLU199", "ReLU299")
    layers, makers = blocks(16, 16)
    assert choose_stages(layers, makers, head("ReLU1")) == ("ReLU0", "ReLU1")
    # What follows on the last convolution is not of one filter.
    joined = [*layers, layer("Add", 16, "Add")]
    assert choose_stages(joined, makers, head("Add")) == ("ReLU0", "Add")


def test_maps_that_grow_again_are_no_new_stage_and_free_sizes_are_one() -> None:
    layers, makers = blocks(64, 16, 32)
    assert choose_stages(layers, makers, head("ReLU2")) == ("ReLU0", "ReLU2")
    free = [LayerInfo("conv", "Conv2D", (None, None, None, 8), 0, (3, 3, 3, 8), nested=False)]
    assert choose_stages(free, {"conv": "conv"}, head("conv")) == ("conv",)
    assert choose_stages([layer("input", 8, "InputLayer")], {}, head("x")) == ()


@pytest.mark.parametrize(
    "name", ["flat", "nested_functional", "one_sigmoid", "skip_connections", "channels_first"]
)
def test_the_terms_of_each_class_add_up_to_its_logit(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    network = tiny(name)
    staged = explain_stages(network, photo, network.card.labels)
    prediction = staged.explanation.prediction
    assert [terms.target for terms in staged.terms] == network.card.labels
    for terms, logit in zip(staged.terms, prediction.logits, strict=True):
        assert sum(terms.terms) + terms.rest + terms.bias == pytest.approx(logit, abs=1e-5)
        assert terms.score == pytest.approx(logit, abs=1e-5)
        assert list(np.abs(terms.terms)) == sorted(np.abs(terms.terms), reverse=True)
        assert len(terms.terms) == len(terms.order) <= TERMS
    listed = staged.listed
    features = passes.facts(network).head.features
    assert (listed.path, listed.count) == (features, network.model.layers[-1].kernel.shape[0])
    for number, terms in enumerate(staged.terms):
        by_channel = dict(zip(listed.channels, listed.products[number], strict=True))
        assert [by_channel[k] for k in terms.order] == pytest.approx(terms.terms, abs=1e-6)
        if listed.maps is not None:
            other = staged.terms[1 - number]
            assert set(other.order) <= set(listed.channels)


def test_fields_of_a_stage_are_those_of_its_cells(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("nested_functional")
    topology = passes.facts(network).topology
    stages = explain_stages(network, photo).stages
    # The channels of the last layer are those of branches, of which each sees something else.
    assert stages[-1].fields is None
    for stage in stages[:-1]:
        fields, (height, width) = stage.fields, stage.maps.shape[:2]
        for row in range(height):
            pixels, _ = receptive_field(topology, stage.path, row, width // 2, None)
            seen = np.flatnonzero(pixels.any(axis=1))
            start = fields.start[0] + row * fields.step[0]
            assert max(start, 0) == seen[0]
            assert min(start + fields.size[0], fields.input[0]) == seen[-1] + 1


def test_the_strongest_maps_are_those_that_vary_most(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    staged = explain_stages(network, photo)
    inputs = network_input(photo, network.card.preprocessing)
    for stage, count in zip(staged.stages, MAPS[len(staged.stages)], strict=True):
        maps = passes.forward(network, inputs, [stage.path]).layers[stage.path][0]
        spread = [((one - one.mean()) ** 2).mean() for one in np.moveaxis(maps, -1, 0)]
        assert len(stage.order) == min(count, maps.shape[-1]) == stage.maps.shape[-1]
        chosen = [spread[channel] for channel in stage.order]
        left = [one for channel, one in enumerate(spread) if channel not in stage.order]
        assert chosen == sorted(chosen, reverse=True)
        assert min(chosen) >= max(left, default=0)
        np.testing.assert_array_equal(stage.maps, maps[..., list(stage.order)])
        assert stage.limits == (maps.min(), maps.max())
        assert stage.channels == maps.shape[-1]


def test_units_between_the_maps_and_the_scores_are_the_last_inputs(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("dense_after_flatten")
    staged = explain_stages(network, photo)
    (units,) = staged.units
    kernel, bias = network.model.get_layer("scores").get_weights()
    logits = staged.explanation.prediction.logits
    np.testing.assert_allclose(units.values @ kernel + bias, logits, rtol=1e-5)
    best = staged.terms[0]
    index = network.card.labels.index(best.target)
    for unit, term in zip(best.order, best.terms, strict=True):
        assert term == pytest.approx(float(units.values[unit] * kernel[unit, index]), abs=1e-6)


def test_the_most_probable_classes_come_along(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    staged = explain_stages(network, photo)
    likely = [score.label for score in staged.explanation.prediction.top(CLASSES)]
    assert [cam.target for cam in staged.explanation.maps] == likely
    with pytest.raises(TargetError, match="no class 'unicorn'"):
        explain_stages(network, photo, ["unicorn"])
