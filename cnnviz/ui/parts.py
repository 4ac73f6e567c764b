"""Parts that several pages share: charts, choices, downloads, and what is known of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution import descriptions
from cnnviz.attribution.descriptions import title
from cnnviz.cards import ModelCard, Training
from cnnviz.colours import DIVERGING, SEQUENTIAL
from cnnviz.exports import npy
from cnnviz.figures.frame import CHART_CONFIG, css_height, css_pictures, keeps_cells_square
from cnnviz.figures.photos import map_overlay
from cnnviz.results import ClassActivationMap, LayerInfo
from cnnviz.ui import choices
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The largest confusion matrix that is shown.
_MOST_CLASSES = 20
# The name of the choice of a layer in the address.
_LAYER = "layer"


def chart(figure: go.Figure, key: str, *, around: int | None = None) -> None:
    """Draws a figure as wide as its container, at the height that its proportions then need.

    Args:
        figure: the figure.
        key: its name on the page.
        around: as in ``css_height``.
    """
    name = _css_name(key)
    if keeps_cells_square(figure):
        # Streamlit draws a figure anew after full screen, from the axes that Plotly had shortened
        # there to keep cells square: it would stay small.
        st.html(f"<style>.st-key-{name} [data-title='Fullscreen'] {{display: none}}</style>")
    st.html(
        f"<style>.st-key-{name} {{container-type: inline-size}} .st-key-{name} > "
        f".stElementContainer {{height: {css_height(figure, around)}; flex: none}}</style>"
    )
    with st.container(key=name):
        st.plotly_chart(
            figure, key=f"chart:{key}", config=CHART_CONFIG, width="stretch", height="stretch"
        )


def picture_chart(figure: go.Figure, key: str, *, around: int | None = None) -> None:
    """Draws a figure of at most two pictures as ``chart`` does, and the pictures before Plotly."""
    name = f".st-key-{_css_name(key)}"
    # A change of the figure, too, shows the new pictures until it is drawn anew. They stay a moment
    # longer, behind it, until the browser has decoded Plotly's own.
    rules = [
        f"{name} {{position: relative; z-index: 0}}",
        f"{name}::before, {name}::after {{position: absolute; z-index: -1}}",
        f"{name}:has(.imagelayer image)::before, {name}:has(.imagelayer image)::after "
        "{visibility: hidden; transition: visibility 0s 0.5s}",
        f"{name} [data-testid=stSkeleton] {{visibility: hidden}}",
    ]
    for place, picture in zip(("before", "after"), css_pictures(figure, around), strict=False):
        rules.append(f"{name}::{place} {{content: ''; {picture}}}")
    st.html(f"<style>{' '.join(rules)}</style>")
    chart(figure, key, around=around)


def overlay(scene: Scene, cam: ClassActivationMap, *, key: str) -> None:
    """The photo in grey with a map over it, in a third of a wide page.

    Args:
        scene: model and photo.
        cam: the map.
        key: its name on the page.
    """
    figure = map_overlay(
        scene.photo.shown,
        cam,
        scene.preprocessing,
        title=title(cam),
        unit=unit(cam),
        dark=on_dark_page(),
        narrow=True,
    )
    picture_chart(figure, key)


def on_dark_page() -> bool:
    """Whether the page has a dark background, which figures cannot see."""
    return bool(st.context.theme.type == "dark")


def unit(cam: ClassActivationMap) -> str:
    """What a cell's value is measured in."""
    return descriptions.unit(cam)


def pick_colours(*, diverging: bool = False) -> str:
    """The choice of a colour scale."""
    scales = DIVERGING if diverging else SEQUENTIAL
    return choices.choose(
        st.selectbox,
        "Colours",
        "colours",
        scales,
        scales[0],
        scope="diverging" if diverging else "sequential",
    )


