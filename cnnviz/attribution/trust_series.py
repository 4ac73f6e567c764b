"""The runs of a network that test a map, and those that test a prediction.

None of them depends on the map or the class: each run is kept with the answers for all classes, so
that the runs on a photo judge every map of it, and every prediction for it (``trust``). What is
covered is a square of 2 × 2 cells: one cell is often too small for a network to miss it, and the
mean over the squares around a cell is less noisy than one run. NumPy is imported inside functions,
as in ``formulas``.
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
    """How far each class is ahead of all others (N, C), from the scores (N, C).

    Where one class excludes the others it is the class's logit less the logarithm of the summed
    exponentials of theirs, which is log p / (1 - p); a sigmoid's logit is that already. Unlike a
    logit this does not change where all logits rise together, and unlike a probability it does not
    saturate.
    """
    import numpy as np

    wide = scores.astype(np.float64)
    output, logits = subject.values.output, subject.values.logits
    if logits is None:
        likely = np.clip(wide, _CLOSEST, 1 - _CLOSEST)
        return np.log(likely) - np.log(1 - likely)
    # The two sides of a single unit have its logit, and the same negated.
    if output.shape[-1] == 1 or subject.judges_each:
        return wide
    # The verdict says so where there is what is not a number.
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = wide - _log_sum(wide)
        rest = np.log1p(-np.exp(shares))
        # The others of the likeliest class are added up: 1 less its share would be 0 too soon.
        likeliest = np.argmax(shares, axis=1)[:, None]
        others = shares.copy()
        np.put_along_axis(others, likeliest, -np.inf, axis=1)
        np.put_along_axis(rest, likeliest, _log_sum(others), axis=1)
        return shares - rest


def _log_sum(values: Floats) -> Floats:
    """(N, 1): the logarithm of the summed exponentials of values (N, C)."""
    import numpy as np

    return np.logaddexp.reduce(values, axis=1, keepdims=True)


def _cells(subject: Subject) -> int:
    return min(SIDE, *subject.inputs.shape[:2])


def _covered(subject: Subject, where: NDArray[np.bool_]) -> Floats:
    """Copies (n, h, w, C) of the network's input, with the cells (n, side, side) blurred."""
    import numpy as np

    from cnnviz.photos.masking import enlarged

    size = subject.inputs.shape[:2]
    masks = np.stack([enlarged(cells, *size) for cells in where])[..., None]
    return np.where(masks, subject.blurred, subject.inputs)


def _answers(subject: Subject, where: NDArray[np.bool_], numbers: range, count: int) -> Floats:
    """(1, 1 + count, C): the log-odds for the photo, and with the cells of these runs covered."""
    import numpy as np

    # No number that is read of them has more digits, and there may be a thousand classes.
    rows = np.zeros((1, 1 + count, subject.base_scores.shape[1]), np.float32)
    if numbers.start == 0:
        rows[0, :1] = log_odds(subject, subject.base_scores)
    scores = subject.all_scores(_covered(subject, where))
    rows[0, 1 + numbers.start : 1 + numbers.stop] = log_odds(subject, scores)
    return rows


def _cover_squares(subject: Subject, numbers: range, count: int) -> Floats:
    where = squares(_cells(subject))[numbers.start : numbers.stop]
    return _answers(subject, where, numbers, count)


def squares(side: int) -> NDArray[np.bool_]:
    """((side + 1)², side, side): squares of 2 × 2 cells of a grid, in steps of one cell.

    Those at the edges stand out by one cell, so that each cell is in four squares.
    """
    import numpy as np

    first, cell = np.arange(side + 1)[:, None] - 1, np.arange(side)
    along = (cell == first) | (cell == first + 1)
    return (along[:, None, :, None] & along[None, :, None, :]).reshape(-1, side, side)


def _cover_halves(subject: Subject, numbers: range, count: int) -> Floats:
    import numpy as np

    side = _cells(subject)
    where = np.zeros((len(numbers), side, side), bool)
    for cells, number in zip(where, numbers, strict=True):
        # The same half for a run, whichever part it is in.
        rng = np.random.default_rng([side, number])
        cells.flat[rng.permutation(side * side)[: side * side // 2]] = True
    return _answers(subject, where, numbers, count)


def _shift_copies(subject: Subject, numbers: range, count: int) -> Floats:
    """(1, count, C): the probabilities in each copy."""
    import numpy as np

    answers = subject.predictions(shifted(subject.inputs, numbers))
    return in_place(np.stack([one.probabilities for one in answers])[None], numbers, count)


def shifted(inputs: Floats, numbers: range) -> Floats:
    """Copies (n, h, w, C) of a network's input (h, w, C), shifted; those from ``SHIFTED`` mirrored.

    They go in eight directions, by half a cell of the grid; the pixels at the edge fill the gap.
    """
    import numpy as np

    height, width = inputs.shape[:2]
    copies = []
    for number in numbers:
        down, right = copy_shift(number, height, width)
        rows, columns = np.arange(height) - down, np.arange(width) - right
        if is_mirrored(number):
            columns = columns[::-1]
        copy = inputs[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
        copies.append(copy)
    return np.stack(copies)


def copy_shift(number: int, height: int, width: int) -> tuple[int, int]:
    """By how many pixels of an input the copy of this number is shifted, down and to the right."""
    directions = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    down, right = directions[number % SHIFTED]
    return down * max(1, round(height * REACH)), right * max(1, round(width * REACH))


def is_mirrored(number: int) -> bool:
    """Whether the copy of this number is mirrored, once it is shifted."""
    return number >= SHIFTED


# The log-odds of all classes for the photo, and where squares of it are covered.
SQUARES = Series(lambda subject, _: (_cells(subject) + 1) ** 2, _cover_squares)
# The same where a random half of the cells is covered.
RANDOM_HALVES = Series(lambda subject, _: HALVES, _cover_halves)
# The probabilities of all classes for shifted and mirrored copies.
SHIFTED_COPIES = Series(lambda subject, _: 2 * SHIFTED, _shift_copies)
