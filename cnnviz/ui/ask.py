"""Questions to the networks: a worker answers each once, and Streamlit caches the answer.

A cache's key is the model's file, the card that replaces the file's own, the photo's key and the
other arguments. Arguments that begin with an underscore are not part of it. The caches
together hold at most ``CNNVIZ_CACHE_MB``; what was used longest ago is removed first.

What takes many runs is a sum over them, which the queue finds (``long_questions``); it is cached
here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn, TypeVar

import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution.details import CELLS, DOUBLE
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.cards import ModelCard, Preprocessing
from cnnviz.errors import WorkerError
from cnnviz.features.searches import PhotoSearch
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.results import (
    ClassActivationMap,
    Explanation,
    Filters,
    Outline,
    PartSearch,
    SeriesPart,
)
from cnnviz.serving import photo_searches, workers
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.photo_searches import Found
from cnnviz.traces import StagedExplanation, ValueTrace
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.text import plain

Answer = TypeVar("Answer")
# Channels whose exemplars are searched at once, and searches that are kept, of 0.5 MB each.
_CHANNELS = 64
_SEARCHES = 16


class _NotAskedError(Exception):
    """Nobody has had the answer yet; an error, since a cache keeps no errors."""


_LOOKING = "Looking for the evidence in the photo"
_also_of_photos: list[Callable[[], None]] = []


def outline(model: ModelFile, card: ModelCard | None = None) -> Outline:
    """The layers of a network, how it ends, and its card."""
    return _retried(lambda text: _outline(model, card, text), "Loading the network")


def first_outline(model: ModelFile, name: str) -> Outline:
    """The outline of a model that may be refused; the question is not repeated."""
    return _outline(model, None, f"Inspecting {plain(name)}")


def filters(model: ModelFile, layer: str) -> Filters:
    """A convolution's kernels, biases and statistics."""
    return _retried(lambda text: _filters(model, layer, text), "Reading the filters")


def activations(model: ModelFile, card: ModelCard | None, photo: LoadedPhoto, layer: str) -> Floats:
    """A layer's output for a photo: (h, w, K), or (K,)."""
    return _retried(
        lambda text: _activations(model, card, photo.seen_key, layer, photo, text),
        "Running the photo through the network",
    )


def explanation(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    targets: tuple[str, ...] = (),
    method: str | None = None,
    layer: str | None = None,
    against: str | None = None,
    detail: str = CELLS,
) -> Explanation:
    """The prediction for a photo, and a map for each target or for the predicted class.

    In the detail ``double`` it is the prediction for the photo at twice the size. What takes many
    runs is asked with ``long_questions`` instead.
    """
    how = method, layer, against, detail
    return _retried(
        lambda text: _explanation(model, card, photo.seen_key, targets, how, photo, text), _LOOKING
    )


def staged(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    targets: tuple[str, ...] = (),
) -> StagedExplanation:
    """The strongest maps of a few layers, and maps of classes, or of the five likeliest."""
    return _retried(
        lambda text: _staged(model, card, photo.seen_key, targets, photo, text),
        "Running the photo through the network",
    )


def known_staged(
    model: ModelFile, card: ModelCard | None, photo: LoadedPhoto
) -> StagedExplanation | None:
    """``staged`` without targets if it was answered before, for whomever; else None."""
    try:
        return _staged(model, card, photo.seen_key, (), photo, None)
    except _NotAskedError:
        return None


def stage_ahead(model: ModelFile, photo: LoadedPhoto) -> None:
    """Has ``staged`` be answered before a page asks, from a thread that draws nothing.

    Raises:
        TensorFlowNeededError: that needs TensorFlow, which is not started for it.
        CnnvizError: as ``staged``.
    """
    with workers.without_tensorflow():
        _outline(model, None, "")
        _staged(model, None, photo.seen_key, (), photo, "")


def series_explanation(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    question: SeriesQuestion,
    total: SeriesPart,
) -> Explanation:
    """The prediction for a photo and maps, from the sum over all runs of a series."""
    return _retried(
        lambda text: _series_explanation(model, card, photo.seen_key, question, total, photo, text),
        _LOOKING,
    )


def known_series(
    model: ModelFile, card: ModelCard | None, photo: LoadedPhoto, question: SeriesQuestion
) -> SeriesPart | None:
    """The sum over all runs of a series if it was found before, for whomever; else None."""
    try:
        return _series(model, card, photo.seen_key, question, _not_asked)
    except _NotAskedError:
        return None