def pick_layer(
    label: str,
    layers: list[LayerInfo],
    default: str | None,
    scope: str,
    *,
    in_panel: bool = False,
) -> str:
    """The choice of one layer, by path; the default may be an operation that is no layer.

    Args:
        label: the widget's label.
        layers: what can be chosen.
        default: the choice of a person who has not chosen; the first layer if None.
        scope: as in ``choices.choose``.
        in_panel: whether it is drawn in a panel that may be closed.
    """
    shapes = {layer.path: f"{layer.path} · {shape_text(layer.output_shape)}" for layer in layers}
    default = default or layers[0].path
    widget: Callable[..., Any] = st.selectbox
    if in_panel:
        widget = choices.in_panel(widget)
    return choices.choose(
        widget,
        label,
        _LAYER,
        list({**shapes, default: default}),
        default,
        scope=scope,
        format_func=lambda path: shapes.get(path, path),
    )


def put_layer(path: str, scope: str) -> None:
    """Makes the choice of ``pick_layer`` for the person, before it is drawn."""
    choices.put(_LAYER, path, scope)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """A shape (N, h, w, K) as ``h × w × K``; a free size is ``?``."""
    return " × ".join("?" if size is None else str(size) for size in shape[1:])


def download_array(label: str, values: Floats, name: str, key: str) -> None:
    """A button that saves an array as .npy; the file is made on a click."""
    download(label, lambda: npy(values), f"{name}.npy", key)


def download(label: str, make: Callable[[], bytes], file_name: str, key: str) -> None:
    """A button that saves a file, which is made on a click."""
    st.download_button(
        label,
        make,
        file_name=file_name,
        on_click="ignore",
        icon=":material/download:",
        key=key,
    )


def file_stem(*names: str) -> str:
    """A file name of letters, digits, dots and dashes, from names of any kind."""
    text = "-".join(names)
    return "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in text)


def _css_name(key: str) -> str:
    """The name of a chart's container in its CSS class."""
    return file_stem(key).replace(".", "-")


def about(scene: Scene) -> None:
    """What is known of the network, folded; a warning if weights are damaged."""
    card = scene.outline.card
    if scene.outline.damaged:
        damaged = ", ".join(scene.outline.damaged[:5])
        st.warning(
            f"Weights of this network are not numbers (NaN or infinite), in: {plain(damaged)}. The "
            "outputs of these layers and of all later ones mean nothing.",
            icon=":material/warning:",
        )
    with st.expander("About this network", icon=":material/info:", key="about"):
        rows = {
            "Trained on": card.training.data,
            "Split": card.training.split,
            **_length(card.training),
            **{
                f"{item.metric} on {item.on}": f"{item.value:.2%}"
                for item in card.training.accuracy
            },
            **_calibration(card.training),
            "Licence": card.licence,
            "Source": card.source,
        }
        paragraphs = [f"**{plain(card.title)}.** {plain(card.description)}"]
        paragraphs += [f"**{plain(name)}:** {plain(text)}" for name, text in rows.items()]
        paragraphs += _confused(card)
        st.markdown("\n\n".join(paragraphs))


def _calibration(training: Training) -> dict[str, str]:
    """How far the network's confidence is to be believed, if that was measured."""
    error = training.calibration_error
    if error is None:
        return {}
    return {
        f"{error.metric} on {error.on}": (
            f"{error.value:.2%}. So far, on average, is the probability that it gives its answer "
            "from how often such answers are right."
        )
    }


def _length(training: Training) -> dict[str, str]:
    """The length of the training, as far as the card has it."""
    if training.epochs is None:
        return {}
    duration = "" if training.seconds is None else f" in {training.seconds:,.0f} s"
    return {"Epochs": f"{training.epochs:,}{duration}"}


def _confused(card: ModelCard) -> list[str]:
    """The confusion matrix of a card as a table, if it is small enough."""
    confusion, names = card.training.confusion, [plain(label) for label in card.labels]
    if confusion is None or len(names) > _MOST_CLASSES:
        return []
    table = [["true ↓ taken for →", *names], [":--"] + ["--:"] * len(names)]
    for name, counts in zip(names, confusion.counts, strict=True):
        table.append([f"**{name}**", *(f"{count:,}" if count else "·" for count in counts)])
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    return [f"**Which class is taken for which, on {plain(confusion.on)}:**", "\n".join(lines)]
