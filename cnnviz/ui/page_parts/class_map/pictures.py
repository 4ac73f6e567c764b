"""The pictures of class activation maps, and what they say."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.arrays import largest_magnitude
from cnnviz.attribution.descriptions import cells, colours_mean, compared, title, where
from cnnviz.drawing import Shading, common_limit, finite, map_shading
from cnnviz.figures.maps import evidence_maps, heatmap
from cnnviz.figures.photos import map_overlay, photo_figure
from cnnviz.numerals import number
from cnnviz.results import ClassActivationMap
from cnnviz.ui import parts
from cnnviz.ui.legends import legend_line
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The row of pictures at 1280 pixels: the photo's height, the width of the map's cells, and what is
# left for text; the photo is between these widths.
_HEIGHT, _CELLS, _TEXT = 380, 370, 240
_NARROWEST, _WIDEST = 260, 540
# Pixels of the window above the pictures and below them, so that they fit into it.
_AROUND = 236
_LARGEST = (960, 720)


def places(scene: Scene) -> list[DeltaGenerator]:
    """Columns for the map over the photo, for the map's cells, and for text and choices."""
    photo = scene.photo
    width = min(max(_HEIGHT * photo.width / photo.height, _NARROWEST), _WIDEST)
    text = max(_TEXT, _WIDEST + _TEXT - width)
    return st.columns([width, _CELLS, text], gap="medium")


def over_photo(
    scene: Scene, maps: Mapping[str, ClassActivationMap], target: str, signed: bool
) -> None:
    """The chosen map over the photo."""
    cam, limit = maps[target], common_limit(maps.values())
    figure = map_overlay(
        scene.photo.shown,
        cam,
        scene.preprocessing,
        title=title(cam),
        unit="",
        signed=signed,
        limit=limit,
        dark=parts.on_dark_page(),
        largest=_LARGEST,
    )
    parts.picture_chart(figure, "overlay", around=_AROUND)


def without_map(scene: Scene) -> None:
    """The photo, while there is no map of it yet."""
    figure = photo_figure(scene.photo.shown, title="The photo", largest=_LARGEST)
    parts.picture_chart(figure, "photo", around=_AROUND)


def alone(maps: Mapping[str, ClassActivationMap], target: str) -> None:
    """The chosen map by itself, with its own cells."""
    cam, look = maps[target], _look(maps, target)
    figure = heatmap(
        cam.values,
        title=cells(cam),
        unit="",
        colours=look.colours,
        limits=look.limits,
        hover=parts.unit(cam),
        narrow=True,
        largest=_LARGEST,
    )
    parts.chart(figure, "map alone", around=_AROUND)


def colours(maps: Mapping[str, ClassActivationMap], target: str) -> None:
    """What the colours of the map mean, over the photo and alone."""
    cam, look = maps[target], _look(maps, target)
    ticks = None
    if largest_magnitude(finite(cam.values)) > look.high:
        ticks = f"≤ {number(look.low)}", f"≥ +{number(look.high)}"
    st.html(legend_line(parts.unit(cam), look, ticks, colours_mean(cam)))


def says(scene: Scene, cam: ClassActivationMap) -> None:
    """What the map says, in words."""
    st.markdown(plain(where(cam, scene.photo.size, scene.preprocessing)))


def _look(maps: Mapping[str, ClassActivationMap], target: str) -> Shading:
    limit = common_limit(maps.values())
    return map_shading(maps[target], signed=True, limit=limit, dark=parts.on_dark_page())


def side_by_side(scene: Scene, maps: Mapping[str, ClassActivationMap]) -> None:
    """The evidence for the likeliest classes, and the one that is shown, on one scale."""
    if len(maps) == 1:
        return
    st.subheader("And the other classes?", anchor=False)
    shown = tuple(maps.values())
    figure = evidence_maps(
        scene.photo.shown,
        shown,
        scene.preprocessing,
        title="The same photo, class by class, on one scale",
        unit=parts.unit(shown[0]),
        dark=parts.on_dark_page(),
    )
    parts.chart(figure, "side by side")
    st.caption(plain(compared(shown)))
