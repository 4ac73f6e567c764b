"""The camera as a stream: the browser sends a frame, gets its answer, and sends the next one."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import Rectangle, buffer, plain, tables

# Characters of a frame, and of a picture that is taken: as base64, a third more than the file.
_MOST_CHARACTERS = 3_000_000
# What the session has: whether the camera is on, and the ``LiveAnswer`` to the last frame.
_ON, ANSWER = "camera is on", "answer to the last frame"


@dataclass(frozen=True)
class LiveAnswer:
    """What the network says of a frame.

    Attributes:
        number: of the frame.
        classes: names and probabilities as text, the most probable first.
        target: the class of the map.
        values: (h, w), the evidence for it.
        limit: the absolute value that is drawn solid.
        seen: the part of the frame that the network saw, in shares of its width and height.
        problem: why there is no answer; empty if there is one.
    """

    number: int
    classes: Sequence[tuple[str, str]] = ()
    target: str = ""
    values: Floats | None = None
    limit: float = 1.0
    seen: Rectangle = (0, 0, 1, 1)
    problem: str = ""


@dataclass(frozen=True)
class LiveEvent:
    """What the browser sends.

    Attributes:
        action: "frame", "take" or "stop".
        number: of the frame.
        picture: the bytes of its JPEG file.
        target: the class whose map is wanted; None for the predicted one.
    """

    action: str
    number: int = 0
    picture: bytes = b""
    target: str | None = None


def is_on() -> bool:
    """Whether the first page shows the camera in place of a photo."""
    return bool(st.session_state.get(_ON))


def switch_on() -> None:
    """Has the next run of the first page show the camera."""
    switch_off()
    st.session_state[_ON] = True


def switch_off() -> None:
    """Has the first page show the photo again, and forgets the answer to the last frame."""
    for name in (_ON, ANSWER):
        st.session_state.pop(name, None)


def show(side: int, answer: LiveAnswer | None, key: str, on_event: Callable[[], None]) -> None:
    """Draws the moving picture and the map over it.

    Args:
        side: pixels of the shorter side of a frame that is sent.
        answer: to the last frame; None before the first.
        key: the name of the view on its page.
        on_event: called before the run that follows an event; ``take`` gives the event.
    """
    arrays: list[NDArray[Any]] = []
    header = {"kind": "live", "side": side, "tables": tables(["blue-orange"], arrays)}
    header["answer"] = None if answer is None else plain(answer, arrays)
    _component()(data=buffer(header, arrays), key=key, on_event_change=on_event)


def take(key: str) -> LiveEvent | None:
    """The event that has just come, in its callback; None where it is none of ours."""
    state = st.session_state.get(key)
    return parse(state.get("event")) if state is not None else None


def parse(payload: Any) -> LiveEvent | None:
    """What the browser sent; None for anything else."""
    match payload:
        case {"action": "stop"}:
            return LiveEvent("stop")
        case {"action": "frame" | "take" as action, "number": int(number), "picture": str(text)}:
            target = payload.get("target")
            picture = _decoded(text)
            if picture is not None and number >= 0 and isinstance(target, str | None):
                return LiveEvent(action, number, picture, target)
    return None


def _decoded(text: str) -> bytes | None:
    if len(text) > _MOST_CHARACTERS:
        return None
    try:
        return base64.b64decode(text, validate=True)
    # Other characters than those of ASCII are a plain ``ValueError``.
    except ValueError:
        return None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_live", css=modules.style("base.css", "live.css"), js=modules.code("live.js")
    )
