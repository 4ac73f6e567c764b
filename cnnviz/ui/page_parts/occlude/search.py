"""The search for the smallest part of a photo that keeps an answer, or whose loss changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.errors import CnnvizError
from cnnviz.photos.masking import enlarged
from cnnviz.results import PartSearch
from cnnviz.ui.components.paint import SERVER
from cnnviz.ui.page_parts.explore.content import percent
from cnnviz.ui.page_parts.occlude import paintings
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Cells along each side of the grid.
SIDE = 7
# What the session has: the search that goes on, and the one that has ended.
_GOING_ON, _FOUND = "search for a part", "part that was found"


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Attributes:
        place: as ``paintings.place`` names it.
        model: the name of the network.
        keep: whether the part is to keep the answer; else its loss is to change it.
        filling: what takes the place of hidden pixels.
    """

    place: str
    model: str
    keep: bool
    filling: str


def buttons(scene: Scene, filling: str) -> None:
    """The two searches that can be asked for; while one goes on, the button that stops it."""
    going_on = _GOING_ON in st.session_state
    for keep, label, explained in (
        (True, "Find what is enough", "A small part that keeps the answer if the rest is replaced"),
        (False, "Find what it needs", "A small part that changes the answer if it is replaced"),
    ):
        question = Question(paintings.place(scene), scene.model.name, keep, filling)
        st.button(label, help=explained, on_click=_start, args=(question,), disabled=going_on)
    if going_on:
        st.button("Stop", icon=":material/stop:", on_click=stop)


def stop() -> None:
    """Ends the search that goes on."""
    st.session_state.pop(_GOING_ON, None)


def _start(question: Question) -> None:
    st.session_state[_GOING_ON] = question, None


def goes_on(scene: Scene) -> bool:
    """Whether a search about this photo goes on; one about another photo is dropped."""
    if _GOING_ON not in st.session_state:
        return False
    question, _ = st.session_state[_GOING_ON]
    if (question.place, question.model) == (paintings.place(scene), scene.model.name):
        return True
    stop()
    return False


def run(scene: Scene, place: DeltaGenerator, take: Callable[[bool, str], None]) -> None:
    """Goes on with the search, step by step, and makes its result the painting.

    Other people's questions pass between two steps. A click on the page interrupts this where it
    writes; the search is kept, and goes on in the run that follows if it was not stopped.

    Args:
        scene: model and photo.
        place: where its progress is written.
        take: is called with whether to keep what is painted, and with the filling, before the run
            that shows the result.
    """
    question, search = st.session_state[_GOING_ON]
    try:
        while search is None or search.stage != "done":
            search = scene.search_part(search, question.keep, SIDE, question.filling)
            st.session_state[_GOING_ON] = question, search
            place.markdown(f":material/hourglass_top: {plain(progress(search))}")
    except CnnvizError as error:
        stop()
        place.error(plain(str(error)), icon=":material/error:")
        return
    stop()
    steps = scene.outline.card.preprocessing
    painting = paintings.put_own(scene, enlarged(search.cells > 0, steps.height, steps.width))
    st.session_state[_FOUND] = painting.stamp, search
    take(question.keep, question.filling)
    st.rerun(scope="fragment")


def progress(search: PartSearch) -> str:
    """How far a search is."""
    count = int(search.cells.sum())
    cells = "1 cell" if count == 1 else f"{count} cells"
    now = f"{cells} so far, {search.target} {percent(search.probability)}"
    doing = {
        "weigh": "Leaving out one cell after the other",
        "grow": f"Adding cells: {now}" if count else "Trying each cell alone",
        "trim": f"Taking away what is not needed: {now}",
        "done": now,
    }
    return f"{doing[search.stage]} · {search.runs:,} runs of the network"


def found(stamp: str, filling: str, keep: bool) -> str:
    """What the painting of that stamp is, where a search made it; else nothing."""
    made, search = st.session_state.get(_FOUND, (None, None))
    if search is None or not stamp.startswith(SERVER) or stamp != made:
        return ""
    return describe(search) if (search.filling, search.keep) == (filling, keep) else ""


def describe(search: PartSearch) -> str:
    """What a search has found."""
    count, total = int(search.cells.sum()), search.cells.size
    answer, was = percent(search.probability), percent(search.before)
    told = f"{search.target} {answer}, and {was} for the whole photo."
    how = f"Found in {search.runs:,} runs of the network; there may be a smaller part."
    if search.keep and not count:
        return f"No cell is needed: with every cell replaced {told} Another filling may say more."
    if search.keep:
        return (
            f"{_these(count)} of {total} cells {'is' if count == 1 else 'are'} enough: {told} {how}"
        )
    if not search.reached:
        return f"No part was found whose loss changes the answer: with every cell replaced {told}"
    without = f"Without {_these(count).lower()} of {total} cells"
    return f"{without} the answer is no longer {search.target}: {told} {how}"


def _these(count: int) -> str:
    return "This 1" if count == 1 else f"These {count}"
