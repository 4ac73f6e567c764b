"""Answers of untrusted processes: known results are read, and nothing else."""

from __future__ import annotations

import functools
import io
import json
import math
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.attribution.outlines import outline
from cnnviz.attribution.smallest_parts import search_part
from cnnviz.cards import changed
from cnnviz.errors import (
    CardError,
    CnnvizError,
    ModelError,
    PhotoError,
    RefusedModelError,
    StorageError,
    WorkerError,
)
from cnnviz.features.class_exemplars import find_class_exemplars
from cnnviz.features.exemplars import find_exemplars
from cnnviz.features.objectives import (
    OF_CLASSES,
    AscentQuestion,
    AscentState,
    Objective,
    PictureCheck,
)
from cnnviz.photos.preprocessing import network_view
from cnnviz.photos.sources import SeenPhoto
from cnnviz.results import Box, ClassActivationMap, Explanation, Filters, Outline, Prediction
from cnnviz.serving import answers
from cnnviz.serving.answer_checks import answers_question
from cnnviz.serving.answers import (
    MOST_BYTES,
    MOST_HEADER_BYTES,
    RESULTS,
    AnswerError,
    encode,
    encode_error,
    read_answer,
)
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.traces import StagedExplanation, Units, ValueTrace


def reader(data: bytes) -> Callable[[memoryview], None]:
    """Fills buffers with these bytes, as a pipe does that then ends."""
    stream = io.BytesIO(data)

    def receive(buffer: memoryview) -> None:
        if stream.readinto(buffer) != len(buffer):
            raise EOFError

    return receive


def through(result: Any, kind: Any) -> Any:
    """A result that was sent and read."""
    return read_answer(reader(b"".join(encode(result))), kind)


