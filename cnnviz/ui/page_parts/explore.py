"""The Explore page's parts: the photo, the answer in a sentence, and the probabilities."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.attribution.descriptions import describe
from cnnviz.figures.bars import confidence_bars
from cnnviz.figures.frame import BAR_SPACE
from cnnviz.figures.photos import photo_figure
from cnnviz.results import Explanation
from cnnviz.ui import parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_MOST_SCORES = 5
# The sentence's usual lines in a wide window, in one of medium width, and on a telephone.
_SENTENCE_STYLE = f"""
.st-key-sentence {{min-height: 36px}}
@media (max-width: 1200px) {{.st-key-sentence {{min-height: 60px}}}}
@media {parts.NARROW} {{.st-key-sentence {{min-height: 84px}}}}
"""


def place_of_sentence() -> DeltaGenerator:
    """The space of the sentence, so that the photo below it stays where it is when that comes."""
    st.html(f"<style>{_SENTENCE_STYLE}</style>")
    return st.container(key="sentence")


def photo(scene: Scene) -> None:
    """The photo by itself, at the height of the map beside it, which has a colour bar above."""
    figure = photo_figure(scene.photo.shown, title="The photo")
    parts.picture_chart(figure, "photo", above_in_columns=BAR_SPACE)


def sentence(scene: Scene, explanation: Explanation) -> None:
    """The predicted class, and where in the photo the evidence for it is."""
    text = describe(explanation, scene.photo.size, scene.outline.card.preprocessing)
    st.subheader(plain(text), anchor=False)


def scores(explanation: Explanation) -> None:
    """The most probable classes as bars."""
    best = explanation.prediction.top(_MOST_SCORES)
    bars = [(score.label, score.probability) for score in best]
    # A row of its own: in a narrow window the map follows the photo directly.
    left, _ = st.columns(2, gap="large")
    with left:
        parts.chart(confidence_bars(bars, highlight=explanation.maps[0].target), "scores")
