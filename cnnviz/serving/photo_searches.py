"""Searches among many photos, part by part, in worker processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnnviz.features.merging import COUNT, merged, merged_classes
from cnnviz.results import ClassExemplars, Exemplars
from cnnviz.serving import workers

if TYPE_CHECKING:
    from cnnviz.cards import ModelCard
    from cnnviz.features.searches import PhotoSearch
    from cnnviz.serving.model_files import ModelFile

# The exemplars of channels, or of each class.
Found = Exemplars | tuple[ClassExemplars, ...]


def look_on(
    model: ModelFile,
    question: PhotoSearch,
    earlier: Found | None,
    start: int,
    stop: int,
    card: ModelCard | None = None,
) -> Found:
    """What is found once some more photos have been looked at.

    Args:
        model: the model.
        question: the search.
        earlier: what was found among the photos before; None for none.
        start: number of the first photo to look at.
        stop: number of the first one to leave.
        card: takes the place of the model's own card.

    Raises:
        PhotoError: a photo cannot be read.
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``find_exemplars`` and ``find_class_exemplars``.
    """
    photos = question.seen(start, stop)
    if question.layer is not None:
        some = workers.find_exemplars(model, photos, question.layer, question.channels, card)
        return some if earlier is None else merged([cast(Exemplars, earlier), some], COUNT)
    truths = question.truths
    known = {photo.name: truths[photo.name] for photo in photos if photo.name in truths}
    of_classes = workers.find_class_exemplars(model, photos, known, card)
    if earlier is None:
        return of_classes
    return merged_classes([cast("tuple[ClassExemplars, ...]", earlier), of_classes], COUNT)
