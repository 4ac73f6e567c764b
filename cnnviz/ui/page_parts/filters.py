"""The Filters page's parts: the choices, the grid of all filters, one filter, and downloads."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution.descriptions import damage
from cnnviz.drawing import Limits, colour_limits, finite
from cnnviz.exports import filters_csv
from cnnviz.figures.maps import heatmap
from cnnviz.results import Filters, LayerInfo, WeightStatistics, weight_statistics
from cnnviz.ui import choices, parts
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import number as number_text
from cnnviz.ui.text import plain

# The scale of weights on both sides of zero.
_SIGNED = "blue-orange"
_SCALINGS = {
    "symmetric": "Around zero",
    "layer": "0–1 over the layer",
    "filter": "0–1 in each filter",
    "raw": "Raw weights",
}


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


def _input_names(scene: Scene, weights: Filters) -> list[str]:
    """The names of a convolution's input channels; colours if its input is the photo."""
    count = weights.kernels.shape[2]
    if count == 1:
        return ["its one input channel"]
    of_photo = next(layer.path for layer in scene.outline.layers if layer.kernel_shape)
    if weights.layer == of_photo and count == 3:
        colours = ["red", "green", "blue"]
        if scene.outline.card.preprocessing.scaling == "caffe":
            colours.reverse()
        return [f"input {number} ({colour})" for number, colour in enumerate(colours)]
    return [f"input {number}" for number in range(count)]


def warn_of_damage(weights: Filters) -> None:
    """A warning if weights are not numbers; their cells stay empty."""
    if text := damage(weights):
        st.warning(plain(text), icon=":material/warning:")


def pick_input(scene: Scene, weights: Filters) -> int:
    """The choice of the input channel whose weights are drawn."""
    names = _input_names(scene, weights)
    return choices.choose(
        st.selectbox,
        "Input channel",
        "input",
        range(len(names)),
        0,
        scope=_scope(scene, weights.layer),
        disabled=len(names) == 1,
        format_func=names.__getitem__,
    )


def pick_scaling() -> str:
    """The choice of how weights become colours."""
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
    channel: int,
    scaling: str,
    colours: str,
    *,
    key: str,
    opens: bool = True,
) -> int | None:
    """Draws the kernels (kh, kw) of all filters of a layer for one input.

    Args:
        scene: model and photo.
        weights: of the layer.
        channel: the input channel.
        scaling: a key of the scalings.
        colours: the scale.
        key: of the viewer.
        opens: whether filters can be clicked; else their numbers only appear under the mouse.

    Returns:
        The number of the filter that was clicked.
    """
    raw = weights.kernels[:, :, channel, :]
    name = _input_names(scene, weights)[channel]
    suffix = f", {name}" if weights.kernels.shape[2] > 1 else ""
    numbers = range(raw.shape[-1])
    limits, legend = look(weights.kernels, scaling, colours)
    drawn = scenes.grid(
        raw,
        scene=_scene_name(scene, weights),
        title=f"{raw.shape[-1]} filters of {weights.layer}{suffix}",
        limits=limits,
        legend=legend,
        unit="weight",
        sentences=_sentences(weights, channel, name),
        names=[f"#{number}" for number in numbers] if opens else [],
        opens=opens,
    )
    return viewer.opened(viewer.show(drawn, key), len(numbers))


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
    low, high = colour_limits(values, centred=scaling == "symmetric")
    scaled = scaling in {"layer", "filter"}
    legend = Legend(
        "scaled weight" if scaled else "weight",
        colours,
        # Zero is somewhere else in each filter.
        0.0 if scaling == "filter" else low,
        1.0 if scaling == "filter" else high,
        ("0", "1") if scaled else (number_text(low), number_text(high)),
    )
    if scaling != "filter":
        return (low, high), legend
    each = [colour_limits(values[..., number], centred=False) for number in range(values.shape[-1])]
    return np.array(each, np.float32), legend


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


