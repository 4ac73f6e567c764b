"""The Explore page: the walk, and what is done when a person clicks in it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.photos.decoding import open_picture
from cnnviz.photos.encoding import encode_jpeg, shrink_picture
from cnnviz.ui import choices
from cnnviz.ui.components import walk
from cnnviz.ui.components.walk import Walk, WalkSample
from cnnviz.ui.page_parts.explore import content, focus
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library

_KEY = "walk"
_THUMBNAIL = 120
# Whether an event changes more than the walk, and so the whole page.
_WHOLE_PAGE = "walk changes the page"


def draw(scene: Scene) -> None:
    """Draws the walk."""
    shown = None if "own photo" in st.session_state else choices.kept("sample", _scope(scene))
    built = content.build(scene, scene.staged(), _samples(scene), shown[0] if shown else None)
    _draw_walk(scene, built)


@st.fragment
def _draw_walk(scene: Scene, built: Walk) -> None:
    """The walk, and what was asked for in it: a click runs this alone again."""
    if st.session_state.pop(_WHOLE_PAGE, False):
        st.rerun()
    walk.show(built, _KEY, on_event=functools.partial(_handle, scene))
    walk.focus(focus.shown(scene, built.id), _KEY)
    focus.follow_link(scene)


def _handle(scene: Scene) -> None:
    event = walk.take(_KEY)
    if event is None:
        return
    if event.action in focus.ACTIONS:
        focus.keep(event)
        return
    if event.action == "sample" and event.name is not None:
        st.session_state.pop("own photo", None)
        choices.put("sample", event.name, _scope(scene))
    st.session_state[_WHOLE_PAGE] = True


def _scope(scene: Scene) -> str:
    return ",".join(sample.name for sample in library.samples(scene.model))


def _samples(scene: Scene) -> list[WalkSample]:
    return [
        WalkSample(sample.name, sample.title, _thumbnail(sample.path))
        for sample in library.samples(scene.model)
    ]


@functools.cache
def _thumbnail(path: Path) -> bytes:
    image = open_picture(path.read_bytes())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return encode_jpeg(np.asarray(shrink_picture(square, _THUMBNAIL)))
