"""The Network page's parts: the map of the network, a layer's facts and maps, and the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.drawing import finite, shading
from cnnviz.networks.channels import rank_channels
from cnnviz.numerals import number as number_text
from cnnviz.results import LayerCall, LayerInfo, Outline
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import choices, parts, shell
from cnnviz.ui.components import diagrams, network_map, scenes, viewer
from cnnviz.ui.components.diagrams import Diagram
from cnnviz.ui.components.scenes import Legend, Region, Tiles
from cnnviz.ui.page_parts import activations, channel_grids, filters
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Maps of a layer that are shown, and how many of them are in a row.
_STRONGEST, _COLUMNS = 8, 4
# Layers before and after one that are named.
_MOST_NEIGHBOURS = 4
# Names in a line of text, although each is a button.
_CONNECTIONS = """
.st-key-connections {gap: 0.25rem 0.75rem}
@media (pointer: fine) {.st-key-connections button {min-height: 24px; padding: 0}}
"""
# In units of the region of the strongest maps.
_WIDTH, _SIDE, _GAP = 400, 76, 8


def facts(scene: Scene) -> None:
    """The size of the network in one line."""
    outline = scene.outline
    count = len([layer for layer in outline.layers if not layer.nested])
    size = parts.shape_text(outline.input_shape)
    st.markdown(
        f"**{count:,}** layers · **{outline.parameters:,}** parameters · input **{size}** · "
        f"**{len(outline.card.labels):,}** classes"
    )


def pick_layer(scene: Scene) -> str:
    """The choice of a layer, or of another operation, by path; at first the first convolution."""
    outline = scene.outline
    calls = diagrams.calls_of(outline)
    kinds = {layer.path: layer.kind for layer in outline.layers}
    kinds |= {call.path: call.kind for call in calls}
    convolutions = [layer.path for layer in outline.layers if layer.kernel_shape]
    default = (convolutions or list(kinds))[0]
    return choices.choose(
        st.selectbox,
        "Layer",
        "layer",
        list(kinds),
        default,
        scope=_scope(scene),
        label_visibility="collapsed",
        format_func=lambda path: f"{path} · {kinds[path]}",
    )


def _scope(scene: Scene) -> str:
    return f"network of {scene.model.name}"


def picture(scene: Scene, selected: str) -> None:
    """The map of the network; a click on a layer, or on a block, chooses it.

    Args:
        scene: model and photo.
        selected: the path of the layer that is outlined.
    """

    def choose(path: str) -> None:
        choices.put("layer", path, _scope(scene))

    diagram = _diagram(scene.model, scene.outline)
    network_map.show(diagram, scene.model.path, selected, "network map", choose)


@st.cache_data(show_spinner=False)
def _diagram(model: ModelFile, _outline: Outline) -> Diagram:
    return diagrams.diagram(_outline)


def card(scene: Scene, path: str) -> None:
    """What there is to say of a layer, and its strongest maps for the photo."""
    calls = diagrams.calls_of(scene.outline)
    layer = diagrams.layers_of_calls(scene.outline).get(path)
    call = {one.path: one for one in calls}.get(path) or _not_called(layer, path)
    inputs, readers = diagrams.neighbours(calls, path)
    st.markdown("  \n".join(map(plain, _told(calls, call, layer, inputs))))
    st.html(f"<style>{_CONNECTIONS}</style>")
    with st.container(horizontal=True, vertical_alignment="center", key="connections"):
        _neighbours(scene, "Reads", inputs)
        _neighbours(scene, "Read by", readers)
    _links(scene, layer)
    _strongest(scene, call, layer)


def _told(
    calls: Sequence[LayerCall], call: LayerCall, layer: LayerInfo | None, inputs: Sequence[str]
) -> list[str]:
    """Class and parameters, the shapes, and the kernel, a line each."""
    shapes = {one.path: one.shape for one in calls}
    known = [diagrams.shape_text(shape) for one in inputs if (shape := shapes.get(one))]
    lines = [call.kind if layer is None else f"{call.kind} · {layer.parameters:,} parameters"]
    if call.shape is not None:
        arrow = f"{' and '.join(known)} → " if known else ""
        lines.append(f"{arrow}{diagrams.shape_text(call.shape)}")
    if layer is not None and layer.kernel_shape:
        lines.append(f"Kernel {diagrams.kernel_text(layer.kernel_shape)}")
    return lines


def _not_called(layer: LayerInfo | None, path: str) -> LayerCall:
    """A layer inside another one that is no model: only that one is called."""
    kind = layer.kind if layer else ""
    return LayerCall(path, kind, (), None, False)


def _neighbours(scene: Scene, label: str, paths: Sequence[str]) -> None:
    if not paths:
        return
    st.markdown(f"**{label}:**", width="content")
    for path in paths[:_MOST_NEIGHBOURS]:
        st.button(
            plain(path),
            type="tertiary",
            key=f"{label} {path}",
            on_click=choices.put,
            args=("layer", path, _scope(scene)),
        )
    if len(paths) > _MOST_NEIGHBOURS:
        st.markdown(f"and {len(paths) - _MOST_NEIGHBOURS} more", width="content")


def _strongest(scene: Scene, call: LayerCall, layer: LayerInfo | None) -> None:
    if call.shape is None or len(call.shape) != 3 or call.nested:
        st.caption("It gives no maps of its own that could be drawn.")
    elif scene.needs_preset:
        st.caption("Its maps are drawn once you have said, above, which values of pixels it takes.")
    else:
        path = layer.path if layer is not None and layer.path == call.path else call.path
        maps = scene.activations(path)
        viewer.show(
            strongest_maps(maps, f"{scene.model.path} {path} {scene.photo.seen_key}"), "maps"
        )


def strongest_maps(maps: Floats, name: str) -> scenes.Scene:
    """The eight maps of a layer (h, w, K) that vary most over the photo.

    Args:
        maps: (h, w, K).
        name: of the scene.
    """
    ranking = rank_channels(maps)
    channels = [int(channel) for channel in ranking.order("deviation")[:_STRONGEST]]
    drawn, cell = scenes.averaged(np.moveaxis(finite(maps[..., channels]), -1, 0))
    signed = bool((drawn < 0).any())
    colours = channel_grids.SIGNED if signed else "teal"
    low, high = shading(drawn, signed=signed).limits
    rows = -(-len(channels) // _COLUMNS)
    side = _SIDE
    height = rows * (side * maps.shape[0] / maps.shape[1] + _GAP) - _GAP
    count = maps.shape[-1]
    title = f"{len(channels)} strongest of {count:,} maps" if count > _STRONGEST else "Its maps"
    tiles = Tiles(
        name=scenes.TILES,
        values=drawn,
        limits=(low, high),
        colours=colours,
        label=title,
        unit="activation",
        sentences=[channel_grids.sentence(ranking, channel) for channel in channels],
        at=(0, 0, _width_of(len(channels), side), height),
        columns=min(_COLUMNS, len(channels)),
        gap=_GAP,
        cell=cell,
        opens=False,
    )
    legend = Legend("activation", colours, low, high, (number_text(low), number_text(high)))
    return scenes.Scene(name, [Region([tiles], size=(_WIDTH, height))], title, legend)


def _width_of(count: int, side: float) -> float:
    columns = min(count, _COLUMNS)
    return columns * (side + _GAP) - _GAP


def _links(scene: Scene, layer: LayerInfo | None) -> None:
    """The links from a layer to its filters and to its activations."""
    beside = st.container(horizontal=True)
    to_filters = beside.button(
        "Its filters",
        icon=":material/grid_on:",
        disabled=layer is None or layer.kernel_shape is None,
    )
    to_activations = beside.button(
        "Its activations",
        icon=":material/blur_on:",
        disabled=layer is None or not layer.spatial or layer.nested,
    )
    if layer is not None and to_filters:
        filters.put_layer(scene, layer.path)
        st.switch_page(shell.page_path("filters"))
    if layer is not None and to_activations:
        activations.put_layer(scene, layer.path)
        st.switch_page(shell.page_path("activations"))


def table(scene: Scene) -> None:
    """All layers with their shapes and connections; a click on a row chooses the layer."""
    rows = _rows(scene.model, scene.outline)
    paths = list(rows["Layer"])
    key = f"table of {scene.model.path}"

    def note() -> None:
        selected = st.session_state[key].selection.rows
        if selected:
            choices.put("layer", paths[selected[0]], _scope(scene))

    st.subheader("All layers", anchor=False)
    st.dataframe(
        rows,
        key=key,
        hide_index=True,
        width="stretch",
        height=min(420, 38 + 35 * len(rows)),
        on_select=note,
        selection_mode="single-row",
        column_config={"Parameters": st.column_config.NumberColumn(format="localized")},
    )
    name = f"{parts.file_stem(scene.model.name)}-layers.csv"
    parts.download("All layers (.csv)", lambda: rows.to_csv(index=False).encode(), name, "layers")


@st.cache_data(show_spinner=False)
def _rows(model: ModelFile, _outline: Outline) -> pd.DataFrame:
    return layer_table(_outline)


def layer_table(outline: Outline) -> pd.DataFrame:
    """The layers of a network, and the operations between them, a row each."""
    calls = {call.path: call for call in diagrams.calls_of(outline)}
    layers = diagrams.layers_of_calls(outline)
    paths = list(dict.fromkeys([*(layer.path for layer in outline.layers), *calls]))
    reads = {path: _read(outline, calls.get(path)) for path in paths}

    def shapes(chosen: Sequence[str]) -> str:
        known = [calls[path].shape for path in chosen if path in calls]
        return ", ".join(diagrams.shape_text(shape) for shape in known if shape)

    return pd.DataFrame(
        {
            "Layer": paths,
            "Kind": [(layers.get(path) or calls[path]).kind for path in paths],
            "Input": [shapes(reads[path]) for path in paths],
            "Output": [_output(layers.get(path), calls.get(path)) for path in paths],
            "Parameters": [layers[path].parameters if path in layers else 0 for path in paths],
            "Kernel": [_kernel_text(layers.get(path)) for path in paths],
            "Reads": [", ".join(reads[path]) for path in paths],
        }
    )


def _read(outline: Outline, call: LayerCall | None) -> Sequence[str]:
    if call is None:
        return ()
    return diagrams.neighbours(outline.calls, call.path)[0] if call.nested else call.inputs


def _output(layer: LayerInfo | None, call: LayerCall | None) -> str:
    if layer is not None:
        return parts.shape_text(layer.output_shape)
    return diagrams.shape_text(call.shape or ()) if call else ""


def _kernel_text(layer: LayerInfo | None) -> str:
    kernel = layer.kernel_shape if layer is not None else None
    return " × ".join(map(str, kernel)) if kernel else ""
