"""A line that says what colours mean, for pictures that share them."""

from __future__ import annotations

import html

from cnnviz.colours import BLANK, table
from cnnviz.drawing import Shading
from cnnviz.numerals import number

_STYLE = """<style>
.legend-line {display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px;
  font-size: 14px; line-height: 20px; color: var(--quiet); font-variant-numeric: tabular-nums}
.legend-line span {position: relative; width: 96px; height: 10px; border-radius: 3px;
  border: 1px solid color-mix(in srgb, currentcolor 40%, transparent)}
.legend-line i {position: absolute; top: -4px; bottom: -4px; width: 1.5px; margin-left: -1px;
  background: currentcolor}
</style>"""


def legend_line(
    unit: str, look: Shading, ticks: tuple[str, str] | None = None, note: str = ""
) -> str:
    """The HTML of a bar of colours between its ends, with a line at zero.

    Args:
        unit: what the colours mean.
        look: the colours, those of the page's theme, and their limits; of a map that says nothing
            there is no bar.
        ticks: the texts at its ends; the limits if None.
        note: a line below it.
    """
    low, high = look.limits
    signed = low < 0 < high
    below = f'<div class="legend-line">{html.escape(note)}</div>' if note else ""
    first, last = ticks or (number(low), f"{'+' if signed else ''}{number(high)}")
    if look.colours == BLANK:
        return f'{_STYLE}<div class="legend-line">{html.escape(unit)}: none</div>'
    colours = ", ".join(f"rgb({','.join(map(str, one))})" for one in table(look.colours)[::15])
    zero = f'<i style="left:{-low / (high - low):.1%}"></i>' if signed else ""
    return (
        f'{_STYLE}<div class="legend-line">{html.escape(unit)} {first}'
        f'<span style="background:linear-gradient(90deg, {colours})">{zero}</span>'
        f"{last}</div>{below}"
    )
