"""The box that a person draws on a photo: kept with the photo, and in the address."""

from __future__ import annotations

import functools

import streamlit as st

from cnnviz.results import Box
from cnnviz.ui import choices, notices
from cnnviz.ui.components.located import box_in_photo
from cnnviz.ui.loaded_photo import LoadedPhoto

_NAME = "box"
_SIDES = ("Left", "Top", "Right", "Bottom")
_REFUSED = "own box refused"


def current(photo: LoadedPhoto) -> Box | None:
    """The box of a photo; None if there is none."""
    if choices.link_names(_NAME):
        choices.put(_NAME, st.query_params[_NAME], photo.key)
    kept = choices.kept(_NAME, photo.key)
    box = _parse(kept[0], photo) if kept else None
    if kept and box is None:
        choices.forget(_NAME, photo.key)
        notices.show("The link names a box that is none of this photo.")
    if box is None:
        choices.forget_address(_NAME)
    else:
        choices.write_address(_NAME, [_text(box)])
    return box


def put(photo: LoadedPhoto, box: Box) -> None:
    """Makes a box the one of the photo, before the run that shows it."""
    choices.put(_NAME, _text(box), photo.key)


def by_numbers(photo: LoadedPhoto, box: Box | None) -> None:
    """Four fields, for people who cannot or do not want to drag, and a button that removes it."""
    with st.expander("Your box in numbers", icon=":material/keyboard:"):
        sides = (0, 0, photo.width, photo.height)
        if box is not None:
            sides = (box.left, box.top, box.right, box.bottom)
        longest = (photo.width, photo.height) * 2
        # A box that was drawn meanwhile gives the fields new values, and so they are new ones.
        keys = [f"own {name} {photo.key} {sides}" for name in _SIDES]
        with st.form(f"numbers {photo.key}", border=False):
            columns = st.columns(2)
            for at, name in enumerate(_SIDES):
                label = f"{name} (pixels)"
                columns[at % 2].number_input(label, 0, longest[at], sides[at], key=keys[at])
            st.form_submit_button("Take this box", on_click=_take, args=(photo, keys))
        if st.session_state.pop(_REFUSED, False):
            st.error("Right must be more than left, and bottom more than top.")
        if box is not None:
            forget = functools.partial(choices.forget, _NAME, photo.key)
            st.button("Remove your box", on_click=forget)


def _take(photo: LoadedPhoto, keys: list[str]) -> None:
    """Takes the box of some fields, or leaves it to the next run to say that it is none."""
    box = box_in_photo([int(st.session_state[key]) for key in keys], *photo.size)
    if box is None:
        st.session_state[_REFUSED] = True
    else:
        put(photo, box)


def _text(box: Box) -> str:
    return f"{box.left},{box.top},{box.right},{box.bottom}"


def _parse(text: str, photo: LoadedPhoto) -> Box | None:
    try:
        sides = [int(part) for part in text.split(",")]
    except ValueError:
        return None
    return box_in_photo(sides, *photo.size) if len(sides) == len(_SIDES) else None
