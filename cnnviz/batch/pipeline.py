"""Many photos explained: threads decode them while the network runs on the batch before."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnviz.attribution.explanations import explain_inputs
from cnnviz.attribution.localization import find_box
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.preprocessing import picture_view, scale_pixels
from cnnviz.results import Explanation, PhotoResult

Item = TypeVar("Item")
Made = TypeVar("Made")
# A photo as it was read, and its network input (1, h, w, C); None where it could not be.
_Photo = tuple[PhotoResult, NDArray[np.float32] | None]

# Batches that are decoded ahead, so that the network does not wait for them.
_AHEAD = 2
# Batches that are run at once: where one leaves a processor idle, the other uses it.
_TOGETHER = 2


def explain_many(
    network: Network,
    paths: Sequence[Path],
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    keep_photos: bool = False,
) -> Iterator[PhotoResult]:
    """``explain`` for many photos, in their order, and the box of the first class of each.

    A photo that fails does not stop the others. Only a few batches are in memory at a time.

    Args:
        network: the network.
        paths: the photos' files.
        targets: as in ``explain``.
        method: as in ``explain``.
        layer: as in ``explain``.
        keep_photos: whether the results hold the photos too.

    Raises:
        TargetError: there is no such class or method, or the method does not fit. It comes
            from the call itself, before a photo is read.
        LayerError: there is no such layer, or it has no maps; from the call itself too.
    """
    check_choices(network, targets, method=method, layer=layer)
    steps = network.card.preprocessing

    def explain(inputs: NDArray[np.float32]) -> list[Explanation | ModelError]:
        return explain_inputs(network, inputs, targets, method=method, layer=layer)

    def read(path: Path) -> _Photo:
        try:
            picture = open_picture(path)
        except CnnvizError as error:
            return PhotoResult(path, error=error), None
        inputs = scale_pixels(picture_view(picture, steps), steps.scaling)[None]
        photo = np.asarray(picture) if keep_photos else None
        return PhotoResult(path, (picture.height, picture.width), photo=photo), inputs

    def complete(result: PhotoResult, found: Explanation | ModelError) -> PhotoResult:
        if isinstance(found, ModelError):
            return replace(result, error=found)
        box = find_box(found.maps[0].values, *result.size, steps)
        return replace(result, explanation=found, box=box)

    def explain_group(group: list[_Photo]) -> list[PhotoResult]:
        inputs = [given for _, given in group if given is not None]
        found = iter(explain(_fill(inputs, size)) if inputs else ())
        return [photo if given is None else complete(photo, next(found)) for photo, given in group]

    def results() -> Iterator[PhotoResult]:
        with threads("decode") as readers, threads("network", _TOGETHER) as runners:
            photos = in_order(readers, read, paths, _AHEAD * size)
            groups = iter(lambda: list(islice(photos, size)), [])
            for group in in_order(runners, explain_group, groups, _TOGETHER - 1):
                yield from group

    size = min(passes.any_pass(network).batch_size, len(paths))
    return results()


def check_choices(
    network: Network,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
) -> None:
    """Looks whether ``explain`` can do what is asked of it, on a black picture.

    Raises:
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, or it has no maps.
    """
    steps = network.card.preprocessing
    black = np.zeros((1, steps.height, steps.width, steps.channels), np.float32)
    explain_inputs(network, black, targets, method=method, layer=layer)


def in_order(
    pool: Executor, make: Callable[[Item], Made], items: Iterable[Item], ahead: int
) -> Iterator[Made]:
    """Each item's result in the items' order, with ``ahead`` of them under way or waiting."""
    waiting: deque[Future[Made]] = deque()
    for item in items:
        waiting.append(pool.submit(make, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def threads(name: str, count: int | None = None) -> Iterator[Executor]:
    """Threads, one for each processor if None: Pillow and NumPy let others run meanwhile."""
    pool = ThreadPoolExecutor(count or os.cpu_count(), name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(inputs: list[NDArray[np.float32]], size: int) -> NDArray[np.float32]:
    """A full batch, repeating the last photo: for a smaller one the network is traced again."""
    return np.concatenate([*inputs, *(inputs[-1:] * (size - len(inputs)))])
