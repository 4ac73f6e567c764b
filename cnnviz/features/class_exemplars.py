"""The photos that a network takes for a class: the surest, the most doubtful, the surest errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cnnviz.errors import DataError
from cnnviz.features.exemplars import Progress, batch_inputs, batches
from cnnviz.features.merging import COUNT, surest, unsure
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, read_prediction
from cnnviz.photos.sources import SeenPhoto
from cnnviz.results import ClassExemplar, ClassExemplars, Prediction


def find_class_exemplars(
    network: Network,
    photos: Iterable[SeenPhoto],
    classes: Sequence[str | int] = (),
    truths: Mapping[str, str] | None = None,
    *,
    count: int = COUNT,
    progress: Progress | None = None,
) -> tuple[ClassExemplars, ...]:
    """The photos that a network takes for each class, that is, for the most probable one.

    They are ordered by the odds of the class, from the logits where these are known: many
    probabilities are 1 after rounding. Only a batch of photos is in memory at a time.

    Args:
        network: the network.
        photos: as it sees them; each is read once.
        classes: names or numbers of classes; all if empty.
        truths: the true class of photos, by the photo's name, as far as it is known.
        count: photos that are kept of each class and kind.
        progress: is told after each batch how many photos are done; what it raises ends the search.

    Raises:
        TargetError: there is no such class.
        DataError: there is no photo.
        ModelError: the network's answer is not a number, or holds no probabilities.
    """
    labels = network.card.labels
    wanted = [class_index(network, one) for one in classes] or list(range(len(labels)))
    truths = truths or {}
    facts = passes.facts(network)
    taken: dict[int, int] = defaultdict(int)
    confident: dict[int, list[ClassExemplar]] = defaultdict(list)
    doubtful: dict[int, list[ClassExemplar]] = defaultdict(list)
    wrong: dict[int, list[ClassExemplar]] = defaultdict(list)
    done = 0
    for batch in batches(photos, facts.batch_size):
        values = passes.forward(network, batch_inputs(network, batch, facts.batch_size))
        for number, photo in enumerate(batch):
            logits = None if values.logits is None else values.logits[number]
            prediction = read_prediction(network, facts.head, values.output[number], logits)
            label = prediction.index
            if label not in wanted:
                continue
            truth = truths.get(photo.name, "")
            probability = float(prediction.probabilities[label])
            one = ClassExemplar(photo.name, probability, truth, certainty(prediction))
            taken[label] += 1
            confident[label] = surest([*confident[label], one], count)
            doubtful[label] = unsure([*doubtful[label], one], count)
            if truth not in {"", labels[label]}:
                wrong[label] = surest([*wrong[label], one], count)
        done += len(batch)
        if progress is not None:
            progress(done)
    if not done:
        raise DataError("There are no photos to choose from.")
    return tuple(
        ClassExemplars(
            labels[label],
            taken[label],
            *(tuple(kind[label]) for kind in (confident, doubtful, wrong)),
        )
        for label in wanted
    )


def certainty(prediction: Prediction) -> float:
    """How sure a network is of the most probable class; only to be compared.

    The logarithm of the class's odds, or its logit where classes do not exclude each other; its
    probability where logits are not known.

    Example:
        >>> from cnnviz.results import Prediction
        >>> logits = np.array([60.0, 20.0])
        >>> certainty(Prediction(("cat", "dog"), np.array([1.0, 0.0]), logits))
        40.0
    """
    best = prediction.index
    if prediction.logits is None:
        return float(prediction.probabilities[best])
    logits = prediction.logits.astype(np.float64)
    if not prediction.exclusive or len(logits) == 1:
        return float(logits[best])
    return float(logits[best] - np.logaddexp.reduce(np.delete(logits, best)))
