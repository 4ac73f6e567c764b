"""The Activations page's parts: the choice of layers, a layer's grid, and one channel."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from cnnviz.arrays import centre
from cnnviz.drawing import SIGNED, shading
from cnnviz.figures.grids import channel_grid
from cnnviz.figures.maps import heatmap
from cnnviz.figures.photos import photo_figure
from cnnviz.networks.channels import ChannelRanking, rank_channels
from cnnviz.results import Floats, LayerInfo
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, choices, parts
from cnnviz.ui.scene import Scene

_ORDERS = {"peak": "Peak", "mean": "Mean", "active": "Share of active cells", "number": "Number"}
_SCALES = {"layer": "One for the layer", "channel": "Each channel its own"}
_MOST_LAYERS = 4


def pick_layers(scene: Scene, spatial: list[LayerInfo]) -> list[LayerInfo]:
    """The choice of layers; the card's first suggestion if nobody has chosen."""
    by_path = {layer.path: layer for layer in spatial}
    suggested = [path for path in scene.card.suggested_layers.activations if path in by_path]
    first = suggested[0] if suggested else _first_convolution(spatial)
    paths = choices.choose_many(
        "Layers",
        "layer",
        list(by_path),
        [first],
        scope=f"activations of {scene.model.name}",
        max_selections=_MOST_LAYERS,
        format_func=lambda path: f"{path} · {parts.shape_text(by_path[path])}",
    )
    return [by_path[path] for path in paths or [first]]


def pick_look() -> tuple[str, str, str]:
    """The choices of the order of channels, of the scale and of the colours."""
    order, scale, colours = st.columns(3)
    with order:
        by = choices.choose(
            st.selectbox,
            "Order by",
            "order",
            list(_ORDERS),
            "peak",
            format_func=_ORDERS.__getitem__,
        )
    with scale:
        shared = choices.choose(
            st.selectbox, "Scale", "scale", list(_SCALES), "layer", format_func=_SCALES.__getitem__
        )
    with colours:
        return by, shared, parts.pick_colours()


def draw_grid(
    scene: Scene, layer: LayerInfo, order: str, scale: str, colours: str, *, first: bool
) -> Callable[[], None]:
    """Draws the grid of a layer's channels; what it gives draws one channel beside it."""
    maps = ask.activations(scene.model, scene.photo, layer.path)
    ranking = rank_channels(maps)
    places = _order(ranking, order)
    signed = bool(maps.min() < 0)
    scope = f"channel of {layer.path} in {scene.model.name}"
    # Each layer has its own place in the address.
    address = "channel" if first else f"channel of {layer.path}"
    grid, beside = st.columns([3, 2], gap="large")
    with grid:
        figure = _grid(
            scene.model, scene.photo.key, layer, order, scale, colours, maps[..., places], ranking
        )
        clicked = parts.clicked(figure, f"activations:{layer.path}")
        _name_dead(ranking, maps.shape[-1])

    def draw_channel() -> None:
        # A click may be older than the model that is shown now.
        if clicked is not None and int(clicked) < len(places):
            choices.put(address, str(places[int(clicked)]), scope=scope)
        with beside:
            # A further layer is there to be compared: only its grid is waited for.
            if not first and not choices.is_made(address, scope):
                st.caption("Click on a channel to look closer.")
                return
            channel = _pick_channel(ranking, places, address, scope)
            shown = SIGNED if signed else colours
            _one_channel(scene, layer, maps[..., channel], channel, shown)

    return draw_channel


def _order(ranking: ChannelRanking, order: str) -> list[int]:
    if order == "number":
        return list(range(len(ranking.peak)))
    return [int(channel) for channel in ranking.order(order)]


