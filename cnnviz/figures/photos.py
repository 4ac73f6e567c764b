"""A photo, and a map over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Bytes, Region
from cnnviz.cards import Preprocessing
from cnnviz.drawing import OPACITY, finite, map_layer
from cnnviz.figures.frame import (
    BAR_SPACE,
    FAINT,
    HALF_PAGE,
    TALLEST_PICTURE,
    TEXT,
    Drawing,
    cell_hover,
    picture_drawing,
)
from cnnviz.figures.shading import colour_scale, data_uri, magnify, palette_png
from cnnviz.geometry import seen_region
from cnnviz.photos.encoding import encode_jpeg, encode_png, shrink
from cnnviz.results import ClassActivationMap

_SLIDER_SPACE = 92
# The longest side of a photo that is sent, that of an overlay, and what counts as tiny.
_PHOTO_SIDE = 1000
_OVERLAY_SIDE = 400
_TINY_PHOTO = 100


@dataclass(frozen=True)
class Picture:
    """A photo as a browser takes it: encoded once, for many figures.

    Attributes:
        source: a data URI of the picture.
        height: the photo's rows.
        width: its columns.
    """

    source: str
    height: int
    width: int


def picture(photo: Bytes | Picture) -> Picture:
    """A photo, of the kinds that ``photo_figure`` takes, as a browser takes it."""
    if isinstance(photo, Picture):
        return photo
    height, width = photo.shape[:2]
    pixels = photo[..., 0] if photo.shape[-1] == 1 else photo[..., :3]
    if max(height, width) < _TINY_PHOTO:
        sharp = magnify(pixels, round(_OVERLAY_SIDE / max(height, width)))
        return Picture(data_uri(encode_png(sharp), "png"), height, width)
    source = data_uri(encode_jpeg(shrink(pixels, _PHOTO_SIDE)), "jpeg")
    return Picture(source, height, width)


def photo_figure(photo: Bytes | Picture, *, title: str) -> go.Figure:
    """A photo.

    Args:
        photo: (H, W, 3), grey (H, W, 1), or with an opaque alpha (H, W, 4) uint8; a tiny one
            keeps its pixels' edges. Or a ``picture`` of it.
        title: plain text.
    """
    return _photo_drawing(picture(photo), title, above=0, below=8).figure()


def _photo_drawing(
    shown: Picture, title: str, *, above: float, below: float, narrow: bool = False
) -> Drawing:
    height, width = shown.height, shown.width
    size = (HALF_PAGE, TALLEST_PICTURE)
    drawing = picture_drawing(title, width, height, size, above=above, below=below, narrow=narrow)
    drawing.append("images", **_placed(shown.source, width, height))
    # Plotly draws axes, and with them the pictures, only where there is a trace.
    drawing.add("scatter", x=[None], y=[None], hoverinfo="skip")
    return drawing


def map_overlay(
    photo: Bytes | Picture,
    cam: ClassActivationMap,
    preprocessing: Preprocessing,
    *,
    title: str,
    unit: str,
    signed: bool | None = None,
    narrow: bool = False,
) -> go.Figure:
    """A map (h, w) over the photo (H, W, 3), where the network looked, with an opacity slider.

    The colours are those of ``drawing.overlay``. The raw value of each native cell is its
    hover text. The slider works in the browser alone.

    Args:
        photo: (H, W, 3) uint8, the original, or a ``picture`` of it.
        cam: the map, (h, w) raw and signed.
        preprocessing: how the photo became the network input.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        signed: as in ``drawing.map_shading``.
        narrow: whether its place is a third of a wide page.
    """
    shown = picture(photo)
    height, width = shown.height, shown.width
    region = seen_region(height, width, preprocessing)
    scale = _OVERLAY_SIDE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    layer = map_layer(cam, *size, preprocessing, signed=signed)

    drawing = _photo_drawing(shown, title, above=BAR_SPACE, below=_SLIDER_SPACE, narrow=narrow)
    source = palette_png(layer.indices(), layer.table)
    drawing.append("images", **_placed(source, width, height, above=True, opacity=OPACITY))
    values = finite(cam.values)
    cell_height, cell_width = region.height / values.shape[0], region.width / values.shape[1]
    drawing.add(
        "heatmap",
        z=values,
        x0=region.left + cell_width / 2,
        dx=cell_width,
        y0=region.top + cell_height / 2,
        dy=cell_height,
        customdata=np.moveaxis(np.indices(values.shape), 0, -1),
        opacity=0,
        **colour_scale(layer.shading, unit),
        hoverongaps=False,
        hovertemplate=cell_hover(cam.target, "%{customdata[0]}", "%{customdata[1]}"),
    )
    if _is_part(region, height, width):
        drawing.append(
            "shapes",
            type="rect",
            x0=region.left,
            y0=region.top,
            x1=region.left + region.width,
            y1=region.top + region.height,
            line={"color": "white", "width": 1, "dash": "dot"},
        )
    drawing.append("sliders", **_opacity_slider())
    return drawing.figure()


def _placed(
    source: str, width: float, height: float, *, above: bool = False, opacity: float = 1
) -> dict[str, Any]:
    """A picture that fills the axes from (0, 0) to (width, height).

    Of two at the same position in the same layer Plotly draws only one.
    """
    return {
        "source": source,
        "xref": "x",
        "yref": "y",
        "x": 0,
        "y": 0,
        "sizex": width,
        "sizey": height,
        "sizing": "stretch",
        "layer": "above" if above else "below",
        "opacity": opacity,
    }


def _is_part(region: Region, height: int, width: int) -> bool:
    """Whether a region leaves out something of a photo, by more than half a pixel."""
    return (
        region.left > 0.5
        or region.top > 0.5
        or region.left + region.width < width - 0.5
        or region.top + region.height < height - 0.5
    )


def _opacity_slider() -> dict[str, Any]:
    percents = list(range(0, 101, 5))
    return {
        "active": percents.index(round(100 * OPACITY)),
        "currentvalue": {"prefix": "Opacity: ", "font": {"size": 14}, "xanchor": "left"},
        "pad": {"t": 8, "l": 8, "r": 8},
        "x": 0,
        "y": 0,
        "len": 1,
        "tickcolor": FAINT,
        "bordercolor": FAINT,
        "bgcolor": FAINT,
        "font": TEXT,
        "steps": [
            {
                "label": f"{percent} %",
                "method": "relayout",
                "args": [{"images[1].opacity": percent / 100}],
            }
            for percent in percents
        ],
    }
