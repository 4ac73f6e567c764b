"""The photos of a class while they are collected: thumbnails, and the camera.

The browser sends no photo by itself: the camera takes them while a person holds its button.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from cnnviz.training.data.collecting import ENOUGH, SIDE, CollectedClass
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import buffer, plain

# Of one event: ``collect.js`` takes fewer photos, each of them smaller.
_MOST_PICTURES = 40
_MOST_CHARACTERS = 400_000


@dataclass(frozen=True)
class CollectEvent:
    """What the browser sends.

    Attributes:
        action: "photos" or "remove".
        pictures: the bytes of JPEG files that the camera took.
        photo: the key of the photo that is to be removed.
    """

    action: str
    pictures: tuple[bytes, ...] = ()
    photo: str = ""


def show(one: CollectedClass, key: str, on_event: Callable[[], None]) -> None:
    """Draws a class's photos, their number, and the camera.

    Args:
        one: the class.
        key: the name of the view on its page.
        on_event: called before the run that follows an event; ``take`` gives the event.
    """
    arrays: list[NDArray[Any]] = []
    photos = [{"key": photo.key, "picture": photo.thumbnail} for photo in one.photos]
    header = {"kind": "collect", "name": one.name, "enough": ENOUGH, "side": SIDE}
    header["photos"] = plain(photos, arrays)
    _component()(data=buffer(header, arrays), key=key, on_event_change=on_event)


def take(key: str) -> CollectEvent | None:
    """The event that has just come, in its callback; None where it is none of ours."""
    state = st.session_state.get(key)
    return parse(state.get("event")) if state is not None else None


def parse(payload: Any) -> CollectEvent | None:
    """What the browser sent; None for anything else."""
    match payload:
        case {"action": "remove", "photo": str(photo)}:
            return CollectEvent("remove", photo=photo)
        case {"action": "photos", "pictures": [_, *_] as texts} if len(texts) <= _MOST_PICTURES:
            pictures = tuple(map(_decoded, texts))
            return CollectEvent("photos", pictures) if all(pictures) else None
    return None


def _decoded(text: Any) -> bytes:
    """The bytes of a text in base64; none for anything else."""
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    # Other characters than those of ASCII are a plain ``ValueError``.
    except ValueError:
        return b""


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_collect",
        css=modules.style("base.css", "collect.css"),
        js=modules.code("collect.js"),
    )
