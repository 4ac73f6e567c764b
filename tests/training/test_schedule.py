"""When a training is finished, and the learning rate of its stages."""

from __future__ import annotations

import dataclasses

import pytest

from cnnviz.training.recipes import RECIPES
from cnnviz.training.runs import Epoch, TrainingConfig
from cnnviz.training.schedule import describe_restart, is_finished, learning_rate

CONFIG = TrainingConfig("transfer", "", 8, 16, 0)


def epochs(accuracies: list[float]) -> list[Epoch]:
    return [Epoch(n, 1, 0, 1, accuracy, 1e-3, 1) for n, accuracy in enumerate(accuracies, 1)]


def test_patience_begins_again_where_a_finished_training_goes_on() -> None:
    worse = epochs([0.9] + [0.5] * 5)
    assert not is_finished(CONFIG, worse[:5])
    assert is_finished(CONFIG, worse)
    more = dataclasses.replace(CONFIG, epochs=20, continued_after=6)
    # A third of 20 epochs, after the sixth.
    for count, finished in ((6, False), (12, False), (13, True)):
        assert is_finished(more, epochs([0.9] + [0.5] * (count - 1))) is finished
    assert is_finished(more, epochs([0.5 + n / 100 for n in range(20)]))


@pytest.mark.parametrize(
    ("most", "after", "dense", "all_layers"),
    [
        # Four epochs of the dense layer, then four of all layers.
        (8, 0, (3e-3, 4), (2e-5, 4)),
        # Continued in the second stage, at its end, and in the first.
        (12, 8, (1.5e-3, 1), (1e-5, 4)),
        (8, 4, (1.5e-3, 1), (2e-5, 4)),
        (8, 2, (1.5e-3, 2), (2e-5, 4)),
        (2, 0, (3e-3, 2), (2e-5, 1)),
    ],
)
def test_the_learning_rate_of_two_stages(
    most: int, after: int, dense: tuple[float, int], all_layers: tuple[float, int]
) -> None:
    config = dataclasses.replace(CONFIG, epochs=most, continued_after=after)
    recipe = RECIPES["transfer"]
    assert learning_rate(recipe, config, fine_tuning=False) == pytest.approx(dense)
    assert learning_rate(recipe, config, fine_tuning=True) == pytest.approx(all_layers)


def test_the_rate_of_the_next_stage_is_named() -> None:
    config = dataclasses.replace(CONFIG, epochs=8, continued_after=4)
    assert "Epochs 5 to 8: the learning rate begins again at 2e-05" in describe_restart(
        RECIPES["transfer"], config
    )
