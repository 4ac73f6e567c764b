"""What a training is doing now: the figures of its latest batches, and photos of the last one."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from cnnviz.figures.curves import batch_curve
from cnnviz.figures.shading import data_uri
from cnnviz.photos.encoding import encode_jpeg, encode_png
from cnnviz.training.live_batches import LiveBatches
from cnnviz.ui import parts

# A photo with fewer pixels is enlarged with sharp edges.
_TINY = 64
_STYLE = """<style>
.batch {display: grid; grid-template-columns: repeat(4, minmax(0, 84px)); gap: 4px 8px}
.batch figure {margin: 0} .batch img {width: 100%; aspect-ratio: 1; border-radius: 3px}
.batch.tiny img {image-rendering: pixelated}
.batch figcaption {font-size: 14px; line-height: 1.3; text-align: center; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap}
.batch-head {font-size: 14px; margin-bottom: 6px}
@media (max-width: 640px) {.batch {grid-template-columns: repeat(8, minmax(0, 1fr))}}
</style>"""


def draw(batches: LiveBatches) -> None:
    """Draws the curves of the latest batches, and some photos of the last one."""
    of_loss, of_accuracy, of_photos = st.columns(3, gap="large")
    with of_loss:
        figure = batch_curve(batches.positions, batches.losses, title="Loss of each batch")
        parts.chart(figure, "batches loss")
    with of_accuracy:
        figure = batch_curve(
            batches.positions, batches.accuracies, title="Accuracy of each batch", share=True
        )
        parts.chart(figure, "batches accuracy")
    with of_photos:
        st.html(_STYLE + markup(batches))


def markup(batches: LiveBatches) -> str:
    """The photos of the last batch with their classes, as HTML."""
    kinds = "batch tiny" if max(batches.photos.shape[1:3]) < _TINY else "batch"
    figures = "".join(
        f'<figure><img src="{_uri(photo)}" alt="{html.escape(label)}">'
        f'<figcaption title="{html.escape(label)}">{html.escape(label)}</figcaption></figure>'
        for photo, label in zip(batches.photos, batches.labels, strict=True)
    )
    head = f"From batch {batches.step} of epoch {batches.epoch}, as the network got them"
    return f'<div class="batch-head">{head}</div><div class="{kinds}">{figures}</div>'


def _uri(photo: np.ndarray) -> str:
    if max(photo.shape[:2]) < _TINY:
        return data_uri(encode_png(photo), "png")
    return data_uri(encode_jpeg(photo), "jpeg")
