"""Where the network's crop of a photo is: its middle, until a person drags it."""

from __future__ import annotations

import dataclasses

import streamlit as st

from cnnviz.ui import choices, notices
from cnnviz.ui.loaded_photo import LoadedPhoto

_NAME = "crop"
_MIDDLE = (0.5, 0.5)


def apply(photo: LoadedPhoto) -> LoadedPhoto:
    """The photo with the crop where the person, or a link, has put it."""
    if choices.link_names(_NAME):
        choices.put(_NAME, st.query_params[_NAME], photo.key)
    kept = choices.kept(_NAME, photo.key)
    place = _parse(kept[0]) if kept else _MIDDLE
    if place is None:
        choices.forget(_NAME, photo.key)
        notices.show("The link names a crop of the photo that is none; its middle is shown.")
        place = _MIDDLE
    if place == _MIDDLE:
        choices.forget_address(_NAME)
    else:
        choices.write_address(_NAME, [_text(place)])
    return dataclasses.replace(photo, crop_at=place)


def put(photo: LoadedPhoto, x: float | None, y: float | None) -> None:
    """Moves the crop of a photo: shares of the free space that are left of it and above it.

    None leaves it where it is along that axis, along which there may be no free space.
    """
    left, above = photo.crop_at
    place = left if x is None else x, above if y is None else y
    choices.put(_NAME, _text(place), photo.key)


def leave_address() -> None:
    """Takes the crop out of the address, before that of another photo is written into it.

    The browser's Back button stops at each change of the address: none of them may give one
    photo the crop of another.
    """
    choices.forget_address(_NAME)


def _text(place: tuple[float, float]) -> str:
    return ",".join(f"{share:.3g}" for share in place)


def _parse(text: str) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None
