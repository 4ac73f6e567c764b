"""The sidebar's section for a model without a card: class names and preprocessing."""

from __future__ import annotations

import streamlit as st

from cnnviz.cards import ModelCard, card_text, changed, numbered_labels
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
_FITS = {"stretch": "Stretched", "crop": "Cropped in the middle", "pad": "With black borders"}
_GREY_SCALINGS = ("none", "unit", "tf")

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
        if not card.inferred:
            name = parts.file_stem(card.title)
            parts.download("Save as a card", card_text(card).encode, f"{name}.json", "card file")
            st.caption("Beside the model, under its name, it is read the next time.")
            if st.button("Back to what is inferred", icon=":material/undo:"):
                _cards().pop(key, None)
                st.rerun()
    return None if card == outline.card else card


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
            scalings.index(settings.scaling),
            format_func=_SCALINGS.__getitem__,
            help="Of Keras's own networks, VGG and ResNet take the last one, DenseNet the one "
            "before it, MobileNet, Xception and Inception −1 to 1, EfficientNet and ConvNeXt 0 to "
            "255. What a model does itself, in a Rescaling layer, it must not get twice.",
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
            _cards()[key] = _set(base, names, scaling, fit, height, width)
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
        description="A saved Keras model whose card was set by hand.",
        inferred=False,
    )


def _preview(outline: Outline, card: ModelCard, photo: LoadedPhoto) -> None:
    """The photo beside the network's view of it, and a warning where the values look wrong."""
    view = ask.view(photo, card.preprocessing).pixels
    values = scale_pixels(view, card.preprocessing.scaling)
    left, right = st.columns(2)
    left.image(photo.thumbnail, caption="The photo")
    right.image(picture(view).source, caption="What the network sees", width="stretch")
    st.caption(
        f"{view.shape[0]} × {view.shape[1]} × {view.shape[2]}, values {values.min():.3g} "
        f"to {values.max():.3g}".replace("-", "−")
    )
    inside = {layer.kind for layer in outline.layers} & {"Rescaling", "Normalization"}
    if inside and card.preprocessing.scaling != "none":
        st.warning(
            f"The network has a {inside.pop()} layer of its own, so the values may be scaled twice."
        )
    if not inside and card.preprocessing.scaling == "none":
        st.warning("No layer of the network scales its input, and few networks take 0 to 255.")


def _cards() -> dict[_CardKey, ModelCard]:
    """The cards that this session has set."""
    return st.session_state.setdefault("set cards", {})
