"""What the network says of a photo that was painted on, in numbers and words."""

from __future__ import annotations

import numpy as np

from cnnviz.numerals import exact_percent, written
from cnnviz.photos.masking import occlude
from cnnviz.photos.preprocessing import NetworkView
from cnnviz.results import Explanation, Prediction
from cnnviz.ui.components.paint import PaintAnswer, PaintClass, pack
from cnnviz.ui.page_parts.explore.content import evidence, limit_of
from cnnviz.ui.page_parts.occlude.paintings import Painting

# Classes that are listed: the most probable ones for the whole photo, and for the changed one.
_MOST_BEFORE, _MOST_AFTER = 4, 2


def changed_view(view: NetworkView, painting: Painting, filling: str, keep: bool) -> NetworkView:
    """What the network gets; the photo as it is where nothing is painted."""
    if not painting.mask.any():
        return view
    hidden = ~painting.mask if keep else painting.mask
    return occlude(view, view.preprocessing, hidden, filling)


def answer(place: str, painting: Painting, before: Explanation, after: Explanation) -> PaintAnswer:
    """Both explanations, beside each other.

    Args:
        place: as ``paintings.place`` names it.
        painting: the painting.
        before: of the whole photo, with one map.
        after: of the changed photo, with a map of the same class.
    """
    whole, changed = before.maps[0], after.maps[0]
    return PaintAnswer(
        id=place,
        stamp=painting.stamp,
        mask=pack(painting.mask),
        sentence=_sentence(painting, before.prediction, after.prediction),
        classes=_classes(before.prediction, after.prediction, whole.target),
        target=whole.target,
        maps=np.stack([evidence(whole), evidence(changed)]),
        limit=limit_of([whole, changed]),
    )


def _classes(before: Prediction, after: Prediction, target: str) -> list[PaintClass]:
    listed = [score.label for score in before.top(_MOST_BEFORE)]
    listed += [score.label for score in after.top(_MOST_AFTER)] + [target]
    return [_class(label, before, after) for label in dict.fromkeys(listed)]


def _class(label: str, before: Prediction, after: Prediction) -> PaintClass:
    was, is_now = probability(before, label), probability(after, label)
    texts = exact_percent(was), exact_percent(is_now), points(is_now - was)
    return PaintClass(label, was, is_now, texts)


def probability(prediction: Prediction, label: str) -> float:
    """The probability of a class, 0 to 1."""
    return float(prediction.probabilities[prediction.labels.index(label)])


def points(change: float) -> str:
    """The change of a probability as text, in points of a hundred."""
    text = written(100 * change, "+.1f")
    return "0.0 points" if text[1:] == "0.0" else f"{text} points"


def _sentence(painting: Painting, before: Prediction, after: Prediction) -> str:
    label = before.label
    was, is_now = (exact_percent(probability(one, label)) for one in (before, after))
    share = painting.mask.mean()
    if not share:
        return f"The network says {label}, {was}. Paint on the photo to ask what it needs for that."
    told = f"{was} for the whole photo, now {is_now}."
    if after.label == label:
        return f"Still {label}: {told}"
    other = exact_percent(probability(after, after.label))
    return f"No longer {label}: {told} The network says {after.label}, {other}."
