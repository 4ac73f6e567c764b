"""The runs of a network that test a map, and those that test a prediction.

None of them depends on the map: what a class loses where a part of the photo is covered is found
once, and judges every map of the same photo and class (``trust``). What is covered is a square of
2 × 2 cells: one cell is often too small for a network to miss it, and the mean over the squares
around a cell is less noisy than one run. NumPy is imported inside functions, as in ``formulas``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.attribution.series import Series, in_place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject

# Cells along each side of the grid; a network's input with fewer pixels has one a pixel.
SIDE = 7
# Squares that cover a cell.
_TIMES = 4
# Times that a random half of the cells is covered. With two places of which either suffices, both
# are covered in a quarter of the runs, and with four in a sixteenth: all 40 miss these in 8 %.
HALVES = 40
# Copies of a photo that are only shifted; as many are mirrored, too.
SHIFTED = 8
# How far a copy is shifted at most, as a share of the input's side: half a cell of the grid.
REACH = 1 / (2 * SIDE)
# Probabilities of networks without logits are kept so far from 0 and 1, as far as float32 tells.
_CLOSEST = 1e-6


def log_odds(subject: Subject, scores: Floats) -> Floats:
    """How far classes are ahead of all others (N, T), from the scores (N, C) of all classes.

    Where one class excludes the others it is the class's logit less the logarithm of the summed
    exponentials of theirs, which is log p / (1 - p); a sigmoid's logit is that already. With a
    class to compare with it is log p / q, the difference of both logits. Unlike a logit this does
    not change where all logits rise together, and unlike a probability it does not saturate.
    """
    import numpy as np

    wide = scores.astype(np.float64)
    output, logits = subject.values.output, subject.values.logits
    if logits is None:
        likely = np.clip(wide, _CLOSEST, 1 - _CLOSEST)
        wide, rest = np.log(likely), np.log(1 - likely)
    targets = list(subject.targets)
    # The two sides of a single unit have its logit, and the same negated.
    single = output.shape[-1] == 1
    if subject.against is not None and not (single and logits is not None):
        return wide[:, targets] - wide[:, [subject.against]]
    if logits is None:
        return wide[:, targets] - rest[:, targets]
    if single or subject.judges_each:
        return wide[:, targets]
    others = [np.delete(wide, target, axis=1) for target in targets]
    return np.stack(
        [wide[:, target] - _log_sum(rest) for target, rest in zip(targets, others, strict=True)], 1
    )


def _log_sum(values: Floats) -> Floats:
    import numpy as np

    return np.logaddexp.reduce(values, axis=1)


def _cells(subject: Subject) -> int:
    return min(SIDE, *subject.inputs.shape[:2])


def _falls(subject: Subject, inputs: Floats) -> Floats:
    """(T, n): how far the log-odds of the classes fall on n changed inputs."""
    base = log_odds(subject, subject.base_scores)
    return (base - log_odds(subject, subject.all_scores(inputs))).T


def _covered(subject: Subject, where: NDArray[np.bool_]) -> Floats:
    """Copies (n, h, w, C) of the network's input, with the cells (n, side, side) blurred."""
    import numpy as np

    from cnnviz.photos.masking import enlarged

    size = subject.inputs.shape[:2]
    masks = np.stack([enlarged(cells, *size) for cells in where])[..., None]
    return np.where(masks, subject.blurred, subject.inputs)


def _cover_squares(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, side, side): a quarter of each fall of the log-odds, in the cells that were covered."""
    import numpy as np

    where = squares(_cells(subject))[numbers.start : numbers.stop]
    return np.tensordot(_falls(subject, _covered(subject, where)), where / _TIMES, 1)


def squares(side: int) -> NDArray[np.bool_]:
    """((side + 1)², side, side): squares of 2 × 2 cells of a grid, in steps of one cell.

    Those at the edges stand out by one cell, so that each cell is in four squares.
    """
    import numpy as np

    first, cell = np.arange(side + 1)[:, None] - 1, np.arange(side)
    along = (cell == first) | (cell == first + 1)
    return (along[:, None, :, None] & along[None, :, None, :]).reshape(-1, side, side)


def _cover_halves(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, count): how far they fall where a random half of the cells is covered."""
    import numpy as np

    side = _cells(subject)
    where = np.zeros((len(numbers), side, side), bool)
    for cells, number in zip(where, numbers, strict=True):
        # The same half for a run, whichever part it is in.
        rng = np.random.default_rng([side, number])
        cells.flat[rng.permutation(side * side)[: side * side // 2]] = True
    return in_place(_falls(subject, _covered(subject, where)), numbers, count)


def _shift_copies(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, count, 2): in each copy the class's probability, and whether it is the most probable."""
    import numpy as np

    answers = subject.predictions(shifted(subject.inputs, numbers))
    found = [
        [
            (answer.probabilities[target], float(answer.index == target))
            for target in subject.targets
        ]
        for answer in answers
    ]
    return in_place(np.array(found).swapaxes(0, 1), numbers, count)


def shifted(inputs: Floats, numbers: range) -> Floats:
    """Copies (n, h, w, C) of a network's input (h, w, C), shifted; those from ``SHIFTED`` mirrored.

    They go in eight directions, by half a cell of the grid; the pixels at the edge fill the gap.
    """
    import numpy as np

    height, width = inputs.shape[:2]
    directions = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    copies = []
    for number in numbers:
        down, right = directions[number % SHIFTED]
        rows = np.arange(height) - down * max(1, round(height * REACH))
        columns = np.arange(width) - right * max(1, round(width * REACH))
        if number >= SHIFTED:
            columns = columns[::-1]
        copy = inputs[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
        copies.append(copy)
    return np.stack(copies)


# The mean fall of the log-odds, cell by cell, over the squares that cover it.
CELL_DROPS = Series(lambda subject, _: (_cells(subject) + 1) ** 2, _cover_squares)
# The fall of the log-odds without a random half of the cells.
HALF_DROPS = Series(lambda subject, _: HALVES, _cover_halves)
# The prediction for shifted and mirrored copies.
SHIFTED_COPIES = Series(lambda subject, _: 2 * SHIFTED, _shift_copies)
