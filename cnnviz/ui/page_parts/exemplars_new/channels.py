"""The photos that excite a channel most, and least: on the pages Filters and Activations."""

from __future__ import annotations

import functools
import html
from pathlib import Path

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.features import kept_galleries
from cnnviz.features.galleries import make_gallery
from cnnviz.features.kept_galleries import KeptGalleries
from cnnviz.figures.exemplars import mark_in
from cnnviz.figures.shading import data_uri
from cnnviz.photos import sources
from cnnviz.photos.encoding import FEW_PIXELS
from cnnviz.photos.preprocessing import picture_view
from cnnviz.photos.sources import PhotoSource, SeenPhoto
from cnnviz.results import Box, ChannelExemplars, Exemplars, Gallery
from cnnviz.serving.model_files import ModelFile
from cnnviz.shipped_models import fingerprint_of
from cnnviz.storage import FileIdentity
from cnnviz.ui import ask, choices
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library
from cnnviz.ui.text import number, plain

_ENDS = {"most": "Most", "least": "Least"}
# What is not in a file: the package's own pictures.
_OWN = "own"
# A network's input of so many pixels, in grey, is for digits: every tenth of them is looked at.
_DIGITS_SIDE, _DIGITS_STEP = 32, 10
_STYLE = (Path(__file__).parent / "exemplars.css").read_text(encoding="utf-8")


def finished_layer(scene: Scene, convolution: str) -> str:
    """The last layer with a convolution's channels, such as its activation; else itself."""
    layers = {layer.path: layer for layer in scene.outline.layers}
    shape = layers[convolution].output_shape
    made = [
        path
        for path, maker in scene.outline.makers.items()
        if maker == convolution and path in layers and layers[path].output_shape == shape
    ]
    order = list(layers)
    return max(made, key=order.index, default=convolution)


@st.fragment
def show(scene: Scene, layer: str, channel: int) -> None:
    """Draws the exemplars that are kept with the model or, when asked, those of the samples."""
    found = _kept(scene.model, layer)
    st.subheader("What excites it", anchor=False)
    for problem in found.problems:
        st.warning(plain(problem), icon=":material/warning:")
    of_channel = {
        gallery.source: gallery for gallery in found.galleries if gallery.channel(channel)
    }
    place = st.container(horizontal=True, vertical_alignment="center")
    with place:
        chosen = _pick_source(scene, layer, list(of_channel))
        if chosen is None:
            return
        ends = choices.choose(
            st.segmented_control,
            "Which photos",
            "excite",
            list(_ENDS),
            "most",
            format_func=_ENDS.__getitem__,
            label_visibility="collapsed",
            required=True,
        )
    try:
        gallery = of_channel[chosen] if chosen in of_channel else _own(scene, layer, channel)
    except CnnvizError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    one = gallery.channel(channel)
    if one is None:
        raise ValueError(f"Expected exemplars of channel {channel}. Received: {gallery.source}.")
    best, weakest = one.most[0], one.least[0]
    if (best.value, best.mean) == (weakest.value, weakest.mean):
        st.caption(
            plain(
                f"Channel {channel} of {layer} has the same activation in each of "
                f"{gallery.source}: {number(best.value)}. None excites it more than others."
            )
        )
        return
    st.html(f"<style>{_STYLE}</style>{markup(gallery, one, ends)}")
    st.caption(
        plain(
            f"The photos that excite channel {channel} of {layer} {ends}, chosen from "
            f"{gallery.source}. The number is the strongest activation in the photo; equal ones "
            "are in the order of the mean. The picture is the part that this cell depends on, and "
            "the cell is outlined. Click on one to see the whole photo."
        )
    )


def _pick_source(scene: Scene, layer: str, kept: list[str]) -> str | None:
    """The choice of the photos; None where nobody has asked for any yet."""
    options = kept if scene.needs_preset else [*kept, _OWN]
    if not options:
        st.caption("This follows once it is known which values this network takes.")
        return None
    own = _own_source(scene)
    text = f"{len(own.names):,} {own.title}"
    if kept:
        return choices.choose(
            st.selectbox,
            "Chosen from",
            "from",
            options,
            options[0],
            scope=f"exemplars of {scene.model.name} {layer}",
            format_func=lambda option: text if option == _OWN else option,
            label_visibility="collapsed",
            width=320,
        )
    wanted = choices.choose(
        lambda label, _, key: st.toggle(label, key=key),
        f"Look among the {text}",
        "exemplars",
        [False, True],
        False,
    )
    return _OWN if wanted else None


