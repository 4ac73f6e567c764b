"""The search for the smallest part of a photo that keeps an answer, or whose loss changes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.errors import CnnvizError
from cnnviz.numerals import exact_percent
from cnnviz.photos.masking import enlarged
from cnnviz.results import PartSearch
from cnnviz.ui.page_parts.occlude import paintings
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Cells along each side of the grid.
SIDE = 7
# Seconds after which the page takes notice of what a person has done meanwhile.
_SLICE = 0.5
# What the session has: the search that goes on, and the one that has ended.
_GOING_ON, _FOUND = "search for a part", "part that was found"


@dataclass(frozen=True)
class Search:
    """A search that goes on.

    Attributes:
        keep: whether the part is to keep the answer; else its loss is to change it.
        filling: what takes the place of hidden pixels.
        state: what the last step gave; None before the first.
    """

    keep: bool
    filling: str
    state: PartSearch | None = None


def buttons(filling: str) -> None:
    """The two searches that can be asked for; while one goes on, the button that stops it."""
    is_on = going_on() is not None
    for keep, label, explained in (
        (True, "Find what is enough", "A small part that keeps the answer if the rest is replaced"),
        (False, "Find what it needs", "A small part that changes the answer if it is replaced"),
    ):
        search = Search(keep, filling)
        st.button(label, help=explained, on_click=start, args=(search,), disabled=is_on)
    if is_on:
        st.button("Stop the search", icon=":material/stop:", on_click=stop)


def start(search: Search) -> None:
    """Has the next runs of the page's fragment search."""
    st.session_state[_GOING_ON] = search


def stop() -> None:
    """Ends the search that goes on, if there is one."""
    st.session_state.pop(_GOING_ON, None)


def going_on() -> Search | None:
    """The search that goes on; None if there is none."""
    search: Search | None = st.session_state.get(_GOING_ON)
    return search


def run(
    scene: Scene, search: Search, place: DeltaGenerator, take: Callable[[bool, str], None]
) -> None:
    """Goes on with a search for a while, and runs the fragment again; the result is painted.

    Other people's questions pass between two steps. A click is only noticed after a run of the
    fragment: so it ends now and then, and what was clicked on comes first in the next one.

    Args:
        scene: model and photo.
        search: the search.
        place: where its progress is written.
        take: is called with whether to keep what is painted, and with the filling, before the run
            that shows the result.
    """
    state, end = search.state, time.monotonic() + _SLICE
    try:
        while (state is None or state.stage != "done") and time.monotonic() < end:
            state = scene.search_part(state, search.keep, SIDE, search.filling)
            place.markdown(plain(progress(state)))
    except CnnvizError as error:
        stop()
        place.error(plain(str(error)), icon=":material/error:")
        return
    start(replace(search, state=state))
    if state is not None and state.stage == "done":
        stop()
        finish(scene, state)
        take(state.keep, state.filling)
    st.rerun(scope="fragment")


def finish(scene: Scene, state: PartSearch) -> None:
    """Makes the result of a search the painting."""
    steps = scene.outline.card.preprocessing
    painting = paintings.put_own(scene, enlarged(state.cells > 0, steps.height, steps.width))
    st.session_state[_FOUND] = painting.stamp, state


def progress(search: PartSearch) -> str:
    """How far a search is."""
    count = int(search.cells.sum())
    cells = "1 cell" if count == 1 else f"{count} cells"
    now = f"{cells} so far, {search.target} {exact_percent(search.probability)}"
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
    if search is None or stamp != made:
        return ""
    return describe(search) if (search.filling, search.keep) == (filling, keep) else ""


def describe(search: PartSearch) -> str:
    """What a search has found."""
    count, total = int(search.cells.sum()), search.cells.size
    answer, was = exact_percent(search.probability), exact_percent(search.before)
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
