"""The rounds of the game: one photo is right, by what was measured, and the same seed repeats."""

from __future__ import annotations

import pytest

from cnnviz.features.guessing import CHOICES, CLEARLY, rounds
from cnnviz.results import ChannelExemplars, Exemplar, Exemplars


def channel(number: int, values: list[float]) -> ChannelExemplars:
    """A channel with these strongest activations in as many photos; nine are kept at each end."""
    every = [Exemplar(f"photo {at}", value, 0, None, None) for at, value in enumerate(values)]
    most = sorted(every, key=lambda one: -one.value)
    return ChannelExemplars(number, tuple(most[:9]), tuple(most[::-1][:9]))


def found(*channels: ChannelExemplars, photos: int = 12) -> Exemplars:
    return Exemplars("conv", photos, channels)


def test_the_right_photo_exceeds_all_others_clearly() -> None:
    # Eight near 1 and four near 5: a quarter of the range of 5 is 1.25.
    values = [1.0, 0.5, 1.5, 0.0, 0.8, 0.9, 1.1, 0.7, 5.0, 4.5, 4.0, 3.9]
    every = found(*(channel(number, values) for number in range(20)))
    seen = set()
    for one in rounds(every, 20, seed=1):
        right = one.choices[one.right]
        others = [each for each in one.choices if each is not right]
        assert len({each.photo for each in one.choices}) == CHOICES
        assert right.value - max(each.value for each in others) >= CLEARLY * 5
        assert {each.photo for each in others} == {f"photo {at}" for at in range(8)}
        hints = [each.value for each in one.hints]
        assert hints == sorted({5.0, 4.5, 4.0, 3.9} - {right.value}, reverse=True)
        seen.add((right.value, one.right))
    # Any of those that are clear, at any place.
    assert {value for value, _ in seen} == {5.0, 4.5, 4.0, 3.9}
    assert len({place for _, place in seen}) > 5


@pytest.mark.parametrize(
    "values",
    [
        # All alike; a slope without a gap; only seven that excite it less; too few photos.
        [6.0] * 12,
        [float(at) for at in range(10)],
        [0.0] * 7 + [5.0] * 5,
        [0.0] * 8 + [5.0, 5.0],
    ],
)
def test_what_is_not_clear_makes_no_round(values: list[float]) -> None:
    assert rounds(found(channel(0, values)), 5, seed=0) == ()


def test_a_seed_repeats_the_rounds_and_another_gives_others() -> None:
    values = [0.0] * 8 + [5.0, 4.0, 3.0]
    every = found(*(channel(number, values) for number in range(30)), photos=11)
    first = rounds(every, 5, seed=7)
    assert len({one.channel for one in first}) == 5
    assert rounds(every, 5, seed=7) == first
    assert [one.channel for one in rounds(every, 5, seed=8)] != [one.channel for one in first]
    # What a channel's round is does not depend on the other channels.
    alone = found(channel(first[0].channel, values), photos=11)
    assert rounds(alone, 5, seed=7) == first[:1]
