"""The lesson on attention: a small network that weighs four measurements of a flower."""

from __future__ import annotations

import functools
import time

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.lessons.attention import (
    Epoch,
    Flowers,
    answers,
    changed_answers,
    mean_shares,
    read_flowers,
    split,
    standardise,
    train,
)
from cnnviz.ui import parts
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Steps of a training, and from one that is drawn to the next.
STEPS, _EVERY = 200, 10
# Seconds between two drawings: the training itself takes a fifth of a second.
PAUSE = 0.08
# The training that is shown first, and those with which it is compared.
SEED, SEEDS = 1, tuple(range(8))
# A training in which a measurement with nearly no weight matters all the same.
_TELLING = 3
_SAME, _OTHER = "Yes, in every training", "No, not always"


@functools.cache
def _flowers() -> Flowers:
    return read_flowers()


@functools.lru_cache(maxsize=32)
def training(seed: int, *, attention: bool) -> tuple[Epoch, ...]:
    """A training: its state before the first step, and after every tenth."""
    return tuple(list(train(_flowers(), STEPS, seed, attention=attention))[::_EVERY])


def values_of(seed: int) -> Floats:
    """The measurements (150, 4) as the networks of a training get them."""
    values = _flowers().values
    return standardise(values, values[split(_flowers(), seed)[0]])


def shares_of(seed: int, at: int = -1) -> Floats:
    """The attention (150, 4) of a training, at the end or after a number of tens of steps."""
    shares = answers(training(seed, attention=True)[at].weights, values_of(seed)).attention
    if shares is None:
        raise ValueError("Expected a network with attention. Received: one without")
    return shares


def first_feature(seed: int) -> str:
    """The measurement with the largest mean weight over all flowers."""
    return _flowers().features[int(shares_of(seed).mean(axis=0).argmax())]


def _weigh(_: Scene, scope: str) -> None:
    frame.question("Four measurements of a flower. Which one will get the most weight?")
    st.markdown(
        "A small network names irises. It gets four lengths in centimetres. Before it decides, it "
        "shares out a weight of 100 % among them, **for each flower anew**, and multiplies. This "
        "is **attention**. Nobody tells it what to attend to."
    )
    place = st.empty()
    if not frame.guess(
        st.container(),
        scope,
        _flowers().features,
        first_feature(SEED),
        f"Averaged over all 150 flowers, {first_feature(SEED)} got the largest weight in this "
        "training.",
    ):
        place.html(_formula())
        return
    place.html(_formula())
    drawn = st.empty()
    seen = f"trained {scope}"
    if (
        st.button("Train it again, and watch", icon=":material/play_arrow:")
        or seen not in st.session_state
    ):
        st.session_state[seen] = True
        for at in range(len(training(SEED, attention=True)) - 1):
            drawn.html(_state(at))
            time.sleep(PAUSE)
    drawn.html(_state(-1))


def _formula() -> str:
    return drawings.big(
        "4 lengths → <b>Dense + softmax: 4 weights</b> → lengths × weights → Dense + softmax → "
        "setosa, versicolor or virginica"
    )


def _state(at: int) -> str:
    """Both networks, and the mean weights, after some of the steps."""
    with_it, without = (training(SEED, attention=one)[at] for one in (True, False))
    weights = list(zip(_flowers().features, shares_of(SEED, at).mean(axis=0), strict=True))
    return drawings.row(
        drawings.bars(weights, f"Mean weights after step {with_it.number} of {STEPS}"),
        drawings.bars(
            [("with attention", with_it.accuracy), ("without", without.accuracy)],
            "Flowers of the training that are named rightly",
        ),
    )


def _beside(_: Scene, scope: str) -> None:
    frame.question(
        "Thirty flowers were kept back. Who names more of them: with attention, or without?"
    )
    with_it, without = (training(SEED, attention=one)[-1].held_out for one in (True, False))
    right = "Both the same"
    if with_it != without:
        right = "With attention" if with_it > without else "Without"
    if not frame.guess(
        st.container(),
        scope,
        ("With attention", "Without", "Both the same"),
        right,
        "Here is every training that we made, each from other random numbers, with other flowers "
        "kept back. For four lengths attention is no clear gain: the task is too easy. In large "
        "networks for language it is another matter.",
    ):
        return
    rows = [["training", "with", "without"]]
    for seed in SEEDS:
        pair = [drawings.share(training(seed, attention=one)[-1].held_out) for one in (True, False)]
        rows.append([str(seed + 1), *pair])
    st.html(drawings.grid(rows, "Share of the 30 flowers that are named rightly", small=True))