@st.cache_resource(show_spinner=False, max_entries=32)
def _grid(
    model: ModelFile,
    key: str,
    layer: LayerInfo,
    order: str,
    scale: str,
    colours: str,
    _maps: Floats,
    _ranking: ChannelRanking,
) -> go.Figure:
    """All channels as one picture; values below zero get colours centred on zero.

    Kept by model, photo and look, since it takes longer than the answer of a cached question.
    """
    places = _order(_ranking, order)
    signed = bool(_maps.min() < 0)
    if scale == "channel":
        # By its largest value alone: zero stays zero, and an even channel is not a dead one.
        _maps = centre(_maps, axis=(0, 1))
    look = shading(_maps, signed=signed, colours=colours)
    return channel_grid(
        _maps,
        title=f"{len(places)} channels of {layer.path}, {parts.shape_text(layer)}",
        unit="activation" if scale == "layer" else "scaled activation",
        names=[f"#{channel}" for channel in places],
        hovers=[_hover(_ranking, channel) for channel in places],
        colours=look.colours,
        limits=look.limits,
    )


def _hover(ranking: ChannelRanking, channel: int) -> str:
    return (
        f"Channel {channel}\npeak {ranking.peak[channel]:.4g}, mean {ranking.mean[channel]:.4g}"
        f"\n{ranking.active[channel]:.0%} of the cells are active"
    )


def _name_dead(ranking: ChannelRanking, count: int) -> None:
    if not ranking.dead:
        st.caption(f"All {count} channels answer somewhere in this photo.")
        return
    named = ", ".join(f"#{channel}" for channel in ranking.dead[:12])
    more = ", …" if len(ranking.dead) > 12 else ""
    st.caption(
        f"{len(ranking.dead)} of {count} channels are zero everywhere in this photo: {named}{more}"
    )


def _pick_channel(ranking: ChannelRanking, places: list[int], address: str, scope: str) -> int:
    return choices.choose(
        st.selectbox,
        "Channel",
        address,
        places,
        places[0],
        scope=scope,
        format_func=lambda channel: f"#{channel} · peak {ranking.peak[channel]:.3g}",
    )


def _one_channel(
    scene: Scene, layer: LayerInfo, values: Floats, channel: int, colours: str
) -> None:
    """One channel with its raw values, beside the input and the filter that made it."""
    figure = heatmap(
        values,
        title=f"Channel {channel} of {layer.path}",
        unit="activation",
        colours=colours,
        centred=colours == SIGNED,
        hover="activation",
    )
    parts.chart(figure, f"channel:{layer.path}")
    _filter_of(scene, layer, channel)
    view = ask.view(scene.model, scene.photo.key, scene.photo)
    seen, download = st.columns(2, vertical_alignment="bottom")
    with seen:
        picture = photo_figure(view.pixels, title="What the network sees")
        parts.chart(picture, f"seen:{layer.path}")
    with download:
        parts.download_array(
            "This channel (.npy)",
            values,
            parts.file_stem(layer.path, f"channel-{channel}"),
            f"channel npy:{layer.path}",
        )


def _filter_of(scene: Scene, layer: LayerInfo, channel: int) -> None:
    """The filter that made a channel: its weights for every input channel."""
    maker = scene.outline.makers.get(layer.path)
    if maker is None:
        st.caption(
            "No single filter made this channel: branches meet before it, or no convolution does."
        )
        return
    found = ask.filters(scene.model, maker)
    if found.pointwise is not None:
        weights = found.pointwise[..., channel]
    else:
        weights = found.kernels[..., channel]
    # A depthwise filter looks at one channel, which is not number 0 of the layer's inputs.
    one = weights.shape[-1] == 1
    numbers = ["its one input"] if one else [f"in {n}" for n in range(weights.shape[-1])]
    figure = channel_grid(
        weights,
        title=f"Its filter, {maker}",
        unit="weight",
        names=numbers,
        hovers=[
            f"{name}\nweights {weights[..., number].min():.3g} to {weights[..., number].max():.3g}"
            for number, name in enumerate(numbers)
        ],
        colours=SIGNED,
    )
    parts.chart(figure, f"filter:{layer.path}")


def _first_convolution(spatial: list[LayerInfo]) -> str:
    convolutions = [layer.path for layer in spatial if layer.kernel_shape]
    return (convolutions or [spatial[0].path])[0]
