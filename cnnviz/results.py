"""The results of computations: frozen dataclasses of arrays.

They are in a module of their own, so that a process without TensorFlow can read what a worker
sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Base64Bytes

from cnnviz.arrays import Floats
from cnnviz.cards import ModelCard, Preprocessing
from cnnviz.errors import CnnvizError

# From here on float32 rounds a probability to 1, and its gradient to 0.
CERTAIN = 1 - float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a network.

    Attributes:
        path: names from the outermost model inwards, joined by ``/``.
        kind: the layer's class, such as ``Conv2D``.
        output_shape: ``(None, h, w, K)``; None where a size is free, () where unknown or
            where there are several outputs.
        parameters: number of weights, those of nested layers included.
        kernel_shape: ``(kh, kw, C_in, C_out)`` of a convolution, else None; the same as that
            of ``Filters.kernels``.
        nested: whether it is a model that holds the layers whose paths start with it.
    """

    path: str
    kind: str
    output_shape: tuple[int | None, ...]
    parameters: int
    kernel_shape: tuple[int, ...] | None
    nested: bool

    @property
    def spatial(self) -> bool:
        """Whether the output is a stack of maps: (batch, h, w, K)."""
        return len(self.output_shape) == 4


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer, or of another operation, when the network runs.

    Attributes:
        path: of the call: the layer's path; the second call of a shared layer has ``name#1``.
        kind: the class of the layer or operation.
        inputs: paths of earlier calls whose outputs it takes, in order, each once. A nested model
            takes the output of a layer inside it, and its input layer what the model is given.
        shape: of the output: (h, w, K), (T, K) or (K,); None where that is not known.
        nested: whether it is a model whose layers are calls of their own.
    """

    path: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...] | None
    nested: bool


@dataclass(frozen=True)
class Score:
    """One class with its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """A network's answer: probabilities (C,) and logits (C,), in the order of ``labels``.

    Attributes:
        labels: the C class names.
        probabilities: 0 to 1.
        logits: the scores before softmax or sigmoid, None where they cannot be computed.
        exclusive: whether one class excludes the others and the probabilities add up to 1;
            otherwise each class is judged by itself, as sigmoids do.
    """

    labels: tuple[str, ...]
    probabilities: Floats
    logits: Floats | None
    exclusive: bool = True

    @property
    def index(self) -> int:
        """The index of the most probable class."""
        return int(np.argmax(self.probabilities))

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.labels[self.index]

    def top(self, count: int) -> list[Score]:
        """The ``count`` most probable classes, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [Score(self.labels[i], float(self.probabilities[i])) for i in order]


@dataclass(frozen=True)
class WeightStatistics:
    """minimum, maximum, mean, norm and sparsity of weights, each (C_out,) or () for all of them.

    Attributes:
        norm: Euclidean norm.
        sparsity: the share of weights that are exactly zero, 0 to 1.
    """

    minimum: Floats
    maximum: Floats
    mean: Floats
    norm: Floats
    sparsity: Floats


def weight_statistics(weights: Floats, axis: tuple[int, ...] | None = None) -> WeightStatistics:
    """The statistics of weights over some of their axes, or over all if None.

    Args:
        weights: any shape; NaN and infinite weights give NaN and infinite statistics.
        axis: the axes that are summed up.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return WeightStatistics(
            weights.min(axis=axis),
            weights.max(axis=axis),
            weights.mean(axis=axis),
            np.sqrt(np.square(weights).sum(axis=axis)),
            np.mean(weights == 0, axis=axis),
        )


@dataclass(frozen=True)
class Filters:
    """A convolution's kernels (kh, kw, C_in, C_out) and biases (C_out,), float32.

    Attributes:
        layer: the layer's path.
        kind: the layer's class.
        kernels: a depthwise convolution's (kh, kw, C, m) are given as (kh, kw, 1, C·m), since each
            filter looks at one channel only.
        biases: None where the layer has none.
        pointwise: a separable convolution's second kernels (1, 1, C·m, C_out), else None;
            the biases belong to these.
        per_filter: statistics of each filter, over its kernels for all inputs.
        per_layer: statistics of the kernels of all filters together.
    """

    layer: str
    kind: str
    kernels: Floats
    biases: Floats | None
    pointwise: Floats | None
    per_filter: WeightStatistics
    per_layer: WeightStatistics


