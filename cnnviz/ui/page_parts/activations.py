"""The Activations page's parts: the choice of layers, a layer's grid, and one channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.cards import ModelCard
from cnnviz.drawing import Limits, colour_limits, finite, shading
from cnnviz.figures.maps import heatmap
from cnnviz.figures.photos import photo_figure
from cnnviz.networks.channels import ChannelRanking, rank_channels
from cnnviz.results import LayerInfo, percent
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import choices, parts
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import number as number_text

# The scale of values on both sides of zero.
SIGNED = "blue-orange"
_ORDERS = {"peak": "Peak", "mean": "Mean", "active": "Share of active cells", "number": "Number"}
_SCALES = {"layer": "One for the layer", "channel": "Each channel its own"}
_MOST_LAYERS = 4


@dataclass(frozen=True)
class Look:
    """How the channels of a layer are drawn.

    Attributes:
        order: a key of the orders: by peak, mean, share of active cells, or number.
        scale: ``layer`` for one scale, ``channel`` for one of each channel.
        colours: the colour scale of channels without negative values.
    """

    order: str
    scale: str
    colours: str


def pick_layers(scene: Scene, spatial: list[LayerInfo]) -> list[LayerInfo]:
    """The choice of layers; by default the first one that the card suggests."""
    by_path = {layer.path: layer for layer in spatial}
    suggested = [
        path for path in scene.outline.card.suggested_layers.activations if path in by_path
    ]
    default = suggested[0] if suggested else _first_convolution(spatial)
    paths = choices.choose_many(
        "Layers",
        "layer",
        list(by_path),
        [default],
        scope=_scope(scene),
        max_selections=_MOST_LAYERS,
        format_func=lambda path: f"{path} · {parts.shape_text(by_path[path].output_shape)}",
    )
    return [by_path[path] for path in paths or [default]]


def put_layer(scene: Scene, path: str) -> None:
    """Chooses one layer for the person, before the choice is drawn."""
    choices.put("layer", path, _scope(scene))


def _scope(scene: Scene) -> str:
    return f"activations of {scene.model.name}"


def pick_look() -> Look:
    """The choices of the order of channels, of the scale and of the colours."""
    order_column, scale_column, colour_column = st.columns(3)
    with order_column:
        order = choices.choose(
            st.selectbox,
            "Order by",
            "order",
            list(_ORDERS),
            "peak",
            format_func=_ORDERS.__getitem__,
        )
    with scale_column:
        scale = choices.choose(
            st.selectbox, "Scale", "scale", list(_SCALES), "layer", format_func=_SCALES.__getitem__
        )
    with colour_column:
        return Look(order, scale, parts.pick_colours())


def draw_grid(scene: Scene, layer: LayerInfo, look: Look, position: int) -> Callable[[], None]:
    """Draws the grid of a layer's channels.

    Args:
        scene: model and photo.
        layer: the layer.
        look: how its channels are drawn.
        position: of the layer among those that are shown; the first always shows one channel.

    Returns:
        What draws one channel beside the grid.
    """
    maps = scene.activations(layer.path)
    ranking = rank_channels(maps)
    channels = _order(ranking, look.order)
    scope = f"channel of {layer.path} in {scene.model.name}"
    # The channel of each layer has a name of its own in the address.
    address = f"channel of {layer.path}" if position else "channel"
    key, name = f"activations {position}", _name(scene.model, layer, look)
    grid, beside = st.columns([3, 2], gap="large")
    with grid:
        packed = _packed_grid(
            scene.model, scene.card, scene.photo.key, layer, look, key, maps, channels
        )
        event = viewer.show_packed(packed, name, key)
        clicked = viewer.opened(event, len(channels))
        _name_dead(ranking, len(channels))
    if clicked is not None:
        choices.put(address, str(channels[clicked]), scope=scope)

    def draw_channel() -> None:
        with beside, st.container(key=f"beside the grid {position}"):
            # A further layer is there for comparison: it shows its grid alone at first.
            if position and not choices.is_made(address, scope):
                st.caption("Click on a channel to look closer.")
                return
            channel = _pick_channel(ranking, channels, address, scope)
            viewer.select(key, name, channels.index(channel))
            _one_channel(scene, layer, maps, channel, look, position)

    return draw_channel


def _order(ranking: ChannelRanking, order: str) -> list[int]:
    if order == "number":
        return list(range(len(ranking.peak)))
    return [int(channel) for channel in ranking.order(order)]


def _name(model: ModelFile, layer: LayerInfo, look: Look) -> str:
    """The name of a grid's scene: a click in another one means another channel."""
    return f"{model.name} {layer.path} by {look.order}"


@st.cache_resource(show_spinner=False, max_entries=16)
def _packed_grid(
    model: ModelFile,
    card: ModelCard | None,
    photo: str,
    layer: LayerInfo,
    look: Look,
    key: str,
    _maps: Floats,
    _channels: Sequence[int],
) -> bytes:
    """The grid of a layer, packed: that takes longer than reading cached activations."""
    shape = parts.shape_text(layer.output_shape)
    title = f"{len(_channels)} channels of {layer.path}, {shape}"
    names = [f"#{channel}" for channel in _channels]
    scene = channel_grid(_maps, _channels, look, _name(model, layer, look), title, names)
    return scenes.pack(scene, key)


