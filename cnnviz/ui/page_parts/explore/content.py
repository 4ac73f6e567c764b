"""The content of the walk: a photo's way through a network, in numbers and plain sentences."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from cnnviz.arrays import Floats, largest_magnitude
from cnnviz.attribution.methods import METHODS
from cnnviz.drawing import activation_shading
from cnnviz.figures.photos import Picture
from cnnviz.geometry import seen_region
from cnnviz.results import ClassActivationMap
from cnnviz.traces import StagedExplanation, StageMaps
from cnnviz.ui.components.walk import (
    Text,
    Walk,
    WalkClass,
    WalkPhoto,
    WalkSample,
    WalkStage,
    WalkTerms,
    WalkUnits,
)
from cnnviz.ui.scene import Scene

# Maps below one another in each column of the wall, by the number of columns.
_ROWS = {1: (5,), 2: (3, 6), 3: (4, 6, 9), 4: (3, 5, 9, 14), 5: (3, 5, 9, 14, 18)}
_UNIT_ROWS = 32


def build(
    scene: Scene, staged: StagedExplanation, samples: Sequence[WalkSample], sample: str | None
) -> Walk:
    """The walk of a photo through a network.

    Args:
        scene: model and photo.
        staged: the network's answer.
        samples: the strip of samples.
        sample: the name of the one that is shown.
    """
    stages = staged.stages
    rows = _ROWS.get(len(stages), ())
    maps = staged.explanation.maps
    limit = max((largest_magnitude(cam.values) for cam in maps), default=0.0) or 1.0
    return Walk(
        id=f"{scene.model.name} {scene.photo.key}",
        network=scene.outline.card.title,
        photo=_photo(scene),
        samples=samples,
        sample=sample,
        start=[("Let the photo flow through, layer by layer: smaller maps, and more of them.", "")],
        stages=[_stage(one, down) for one, down in zip(stages, rows, strict=True)],
        units=[_units(number, units) for number, units in enumerate(staged.units)],
        terms=_terms(staged),
        legend=_legend(stages),
        classes=[_class(staged, cam) for cam in maps],
        more=len(staged.explanation.prediction.labels) - len(maps),
        maps=np.stack([cam.values for cam in maps]),
        limit=limit,
        unit=METHODS[maps[0].method].unit,
        compare=[
            ("Two answers, one photo. ", ""),
            ("Orange", "for"),
            (" speaks for the class, ", ""),
            ("blue", "against"),
            (" against it.", ""),
        ],
    )


def _photo(scene: Scene) -> WalkPhoto:
    height, width = scene.photo.size
    steps = scene.outline.card.preprocessing
    seen = seen_region(height, width, steps)
    whole = seen.width >= width and seen.height >= height
    part: Text = (
        [("The network saw all of it", "")]
        if whole
        else [("The network saw the ", ""), ("square", "strong")]
    )
    return WalkPhoto(
        pixels=_file(scene.photo.shown),
        size=(height, width),
        seen=(seen.left / width, seen.top / height, seen.width / width, seen.height / height),
        input=(steps.height, steps.width),
        free="",
        label=scene.photo.name,
        caption=[*part, (f", as {steps.height} × {steps.width}.", "")],
        pixelated=max(height, width) < 100,
    )


def _file(picture: Picture) -> bytes:
    return base64.b64decode(picture.source.partition(",")[2])


def _stage(stage: StageMaps, rows: int) -> WalkStage:
    height, width, count = stage.maps.shape
    shading = activation_shading(np.array(stage.limits), "teal")
    return WalkStage(
        path=stage.path,
        name=f"{height} × {width}",
        note=f"{count:,} of {stage.channels:,}",
        values=np.moveaxis(stage.maps, -1, 0),
        channels=stage.order,
        limits=shading.limits,
        colours=shading.colours,
        rows=rows,
        field=None,
        sentence=[(f"{stage.channels:,} maps of {height} × {width} cells.", "")],
    )


def _units(number: int, units: Floats) -> WalkUnits:
    shading = activation_shading(units, "teal")
    return WalkUnits(
        path=f"dense {number}",
        name="Dense",
        note=f"{len(units):,} units",
        values=units,
        limits=shading.limits,
        colours=shading.colours,
        rows=_UNIT_ROWS,
        sentence=[(f"{len(units):,} units, each of all the numbers before it.", "")],
    )


def _terms(staged: StagedExplanation) -> WalkTerms | None:
    listed = staged.listed
    if listed is None:
        return None
    place = {channel: at for at, channel in enumerate(listed.channels)}
    shading = activation_shading(np.array(listed.limits), "teal")
    unit = "unit" if listed.maps is None else "channel"
    return WalkTerms(
        unit=unit,
        name="Class weights",
        note=f"{unit} × weight",
        numbers=listed.channels,
        products=listed.products,
        maps=None if listed.maps is None else np.moveaxis(listed.maps, -1, 0),
        order=[[place[channel] for channel in one.order] for one in staged.terms],
        rest=[one.rest for one in staged.terms],
        bias=[one.bias for one in staged.terms],
        score=[one.score for one in staged.terms],
        limits=shading.limits,
        colours=shading.colours,
    )


def _legend(stages: Sequence[StageMaps]) -> tuple[str, str, str]:
    if stages and all(low >= 0 and high <= 6 for low, high in (one.limits for one in stages)):
        return "activation", "0", "6"
    return "", "0", "largest of the layer"


def _class(staged: StagedExplanation, cam: ClassActivationMap) -> WalkClass:
    prediction = staged.explanation.prediction
    share = float(prediction.probabilities[prediction.labels.index(cam.target)])
    return WalkClass(
        cam.target,
        percent(share),
        [
            ("Each of the last maps speaks ", ""),
            ("for", "for"),
            (" or ", ""),
            ("against", "against"),
            (f" {cam.target}, as much as its weight says. Added up, they are the map.", ""),
        ],
        [("Evidence for ", ""), (cam.target, "strong"), (", cell by cell.", "")],
    )


def percent(share: float) -> str:
    """A probability with two decimals where it is near 1; empty for almost nothing."""
    if share < 1e-4:
        return ""
    if share > 0.9999:
        return "> 99.99 %"
    return (
        f"{share:.2%}".replace("%", " %")
        if share > 0.99 or share < 0.01
        else f"{share:.1%}".replace("%", " %")
    )
