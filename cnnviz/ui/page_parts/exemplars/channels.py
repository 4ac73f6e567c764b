"""The photos that excite a channel most, and least, beside the channel."""

from __future__ import annotations

import html
from pathlib import Path

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.features import kept_galleries
from cnnviz.features.galleries import make_gallery
from cnnviz.features.kept_galleries import KeptGalleries
from cnnviz.figures.exemplars import mark_in
from cnnviz.figures.shading import data_uri
from cnnviz.numerals import number
from cnnviz.photos.encoding import FEW_PIXELS
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import Box, ChannelExemplars, Exemplar, Exemplars, Gallery
from cnnviz.storage import FileIdentity
from cnnviz.ui import ask, choices, long_questions
from cnnviz.ui.page_parts.exemplars import photos
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_ENDS = {"most": "Most", "least": "Least"}
STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


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
    """Draws the exemplars that are kept with the model or, when asked, those of other photos."""
    place = st.container(key="exemplars", gap="xsmall")
    of_channel = {source: one for source, one in kept(scene, layer).items() if one.channel(channel)}
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = photos.pick(list(of_channel), photos.searchable(scene), scope_of(scene, layer))
        ends = "most"
        if chosen is not None:
            ends = choices.choose(
                st.segmented_control,
                "Which photos",
                "ends",
                list(_ENDS),
                "most",
                format_func=_ENDS.__getitem__,
                label_visibility="collapsed",
                required=True,
            )
    with place:
        st.subheader(f"These excite it {ends}", anchor=False)
        if chosen is not None:
            _draw(scene, layer, channel, of_channel.get(chosen), chosen, ends)


def _draw(
    scene: Scene, layer: str, channel: int, gallery: Gallery | None, chosen: str, ends: str
) -> None:
    try:
        gallery = gallery or searched(scene, layer, channel, chosen)
    except CnnvizError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    one = None if gallery is None else gallery.channel(channel)
    if gallery is None or one is None:
        return
    best, weakest = one.most[0], one.least[0]
    if (best.value, best.mean) == (weakest.value, weakest.mean):
        st.caption(
            plain(
                f"Channel {channel} of {layer} has the same activation in each of "
                f"{gallery.source}: {number(best.value)}. None excites it more than others."
            )
        )
        return
    st.html(f"<style>{STYLE}</style>{markup(gallery, one, ends)}")
    st.caption(
        plain(
            f"The parts of {gallery.source} that excite channel {channel} of {layer} {ends}, with "
            "the activation at the strongest cell, which is outlined. Click on one to see the "
            "whole photo."
        )
    )


def kept(scene: Scene, layer: str) -> dict[str, Gallery]:
    """The exemplars of a layer that are kept with the model, by what they were chosen from.

    A file that cannot be shown is named.
    """
    model = scene.model
    if not photos.keeps_files(model):
        return {}
    path, fingerprint = Path(model.path), photos.fingerprint(model)
    found = _read(path, fingerprint, layer, kept_galleries.identities(path, fingerprint, layer))
    for problem in found.problems:
        st.warning(plain(problem), icon=":material/warning:")
    return {one.source: one for one in found.galleries}


def scope_of(scene: Scene, layer: str) -> str:
    """The scope of the choice of the photos for a layer."""
    return f"exemplars of {scene.model.name} {layer}"


def searched(scene: Scene, layer: str, channel: int, chosen: str) -> Gallery | None:
    """The exemplars of one channel in what can be searched; None while the search goes on.

    Raises:
        CnnvizError: whatever the network's process raises, or a photo cannot be read.
    """
    source = photos.searchable(scene)[chosen]
    found = exemplars_of_block(scene, layer, channel, source)
    if found is None:
        return None
    of_channel = tuple(one for one in found.channels if one.channel == channel)
    return pictured(scene, Exemplars(layer, found.photos, of_channel), source)


def exemplars_of_block(
    scene: Scene, layer: str, channel: int, source: PhotoSource
) -> Exemplars | None:
    """The exemplars of a channel and those beside it; None while the search goes on.

    Raises:
        CnnvizError: whatever the network's process raises, or a photo cannot be read.
    """
    layers = {one.path: one for one in scene.outline.layers}
    channels = ask.block_of(channel, layers[layer].output_shape[-1] or channel + 1)
    found = long_questions.search(scene, photos.search(scene, source, layer, channels))
    return found if isinstance(found, Exemplars) else None


def pictured(scene: Scene, found: Exemplars, source: PhotoSource) -> Gallery:
    """Exemplars that were searched for, with their pictures."""
    return _gallery(f"{scene.model.name} {source.title}", found, source)


@st.cache_data(show_spinner=False, max_entries=64)
def _gallery(key: str, found: Exemplars, _source: PhotoSource) -> Gallery:
    return make_gallery(_source, found)


@st.cache_resource(show_spinner=False, max_entries=8)
def _read(
    model: Path, fingerprint: str, layer: str, files: tuple[tuple[str, FileIdentity], ...]
) -> KeptGalleries:
    return kept_galleries.find(model, fingerprint, layer)


def markup(gallery: Gallery, channel: ChannelExemplars, ends: str) -> str:
    """The exemplars of a channel as HTML: a button each, which opens the whole photo.

    Args:
        gallery: the exemplars with their pictures.
        channel: the channel's.
        ends: ``most`` or ``least``.
    """
    return listed(gallery, channel, channel.most if ends == "most" else channel.least)


def listed(gallery: Gallery, channel: ChannelExemplars, exemplars: tuple[Exemplar, ...]) -> str:
    """Some exemplars of a channel as HTML, as ``markup`` has all of an end."""
    pictures = gallery.pictures(channel)
    items = []
    for rank, one in enumerate(exemplars):
        whole = gallery.photos[one.photo]
        height, width = whole.size
        box = one.box or Box(0, 0, width, height)
        title = html.escape(one.photo)
        shown = f"exemplar-{rank}"
        small = max(box.right - box.left, box.bottom - box.top) <= FEW_PIXELS
        part = _framed(
            pictures[one.photo, one.box], box, mark_in(one, box), f"Part of {title}", small=small
        )
        photo = _framed(
            whole.picture,
            Box(0, 0, width, height),
            (box.left / width, box.top / height, box.right / width, box.bottom / height),
            title,
            small=max(whole.size) <= FEW_PIXELS,
        )
        items.append(
            f'<li><button type="button" popovertarget="{shown}"><span class="square">{part}'
            f'</span><span class="said"><b>{number(one.value)}</b> {title.rpartition("/")[2]}'
            f'</span></button><div popover id="{shown}">{photo}<p>{title}<br>{width} × {height} '
            f"pixels; the activation is {number(one.value)}.</p></div></li>"
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
