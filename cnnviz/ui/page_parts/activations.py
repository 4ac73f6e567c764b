"""The Activations page's parts: the choices, and which channel of which layer is opened."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.results import LayerInfo
from cnnviz.ui import choices, parts
from cnnviz.ui.components import viewer
from cnnviz.ui.page_parts.channel_grids import MOST_CHANNELS, Look, ShownLayer
from cnnviz.ui.scene import Scene

_ORDERS = {
    "deviation": "Strongest: differs most over the photo",
    "peak": "Peak",
    "mean": "Mean",
    "active": "Share of active cells",
    "number": "Number",
}
_SCALES = {"layer": "One for the layer", "channel": "Each channel its own"}
_MOST_LAYERS = 4
# The choice to see those of each layer.
_SIDE_BY_SIDE = "strongest"


def places_of_choices() -> list[DeltaGenerator]:
    """The row of the choices: of layers, which channels, one channel, and what rarely changes."""
    *common, last = st.columns([6, 4, 3, 2], vertical_alignment="bottom")
    return [*common, last.popover("More", width="stretch")]


def pick_layers(scene: Scene, spatial: list[LayerInfo]) -> list[LayerInfo]:
    """The choice of layers; by default a few over the depth of the network."""
    by_path = {layer.path: layer for layer in spatial}
    suggested = [
        path for path in scene.outline.card.suggested_layers.activations if path in by_path
    ]
    default = spread(suggested or _finished_convolutions(scene, spatial) or list(by_path))
    paths = choices.choose_many(
        "Layers",
        "layer",
        list(by_path),
        default,
        scope=_scope(scene),
        max_selections=_MOST_LAYERS,
        format_func=lambda path: f"{path} · {parts.shape_text(by_path[path].output_shape)}",
    )
    return [by_path[path] for path in paths or default]


def spread(paths: Sequence[str]) -> list[str]:
    """At most four of some layers, evenly over their order, with the first and the last."""
    count = min(_MOST_LAYERS, len(paths))
    step = (len(paths) - 1) / max(1, count - 1)
    return [paths[round(number * step)] for number in range(count)]


def _finished_convolutions(scene: Scene, spatial: Sequence[LayerInfo]) -> list[str]:
    """For each convolution the last layer with its channels, such as its activation."""
    makers = scene.outline.makers
    last: dict[str, LayerInfo] = {}
    for layer in spatial:
        maker = layer.path if layer.kernel_shape else makers.get(layer.path)
        if maker is not None and (
            maker not in last or last[maker].output_shape == layer.output_shape
        ):
            last[maker] = layer
    return [layer.path for layer in last.values()]


def put_layer(scene: Scene, path: str) -> None:
    """Chooses one layer for the person, before the choice is drawn."""
    choices.put("layer", path, _scope(scene))


def _scope(scene: Scene, layers: Sequence[LayerInfo] = ()) -> str:
    return " ".join([f"activations of {scene.model.name}", *(layer.path for layer in layers)])


def pick_whole(scene: Scene, layers: Sequence[LayerInfo]) -> LayerInfo | None:
    """The choice of one layer all of whose channels are drawn; None for a few of each layer."""
    by_path = {layer.path: layer for layer in layers}

    def text(path: str) -> str:
        if path == _SIDE_BY_SIDE:
            return f"{MOST_CHANNELS} of each layer"
        count = by_path[path].output_shape[-1]
        return f"all {count:,} of {path}" if count else f"all of {path}"

    chosen = choices.choose(
        st.selectbox,
        "Channels shown",
        "all",
        [_SIDE_BY_SIDE, *by_path],
        _SIDE_BY_SIDE if len(layers) > 1 else layers[0].path,
        scope=_scope(scene, layers),
        format_func=text,
    )
    return by_path.get(chosen)


def pick_look() -> Look:
    """The choices of the order of channels, of the scale and of the colours."""
    order = choices.choose(
        st.selectbox,
        "Order by",
        "order",
        list(_ORDERS),
        "deviation",
        format_func=_ORDERS.__getitem__,
    )
    scale = choices.choose(
        st.selectbox, "Scale", "scale", list(_SCALES), "layer", format_func=_SCALES.__getitem__
    )
    return Look(order, scale, parts.pick_colours())


def pick_opened(scene: Scene, shown: Sequence[ShownLayer], whole: LayerInfo | None) -> ShownLayer:
    """The layer of which one channel is drawn large: that of the channel that was clicked last."""
    scope = _scope(scene, [one.layer for one in shown])
    for one in shown:
        if one.clicked is not None:
            _open(scene, one, str(one.clicked), scope)
    # Links of earlier versions name a channel of each layer.
    for one in shown:
        former = f"channel of {one.layer.path}"
        if choices.link_names(former):
            _open(scene, one, st.query_params[former], scope)
            choices.forget_address(former)
    by_path = {one.layer.path: one for one in shown}
    if whole is not None:
        return by_path[whole.path]
    chosen = choices.choose(
        lambda _, __, key: st.session_state[key],
        "Layer",
        "of",
        list(by_path),
        shown[0].layer.path,
        scope=scope,
    )
    return by_path[chosen]


def _open(scene: Scene, one: ShownLayer, channel: str, scope: str) -> None:
    choices.put("of", one.layer.path, scope)
    choices.put("channel", channel, _channel_scope(scene, one.layer))


def _channel_scope(scene: Scene, layer: LayerInfo) -> str:
    return f"channel of {layer.path} in {scene.model.name}"


def pick_channel(scene: Scene, opened: ShownLayer) -> int:
    """The choice of the channel that is drawn large."""
    return choices.choose(
        st.selectbox,
        "Channel",
        "channel",
        opened.channels,
        opened.channels[0],
        scope=_channel_scope(scene, opened.layer),
        format_func=lambda channel: f"#{channel}",
    )


def outline(shown: Sequence[ShownLayer], opened: ShownLayer, channel: int) -> None:
    """Outlines the tile of the chosen channel, and none in the grids of other layers."""
    for one in shown:
        drawn = one.channels[: one.drawn]
        chosen = one is opened and channel in drawn
        viewer.select(one.key, one.scene, drawn.index(channel) if chosen else -1)


def name_dead(opened: ShownLayer) -> None:
    """Says which channels of the layer are zero everywhere."""
    dead, count = opened.ranking.dead, len(opened.channels)
    if not dead:
        st.caption(f"All {count} channels are active somewhere in this photo.")
        return
    numbers = ", ".join(f"#{channel}" for channel in dead[:12])
    more = ", …" if len(dead) > 12 else ""
    st.caption(
        f"{len(dead)} of {count} channels are zero everywhere in this photo: {numbers}{more}"
    )
