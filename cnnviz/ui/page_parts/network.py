"""The Network page's parts: facts, the picture, the table of layers, and links to other pages."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cnnviz.figures.stages import Stage, architecture
from cnnviz.results import LayerInfo
from cnnviz.ui import choices, parts, shell
from cnnviz.ui.page_parts import activations, filters
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Layers that change neither the size nor the number of maps are left out of the picture.
_OMITTED = {"BatchNormalization", "Activation", "ReLU", "Dropout", "Rescaling", "ZeroPadding2D"}


def facts(scene: Scene) -> None:
    """The size of the network in four numbers."""
    outline = scene.outline
    layers, parameters, size, classes = st.columns(4)
    layers.metric("Layers", len([layer for layer in outline.layers if not layer.nested]))
    parameters.metric("Parameters", f"{outline.parameters:,}")
    size.metric("Input", parts.shape_text(outline.input_shape))
    classes.metric("Classes", f"{len(scene.outline.card.labels):,}")


def picture(layers: Sequence[LayerInfo]) -> go.Figure:
    """The layers as boxes, as large as their maps."""
    return architecture(
        [
            Stage(layer.path, layer.kind, *_size(layer), layer.parameters)
            for layer in layers
            if layer.kind not in _OMITTED
            and len(layer.output_shape) in {2, 4}
            and not _unfolded(layer, layers)
        ]
    )


def _unfolded(layer: LayerInfo, layers: Sequence[LayerInfo]) -> bool:
    return layer.nested and any(other.path.startswith(layer.path + "/") for other in layers)


def pick_opened(scene: Scene) -> list[LayerInfo]:
    """The choice of nested models to open, and the layers to show: others stay folded."""
    layers = scene.outline.layers
    nested = [layer.path for layer in layers if layer.nested]
    opened = []
    if nested:
        opened = choices.choose_many(
            "Open nested models",
            "open",
            nested,
            [],
            scope=scene.model.name,
            placeholder="All folded",
        )
    closed = tuple(path + "/" for path in nested if path not in opened)
    return [layer for layer in layers if not layer.path.startswith(closed)]


def pick_layer(scene: Scene, shown: Sequence[LayerInfo], clicked: str | None) -> LayerInfo | None:
    """Draws the table; the layer whose row, or whose box in the picture, was clicked last."""
    scope = f"network of {scene.model.name}"
    if clicked is not None:
        choices.put("layer", clicked, scope)
    by_path = {layer.path: layer for layer in scene.outline.layers}
    chosen = choices.choose(
        lambda _, paths, key: _table(shown, key), "Layer", "layer", ["", *by_path], "", scope=scope
    )
    return by_path.get(chosen)


def links(scene: Scene, layer: LayerInfo) -> None:
    """The links from a layer to its filters and to its activations, or into a nested model."""
    st.subheader(plain(layer.path), anchor=False)
    shape = parts.shape_text(layer.output_shape)
    st.write(f"{layer.kind}, output {shape}, {layer.parameters:,} parameters")
    left, middle, _ = st.columns([1, 1, 2])
    if layer.nested:
        left.button(
            "Open it",
            icon=":material/unfold_more:",
            width="stretch",
            on_click=_open,
            args=(scene, layer.path),
        )
        return
    if left.button(
        "Its filters",
        icon=":material/grid_on:",
        width="stretch",
        disabled=layer.kernel_shape is None,
    ):
        filters.put_layer(scene, layer.path)
        st.switch_page(shell.page_path("filters"))
    if middle.button(
        "Its activations", icon=":material/blur_on:", width="stretch", disabled=not layer.spatial
    ):
        activations.put_layer(scene, layer.path)
        st.switch_page(shell.page_path("activations"))


def _open(scene: Scene, path: str) -> None:
    """Opens a nested model, and the models that it is in."""
    around = [
        layer.path for layer in scene.outline.layers if f"{path}/".startswith(f"{layer.path}/")
    ]
    opened = choices.kept("open", scene.model.name)
    choices.put("open", list(dict.fromkeys([*opened, *around])), scene.model.name)


def _table(shown: Sequence[LayerInfo], key: str) -> str:
    rows = pd.DataFrame(
        {
            "Layer": [layer.path for layer in shown],
            "Kind": [layer.kind for layer in shown],
            "Output": [parts.shape_text(layer.output_shape) for layer in shown],
            "Parameters": [layer.parameters for layer in shown],
            "Kernel": [_kernel_text(layer) for layer in shown],
        }
    )
    # Another set of rows is another table, so that a selection never moves to another layer.
    table = f"table:{key}:{len(shown)}"

    def note() -> None:
        selected = st.session_state[table].selection.rows
        st.session_state[key] = shown[selected[0]].path if selected else ""

    st.dataframe(
        rows,
        key=table,
        hide_index=True,
        width="stretch",
        height=min(420, 38 + 35 * len(rows)),
        on_select=note,
        selection_mode="single-row",
        column_config={"Parameters": st.column_config.NumberColumn(format="localized")},
    )
    return str(st.session_state[key])


def _size(layer: LayerInfo) -> tuple[int, int, int]:
    if layer.spatial:
        height, width, channels = (size or 1 for size in layer.output_shape[1:])
        return height, width, channels
    return 1, 1, layer.output_shape[1] or 1


def _kernel_text(layer: LayerInfo) -> str:
    return " × ".join(map(str, layer.kernel_shape)) if layer.kernel_shape else ""
