"""Runs the parts of a series: see ``series``."""

from __future__ import annotations

import dataclasses
import functools
import pickle  # nosec B403
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, blur
from cnnviz.attribution import finer_maps, map_terms
from cnnviz.attribution.details import CELLS
from cnnviz.attribution.faithfulness import TESTS, check_applies
from cnnviz.attribution.map_changes import COPIED_MAPS
from cnnviz.attribution.methods import METHODS, Method
from cnnviz.attribution.series import Series, SeriesQuestion
from cnnviz.attribution.trust_series import RANDOM_HALVES, SHIFTED_COPIES, SQUARES
from cnnviz.errors import TargetError
from cnnviz.networks import linear_heads, passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import (
    class_index,
    class_probabilities,
    class_scores,
    read_prediction,
)
from cnnviz.networks.values import PassValues
from cnnviz.photos.masking import BLUR
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Explanation, Prediction, SeriesPart

# Runs of one part, where the caller does not say how many.
_AT_ONCE = 16

# All series, by key: those of methods and of finer maps, and the tests of maps and predictions.
SERIES = {
    **{key: method.series for key, method in METHODS.items() if method.series is not None},
    **finer_maps.SHIFTS,
    **{key: test.series for key, test in TESTS.items()},
    "covered-squares": SQUARES,
    "covered-halves": RANDOM_HALVES,
    "shifted-copies": SHIFTED_COPIES,
    "copied-maps": COPIED_MAPS,
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
            For a test, that of the method of the tested map.
        values: of a run on the photo, for a method with the layer's output.
        shown: (h, w) the map that is tested; None for a series that tests none.
        method: of that map, or the method that is asked; None for a series that asks none.
    """

    network: Network
    inputs: Floats
    targets: tuple[int, ...]
    against: int | None
    strength: float
    layer: str | None
    values: PassValues
    shown: Floats | None = None
    method: Method | None = None

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
        return blur(self.inputs, BLUR * min(self.inputs.shape[:2]))

    @functools.cached_property
    def base_probabilities(self) -> Floats:
        """The probabilities (T,) for the photo as it is."""
        return self._shares(self.values.output)[0]

    @functools.cached_property
    def black(self) -> Floats:
        """The network's input (h, w, C) for a black photo."""
        steps = self.network.card.preprocessing
        photo = np.zeros((steps.height, steps.width, 3), np.uint8)
        return network_input(photo, steps)[0]

    @property
    def source(self) -> str:
        """Path of the network's input."""
        return passes.facts(self.network).topology.source

    @property
    def is_linear(self) -> bool:
        """Whether the scores are the layer's cells, each times a weight of its own, added up."""
        head, path = passes.facts(self.network).head, cast(str, self.layer)
        known = head.weighs(path) and linear_heads.weighs(head, frozenset({path}))
        return known and self.values.logits is not None

    @property
    def maps(self) -> Floats:
        """The layer's output (h, w, K) for the photo."""
        return self.values.layers[cast(str, self.layer)][0]

    def scores(self, inputs: NDArray[np.floating]) -> Floats:
        """The scores (N, T) for network inputs (N, h, w, C): logits where there are some."""
        return self._of_targets(self.all_scores(inputs))

    def all_scores(self, inputs: NDArray[np.floating]) -> Floats:
        """The scores (N, C) of all classes for network inputs (N, h, w, C)."""
        return np.concatenate([class_scores(run.output, run.logits) for run in self._runs(inputs)])

    def probabilities(self, inputs: NDArray[np.floating]) -> Floats:
        """The probabilities (N, T) for network inputs (N, h, w, C).

        With a class set against another one, the probability of the one out of the two.
        """
        return np.concatenate([self._shares(run.output) for run in self._runs(inputs)])

    def _runs(self, inputs: NDArray[np.floating]) -> list[PassValues]:
        return [passes.forward(self.network, batch) for batch in self.batches(inputs)]

    def _shares(self, outputs: Floats) -> Floats:
        every = class_probabilities(passes.facts(self.network).head, outputs)
        own = every[:, list(self.targets)]
        if self.against is None:
            return own
        both = own + every[:, [self.against]]
        return np.divide(own, both, out=np.full_like(own, 0.5), where=both > 0)

    def scores_from(self, maps: NDArray[np.floating]) -> Floats:
        """The scores (N, T) where the layer gives maps (N, h, w, K) in place of its own."""
        runs = [
            passes.forward_from(
                self.network,
                np.repeat(self.inputs[None], len(batch), axis=0),
                cast(str, self.layer),
                batch,
            )
            for batch in self.batches(maps)
        ]
        return self._of_targets(
            np.concatenate([class_scores(run.output, run.logits) for run in runs])
        )

    def gradients(self, path: str, inputs: NDArray[np.floating]) -> Floats:
        """The gradients (N, T, h, w, K) of the scores at a layer, for network inputs (N, ...)."""

        def of_class(target: int) -> Floats:
            runs = [
                passes.backward(self.network, batch, [path], target)
                for batch in self.batches(inputs)
            ]
            return np.concatenate([run.gradients[path] for run in runs]).astype(np.float64)

        own = np.stack([of_class(target) for target in self.targets], axis=1)
        if self.against is None:
            return own
        return own - self.strength * of_class(self.against)[:, None]

    def batches(self, arrays: NDArray[np.floating]) -> list[NDArray[np.float32]]:
        """Arrays (N, ...) in parts of as many as the network takes at once."""
        size = passes.facts(self.network).batch_size
        return np.split(arrays.astype(np.float32), range(size, len(arrays), size))

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
    return Subject(network, inputs[0], targets, against, strength, path, values, method=method)


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
    count = count_runs(series, about, wanted)
    total: Floats | None = None
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        part = series.part(about, numbers, count)
        total = part if total is None else total + part
        if progress is not None:
            progress(numbers.stop, count)
    return cast(Floats, total), count


def count_runs(series: Series, about: Subject, wanted: int | None) -> int:
    """How many runs a series takes.

    Raises:
        TargetError: fewer than one is wanted.
    """
    if wanted is not None and wanted < 1:
        raise TargetError(f"Expected at least one run. Received: {wanted}.")
    return series.count(about, wanted)


def explanation(
    method: Method, about: Subject, total: Floats, count: int, detail: str = CELLS
) -> Explanation:
    """The prediction and the maps of a method, from the sum over all ``count`` runs.

    Args:
        method: the method.
        about: the subject.
        total: the sum.
        count: how many runs it is of.
        detail: a key of ``DETAILS``; one of ``finer_maps.SHIFTS`` for a sum of its series, any
            other for one of the method's own series.

    Raises:
        ModelError: the network's answer is not a number.
    """
    if detail in finer_maps.SHIFTS:
        return with_prediction(about, finer_maps.from_shifts(about, total, detail))
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
    return with_prediction(about, maps)


def with_prediction(about: Subject, maps: tuple[ClassActivationMap, ...]) -> Explanation:
    """Maps of a subject's classes, with the prediction for its photo.

    Raises:
        ModelError: the network's answer is not a number.
    """
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
    series, about = SERIES[question.series], _same_subject(network, photo, question)
    count = count_runs(series, about, question.runs)
    return SeriesPart(series.part(about, range(start, min(stop, count)), count), count)


def explain_sum(
    network: Network, photo: PhotoInput, question: SeriesQuestion, total: Floats, count: int
) -> Explanation:
    """What the series of a method or a detail has explained, from the sum over its ``count`` runs.

    Raises:
        as ``run_part``.
    """
    about = _same_subject(network, photo, question)
    return explanation(cast(Method, about.method), about, total, count, question.series)


def _same_subject(network: Network, photo: PhotoInput, question: SeriesQuestion) -> Subject:
    """The subject of a question, which the parts of one series share.

    Its run of the network and its blurred copy take as long as a few runs of the series.
    """
    asked = pickle.dumps((photo, question))
    about = cast(Subject | None, network.subject.get(asked))
    # One with another card shares what is kept.
    if about is None or about.network is not network:
        about = _subject_of(network, photo, question)
        network.subject.clear()
        network.subject[asked] = about
    return about


def _subject_of(network: Network, photo: PhotoInput, question: SeriesQuestion) -> Subject:
    method, detail = METHODS.get(question.series), question.series in finer_maps.SHIFTS
    if method is not None or detail:
        head, key = passes.facts(network).head, question.method if detail else question.series
        method = map_terms.choose(head, key, question.layer, question.against)
    if method is not None and detail:
        finer_maps.check(network, method, question.series, question.layer)
    classes = [class_index(network, target) for target in question.targets]
    other = None if question.against is None else class_index(network, question.against)
    map_terms.check_different(network, classes, other)
    inputs = network_input(photo, network.card.preprocessing)
    about = subject(network, inputs, classes, method, question.layer, other)
    map_terms.check_different(network, about.targets, other)
    if question.series not in TESTS and SERIES[question.series] is not COPIED_MAPS:
        return dataclasses.replace(about, shown=question.shown)
    return tested(about, question.series, question.shown, question.method, question.layer)


def tested(
    about: Subject, test: str, shown: Floats | None, method: str | None, layer: str | None
) -> Subject:
    """A subject with the map that a series tests.

    Args:
        about: photo and class.
        test: the key of the series: one of ``faithfulness.TESTS``, or ``copied-maps``.
        shown: (h, w) raw and signed.
        method: the key of the method that it is by.
        layer: the layer that this method reads, if it reads one.

    Raises:
        TargetError: the map is not (h, w) finite numbers, there is no such method, or the test does
            not apply to it.
    """
    if shown is None or shown.ndim != 2 or not shown.size or not np.isfinite(shown).all():
        raise TargetError("Expected a map (h, w) of finite numbers to test.")
    if method not in METHODS:
        raise TargetError(f"There is no method {method!r}. Choose from {', '.join(METHODS)}.")
    if test in TESTS:
        check_applies(test, method)
    elif METHODS[method].series is not None:
        raise TargetError(
            f"A map of the method {method!r} takes many runs, and each copy of the photo needs one."
        )
    return dataclasses.replace(about, shown=shown, method=METHODS[method], layer=layer or None)


def _prediction(network: Network, values: PassValues, number: int = 0) -> Prediction:
    logits = None if values.logits is None else values.logits[number]
    return read_prediction(network, passes.facts(network).head, values.output[number], logits)
