"""The channels of layers as grids: all of one layer, or the first of several side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.cards import ModelCard
from cnnviz.drawing import Limits, Shading, finite, shading
from cnnviz.networks.channels import ChannelRanking, rank_channels
from cnnviz.numerals import number as number_text
from cnnviz.numerals import percent
from cnnviz.results import LayerInfo
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, parts
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.legends import legend_line
from cnnviz.ui.scene import Scene

# The scale of values on both sides of zero.
SIGNED = "blue-orange"
# Channels of a layer beside other layers.
MOST_CHANNELS = 8
_HEAD_STYLE = """<style>
.layer-head {font-size: 14px; line-height: 1.35; margin-bottom: -12px}
.layer-head {overflow: hidden; white-space: nowrap}
.layer-head b {font-size: 15px; font-weight: 600}
.layer-head div {overflow: hidden; text-overflow: ellipsis; opacity: 0.75}
</style>"""


@dataclass(frozen=True)
class Look:
    """How the channels of a layer are drawn.

    Attributes:
        order: a key of the orders: by deviation over the photo, peak, mean, share of active cells,
            or number.
        scale: ``layer`` for one scale, ``channel`` for one of each channel.
        colours: the colour scale of channels without negative values.
    """

    order: str
    scale: str
    colours: str


@dataclass(frozen=True)
class ShownLayer:
    """A layer whose channels are drawn.

    Attributes:
        layer: the layer.
        maps: (h, w, K).
        ranking: of the channels.
        legend: of the colours.
        channels: all K of them, in the order of the page.
        drawn: how many of these have a tile.
        key: of the viewer.
        scene: the ``id`` of its scene.
        clicked: the channel that was clicked just now.
    """

    layer: LayerInfo
    maps: Floats
    ranking: ChannelRanking
    legend: Legend
    channels: list[int]
    drawn: int
    key: str
    scene: str
    clicked: int | None


def draw_grids(
    scene: Scene, layers: Sequence[LayerInfo], whole: LayerInfo | None, look: Look
) -> list[ShownLayer]:
    """Draws the first channels of layers side by side, or all channels of one.

    Args:
        scene: model and photo.
        layers: the layers.
        whole: the one of them that is drawn by itself; None for all of them.
        look: how their channels are drawn.
    """
    if whole is not None:
        position = list(layers).index(whole)
        return [_draw_grid(scene, whole, _measured(scene, whole, look), look, position, None)]
    # Before anything is drawn: the browser then draws all grids at once.
    found = [_measured(scene, layer, look) for layer in layers]
    st.html(_HEAD_STYLE)
    # Said once where all have the same.
    legends = [legend for _, _, legend in found]
    common = len({(one.colours, one.ticks) for one in legends}) == 1
    if common:
        _draw_legend(legends[0])
    shown = []
    places = st.columns(len(layers), gap="small")
    for position, (place, layer) in enumerate(zip(places, layers, strict=True)):
        of = scene, layer, found[position], look, position, MOST_CHANNELS
        with place:
            shown.append(_draw_grid(*of, with_legend=not common))
    return shown


def _draw_legend(one: Legend) -> None:
    look = Shading(viewer.page_colours(one.colours), one.low, one.high)
    st.html(legend_line(one.unit, look, one.ticks))


def _draw_grid(
    scene: Scene,
    layer: LayerInfo,
    measured: tuple[Floats, ChannelRanking, Legend],
    look: Look,
    position: int,
    most: int | None,
    *,
    with_legend: bool = True,
) -> ShownLayer:
    """Draws the channels of a layer.

    Args:
        scene: model and photo.
        layer: the layer.
        measured: its maps, their ranking and their legend.
        look: how its channels are drawn.
        position: of the layer among those that are chosen.
        most: how many channels are drawn; None for all, with a heading.
        with_legend: whether it says what its colours mean.
    """
    maps, ranking, legend = measured
    channels = _order(ranking, look.order)
    drawn = channels[:most]
    if most is not None:
        _draw_head(layer, maps, len(drawn))
    key, name = f"activations {position}", _name(scene.model, layer, look)
    packed = _packed_grid(
        *(scene.model, scene.card, scene.photo.seen_key, layer, look, key, most, with_legend),
        *(maps, drawn, ranking, legend),
    )
    clicked = viewer.opened(viewer.show_packed(packed, name, key), len(drawn))
    return ShownLayer(
        layer,
        maps,
        ranking,
        legend,
        channels,
        len(drawn),
        key,
        name,
        None if clicked is None else channels[clicked],
    )


def _draw_head(layer: LayerInfo, maps: Floats, drawn: int) -> None:
    """The size of a layer's maps, how many are drawn, and its name, shortened where it is long."""
    height, width, count = maps.shape
    path = html.escape(layer.path)
    st.html(
        f'<div class="layer-head" title="{path}"><b>{height} × {width}</b>'
        f"<div>{drawn} of {count:,}</div><div>{path}</div></div>"
    )