def keep_series(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    question: SeriesQuestion,
    total: SeriesPart,
) -> SeriesPart:
    """Keeps the sum over all runs of a series, which the queue has found."""
    return _series(model, card, photo.seen_key, question, lambda: total)


def trace_value(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    layer: str,
    row: int,
    column: int,
    channel: int,
) -> ValueTrace:
    """Where one value of a layer comes from; its field on the photo is left out."""
    place = layer, row, column, channel
    return _retried(
        lambda text: _trace_value(model, card, photo.seen_key, place, photo, text),
        "Looking where the value comes from",
    )


def trace_class_map(
    model: ModelFile,
    card: ModelCard | None,
    photo: LoadedPhoto,
    cam: ClassActivationMap,
    row: int,
    column: int,
) -> ValueTrace:
    """Where one cell of a class activation map comes from; as ``trace_value``."""
    of = cam.target, cam.method, cam.layer, cam.against
    return _retried(
        lambda text: _trace_class_map(model, card, photo.seen_key, of, (row, column), photo, text),
        "Looking where the value comes from",
    )


def known_search(model: ModelFile, card: ModelCard | None, question: PhotoSearch) -> Found | None:
    """What a search among photos has found if it was made before, for whomever; else None."""
    try:
        return _search(model, card, question.compared, _not_asked)
    except _NotAskedError:
        return None


def keep_search(
    model: ModelFile, card: ModelCard | None, question: PhotoSearch, found: Found
) -> Found:
    """Keeps what a search among photos has found, from the queue."""
    return _search(model, card, question.compared, lambda: found)


def find_now(model: ModelFile, card: ModelCard | None, question: PhotoSearch) -> Found:
    """What a search among so few photos finds that the page can wait for it."""
    return _retried(
        lambda text: _search(
            model, card, question.compared, lambda: _look_at_all(model, card, question, text)
        ),
        "Looking through the photos",
    )


def _look_at_all(
    model: ModelFile, card: ModelCard | None, question: PhotoSearch, text: str
) -> Found:
    with _waiting(text):
        return photo_searches.look_on(model, question, None, 0, question.count, card)


def block_of(channel: int, count: int) -> tuple[int, ...]:
    """The channels that are searched together with one of so many: a run gives them all."""
    first = channel // _CHANNELS * _CHANNELS
    return tuple(range(first, min(first + _CHANNELS, count)))


def explain_view(
    model: ModelFile, card: ModelCard | None, changed: NetworkView, targets: tuple[str, ...]
) -> Explanation:
    """The prediction for a changed view of a photo, and a map for each target.

    Such as each stroke over a photo makes one: the answer is kept nowhere.
    """
    return _retried(lambda _: workers.explain(model, changed, targets, card=card), "")


def search_part(
    model: ModelFile,
    card: ModelCard | None,
    seen: NetworkView,
    search: PartSearch | None,
    keep: bool,
    side: int,
    filling: str,
) -> PartSearch:
    """The next step of a search for a part of a photo; it is kept nowhere."""
    return _retried(
        lambda _: workers.search_part(
            model, seen, search, keep=keep, side=side, filling=filling, card=card
        ),
        "",
    )


def view(photo: LoadedPhoto, preprocessing: Preprocessing) -> NetworkView:
    """A photo as a network with this preprocessing sees it."""
    return _view(photo.seen_key, preprocessing, photo)


def forget_photos() -> None:
    """Deletes the answers about photos, of all sessions: they are found again in milliseconds."""
    of_photos = (
        _activations,
        _explanation,
        _series_explanation,
        _series,
        _staged,
        _trace_value,
        _trace_class_map,
        _view,
    )
    for answers in of_photos:
        answers.clear()
    for clear in _also_of_photos:
        clear()


def forget_with_photos(clear: Callable[[], None]) -> None:
    """Has another cache that holds something of photos be cleared, too."""
    _also_of_photos.append(clear)


def _retried(question: Callable[[str], Answer], text: str) -> Answer:
    """The answer, requested again where the first process stopped.

    The warning stays outside the cached functions: these would show it again with each answer.
    """
    try:
        return question(text)
    except WorkerError as error:
        if not error.again:
            raise
        st.warning(plain(str(error)), icon=":material/restart_alt:")
    return question("Starting a new process, which takes a few seconds")


