"""The rounds of a game: which of nine photos excites a channel? Needs no TensorFlow.

After the forced choice with which Borowski et al. 2021 (arXiv 2010.12606) asked people; there,
one of two photos was the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.results import ChannelExemplars, Exemplar, Exemplars

# Photos to choose among, of which one is right.
CHOICES = 9
# By what share of the channel's range, from the weakest photo to the strongest one, the right
# photo exceeds all others.
CLEARLY = 0.25
# Photos that show what the channel answers to: the most, and the least that make a round.
_MOST_HINTS, _LEAST_HINTS = 6, 2


@dataclass(frozen=True)
class Round:
    """One question.

    Attributes:
        channel: that is asked about.
        choices: the photos, in the order in which they are shown, with their measured activations.
        right: the place of the one that excites the channel.
        hints: other photos that excite it, the one that does most first.
    """

    channel: int
    choices: tuple[Exemplar, ...]
    right: int
    hints: tuple[Exemplar, ...]


def rounds(found: Exemplars, count: int, seed: int) -> tuple[Round, ...]:
    """At most so many rounds, each about another channel; the same for the same seed.

    A channel for which no photo exceeds eight others clearly makes no round.

    Args:
        found: the exemplars of some channels of a layer.
        count: how many rounds.
        seed: of all that is random.
    """
    made: list[Round] = []
    order = np.random.default_rng([seed]).permutation(len(found.channels))
    for at in order:
        channel = found.channels[at]
        one = _round(channel, np.random.default_rng([seed, channel.channel]))
        if one is not None:
            made.append(one)
        if len(made) == count:
            break
    return tuple(made)


def _round(channel: ChannelExemplars, generator: np.random.Generator) -> Round | None:
    """The round of a channel; None where the photos do not differ clearly."""
    gap = CLEARLY * (channel.most[0].value - channel.least[0].value)
    if not gap > 0:
        return None
    candidates = [one for one in channel.most if len(_below(channel, one, gap)) >= CHOICES - 1]
    if not candidates:
        return None
    right = candidates[int(generator.integers(len(candidates)))]
    below = _below(channel, right, gap)
    wrong = [below[at] for at in sorted(generator.permutation(len(below))[: CHOICES - 1])]
    shown = {right.photo, *(one.photo for one in wrong)}
    highest = max(one.value for one in wrong)
    hints = [one for one in channel.most if one.photo not in shown and one.value > highest]
    if len(hints) < _LEAST_HINTS:
        return None
    both = [right, *wrong]
    places = generator.permutation(CHOICES)
    choices = tuple(both[at] for at in places)
    return Round(channel.channel, choices, choices.index(right), tuple(hints[:_MOST_HINTS]))


def _below(channel: ChannelExemplars, one: Exemplar, gap: float) -> Sequence[Exemplar]:
    """The photos that excite a channel clearly less than one does."""
    return [other for other in channel.least if one.value - other.value >= gap]
