"""Channel rankings on maps whose answer can be read off."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.networks.channels import rank_channels

# Four channels of 2×2: a lone peak, dead, an even glow, negative only.
MAPS = np.stack(
    [
        [[0.0, 0.0], [0.0, 9.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[3.0, 3.0], [3.0, 4.0]],
        [[-1.0, 0.0], [-1.0, 0.0]],
    ],
    axis=-1,
)


def test_the_numbers_of_channels_by_hand() -> None:
    ranking = rank_channels(MAPS)
    # √((3 × 2.25² + 6.75²) / 4), and √(3 × 0.25² + 0.75²) / 2 of 3, 3, 3, 4.
    np.testing.assert_allclose(ranking.deviation, [15.1875**0.5, 0, 0.1875**0.5, 0.5])
    np.testing.assert_allclose(ranking.peak, [9, 0, 4, 0])
    np.testing.assert_allclose(ranking.mean, [2.25, 0, 3.25, -0.5])
    # Of the first, √(3·2.25² + 6.75²) / 2.
    np.testing.assert_allclose(ranking.deviation, [3.897114, 0, 0.433013, 0.5], rtol=1e-6)
    np.testing.assert_allclose(ranking.active, [0.25, 0, 1, 0.5])
    assert ranking.dead == (1,)


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("deviation", [0, 3, 2, 1]),
        ("peak", [0, 2, 1, 3]),
        ("mean", [2, 0, 1, 3]),
        ("active", [2, 3, 0, 1]),
    ],
)
def test_the_strongest_first_and_equals_by_number(by: str, order: list[int]) -> None:
    assert rank_channels(MAPS).order(by).tolist() == order


def test_channels_are_ranked_by_peak_by_default() -> None:
    assert rank_channels(MAPS).order().tolist() == [0, 2, 1, 3]


def test_a_channel_with_an_infinite_value_comes_last() -> None:
    maps = MAPS.copy()
    maps[0, 0, 0] = np.inf
    assert rank_channels(maps).order("deviation").tolist() == [3, 2, 1, 0]


def test_many_equal_channels_keep_their_order() -> None:
    maps = np.tile([1.0, 0.0], (2, 2, 150))
    assert rank_channels(maps).order().tolist() == [*range(0, 300, 2), *range(1, 300, 2)]


def test_a_vector_has_channels_too() -> None:
    ranking = rank_channels(np.array([0.0, 2.0, -1.0]))
    np.testing.assert_allclose(ranking.peak, [0, 2, -1])
    assert ranking.dead == (0,)
    assert ranking.order("mean").tolist() == [1, 0, 2]


def test_values_at_the_limit_of_float32_rank_the_other_channels_as_ever() -> None:
    largest = np.finfo(np.float32).max
    maps = np.array([[[0, largest, 1], [2, largest, 1], [0, largest, 2]]], np.float32)
    ranking = rank_channels(maps)
    np.testing.assert_allclose(ranking.mean[[0, 2]], [2 / 3, 4 / 3], rtol=1e-6)
    assert [channel for channel in ranking.order("deviation") if channel != 1] == [0, 2]
