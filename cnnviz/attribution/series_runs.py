"""Runs the parts of a series: see ``series``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, blur
from cnnviz.attribution import map_terms
from cnnviz.attribution.methods import METHODS, Method
from cnnviz.attribution.series import Series, SeriesQuestion
from cnnviz.attribution.trust_series import CELL_DROPS, HALF_DROPS, SHIFTED_COPIES
from cnnviz.errors import TargetError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, class_scores, read_prediction
from cnnviz.networks.values import PassValues
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Explanation, Prediction, SeriesPart

# Runs of one part, where the caller does not say how many.
_AT_ONCE = 16
# The deviation of the blurred copy, as a share of the photo's shorter side.
_BLUR = 0.1

# All series, by key: those of methods, and the tests of maps and predictions.
SERIES = {key: method.series for key, method in METHODS.items() if method.series is not None} | {
    "cell-drops": CELL_DROPS,
    "half-drops": HALF_DROPS,
    "shifted-copies": SHIFTED_COPIES,
}

# Is told how many runs are done, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """A photo, classes of a network and a layer: what a series of runs is about.

    Attributes:
        network: the network.
        inputs: (h, w, C) the network's input for the photo.
        targets: numbers of the T classes.
        against: number of the class whose score is subtracted, if one is.
        strength: the factor with which it is.
        layer: path of the layer that a method reads; None for those that read the photo alone.
        values: of a run on the photo, with the layer's output.
        shown: (h, w) the map that is tested; None for a series that tests none.
    """

    network: Network
    inputs: Floats
    targets: tuple[int, ...]
    against: int | None
    strength: float
    layer: str | None
    values: PassValues
    shown: Floats | None = None

    @functools.cached_property
    def base(self) -> Floats:
        """The scores (T,) for the photo as it is."""
        return self._of_targets(self.base_scores)[0]

    @functools.cached_property
    def base_scores(self) -> Floats:
        """The scores (1, C) of all classes for the photo as it is."""
        return class_scores(self.values.output, self.values.logits)

    @property
    def judges_each(self) -> bool:
        """Whether each class is judged by itself, as sigmoids do."""
        return passes.facts(self.network).head.activation == "sigmoid"

    @functools.cached_property
    def blurred(self) -> Floats:
        """A blurred copy (h, w, C) of the network's input, in place of what is taken away."""
        return blur(self.inputs, _BLUR * min(self.inputs.shape[:2]))

    @property
    def maps(self) -> Floats:
        """The layer's output (h, w, K) for the photo."""
        return self.values.layers[cast(str, self.layer)][0]

    def scores(self, inputs: NDArray[np.floating]) -> Floats:
        """The scores (N, T) for network inputs (N, h, w, C): logits where there are some."""
        return self._of_targets(self.all_scores(inputs))

    def all_scores(self, inputs: NDArray[np.floating]) -> Floats:
        """The scores (N, C) of all classes for network inputs (N, h, w, C)."""
        runs = self._runs(inputs)
        return np.concatenate([class_scores(run.output, run.logits) for run in runs])

    def predictions(self, inputs: NDArray[np.floating]) -> list[Prediction]:
        """The prediction for each of some network inputs (N, h, w, C).

        Raises:
            ModelError: an answer is not a number.
        """
        return [
            _prediction(self.network, run, number)
            for run in self._runs(inputs)
            for number in range(len(run.output))
        ]

    def _runs(self, inputs: NDArray[np.floating]) -> Iterator[PassValues]:
        size = passes.facts(self.network).batch_size
        for batch in np.split(inputs.astype(np.float32), range(size, len(inputs), size)):
            yield passes.forward(self.network, batch)

    def _of_targets(self, scores: Floats) -> Floats:
        own = scores[:, list(self.targets)].astype(np.float64)
        if self.against is None:
            return own
        return own - self.strength * scores[:, [self.against]]


