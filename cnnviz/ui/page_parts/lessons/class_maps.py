"""The lesson on class activation maps: from the last maps to a class, term by term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from cnnviz.arrays import Bytes, Floats
from cnnviz.drawing import overlay, own_limit
from cnnviz.lessons.class_maps import quarters, stacked
from cnnviz.numerals import number, percent, written
from cnnviz.photos.encoding import shrink
from cnnviz.results import ClassActivationMap
from cnnviz.traces import ClassTerms, ListedChannels, StagedExplanation
from cnnviz.ui import parts
from cnnviz.ui.page_parts import class_terms
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, network_choice
from cnnviz.ui.text import plain

# A network of the folder whose head averages, for those whose own does not.
_OFFERED = "cat_dog"
_QUARTERS = ("Top left", "Top right", "Bottom left", "Bottom right")
_FIRST_MAPS = 4
# The longest side of a photo with a map over it.
_SHOWN = 420


@dataclass(frozen=True)
class Head:
    """The head of a network that averages its last maps, for a photo and two classes.

    Attributes:
        listed: the channels with the largest terms.
        target: the predicted class.
        rival: the class with the next highest probability.
        terms: of both classes, by name.
        cam: the class activation map of the predicted class.
        probability: of the predicted class.
    """

    listed: ListedChannels
    target: str
    rival: str
    terms: dict[str, ClassTerms]
    cam: ClassActivationMap
    probability: float

    def weights(self, target: str) -> dict[int, float]:
        """The weight of each channel that has a term for a class, by its number."""
        at = {channel: place for place, channel in enumerate(self.listed.channels)}
        means = self.means()
        terms = zip(self.terms[target].order, self.terms[target].terms, strict=True)
        return {one: term / means[at[one]] for one, term in terms if term}

    def means(self) -> Floats:
        """The means of the listed maps."""
        return _maps(self.listed).mean(axis=(0, 1), dtype=np.float64)


def head_of(answer: StagedExplanation) -> Head | None:
    """The head of a network; None where its scores are no sums over the means of its last maps."""
    prediction, listed = answer.explanation.prediction, answer.listed
    terms = {one.target: one for one in answer.terms}
    names = [score.label for score in prediction.top(2)]
    if listed is None or listed.maps is None or len(names) < 2 or not set(names) <= terms.keys():
        return None
    cam = next(one for one in answer.explanation.maps if one.target == names[0])
    if cam.bias is None or cam.aggregate != "mean" or not cam.logit:
        return None
    probability = float(prediction.probabilities[prediction.labels.index(names[0])])
    return Head(listed, names[0], names[1], terms, cam, probability)


def _with_head(step: Callable[[Scene, str, Head], None]) -> frame.Step:
    """A step that needs such a network; without one it says so, and offers one."""

    def draw(scene: Scene, scope: str) -> None:
        head = head_of(scene.staged())
        if head is None:
            frame.question("From maps to a class")
            st.info(
                "The network that you chose does not average its last maps, so its score is no "
                "sum that could be followed here."
            )
            offered = any(model.name == _OFFERED for model in library.models())
            if offered and st.button("Use the cat-or-dog network", type="primary"):
                network_choice.put(_OFFERED)
                st.rerun()
            return
        step(scene, frame.scope_of(scene, scope), head)

    return draw


def _means(_: Scene, scope: str, head: Head) -> None:
    seen, said = frame.question_beside("What does the network keep of each of its last maps?")
    maps, order = _maps(head.listed), head.terms[head.target].order[:_FIRST_MAPS]
    places = [head.listed.channels.index(one) for one in order]
    dark = parts.on_dark_page()
    seen.html(
        drawings.row(
            *(
                drawings.shown(
                    drawings.coloured(maps[..., at], dark=dark, limits_of=maps),
                    f"Channel {head.listed.channels[at]}",
                    side=120,
                )
                for at in places
            )
        )
    )
    seen.markdown(
        f"The last layer has {head.listed.count:,} maps of your photo. Here are {len(places)}."
    )
    if frame.guess(
        said,
        scope,
        ("Its largest number", "Its average", "All of its numbers"),
        "Its average",
        "One number a map: this is global average pooling. Where a pattern was is forgotten here, "
        "and how much of it there was is kept.",
    ):
        means = head.means()
        shown = [f"{head.listed.channels[at]}: <b>{number(means[at])}</b>" for at in places]
        st.html(drawings.big(" &nbsp; ".join(shown)))


def _side(_: Scene, scope: str, head: Head) -> None:
    # The channel with the largest term for the predicted class.
    channel = head.terms[head.target].order[0]
    at = head.listed.channels.index(channel)
    seen, said = frame.question_beside(
        f"Channel {channel} answers here. Which class does it favour?"
    )
    maps, dark = _maps(head.listed), parts.on_dark_page()
    seen.html(
        drawings.shown(
            drawings.coloured(maps[..., at], dark=dark),
            f"Channel {channel}, average {number(head.means()[at])}",
        )
    )
    products = {
        one: head.listed.products[_class_index(head, one), at] for one in (head.target, head.rival)
    }
    right = max(products, key=lambda one: products[one])
    others = [number(products[one]) for one in (head.target, head.rival)]
    if not frame.guess(
        said,
        scope,
        sorted((head.target, head.rival)),
        right,
        f"Average × weight is {plain(others[0])} for “{plain(head.target)}” and "
        f"{plain(others[1])} for “{plain(head.rival)}”. The weights are numbers that training "
        "found. A channel has one for each class.",
    ):
        return
    for column, target in zip(st.columns(2, gap="large"), (head.target, head.rival), strict=True):
        shown = class_terms.class_sum(
            head.terms[target], maps, head.listed.channels, head.listed.count
        )
        column.markdown(f"**What makes “{plain(target)}”**")
        column.html(class_terms.styled(shown, dark=dark))


def _stack(scene: Scene, scope: str, head: Head) -> None:
    seen, said = frame.question_beside(
        f"We add up all maps, each times its weight. Where is most of “{head.target}”?"
    )
    place = seen.empty()
    place.html(drawings.shown(scene.view().pixels, "What the network sees", side=300))
    adds = quarters(head.cam.values)
    if not frame.guess(
        said,
        scope,
        _QUARTERS,
        _QUARTERS[int(adds.argmax())],
        "Move the slider: each step lays one more map on, times its weight. Orange speaks for the "
        "class, blue against it. The last step adds all other channels: it is the **class "
        "activation map**.",
    ):
        return
    # The map is over it, and has to be in sight.
    place.empty()
    sums, order = sums_of(head)
    last = len(sums) - 1
    reached = st.slider("Maps that are added up", 0, last, min(_FIRST_MAPS, last))
    added = f"{reached} of {head.listed.count:,} maps"
    if reached == last:
        added = f"All {head.listed.count:,} maps: the class activation map"
    elif reached:
        channel = order[reached - 1]
        weight = number(head.weights(head.target)[channel])
        added = f"{added}. Added last: channel {channel} × {weight}"
    so_far, whole = (number(float(one.mean())) for one in (sums[reached], head.cam.values))
    st.html(
        drawings.row(
            drawings.shown(_over_photo(scene, head, sums[reached]), added, side=_SHOWN),
            drawings.big(f"Average so far: <b>{so_far}</b><br>of all maps: {whole}"),
            drawings.grid(adds, "What each quarter adds to the average of all maps"),
        )
    )


def _logit(_: Scene, scope: str, head: Head) -> None:
    cam = head.cam
    mean, bias = float(cam.values.mean(dtype=np.float64)), float(cam.bias or 0)
    seen, said = frame.question_beside("What is the score of the class?")
    texts = [_decimals(one) for one in (mean, bias, cam.score)]
    seen.html(drawings.big(f"Average of the map: <b>{texts[0]}</b>, bias: <b>{texts[1]}</b>"))
    seen.markdown(
        f"The bias of “{plain(head.target)}” is one more number that training found. It is added "
        "whatever the photo is."
    )
    others = {_decimals(one): one for one in (mean * bias, mean - bias, 100 * mean)}
    options = sorted({**others, texts[2]: cam.score}.items(), key=lambda one: one[1])
    if frame.guess(
        said,
        scope,
        [text for text, _ in options],
        texts[2],
        "**Average + bias = score**, which is called the logit. So the map is no picture beside "
        "the answer: it *is* the answer, spread over the photo.",
    ):
        # Rounded numbers need not add up to the rounded sum.
        adds_up = round(1000 * mean) + round(1000 * bias) == round(1000 * cam.score)
        sign = "=" if adds_up else "≈"
        st.html(drawings.big(f"{texts[0]} + {texts[1]} {sign} <b>{texts[2]}</b>"))
        st.markdown(
            f"With the scores of the other classes it becomes a probability: "
            f"“{plain(head.target)}” {plain(percent(head.probability))}."
        )


def _against(scene: Scene, scope: str, head: Head) -> None:
    frame.question(f"The network says “{head.target}”. Does every place of the photo speak for it?")
    below = int((head.cam.values < 0).sum())
    right = "No, some speak against it" if below else "Yes, every place"
    size = head.cam.values.size
    because = (
        f"{below} of {size} cells are below zero: they speak against it. The score is the balance "
        "of all cells. A map that shows orange alone hides half of the story."
        if below
        else f"All {size} cells are zero or above here. That need not be so: try a photo with a "
        "cat and a dog, and look for blue."
    )
    if frame.guess(
        st.container(),
        scope,
        ("Yes, every place", "No, some speak against it"),
        right,
        because,
    ):
        st.html(
            drawings.shown(
                _over_photo(scene, head, head.cam.values), "Orange for, blue against", side=_SHOWN
            )
        )


def sums_of(head: Head) -> tuple[Floats, list[int]]:
    """The sums of the maps so far, the last one that of all channels; and the listed channels."""
    weights = head.weights(head.target)
    order = list(weights)
    places = [head.listed.channels.index(one) for one in order]
    sums = stacked(_maps(head.listed)[..., places], np.array([weights[one] for one in order]))
    return np.concatenate([sums, head.cam.values[None]]), order


def _over_photo(scene: Scene, head: Head, values: Floats) -> Bytes:
    """The photo in grey with a map over it, on the scale of the class activation map."""
    photo = shrink(np.asarray(scene.photo.decode()), _SHOWN)
    cam = replace(head.cam, values=values.astype(np.float32))
    return overlay(photo, cam, scene.preprocessing, limit=own_limit(head.cam))


def _decimals(value: float) -> str:
    return written(value, ".3f")


def _maps(listed: ListedChannels) -> Floats:
    if listed.maps is None:
        raise ValueError("Expected channels with maps. Received: units")
    return listed.maps


def _class_index(head: Head, target: str) -> int:
    """The row of a class in ``products``, which has all classes of the terms."""
    return list(head.terms).index(target)


LESSON = Lesson(
    "class-map",
    "From maps to a class",
    "How many maps become one word, and one map says where it came from.",
    6,
    tuple(map(_with_head, (_means, _side, _stack, _logit, _against))),
    Notes(
        "Everybody can say what a class activation map is: the last maps, each times the weight of "
        "the class, added up. Its average and the bias are the score.",
        "“The map shows where the cat is.” It shows where the evidence is that this network uses. "
        "That may be a part of the cat, or something else: see “Don't trust it yet”.",
        (
            "Two classes have the same maps. Why do their class activation maps differ?",
            "All weights of a class are zero. What is its score, and what does its map look like?",
        ),
    ),
)
