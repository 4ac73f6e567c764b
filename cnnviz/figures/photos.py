"""A photo, and a map over it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from cnnviz.arrays import Bytes, Region
from cnnviz.cards import Preprocessing
from cnnviz.drawing import OPACITY, Shading, finite, in_grey, map_layer, map_shading
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
from cnnviz.figures.shading import colour_scale, data_uri, magnify
from cnnviz.geometry import seen_region
from cnnviz.photos.encoding import encode_jpeg, encode_png, shrink
from cnnviz.results import ClassActivationMap

_SLIDER_SPACE = 78
# The longest side of a photo that is sent, that below a map, what counts as tiny, and the side to
# which the pixels of a tiny one are enlarged.
_PHOTO_SIDE = 1000
_COVERED_SIDE = 800
_TINY_PHOTO = 100
_SHARP_SIDE = 400


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
        sharp = magnify(pixels, round(_SHARP_SIDE / max(height, width)))
        return Picture(data_uri(encode_png(sharp), "png"), height, width)
    source = data_uri(encode_jpeg(shrink(pixels, _PHOTO_SIDE)), "jpeg")
    return Picture(source, height, width)


def photo_figure(
    photo: Bytes | Picture, *, title: str, largest: tuple[int, int] = (HALF_PAGE, TALLEST_PICTURE)
) -> go.Figure:
    """A photo.

    Args:
        photo: (H, W, 3), grey (H, W, 1), or with an opaque alpha (H, W, 4) uint8; a tiny one
            keeps its pixels' edges. Or a ``picture`` of it.
        title: plain text.
        largest: pixels of its width and height at most.
    """
    shown = picture(photo)
    return _photo_drawing(shown, shown.source, title, above=0, below=8, largest=largest).figure()


def _photo_drawing(
    shown: Picture,
    source: str,
    title: str,
    *,
    above: float,
    below: float,
    narrow: bool = False,
    largest: tuple[int, int] = (HALF_PAGE, TALLEST_PICTURE),
) -> Drawing:
    height, width = shown.height, shown.width
    drawing = picture_drawing(
        title, width, height, largest, above=above, below=below, narrow=narrow
    )
    drawing.append("images", **placed(source, width, height))
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
    signed: bool = True,
    limit: float | None = None,
    dark: bool = False,
    narrow: bool = False,
    largest: tuple[int, int] = (HALF_PAGE, TALLEST_PICTURE),
) -> go.Figure:
    """A map (h, w) over the photo (H, W, 3), where the network looked, with an opacity slider.

    The picture is that of ``drawing.overlay``, over the photo in grey. The raw value of each native
    cell is its hover text. The slider works in the browser alone.

    Args:
        photo: (H, W, 3) uint8, the original, or a ``picture`` of it.
        cam: the map, (h, w) raw and signed.
        preprocessing: how the photo became the network input.
        title: plain text.
        unit: what the colours mean, above the colour bar; empty for no bar.
        signed: as in ``drawing.map_shading``.
        limit: as in ``drawing.map_shading``.
        dark: whether the page has a dark background.
        narrow: whether its place is a third of a wide page.
        largest: pixels of the photo's width and height at most.
    """
    shown = picture(photo)
    height, width = shown.height, shown.width
    look = map_shading(cam, signed, limit=limit, dark=dark)
    grey = grey_pixels(shown, _COVERED_SIDE)
    source = pixels_uri(grey, shown)
    above = BAR_SPACE if unit else 0
    drawing = _photo_drawing(
        shown, source, title, above=above, below=_SLIDER_SPACE, narrow=narrow, largest=largest
    )
    source = covered(grey, shown, cam, preprocessing, look)
    drawing.append("images", **placed(source, width, height, above=True, opacity=OPACITY))
    region = seen_region(height, width, preprocessing)
    drawing.add("heatmap", **clear_cells(cam, region), **colour_scale(look, unit))
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


def clear_cells(cam: ClassActivationMap, region: Region) -> dict[str, Any]:
    """A heatmap of a map's cells over a region of a photo that has only their values to show."""
    values = finite(cam.values)
    cell_height, cell_width = region.height / values.shape[0], region.width / values.shape[1]
    return {
        "z": values,
        "x0": region.left + cell_width / 2,
        "dx": cell_width,
        "y0": region.top + cell_height / 2,
        "dy": cell_height,
        "customdata": np.moveaxis(np.indices(values.shape), 0, -1),
        "opacity": 0,
        "hoverongaps": False,
        "hovertemplate": cell_hover(cam.target, "%{customdata[0]}", "%{customdata[1]}"),
    }


def grey_pixels(shown: Picture, longest: int) -> Bytes:
    """The light of a picture, (h, w) uint8, no side over ``longest``; tiny pixels stay sharp."""
    encoded = base64.b64decode(shown.source.partition(",")[2])
    with Image.open(io.BytesIO(encoded)) as image:
        return in_grey(shrink(np.asarray(image.convert("RGB")), longest))


def covered(
    grey: Bytes,
    shown: Picture,
    cam: ClassActivationMap,
    preprocessing: Preprocessing,
    look: Shading,
) -> str:
    """A photo in grey (h, w) with a map over it, as a data URI."""
    height, width = grey.shape
    layer = map_layer(cam, height, width, preprocessing, look)
    return pixels_uri(layer.over(grey), shown)


def pixels_uri(pixels: Bytes, shown: Picture) -> str:
    """Pixels of a picture, changed, in a kind of file that suits it: a data URI."""
    if max(shown.height, shown.width) < _TINY_PHOTO:
        return data_uri(encode_png(pixels), "png")
    return data_uri(encode_jpeg(pixels), "jpeg")


def placed(
    source: str,
    width: float,
    height: float,
    *,
    above: bool = False,
    opacity: float = 1,
    axes: tuple[str, str] = ("x", "y"),
) -> dict[str, Any]:
    """A picture that fills two axes from (0, 0) to (width, height).

    Of two at the same position in the same layer Plotly draws only one.
    """
    return {
        "source": source,
        "xref": axes[0],
        "yref": axes[1],
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
        "pad": {"t": 4, "l": 8, "r": 8},
        "x": 0,
        "y": 0,
        "len": 1,
        "bordercolor": FAINT,
        "bgcolor": FAINT,
        # The current value says it: no ticks along the rail, and CSS hides the labels.
        "ticklen": 0,
        "minorticklen": 0,
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
