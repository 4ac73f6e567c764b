"""Photos of classes against a slow search, and the order where probabilities are rounded to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import DataError, TargetError
from cnnviz.features.class_exemplars import certainty, find_class_exemplars
from cnnviz.features.merging import merged_classes
from cnnviz.photos.preprocessing import network_view
from cnnviz.photos.sources import SeenPhoto
from cnnviz.results import ClassExemplar, Prediction

Tiny = Callable[[str], Any]


@pytest.mark.engines
@pytest.mark.parametrize("name", ["two_classes", "one_sigmoid", "many_sigmoids"])
def test_the_same_as_a_slow_search(tiny: Tiny, name: str) -> None:
    network = tiny(name)
    steps = network.card.preprocessing
    labels = network.card.labels
    random = np.random.default_rng(3)
    photos = {}
    for number in range(40):
        low, high = sorted(random.integers(0, 256, 2))
        size = (steps.height + 5, steps.width, 3)
        photos[f"photo {number}"] = random.integers(low, high + 1, size, np.uint8)
    truths = {photo: labels[at % len(labels)] for at, photo in enumerate(photos)}
    said = {photo: cnnviz.predict(network, pixels) for photo, pixels in photos.items()}
    seen = [
        SeenPhoto(photo, pixels.shape[:2], network_view(pixels, steps))
        for photo, pixels in photos.items()
    ]
    done: list[int] = []
    found = find_class_exemplars(network, seen, truths=truths, count=3, progress=done.append)
    assert [one.label for one in found] == list(labels)
    assert done[-1] == sum(one.count for one in found) == 40
    for one in found:
        taken = [photo for photo in photos if said[photo].label == one.label]
        order = sorted(taken, key=lambda photo: -said[photo].probabilities[said[photo].index])
        wrong = [photo for photo in order if truths[photo] != one.label]
        assert one.count == len(taken)
        assert [each.photo for each in one.confident] == order[:3]
        assert [each.photo for each in one.doubtful] == order[::-1][:3]
        assert [each.photo for each in one.wrong] == wrong[:3]
        for each in one.confident:
            probability = said[each.photo].probabilities[said[each.photo].index]
            assert each.probability == pytest.approx(probability, rel=1e-5)
            assert each.truth == truths[each.photo]
    # Part by part it is the same.
    parts = [
        find_class_exemplars(network, seen[at : at + 7], (), truths, count=3)
        for at in range(0, 40, 7)
    ]
    assert merged_classes(parts, 3) == found
    (alone,) = find_class_exemplars(network, seen, [labels[1]], count=3)
    assert alone.wrong == ()
    assert alone.confident == tuple(
        ClassExemplar(each.photo, each.probability, "", each.certainty)
        for each in found[1].confident
    )


def test_the_logits_decide_where_probabilities_are_rounded() -> None:
    one = np.array([1.0, 0, 0])
    labels = ("a", "b", "c")
    surer = certainty(Prediction(labels, one, np.array([90.0, 10, 10])))
    assert surer == pytest.approx(80 - np.log(2))
    assert surer > certainty(Prediction(labels, one, np.array([99.0, 30, 10])))
    # Sigmoids: other classes do not count.
    assert certainty(Prediction(labels, one, np.array([9.0, 8, 7]), exclusive=False)) == 9
    assert certainty(Prediction(labels, one, None)) == 1


def test_what_cannot_be_searched_is_said(tiny: Tiny) -> None:
    with pytest.raises(DataError, match="no photos"):
        find_class_exemplars(tiny("two_classes"), [])
    with pytest.raises(TargetError, match="no class"):
        find_class_exemplars(tiny("two_classes"), [], ["zebra"])