def subject(
    network: Network,
    inputs: NDArray[np.float32],
    classes: Sequence[int],
    method: Method | None = None,
    layer: str | None = None,
    against: int | None = None,
) -> Subject:
    """What a series is about, from one run of the network on an input (1, h, w, C).

    Args:
        network: the network.
        inputs: for the photo.
        classes: numbers of the classes; the predicted one if empty.
        method: the method whose series it is; None for one that reads the photo alone.
        layer: the chosen layer; the last one with maps if None, for a method that reads a layer.
        against: number of the class whose score is subtracted, if one is chosen.

    Raises:
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    path = None
    if method is not None and method.needs == "layer":
        path = map_terms.maps_path(passes.facts(network).head, layer)
    values = passes.forward(network, inputs, [] if path is None else [path])
    if path is not None:
        map_terms.check_maps(path, values.layers[path])
    targets = tuple(classes) or (_prediction(network, values).index,)
    strength = 1.0 if method is None else method.strength
    return Subject(network, inputs[0], targets, against, strength, path, values)


def run(
    series: Series, about: Subject, wanted: int | None = None, progress: Progress | None = None
) -> tuple[Floats, int]:
    """The sum (T, ...) over all runs of a series, and their number.

    Args:
        series: the series.
        about: its subject.
        wanted: how many runs are wanted; the usual number if None.
        progress: is told after each part how many runs are done, and of how many; what it raises
            ends the series.
    """
    count = series.count(about, wanted)
    total: Floats | None = None
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        part = series.part(about, numbers, count)
        total = part if total is None else total + part
        if progress is not None:
            progress(numbers.stop, count)
    return cast(Floats, total), count


def explanation(method: Method, about: Subject, total: Floats, count: int) -> Explanation:
    """The prediction and the maps of a method, from the sum over all ``count`` runs.

    Raises:
        ModelError: the network's answer is not a number.
    """
    series = cast(Series, method.series)
    finish = cast(Callable[[Subject, Floats, int], Floats], series.maps)
    values = finish(about, total, count).astype(np.float32)
    labels = about.network.card.labels
    logit = about.values.logits is not None
    maps = tuple(
        ClassActivationMap(
            one,
            method.key,
            about.layer or "",
            labels[target],
            float(score),
            None,
            logit=logit,
            aggregate=method.aggregate,
            against=None if about.against is None else labels[about.against],
            of_class=method.of_class,
        )
        for one, target, score in zip(values, about.targets, about.base, strict=True)
    )
    return Explanation(_prediction(about.network, about.values), maps)


def run_part(
    network: Network, photo: PhotoInput, question: SeriesQuestion, start: int, stop: int
) -> SeriesPart:
    """What the runs from ``start`` to the one before ``stop`` give, or to the last one.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such series or class, it does not fit, or ``against`` is the target
            or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    if question.series not in SERIES:
        raise TargetError(f"There is no series {question.series!r}. Choose from {list(SERIES)}.")
    series, about = SERIES[question.series], _subject_of(network, photo, question)
    count = series.count(about, question.runs)
    return SeriesPart(series.part(about, range(start, min(stop, count)), count), count)


def explain_sum(
    network: Network, photo: PhotoInput, question: SeriesQuestion, total: Floats, count: int
) -> Explanation:
    """What a method's series has explained, from the sum over its ``count`` runs.

    Raises:
        as ``run_part``.
    """
    method = METHODS[question.series]
    return explanation(method, _subject_of(network, photo, question), total, count)


def _subject_of(network: Network, photo: PhotoInput, question: SeriesQuestion) -> Subject:
    method = METHODS.get(question.series)
    if method is not None:
        head = passes.facts(network).head
        map_terms.choose(head, method.key, question.layer, question.against)
    classes = [class_index(network, target) for target in question.targets]
    other = None if question.against is None else class_index(network, question.against)
    map_terms.check_different(network, classes, other)
    inputs = network_input(photo, network.card.preprocessing)
    about = subject(network, inputs, classes, method, question.layer, other)
    map_terms.check_different(network, about.targets, other)
    return dataclasses.replace(about, shown=question.shown)


def _prediction(network: Network, values: PassValues, number: int = 0) -> Prediction:
    logits = None if values.logits is None else values.logits[number]
    return read_prediction(network, passes.facts(network).head, values.output[number], logits)
