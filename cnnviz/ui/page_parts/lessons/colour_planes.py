"""The lesson on pixels: a photo is three grids of numbers."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.lessons.colour_planes import PLANES, alone, plane, without
from cnnviz.photos.encoding import shrink
from cnnviz.results import Box
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import photos
from cnnviz.ui.text import plain

# The photo of the lesson, in pixels of its longer side, and the part whose numbers are shown.
_SIDE, _PART = 96, 7
_COLOURFUL = "chelsea"
# Three colours and what they are made of, to mix.
_MIXED = ((255, 255, 0), "yellow")


def colourful(scene: Scene) -> tuple[NDArray[np.uint8], str]:
    """The photo (h, w, 3), and its name; a sample in place of one that is grey."""
    pixels = shrink(np.asarray(scene.photo.decode())[..., :3], _SIDE)
    if (pixels == pixels[..., :1]).all():
        sample = photos.any_sample(_COLOURFUL)
        return shrink(np.asarray(sample.decode()), _SIDE), f"{sample.name} (your photo is grey)"
    return pixels, scene.photo.name


def _pixel(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("What does a computer keep of one pixel of a photo?")
    pixels, name = colourful(scene)
    place = seen.empty()
    place.html(
        drawings.shown(pixels, f"{name}, in {pixels.shape[1]} × {pixels.shape[0]} pixels", side=300)
    )
    if not frame.guess(
        said,
        scope,
        ("The name of its colour", "One number", "Three numbers"),
        "Three numbers",
        "How much **red**, how much **green**, how much **blue**: from 0 (none) to 255 (all).",
    ):
        return
    # The answer shows it again, and has to be in sight.
    place.empty()
    height, width = pixels.shape[:2]
    columns = st.columns(2)
    left = columns[0].slider("From the left", 0, width - _PART, (width - _PART) // 2)
    top = columns[1].slider("From the top", 0, height - _PART, (height - _PART) // 2)
    colour = st.pills("Grid", PLANES, default="red", required=True, label_visibility="collapsed")
    part = pixels[top : top + _PART, left : left + _PART]
    st.html(
        drawings.row(
            drawings.shown(
                pixels, "The photo", box=Box(left, top, left + _PART, top + _PART), side=260
            ),
            drawings.shown(part, f"{_PART} × {_PART} of its pixels", side=200),
            drawings.grid(
                plane(part, colour).astype(np.float32), f"How much {colour} they have", small=True
            ),
        )
    )


def _which(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("Bright means much of one colour. Which colour is it?")
    pixels, name = colourful(scene)
    right = telling_plane(pixels)
    seen.html(
        drawings.row(
            drawings.shown(pixels, name),
            drawings.shown(
                plane(pixels, right), "One of its three grids: 255 is white, 0 is black"
            ),
        )
    )
    if frame.guess(
        said,
        frame.scope_of(scene, scope),
        PLANES,
        right,
        "Compare a place whose colour you know. All three grids together are the photo.",
    ):
        st.html(
            drawings.row(*(drawings.shown(plane(pixels, one), one, side=180) for one in PLANES))
        )
        st.html(
            drawings.row(
                *(drawings.shown(alone(pixels, one), f"{one} alone", side=180) for one in PLANES)
            )
        )


def _without(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("We set all red to 0. What will the photo look like?")
    pixels, name = colourful(scene)
    place = seen.empty()
    place.html(drawings.shown(pixels, name, side=300))
    if not frame.guess(
        said,
        scope,
        ("Grey", "Redder", "Blue-green and darker", "Just the same"),
        "Blue-green and darker",
        "Only green and blue are left. White becomes blue-green (cyan); what was red becomes dark.",
    ):
        return
    place.empty()
    colour = st.pills(
        "Taken away", PLANES, default="red", required=True, format_func=lambda one: f"without {one}"
    )
    st.html(
        drawings.row(
            drawings.shown(pixels, "With all three", side=300),
            drawings.shown(without(pixels, colour), f"Without {colour}", side=300),
        )
    )


def _mix(_: Scene, scope: str) -> None:
    values, right = _MIXED
    frame.question("Red 255, green 255, blue 0: which colour is that?")
    if not frame.guess(
        st.container(),
        scope,
        ("brown", "purple", right, "white"),
        right,
        "Screens mix **light**, not paint: red light and green light together are yellow. All "
        "three together are white, none is black.",
    ):
        return
    columns = st.columns(3)
    mixed = [
        column.slider(name.capitalize(), 0, 255, value)
        for column, name, value in zip(columns, PLANES, values, strict=True)
    ]
    swatch = np.full((1, 3, 3), mixed, np.uint8)
    st.html(drawings.shown(swatch, ", ".join(map(str, mixed)), side=300))


def _count(scene: Scene, scope: str) -> None:
    frame.question("How many numbers does your network get for one photo?")
    steps = scene.outline.card.preprocessing
    height, width, channels = steps.height, steps.width, steps.channels
    grids = "three grids" if channels == 3 else f"{channels} grids" if channels > 1 else "one grid"
    st.markdown(f"It takes photos of {height} × {width} pixels, in {grids}.")
    right = height * width * channels
    options = sorted({height, height * width, height * width * 3, right, height * 3})
    if frame.guess(
        st.container(),
        frame.scope_of(scene, scope),
        [f"{one:,}" for one in options],
        f"{right:,}",
        f"{height} × {width} × {channels} = **{plain(f'{right:,}')}**. This is all that it ever "
        "sees. No word, no outline, no cat: only numbers.",
    ):
        st.html(drawings.shown(scene.view().pixels, "What the network gets", side=300))


def telling_plane(pixels: NDArray[np.uint8]) -> str:
    """The colour of a photo (h, w, 3) whose grid differs most from the mean of all three."""
    values = pixels.astype(np.float64)
    differences = np.abs(values - values.mean(axis=-1, keepdims=True)).mean(axis=(0, 1))
    return PLANES[int(differences.argmax())]


LESSON = Lesson(
    "pixels",
    "A photo is three grids of numbers",
    "Red, green and blue: what a network gets in place of a picture.",
    5,
    (_pixel, _which, _without, _mix, _count),
    Notes(
        "Everybody knows that a photo is three grids of numbers from 0 to 255, and that a network "
        "gets nothing else.",
        "“A pixel is a little coloured square.” It is three numbers; and red and green light make "
        "yellow, not brown as paint does.",
        (
            "A photo is black and white. What do its three grids look like?",
            "Two photos differ in one number of 150,528. Can you see it? Can the network?",
        ),
    ),
)
