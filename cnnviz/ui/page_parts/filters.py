"""The Filters page's parts: the choices, the grid of all filters, and how it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.arrays import Floats
from cnnviz.attribution.descriptions import damage
from cnnviz.drawing import Limits, colour_limits, finite
from cnnviz.figures.kernels import folded
from cnnviz.numerals import number as number_text
from cnnviz.results import Filters, LayerInfo, WeightStatistics, weight_statistics
from cnnviz.ui import choices, parts
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The choice of all input channels together: as red, green and blue, or as a cell for each.
TOGETHER = "all"
_SCALINGS = {
    "symmetric": "Around zero",
    "own": "Around zero, each filter its own",
    "layer": "0–1 over the layer",
    "filter": "0–1 in each filter",
    "raw": "Raw weights",
}
_CENTRED = ("symmetric", "own")


def pick_layer(scene: Scene, convolutions: list[LayerInfo]) -> str:
    """The choice of a convolution, by path; by default the one that the card suggests."""
    suggested = scene.outline.card.suggested_layers.filters
    default = suggested if suggested in [layer.path for layer in convolutions] else None
    return parts.pick_layer("Layer", convolutions, default, _scope(scene))


def put_layer(scene: Scene, path: str) -> None:
    """Chooses a convolution for the person, before the choice is drawn."""
    parts.put_layer(path, _scope(scene))


def _scope(scene: Scene, layer: str | None = None) -> str:
    scope = f"filters of {scene.model.name}"
    return scope if layer is None else f"{scope} {layer}"


def places_of_choices() -> list[DeltaGenerator]:
    """The row of the choices: of layer, input channel and filter, and of what is rarely changed."""
    *common, last = st.columns([5, 5, 3, 2], vertical_alignment="bottom")
    return [*common, last.popover("More", width="stretch")]


def input_names(scene: Scene, weights: Filters) -> list[str]:
    """The names of a convolution's input channels; colours if its input is the photo."""
    count = weights.kernels.shape[2]
    if count == 1:
        return ["its one input channel"]
    if colours := _photo_channels(scene, weights):
        return [f"input {number} ({colour})" for number, colour in enumerate(colours)]
    return [f"input {number}" for number in range(count)]


def _photo_channels(scene: Scene, weights: Filters) -> list[str]:
    """The colours of a convolution's three input channels, if these are the photo's."""
    of_photo = next(layer.path for layer in scene.outline.layers if layer.kernel_shape)
    if weights.layer != of_photo or weights.kernels.shape[2] != 3:
        return []
    colours = ["red", "green", "blue"]
    # It takes the photo's channels in the opposite order.
    return colours[::-1] if scene.preprocessing.scaling == "caffe" else colours


def is_in_colour(scene: Scene, weights: Filters, channel: int | None) -> bool:
    """Whether the kernels are drawn as red, green and blue."""
    return channel is None and bool(_photo_channels(scene, weights))


def is_ranked(weights: Filters) -> bool:
    """Whether a filter is one weight for each input channel, without a pattern to look at."""
    height, width, inputs, _ = weights.kernels.shape
    return (height, width) == (1, 1) and inputs > 1


def warn_of_damage(weights: Filters) -> None:
    """A warning if weights are not numbers; their cells stay empty."""
    if text := damage(weights):
        st.warning(plain(text), icon=":material/warning:")


def together(scene: Scene, weights: Filters) -> int | None:
    """What is drawn first: None for all input channels together, or the number of one."""
    return None if _photo_channels(scene, weights) or is_ranked(weights) else 0


def pick_input(scene: Scene, weights: Filters) -> int | None:
    """The choice of the input channel whose weights are drawn; None for all together."""
    names = input_names(scene, weights)
    options: list[str | int] = list(range(len(names)))
    of_all = "all, in colour" if _photo_channels(scene, weights) else "all, one cell each"
    if together(scene, weights) is None:
        options.insert(0, TOGETHER)
    chosen = choices.choose(
        st.selectbox,
        "Input channel",
        "input",
        options,
        options[0],
        scope=_scope(scene, weights.layer),
        disabled=len(options) == 1,
        format_func=lambda option: of_all if option == TOGETHER else names[int(option)],
    )
    return None if chosen == TOGETHER else int(chosen)


def pick_look(*, in_colour: bool) -> tuple[str, str]:
    """The choices of how weights become colours: the scaling, and the scale where one is used."""
    scaling = _pick_scaling()
    if in_colour:
        return scaling, "gray"
    return scaling, parts.pick_colours(diverging=scaling in _CENTRED)


def _pick_scaling() -> str:
    return choices.choose(
        st.selectbox,
        "Scale",
        "scale",
        list(_SCALINGS),
        "symmetric",
        scope="filters",
        format_func=_SCALINGS.__getitem__,
    )


def grid(
    scene: Scene,
    weights: Filters,
    channel: int | None,
    scaling: str,
    colours: str,
    *,
    key: str,
    opens: bool = True,
) -> int | None:
    """Draws the kernels (kh, kw) of all filters of a layer for one input, or for all together.

    Args:
        scene: model and photo.
        weights: of the layer.
        channel: the input channel; None for all of them, as ``together`` says where there is that.
        scaling: a key of the scalings.
        colours: the scale.
        key: of the viewer.
        opens: whether filters can be clicked; else their numbers only appear under the mouse.

    Returns:
        The number of the filter that was clicked.
    """
    count = weights.kernels.shape[-1]
    limits, legend = look(weights.kernels, scaling, colours)
    drawn = scenes.grid(
        tiles(scene, weights, channel),
        scene=_scene_name(scene, weights),
        title=f"{count} filters of {weights.layer}{_of_inputs(scene, weights, channel)}",
        heading=f"{count} filters",
        limits=limits,
        legend=replace(legend, rgb=is_in_colour(scene, weights, channel)),
        unit="weight",
        sentences=_sentences(scene, weights, channel),
        names=[f"#{number}" for number in range(count)] if opens else [],
        opens=opens,
    )
    return viewer.opened(viewer.show(drawn, key), count)


