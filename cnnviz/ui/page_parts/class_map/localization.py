"""Where exactly the class is: boxes and contours at a threshold, and a box of the person's own."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.ground_truth import (
    box_overlap,
    cells_inside,
    pointing_game,
    region_overlap,
)
from cnnviz.attribution.localization import (
    SMOOTHING,
    THRESHOLD,
    contours,
    find_parts,
    localization_record,
    smoothed,
    smoothing,
)
from cnnviz.evidence import mostly_against
from cnnviz.geometry import seen_region
from cnnviz.numerals import written
from cnnviz.results import Box, ClassActivationMap, FoundPart
from cnnviz.ui import choices, parts
from cnnviz.ui.components import located
from cnnviz.ui.page_parts.class_map import own_box
from cnnviz.ui.page_parts.class_map.picks import quoted
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_PERCENTAGES = tuple(range(0, 100, 5))
_LARGEST, _ALL = "largest", "all"
_NAMES = {_LARGEST: "Largest part", _ALL: "All parts"}
# Parts whose boxes are listed.
_MOST_LISTED = 6


@st.fragment
def where_exactly(scene: Scene, cam: ClassActivationMap) -> None:
    """The section: choices, the photo with what was found, and what is to be said about it."""
    st.subheader(f"Where exactly is {quoted(cam.target)}?", anchor=False)
    picture, beside = st.columns([3, 2], gap="medium")
    with beside:
        threshold, which = _pick()
        found = find_parts(cam, *scene.photo.size, scene.preprocessing, threshold)
        shown = found[:1] if which == _LARGEST else found
        own = own_box.current(scene.photo)
        _say_found(scene, cam, threshold, found, shown)
        agreement = _agreement(scene, cam, shown, own) if own and shown else {}
        _say_agreement(agreement, own, shown)
        own_box.by_numbers(scene.photo, own)
        _download(scene, cam, threshold, shown, own, agreement)
    with picture:
        _draw(scene, cam, shown, own)


def _pick() -> tuple[float, str]:
    """The choices of the threshold, as a share, and of the parts."""
    percentage = choices.choose(
        st.select_slider,
        "Threshold",
        "threshold",
        _PERCENTAGES,
        round(100 * THRESHOLD),
        format_func=lambda share: f"{share} % of the peak",
        help="Cells of the map above this share of its largest value belong to the region. Zhou et "
        "al. 2016 take 20 %.",
    )
    which = choices.choose(
        st.pills,
        "Parts of the region",
        "parts",
        tuple(_NAMES),
        _LARGEST,
        format_func=_NAMES.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    return percentage / 100, which


def _draw(
    scene: Scene, cam: ClassActivationMap, shown: Sequence[FoundPart], own: Box | None
) -> None:
    """The photo with boxes and contours, to draw on."""
    count = "no box" if not shown else "a box" if len(shown) == 1 else f"{len(shown)} boxes"
    label = f"The photo with {count} for “{cam.target}”{', and your own box' if own else ''}"
    located.show(
        located.Located(
            scene.photo.key,
            scene.photo.shown,
            label,
            [part.box for part in shown],
            [ring for part in shown for ring in contours(part.cells)],
            own,
        ),
        "located",
        functools.partial(own_box.put, scene.photo),
    )
    st.caption(
        "Orange: the map's box. White: the contour of the region. Dashed: your box, once you have "
        "dragged one over what you see."
    )


def _say_found(
    scene: Scene,
    cam: ClassActivationMap,
    threshold: float,
    found: Sequence[FoundPart],
    shown: Sequence[FoundPart],
) -> None:
    """The boxes in words and numbers, or why there is none."""
    if not shown:
        st.markdown(f"There is no box. {plain(_why_none(cam))}")
        return
    above = f"above {written(threshold, '.0%')} of its largest value"
    if len(found) == 1:
        st.markdown(f"The map is {above} in one part. Its box: {_size(shown[0].box, scene)}")
    elif len(shown) == 1:
        st.markdown(
            f"The map is {above} in {len(found)} parts. The box of the largest: "
            f"{_size(shown[0].box, scene)}"
        )
    else:
        listed = [f"1. {_size(part.box, scene)}" for part in shown[:_MOST_LISTED]]
        more = len(shown) - len(listed)
        st.markdown(
            f"The map is {above} in {len(found)} parts, the largest first:\n\n"
            + "\n".join(listed)
            + (f"\n\nand {more} more, which the file lists." if more else "")
        )
    st.caption(_exactness(scene, cam))


def _exactness(scene: Scene, cam: ClassActivationMap) -> str:
    """How exact an edge of a box is."""
    seen = seen_region(*scene.photo.size, scene.preprocessing)
    rows, columns = cam.values.shape
    if deviation := smoothing(cam):
        return (
            "This map has a value for each pixel, and its largest are single ones. So it is "
            f"smoothed first, by a Gaussian of {deviation:.2g} of its pixels "
            f"({written(SMOOTHING, '.0%')} of the longer side, as TorchRay does): "
            f"no edge is more exact than {deviation * seen.width / columns:.2g} pixels here."
        )
    return (
        f"Box and contour follow the map's cells, of {seen.width / columns:.3g} × "
        f"{seen.height / rows:.3g} pixels here: no edge is more exact than that."
    )


def _size(box: Box, scene: Scene) -> str:
    """A box in words."""
    wide, high = box.right - box.left, box.bottom - box.top
    share = wide * high / (scene.photo.width * scene.photo.height)
    return (
        f"**{wide} × {high} pixels**, x {box.left} to {box.right} and y {box.top} to "
        f"{box.bottom}, {written(share, '.0%')} of the photo."
    )


def _why_none(cam: ClassActivationMap) -> str:
    """Why a map has no box."""
    if nothing_to_see(cam):
        return "The map says nothing about any place of the photo."
    values = smoothed(cam)
    if not values.max() > 0:
        return "No cell of the map is above zero."
    if mostly_against(values):
        return "The evidence for the class is less than a fifth of that against it."
    return "What is above the threshold lies beyond the photo's edge, in the border."


def _agreement(
    scene: Scene, cam: ClassActivationMap, shown: Sequence[FoundPart], own: Box
) -> dict[str, Any]:
    """How well what was found fits the person's box; of several boxes the one that fits best."""
    overlaps = [box_overlap(part.box, own) for part in shown]
    inside = cells_inside(own, cam.values.shape, *scene.photo.size, scene.preprocessing)
    return {
        "box_iou": max(overlaps),
        "best_box": overlaps.index(max(overlaps)),
        "region_iou": region_overlap([cell for part in shown for cell in part.cells], own),
        "pointing_game": pointing_game(smoothed(cam), inside),
    }


