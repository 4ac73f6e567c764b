"""The page Occlude: a photo is painted over, and the network is asked again after each stroke."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.masking import edges, filled
from cnnviz.ui import choices
from cnnviz.ui.components import paint
from cnnviz.ui.components.paint import PaintAnswer, PaintedPhoto, PaintEvent
from cnnviz.ui.page_parts.occlude import answers, paintings, search
from cnnviz.ui.page_parts.occlude.paintings import Painting
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_KEY = "painted photo"
_FILLINGS = {"blur": "The photo, blurred", "grey": "Grey (128 of 255)", "black": "Black (cut out)"}
_MODES = {"replace": "Replace what is painted", "keep": "Keep only what is painted"}
# A network's input whose pixels are to be seen, such as that of digits.
_TINY = 64


@st.fragment
def draw(scene: Scene) -> None:
    """Draws the photo, the answer, and the searches; after a stroke this runs alone."""
    filling, keep = _pick()
    tool = choices.choose(_kept_choice, "Tool", "tool", paint.TOOLS, paint.TOOLS[0])
    painting = paintings.of(scene)
    paint.show(
        painted_photo(scene, filling, keep, tool), _KEY, on_event=functools.partial(_handle, scene)
    )
    paint.tell(_answer(scene, painting, filling, keep), _KEY)
    goes_on = search.goes_on(scene)
    search.buttons(scene, filling)
    told = st.empty()
    if goes_on:
        search.run(scene, told, _take)
    told.markdown(plain(search.found(painting.stamp, filling, keep)))


def _pick() -> tuple[str, bool]:
    """The choices of what is painted over, and by what."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="painting"):
        mode = choices.choose(
            st.segmented_control,
            "What is painted",
            "paint",
            list(_MODES),
            "replace",
            format_func=_MODES.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
        filling = choices.choose(
            st.selectbox,
            "Replaced by",
            "filling",
            list(_FILLINGS),
            "blur",
            format_func=_FILLINGS.__getitem__,
            label_visibility="collapsed",
            width=220,
        )
    return filling, mode == "keep"


def _take(keep: bool, filling: str) -> None:
    """Makes the choices with which the result of a search is seen."""
    choices.put("paint", "keep" if keep else "replace")
    choices.put("filling", filling)


def _kept_choice(_label: str, _options: Sequence[str], *, key: str) -> str:
    """A choice that is made in the browser, and has no widget of its own."""
    chosen: str = st.session_state[key]
    return chosen


def painted_photo(scene: Scene, filling: str, keep: bool, tool: str) -> PaintedPhoto:
    """What is painted on: the pixels that the network gets."""
    pixels = scene.view().pixels
    height, width = pixels.shape[:2]
    return PaintedPhoto(
        id=paintings.place(scene),
        pixels=encode_png(pixels),
        filling=encode_png(filled(pixels, filling)),
        size=(height, width),
        rows=edges(height, min(search.SIDE, height, width)).tolist(),
        columns=edges(width, min(search.SIDE, height, width)).tolist(),
        label=scene.photo.name,
        keep=keep,
        tool=tool,
        pixelated=max(height, width) < _TINY,
    )


def _answer(scene: Scene, painting: Painting, filling: str, keep: bool) -> PaintAnswer:
    place = paintings.place(scene)
    try:
        prediction = scene.explanation().prediction
        target = choices.choose(
            _kept_choice,
            "Class",
            "class",
            prediction.labels,
            prediction.label,
            scope=f"{scene.model.name} {prediction.label}",
        )
        before = scene.explanation((target,))
        view = scene.view()
        changed = answers.changed_view(view, painting, filling, keep)
        after = before if changed is view else scene.explain_view(changed, (target,))
    except CnnvizError as error:
        mask = paint.pack(painting.mask)
        return PaintAnswer(place, painting.stamp, mask, problem=str(error))
    return answers.answer(place, painting, before, after)


def _handle(scene: Scene) -> None:
    steps = scene.outline.card.preprocessing
    event = paint.take(_KEY, (steps.height, steps.width))
    if event is not None:
        handle(scene, event)


def handle(scene: Scene, event: PaintEvent) -> None:
    """Does what a person wants, before the run that shows it."""
    # A late one may be of a photo that was replaced meanwhile.
    if event.scene != paintings.place(scene):
        return
    if event.mask is not None:
        search.stop()
        paintings.put(scene, Painting(event.mask, event.stamp))
    elif event.action == "tool":
        choices.put("tool", event.name)
    elif event.name in scene.outline.card.labels:
        label = scene.explanation().prediction.label
        choices.put("class", event.name, f"{scene.model.name} {label}")
