"""The content of the walk: a photo's way through a network, in numbers and plain sentences."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence

import numpy as np

from cnnviz.arrays import Floats, largest_magnitude
from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.methods import METHODS
from cnnviz.drawing import Limits, Shading, activation_shading
from cnnviz.evidence import why_empty
from cnnviz.figures.photos import Picture
from cnnviz.geometry import seen_region
from cnnviz.numerals import exact_percent
from cnnviz.results import ClassActivationMap
from cnnviz.traces import CellFields, StagedExplanation, StageMaps
from cnnviz.ui.components.walk import (
    CellField,
    Grid,
    Text,
    Walk,
    WalkClass,
    WalkPhoto,
    WalkSample,
    WalkStage,
    WalkTerms,
    WalkUnits,
)
from cnnviz.ui.page_parts.explore import sentences
from cnnviz.ui.scene import Scene

# Rows and columns of each stage's maps, by the number of stages, and the same beside units.
_GRIDS: dict[int, tuple[Grid, ...]] = {
    0: (),
    1: ((5, 7),),
    2: ((3, 2), (6, 4)),
    3: ((4, 1), (6, 3), (9, 4)),
    4: ((3, 1), (5, 1), (9, 3), (14, 4)),
    5: ((3, 1), (5, 1), (9, 2), (14, 3), (18, 4)),
}
_GRIDS_BESIDE_UNITS: dict[int, tuple[Grid, ...]] = {
    0: (),
    1: ((5, 5),),
    2: ((3, 1), (6, 4)),
    3: ((4, 1), (6, 2), (9, 3)),
    4: ((3, 1), (5, 1), (9, 2), (14, 2)),
    5: ((3, 1), (5, 1), (9, 1), (14, 1), (18, 2)),
}
# Presented, the wall is narrower beside its larger pictures.
_PRESENTED: dict[int, tuple[Grid, ...]] = {
    0: (),
    1: ((5, 5),),
    2: ((3, 2), (6, 2)),
    3: ((4, 1), (6, 2), (9, 2)),
    4: ((3, 1), (5, 1), (9, 2), (14, 2)),
    5: ((4, 1), (6, 1), (9, 2), (12, 2), (18, 2)),
}
_UNIT_ROWS = 32
# A photo whose pixels are to be seen, such as a digit.
_TINY = 100


def build(
    scene: Scene, staged: StagedExplanation, samples: Sequence[WalkSample], sample: str | None
) -> Walk:
    """The walk of a photo through a network.

    Args:
        scene: model and photo.
        staged: the network's answer.
        samples: the strip of samples.
        sample: the name of the one that is shown; None for another photo.
    """
    maps = staged.explanation.maps
    wide = (_GRIDS_BESIDE_UNITS if staged.units else _GRIDS)[len(staged.stages)]
    presented = _PRESENTED[len(staged.stages)]
    limits = common_limits(staged.stages)
    return Walk(
        id=f"{scene.model.name} {scene.photo.seen_key}",
        network=scene.outline.card.title,
        photo=_photo(scene),
        samples=samples,
        sample=sample,
        start=sentences.start(staged.stages),
        stages=[
            _stage(staged.stages, number, *grids, limits)
            for number, grids in enumerate(zip(wide, presented, strict=True))
        ],
        units=[_units(staged, number) for number in range(len(staged.units))],
        terms=_terms(scene, staged, limits),
        legend=_legend(staged, limits),
        classes=[_class(staged, cam) for cam in maps],
        more=len(staged.explanation.prediction.labels) - len(maps),
        maps=np.stack([evidence(cam) for cam in maps]),
        limit=limit_of(maps),
        unit=METHODS[maps[0].method].unit,
        compare=sentences.compare(maps),
    )


def _legend(staged: StagedExplanation, limits: Limits | None) -> tuple[str, str, str]:
    """The texts at the ends of the first column's colours."""
    if limits is not None:
        return "activation", "0", f"{limits[1]:g}"
    values = [
        *(min(one.limits) for one in staged.stages),
        *(one.values.min() for one in staged.units),
    ]
    signed = bool(values) and values[0] < 0
    return "", "−layer's largest" if signed else "0", "layer's largest"


def evidence(cam: ClassActivationMap) -> Floats:
    """The values of a map (h, w), as they are drawn: noise is not to look like evidence."""
    nothing = why_empty(cam) not in {None, "even"}
    return np.zeros_like(cam.values) if nothing else cam.values