def overview(scene: Scene, weights: Filters, *, key: str) -> None:
    """Draws all filters of a layer without choices, as ``grid`` does."""
    channel = together(scene, weights)
    colours = "gray" if is_in_colour(scene, weights, channel) else "blue-orange"
    grid(scene, weights, channel, "symmetric", colours, key=key, opens=False)


def tiles(scene: Scene, weights: Filters, channel: int | None) -> Floats:
    """What a grid draws: (h, w, C_out), or (h, w, 3, C_out) in colour."""
    if channel is not None:
        return weights.kernels[:, :, channel, :]
    if colours := _photo_channels(scene, weights):
        return weights.kernels[:, :, [colours.index(one) for one in ("red", "green", "blue")], :]
    return folded(weights.kernels[0, 0])


def _of_inputs(scene: Scene, weights: Filters, channel: int | None) -> str:
    if channel is None:
        return ", in colour" if is_in_colour(scene, weights, channel) else ", all inputs"
    if weights.kernels.shape[2] == 1:
        return ""
    return f", {input_names(scene, weights)[channel]}"


def explain(scene: Scene, weights: Filters, channel: int | None, scaling: str) -> None:
    """How a tile is to be read."""
    if is_in_colour(scene, weights, channel):
        zero = "Grey is zero: a" if scaling in _CENTRED else "A"
        st.caption(
            f"{zero} cell is the redder, greener or bluer, the larger its weight for that colour "
            "is."
        )
    elif channel is None:
        st.caption(
            f"A filter of this layer is one weight for each of its {weights.kernels.shape[2]:,} "
            "input maps, and looks at one place at a time: each cell of a tile is one of them."
        )


def outline(scene: Scene, weights: Filters, number: int, key: str) -> None:
    """Outlines a filter in its grid."""
    viewer.select(key, _scene_name(scene, weights), number)


def _scene_name(scene: Scene, weights: Filters) -> str:
    return f"{scene.model.name} {weights.layer}"


def look(kernels: Floats, scaling: str, colours: str) -> tuple[Limits | Floats, Legend]:
    """The limits of the colours for all filters together, or (C_out, 2) of each; the legend.

    Args:
        kernels: (kh, kw, C_in, C_out).
        scaling: a key of the scalings.
        colours: the scale.
    """
    values = finite(kernels)
    centred = scaling in _CENTRED
    if scaling in {"own", "filter"}:
        filters = np.moveaxis(values, -1, 0)
        each = [colour_limits(one, centred=centred) for one in filters]
        # Zero is somewhere else in each filter, if it is not in the middle.
        low, ticks = (-1.0, ("−largest", "largest of each")) if centred else (0.0, ("0", "1"))
        unit = "weight" if centred else "scaled weight"
        return np.array(each, np.float32), Legend(unit, colours, low, 1.0, ticks)
    low, high = colour_limits(values, centred=centred)
    if scaling == "layer":
        return (low, high), Legend("scaled weight", colours, low, high, ("0", "1"))
    ticks = number_text(low), number_text(high)
    return (low, high), Legend("weight", colours, low, high, ticks)


def pick_filter(scene: Scene, weights: Filters, clicked: int | None) -> int:
    """The filter to show on its own: the one that was clicked or chosen last."""
    scope = _scope(scene, weights.layer)
    if clicked is not None:
        choices.put("filter", str(clicked), scope=scope)
    count = weights.kernels.shape[-1]
    return choices.choose(
        st.selectbox,
        "Filter",
        "filter",
        range(count),
        0,
        scope=scope,
        format_func=lambda number: f"#{number}",
    )


def _sentences(scene: Scene, weights: Filters, channel: int | None) -> list[str]:
    """For each filter its number, the numbers of one kernel, and those of the whole filter."""
    by_scope = scopes(scene, weights, channel)

    def told(scope: str, number: int) -> str:
        one = by_scope[scope]
        values = (one.minimum[number], one.maximum[number], one.norm[number])
        low, high, norm = map(number_text, values)
        return f"{scope}: {low} to {high}, norm {norm}, rank {rank(one.norm, number)}"

    return [
        "\n".join([f"Filter {number}", *(told(scope, number) for scope in by_scope)])
        for number in range(weights.kernels.shape[-1])
    ]


def scopes(scene: Scene, weights: Filters, channel: int | None) -> dict[str, WeightStatistics]:
    """Statistics of each filter (C_out,), by the name of what they are over.

    Args:
        scene: model and photo.
        weights: of the layer.
        channel: the input channel whose kernels are drawn; None for all together.
    """
    height, width, inputs, _ = weights.kernels.shape
    if inputs == 1:
        return {f"its {height}×{width} kernel": weights.per_filter}
    whole = {f"whole filter, all {inputs:,} inputs": weights.per_filter}
    if channel is None:
        return whole
    kernels = weight_statistics(weights.kernels[:, :, channel, :], axis=(0, 1))
    name = input_names(scene, weights)[channel]
    return {f"this {height}×{width} kernel, {name}": kernels} | whole


def rank(norms: Floats, number: int) -> str:
    """The rank of one norm among others, the largest first."""
    if not np.isfinite(norms[number]):
        return "none"
    return f"{int((norms > norms[number]).sum()) + 1:,} of {len(norms):,}"
