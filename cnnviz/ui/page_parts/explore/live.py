"""The live camera of the Explore page: each frame's answer, and nothing of it kept."""

from __future__ import annotations

import functools

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.geometry import seen_region
from cnnviz.numerals import exact_percent
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.serving import workers
from cnnviz.ui.components import live
from cnnviz.ui.components.live import LiveAnswer, LiveEvent
from cnnviz.ui.page_parts.explore.content import evidence, limit_of
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import photos

_KEY = "live camera"
_MOST_CLASSES = 5


def draw(scene: Scene) -> None:
    """Draws the camera's picture and the map over it."""
    # Loads the network before the first frame comes.
    side = min(scene.outline.card.preprocessing.height, scene.outline.card.preprocessing.width)
    _stream(scene, max(side, 96))


@st.fragment
def _stream(scene: Scene, side: int) -> None:
    if not live.is_on():
        # The camera was switched off in this run of the fragment alone.
        st.rerun()
    answer = st.session_state.get(live.ANSWER)
    live.show(side, answer, _KEY, on_event=functools.partial(_handle, scene))


def _handle(scene: Scene) -> None:
    event = live.take(_KEY)
    if event is None:
        return
    if event.action == "frame":
        st.session_state[live.ANSWER] = explain_frame(scene, event)
        return
    live.switch_off()
    if event.action == "take":
        photos.take(event.picture, "camera.jpg", "Taken just now", "live")


def explain_frame(scene: Scene, event: LiveEvent) -> LiveAnswer:
    """What the network says of a frame; it is kept nowhere."""
    steps = scene.outline.card.preprocessing
    try:
        frame = open_picture(event.picture)
        view = NetworkView(picture_view(frame, steps), steps)
        # The browser may still name a class of the network before.
        targets = tuple(label for label in scene.outline.card.labels if label == event.target)
        explanation = workers.explain(scene.model, view, targets, card=scene.card)
    except CnnvizError as error:
        return LiveAnswer(event.number, problem=str(error))
    cam = explanation.maps[0]
    prediction = explanation.prediction
    best = prediction.top(_MOST_CLASSES)
    if len(prediction.labels) <= _MOST_CLASSES:
        # All of them, where each has its place, whichever is the likeliest just now.
        best = sorted(best, key=lambda score: prediction.labels.index(score.label))
    seen = seen_region(frame.height, frame.width, steps)
    return LiveAnswer(
        number=event.number,
        classes=[(score.label, exact_percent(score.probability)) for score in best],
        target=cam.target,
        values=evidence(cam),
        limit=limit_of([cam]),
        seen=(
            seen.left / frame.width,
            seen.top / frame.height,
            seen.width / frame.width,
            seen.height / frame.height,
        ),
    )