def _say_agreement(agreement: dict[str, Any], own: Box | None, shown: Sequence[FoundPart]) -> None:
    """The agreement in words, or how to get one."""
    if own is None:
        st.markdown("**Drag a box over the photo** around what you see there, to compare the two.")
        return
    if not agreement:
        st.markdown("So there is nothing to compare your box with.")
        return
    box = "box" if len(shown) == 1 else f"box {agreement['best_box'] + 1}, which fits best,"
    of_boxes, of_region = (written(agreement[key], ".0%") for key in ("box_iou", "region_iou"))
    st.markdown(
        f"Your box and the map's {box} overlap by **{of_boxes} (IoU)**, your box and the region "
        f"inside the white line by {of_region}. "
        f"{_pointed(agreement['pointing_game'])}",
        help="IoU, intersection over union: the pixels that both have, divided by those that at "
        "least one of them has. Usually a box is taken for right from 50 % on.",
    )


def _pointed(share: float) -> str:
    """The pointing game in words."""
    if share == 1:
        return "The strongest cell of the map is inside your box: a hit in the pointing game."
    if share == 0:
        return "The strongest cell of the map is outside your box: a miss in the pointing game."
    return (
        f"Of the cells that are the strongest, {written(share, '.0%')} are inside your box: so "
        "much is the hit in the pointing game."
    )


def _download(
    scene: Scene,
    cam: ClassActivationMap,
    threshold: float,
    shown: Sequence[FoundPart],
    own: Box | None,
    agreement: dict[str, Any],
) -> None:
    """All of it as a file."""

    def make() -> bytes:
        record = localization_record(cam, *scene.photo.size, scene.preprocessing, threshold, shown)
        compared = {"own_box": asdict(own), **agreement} if own else {}
        return json.dumps({"file": scene.photo.name, **record, **compared}, indent=1).encode()

    stem = parts.file_stem(scene.photo.name, cam.target, cam.method)
    parts.download("Boxes (.json)", make, f"{stem}.boxes.json", "boxes json")
