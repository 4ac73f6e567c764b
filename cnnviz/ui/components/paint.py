"""A photo that can be painted over, and what the network says of what is left.

The mask has a pixel for each of the network's. The browser has the strokes, and shows at once what
they replace; at the end of each it sends the whole mask. The answer is a message of its own, so
that the photo is not sent again.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import buffer, plain, tables

TOOLS = ("brush", "eraser", "cells")

# The stamps of paintings that the browser did not make begin with this.
SERVER = "server"
_LONGEST_STAMP = 40
# Characters of a class's name in an event.
_LONGEST_NAME = 10_000


@dataclass(frozen=True)
class PaintedPhoto:
    """What is painted on.

    Attributes:
        id: events name it.
        pixels: the network's view, as a PNG file.
        filling: what takes the place of hidden pixels, as a PNG file.
        size: (h, w) of the network's input.
        rows: the first pixel of each row of cells, and their end; ``columns`` the same.
        columns: as ``rows``.
        label: for readers of the screen.
        keep: whether all is hidden but what is painted.
        tool: one of ``TOOLS``.
        pixelated: whether its pixels stay sharp when it is enlarged.
    """

    id: str
    pixels: bytes
    filling: bytes
    size: tuple[int, int]
    rows: Sequence[int]
    columns: Sequence[int]
    label: str
    keep: bool
    tool: str
    pixelated: bool


@dataclass(frozen=True)
class PaintClass:
    """A class's probability for the whole photo and for the changed one.

    Attributes:
        label: its name.
        before: 0 to 1; ``after`` is 0 to 1.
        after: as ``before``.
        texts: both as texts, and the change.
    """

    label: str
    before: float
    after: float
    texts: tuple[str, str, str]


@dataclass(frozen=True)
class PaintAnswer:
    """What the network says of the changed photo.

    Attributes:
        id: of the photo.
        stamp: of the painting.
        mask: the painting, packed: a browser that has none yet, or an older one, takes it.
        sentence: the answer in words.
        classes: the most probable ones.
        target: the class of the maps.
        maps: (2, h, w), the evidence for it in the whole photo and in the changed one.
        limit: the absolute value that is drawn solid in both.
        problem: why there is no answer; empty if there is one.
    """

    id: str
    stamp: str
    mask: bytes
    sentence: str = ""
    classes: Sequence[PaintClass] = ()
    target: str = ""
    maps: Floats | None = None
    limit: float = 1.0
    problem: str = ""


@dataclass(frozen=True)
class PaintEvent:
    """What the browser sends.

    Attributes:
        scene: the ``id`` of the photo.
        action: "paint", "tool" or "class".
        stamp: of the painting.
        mask: (h, w) true where it is painted.
        name: of the tool or the class.
    """

    scene: str
    action: str
    stamp: str = ""
    mask: NDArray[np.bool_] | None = None
    name: str = ""


def show(photo: PaintedPhoto, key: str, on_event: Callable[[], None]) -> None:
    """Draws the photo and what it is painted with.

    Args:
        photo: what to draw. With the same key the browser keeps its strokes.
        key: the name of the component on its page.
        on_event: called before the run that follows an event; ``take`` gives the event.
    """
    arrays: list[NDArray[Any]] = []
    header = {"kind": "photo", "key": key, "tables": tables(["blue-orange"], arrays)}
    header |= plain(photo, arrays)
    _component()(data=buffer(header, arrays), key=key, on_event_change=on_event)


def tell(answer: PaintAnswer, of: str) -> None:
    """Shows the answer beside the photo.

    Args:
        answer: the answer.
        of: the key of the component.
    """
    arrays: list[NDArray[Any]] = []
    header = {"kind": "answer", "of": of} | plain(answer, arrays)
    _component()(data=buffer(header, arrays), key=f"selection of {of}")


def take(key: str, size: tuple[int, int]) -> PaintEvent | None:
    """The event that has just come, in its callback; None where it is none of ours."""
    state = st.session_state.get(key)
    return parse(state.get("event"), size) if state is not None else None


def parse(payload: Any, size: tuple[int, int]) -> PaintEvent | None:
    """What the browser sent about a mask of that size (h, w); None for anything else."""
    match payload:
        case {"scene": str(scene), "action": "paint", "stamp": str(stamp), "mask": str(text)}:
            mask = unpack(text, size)
            if mask is not None and len(stamp) <= _LONGEST_STAMP and not stamp.startswith(SERVER):
                return PaintEvent(scene, "paint", stamp, mask)
        case {"scene": str(scene), "action": "tool", "name": str(name)} if name in TOOLS:
            return PaintEvent(scene, "tool", name=name)
        case {"scene": str(scene), "action": "class", "name": str(name)}:
            if len(name) <= _LONGEST_NAME:
                return PaintEvent(scene, "class", name=name)
    return None


def pack(mask: NDArray[np.bool_]) -> bytes:
    """A mask (h, w) as bits, row after row."""
    return np.packbits(mask).tobytes()


def unpack(text: str, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The mask (h, w) of the bits in base64; None if they are others."""
    pixels = size[0] * size[1]
    length = -(-pixels // 8)
    if len(text) != -(-length // 3) * 4:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    # Other characters than those of ASCII are a plain ``ValueError``.
    except ValueError:
        return None
    if len(data) != length:
        return None
    return np.unpackbits(np.frombuffer(data, np.uint8), count=pixels).reshape(size).astype(bool)


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_paint", css=modules.style("base.css", "paint.css"), js=modules.code("paint.js")
    )
