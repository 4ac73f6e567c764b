"""The Explore page: the walk, and what is done when a person clicks in it."""

from __future__ import annotations

import functools
from pathlib import Path

import streamlit as st

from cnnviz.ui import crops, shell
from cnnviz.ui.components import live, walk
from cnnviz.ui.components.walk import Walk, WalkEvent, WalkSample
from cnnviz.ui.page_parts.explore import answers, content, focus
from cnnviz.ui.page_parts.explore import live as live_view
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, photos

_KEY = "walk"
_MOST_SAMPLES = 10
# Pixels of the photo until there is a walk, where it will be.
_WAITING = 252
# Whether an event changes more than what is in place of the wall, and so the whole page.
_WHOLE_PAGE = "walk changes the page"


def draw(scene: Scene) -> None:
    """Draws the walk, or the camera's moving picture."""
    if live.is_on():
        live_view.draw(scene)
        return
    waiting = st.empty()
    with waiting.container(key="waiting"):
        if not scene.is_staged:
            st.image(scene.photo.shown.source, width=_WAITING, alt=scene.photo.name)
        staged = answers.on_screen(scene)
        built = content.build(scene, staged, _samples(scene), photos.shown_sample(scene.model))
    waiting.empty()
    _draw_walk(scene, built)
    if st.session_state.pop("choosing a class", False):
        _choose_class(scene, staged.explanation.prediction.labels)
    # To judge a map takes 50 runs: not for everybody who only comes by.
    with st.container(key="judge the map"):
        judge = st.button("Can this map be believed?", icon=":material/fact_check:")
    if judge:
        st.switch_page(shell.page_path("class_activation_map"))


@st.fragment
def _draw_walk(scene: Scene, built: Walk) -> None:
    """The walk, and what is in place of its wall: for that alone this runs again."""
    if st.session_state.pop(_WHOLE_PAGE, False):
        st.rerun()
    walk.show(built, _KEY, on_event=functools.partial(_handle, scene))
    walk.focus(focus.shown(scene, built.id), _KEY)
    focus.follow_link(scene)


def _handle(scene: Scene) -> None:
    event = walk.take(_KEY)
    if event is not None:
        handle(scene, event)


def handle(scene: Scene, event: WalkEvent) -> None:
    """Does what a person wants, before the run that shows it."""
    if event.action in focus.ACTIONS:
        focus.keep(event)
        return
    st.session_state[_WHOLE_PAGE] = True
    match event.action:
        case "sample" if event.name is not None:
            photos.choose_sample(scene.model, event.name)
        # A late one may be of a photo that was replaced meanwhile.
        case "crop" if event.scene.startswith(f"{scene.model.name} {scene.photo.key} "):
            crops.put(scene.photo, event.x, event.y)
        case "class":
            st.session_state["choosing a class"] = True
        case "live":
            live.switch_on()


@st.dialog("Another class")
def _choose_class(scene: Scene, labels: tuple[str, ...]) -> None:
    """Asks for a class that is not among the likeliest; its map takes the last place."""
    label = st.selectbox("Class", labels, index=None, placeholder="Type its name")
    if label is not None:
        answers.ask_for(scene, label)
        st.rerun()


def _samples(scene: Scene) -> list[WalkSample]:
    """The strip: as many samples as fit, the one that is shown among them."""
    offered = library.samples(scene.model)
    shown = photos.shown_sample(scene.model)
    strip = offered[:_MOST_SAMPLES]
    if shown is not None and shown not in {sample.name for sample in strip}:
        strip[-1] = next(sample for sample in offered if sample.name == shown)
    return [WalkSample(sample.name, sample.title, _small(sample.small)) for sample in strip]


@functools.cache
def _small(path: Path) -> bytes:
    return path.read_bytes()
