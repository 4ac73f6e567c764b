"""The banner over the pages of a model whose class names and preprocessing are inferred.

A person sets them there. It belongs to the script around the pages, so that what was entered
survives a change of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from cnnviz.cards import PRESETS, ModelCard, card_text, changed, numbered_labels
from cnnviz.errors import CardError
from cnnviz.figures.photos import picture
from cnnviz.numerals import number
from cnnviz.photos.preprocessing import scale_pixels
from cnnviz.results import Outline
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, choices, parts
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import own_models
from cnnviz.ui.text import plain

# The values of pixels by preset, and who takes them: what a person may know of a network whose
# file does not show it. No two may be the same: Streamlit sends the text of a choice.
_VALUES = {
    "unit": "0 to 1",
    "tf": "−1 to 1",
    "teachable-machine": "−1 to 1, cropped in the middle",
    "torch": "ImageNet's mean and deviation, RGB",
    "caffe": "ImageNet's mean taken off, BGR",
    "none": "0 to 255, as they are",
}
_TAKEN_BY = {
    "unit": "most lessons and tutorials",
    "tf": "MobileNet, Xception and Inception of Keras",
    "teachable-machine": "Teachable Machine",
    "torch": "DenseNet of Keras",
    "caffe": "VGG and ResNet of Keras",
    "none": "EfficientNet and ConvNeXt of Keras",
}
_FITS = {"stretch": "Stretched", "crop": "Cropped in the middle", "pad": "With black borders"}
_GREY_SCALINGS = ("none", "unit", "tf")
_PREVIEW = 120  # pixels of the width of each picture
_DESCRIPTION = "A saved Keras model whose class names and preprocessing were set by hand."

# What a card is set for: the model, its inferred title, and its output.
_CardKey = tuple[ModelFile, str, str | None]


@dataclass(frozen=True)
class _Fields:
    """What a person has entered; a size is None where the network has one of its own."""

    names: str
    values: str | None
    fit: str
    height: int | None = None
    width: int | None = None


def complete(scene: Scene) -> Scene:
    """Draws the banner, if the model needs one, and returns the scene with the card in use."""
    model = scene.model
    if model.card_modified:
        return scene
    # Of an upload the file's name is a number.
    titles = [name for name, own in own_models.models().items() if own == model]
    outline = ask.outline(model)
    with st.container(key="model banner"):
        base = _base(model, outline, next(iter(titles), None))
        key = model, base.title, base.output
        card = _cards().get(key, base)
        known = card.preprocessing.scaling != "unknown"
        done = known and not card.inferred
        label = "Class names, as you set them" if done else "**Name your classes**"
        with st.expander(label, expanded=not done, icon=":material/label:"):
            _explain(known=known, done=done)
            form, preview = st.columns([3, 1], gap="medium")
            with form:
                with st.form(f"names of {model.path} {base.output}", border=False):
                    fields = _fields(key, outline, base, card)
                    applied = st.form_submit_button(
                        "Use these", icon=":material/check:", type="primary"
                    )
                draft = _draft(base, fields)
                if applied and draft is not None:
                    _cards()[key] = draft
                    st.rerun()
                if card != base:
                    _saving(key, card)
            with preview:
                _preview(outline, draft or card, scene.photo)
    return scene if card == outline.card else Scene(model, scene.photo, card)


def ask_for_values() -> None:
    """Says, in place of a page that runs the network, what it waits for."""
    st.info(
        "No class is shown until you have chosen the values of the pixels, above, under "
        "“Name your classes”.",
        icon=":material/arrow_upward:",
    )


def _explain(*, known: bool, done: bool) -> None:
    if done:
        return
    if known:
        st.markdown(
            "The names of the classes and the way photos are prepared are **inferred** from the "
            "file, so the answers may be wrong until you set them here."
        )
    else:
        st.markdown(
            "**The file of this network does not show which values of the pixels it was trained "
            "on.** With other values it names wrong classes, so none is shown until you have "
            "chosen them here."
        )


def _base(model: ModelFile, outline: Outline, title: str | None) -> ModelCard:
    """The inferred card for the chosen output; draws that choice where there are several."""
    base = outline.card if title is None else changed(outline.card, title=title)
    if len(outline.outputs) < 2:
        return base
    default = next(iter(outline.outputs))
    output = choices.choose(
        st.selectbox, "Output", "output", list(outline.outputs), default, scope=model.name
    )
    if output == default:
        return base
    return changed(base, output=output, labels=numbered_labels(outline.outputs[output]))


def _fields(key: _CardKey, outline: Outline, base: ModelCard, card: ModelCard) -> _Fields:
    """Draws the fields, which start with what the card in use has."""
    settings = card.preprocessing
    offered = [
        name
        for name in _VALUES
        if settings.channels == 3 or PRESETS[name]["scaling"] in _GREY_SCALINGS
    ]
    left, right = st.columns([2, 3], gap="medium")
    with left:
        names = st.text_area(
            f"Class names, one a line ({len(base.labels)})",
            height=150,
            **_kept(key, "names", "\n".join(card.labels)),
        )
    with right:
        values = st.selectbox(
            "Values of the pixels",
            offered,
            placeholder="Not known: choose",
            format_func=lambda name: f"{_VALUES[name]} · {_TAKEN_BY[name]}",
            help="What a model does itself, in its first layers, it must not get twice.",
            **_kept(key, "values", _preset(card)),
        )
        fit = st.selectbox(
            "A photo of another shape is",
            list(_FITS),
            format_func=_FITS.__getitem__,
            **_kept(key, "fit", settings.fit),
        )
        sizes = dict(zip(("height", "width"), outline.input_shape[1:3], strict=True))
        sides = {
            side: st.number_input(
                side.capitalize(), 8, 1024, **_kept(key, side, getattr(settings, side))
            )
            for side, size in sizes.items()
            if size is None
        }
    return _Fields(names, values, fit, **sides)


def _kept(key: _CardKey, field: str, start: object) -> dict[str, Any]:
    """The arguments of a field that stays as it is, also while another model is shown."""
    name = _name(key, field)
    st.session_state.setdefault(name, start)
    return {"key": name, "persist_state": "session"}


def _name(key: _CardKey, field: str) -> str:
    model, _, output = key
    return f"{field} of {model.path} {model.modified} {output}"


def _preset(card: ModelCard) -> str | None:
    """The preset that a card has; None where the values are not known."""
    settings = card.preprocessing.model_dump()
    fitting = [name for name, preset in PRESETS.items() if settings.items() >= preset.items()]
    # The one that says most.
    return max(fitting, key=lambda name: len(PRESETS[name]), default=None)


def _draft(base: ModelCard, fields: _Fields) -> ModelCard | None:
    """The card that was entered; says what is wrong if there is none."""
    labels = [name.strip() for name in fields.names.splitlines() if name.strip()]
    try:
        if len(labels) != len(base.labels):
            raise CardError(
                f"The network has {len(base.labels)} classes, and here are {len(labels)} names."
            )
        sizes = {"height": fields.height, "width": fields.width}
        return changed(
            base,
            labels=labels,
            preprocessing=base.preprocessing.model_dump()
            | {name: size for name, size in sizes.items() if size is not None}
            | {"fit": fields.fit}
            | PRESETS.get(fields.values or "", {}),
            description=_DESCRIPTION,
            inferred=False,
        )
    except CardError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _saving(key: _CardKey, card: ModelCard) -> None:
    """The buttons that save a card that was set, or take it back."""
    save, back, _ = st.columns([2, 3, 1])
    with save:
        name = f"{parts.file_stem(card.title)}.json"
        parts.download("Save them", card_text(card).encode, name, "names file")
    back.button("Back to what is inferred", icon=":material/undo:", on_click=_reset, args=(key,))
    st.caption("Beside the model, under its name, the file is read the next time.")


def _reset(key: _CardKey) -> None:
    _cards().pop(key, None)
    for field in ("names", "values", "fit", "height", "width"):
        st.session_state.pop(_name(key, field), None)


def _preview(outline: Outline, card: ModelCard, photo: LoadedPhoto) -> None:
    """The photo beside the network's view of it, and a warning where the values look wrong."""
    view = ask.view(photo, card.preprocessing).pixels
    with st.container(horizontal=True):
        st.image(photo.thumbnail, caption="The photo", width=_PREVIEW)
        st.image(picture(view).source, caption="What the network sees", width=_PREVIEW)
    size = " × ".join(str(side) for side in view.shape)
    scaling, inferred = card.preprocessing.scaling, outline.card.preprocessing.scaling
    if scaling == "unknown":
        st.caption(f"{size}, values not known yet")
        return
    values = scale_pixels(view, scaling)
    st.caption(f"{size}, values {number(values.min())} to {number(values.max())}")
    if inferred not in {"unknown", scaling}:
        st.warning(f"The first layers of the network expect other values: {_VALUES[inferred]}.")
    if inferred == "unknown" and scaling == "none":
        st.warning("No layer of the network scales its input, and few networks take 0 to 255.")


def _cards() -> dict[_CardKey, ModelCard]:
    """The cards that this session has set."""
    return st.session_state.setdefault("set cards", {})
