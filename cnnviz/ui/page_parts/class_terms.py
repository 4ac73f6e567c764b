"""What makes a class: the terms of its score, as a table that adds up on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnviz.arrays import Bytes, Floats, colour
from cnnviz.attribution.descriptions import sum_of_cells
from cnnviz.colours import on_page, table
from cnnviz.drawing import Shading, activation_shading
from cnnviz.figures.shading import data_uri
from cnnviz.numerals import number, percent, written
from cnnviz.photos.encoding import encode_png
from cnnviz.results import ClassActivationMap
from cnnviz.traces import ClassTerms, StagedExplanation
from cnnviz.ui import parts
from cnnviz.ui.legends import legend_line
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Of bars for a class and against it, on light and on dark pages.
_FOR, _AGAINST = ("#c2520a", "#ff9a4d"), ("#2a5fc4", "#7fb0ff")
_DIGITS = 3
_STYLE = """
.sum {border-collapse: collapse; width: 100%; font-size: 15px; line-height: 1.2;
  font-variant-numeric: tabular-nums}
.sum th {font-size: 14px; font-weight: 400; text-align: right; vertical-align: bottom;
  padding: 0 0 6px 8px; border: 0; opacity: 0.8}
.sum td {text-align: right; padding: 2px 0 2px 8px; border: 0; white-space: nowrap}
.sum .name {text-align: left; padding-left: 0}
.sum .bars {width: 45%; min-width: 64px; padding-left: 16px}
.sum img {height: 32px; width: auto; max-width: 64px; border-radius: 2px; vertical-align: middle;
  margin-right: 10px; image-rendering: pixelated}