@contextmanager
def _waiting(text: str) -> Iterator[None]:
    """Says what a page waits for: TensorFlow, once that has to start; without a text nothing."""
    if not text:
        yield
        return
    with ExitStack() as shown:

        def show(text: str) -> None:
            shown.close()
            shown.enter_context(st.spinner(f"{text} …", show_time=True))

        def show_start() -> None:
            show("Starting TensorFlow for this question, which takes some seconds")

        show(text)
        with workers.announcing_tensorflow(show_start):
            yield


@st.cache_data(show_spinner=False)
def _outline(model: ModelFile, card: ModelCard | None, _text: str) -> Outline:
    with _waiting(_text):
        return workers.outline(model, card)


@st.cache_data(show_spinner=False)
def _filters(model: ModelFile, layer: str, _text: str) -> Filters:
    with _waiting(_text):
        return workers.filters(model, layer)


@st.cache_data(show_spinner=False)
def _activations(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    layer: str,
    _photo: LoadedPhoto,
    _text: str,
) -> Floats:
    seen = view(_photo, outline(model, card).card.preprocessing)
    with _waiting(_text):
        return workers.activations(model, seen, (layer,), card)[layer]


@st.cache_data(show_spinner=False)
def _explanation(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    targets: tuple[str, ...],
    how: tuple[str | None, str | None, str | None, str],
    _photo: LoadedPhoto,
    _text: str,
) -> Explanation:
    method, layer, against, detail = how
    steps = outline(model, card).card.preprocessing
    seen = view(_photo, steps.doubled() if detail == DOUBLE else steps)
    with _waiting(_text):
        return workers.explain(
            model,
            seen,
            targets,
            method=method,
            layer=layer,
            against=against,
            detail=detail,
            card=card,
        )


@st.cache_data(show_spinner=False)
def _series_explanation(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    question: SeriesQuestion,
    _total: SeriesPart,
    _photo: LoadedPhoto,
    _text: str,
) -> Explanation:
    # The sum follows from the other arguments.
    seen = view(_photo, outline(model, card).card.preprocessing)
    with _waiting(_text):
        return workers.explain_sum(model, seen, question, _total.values, _total.count, card)


@st.cache_data(show_spinner=False)
def _series(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    question: SeriesQuestion,
    _find: Callable[[], SeriesPart],
) -> SeriesPart:
    return _find()


def _not_asked() -> NoReturn:
    raise _NotAskedError


@st.cache_data(show_spinner=False)
def _staged(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    targets: tuple[str, ...],
    _photo: LoadedPhoto,
    _text: str | None,
) -> StagedExplanation:
    if _text is None:
        raise _NotAskedError
    seen = view(_photo, outline(model, card).card.preprocessing)
    with _waiting(_text):
        return workers.explain_stages(model, seen, targets, card=card)


@st.cache_data(show_spinner=False)
def _trace_value(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    place: tuple[str, int, int, int],
    _photo: LoadedPhoto,
    _text: str,
) -> ValueTrace:
    seen = view(_photo, outline(model, card).card.preprocessing)
    with _waiting(_text):
        return workers.trace_value(model, seen, *place, card=card)


@st.cache_data(show_spinner=False)
def _trace_class_map(
    model: ModelFile,
    card: ModelCard | None,
    key: str,
    of: tuple[str, str, str, str | None],
    cell: tuple[int, int],
    _photo: LoadedPhoto,
    _text: str,
) -> ValueTrace:
    target, method, layer, against = of
    seen = view(_photo, outline(model, card).card.preprocessing)
    with _waiting(_text):
        return workers.trace_class_map(
            model, seen, *cell, target, method=method, layer=layer, against=against, card=card
        )


@st.cache_resource(show_spinner=False, max_entries=_SEARCHES)
def _search(
    model: ModelFile,
    card: ModelCard | None,
    compared: tuple[str, str | None, tuple[int, ...]],
    _find: Callable[[], Found],
) -> Found:
    return _find()


@st.cache_data(show_spinner=False)
def _view(key: str, preprocessing: Preprocessing, _photo: LoadedPhoto) -> NetworkView:
    # The workers' card has no crop of its own: the pixels are those of this photo's.
    pixels = picture_view(_photo.decode(), _photo.seen_by(preprocessing))
    return NetworkView(pixels, preprocessing)
