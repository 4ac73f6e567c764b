"""A search for pictures as it goes on: its progress, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.features.objectives import Maximised
from cnnviz.ui import long_questions
from cnnviz.ui.page_parts.maximise import picks, runs
from cnnviz.ui.page_parts.maximise.picks import Choice
from cnnviz.ui.page_parts.maximise.runs import Search
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Seconds between two pictures of a search.
_PAUSE = 0.5
# What the session has until the next run: whether to begin without being asked again.
_AT_ONCE = "search at once"
# And why a search has ended.
_PROBLEM = "problem of the search for pictures"


def follow(
    scene: Scene,
    choice: Choice,
    meanwhile: Callable[[Search], None],
    otherwise: Callable[[Maximised | None], None],
) -> None:
    """Draws the search for what is chosen, in a fragment that runs alone while it goes on.

    Args:
        scene: model and photo.
        choice: what is searched for.
        meanwhile: draws what there is so far.
        otherwise: draws what was found; None where nothing was searched for yet.
    """
    if st.session_state.pop(_AT_ONCE, False) and runs.result(scene, choice) is None:
        runs.start(scene, choice)
    search = runs.current(scene, choice)
    goes_on = search is not None and not search.stopped
    st.fragment(_draw, run_every=_PAUSE if goes_on else None)(
        scene, choice, meanwhile, otherwise, goes_on=goes_on
    )


def start_button(label: str, scene: Scene, choice: Choice) -> None:
    """A button that begins the search."""
    st.button(
        label,
        icon=":material/play_arrow:",
        type="primary",
        on_click=runs.start,
        args=(scene, choice),
    )


def start_anew(seed: int) -> None:
    """Has the next run of the page begin with the next seed."""
    picks.put_seed(seed + 1)
    st.session_state[_AT_ONCE] = True


def _draw(
    scene: Scene,
    choice: Choice,
    meanwhile: Callable[[Search], None],
    otherwise: Callable[[Maximised | None], None],
    *,
    goes_on: bool,
) -> None:
    search = runs.current(scene, choice)
    before = 0
    try:
        if search is not None and not search.stopped:
            before = runs.advance(scene, choice, search).before
    except CnnvizError as error:
        runs.forget()
        st.session_state[_PROBLEM] = str(error)
    search = runs.current(scene, choice)
    if goes_on != (search is not None and not search.stopped):
        # The whole page runs again, with another pause or none.
        st.rerun()
    if _PROBLEM in st.session_state:
        st.error(plain(st.session_state.pop(_PROBLEM)), icon=":material/error:")
    if search is None:
        otherwise(runs.result(scene, choice))
        return
    _progress(choice, search, before)
    meanwhile(search)


def _progress(choice: Choice, search: Search, before: int) -> None:
    done, total = search.done, search.total
    text = f"Step {done:,} of {total:,}"
    if search.stopped:
        text = f"Stopped at step {done:,} of {total:,}"
    elif before:
        text = long_questions.before_you(before)
    elif search.state is None:
        text = "Starting TensorFlow and compiling the network, which takes some seconds …"
    elif search.question.ascent != choice.ways[0]:
        text += ": the first picture did not last, so a second way is tried"
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        st.progress(done / total, text=text)
        if search.stopped:
            st.button("Go on", icon=":material/play_arrow:", on_click=runs.resume, args=(search,))
        else:
            st.button("Stop", icon=":material/stop:", on_click=runs.stop, args=(search,))