def message(header: Any, values: bytes = b"") -> bytes:
    """An answer with this header, which need not be a valid one."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">Q", len(text)) + text + values


PREDICTION = {
    "result": {
        "labels": ["cat", "dog"],
        "probabilities": {"array": 0},
        "logits": None,
        "exclusive": True,
    },
    "arrays": [["float32", [2]]],
}


def altered(changes: dict[str, Any]) -> dict[str, Any]:
    return PREDICTION | {"result": PREDICTION["result"] | changes}


# --- What functions return ------------------------------------------------------------------------


def test_every_result_is_read_unchanged(tiny: Any, photo: np.ndarray) -> None:
    network = tiny("flat")
    structure = through(outline(network), Outline)
    assert structure == outline(network)
    card = changed(network.card, title="Ünïcode & <b>")
    assert through(changed(card), type(card)) == card

    prediction = cnnviz.predict(network, photo)
    same = through(prediction, Prediction)
    assert (same.labels, same.exclusive) == (prediction.labels, prediction.exclusive)
    np.testing.assert_array_equal(same.probabilities, prediction.probabilities)
    np.testing.assert_array_equal(same.logits, prediction.logits)
    assert same.probabilities.dtype == prediction.probabilities.dtype

    weights = cnnviz.filters(network, "conv1")
    same_weights = through(weights, Filters)
    np.testing.assert_array_equal(same_weights.kernels, weights.kernels)
    np.testing.assert_array_equal(same_weights.per_filter.norm, weights.per_filter.norm)
    assert same_weights.per_layer.norm == weights.per_layer.norm
    assert f"{same_weights.per_layer.norm:.3f}" == f"{weights.per_layer.norm:.3f}"

    maps = cnnviz.activations(network, photo, ["conv1", "conv2"])
    same_maps = through(maps, RESULTS["activations"])
    assert list(same_maps) == list(maps)
    for path, values in maps.items():
        np.testing.assert_array_equal(same_maps[path], values)
        same_maps[path][:] = 0  # it can be written, and has memory of its own

    one = cnnviz.class_activation_map(network, photo, "cat")
    (same_map,) = through(Explanation(prediction, (one,)), Explanation).maps
    assert vars(same_map) | {"values": 0} == vars(one) | {"values": 0}
    np.testing.assert_array_equal(same_map.values, one.values)
    assert through(None, RESULTS["prepare"]) is None

    search = search_part(network, photo, side=2)
    same_search = through(search, RESULTS["search_part"])
    for name, value in vars(search).items():
        np.testing.assert_array_equal(getattr(same_search, name), value, err_msg=name)


def test_exemplars_are_parts_of_the_photos_that_were_sent(tiny: Any, photo: np.ndarray) -> None:
    network = tiny("flat")
    pixels = network_view(photo, network.card.preprocessing)
    photos = tuple(SeenPhoto(name, photo.shape[:2], pixels) for name in ("a", "b"))
    found = find_exemplars(network, photos, "conv1", [1, 3])
    assert through(found, RESULTS["find_exemplars"]) == found
    model = ModelFile("a.keras", 0, 0, 0)
    asked = WorkerCall("find_exemplars", model, None, (photos, "conv1", (1, 3)))
    assert answers_question(asked, found)
    first = found.channels[0]
    elsewhere = Box(0, 0, photo.shape[1] + 1, 1)
    for changes in ({"photo": "c"}, {"box": elsewhere}, {"cell": Box(-1, 0, 1, 1)}):
        most = (replace(first.most[0], **changes), *first.most[1:])
        channels = (replace(first, most=most), found.channels[1])
        assert not answers_question(asked, replace(found, channels=channels))
    for other in (
        replace(found, channels=found.channels[:1]),
        replace(found, layer="conv2"),
        replace(found, photos=3),
        replace(found, channels=(replace(first, most=()), found.channels[1])),
    ):
        assert not answers_question(asked, other)
    nan = replace(first.most[0], value=math.nan)
    with pytest.raises(AnswerError):
        through(replace(found, channels=(replace(first, most=(nan,)),)), RESULTS["find_exemplars"])


def test_class_exemplars_are_photos_that_were_sent(tiny: Any, photo: np.ndarray) -> None:
    network = tiny("flat")
    pixels = network_view(photo, network.card.preprocessing)
    photos = tuple(SeenPhoto(name, photo.shape[:2], pixels) for name in ("a", "b"))
    labels = network.card.labels
    truths = {"a": labels[0]}
    found = find_class_exemplars(network, photos, (), truths)
    assert through(found, RESULTS["find_class_exemplars"]) == found
    asked = WorkerCall(
        "find_class_exemplars", ModelFile("a.keras", 0, 0, 0), None, (photos, (), truths)
    )
    assert answers_question(asked, found)
    at = next(at for at, one in enumerate(found) if one.count)
    best = found[at].confident[0]
    changes: list[dict[str, Any]] = [
        {"photo": "c"},
        {"truth": "horse"},
        {"probability": 1.5},
        {"certainty": math.inf},
    ]
    others = [replace(found[at], confident=(replace(best, **change),)) for change in changes]
    others += [replace(found[at], count=1), replace(found[at], confident=())]
    for other in others:
        assert not answers_question(asked, (*found[:at], other, *found[at + 1 :]))
    assert not answers_question(asked, ())


@pytest.mark.parametrize(
    "change",
    [
        {"cells": np.full((2, 2), 0.5)},
        {"cells": np.zeros((3, 2))},
        {"tried": np.zeros((2, 2, 2))},
        {"probability": np.nan},
        {"runs": 0},
        {"stage": "dig"},
    ],
)
def test_a_search_whose_parts_do_not_fit_is_refused(
    tiny: Any, photo: np.ndarray, change: dict[str, Any]
) -> None:
    search = search_part(tiny("flat"), photo, side=2)
    with pytest.raises(AnswerError):
        through(replace(search, **change), RESULTS["search_part"])


def test_a_search_goes_on_with_what_was_asked(tiny: Any, photo: np.ndarray) -> None:
    search = search_part(tiny("flat"), photo, side=2)
    options = {"target": None, "keep": True, "side": 2, "filling": "blur"}
    model = ModelFile("a.keras", 0, 0, 0)
    first = WorkerCall("search_part", model, None, (photo, None), options)
    assert answers_question(first, search)
    assert not answers_question(first, replace(search, keep=False))
    assert not answers_question(replace(first, options=options | {"side": 1}), search)
    later = replace(first, args=(photo, search))
    assert answers_question(later, search)
    assert not answers_question(later, replace(search, target="dog" + search.target))


ASCENT = AscentQuestion((Objective(None, 0), Objective(None, 2)), replace(OF_CLASSES, side=4))


def ascent_state(step: int = 3) -> AscentState:
    values = np.random.default_rng(2).random((2, 3, 4, 3, 2), np.float32)
    pictures = np.full((2, 4, 4, 3), 200, np.uint8)
    return AscentState(step, values, values, values, np.ones((2, step), np.float32), pictures)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros((2, 3), np.float32)},
        {"values": np.ones((2, 4), np.float32)},
        {"values": np.full((2, 3), np.nan, np.float32)},
        {"pictures": np.zeros((2, 4, 4, 3), np.float32)},
        {"parameters": np.zeros((2, 3, 4, 3, 2), np.uint8)},
        {"pictures": np.zeros((3, 4, 4, 3), np.uint8)},
        {"step": 4},
    ],
)
def test_an_ascent_whose_parts_do_not_fit_is_refused(change: dict[str, Any]) -> None:
    state = ascent_state()
    same = through(state, RESULTS["ascend"])
    np.testing.assert_array_equal(same.pictures, state.pictures)
    assert same.pictures.dtype == np.uint8
    with pytest.raises(AnswerError):
        through(replace(state, **change), RESULTS["ascend"])


def test_an_ascent_goes_on_with_what_was_asked() -> None:
    model, state = ModelFile("a.keras", 0, 0, 0), ascent_state()
    first = WorkerCall("ascend", model, None, (ASCENT, None, 3))
    assert answers_question(first, state)
    assert not answers_question(first, ascent_state(2))
    larger = replace(ASCENT, ascent=replace(ASCENT.ascent, side=5))
    assert not answers_question(replace(first, args=(larger, None, 3)), state)
    assert answers_question(replace(first, args=(ASCENT, ascent_state(1), 2)), state)
    check = WorkerCall("check_pictures", model, None, (ASCENT.objectives, state.pictures, 0, 8))
    said = PictureCheck(np.ones((2, 8), np.float32), ("a", "b"))
    assert answers_question(check, said)
    assert not answers_question(check, replace(said, labels=()))
    assert not answers_question(check, replace(said, values=said.values[:, 1:]))


def test_odd_arrays_are_read_unchanged() -> None:
    arrays = {
        "slices": np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        "nothing": np.zeros((0, 3), np.float64),
        "half": np.array([1.5, np.inf, np.nan], np.float16),
        "big endian": np.arange(3, dtype=">f4"),
    }
    same = through(arrays, dict[str, answers.Floats])
    for name, values in arrays.items():
        assert same[name].shape == values.shape
        np.testing.assert_array_equal(same[name], values, err_msg=name)


@pytest.mark.parametrize(
    "error",
    [
        CardError("a card"),
        RefusedModelError("no", "zip-bomb"),
        PhotoError("a photo", "damaged"),
        StorageError("a disk", full=True),
        ModelError("a path that is no text: \udcff\udc80, Ünïcode, 模型"),
    ],
)
def test_errors_for_people_are_read(error: CnnvizError) -> None:
    with pytest.raises(CnnvizError) as caught:
        read_answer(reader(b"".join(encode_error(error))), Prediction)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    assert vars(caught.value) == vars(error)


def test_names_that_are_too_long_become_an_error() -> None:
    """Each takes as many bytes as in UTF-8, and no more."""
    scores = np.zeros(2, np.float32)
    most = "模" * ((MOST_HEADER_BYTES - 200) // 3)
    assert through(Prediction((most, "b"), scores, None), Prediction).labels == (most, "b")
    with pytest.raises(ModelError, match=r"classes take 8\.0 MB, and at most 8 MB can be shown"):
        encode(Prediction((most, "b" * 200), scores, None))


# --- What they do not return ----------------------------------------------------------------------

BAD = {
    "nothing": b"",
    "part of a length": b"\0\0\0",
    "a huge header": struct.pack(">Q", 1 << 62),
    "a header beyond the limit": struct.pack(">Q", MOST_HEADER_BYTES + 1),
    "a header that ends early": struct.pack(">Q", 1000) + b"{}",
    "a pickle": message(b"\x80\x04\x95\x00."),
    "no text": message(b"\xff\xfe"),
    "deep nesting": message(b"[" * 100_000),
    "a number of too many digits": message(b"9" * 10_000),
    "no object": message([1]),
    "no result": message({"arrays": []}),
    "no list of arrays": message({"result": None}),
    "too many arrays": message({"result": None, "arrays": [["float32", [0]]] * 10_001}),
    "values that end early": message(PREDICTION, bytes(7)),
    "objects": message(PREDICTION | {"arrays": [["object", [2]]]}, bytes(16)),
    "an object's short name": message(PREDICTION | {"arrays": [["O", [2]]]}, bytes(16)),
    "records": message(PREDICTION | {"arrays": [["f4,O", [2]]]}, bytes(24)),
    "texts": message(PREDICTION | {"arrays": [["U1000000000", [2]]]}),
    "integers": message(PREDICTION | {"arrays": [["int64", [2]]]}, bytes(16)),
    "a type that is no text": message(PREDICTION | {"arrays": [[4, [2]]]}, bytes(8)),
    "a negative side": message(PREDICTION | {"arrays": [["float32", [-1]]]}),
    "a side that is no number": message(PREDICTION | {"arrays": [["float32", ["2"]]]}, bytes(8)),
    "a side that is a float": message(PREDICTION | {"arrays": [["float32", [2.0]]]}, bytes(8)),
    "a side that is True": message(PREDICTION | {"arrays": [["float32", [True]]]}, bytes(4)),
    "a huge side": message(PREDICTION | {"arrays": [["float32", [1 << 70]]]}),
    "a huge product": message(PREDICTION | {"arrays": [["float32", [1 << 27] * 3]]}),
    "sides whose product overflows to 0": message(
        PREDICTION | {"arrays": [["float32", [1 << 22, 1 << 22, 1 << 22]]]}
    ),
    "too many bytes together": message(
        PREDICTION | {"arrays": [["float32", [MOST_BYTES // 8]]] * 3}
    ),
    "too many axes": message(PREDICTION | {"arrays": [["float32", [1] * 6]]}, bytes(4)),
    "another array than there is": message(altered({"probabilities": {"array": 1}}), bytes(8)),
    "a negative index": message(altered({"probabilities": {"array": -1}}), bytes(8)),
    "a list in place of an array": message(altered({"probabilities": [0.5, 0.5]}), bytes(8)),
    "no array": message(altered({"probabilities": None}), bytes(8)),
    "other labels": message(altered({"labels": ["cat", 7]}), bytes(8)),
    "a text in place of labels": message(altered({"labels": "cat"}), bytes(8)),
    "a number in place of a switch": message(altered({"exclusive": 1}), bytes(8)),
    "more labels than probabilities": message(altered({"labels": ["a", "b", "c"]}), bytes(8)),
    "a matrix of probabilities": message(PREDICTION | {"arrays": [["float32", [1, 2]]]}, bytes(8)),
    "no labels": message(
        altered({"labels": []}) | {"arrays": [["float32", [0]]]},
    ),
    "another field": message(altered({"__class__": "os"}), bytes(8)),
    "another error": message({"error": "SystemExit", "message": "x", "attributes": {}}),
    "an error that the server raises": message(
        {"error": "WorkerError", "message": "x", "attributes": {}}
    ),
    "an error without a message": message({"error": "ModelError", "attributes": {}}),
    "an error with other attributes": message(
        {"error": "ModelError", "message": "x", "attributes": {"code": "x"}}
    ),
    "an error with a wrong attribute": message(
        {"error": "PhotoError", "message": "x", "attributes": {"code": 1}}
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_answer_is_refused(case: str) -> None:
    with pytest.raises((AnswerError, EOFError)):
        read_answer(reader(BAD[case]), Prediction)


def test_the_answer_to_another_question_is_refused(tiny: Any) -> None:
    good = message(PREDICTION, bytes(8))
    assert read_answer(reader(good), Prediction).labels == ("cat", "dog")
    for kind in (Outline, Explanation, Filters, type(None), dict[str, answers.Floats], int):
        with pytest.raises(AnswerError):
            read_answer(reader(good), kind)
    # A card is checked as one of a person.
    structure = json.loads(encode(outline(tiny("flat")))[1])
    structure["result"]["card"]["labels"] = []
    with pytest.raises(AnswerError, match="no valid ModelCard"):
        read_answer(reader(message(structure)), Outline)


def refused(result: Any, kind: Any) -> bool:
    """Whether this result of another process is refused for how its parts fit."""
    try:
        through(result, kind)
    except AnswerError as error:
        return "do not fit together" in str(error)
    return False


@pytest.mark.parametrize(
    "shape", [(), (0,), (2, 3), (2, 0, 3), (2, 3, 0), (1, 2, 2, 3), (1, 1, 2, 2, 3)]
)
def test_activations_are_maps_or_vectors(shape: tuple[int, ...]) -> None:
    question = WorkerCall("activations", ModelFile("m.keras", 0, 0, 0), args=(None, ("a", "b")))
    good = {"a": np.zeros((2, 2, 3), np.float32), "b": np.zeros(3, np.float32)}
    kind = RESULTS["activations"]
    assert answers_question(question, through(good, kind))
    bad = through(good | {"b": np.zeros(shape, np.float32)}, kind)
    assert not answers_question(question, bad)


def test_an_explanation_has_maps_of_classes_that_there_are() -> None:
    prediction = Prediction(("a", "b"), np.zeros(2, np.float32), None)
    one = ClassActivationMap(np.zeros((3, 3), np.float32), "cam", "conv", "a", 1.0, None)
    assert not refused(Explanation(prediction, (one,)), Explanation)
    assert refused(Explanation(prediction, ()), Explanation)
    bad: dict[str, list[Any]] = {
        "values": [np.zeros(shape, np.float32) for shape in ((9,), (0, 3), (3, 3, 1))],
        "target": ["c"],
        "method": ["magic"],
    }
    for name, values in bad.items():
        for value in values:
            assert refused(
                Explanation(prediction, (one, replace(one, **{name: value}))), Explanation
            )
    for scores in ([0.5, np.nan], [np.inf, 0], [0.5], [[0.5, 0.5]]):
        wrong = replace(prediction, probabilities=np.array(scores))
        assert refused(wrong, Prediction)
        assert refused(replace(prediction, logits=np.array(scores)), Prediction)
        assert refused(Explanation(wrong, (one,)), Explanation)


def test_stages_have_maps_of_channels_that_there_are(tiny: Any, photo: np.ndarray) -> None:
    good = cnnviz.explain_stages(tiny("flat"), photo)
    assert not refused(good, StagedExplanation)
    stage, *others = good.stages
    first, *later = good.explanation.maps
    assert stage.fields is not None
    for changed_stage in (
        {"maps": stage.maps[..., :1]},
        {"maps": stage.maps[:0]},
        {"channels": 1},
        {"limits": (0.0,)},
        {"fields": replace(stage.fields, input=(0, 8))},
        {"fields": replace(stage.fields, step=(1,))},
    ):
        changed_stages = (replace(stage, **changed_stage), *others)
        assert refused(replace(good, stages=changed_stages), StagedExplanation), changed_stage
    listed, terms = good.listed, good.terms[0]
    assert listed is not None
    for changes in (
        {"stages": (stage,) * 6},
        {"units": (Units("dense", np.zeros((2, 2), np.float32)),)},
        {"listed": replace(listed, channels=listed.channels[1:])},
        {"listed": replace(listed, products=listed.products[:-1])},
        {"listed": replace(listed, limits=())},
        {"terms": good.terms[1:]},
        {"terms": (replace(good.terms[0], order=()), *good.terms[1:])},
        {"terms": (replace(terms, order=(), terms=()), *good.terms[1:])},
        {"terms": (replace(terms, rest=math.nan), *good.terms[1:])},
        {"terms": (replace(terms, terms=(math.inf, *terms.terms[1:])), *good.terms[1:])},
        {"explanation": replace(good.explanation, maps=())},
        {
            "explanation": replace(
                good.explanation, maps=(replace(first, values=first.values[1:]), *later)
            )
        },
        {"listed": None},
        {"listed": replace(listed, maps=None)},
        {"listed": replace(listed, count=1)},
        {"listed": replace(listed, products=listed.products[:, 1:])},
        {"listed": replace(listed, products=listed.products * math.nan)},
        {"listed": replace(listed, channels=(*listed.channels[:-1], 1 << 40))},
    ):
        assert refused(replace(good, **changes), StagedExplanation), changes
    question = WorkerCall("explain_stages", ModelFile("m.keras", 0, 0, 0), args=(None, ("a",)))
    assert not answers_question(question, good)


def test_filters_have_statistics_of_each_filter(tiny: Any) -> None:
    good = cnnviz.filters(tiny("flat"), "conv1")
    assert not refused(good, Filters)
    count = good.kernels.shape[-1]
    pointwise = np.zeros((1, 1, count, 5), np.float32)
    assert not refused(replace(good, biases=None, pointwise=pointwise), Filters)
    for changes in (
        {"kernels": good.kernels[0]},
        {"kernels": good.kernels[:0]},
        {"biases": np.zeros(count + 1, np.float32)},
        {"pointwise": pointwise},  # the biases belong to these
        {"biases": None, "pointwise": pointwise[:, :, 1:]},
        {"per_filter": good.per_layer},
        {"per_filter": replace(good.per_filter, norm=good.per_filter.norm[1:])},
        {"per_layer": good.per_filter},
    ):
        assert refused(replace(good, **changes), Filters), changes.keys()


def test_an_outline_has_sizes_and_methods_that_there_are(tiny: Any) -> None:
    good = outline(tiny("flat"))
    first, *others = good.layers
    for changes in (
        {"input_shape": ()},
        {"input_shape": (None, 8, 8)},
        {"methods": ()},
        {"methods": ("magic",)},
        {"outputs": {"scores": -1}},
        {"layers": (replace(first, output_shape=(None, -8, 8, 3)), *others)},
        {"layers": (replace(first, parameters=-1), *others)},
        {"layers": (replace(first, kernel_shape=(3, 3)), *others)},
        {"calls": good.calls[::-1]},
        {"calls": (*good.calls, good.calls[-1])},
        {"calls": (replace(good.calls[0], shape=(-8, 8, 3)), *good.calls[1:])},
    ):
        assert refused(replace(good, **changes), Outline), changes
    with pytest.raises(AnswerError, match="integer that is too large"):
        through(replace(good, parameters=1 << 2000), Outline)


@pytest.mark.parametrize("case", ["shared_layer", "skip_connections"])
def test_an_outline_may_name_operations_and_second_calls(tiny: Any, case: str) -> None:
    structure = outline(tiny(case))
    paths = {layer.path for layer in structure.layers}
    assert structure.last_spatial not in paths or not structure.makers.keys() <= paths
    assert through(structure, Outline) == structure


def test_an_answer_is_about_what_was_asked() -> None:
    model = ModelFile("m.keras", 0, 0, 0)
    ask = functools.partial(WorkerCall, model=model)
    layers, maps = ask("activations", args=(None, ("b", "a", "b"))), np.zeros((2, 2, 3))
    assert answers_question(layers, {"b": maps, "a": maps})
    for given in ({}, {"b": maps}, {"b": maps, "c": maps}, {"a": maps, "b": maps, "c": maps}):
        assert not answers_question(layers, given)

    prediction = Prediction(("a", "b"), np.zeros(2, np.float32), None)
    one = ClassActivationMap(np.zeros((3, 3), np.float32), "cam", "conv", "a", 1.0, None)
    for targets, count in (((), 1), (("a",), 1), (("a", "b"), 2)):
        question = ask("explain", args=(None, targets))
        assert answers_question(question, Explanation(prediction, (one,) * count))
        assert not answers_question(question, Explanation(prediction, (one,) * (count + 1)))


def test_filters_are_of_the_layer_that_was_asked_for(tiny: Any) -> None:
    filters, model = cnnviz.filters(tiny("flat"), "conv1"), ModelFile("m.keras", 0, 0, 0)
    assert answers_question(WorkerCall("filters", model, args=("conv1",)), filters)
    assert not answers_question(WorkerCall("filters", model, args=("conv2",)), filters)


def test_a_trace_has_patches_of_its_cells(tiny: Any, photo: np.ndarray) -> None:
    good = cnnviz.trace_value(tiny("flat"), photo, "conv2", 1, 2, 3)
    read = through(good, ValueTrace)
    assert replace(read, terms=()) == replace(good, terms=())
    for one, other in zip(read.terms, good.terms, strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
    term, field = good.terms[0], good.field
    nothing = np.zeros((0, 3), np.float32)
    for changes in (
        {"field": replace(field, box=Box(0, 0, 1 << 40, 3))},
        {"field": replace(field, box=Box(3, 0, 3, 3))},
        {"field": replace(field, box=Box(-1, 0, 3, 3))},
        {"inputs": (replace(good.inputs[0], shape=(0, 6, 4)),)},
        {"terms": (replace(term, channel=4),)},
        {"others": -12},
        {"terms": (replace(term, rows=(), inputs=nothing, weights=nothing),)},
        {"shape": ()},
        {"shape": (6, 0, 5)},
        {"inputs": ()},
        {"inputs": (replace(good.inputs[0], shape=(6, 6)),)},
        {"field": replace(good.field, size=(12,))},
        {"terms": (replace(term, rows=term.rows[1:]),)},
        {"terms": (replace(term, weights=term.weights[:2]),)},
        {"terms": (replace(term, layer="other"),)},
    ):
        assert refused(replace(good, **changes), ValueTrace), changes


def test_a_trace_is_of_the_cell_that_was_asked_for(tiny: Any, photo: np.ndarray) -> None:
    model = ModelFile("m.keras", 0, 0, 0)
    network = tiny("flat")
    trace = cnnviz.trace_value(network, photo, "conv2", 1, 2, 1)
    of_map = cnnviz.trace_class_map(network, photo, 1, 2, "dog")
    for cell, right in (
        (("conv2", 1, 2, 1), True),
        (("conv1", 1, 2, 1), False),
        (("conv2", 0, 2, 1), False),
        (("conv2", 1, 2, 4), False),
    ):
        question = WorkerCall("trace_value", model, args=(photo, *cell))
        assert answers_question(question, trace) == right
        assert not answers_question(question, of_map)
    for place, right in (
        ((1, 2, "dog"), True),
        ((1, 2, 1), True),
        ((1, 2, None), True),
        ((1, 2, "cat"), False),
        ((1, 2, 0), False),
        ((2, 1, "dog"), False),
    ):
        question = WorkerCall("trace_class_map", model, args=(photo, *place))
        assert answers_question(question, of_map) == right
        assert not answers_question(question, trace)


def test_random_damage_gives_an_answer_or_an_error(tiny: Any, photo: np.ndarray) -> None:
    """Whatever is read can be copied, printed and computed with."""
    chance = random.Random(3)
    network = tiny("flat")
    good = [
        (b"".join(encode(result)), kind)
        for result, kind in (
            (cnnviz.predict(network, photo), Prediction),
            (cnnviz.filters(network, "conv1"), Filters),
            (cnnviz.activations(network, photo, ["conv2"]), RESULTS["activations"]),
        )
    ]
    read = 0
    for _ in range(3_000):
        data, kind = chance.choice(good)
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            # Most of them in the header.
            where = chance.randrange(min(len(damaged), chance.choice((10, 600, 1 << 20))))
            damaged[where] = chance.choice((chance.randrange(256), *b'0129-[]{}",:'))
        if chance.random() < 0.1:
            del damaged[chance.randrange(len(damaged)) :]
        try:
            result = read_answer(reader(bytes(damaged)), kind)
        except (AnswerError, EOFError):
            continue
        read += 1
        arrays = result.values() if isinstance(result, dict) else vars(result).values()
        for one in arrays:
            if isinstance(one, np.ndarray):
                assert one.copy().dtype.kind == "f"
                with np.errstate(all="ignore"):
                    assert repr(one.astype(np.float64).sum())
    # Damage to the values themselves cannot be seen.
    assert 0 < read < 3_000


def test_random_bytes_are_no_answer() -> None:
    chance = random.Random(4)
    for _ in range(500):
        data = chance.randbytes(chance.randrange(200))
        for sent in (data, message(data)):
            with pytest.raises((AnswerError, EOFError)):
                read_answer(reader(sent), Outline)


def test_every_function_has_a_type() -> None:
    from cnnviz.serving import worker_process

    assert RESULTS.keys() == worker_process._FUNCTIONS.keys()
    assert not issubclass(AnswerError, CnnvizError)
    assert "WorkerError" not in answers._ERRORS
    assert issubclass(WorkerError, CnnvizError)
