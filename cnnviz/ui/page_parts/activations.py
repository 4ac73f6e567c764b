"""The Activations page's parts: the choice of layers, a layer's grid, and one channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st

from cnnviz.arrays import Floats, centre
from cnnviz.cards import ModelCard
from cnnviz.drawing import SIGNED, activation_shading
from cnnviz.figures.grids import channel_grid
from cnnviz.figures.maps import heatmap
from cnnviz.figures.photos import photo_figure
from cnnviz.networks.channels import ChannelRanking, rank_channels
from cnnviz.results import LayerInfo, percent
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene

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


def draw_grid(scene: Scene, layer: LayerInfo, look: Look, *, main: bool) -> Callable[[], None]:
    """Draws the grid of a layer's channels.

    Args:
        scene: model and photo.
        layer: the layer.
        look: how its channels are drawn.
        main: whether it is the first of the layers, which always shows one channel.

    Returns:
        What draws one channel beside the grid.
    """
    maps = scene.activations(layer.path)
    ranking = rank_channels(maps)
    channels = _order(ranking, look.order)
    scope = f"channel of {layer.path} in {scene.model.name}"
    # The channel of each layer has a name of its own in the address.
    address = "channel" if main else f"channel of {layer.path}"
    grid, beside = st.columns([3, 2], gap="large")
    with grid:
        figure = _grid(
            scene.model,
            scene.card,
            scene.photo.key,
            layer,
            look,
            maps[..., channels],
            ranking,
        )
        clicked = parts.clicked(figure, f"activations:{layer.path}")
        _name_dead(ranking, maps.shape[-1])

    def draw_channel() -> None:
        # A click may be older than the model that is shown now.
        if clicked is not None and int(clicked) < len(channels):
            choices.put(address, str(channels[int(clicked)]), scope=scope)
        with beside:
            # A further layer is there for comparison: it shows its grid alone at first.
            if not main and not choices.is_made(address, scope):
                st.caption("Click on a channel to look closer.")
                return
            channel = _pick_channel(ranking, channels, address, scope)
            colours = activation_shading(maps, look.colours).colours
            _one_channel(scene, layer, maps[..., channel], channel, colours)

    return draw_channel


def _order(ranking: ChannelRanking, order: str) -> list[int]:
    if order == "number":
        return list(range(len(ranking.peak)))
    return [int(channel) for channel in ranking.order(order)]


@st.cache_resource(show_spinner=False, max_entries=32)
def _grid(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    layer: LayerInfo,
    look: Look,
    _maps: Floats,
    _ranking: ChannelRanking,
) -> go.Figure:
    """All channels as one picture; if there are values below zero, colours centred on zero.

    Cached by model, card, photo and look: drawing takes longer than reading cached activations.
    """
    channels = _order(_ranking, look.order)
    if look.scale == "channel":
        # Divided by the largest value alone: zero stays zero, and a constant channel is not dead.
        _maps = centre(_maps, axis=(0, 1))
    drawn = activation_shading(_maps, look.colours)
    return channel_grid(
        _maps,
        title=f"{len(channels)} channels of {layer.path}, {parts.shape_text(layer.output_shape)}",
        unit="activation" if look.scale == "layer" else "scaled activation",
        names=[f"#{channel}" for channel in channels],
        hovers=[hover(_ranking, channel, _maps.shape) for channel in channels],
        colours=drawn.colours,
        limits=drawn.limits,
    )


def hover(ranking: ChannelRanking, channel: int, shape: tuple[int, ...]) -> str:
    """The numbers of a channel of maps (h, w, K), for this photo."""
    height, width, _ = shape
    return (
        f"Channel {channel}\nits {height} × {width} cells in this photo: "
        f"peak {ranking.peak[channel]:.4g}, mean {ranking.mean[channel]:.4g}, "
        f"{percent(float(ranking.active[channel]))} of them active"
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
    scene: Scene, layer: LayerInfo, values: Floats, channel: int, colours: str
) -> None:
    """One channel with its raw values, its filter, and the network's input."""
    figure = heatmap(
        values,
        title=f"Channel {channel} of {layer.path}",
        unit="activation",
        colours=colours,
        centred=colours == SIGNED,
        hover="activation",
        narrow=True,
    )
    parts.chart(figure, f"channel:{layer.path}")
    _filter_of(scene, layer, channel)
    parts.download_array(
        "This channel (.npy)",
        values,
        parts.file_stem(layer.path, f"channel-{channel}"),
        f"channel npy:{layer.path}",
    )
    picture = photo_figure(scene.view().pixels, title="What the network sees")
    parts.chart(picture, f"seen:{layer.path}")


def _filter_of(scene: Scene, layer: LayerInfo, channel: int) -> None:
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
    figure = channel_grid(
        weights,
        title=f"Its filter, number {channel} of {convolution}",
        unit="weight",
        names=names,
        hovers=[
            f"{name}\nthe {size} kernel of this input: {weights[..., index].min():.3g} to "
            f"{weights[..., index].max():.3g}"
            for index, name in enumerate(names)
        ],
        colours=SIGNED,
        narrow=True,
    )
    parts.chart(figure, f"filter:{layer.path}")


def _first_convolution(spatial: list[LayerInfo]) -> str:
    convolutions = [layer.path for layer in spatial if layer.kernel_shape]
    return (convolutions or [spatial[0].path])[0]
