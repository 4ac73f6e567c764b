"""What the process of a training job tells of its batches, once a second at most.

On a busy machine a write takes longer, and comes more rarely: it never takes more than a fiftieth
of the training's time.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnviz.training.live_batches import MOST_BATCHES
from cnnviz.training.runs import BatchFigures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.serving.training_jobs import TrainingJob

# Seconds between two writes, and the least in times of what the last one took.
_PAUSE, _PAUSES = 1.0, 50

Photos = Callable[[int, int], "tuple[NDArray[np.uint8], list[str]]"]


class BatchRecorder:
    """Keeps the figures of the latest batches, and writes them with photos of the last one."""

    def __init__(
        self, job: TrainingJob, photos: Photos, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A recorder before the first batch.

        Args:
            job: the training.
            photos: gives the first photos (k, h, w, C) of a batch, by epoch and step, and their
                classes.
            clock: the time in seconds.
        """
        self._job = job
        self._photos = photos
        self._clock = clock
        self._batches: deque[BatchFigures] = deque(maxlen=MOST_BATCHES)
        self._next = -math.inf

    def note(self, batch: BatchFigures) -> None:
        """Keeps a batch's figures, and writes those of the latest ones where it is time."""
        self._batches.append(batch)
        begun = self._clock()
        if begun < self._next:
            return
        photos, labels = self._photos(batch.epoch, batch.step)
        self._job.report_batches(list(self._batches), photos, labels)
        self._next = begun + max(_PAUSE, _PAUSES * (self._clock() - begun))