def channel_grid(
    maps: Floats, channels: Sequence[int], look: Look, name: str, title: str, names: Sequence[str]
) -> scenes.Scene:
    """Channels as a grid; those with values below zero get colours with zero in the middle.

    Args:
        maps: (h, w, K), the activations of a layer.
        channels: those that are drawn, in their order.
        look: how they are drawn.
        name: of the scene.
        title: its heading.
        names: of the channels; without, they cannot be clicked.
    """
    ranking = rank_channels(maps)
    drawn = finite(maps[..., channels])
    colours = _colours(drawn, look)
    low, high = shading(drawn, signed=colours == SIGNED).limits
    limits: Limits | Floats = (low, high)
    ticks = number_text(low), number_text(high)
    if look.scale == "channel":
        # From zero: a constant channel is not a dead one.
        peaks = np.nan_to_num(np.abs(drawn)).max(axis=(0, 1))
        limits = np.outer(np.where(peaks > 0, peaks, 1), [-1 if low < 0 else 0, 1])
        ticks = "−peak" if low < 0 else "0", "peak of each"
    return scenes.grid(
        drawn,
        scene=name,
        title=title,
        limits=limits,
        legend=Legend("activation", colours, low, high, ticks),
        unit="activation",
        sentences=[sentence(ranking, channel) for channel in channels],
        names=names,
        opens=bool(names),
    )


def _colours(maps: Floats, look: Look) -> str:
    return SIGNED if (maps < 0).any() else look.colours


def sentence(ranking: ChannelRanking, channel: int) -> str:
    """The numbers of a channel, for this photo."""
    return (
        f"Channel {channel}\nin this photo: peak {ranking.peak[channel]:.4g}, "
        f"mean {ranking.mean[channel]:.4g}, {percent(float(ranking.active[channel]))} of its cells "
        "active"
    )


def _name_dead(ranking: ChannelRanking, count: int) -> None:
    if not ranking.dead:
        st.caption(f"All {count} channels are active somewhere in this photo.")
        return
    numbers = ", ".join(f"#{channel}" for channel in ranking.dead[:12])
    more = ", …" if len(ranking.dead) > 12 else ""
    st.caption(
        f"{len(ranking.dead)} of {count} channels are zero everywhere in this photo: "
        f"{numbers}{more}"
    )


def _pick_channel(ranking: ChannelRanking, channels: list[int], address: str, scope: str) -> int:
    return choices.choose(
        st.selectbox,
        "Channel",
        address,
        channels,
        channels[0],
        scope=scope,
        format_func=lambda channel: f"#{channel} · peak in this photo {ranking.peak[channel]:.3g}",
    )


def _one_channel(
    scene: Scene, layer: LayerInfo, maps: Floats, channel: int, look: Look, position: int
) -> None:
    """One channel with its raw values, its filter, and the network's input."""
    values = maps[..., channel]
    colours = _colours(maps, look)
    of_scale = maps if look.scale == "layer" else values
    figure = heatmap(
        values,
        title=f"Channel {channel} of {layer.path}",
        unit="activation",
        colours=viewer.page_colours(colours),
        limits=shading(finite(of_scale), signed=colours == SIGNED).limits,
        hover="activation",
        narrow=True,
    )
    parts.chart(figure, f"channel:{layer.path}")
    _filter_of(scene, layer, channel, position)
    parts.download_array(
        "This channel (.npy)",
        values,
        parts.file_stem(layer.path, f"channel-{channel}"),
        f"channel npy:{layer.path}",
    )
    picture = photo_figure(scene.view().pixels, title="What the network sees")
    parts.chart(picture, f"seen:{layer.path}")


def _filter_of(scene: Scene, layer: LayerInfo, channel: int, position: int) -> None:
    """The filter that computed a channel: its weights for every input channel."""
    convolution = scene.outline.makers.get(layer.path)
    if convolution is None:
        st.caption(
            "No single filter made this channel: branches meet before it, or no convolution does."
        )
        return
    filters = scene.filters(convolution)
    kernels = filters.kernels if filters.pointwise is None else filters.pointwise
    weights = kernels[..., channel]
    # The one input channel of a depthwise filter is not number 0 of the layer's inputs.
    count = weights.shape[-1]
    names = ["its one input"] if count == 1 else [f"in {index}" for index in range(count)]
    size = f"{weights.shape[0]}×{weights.shape[1]}"
    low, high = colour_limits(finite(weights), centred=True)
    drawn = scenes.grid(
        weights,
        scene=f"{scene.model.name} {convolution} {channel}",
        title=f"Its filter, number {channel} of {convolution}",
        limits=(low, high),
        legend=Legend("weight", SIGNED, low, high, (number_text(low), number_text(high))),
        unit="weight",
        sentences=[
            f"{name}\nthe {size} kernel of this input: {number_text(weights[..., index].min())} to "
            f"{number_text(weights[..., index].max())}"
            for index, name in enumerate(names)
        ],
        names=names,
        opens=False,
    )
    viewer.show(drawn, f"filter of the channel {position}")


def _first_convolution(spatial: list[LayerInfo]) -> str:
    convolutions = [layer.path for layer in spatial if layer.kernel_shape]
    return (convolutions or [spatial[0].path])[0]