@dataclass(frozen=True)
class ClassActivationMap:
    """values (h, w): the evidence for a class, raw and signed, cell by cell.

    Attributes:
        values: float32; a positive cell is evidence for the class, a negative one against it.
        method: a key of ``METHODS``.
        layer: path of the layer whose maps were weighted; empty for a method that changes the
            photo and reads no layer.
        target: the class.
        score: what is explained: the class's logit (for the contrastive map, less the mean
            logit of the other classes; with ``against``, less that class's), or its output where
            the network has no logit. Of maps of classes whose probabilities are averaged, the
            mean logit of all cells. Of a map that is the same for every class, the class's score.
        bias: the part of the score that belongs to no cell: the mean of the values, or their
            sum (see ``aggregate``), plus the bias is the score. None where it is not exactly so.
        gradient: the largest absolute gradient of the score at that layer; None for the
            methods that need no gradient.
        saturated: whether the score is a probability that float32 rounds to 0 or 1: its
            gradient is rounded away, and what is left of it means nothing.
        logit: whether the score is a logit, and not the output of a network that has none.
        aggregate: how the cells make up the score: by their ``mean`` or by their ``sum``.
        against: the class whose score is subtracted, with a factor if the method has one; None
            where there is none.
        of_class: whether the map depends on the class: one that does not is no evidence for it.
        detail: a key of ``DETAILS``: how the cells were made. Of a map of shifted copies of the
            photo, a cell has the value of a whole cell of the layer; of a fused one, a share.
    """

    values: Floats
    method: str
    layer: str
    target: str
    score: float
    bias: float | None
    gradient: float | None = None
    saturated: bool = False
    logit: bool = True
    aggregate: Literal["mean", "sum"] = "mean"
    against: str | None = None
    of_class: bool = True
    detail: str = "cells"


@dataclass(frozen=True)
class Explanation:
    """The prediction for a photo, and a map for each requested class."""

    prediction: Prediction
    maps: tuple[ClassActivationMap, ...]


@dataclass(frozen=True)
class SeriesPart:
    """What some runs of a series give: see ``attribution.series``.

    Attributes:
        values: (T, ...) for T classes, or (1, ...) for all; added to those of the other runs.
        count: how many runs the whole series takes.
    """

    values: Floats
    count: int


Stage = Literal["weigh", "grow", "trim", "done"]


@dataclass(frozen=True)
class PartSearch:
    """A search for a small part of a photo, between two steps: see ``attribution.smallest_parts``.

    The part is made of cells of a grid (n, n) over the network's input. If it is *kept*, all other
    cells are hidden, otherwise its own are.

    Attributes:
        target: the class.
        keep: whether the part is to keep the answer by itself; else its loss is to change it.
        filling: what takes the place of hidden cells: one of ``photos.masking.FILLINGS``.
        before: the class's probability for the whole photo.
        stage: what this round is about: how much the whole misses each cell ("weigh"), the cell to
            add ("grow"), or one that the part can do without ("trim"); "done" at the end.
        cells: (n, n) 1 in the cells of the part so far, else 0.
        score: how far the part is towards the goal; only to be compared.
        probability: of the class with the part so far.
        reached: whether the part so far does what it is to do.
        weights: (n, n) the larger, the more the whole misses a cell.
        gains: (n, n) how much a cell helped when it was last tried; infinite before.
        tried: (3, n, n) of the part with each cell added, or taken away, in this round: score,
            probability, and 1 if it does what it is to do, else 0; NaN where it was not tried.
        runs: how often the network was run.
    """

    target: str
    keep: bool
    filling: str
    before: float
    stage: Stage
    cells: Floats
    score: float
    probability: float
    reached: bool
    weights: Floats
    gains: Floats
    tried: Floats
    runs: int


@dataclass(frozen=True)
class SmallestPart:
    """A small part of a photo that decides about an answer, found by a search.

    Attributes:
        target: the class.
        keep: whether the part keeps the answer by itself; else its loss changes it.
        filling: what took the place of hidden pixels.
        cells: (n, n) bool, the cells of the part.
        hidden: (h, w) bool, the pixels of the network's input that were hidden: ``occlude`` takes
            it.
        probability: of the class with these pixels hidden.
        before: of the class for the whole photo.
        reached: whether the part does what it is to do. If not, the search found none.
        runs: how often the network was run.
    """

    target: str
    keep: bool
    filling: str
    cells: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    probability: float
    before: float
    reached: bool
    runs: int


