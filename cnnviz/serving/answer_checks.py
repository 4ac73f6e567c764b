"""Whether an untrusted answer, whose types are right, is one that a network can give.

Its users, such as the pages, rely on the shapes of arrays, and on names that another part has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.attribution.details import DETAILS
from cnnviz.attribution.methods import METHODS
from cnnviz.features.objectives import AscentQuestion, AscentState, PictureCheck
from cnnviz.results import (
    Box,
    ClassExemplars,
    Exemplar,
    Exemplars,
    Explanation,
    Filters,
    LayerCall,
    LayerInfo,
    Outline,
    PartSearch,
    Prediction,
    SeriesPart,
    WeightStatistics,
)
from cnnviz.traces import (
    CellFields,
    ClassTerms,
    ListedChannels,
    StagedExplanation,
    TraceTerm,
    Units,
    ValueTrace,
)

if TYPE_CHECKING:
    from cnnviz.photos.sources import SeenPhoto
    from cnnviz.serving.worker_process import WorkerCall


# Stages for which the first page has a place.
_MOST_STAGES = 5


def fits_together(result: Any) -> bool:
    """Whether the parts of a result fit together."""
    match result:
        case Prediction():
            return _prediction_fits(result)
        case Explanation(prediction, maps):
            return (
                _prediction_fits(prediction)
                and len(maps) > 0
                and all(_is_filled(one.values, 2) for one in maps)
                and all({one.target, one.against} <= {*prediction.labels, None} for one in maps)
                and all(one.method in METHODS and one.detail in DETAILS for one in maps)
            )
        case StagedExplanation():
            return _staged_fits(result)
        case SeriesPart(values, count):
            return values.size > 0 and count > 0
        case PartSearch():
            return _search_fits(result)
        case Exemplars():
            return all(_exemplar_fits(one) for one in result.listed)
        case AscentState():
            return _ascent_fits(result)
        case PictureCheck(values):
            return _is_filled(values, 2) and bool(np.isfinite(values).all())
        case Filters():
            return _filters_fit(result)
        case Outline():
            return _outline_fits(result)
        case ValueTrace():
            return _trace_fits(result)
    return True


def answers_question(question: WorkerCall, result: Any) -> bool:
    """Whether a result that fits together is about what was asked."""
    match question.function:
        case "activations":
            # (h, w, K), or (K,) of a layer without maps.
            filled = all(_is_filled(one, 1, 3) for one in result.values())
            return filled and list(result) == list(dict.fromkeys(question.args[1]))
        case "explain":
            # Without classes, the predicted one is explained.
            return len(result.maps) == max(1, len(question.args[1]))
        case "explain_stages":
            targets = question.args[1]
            return not targets or len(result.explanation.maps) == len(targets)
        case "explain_sum":
            return len(result.maps) == max(1, len(question.args[1].targets))
        case "run_part":
            return len(result.values) == max(1, len(question.args[1].targets))
        case "search_part":
            return _follows(question.args[1], question.options, result)
        case "ascend":
            return _continues(question.args[0], question.args[1], question.args[2], result)
        case "check_pictures":
            objectives = question.args[0]
            labels = len(objectives) if objectives[0].layer is None else 0
            shape = len(objectives), question.args[3]
            return bool(result.values.shape == shape) and len(result.labels) == labels
        case "filters":
            return bool(result.layer == question.args[0])
        case "find_exemplars":
            photos, layer, channels = question.args
            return _chosen_from(photos, layer, channels, result)
        case "find_class_exemplars":
            photos, _, truths = question.args
            return _taken_from(photos, truths, result)
        case "trace_value":
            cell = (result.layer, result.row, result.column, result.channel)
            return bool(result.target is None and cell == question.args[1:])
        case "trace_class_map":
            _, row, column, target = question.args
            is_map = result.target is not None and len(result.shape) == 2
            asked = target is None or target in {result.target, result.channel}
            return bool(is_map and asked and (row, column) == (result.row, result.column))
    return True


def _chosen_from(
    photos: Sequence[SeenPhoto], layer: str, channels: Sequence[int], result: Exemplars
) -> bool:
    """Whether exemplars are those of these channels, and parts of these photos."""
    sizes = {photo.name: photo.size for photo in photos}
    return (
        (result.layer, result.photos) == (layer, len(photos))
        and [one.channel for one in result.channels] == list(channels)
        and all(one.most and one.least for one in result.channels)
        and all(
            one.photo in sizes and _is_on(box, sizes[one.photo])
            for one in result.listed
            for box in (one.box, one.cell)
        )
    )


def _taken_from(
    photos: Sequence[SeenPhoto], truths: Mapping[str, str], result: tuple[ClassExemplars, ...]
) -> bool:
    """Whether exemplars of classes are these photos, with what is known of them."""
    names = {photo.name for photo in photos}
    listed = [each for one in result for each in (*one.confident, *one.doubtful, *one.wrong)]
    return (
        len({one.label for one in result}) == len(result) > 0
        and sum(one.count for one in result) == len(photos)
        and all(bool(one.count) == bool(one.confident) for one in result)
        and all(
            each.photo in names
            and each.truth == truths.get(each.photo, "")
            and 0 <= each.probability <= 1
            and math.isfinite(each.certainty)
            for each in listed
        )
    )


def _exemplar_fits(one: Exemplar) -> bool:
    return math.isfinite(one.value) and math.isfinite(one.mean)


def _is_on(box: Box | None, size: tuple[int, int]) -> bool:
    """Whether a box, if there is one, is in a photo of (H, W)."""
    if box is None:
        return True
    height, width = size
    return 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height


def _is_filled(array: Floats, *axes: int) -> bool:
    """Whether an array has one of these numbers of axes, and values."""
    return array.ndim in axes and array.size > 0


def _prediction_fits(prediction: Prediction) -> bool:
    scores = [prediction.probabilities]
    if prediction.logits is not None:
        scores.append(prediction.logits)
    count = len(prediction.labels)
    return count > 0 and all(one.shape == (count,) and np.isfinite(one).all() for one in scores)


def _staged_fits(staged: StagedExplanation) -> bool:
    terms = staged.terms
    maps = staged.explanation.maps
    classes = [one.target for one in maps]
    return (
        fits_together(staged.explanation)
        and len({one.values.shape for one in maps}) == 1
        and len(staged.stages) <= _MOST_STAGES
        and all(
            _is_filled(stage.maps, 3)
            and stage.maps.shape[2] == len(stage.order)
            and all(0 <= channel < stage.channels for channel in stage.order)
            and len(stage.limits) == 2
            and (stage.fields is None or _fields_fit(stage.fields))
            for stage in staged.stages
        )
        and all(_is_filled(units.values, 1) for units in staged.units)
        and (not terms or [one.target for one in terms] == classes)
        and all(map(_terms_fit, terms))
        and (staged.listed is None) == (not terms)
        and (staged.listed is None or _listed_fit(staged.listed, terms, staged.units))
    )


def _fields_fit(fields: CellFields) -> bool:
    pairs = (fields.start, fields.step, fields.size, fields.input)
    return all(len(pair) == 2 for pair in pairs) and min(fields.input) > 0


def _terms_fit(terms: ClassTerms) -> bool:
    numbers = [*terms.terms, terms.rest, terms.bias, terms.score]
    return 0 < len(terms.order) == len(terms.terms) and bool(np.isfinite(numbers).all())


def _listed_fit(
    listed: ListedChannels, terms: Sequence[ClassTerms], units: Sequence[Units]
) -> bool:
    count = len(listed.channels)
    if listed.maps is not None:
        fits = _is_filled(listed.maps, 3) and listed.maps.shape[2] == count
    else:
        fits = len(units) > 0 and len(units[-1].values) == listed.count
    return (
        fits
        and listed.products.shape == (len(terms), count)
        and bool(np.isfinite(listed.products).all())
        and all(0 <= channel < listed.count for channel in listed.channels)
        and len(listed.limits) == 2
        and all(set(one.order) <= set(listed.channels) for one in terms)
    )


def _search_fits(search: PartSearch) -> bool:
    shape = search.cells.shape
    numbers = [search.before, search.probability, search.score]
    return (
        _is_filled(search.cells, 2)
        and bool(np.isin(search.cells, (0, 1)).all())
        and search.weights.shape == search.gains.shape == shape
        and search.tried.shape == (3, *shape)
        and bool(np.isfinite(numbers).all())
        and search.runs > 0
    )


def _follows(earlier: PartSearch | None, asked: dict[str, Any], search: PartSearch) -> bool:
    """Whether a search is the one that was asked for."""
    if earlier is None:
        same = (asked["keep"], asked["filling"]) == (search.keep, search.filling)
        return same and max(search.cells.shape) <= asked["side"]
    names = ("target", "keep", "filling", "before")
    return (
        all(getattr(earlier, name) == getattr(search, name) for name in names)
        and earlier.cells.shape == search.cells.shape
    )


def _ascent_fits(state: AscentState) -> bool:
    shape = state.parameters.shape
    return (
        state.mean.shape == state.square.shape == shape
        and state.pictures.dtype == np.uint8
        and state.pictures.ndim == 4
        and state.pictures.size > 0
        and state.values.shape == (len(state.pictures), state.step)
        and len(state.pictures) == len(state.parameters)
        and all(
            one.dtype == np.float32 and bool(np.isfinite(one).all())
            for one in (state.parameters, state.mean, state.square, state.values)
        )
    )


def _continues(
    question: AscentQuestion, earlier: AscentState | None, steps: int, state: AscentState
) -> bool:
    """Whether a state of an ascent is the one that was asked for."""
    done = 0 if earlier is None else earlier.step
    side = question.ascent.side
    count = len(question.objectives)
    return (
        state.step == min(done + steps, question.ascent.steps)
        and state.pictures.shape[:3] == (count, side, side)
        and state.pictures.shape[3] in (1, 3)
        and (earlier is None or earlier.parameters.shape == state.parameters.shape)
    )


def _filters_fit(filters: Filters) -> bool:
    kernels, biases, pointwise = filters.kernels, filters.biases, filters.pointwise
    last = kernels if pointwise is None else pointwise
    return (
        _is_filled(kernels, 4)
        and _is_filled(last, 4)
        and (pointwise is None or pointwise.shape[2] == kernels.shape[3])
        and (biases is None or biases.shape == last.shape[3:])
        and _have_shape(filters.per_filter, kernels.shape[3:])
        and _have_shape(filters.per_layer, ())
    )


def _have_shape(statistics: WeightStatistics, shape: tuple[int, ...]) -> bool:
    return all(one.shape == shape for one in vars(statistics).values())


def _outline_fits(outline: Outline) -> bool:
    # Maps may come from an operation, or a second call, that is not among the layers.
    return (
        len(outline.input_shape) == 4
        and all(map(_layer_fits, outline.layers))
        and _calls_fit(outline.calls)
        and len(outline.methods) > 0
        and METHODS.keys() >= set(outline.methods)
        and all(count > 0 for count in outline.outputs.values())
    )


def _calls_fit(calls: tuple[LayerCall, ...]) -> bool:
    """Whether each call has a path of its own, and takes the outputs of earlier ones alone."""
    earlier: set[str] = set()
    for call in calls:
        if call.path in earlier or not earlier.issuperset(call.inputs):
            return False
        if min(call.shape or (), default=0) < 0:
            return False
        earlier.add(call.path)
    return True


def _trace_fits(trace: ValueTrace) -> bool:
    shapes = {one.layer: one.shape for one in trace.inputs}
    return (
        len(trace.shape) in (1, 2, 3)
        and all(side > 0 for side in trace.shape)
        and (trace.field.box is None or _lies_within(trace.field.box, *trace.field.size))
        and all(len(shape) == 3 and min(shape) > 0 for shape in shapes.values())
        and {term.layer for term in trace.terms} <= shapes.keys()
        and all(_term_fits(term, shapes[term.layer][2]) for term in trace.terms)
        and trace.others >= 0
    )


def _lies_within(box: Box, height: int, width: int) -> bool:
    return 0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height


def _term_fits(term: TraceTerm, channels: int) -> bool:
    return (
        _is_filled(term.inputs, 2)
        and term.inputs.shape == term.weights.shape == (len(term.rows), len(term.columns))
        and 0 <= term.channel < channels
    )


def _layer_fits(layer: LayerInfo) -> bool:
    sizes = [size for size in layer.output_shape if size is not None]
    return (
        min(sizes, default=0) >= 0
        and layer.parameters >= 0
        and (layer.kernel_shape is None or len(layer.kernel_shape) == 4)
    )
