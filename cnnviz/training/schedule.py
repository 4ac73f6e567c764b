"""When a training is finished, and the learning rate of its epochs. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.training.recipes import Recipe
from cnnviz.training.runs import Epoch, TrainingConfig, best_of, finished

# The share of all epochs without a better one after which the training stops: while the learning
# rate is high the figures go up and down.
PATIENCE = 1 / 3
MIN_PATIENCE = 5
# The share of the recipe's learning rate with which a finished training goes on: the mean of a
# cosine, and so the rate with which most was learned before.
RESTART = 0.5


def is_finished(config: TrainingConfig, history: Sequence[Epoch]) -> bool:
    """Whether all epochs are done, or too many in a row brought no improvement."""
    done = finished(history)
    if not done:
        return False
    since = max(best_of(history).number, config.continued_after)
    patience = max(MIN_PATIENCE, round(PATIENCE * config.epochs))
    return done >= config.epochs or done - since >= patience


def is_fine_tuning(recipe: Recipe, number: int) -> bool:
    """Whether an epoch belongs to the second stage of a recipe that has two."""
    return 0 < recipe.frozen < number


def learning_rate(
    recipe: Recipe, config: TrainingConfig, *, fine_tuning: bool
) -> tuple[float, int]:
    """The learning rate at which a stage begins, and the epochs in which it falls to 0.

    Where a finished training goes on within the stage, it begins again at ``RESTART`` times the
    recipe's rate (a warm restart: Loshchilov and Hutter 2017, SGDR).
    """
    first, last = 0, config.epochs
    if fine_tuning:
        first = recipe.frozen
    elif recipe.frozen:
        last = min(recipe.frozen, config.epochs)
    rate = recipe.fine_rate if fine_tuning else recipe.rate
    if config.continued_after > first:
        first, rate = config.continued_after, RESTART * rate
    # A stage that is over has no epochs left, and still needs a curve.
    return rate, max(1, last - first)


def describe_restart(recipe: Recipe, config: TrainingConfig) -> str:
    """What a person should know who goes on with a finished training, in two sentences."""
    first = config.continued_after + 1
    rate, _ = learning_rate(recipe, config, fine_tuning=is_fine_tuning(recipe, first))
    which = f"Epochs {first} to {config.epochs}" if first < config.epochs else f"Epoch {first}"
    return (
        f"{which}: the learning rate begins again at {rate:g} and falls "
        f"to 0. The result is not that of one training of {config.epochs} epochs."
    )