@dataclass(frozen=True)
class MapScore:
    """One score of a map, beside those of a blurred copy of it and of a random map.

    Attributes:
        measure: a key of ``faithfulness.MEASURES``.
        better: whether ``higher`` or ``lower`` values speak for a map.
        value: of the map; NaN where there is none, such as the correlation of an even map.
        blurred: of the map blurred.
        random: of a random map with as many cells.
        curves: (3, n) of deletion and insertion: the class's probability from step to step, for the
            three maps in that order; None of the others.
    """

    measure: str
    better: Literal["higher", "lower"]
    value: float
    blurred: float
    random: float
    curves: Floats | None = None


@dataclass(frozen=True)
class Faithfulness:
    """The scores of a map; method, layer, target and against are those of the map."""

    method: str
    layer: str
    target: str
    against: str | None
    scores: tuple[MapScore, ...]


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels of a photo; ``right`` and ``bottom`` are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int


Point = tuple[int, int]


@dataclass(frozen=True)
class FoundPart:
    """A connected part of a map that stands out, on a photo.

    Attributes:
        box: around all of it.
        cells: the map's cells that it is made of, cut off at the photo's edge; disjoint.
    """

    box: Box
    cells: tuple[Box, ...]


@dataclass(frozen=True)
class ComparedMethod:
    """A method of a comparison: its key in ``METHODS``, its name, and what its values measure."""

    key: str
    title: str
    unit: str


@dataclass(frozen=True)
class ComparedAnswer:
    """What one network of a comparison says of one photo.

    Attributes:
        network: the network's title.
        fingerprint: SHA-256 of its file in hexadecimal, "" for a model made in memory.
        photo: the photo's name.
        photo_sha256: of its pixels (H, W, 3), in hexadecimal.
        size: (H, W) of the photo.
        preprocessing: how the photo became the network's input.
        prediction: of the network.
    """

    network: str
    fingerprint: str
    photo: str
    photo_sha256: str
    size: tuple[int, int]
    preprocessing: Preprocessing
    prediction: Prediction


@dataclass(frozen=True)
class ComparedCell:
    """One map of a comparison.

    Attributes:
        answer: the index of its network and photo in ``Comparison.answers``.
        cam: the map.
        limit: the absolute value of the last colour: the largest of the maps that share its scale.
            None where none of them says anything.
        note: why the map says nothing, in a sentence; empty if it says something.
        box: of the class, as ``find_box`` finds it.
        scores: what is known about the map, a number or a word by name, in the order in which it is
            shown.
        verdict: whether it can be believed; None where that was not asked, and for a map that says
            nothing.
    """

    answer: int
    cam: ClassActivationMap
    limit: float | None
    note: str
    box: Box | None
    scores: Mapping[str, float | str]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Comparison:
    """Maps of several classes and methods, for one or several networks and photos.

    Attributes:
        classes: the names of the classes.
        methods: the methods. Each has a scale of its own, since methods measure different things.
        answers: of each network for each photo, network by network.
        cells: a map for each answer, class and method, in this order.
        layer: the layer that was chosen for the methods that read any; None for the last one.
        against: the class that was chosen to be subtracted, if one was.
        runs: how many runs were asked for of methods that take many; None for the usual number.
    """

    classes: tuple[str, ...]
    methods: tuple[ComparedMethod, ...]
    answers: tuple[ComparedAnswer, ...]
    cells: tuple[ComparedCell, ...]
    layer: str | None = None
    against: str | None = None
    runs: int | None = None

    @property
    def rows(self) -> tuple[tuple[ComparedCell, ...], ...]:
        """The cells of each answer and class, in the order of the methods."""
        count = len(self.methods)
        starts = range(0, len(self.cells), count)
        return tuple(self.cells[start : start + count] for start in starts)

    def limits(self, method: int) -> tuple[float, ...]:
        """The limits of the scales of a method's maps, by the method's number; most have one."""
        found = {row[method].limit for row in self.rows}
        return tuple(sorted(limit for limit in found if limit is not None))


@dataclass(frozen=True)
class PhotoResult:
    """The result for one of many photos.

    Attributes:
        path: the photo's file.
        size: (H, W) of the photo as it was read, (0, 0) where it could not be.
        explanation: None where the photo failed.
        parts: where the class of the explanation's first map is, in pixels of ``size``, the
            largest part first; none without evidence for it, and where that is weak beside the
            evidence against it.
        error: why the photo failed, None where it did not.
        photo: (H, W, 3) uint8, where it was requested.
    """

    path: Path
    size: tuple[int, int] = (0, 0)
    explanation: Explanation | None = None
    parts: tuple[FoundPart, ...] = ()
    error: CnnvizError | None = None
    photo: NDArray[np.uint8] | None = None

    @property
    def box(self) -> Box | None:
        """The box of the largest part."""
        return self.parts[0].box if self.parts else None