def _each(_: Scene, scope: str) -> None:
    frame.question("Do all flowers share out their weights in the same way?")
    if not frame.guess(
        st.container(),
        scope,
        ("Yes, the weights are fixed", "No, each flower has its own"),
        "No, each flower has its own",
        "The weights are computed from the flower's own four lengths. Each column below is a "
        "flower; the stronger the colour, the more weight.",
    ):
        return
    flowers, shares = _flowers(), shares_of(SEED)
    wide = np.repeat(shares.T, 8, axis=0)
    st.html(
        drawings.shown(
            drawings.coloured(wide, dark=parts.on_dark_page()),
            f"150 flowers from left to right: 50 each of {', '.join(flowers.names)}. Four bands "
            f"from the top: {', '.join(flowers.features)}.",
            side=900,
        )
    )
    means = mean_shares(shares, flowers.species)
    st.html(
        drawings.row(
            *(
                drawings.bars(list(zip(flowers.features, row, strict=True)), f"Mean of {name}")
                for name, row in zip(flowers.names, means, strict=True)
            )
        )
    )


def _again(_: Scene, scope: str) -> None:
    frame.question("We train again, from other random numbers. Is the same measurement first?")
    first = [first_feature(seed) for seed in SEEDS]
    if not frame.guess(
        st.container(),
        scope,
        (_SAME, _OTHER),
        _SAME if len(set(first)) == 1 else _OTHER,
        "All of these networks name most flowers rightly. Yet they attend to different things. So "
        "the weights tell what **this** network multiplied, and not what matters about an iris.",
    ):
        return
    rows = [["training", "most weight", "right"]]
    for seed, name in zip(SEEDS, first, strict=True):
        rows.append(
            [str(seed + 1), name, f"{drawings.share(training(seed, attention=True)[-1].held_out)}"]
        )
    st.html(drawings.grid(rows, "“Right”: of the 30 flowers that were kept back", small=True))


def _use(_: Scene, scope: str) -> None:
    flowers, shares = _flowers(), shares_of(_TELLING).mean(axis=0)
    least = int(shares.argmin())
    name = flowers.features[least]
    weight = drawings.share(shares[least])
    frame.question(f"In training {_TELLING + 1}, {name} has a weight of {weight}. Is it used?")
    weights = training(_TELLING, attention=True)[-1].weights
    missed = [changed_answers(weights, values_of(_TELLING), at) for at in range(len(shares))]
    right = "Yes, it is used" if missed[least] else "No, it is not"
    if not frame.guess(
        st.container(),
        scope,
        ("Yes, it is used", "No, it is not"),
        right,
        f"We shuffled {name} among the flowers, and nothing else. **{missed[least]} of 150 answers "
        "changed.** It is hardly multiplied, but it helps to share out the weights. A small weight "
        "does not mean that something does not matter.",
    ):
        return
    rows = [["shuffled", "weight", "answers changed"]]
    for at, feature in enumerate(flowers.features):
        rows.append([feature, f"{drawings.share(shares[at])}", str(missed[at])])
    st.html(
        drawings.grid(
            rows, f"Training {_TELLING + 1}: mean weight, and what shuffling does", small=True
        )
    )
    st.caption(plain("Flowers: R. A. Fisher 1936, from scikit-learn (BSD 3-Clause)."))


LESSON = Lesson(
    "attention",
    "Attention, and what it does not say",
    "A network that weighs four measurements of a flower, trained while you watch.",
    6,
    (_weigh, _beside, _each, _again, _use),
    Notes(
        "Everybody can say what attention is (weights that are computed from the input, and add up "
        "to 1), and why it is not an explanation by itself.",
        "“Much weight means important.” The last two questions show that it need not: other "
        "trainings give other weights, and what has hardly any weight may still be used.",
        (
            "How could you find out what a network really uses, if not by its weights?",
            "Why do the four weights always add up to 100 %?",
        ),
    ),
)
