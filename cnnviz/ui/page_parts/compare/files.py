"""The files of the comparison that a person can take away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnviz.exports import comparison_json
from cnnviz.figures.comparison import comparison_picture
from cnnviz.photos.encoding import encode_png
from cnnviz.results import Comparison
from cnnviz.ui import parts
from cnnviz.ui.page_parts.compare.subjects import Subject


def downloads(found: Comparison, subjects: Sequence[Subject]) -> None:
    """All maps as one picture, and all values, settings and answers as JSON."""
    photos = [one.scene.photo for one in subjects]
    stem = parts.file_stem(photos[0].name, "comparison")
    with st.container(horizontal=True):
        parts.download(
            "All as a picture (.png)",
            lambda: encode_png(
                comparison_picture(found, [np.asarray(photo.decode()) for photo in photos])
            ),
            f"{stem}.png",
            "comparison png",
        )
        parts.download(
            "All values (.json)", lambda: comparison_json(found), f"{stem}.json", "comparison json"
        )