def markup(gallery: Gallery, channel: ChannelExemplars, ends: str) -> str:
    """The exemplars of a channel as HTML: a button each, which opens the whole photo.

    Args:
        gallery: the exemplars with their pictures.
        channel: the channel's.
        ends: ``most`` or ``least``.
    """
    pictures = gallery.pictures(channel)
    items = []
    for rank, one in enumerate(channel.most if ends == "most" else channel.least):
        whole = gallery.photos[one.photo]
        height, width = whole.size
        box = one.box or Box(0, 0, width, height)
        name = html.escape(one.photo)
        shown = f"exemplar-{ends}-{rank}"
        small = max(box.right - box.left, box.bottom - box.top) <= FEW_PIXELS
        part = _framed(
            pictures[one.photo, one.box], box, mark_in(one, box), f"Part of {name}", small=small
        )
        photo = _framed(
            whole.picture,
            Box(0, 0, width, height),
            (box.left / width, box.top / height, box.right / width, box.bottom / height),
            name,
            small=max(whole.size) <= FEW_PIXELS,
        )
        items.append(
            f'<li><button type="button" popovertarget="{shown}"><span class="square">{part}'
            f"</span><b>{number(one.value)}</b><small>{name.rpartition('/')[2]}</small></button>"
            f'<div popover id="{shown}">{photo}<p>{name}<br>{width} × {height} pixels; the '
            f"activation is {number(one.value)}.</p></div></li>"
        )
    return f'<ol class="exemplars">{"".join(items)}</ol>'


def _framed(
    picture: bytes,
    box: Box,
    mark: tuple[float, float, float, float] | None,
    text: str,
    *,
    small: bool,
) -> str:
    """A picture of a part of a photo with an outline in it: its four edges as shares."""
    outline = ""
    if mark is not None:
        left, top, right, bottom = mark
        outline = (
            f'<i style="left:{left:.2%};top:{top:.2%};width:{right - left:.2%};'
            f'height:{bottom - top:.2%}"></i>'
        )
    kind = ' class="pixels"' if small else ""
    wide, high = box.right - box.left, box.bottom - box.top
    return (
        f'<span class="frame" style="width:{min(wide / high, 1):.2%};aspect-ratio:{wide}/{high}">'
        f'<img{kind} src="{data_uri(picture, "webp")}" alt="{text}">{outline}</span>'
    )


def _kept(model: ModelFile, layer: str) -> KeptGalleries:
    path, fingerprint = Path(model.path), _fingerprint(model)
    return _read(path, fingerprint, layer, kept_galleries.identities(path, fingerprint, layer))


@st.cache_data(show_spinner=False)
def _fingerprint(model: ModelFile) -> str:
    return fingerprint_of(Path(model.path))


@st.cache_resource(show_spinner=False, max_entries=8)
def _read(
    model: Path, fingerprint: str, layer: str, files: tuple[tuple[str, FileIdentity], ...]
) -> KeptGalleries:
    return kept_galleries.find(model, fingerprint, layer)


def _own_source(scene: Scene) -> PhotoSource:
    steps = scene.outline.card.preprocessing
    if steps.channels == 1 and max(steps.height, steps.width) <= _DIGITS_SIDE:
        return _digits()
    return sources.sample_photos(library.samples(scene.model))


@st.cache_resource(show_spinner=False)
def _digits() -> PhotoSource:
    return sources.digit_photos(_DIGITS_STEP)


def _own(scene: Scene, layer: str, channel: int) -> Gallery:
    """The exemplars of one channel among the package's own pictures."""
    source = _own_source(scene)
    key = f"{scene.model.name} {source.title}"
    photos = functools.partial(_seen, scene, source)
    found = ask.exemplars(scene.model, scene.card, key, photos, layer, channel)
    of_channel = tuple(one for one in found.channels if one.channel == channel)
    return _gallery(key, Exemplars(layer, found.photos, of_channel), source)


@st.cache_data(show_spinner=False, max_entries=64)
def _gallery(key: str, found: Exemplars, _source: PhotoSource) -> Gallery:
    return make_gallery(_source, found)


def _seen(scene: Scene, source: PhotoSource) -> list[SeenPhoto]:
    steps = scene.outline.card.preprocessing
    seen = []
    for name in source.names:
        photo = source.open(name)
        seen.append(SeenPhoto(name, (photo.height, photo.width), picture_view(photo, steps)))
    return seen