.sum .track {position: relative; height: 16px}
.sum .track i {position: absolute; top: 0; height: 100%; border-radius: 2px}
.sum .track b {position: absolute; top: -11px; bottom: -11px; width: 1.5px; background: #87949f}
.sum .rest td {padding-top: 8px}
.sum .score td {font-weight: 700; border-top: 1.5px solid currentColor; padding-top: 6px}
"""


@dataclass(frozen=True)
class ClassSum:
    """The terms of a class's score: products (n,) of inputs (n,) and weights (n,).

    Attributes:
        target: the class.
        of: what a term belongs to: "channel" or "unit".
        numbers: of the channels or units, the largest term first.
        inputs: the mean of each channel's map over the photo, or each unit's output.
        weights: those of the class.
        products: what each adds.
        maps: (h, w, n) of the channels; None for units.
        rest: what all others add together.
        others: how many those are.
        bias: of the class.
        score: the sum of all.
    """

    target: str
    of: str
    numbers: tuple[int, ...]
    inputs: Floats
    weights: Floats
    products: Floats
    maps: Floats | None
    rest: float
    others: int
    bias: float
    score: float


def class_sum(terms: ClassTerms, values: Floats, channels: Sequence[int], count: int) -> ClassSum:
    """A class's terms with the maps or units that they belong to.

    Args:
        terms: of the class.
        values: maps (h, w, n), or units (n,).
        channels: the n numbers of those.
        count: how many there are in all.
    """
    place = {channel: at for at, channel in enumerate(channels)}
    # A term of zero says nothing, not even its weight.
    listed = [at for at, product in enumerate(terms.terms) if product]
    numbers = tuple(terms.order[at] for at in listed)
    products = np.array([terms.terms[at] for at in listed], np.float64)
    chosen = values[..., [place[number] for number in numbers]]
    of_maps = values.ndim == 3
    inputs = chosen.mean(axis=(0, 1), dtype=np.float64) if of_maps else chosen.astype(np.float64)
    return ClassSum(
        terms.target,
        "channel" if of_maps else "unit",
        numbers,
        inputs,
        products / inputs,
        products,
        chosen if of_maps else None,
        terms.rest,
        count - len(numbers),
        terms.bias,
        terms.score,
    )


def show(
    scene: Scene, answer: StagedExplanation, target: str, cam: ClassActivationMap | None
) -> None:
    """The terms of the score of a class, and how its map, if there is one yet, belongs to it."""
    prediction = answer.explanation.prediction
    shown = _sum_of(scene, answer, target)
    probability = prediction.probabilities[prediction.labels.index(target)]
    share = f"The probability of “{target}” is {percent(probability)}."
    cells = "" if cam is None else sum_of_cells(cam, prediction)
    of_map = plain(f"{cells} {share}".strip())
    if shown is None:
        st.markdown(
            "The scores of this network are not sums over channels or units, each times a weight "
            "of the class, so there are no terms to list."
        )
        st.caption(of_map)
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        dark = parts.on_dark_page()
        st.html(styled(shown, dark=dark))
    with right:
        st.markdown(_story(shown))
        st.caption(of_map)


def _sum_of(scene: Scene, answer: StagedExplanation, target: str) -> ClassSum | None:
    if target not in {terms.target for terms in answer.terms}:
        answer = scene.staged((target,))
    terms = next((one for one in answer.terms if one.target == target), None)
    if terms is None or answer.listed is None:
        return None
    listed, maps = answer.listed, answer.listed.maps
    if maps is not None:
        return class_sum(terms, maps, listed.channels, listed.count)
    units = answer.units[-1].values
    return class_sum(terms, units, range(len(units)), listed.count)


def _story(shown: ClassSum) -> str:
    """How the table is read."""
    target, count = plain(shown.target), len(shown.numbers) + shown.others
    adds = f"The bars are what each adds: :orange[for] “{target}”, or :blue[against] it."
    if shown.of == "unit":
        return (
            f"Here dense layers come between the maps and the scores, so no channel has a weight "
            f"of its own for “{target}”. The {count:,} units of the last layer before the scores "
            f"have one. {adds} With the bias they are the score of “{target}” (its logit)."
        )
    return (
        f"The last layer has {count:,} maps of this photo. The mean of each, times the weight that "
        f"“{target}” gives to it, is one term. {adds} With the bias they are the score of "
        f"“{target}” (its logit)."
    )


def styled(shown: ClassSum, *, dark: bool) -> str:
    """``markup`` with its style."""
    return f"<style>{_STYLE}</style>{markup(shown, dark=dark)}"


def markup(shown: ClassSum, *, dark: bool) -> str:
    """The terms as an HTML table: a row a term with its bar, then rest, bias and score.

    Args:
        shown: the terms.
        dark: whether the page has a dark background.
    """
    form = f"+.{_decimals(shown.products)}f"
    mean = "mean" if shown.of == "channel" else "output"
    lowest, highest = min(0.0, *shown.products), max(0.0, *shown.products)
    span = (highest - lowest) or 1.0
    rows, look = [], _look(shown, dark=dark)
    for at, product in enumerate(shown.products):
        start, end = sorted((-lowest / span, (product - lowest) / span))
        side = (_FOR if product > 0 else _AGAINST)[dark]
        bar = (
            f'<div class="track"><i style="left:{start:.1%};width:{end - start:.1%};'
            f'background:{side}"></i><b style="left:{-lowest / span:.1%}"></b></div>'
        )
        rows.append(
            f'<tr><td class="name">{_tile(shown, at, look)}{shown.of} {shown.numbers[at]:,}</td>'
            f"<td>{number(shown.inputs[at])}</td><td>× {written(shown.weights[at], '+.3f')}</td>"
            f'<td class="bars">{bar}</td><td>{written(product, form)}</td></tr>'
        )
    tail = [("bias", shown.bias, ""), ("score (logit)", shown.score, ' class="score"')]
    if shown.others:
        rest = f"{shown.others:,} other {shown.of}{'s' if shown.others > 1 else ''}"
        tail.insert(0, (rest, shown.rest, ' class="rest"'))
    rows += [
        f'<tr{kind}><td class="name" colspan="4">{name}</td><td>{written(value, form)}</td></tr>'
        for name, value, kind in tail
    ]
    colours = "" if look is None else legend_line("activation", look)
    return (
        f'<table class="sum"><thead><tr><th class="name">{shown.of}</th><th>{mean}</th>'
        '<th>× weight</th><th class="bars"></th><th>adds</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{colours}"
    )


def _look(shown: ClassSum, *, dark: bool) -> Shading | None:
    """The colours of the channels' maps, on one scale; None for units."""
    if shown.maps is None:
        return None
    look = activation_shading(shown.maps, "teal")
    return Shading(on_page(look.colours, dark=dark), *look.limits)


def _tile(shown: ClassSum, at: int, look: Shading | None) -> str:
    if shown.maps is None or look is None:
        return ""
    pixels: Bytes = colour(shown.maps[..., at], table(look.colours), *look.limits)
    source = data_uri(encode_png(pixels), "png")
    return f'<img src="{source}" alt="The map of channel {shown.numbers[at]}">'


def _decimals(products: Floats) -> int:
    """So many that the largest product has three digits, and two of them at least."""
    largest = float(np.abs(products).max(initial=0))
    return max(2, _DIGITS - 1 - math.floor(math.log10(largest))) if largest else 2
