"""Many photos explained: threads decode them while the network runs on the batch before."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnviz.attribution.details import CELLS
from cnnviz.attribution.explanations import explain_inputs, sized
from cnnviz.attribution.localization import THRESHOLD, find_parts
from cnnviz.attribution.methods import MANY_PASSES
from cnnviz.attribution.series_runs import Progress
from cnnviz.errors import CnnvizError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.preprocessing import picture_view, scale_pixels
from cnnviz.results import Explanation, PhotoResult
from cnnviz.settings import read_settings

Item = TypeVar("Item")
Result = TypeVar("Result")
# The result of a photo so far, and its network input (1, h, w, C); None if it failed.
_DecodedPhoto = tuple[PhotoResult, NDArray[np.float32] | None]

# Batches that are decoded ahead, so that the network does not wait for them.
_BATCHES_AHEAD = 2
# Batches that are run at once: where one leaves a processor idle, the other uses it.
_BATCHES_AT_ONCE = 2


def explain_many(
    network: Network,
    paths: Sequence[str | Path],
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    runs: int | None = None,
    progress: Progress | None = None,
    detail: str = CELLS,
    threshold: float = THRESHOLD,
    keep_photos: bool = False,
) -> Iterator[PhotoResult]:
    """``explain`` for many photos, in their order, and where the first class of each is.

    A photo that fails does not stop the others. Only a few batches are in memory at a time.

    Args:
        network: the network.
        paths: the photos' files.
        targets: as in ``explain``.
        method: as in ``explain``.
        layer: as in ``explain``.
        against: as in ``explain``; a photo of that class fails, unless ``targets`` are named.
        runs: as in ``explain``.
        progress: as in ``explain``, for one photo after the other.
        detail: as in ``explain``.
        threshold: of the parts and the box, as in ``find_box``.
        keep_photos: whether the results hold the photos too.

    Raises:
        TargetError: there is no such class, method or detail, or one of them does not fit. It
            is raised by the call itself, before a photo is read.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model;
            raised by the call itself, too.
        ModelError: TensorFlow cannot run the network; raised by the call itself, too.
    """
    check_choices(network, targets, method=method, layer=layer, against=against, detail=detail)
    network = sized(network, detail, layer)
    steps = network.card.preprocessing

    def decode(path: str | Path) -> _DecodedPhoto:
        path = Path(path)
        try:
            picture = open_picture(path)
        except CnnvizError as error:
            return PhotoResult(path, error=error), None
        inputs = scale_pixels(picture_view(picture, steps), steps.scaling)[None]
        photo = np.asarray(picture) if keep_photos else None
        return PhotoResult(path, (picture.height, picture.width), photo=photo), inputs

    def complete(result: PhotoResult, answer: Explanation | CnnvizError) -> PhotoResult:
        if isinstance(answer, CnnvizError):
            return replace(result, error=answer)
        parts = find_parts(answer.maps[0], *result.size, steps, threshold)
        return replace(result, explanation=answer, parts=parts)

    def explain_batch(photos: list[_DecodedPhoto]) -> list[PhotoResult]:
        inputs = [pixels for _, pixels in photos if pixels is not None]
        answers: Iterator[Explanation | CnnvizError] = iter(())
        if inputs:
            # TensorFlow traces the network again for another number of photos, LiteRT does not.
            padding = size - len(inputs) if network.compiled else 0
            batch = np.concatenate([*inputs, *(inputs[-1:] * padding)])
            answers = iter(
                explain_inputs(
                    network,
                    batch,
                    targets,
                    method=method,
                    layer=layer,
                    against=against,
                    runs=runs,
                    progress=report,
                    detail=detail,
                )
            )
        return [
            result if pixels is None else complete(result, next(answers))
            for result, pixels in photos
        ]

    stopped = threading.Event()

    def report(done: int, of: int) -> None:
        # A photo may take many seconds, for which nobody who has stopped should have to wait.
        if stopped.is_set():
            raise CancelledError
        if progress is not None:
            progress(done, of)

    def results() -> Iterator[PhotoResult]:
        with threads("decode") as decoders, threads("network", at_once) as runners:
            photos = map_in_order(decoders, decode, paths, _BATCHES_AHEAD * size)
            batches = iter(lambda: list(islice(photos, size)), [])
            try:
                for batch in map_in_order(runners, explain_batch, batches, at_once - 1):
                    yield from batch
            finally:
                stopped.set()

    size = min(passes.facts(network).batch_size, len(paths))
    at_once = _BATCHES_AT_ONCE
    if method in MANY_PASSES:
        # The runs of one photo fill the batches.
        size = at_once = 1
    return results()


def check_choices(
    network: Network,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    detail: str = CELLS,
) -> None:
    """Checks that ``explain`` can answer with these arguments, on a black picture.

    Of a method that takes many runs, one is enough.

    Raises:
        TargetError: there is no such class, method or detail, or one of them does not fit.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    network = sized(network, detail, layer)
    steps = network.card.preprocessing
    black = np.zeros((1, steps.height, steps.width, steps.channels), np.float32)
    explain_inputs(
        network,
        black,
        targets,
        method=method,
        layer=layer,
        against=against,
        runs=1,
        detail=detail,
    )


def map_in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Each item's result in the items' order, with at most ``ahead`` more submitted."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


@contextmanager
def threads(name: str, count: int | None = None) -> Iterator[Executor]:
    """Threads, one for each processor if None: Pillow and NumPy let others run meanwhile."""
    pool = ThreadPoolExecutor(count or read_settings().threads or os.cpu_count(), name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
