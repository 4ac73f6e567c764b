"""What all figures share: title and height, axes, texts and buttons."""

from __future__ import annotations

import base64
import functools
import html
import math
import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io

from cnnviz.arrays import Floats
from cnnviz.drawing import Limits
from cnnviz.numerals import written

CHART_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "scrollZoom": False,
    # Two quick clicks on two channels are two clicks.
    "doubleClickDelay": 0,
    "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d", "select2d", "lasso2d"],
    "toImageButtonOptions": {"format": "png", "filename": "cnnviz", "scale": 2},
}

# Sizes on the screen are in pixels. A page is about 1000 wide, or half of that in two columns.
PAGE = 1000
HALF_PAGE = 480
TALLEST_PICTURE = 480
# For a colour bar, between the title and the plot.
BAR_SPACE = 62
TEXT = {"size": 13}
_TITLE = {"size": 16}
_TITLE_LINE = 22
_TITLE_LETTERS = 46  # fits a telephone's width
_NARROW_LETTERS = 30  # fits a third of a page
# Of a figure that is made to fit into the window.
_LOWEST = 260

# Beyond these, printed values have three digits each.
_MOST_DECIMALS, _LARGEST_WHOLE = 4, 1e5

# Readable on light and on dark.
FAINT = "rgba(128,140,152,0.55)"
ACCENT = "#23849d"
_CLEAR = "rgba(0,0,0,0)"


def css_height(figure: go.Figure, around: int | None = None) -> str:
    """The height of a figure of this package as a CSS length, in a container of any width.

    A figure's own height suits a wide page. In a narrow container a picture gets lower, and
    a fixed height would leave a void. ``cqw`` is a percent of the nearest container.

    Args:
        figure: the figure.
        around: pixels of the window's height that are for something else; the figure is made to fit
            into the others. None for a figure as large as its width lets it be.
    """
    layout = figure.to_dict()["layout"]
    height = f"{layout['height']}px"
    if "meta" not in layout:
        return height
    fixed, per_width = layout["meta"]
    limit = "" if around is None else f", {_window_height(around)}"
    return f"min({height}, {fixed:.0f}px + {100 * per_width:.3f}cqw{limit})"


def _window_height(around: int) -> str:
    """What is left of the window's height, as a CSS length; enough to see something."""
    # A page that is presented is enlarged, and has no header.
    window = "100dvh / var(--present-scale, 1) + var(--without-header, 0px)"
    return f"max({_LOWEST}px, {window} - {around}px)"


def keeps_cells_square(figure: go.Figure) -> bool:
    """Whether the axes of a figure of this package are tied, so that its cells stay square."""
    layout = figure.to_dict()["layout"]
    return any("scaleanchor" in axis for name, axis in layout.items() if name.startswith("yaxis"))


def css_pictures(figure: go.Figure, around: int | None = None) -> list[str]:
    """CSS for boxes that show the pictures of a figure as Plotly places them, the lowest first.

    A browser takes most of a second to start Plotly's script, and shows these until then. For
    pictures of this package that fill their axes. ``around`` as in ``css_height``.
    """
    layout = figure.to_dict()["layout"]
    margin = layout["margin"]
    above_and_below = margin["t"] + margin["b"]
    plot_height = layout["height"] - above_and_below
    boxes = []
    for one in layout["images"]:
        ratio = one["sizex"] / one["sizey"]
        left = "" if around is None else f"{_window_height(around)} - {above_and_below}px"
        limit = left and f", ({left}) * {ratio:.6f}"
        boxes.append(
            f"margin: {margin['t']}px 0 0 {margin['l']}px; aspect-ratio: {ratio:.6f}; "
            f"width: min(100% - {margin['l'] + margin['r']}px, {plot_height * ratio:.2f}px"
            f"{limit}); opacity: {one['opacity']}; "
            f"background: url('{one['source']}') 0 0 / 100% 100%"
        )
    return boxes


@dataclass
class Drawing:
    """A figure under construction: plain dictionaries, as plotly.js takes them.

    Plotly's classes for Python check and copy each property several times, which took more than
    half of a page's time; here finished figures are checked by the tests alone.
    """

    layout: dict[str, Any]
    data: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **properties: Any) -> None:
        """Adds a trace."""
        self.data.append({"type": kind, **properties})

    def append(self, kind: str, **properties: Any) -> None:
        """Adds one of the layout's ``annotations``, ``images`` or ``shapes``."""
        self.layout.setdefault(kind, []).append(properties)

    def set(self, part: str, **properties: Any) -> None:
        """Sets properties of a part of the layout, such as ``xaxis`` or ``margin``."""
        self.layout.setdefault(part, {}).update(properties)

    def figure(self) -> go.Figure:
        """The finished figure."""
        return PlainFigure(self.data, self.layout)


