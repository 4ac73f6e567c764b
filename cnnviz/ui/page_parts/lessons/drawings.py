"""What the lessons draw: grids of large numbers, small pictures, and bars, as HTML."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

import numpy as np

from cnnviz.arrays import Bytes, Floats, colour
from cnnviz.colours import on_page, table
from cnnviz.drawing import activation_shading
from cnnviz.figures.photos import picture
from cnnviz.figures.shading import data_uri, magnify
from cnnviz.numerals import number
from cnnviz.photos.encoding import encode_png
from cnnviz.results import Box

Cell = tuple[int, int]

# The side of an enlarged picture of few pixels, so that no browser smooths it.
_SHARP = 336

STYLE = """
.lesson-row {display: flex; flex-wrap: wrap; align-items: center; gap: 16px 24px}
.lesson-figure {margin: 0; max-width: 100%}
.lesson-figure figcaption {font-size: 15px; color: var(--quiet); padding-top: 6px; line-height: 1.3}
.lesson-row .sign {font-size: 28px; font-weight: 300}
.lesson-figure.of-grid {width: min-content}
.lesson-picture {position: relative; border-radius: 4px; overflow: hidden}
.lesson-picture img {display: block; width: 100%; image-rendering: pixelated}
.lesson-picture i {position: absolute; outline: 3px solid #fff; box-shadow: 0 0 0 5px #14202b}
.lesson-grid {border-collapse: separate; border-spacing: 3px; font-size: 22px; line-height: 1}
.lesson-grid td {min-width: 52px; height: 52px; padding: 4px 6px; text-align: center; border: 0;
  border-radius: 4px; background: color-mix(in srgb, var(--quiet) 12%, transparent)}
.lesson-grid.small {font-size: 15px}
.lesson-grid.small td {min-width: 40px; height: 40px}
.lesson-grid td.second {background: color-mix(in srgb, var(--accent) 26%, transparent)}
.lesson-grid td.marked {font-weight: 700; outline: 3px solid var(--accent); outline-offset: -3px}
.lesson-bars {border-collapse: collapse; width: 100%; max-width: 560px; font-size: 17px}
.lesson-bars :is(th, td) {border: 0; padding: 5px 12px 5px 0; text-align: left;
  font-weight: 400; white-space: nowrap}
.lesson-bars .track {width: 60%; padding-right: 12px}
.lesson-bars .track i {display: block; height: 18px; border-radius: 3px; background: var(--accent)}
.st-key-lesson-step, .st-key-lesson-style {display: none}
:has(> .st-key-lesson-steps) {position: sticky; bottom: 0; z-index: 2; padding: 8px 0;
  background: light-dark(#fff, #0e141a)}
[class*="st-key-open-"] button p {font-size: 20px; font-weight: 600; text-align: left}
.st-key-guesses button p {font-size: 18px}
.lesson-big {font-size: 34px; font-weight: 300; line-height: 1.25}
.lesson-big b {font-weight: 700}
@media (max-width: 640px) {
  .lesson-row {gap: 12px 8px}
  /* Two of them side by side, so that the options below are in sight. */
  .lesson-row:has(> .lesson-figure:not(.of-grid) ~ .lesson-figure:not(.of-grid))
    > .lesson-figure {max-width: calc(50% - 22px)}
  .lesson-row:has(> .of-grid ~ .of-grid) .lesson-grid:not(.small) {font-size: 18px}
  .lesson-row:has(> .of-grid ~ .of-grid) .lesson-grid:not(.small) td {min-width: 34px; height: 38px;
    padding: 2px}
  .lesson-grid.small td {min-width: 32px; height: 34px}
  .lesson-big {font-size: 27px}
}
"""


def row(*parts: str) -> str:
    """Figures beside each other, and below each other where there is no room."""
    return f'<div class="lesson-row">{"".join(parts)}</div>'


def sign(text: str) -> str:
    """A sign between two figures, such as an arrow."""
    return f'<span class="sign">{html.escape(text)}</span>'


def big(text: str) -> str:
    """A line of large text; it is markup, and what is not ours must be escaped."""
    return f'<div class="lesson-big">{text}</div>'


def grid(
    values: Floats | Sequence[Sequence[str]],
    caption: str,
    *,
    marked: Collection[Cell] = (),
    windows: int = 0,
    small: bool = False,
) -> str:
    """A grid (h, w) as a table of large numbers.

    Args:
        values: numbers, or texts.
        caption: plain text below it.
        marked: cells (row, column) that are outlined.
        windows: cells of a window's side: neighbouring windows have different grounds; 0 for none.
        small: whether the numbers are small.
    """
    rows = []
    for at, values_of_row in enumerate(values):
        cells = []
        for across, value in enumerate(values_of_row):
            second = bool(windows) and (at // windows + across // windows) % 2 == 1
            names = ["second"] * second + ["marked"] * ((at, across) in marked)
            text = value if isinstance(value, str) else number(value)
            cells.append(f'<td class="{" ".join(names)}">{html.escape(text)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    name = "lesson-grid small" if small else "lesson-grid"
    body = f'<table class="{name}"><tbody>{"".join(rows)}</tbody></table>'
    text = f"<figcaption>{html.escape(caption)}</figcaption>"
    return f'<figure class="lesson-figure of-grid">{body}{text}</figure>'


def shown(pixels: Bytes, caption: str, *, side: int = 220, box: Box | None = None) -> str:
    """A picture (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) uint8 with a caption.

    Args:
        pixels: the picture.
        caption: plain text below it.
        side: pixels of its longer side on the screen.
        box: what is outlined, in its own pixels.
    """
    height, width = pixels.shape[:2]
    frame = ""
    if box is not None:
        sides = (
            ("left", box.left / width),
            ("top", box.top / height),
            ("width", (box.right - box.left) / width),
            ("height", (box.bottom - box.top) / height),
        )
        frame = f'<i style="{";".join(f"{name}:{share:.2%}" for name, share in sides)}"></i>'
    across = round(side * width / max(height, width))
    alt = html.escape(caption, quote=True)
    return (
        f'<figure class="lesson-figure" style="width:{across}px"><div class="lesson-picture">'
        f'<img src="{_source(pixels)}" alt="{alt}">{frame}</div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def coloured(values: Floats, *, dark: bool, limits_of: Floats | None = None) -> Bytes:
    """A map (h, w) in the colours of activations: (h, w, 4) uint8; NaN is transparent.

    Args:
        values: the map.
        dark: whether the page has a dark background.
        limits_of: maps that are drawn on one scale with it; itself alone if None.
    """
    look = activation_shading(values if limits_of is None else limits_of, "teal")
    return colour(values, table(on_page(look.colours, dark=dark)), *look.limits)


def bars(rows: Sequence[tuple[str, float]], head: str) -> str:
    """Shares, 0 to 1, as bars with their names, and a line above them."""
    lines = [
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f'<td class="track"><i style="width:{part:.1%}"></i></td><td>{share(part)}</td></tr>'
        for name, part in rows
    ]
    return (
        f'<table class="lesson-bars"><caption style="text-align:left">{html.escape(head)}</caption>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def share(value: float) -> str:
    """A share, 0 to 1, in percent, with a space that does not break."""
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def _source(pixels: Bytes) -> str:
    height, width = pixels.shape[:2]
    if pixels.shape[2:] == (3,) and max(height, width) > _SHARP:
        return picture(pixels).source
    pixels = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    factor = max(1, round(_SHARP / max(height, width)))
    return data_uri(encode_png(np.ascontiguousarray(magnify(pixels, factor))), "png")