def _order(ranking: ChannelRanking, order: str) -> list[int]:
    if order == "number":
        return list(range(len(ranking.peak)))
    return [int(channel) for channel in ranking.order(order)]


def _name(model: ModelFile, layer: LayerInfo, look: Look) -> str:
    """The name of a grid's scene: a click in another one means another channel."""
    return f"{model.name} {layer.path} by {look.order}"


def _measured(scene: Scene, layer: LayerInfo, look: Look) -> tuple[Floats, ChannelRanking, Legend]:
    """A layer's maps, the ranking of its channels, and the legend of their colours."""
    maps = scene.activations(layer.path)
    of = scene.model, scene.card, scene.photo.seen_key, layer.path, look
    return maps, *_measure(*of, maps)


@st.cache_resource(show_spinner=False, max_entries=64)
def _measure(
    model: ModelFile, card: ModelCard | None, photo: str, layer: str, look: Look, _maps: Floats
) -> tuple[ChannelRanking, Legend]:
    return rank_channels(_maps), legend_of(_maps, look)


ask.forget_with_photos(_measure.clear)


@st.cache_resource(show_spinner=False, max_entries=32)
def _packed_grid(
    model: ModelFile,
    card: ModelCard | None,
    photo: str,
    layer: LayerInfo,
    look: Look,
    key: str,
    most: int | None,
    with_legend: bool,
    _maps: Floats,
    _channels: Sequence[int],
    _ranking: ChannelRanking,
    _legend: Legend,
) -> bytes:
    """The grid of a layer, packed: that takes longer than reading cached activations."""
    shape = parts.shape_text(layer.output_shape)
    title = f"{len(_channels)} channels of {layer.path}, {shape}"
    names = [f"#{channel}" for channel in _channels]
    heading = "" if most is not None else f"{len(_channels):,} channels"
    name = _name(model, layer, look)
    scene = channel_grid(
        *(_maps, _channels, look, name, title, names, heading),
        ranking=_ranking,
        legend=_legend,
    )
    # A grid without a heading is in a narrow column.
    shown = replace(_legend, unit="" if heading == "" else "activation")
    return scenes.pack(replace(scene, legend=shown if with_legend else None), key)


ask.forget_with_photos(_packed_grid.clear)


def channel_grid(
    maps: Floats,
    channels: Sequence[int],
    look: Look,
    name: str,
    title: str,
    names: Sequence[str],
    heading: str | None = None,
    *,
    ranking: ChannelRanking | None = None,
    legend: Legend | None = None,
) -> scenes.Scene:
    """Channels as a grid; those with values below zero get colours with zero in the middle.

    Args:
        maps: (h, w, K), the activations of a layer.
        channels: those that are drawn, in their order.
        look: how they are drawn.
        name: of the scene.
        title: the name of the grid.
        names: of the channels; without, they cannot be clicked.
        heading: above the grid, empty for none; the title if it is left out.
        ranking: of the channels, if it is known.
        legend: of the colours, if it is known.
    """
    ranking = ranking or rank_channels(maps)
    drawn = finite(maps[..., channels])
    # That of the whole layer, whichever channels of it are drawn.
    legend = legend or legend_of(maps, look)
    limits: Limits | Floats = (legend.low, legend.high)
    if look.scale == "channel":
        # From zero: a constant channel is not a dead one.
        peaks = np.nan_to_num(np.abs(drawn)).max(axis=(0, 1))
        limits = np.outer(np.where(peaks > 0, peaks, 1), [-1 if legend.low < 0 else 0, 1])
    return scenes.grid(
        drawn,
        scene=name,
        title=title,
        limits=limits,
        legend=legend,
        unit="activation",
        sentences=[sentence(ranking, channel) for channel in channels],
        names=names,
        opens=bool(names),
        heading=heading,
    )


def legend_of(maps: Floats, look: Look) -> Legend:
    """What the colours of a layer's maps (h, w, K) mean."""
    colours = SIGNED if (finite(maps) < 0).any() else look.colours
    low, high = shading(finite(maps), signed=colours == SIGNED).limits
    ticks = number_text(low), number_text(high)
    if look.scale == "channel":
        ticks = "−peak" if low < 0 else "0", "peak of each"
    return Legend("activation", colours, low, high, ticks)


def sentence(ranking: ChannelRanking, channel: int) -> str:
    """The numbers of a channel, for this photo."""
    return (
        f"Channel {channel}\nin this photo: peak {ranking.peak[channel]:.4g}, "
        f"mean {ranking.mean[channel]:.4g}, {percent(float(ranking.active[channel]))} of its cells "
        "active"
    )