def one_filter(scene: Scene, weights: Filters, number: int, channel: int) -> None:
    """One kernel, with its numbers beside those of its whole filter."""
    name = _input_names(scene, weights)[channel]
    kernel = weights.kernels[:, :, channel, number]
    figure = heatmap(
        kernel,
        title=f"Filter {number}, {name}",
        unit="weight (scale of the whole layer)",
        colours=viewer.page_colours(_SIGNED),
        centred=True,
        limits=colour_limits(finite(weights.kernels), centred=True),
        hover="weight",
        narrow=True,
    )
    parts.chart(figure, "one filter")
    st.markdown(_table(weights, number, channel, name))
    if weights.kernels.shape[2] > 1:
        st.caption(
            "Ranks count from the largest norm: a kernel among those of all filters for the same "
            "input, a filter among all filters of the layer."
        )


def _sentences(weights: Filters, channel: int, name: str) -> list[str]:
    """For each filter its number, the numbers of one kernel, and those of the whole filter."""
    scopes = _scopes(weights, channel, name)

    def told(scope: str, number: int) -> str:
        one = scopes[scope]
        values = (one.minimum[number], one.maximum[number], one.norm[number])
        low, high, norm = map(number_text, values)
        return f"{scope}: {low} to {high}, norm {norm}, rank {_rank(one.norm, number)}"

    return [
        "\n".join([f"Filter {number}", *(told(scope, number) for scope in scopes)])
        for number in range(weights.kernels.shape[-1])
    ]


def _table(weights: Filters, number: int, channel: int, name: str) -> str:
    """The numbers of a kernel and of its filter as a table in Markdown, each with its scope."""
    scopes = _scopes(weights, channel, name)
    rows = {
        "Smallest": [f"{one.minimum[number]:.4g}" for one in scopes.values()],
        "Largest": [f"{one.maximum[number]:.4g}" for one in scopes.values()],
        "Mean": [f"{one.mean[number]:.4g}" for one in scopes.values()],
        "Norm": [f"{one.norm[number]:.4g}" for one in scopes.values()],
        "Rank by norm": [_rank(one.norm, number) for one in scopes.values()],
        "Zero": [f"{one.sparsity[number]:.1%}" for one in scopes.values()],
        "Bias": [""] * (len(scopes) - 1) + [_bias(weights, number)],
    }
    lines = [["Weights", *map(plain, scopes)], [":--"] + ["--:"] * len(scopes)]
    lines += [[label, *values] for label, values in rows.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _scopes(weights: Filters, channel: int, name: str) -> dict[str, WeightStatistics]:
    """Statistics of each filter (C_out,), by the name of what they are over.

    Args:
        weights: of the layer.
        channel: the input channel whose kernels are drawn.
        name: of the input channel.
    """
    height, width, inputs, _ = weights.kernels.shape
    if inputs == 1:
        return {f"its {height}×{width} kernel": weights.per_filter}
    kernels = weight_statistics(weights.kernels[:, :, channel, :], axis=(0, 1))
    return {
        f"this {height}×{width} kernel, {name}": kernels,
        f"whole filter, all {inputs:,} inputs": weights.per_filter,
    }


def _rank(norms: Floats, number: int) -> str:
    """The rank of one norm among others, the largest first."""
    if not np.isfinite(norms[number]):
        return "none"
    return f"{int((norms > norms[number]).sum()) + 1:,} of {len(norms):,}"


def _bias(weights: Filters, number: int) -> str:
    if weights.biases is None:
        return "none"
    if weights.pointwise is not None:
        return "none: the biases belong to the pointwise filters"
    return f"{weights.biases[number]:.4g}"


def downloads(weights: Filters) -> None:
    """The raw weights as files."""
    stem = parts.file_stem(weights.layer)
    statistics = weights.per_layer
    st.caption(
        f"All {weights.kernels.size:,} weights of the layer’s kernels: {statistics.minimum:.3g} to "
        f"{statistics.maximum:.3g}, mean {statistics.mean:.3g}, norm {statistics.norm:.3g}, "
        f"{statistics.sparsity:.1%} zero."
    )
    kernels, table, biases, _ = st.columns([1, 1, 1, 2])
    with kernels:
        parts.download_array("Kernels (.npy)", weights.kernels, f"{stem}-kernels", "kernels npy")
    with table:
        parts.download(
            "Filters (.csv)", lambda: filters_csv(weights), f"{stem}-filters.csv", "filters csv"
        )
    if weights.biases is not None:
        with biases:
            parts.download_array("Biases (.npy)", weights.biases, f"{stem}-biases", "biases npy")
