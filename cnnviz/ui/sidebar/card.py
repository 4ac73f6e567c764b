"""A model without a card: class names and preprocessing in the sidebar, a preset on the page."""

from __future__ import annotations

import streamlit as st

from cnnviz.cards import PRESETS, ModelCard, card_text, changed, numbered_labels, with_preset
from cnnviz.errors import CardError
from cnnviz.figures.photos import picture
from cnnviz.photos.preprocessing import scale_pixels
from cnnviz.results import Outline
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, choices, parts
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.text import plain

_SCALINGS = {
    "none": "0 to 255, as they are",
    "unit": "0 to 1",
    "tf": "−1 to 1",
    "torch": "ImageNet's mean and deviation, RGB",
    "caffe": "ImageNet's mean taken off, BGR",
}
# No two may be the same: Streamlit sends the text of a choice.
_PRESETS = {**_SCALINGS, "teachable-machine": "−1 to 1, cropped in the middle"}
# What a person may know of a network whose file does not show its values, by preset.
_KNOWN_AS = {
    "unit": "Most lessons and tutorials: photos divided by 255",
    "tf": "MobileNet, Xception and Inception of Keras",
    "teachable-machine": "Teachable Machine",
    "torch": "DenseNet of Keras",
    "caffe": "VGG and ResNet of Keras",
    "none": "Networks that were trained on pixels as they are",
}
_FITS = {"stretch": "Stretched", "crop": "Cropped in the middle", "pad": "With black borders"}
_GREY_SCALINGS = ("none", "unit", "tf")
_DESCRIPTION = "A saved Keras model whose card was set by hand."

# What a card is set for: the model, its inferred title, and its output.
_CardKey = tuple[ModelFile, str, str | None]


def pick(model: ModelFile, title: str | None, photo: LoadedPhoto) -> ModelCard | None:
    """Draws the settings of a model without a card.

    Args:
        model: the model.
        title: takes the place of the inferred title, the file's name; None for that one.
        photo: shown as the network sees it.

    Returns:
        The card that takes the place of the inferred one, or None.
    """
    if model.card_modified:
        return None
    outline = ask.outline(model)
    with st.expander("Class names and preprocessing", icon=":material/tune:"):
        st.caption("Without a card these are inferred, until you set them.")
        base = _base(model, outline)
        if title is not None:
            base = changed(base, title=title)
        key = model, base.title, base.output
        card = _cards().get(key, base)
        _form(key, outline, base, card)
        _preview(outline, card, photo)
        if not card.inferred and card.preprocessing.scaling != "unknown":
            name = parts.file_stem(card.title)
            parts.download("Save as a card", card_text(card).encode, f"{name}.json", "card file")
            st.caption("Beside the model, under its name, it is read the next time.")
            if st.button("Back to what is inferred", icon=":material/undo:"):
                _cards().pop(key, None)
                st.rerun()
    return None if card == outline.card else card


def ask_preset(model: ModelFile, card: ModelCard) -> None:
    """Draws the choice of the values that a network takes, where its file does not show them.

    Args:
        model: the model.
        card: the card in use.
    """
    st.markdown(
        "**The file of this network does not show which values of the pixels it was trained on.** "
        "With other values it names wrong classes, so none is shown until you have picked them."
    )
    offered = [
        name
        for name in _KNOWN_AS
        if card.preprocessing.channels == 3 or PRESETS[name]["scaling"] in _GREY_SCALINGS
    ]
    preset = st.radio(
        "Values of the pixels",
        offered,
        index=None,
        format_func=_PRESETS.__getitem__,
        captions=[_KNOWN_AS[name] for name in offered],
        key=f"preset of {model.path} {card.output}",
    )
    st.button(
        "Use these values",
        icon=":material/check:",
        disabled=preset is None,
        on_click=lambda: _put_preset(model, card, preset),
    )
    st.caption(
        "They can be changed in the sidebar, under “Class names and preprocessing”. The card that "
        "you save there keeps them."
    )


def _put_preset(model: ModelFile, card: ModelCard, preset: str | None) -> None:
    if preset is not None:
        picked = changed(with_preset(card, preset), description=_DESCRIPTION, inferred=False)
        _cards()[model, card.title, card.output] = picked


