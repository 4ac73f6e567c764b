"""The sidebar's part for a model without a card: class names and preprocessing, set by hand."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from cnnviz.cards import ModelCard, card_text, changed, numbered_labels
from cnnviz.errors import CardError
from cnnviz.figures.photos import picture
from cnnviz.photos.preprocessing import picture_view, scale_pixels
from cnnviz.results import Outline
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, choices, parts
from cnnviz.ui.sidebar.photos import Photo
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


def pick(model: ModelFile, photo: Photo) -> ModelFile:
    """Draws the settings of a model without a card, and gives it with the card that they make."""
    if model.card_modified:
        return model
    found = ask.outline(model)
    with st.expander("Class names and preprocessing", icon=":material/tune:"):
        st.caption("Without a card these are inferred, until you set them.")
        base = _base(model, found)
        card = _stored(model, base) or base
        _form(model, found, base, card)
        _preview(found, card, photo)
        if not card.inferred:
            name = parts.file_stem(card.title)
            parts.download("Save as a card", card_text(card).encode, f"{name}.json", "card file")
            st.caption("Beside the model, under its name, it is read the next time.")
            if st.button("Back to what is inferred", icon=":material/undo:"):
                _cards().pop((model, base.output), None)
                st.rerun()
    return model if card == found.card else replace(model, card=card_text(card))


def _base(model: ModelFile, found: Outline) -> ModelCard:
    """What is inferred for the chosen output."""
    if len(found.outputs) < 2:
        return found.card
    first = next(iter(found.outputs))
    output = choices.choose(
        st.selectbox, "Output", "output", list(found.outputs), first, scope=model.name
    )
    if output == first:
        return found.card
    return changed(found.card, output=output, labels=numbered_labels(found.outputs[output]))


def _form(model: ModelFile, found: Outline, base: ModelCard, card: ModelCard) -> None:
    """The fields; what is given is kept, and the page runs again with it."""
    settings = card.preprocessing
    grey = settings.channels != 3
    scalings = [name for name in _SCALINGS if not grey or name in _GREY_SCALINGS]
    _, free_height, free_width, _ = (size is None for size in found.input_shape)
    # Another output, and a way back, start with fields of their own.
    with st.form(f"card of {model.path} {base.output} {card.inferred}", border=False):
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
            _cards()[model, base.output] = _set(base, names, scaling, fit, height, width)
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
            f"The network tells {len(base.labels)} classes apart, and here are {len(labels)} names."
        )
    known = base.preprocessing.model_dump()
    sizes = {"height": height or known["height"], "width": width or known["width"]}
    return changed(
        base,
        labels=labels,
        preprocessing=known | sizes | {"scaling": scaling, "fit": fit},
        description="A saved Keras model whose card was set by hand.",
        inferred=False,
    )


def _preview(found: Outline, card: ModelCard, photo: Photo) -> None:
    """The photo beside what the network sees of it, and a warning where the values look wrong."""
    view = picture_view(photo.image, card.preprocessing)
    values = scale_pixels(view, card.preprocessing.scaling)
    left, right = st.columns(2)
    left.image(photo.thumbnail, caption="The photo")
    right.image(picture(view).source, caption="What the network sees", width="stretch")
    st.caption(
        f"{view.shape[0]} × {view.shape[1]} × {view.shape[2]}, values {values.min():.3g} "
        f"to {values.max():.3g}".replace("-", "−")
    )
    inside = {layer.kind for layer in found.layers} & {"Rescaling", "Normalization"}
    if inside and card.preprocessing.scaling != "none":
        st.warning(
            f"The network has a {inside.pop()} layer of its own, so the values may be scaled twice."
        )
    if not inside and card.preprocessing.scaling == "none":
        st.warning("No layer of the network scales its input, and few networks take 0 to 255.")


def _stored(model: ModelFile, base: ModelCard) -> ModelCard | None:
    return _cards().get((model, base.output))


def _cards() -> dict[tuple[ModelFile, str | None], ModelCard]:
    """The cards that this session has set, by model and output."""
    return st.session_state.setdefault("set cards", {})
