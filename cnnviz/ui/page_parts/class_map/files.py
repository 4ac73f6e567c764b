"""The files that a person can take away from the page on class activation maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from cnnviz.attribution.details import CELLS
from cnnviz.attribution.methods import METHODS
from cnnviz.drawing import common_limit, overlay, picture_on_photo
from cnnviz.photos.encoding import encode_png
from cnnviz.results import ClassActivationMap
from cnnviz.ui import parts
from cnnviz.ui.scene import Scene


def downloads(
    scene: Scene, maps: Mapping[str, ClassActivationMap], target: str, signed: bool
) -> None:
    """The overlay and the raw map as files."""
    cam, limit = maps[target], common_limit(maps.values())
    steps = scene.preprocessing
    names = [cam.target] if cam.against is None else [cam.target, "against", cam.against]
    made = [] if cam.detail == CELLS else [cam.detail]
    stem = parts.file_stem(scene.photo.name, *names, cam.method, *made)
    left, middle, right = st.columns(3)
    with left:
        parts.download(
            "Overlay (.png)",
            lambda: encode_png(
                overlay(np.asarray(scene.photo.decode()), cam, steps, signed=signed, limit=limit)
            ),
            f"{stem}.overlay.png",
            "overlay png",
        )
    with middle:
        parts.download_array("Raw map (.npy)", cam.values, f"{stem}.cam", "map npy")
    picture = METHODS[cam.method].picture
    if picture is not None:
        with right:
            parts.download(
                "8-bit map (.png)",
                lambda: encode_png(picture_on_photo(cam, picture, *scene.photo.size, steps)),
                f"{stem}.contrast.png",
                "contrast png",
            )
