"""The Activations page's one channel: its values beside the photo, and the filter behind it."""

from __future__ import annotations

import streamlit as st

from cnnviz.drawing import colour_limits, finite, shading
from cnnviz.figures.kernels import weight_strip
from cnnviz.figures.maps import channel_beside_photo
from cnnviz.numerals import number as number_text
from cnnviz.results import LayerInfo
from cnnviz.ui import parts
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.page_parts.channel_grids import SIGNED, Look, ShownLayer, sentence
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain


def draw(scene: Scene, shown: ShownLayer, channel: int, look: Look) -> None:
    """One channel with its raw values, beside the part of the photo that the network saw.

    Args:
        scene: model and photo.
        shown: the layer.
        channel: the channel.
        look: how it is drawn.
    """
    layer, legend = shown.layer, shown.legend
    values = shown.maps[..., channel]
    limits = legend.low, legend.high
    if look.scale == "channel":
        limits = shading(finite(values), signed=legend.colours == SIGNED).limits
    figure = channel_beside_photo(
        values,
        scene.view().pixels,
        title=f"Channel {channel} of {layer.path}",
        unit="activation",
        colours=viewer.page_colours(legend.colours),
        limits=limits,
    )
    parts.chart(figure, f"channel:{layer.path}")
    st.caption(plain(sentence(shown.ranking, channel).replace("\n", " ") + "."))
    parts.download_array(
        "This channel (.npy)",
        values,
        parts.file_stem(layer.path, f"channel-{channel}"),
        f"channel npy:{layer.path}",
    )


def filter_of(scene: Scene, layer: LayerInfo, channel: int) -> None:
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
    title = f"Its filter, number {channel} of {convolution}"
    if weights.shape[:2] == (1, 1) and count > 1:
        figure = weight_strip(
            weights[0, 0],
            title=f"{title}: a weight for each of {count:,} inputs",
            unit="weight",
            colours=viewer.page_colours(SIGNED),
            limits=(low, high),
        )
        parts.chart(figure, "filter of the channel")
        return
    drawn = scenes.grid(
        weights,
        scene=f"{scene.model.name} {convolution} {channel}",
        title=title,
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
    viewer.show(drawn, "filter of the channel")