def _base(model: ModelFile, outline: Outline) -> ModelCard:
    """The inferred card for the chosen output."""
    if len(outline.outputs) < 2:
        return outline.card
    default = next(iter(outline.outputs))
    output = choices.choose(
        st.selectbox, "Output", "output", list(outline.outputs), default, scope=model.name
    )
    if output == default:
        return outline.card
    return changed(outline.card, output=output, labels=numbered_labels(outline.outputs[output]))


def _form(key: _CardKey, outline: Outline, base: ModelCard, card: ModelCard) -> None:
    """The fields; a card that is submitted is stored, and the page runs again with it."""
    model, _, output = key
    settings = card.preprocessing
    grey = settings.channels != 3
    scalings = [name for name in _SCALINGS if not grey or name in _GREY_SCALINGS]
    _, free_height, free_width, _ = (size is None for size in outline.input_shape)
    # The fields of another output, and of the inferred card, have a state of their own.
    with st.form(f"card of {model.path} {output} {card.inferred}", border=False):
        names = st.text_area(
            f"Class names, one a line ({len(base.labels)})", "\n".join(card.labels), height=120
        )
        scaling = st.selectbox(
            "Values of the pixels",
            scalings,
            scalings.index(settings.scaling) if settings.scaling in scalings else None,
            placeholder="Not known: choose",
            format_func=_SCALINGS.__getitem__,
            help="Of Keras's own networks, VGG and ResNet take the last one, DenseNet the one "
            "before it, MobileNet, Xception and Inception −1 to 1, EfficientNet and ConvNeXt 0 to "
            "255. What a model does itself, in its first layers, it must not get twice.",
        )
        fit = st.selectbox(
            "A photo of another shape is",
            list(_FITS),
            list(_FITS).index(settings.fit),
            format_func=_FITS.__getitem__,
        )
        height = width = None
        if free_height or free_width:
            height = st.number_input("Height", 8, 1024, settings.height, disabled=not free_height)
            width = st.number_input("Width", 8, 1024, settings.width, disabled=not free_width)
        applied = st.form_submit_button("Use these", icon=":material/check:")
    if applied:
        try:
            _cards()[key] = _set(base, names, scaling or settings.scaling, fit, height, width)
        except CardError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            st.rerun()


def _set(
    base: ModelCard, names: str, scaling: str, fit: str, height: int | None, width: int | None
) -> ModelCard:
    labels = [name.strip() for name in names.splitlines() if name.strip()]
    if len(labels) != len(base.labels):
        raise CardError(
            f"The network has {len(base.labels)} classes, and here are {len(labels)} names."
        )
    preprocessing = base.preprocessing.model_dump()
    sizes = {
        "height": height or preprocessing["height"],
        "width": width or preprocessing["width"],
    }
    return changed(
        base,
        labels=labels,
        preprocessing=preprocessing | sizes | {"scaling": scaling, "fit": fit},
        description=_DESCRIPTION,
        inferred=False,
    )


def _preview(outline: Outline, card: ModelCard, photo: LoadedPhoto) -> None:
    """The photo beside the network's view of it, and a warning where the values look wrong."""
    view = ask.view(photo, card.preprocessing).pixels
    left, right = st.columns(2)
    left.image(photo.thumbnail, caption="The photo")
    right.image(picture(view).source, caption="What the network sees", width="stretch")
    size = " × ".join(str(side) for side in view.shape)
    scaling, inferred = card.preprocessing.scaling, outline.card.preprocessing.scaling
    if scaling == "unknown":
        st.caption(f"{size}, values not known yet")
        return
    values = scale_pixels(view, scaling)
    st.caption(f"{size}, values {values.min():.3g} to {values.max():.3g}".replace("-", "−"))
    if inferred not in {"unknown", scaling}:
        st.warning(f"The first layers of the network expect other values: {_SCALINGS[inferred]}.")
    if inferred == "unknown" and scaling == "none":
        st.warning("No layer of the network scales its input, and few networks take 0 to 255.")


def _cards() -> dict[_CardKey, ModelCard]:
    """The cards that this session has set."""
    return st.session_state.setdefault("set cards", {})