def limit_of(maps: Iterable[ClassActivationMap]) -> float:
    """The absolute value that is drawn solid in all of some maps."""
    return max(largest_magnitude(evidence(cam)) for cam in maps) or 1.0


def _photo(scene: Scene) -> WalkPhoto:
    height, width = scene.photo.size
    steps = scene.preprocessing
    seen = seen_region(height, width, steps)
    across, down = seen.width < width - 0.5, seen.height < height - 0.5
    free = (across * "x" + down * "y") if steps.fit == "crop" else ""
    borders = seen.width > width or seen.height > height
    return WalkPhoto(
        pixels=_file(scene.photo.shown),
        size=(height, width),
        seen=(seen.left / width, seen.top / height, seen.width / width, seen.height / height),
        input=(steps.height, steps.width),
        free=free,
        label=scene.photo.name,
        caption=sentences.seen(steps, whole=not free, borders=borders),
        pixelated=max(height, width) < _TINY,
    )


def _file(picture: Picture) -> bytes:
    return base64.b64decode(picture.source.partition(",")[2])


def common_limits(stages: Sequence[StageMaps]) -> Limits | None:
    """The limits of all stages where all end in the same bound, such as 6 of ReLU6."""
    bounds = {stage.bound for stage in stages}
    bound = bounds.pop() if len(bounds) == 1 else None
    if bound is None or not 0 < bound < math.inf or any(stage.limits[0] < 0 for stage in stages):
        return None
    return 0.0, bound


def colours_of(values: Floats | Limits, limits: Limits | None) -> Shading:
    """Colours of activations: from zero to the common limit, or to the layer's largest value."""
    if limits is not None:
        return Shading("teal", *limits)
    return activation_shading(np.asarray(values, np.float32), "teal")


def _stage(
    stages: Sequence[StageMaps], number: int, wide: Grid, presented: Grid, limits: Limits | None
) -> WalkStage:
    stage = stages[number]
    height, width, count = stage.maps.shape
    rows, columns = grid = fitting(wide, count)
    shading = colours_of(stage.limits, limits)
    return WalkStage(
        path=stage.path,
        name=f"{height} × {width}",
        note=f"{min(count, rows * columns):,} of {stage.channels:,}",
        values=np.moveaxis(stage.maps, -1, 0),
        channels=stage.order,
        limits=shading.limits,
        colours=shading.colours,
        grid=grid,
        presented=fitting(presented, count),
        field=None if stage.fields is None else _field(stage.fields),
        sentence=sentences.stage(stages, number),
    )


def fitting(grid: Grid, count: int) -> Grid:
    """As many columns, and rows, of a grid as ``count`` tiles fill."""
    rows, columns = grid
    columns = min(columns, math.ceil(count / rows))
    return math.ceil(min(count, rows * columns) / columns), columns


def _field(fields: CellFields) -> CellField:
    height, width = fields.input

    def shares(pair: tuple[int, int]) -> tuple[float, float]:
        return pair[1] / width, pair[0] / height

    return CellField(shares(fields.start), shares(fields.step), shares(fields.size))


def _units(staged: StagedExplanation, number: int) -> WalkUnits:
    units = staged.units[number].values
    shading = activation_shading(units, "teal")
    return WalkUnits(
        path=staged.units[number].path,
        name="Dense",
        note=f"{len(units):,} units",
        values=units,
        limits=shading.limits,
        colours=shading.colours,
        rows=_UNIT_ROWS,
        sentence=sentences.units(staged, number),
    )


def _terms(scene: Scene, staged: StagedExplanation, limits: Limits | None) -> WalkTerms | None:
    listed = staged.listed
    if listed is None:
        return None
    place = {channel: at for at, channel in enumerate(listed.channels)}
    shading = colours_of(listed.limits, limits if listed.limits[0] >= 0 else None)
    unit = "unit" if listed.maps is None else "channel"
    return WalkTerms(
        unit=unit,
        path=listed.path if listed.path in {one.path for one in scene.outline.layers} else None,
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


def _class(staged: StagedExplanation, cam: ClassActivationMap) -> WalkClass:
    prediction = staged.explanation.prediction
    share = exact_percent(float(prediction.probabilities[prediction.labels.index(cam.target)]))
    problem = nothing_to_see(cam)
    caption: Text = [(problem, "")] if problem else sentences.evidence(cam)
    return WalkClass(
        label=cam.target,
        answer=share,
        share="" if share.startswith("<") else share,
        sentence=sentences.last(staged, cam),
        caption=caption,
    )
