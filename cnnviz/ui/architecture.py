"""The Network page's parts: the picture's stages, the table of layers, and the way on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cnnviz.figures import Stage
from cnnviz.results import LayerInfo, Outline
from cnnviz.ui import choices, parts, shell
from cnnviz.workers import ModelFile

# What changes neither a map's size nor the number of maps is left out of the picture.
_SILENT = {"BatchNormalization", "Activation", "ReLU", "Dropout", "Rescaling", "ZeroPadding2D"}


def input_text(outline: Outline) -> str:
    """The network input as ``h × w × C``."""
    return " × ".join("?" if size is None else str(size) for size in outline.input_shape[1:])


def stages(layers: Sequence[LayerInfo]) -> list[Stage]:
    """The layers that the picture shows."""
    return [
        Stage(layer.path, layer.kind, *_size(layer), layer.parameters)
        for layer in layers
        if not layer.nested and layer.kind not in _SILENT and len(layer.output_shape) in {2, 4}
    ]


def table(layers: Sequence[LayerInfo]) -> list[LayerInfo]:
    """The layers that the table shows: nested models are folded until they are opened."""
    nested = [layer.path for layer in layers if layer.nested]
    opened = st.multiselect("Open nested models", nested, key="opened") if nested else []
    closed = [path + "/" for path in nested if path not in opened]
    return [layer for layer in layers if not layer.path.startswith(tuple(closed))]


def choose_row(layers: Sequence[LayerInfo], clicked: str | None) -> LayerInfo | None:
    """Draws the table; the layer whose row, or whose picture, was clicked last."""
    rows = pd.DataFrame(
        {
            "Layer": [layer.path for layer in layers],
            "Kind": [layer.kind for layer in layers],
            "Output": [parts.shape_text(layer) for layer in layers],
            "Parameters": [layer.parameters for layer in layers],
            "Kernel": [_kernel_text(layer) for layer in layers],
        }
    )
    event = st.dataframe(
        rows,
        key="layers",
        hide_index=True,
        width="stretch",
        height=min(420, 38 + 35 * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        column_config={"Parameters": st.column_config.NumberColumn(format="localized")},
    )
    selected = event.selection.rows
    row = layers[selected[0]].path if selected and selected[0] < len(layers) else None
    last = st.session_state.setdefault("layer clicked", {"row": None, "path": None})
    if row != last["row"]:
        last.update(row=row, path=row)
    if clicked is not None:
        last["path"] = clicked
    found = [layer for layer in layers if layer.path == last["path"]]
    return found[0] if found else None


def links(layer: LayerInfo, model: ModelFile) -> None:
    """The ways from a layer to its filters and to its activations."""
    st.write(f"{layer.kind}, output {parts.shape_text(layer)}, {layer.parameters:,} parameters")
    filters, activations, _ = st.columns([1, 1, 2])
    if filters.button(
        "Its filters",
        icon=":material/grid_on:",
        width="stretch",
        disabled=layer.kernel_shape is None,
    ):
        choices.put("layer", layer.path, scope=f"filters of {model.name}")
        st.switch_page(shell.page_path("filters"))
    if activations.button(
        "Its activations",
        icon=":material/blur_on:",
        width="stretch",
        disabled=not layer.spatial,
    ):
        choices.put("layer", layer.path, scope=f"activations of {model.name}")
        st.switch_page(shell.page_path("activations"))


def _size(layer: LayerInfo) -> tuple[int, int, int]:
    if layer.spatial:
        height, width, channels = (size or 1 for size in layer.output_shape[1:])
        return height, width, channels
    return 1, 1, layer.output_shape[1] or 1


def _kernel_text(layer: LayerInfo) -> str:
    return " × ".join(map(str, layer.kernel_shape)) if layer.kernel_shape else ""
