"""What a training is doing now: the figures of its latest batches, and photos of the last one."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.figures.curves import batch_curve, trailing_mean
from cnnviz.figures.shading import data_uri
from cnnviz.photos.encoding import encode_jpeg, encode_png
from cnnviz.training.live_batches import LiveBatches

# A photo with fewer pixels is enlarged with sharp edges.
_TINY = 64
_STYLE = """<style>
.batches {display: grid; grid-template-columns: 1fr 1fr minmax(0, 360px); gap: 12px 32px;
  font-size: 14px; line-height: 20px; font-variant-numeric: tabular-nums; margin-bottom: 8px}
.batches .head {margin-bottom: 6px} .batches .head b {font-size: 18px}
.batches .plot {display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 8px}
.batches .plot img {grid-row: 1 / 3; grid-column: 2; width: 100%; height: 130px}
.batches .plot .low {align-self: end} .batches .plot .under {grid-column: 2}
.batches .shown {display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 2px 8px}
.batches figure {margin: 0} .batches figure img {display: block; width: 100%; aspect-ratio: 1;
  border-radius: 3px} .batches .tiny img {image-rendering: pixelated}
.batches figcaption {text-align: center; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap}
@media (max-width: 900px) {.batches {grid-template-columns: 1fr 1fr}
  .batches .photos {grid-column: 1 / -1}
  .batches .shown {grid-template-columns: repeat(8, minmax(0, 1fr))}}
@media (max-width: 640px) {.batches {gap: 12px 16px} .batches .plot img {height: 84px}}
</style>"""


def draw(batches: LiveBatches) -> None:
    """Draws the curves of the latest batches, and some photos of the last one."""
    st.html(_STYLE + markup(batches))


def markup(batches: LiveBatches) -> str:
    """The curves and the photos as HTML."""
    losses = batches.losses[np.isfinite(batches.losses)]
    highest = float(losses.max()) if losses.any() else 1.0
    return (
        '<div class="batches">'
        + _curve(batches, "Loss", batches.losses, highest, "{:.3g}")
        + _curve(batches, "Accuracy", batches.accuracies, 1.0, "{:.0%}")
        + _photos(batches)
        + "</div>"
    )


def _curve(batches: LiveBatches, name: str, values: Floats, highest: float, form: str) -> str:
    """The curve of one figure; the number is the mean of the last ten batches."""
    now = form.format(float(trailing_mean(values, 10)[-1]))
    first, last = batches.positions[0], batches.positions[-1]
    svg = batch_curve(batches.positions, values, highest)
    source = data_uri(svg.encode(), "svg+xml")
    said = f"{name} of the last {len(values)} batches; the mean of the last ten is {now}"
    return (
        f'<div><div class="head">{name}, batch by batch <b>{now}</b></div>'
        f'<div class="plot"><span>{form.format(highest)}</span><span class="low">'
        f'{form.format(0)}</span><img src="{source}" alt="{said}">'
        f'<span class="under">epochs {first:.2f} to {last:.2f}</span></div></div>'
    )


def _photos(batches: LiveBatches) -> str:
    kinds = "shown tiny" if max(batches.photos.shape[1:3]) < _TINY else "shown"
    figures = "".join(
        f'<figure><img src="{_uri(photo)}" alt="{html.escape(label)}">'
        f'<figcaption title="{html.escape(label)}">{html.escape(label)}</figcaption></figure>'
        for photo, label in zip(batches.photos, batches.labels, strict=True)
    )
    head = f"From batch {batches.step} of epoch {batches.epoch}, as the network got them"
    return (
        f'<div class="photos"><div class="head">{head}</div><div class="{kinds}">{figures}</div>'
        "</div>"
    )


def _uri(photo: NDArray[np.uint8]) -> str:
    if max(photo.shape[:2]) < _TINY:
        return data_uri(encode_png(photo), "png")
    return data_uri(encode_jpeg(photo), "jpeg")