class PlainFigure(go.Figure):  # type: ignore[misc]
    """A figure that is only its dictionary, which is all that Streamlit needs.

    Plotly's own class checks and copies its arguments, and copies them again at each access.
    """

    def __init__(self, data: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        super().__init__(layout={"template": "none"}, _validate=False)
        look = {"template": _template(plotly.io.templates.default)}
        self._dictionary = {
            "data": [{name: _sent(value) for name, value in trace.items()} for trace in data],
            "layout": look | layout,
        }

    def to_dict(self) -> dict[str, Any]:
        """The traces and the layout, as ``plotly.js`` takes them; they must not be changed."""
        return self._dictionary


@functools.cache
def _template(name: str) -> dict[str, Any]:
    """A template that is registered with Plotly, such as the one of Streamlit."""
    template: dict[str, Any] = plotly.io.templates[name].to_plotly_json()
    return template


def _sent(value: Any) -> Any:
    """An array of numbers in the form that ``plotly.js`` decodes; anything else as it is."""
    if not isinstance(value, np.ndarray) or not value.size:
        return value
    # plotly.js has no integers of 8 bytes.
    numbers = value.astype(np.int32) if value.dtype == np.int64 else value
    data = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    array = {"dtype": numbers.dtype.str[1:], "bdata": base64.b64encode(data).decode("ascii")}
    return array if numbers.ndim == 1 else {**array, "shape": ", ".join(map(str, numbers.shape))}


def empty_drawing(
    title: str,
    plot_height: float,
    *,
    above: float = 0,
    below: float = 8,
    narrow: bool = False,
) -> Drawing:
    """An empty figure, with space above its plot for the title and more, and below it.

    Args:
        title: plain text; empty for none.
        plot_height: pixels.
        above: pixels between title and plot.
        below: pixels below the plot.
        narrow: whether its place is a third of a wide page: then the title's lines are shorter.
    """
    lines = broken_text(title, _NARROW_LETTERS if narrow else _TITLE_LETTERS)
    breaks = lines.count("<br>")
    top = (12 + _TITLE_LINE * (breaks + 1) if title else 2) + above
    return Drawing(
        {
            "height": round(top + max(plot_height, 60) + below),
            "margin": {"l": 2, "r": 2, "t": top, "b": below, "pad": 0},
            "title": {
                "text": lines,
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                # Plotly anchors the last line of a title, not its first.
                "pad": {"t": 8 + _TITLE_LINE * breaks, "l": 2},
                "font": _TITLE,
            },
            "plot_bgcolor": _CLEAR,
            "hovermode": "closest",
            "hoverlabel": {"font": {"size": 14}, "align": "left"},
            # A drag scrolls the page on a telephone; the buttons zoom.
            "dragmode": False,
            "showlegend": False,
        }
    )


def picture_drawing(
    title: str,
    width: float,
    height: float,
    largest: tuple[int, int],
    *,
    above: float = BAR_SPACE,
    below: float = 8,
    narrow: bool = False,
) -> Drawing:
    """An empty figure whose axes are a picture's pixels, from 0 to width and, down, to height."""
    plot_height = min(largest[1], largest[0] * height / width)
    drawing = empty_drawing(title, plot_height, above=above, below=below, narrow=narrow)
    # Room is kept for all there is: to measure each text takes Plotly a third of its time.
    drawing.set("margin", autoexpand=False)
    fit(drawing, 0, height / width)
    square_axes(drawing, "", [0, width], [height, 0])
    return drawing


def fit(drawing: Drawing, fixed: float, per_width: float) -> None:
    """Stores for ``css_height`` how high the plot is: fixed pixels, and a share of its width."""
    margin = drawing.layout["margin"]
    fixed += margin["t"] + margin["b"] - per_width * (margin["l"] + margin["r"])
    drawing.layout["meta"] = [fixed, per_width]


def square_axes(drawing: Drawing, number: str, across: list[float], down: list[float]) -> None:
    """Hides two axes and keeps cells square; a plot smaller than its space is at the top left."""
    hidden = {"visible": False, "constrain": "domain"}
    drawing.set("xaxis" + number, range=across, constraintoward="left", **hidden)
    drawing.set(
        "yaxis" + number, range=down, constraintoward="top", scaleanchor="x" + number, **hidden
    )


def cell_hover(name: str, row: str, column: str) -> str:
    """The hover text of a heatmap's cell: a name, the value, and the cell's row and column."""
    return f"{plain_text(name)} %{{z:.4~g}}<br>row {row}, column {column}<extra></extra>"


def printed_values(values: Floats, limits: Limits) -> list[list[str]]:
    """The texts of a map's cells: so many decimals that the largest value has three digits.

    Args:
        values: (h, w); there is no text for NaN.
        limits: the values of the first and the last colour.
    """
    largest = max(map(abs, limits))
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    kind = f".{decimals}f" if decimals <= _MOST_DECIMALS and largest < _LARGEST_WHOLE else ".3g"
    # "z": what is rounded to zero has no sign.
    return [
        ["" if math.isnan(one) else written(one, f"z{kind}") for one in row]
        for row in values.tolist()
    ]


def broken_text(text: str, letters: int) -> str:
    """Plain text for Plotly in lines of at most so many letters."""
    return "<br>".join(plain_text(line) for line in textwrap.wrap(text, letters))


def plain_text(text: str) -> str:
    """Plain text for Plotly, which would else read tags, links and ``%{…}`` in it."""
    return html.escape(text, quote=False).replace("%", "&#37;").replace("\n", "<br>")
