"""The page Occlude: a photo is painted over, and the network is asked again after each stroke."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.masking import edges, filled
from cnnviz.results import Prediction
from cnnviz.ui import choices
from cnnviz.ui.components import paint
from cnnviz.ui.components.paint import PaintAnswer, PaintedPhoto, PaintEvent
from cnnviz.ui.page_parts.occlude import answers, paintings, search
from cnnviz.ui.page_parts.occlude.paintings import Painting
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_KEY = "painted photo"
# What the session has until the next run: the class that was clicked on.
_CLICKED = "class to explain"
_FILLINGS = {"blur": "by its blurred copy", "grey": "by grey (128 of 255)", "black": "by black"}
_MODES = {"replace": "Replace what I paint", "keep": "Replace all but what I paint"}
# A network's input whose pixels are to be seen, such as that of digits.
_TINY = 64


def draw(scene: Scene) -> None:
    """Draws the photo, the answer, and the searches."""
    # A run of the whole page may be about another photo; only its fragment can go on.
    search.stop()
    _draw(scene)


@st.fragment
def _draw(scene: Scene) -> None:
    """All of it: after a stroke this runs alone."""
    with st.container(horizontal=True, vertical_alignment="center", key="painting"):
        filling, keep = _pick()
        search.buttons(filling)
    painting = paintings.of(scene)
    going_on = search.going_on()
    if going_on is None or going_on.state is None:
        text = search.found(painting.stamp, filling, keep)
    else:
        text = search.progress(going_on.state)
    # Always a line, so that what is below keeps its place; but while the page is presented.
    with st.container(key="painting-told" if text else "painting-explained"):
        told = st.empty()
    told.markdown(plain(text or _explained(scene, filling)))
    tool = choices.choose(_kept_choice, "Tool", "tool", paint.TOOLS, paint.TOOLS[0])
    paint.show(
        painted_photo(scene, filling, keep, tool), _KEY, on_event=functools.partial(_handle, scene)
    )
    paint.tell(_answer(scene, painting, filling, keep), _KEY)
    if going_on is not None:
        search.run(scene, going_on, told, _take)


def _pick() -> tuple[str, bool]:
    """The choices of what is replaced, and by what."""
    mode = choices.choose(
        st.segmented_control,
        "What is replaced",
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
        width=200,
    )
    return filling, mode == "keep"


def _explained(scene: Scene, filling: str) -> str:
    """What is done with the photo."""
    steps = scene.outline.card.preprocessing
    how = {
        "blur": f"a copy blurred by {min(steps.height, steps.width) / 10:.3g} of them",
        "grey": "grey, 128 of 255 in each channel",
        "black": "black, 0 in each channel",
    }[filling]
    return (
        f"The photo is changed as the network sees it, in its {steps.height} × {steps.width} "
        f"pixels: replaced ones get {how}."
    )


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
        target = _pick_class(scene, scene.explanation().prediction)
        before = scene.explanation((target,))
        view = scene.view()
        changed = answers.changed_view(view, painting, filling, keep)
        after = before if changed is view else scene.explain_view(changed, (target,))
    except CnnvizError as error:
        mask = paint.pack(painting.mask)
        return PaintAnswer(place, painting.stamp, mask, problem=str(error))
    return answers.answer(place, painting, before, after)


def _pick_class(scene: Scene, prediction: Prediction) -> str:
    """The class of the maps: the one that was clicked on, else the predicted one."""
    # As on the page of class activation maps, so that the choice is kept from one to the other.
    scope = f"{scene.model.name} {prediction.label}"
    clicked = st.session_state.pop(_CLICKED, None)
    if clicked in prediction.labels:
        choices.put("class", clicked, scope)
    labels = prediction.labels
    return choices.choose(_kept_choice, "Class", "class", labels, prediction.label, scope=scope)


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
    else:
        st.session_state[_CLICKED] = event.name