@dataclass(frozen=True)
class LayerGradients:
    """activations and gradients (N, h, w, K), scores (N,), all float32.

    Attributes:
        activations: the layer's output.
        gradients: of the class's score with respect to that output.
        scores: the class's logit, or its output where there is no logit.
        output: (N, C) of the same run of the network.
        logits: (N, C) of the same run, None where they cannot be computed.
    """

    activations: Floats
    gradients: Floats
    scores: Floats
    output: Floats
    logits: Floats | None


@dataclass(frozen=True)
class Outline:
    """A summary of a network.

    Attributes:
        card: the model's card.
        layers: every layer, nested ones included, in order.
        calls: of layers and other operations, in the order in which they run.
        input_shape: ``(None, h, w, C)``.
        parameters: number of weights of the whole network.
        methods: the methods that fit how it ends, the best first.
        features: path of the maps whose averages the scores are made of, or None.
        last_spatial: path of the last layer with maps, or None.
        makers: for a layer with maps, the path of the convolution that made its channels.
        inputs: for a convolution, the path of the layer or operation whose output it reads; those
            that read several, or a constant, are left out.
        outputs: the outputs that give class scores, and how many; ``card.output`` chooses one.
        damaged: paths of the layers that hold a weight that is NaN or infinite.
    """

    card: ModelCard
    layers: tuple[LayerInfo, ...]
    calls: tuple[LayerCall, ...]
    input_shape: tuple[int | None, ...]
    parameters: int
    methods: tuple[str, ...]
    features: str | None
    last_spatial: str | None
    makers: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, int]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Exemplar:
    """A part of a photo that excites a channel much, or little.

    Attributes:
        photo: its name, such as the file.
        value: the strongest activation in the photo.
        mean: the mean activation over the photo, which decides between equal values.
        box: what the strongest cell depends on, in pixels of the photo; None where that is none
            of them.
        cell: where that cell itself is, as maps are placed on photos: the middle of the box, if
            nothing cuts that off. None where it is in the borders of a padded photo.
    """

    photo: str
    value: float
    mean: float
    box: Box | None
    cell: Box | None


@dataclass(frozen=True)
class ChannelExemplars:
    """The photos that excite one channel most, and those that do least: the first ones most."""

    channel: int
    most: tuple[Exemplar, ...]
    least: tuple[Exemplar, ...]


@dataclass(frozen=True)
class Exemplars:
    """What excites the channels of a layer, among a number of photos."""

    layer: str
    photos: int
    channels: tuple[ChannelExemplars, ...]

    @property
    def listed(self) -> Iterator[Exemplar]:
        """The exemplars of all channels."""
        for one in self.channels:
            yield from (*one.most, *one.least)


@dataclass(frozen=True)
class GalleryPhoto:
    """A photo that was chosen: its (H, W) in pixels, and a small WebP picture of all of it."""

    size: tuple[int, int]
    picture: Base64Bytes


@dataclass(frozen=True)
class Part:
    """A part of a photo, and a small WebP picture of it."""

    photo: str
    box: Box
    picture: Base64Bytes


@dataclass(frozen=True)
class Gallery:
    """Exemplars with their pictures.

    Attributes:
        source: what they were chosen from, in words: "1,000 photos in cats_dogs".
        found: the exemplars.
        photos: each photo that was chosen, by name.
        parts: of these, each once; none where a part is all of its photo.
    """

    source: str
    found: Exemplars
    photos: dict[str, GalleryPhoto]
    parts: tuple[Part, ...]

    def channel(self, number: int) -> ChannelExemplars | None:
        """The exemplars of a channel; None where it was not among those that were searched."""
        return next((one for one in self.found.channels if one.channel == number), None)

    def pictures(self, channel: ChannelExemplars) -> dict[tuple[str, Box | None], bytes]:
        """The pictures (WebP) of a channel's exemplars, by photo and box."""
        wanted = {(one.photo, one.box) for one in (*channel.most, *channel.least)}
        whole = {(name, box): self.photos[name].picture for name, box in wanted}
        return whole | {
            (part.photo, part.box): part.picture
            for part in self.parts
            if (part.photo, part.box) in wanted
        }


@dataclass(frozen=True)
class ClassExemplar:
    """A photo that the network takes for a class.

    Attributes:
        photo: its name, such as the file.
        probability: of the class, 0 to 1.
        truth: the true class; empty where it is not known.
        certainty: the logarithm of the class's odds, see ``class_exemplars.certainty``: only to
            be compared, since many probabilities are 1 after rounding.
    """

    photo: str
    probability: float
    truth: str
    certainty: float


@dataclass(frozen=True)
class ClassExemplars:
    """Photos that a network takes for a class, the first ones the clearest cases.

    Attributes:
        label: the class.
        count: how many photos it takes for it.
        confident: those of which it is surest.
        doubtful: those of which it is least sure.
        wrong: those of which it is surest though another class is known to be true.
    """

    label: str
    count: int
    confident: tuple[ClassExemplar, ...]
    doubtful: tuple[ClassExemplar, ...]
    wrong: tuple[ClassExemplar, ...]

    @property
    def photos(self) -> tuple[str, ...]:
        """The names of all photos that are listed, each once."""
        listed = (*self.confident, *self.doubtful, *self.wrong)
        return tuple(dict.fromkeys(one.photo for one in listed))


@dataclass(frozen=True)
class ClassPicture:
    """A small WebP picture of a photo, and one of it in grey under the map of a class.

    Attributes:
        label: the class.
        photo: the photo's name.
        size: its (H, W) in pixels.
        picture: of the photo.
        under_map: the same under the map; None where the network gives none.
    """

    label: str
    photo: str
    size: tuple[int, int]
    picture: Base64Bytes
    under_map: Base64Bytes | None


@dataclass(frozen=True)
class ClassGallery:
    """Exemplars of classes with their pictures.

    Attributes:
        source: what they were chosen from, in words: "1,000 photos in cats_dogs".
        truths: whether the true class of each photo is known, so that errors are found.
        classes: the exemplars of each class.
        pictures: one for each class and photo of it.
    """

    source: str
    truths: bool
    classes: tuple[ClassExemplars, ...]
    pictures: tuple[ClassPicture, ...]


# What can be said of a map, and why nothing can.
VerdictWord = Literal["holds", "weak", "says nothing", "cannot tell"]
VerdictReason = Literal[
    "no evidence", "not numbers", "several places", "absence", "unmoved", "alike"
]


@dataclass(frozen=True)
class Verdict:
    """Whether a map can be believed, from what its class loses where the photo is covered.

    Losses are falls of the class's log-odds: by 1, its odds fall to 37 %.

    Attributes:
        word: ``holds`` where the class loses clearly more where the map is bright, ``weak`` where
            somewhat more, ``says nothing`` where little more; ``cannot tell`` where covering one
            part at a time shows nothing, and so nothing about the map.
        reason: why it cannot tell; None where it can.
        skill: how much of the losses the map finds: 0 for an even map, 1 for a map of the losses
            themselves. NaN, like the next three, where it cannot tell.
        bright: the mean loss where the map is bright, or a blurred copy of it if that is more.
        anywhere: the mean loss over the whole photo.
        best: the mean loss of a map of the losses themselves.
        shares: (rows, columns) the positive part of the map in the cells of the grid, adding up to
            1; all zero where there is none.
        drops: (rows, columns) the mean loss where squares around each cell are covered, signed.
    """

    word: VerdictWord
    reason: VerdictReason | None
    skill: float
    bright: float
    anywhere: float
    best: float
    shares: Floats
    drops: Floats


@dataclass(frozen=True)
class Consistency:
    """A class in shifted copies of a photo: its probabilities, and where it is the most probable.

    Attributes:
        target: the class.
        shifted: (n,) its probability in copies that are shifted by up to half a cell of a 7 × 7
            grid.
        shifted_first: (n,) whether it is the most probable class there.
        mirrored: (n,) its probability in the mirrored copies of these.
        mirrored_first: (n,) as ``shifted_first``.
        shifted_maps: (n,) how alike the maps of the shifted copies are to a map of the photo, once
            they are shifted back: Pearson's r, -1 to 1. None where that was not asked for, or the
            map takes many runs.
        mirrored_maps: (n,) the same of the mirrored ones, mirrored back.
    """

    target: str
    shifted: Floats
    shifted_first: NDArray[np.bool_]
    mirrored: Floats
    mirrored_first: NDArray[np.bool_]
    shifted_maps: Floats | None = None
    mirrored_maps: Floats | None = None

    @property
    def map_likeness(self) -> float | None:
        """The mean of how alike the maps of all copies are to that of the photo."""
        if self.shifted_maps is None or self.mirrored_maps is None:
            return None
        return float(np.concatenate([self.shifted_maps, self.mirrored_maps]).mean())
