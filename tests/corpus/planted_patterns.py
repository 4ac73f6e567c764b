"""Patterns with a convolution's filter that detects each, and photos in which they are placed.

Pixels are counted from -1 (black) to 1 (white), as the networks get them: their padding, zero, is
the grey of the photos' background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
# Top, left, bottom, right: pixels of a photo.
Area = tuple[int, int, int, int]

# The background is noise of up to so much; the filter of one glyph answers to any other, and to
# parts of its own, with less than ALIKE, where it answers to its own with 1. Together they stay
# below the threshold under which a detector is silent.
NOISE, ALIKE, THRESHOLD = 0.12, 0.45, 0.6


@dataclass(frozen=True)
class Detector:
    """A filter and the threshold below which it is silent.

    Attributes:
        pattern: (p, p, 3) what it detects, -1 to 1.
        kernel: (p, p, 3) that answers to the pattern with 1.
        threshold: on the kernel's answer.
        gain: what the detector gives for its pattern.
    """

    pattern: Array
    kernel: Array
    threshold: float
    gain: float = 1.0

    @property
    def weights(self) -> tuple[Array, float]:
        """Kernel and bias: with a ReLU the pattern gives the gain, the threshold gives 0."""
        scale = self.gain / (1 - self.threshold)
        return self.kernel * scale, -self.threshold * scale


def glyphs(
    count: int,
    rng: np.random.Generator,
    side: int = 7,
    *,
    strength: float = 1.0,
    beside: Sequence[Detector] = (),
) -> list[Detector]:
    """Detectors of black and white patterns that are unlike each other wherever they overlap.

    They take no notice of light that is even, or that rises evenly across the pattern.

    Args:
        count: how many.
        rng: draws them.
        side: of a pattern, in pixels.
        strength: of black and white; 1 for all that a photo can hold.
        beside: detectors of textures that the same photos hold.
    """
    found: list[Detector] = []
    canvases = [np.tile(_stripes(8, one.pattern), (4, 4)) for one in beside]
    while len(found) < count:
        pattern = strength * rng.choice([-1.0, 1.0], (side, side))
        kernel = _blind_to_light(pattern)
        own = _answers(pattern, kernel)
        own[own.shape[0] // 2, own.shape[1] // 2] = 0
        others = [_answers(one.pattern[..., 0], kernel) for one in found]
        swapped = [_answers(pattern, one.kernel.sum(-1)) for one in found]
        textures = [_answers(canvas, kernel) for canvas in canvases]
        if max(answers.max() for answers in (own, *others, *swapped, *textures)) < ALIKE:
            found.append(Detector(_grey(pattern), _grey(kernel) / 3, THRESHOLD))
    return found


def stripes(upright: bool, side: int = 5, gain: float = 1.0) -> Detector:
    """A detector of stripes two pixels wide, at one of their four positions."""
    row = np.where(np.arange(side) // 2 % 2, -1.0, 1.0)
    pattern = np.tile(row, (side, 1)) if upright else np.tile(row[:, None], side)
    return Detector(_grey(pattern), _grey(_blind_to_light(pattern)) / 3, 0.9, gain)


def coloured_square(red: float, green: float, blue: float, side: int = 7) -> Detector:
    """A detector of squares of one colour, all of whose parts are -1 or 1."""
    pattern = np.ones((side, side, 3)) * (red, green, blue)
    return Detector(pattern, pattern / pattern.size, 0.9)


def light_meter(side: int = 7) -> Detector:
    """A detector of light, which gives a half for the grey of the background."""
    white = np.ones((side, side, 3))
    return Detector(white, white / white.size, -1.0)


def _stripes(size: int, pattern: Array) -> Array:
    """So many pixels of stripes of which a detector has a cut-out."""
    period = pattern[:4, :4, 0]
    return np.tile(period, (size // 4, size // 4))


def _grey(values: Array) -> Array:
    return np.repeat(values[..., None], 3, axis=-1)


def _blind_to_light(pattern: Array) -> Array:
    """The kernel (p, p) nearest to a pattern that answers to it with 1 and to even light with 0."""
    side = len(pattern)
    along = np.arange(side) - (side - 1) / 2
    plane = [np.ones((side, side)), np.tile(along, (side, 1)), np.tile(along[:, None], side)]
    kernel = pattern.copy()
    # The three are orthogonal.
    for part in plane:
        kernel -= part * (kernel * part).sum() / (part**2).sum()
    return kernel / (kernel * pattern).sum()


def _answers(picture: Array, kernel: Array) -> Array:
    """The kernel at each place where it overlaps a picture on grey."""
    padded = np.pad(picture, len(kernel) - 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    return np.einsum("yxij,ij->yx", windows, kernel)


@dataclass(frozen=True)
class Placed:
    """Something that was placed in a photo.

    Attributes:
        channel: index of its detector.
        mask: (H, W) where.
    """

    channel: int
    mask: Array


@dataclass
class Scene:
    """A photo in the making.

    Attributes:
        detectors: of what may be placed.
        rng: draws the noise and the places.
        height: in pixels.
        width: in pixels.
        light: (height, width) that is added to the noise and to what is placed; 0 for none.
        placed: so far.
    """

    detectors: Sequence[Detector]
    rng: np.random.Generator
    height: int
    width: int
    light: Array | float = 0.0
    placed: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        noise = self.rng.uniform(-NOISE, NOISE, (self.height, self.width, 3))
        self.background = noise + np.broadcast_to(self.light, (self.height, self.width))[..., None]
        self.photo = self.background.copy()

    def add(
        self,
        channel: int,
        within: Area | None = None,
        *,
        strength: float = 1.0,
        near: Array | None = None,
    ) -> Array:
        """Places a pattern where no filter reads it together with another; returns its mask.

        Args:
            channel: index of its detector.
            within: where the whole pattern must lie; anywhere if None.
            strength: of the pattern, a share of its full contrast.
            near: a mask at whose right it is placed, as near as can be.

        Raises:
            ValueError: there is no room.
        """
        pattern = self.detectors[channel].pattern
        side = len(pattern)
        top, left, bottom, right = within or (0, 0, self.height, self.width)
        rows, columns = np.mgrid[top : bottom - side + 1, left : right - side + 1]
        free = np.ones(rows.shape, bool)
        for other in self.placed:
            first, last = np.argwhere(other.mask)[[0, -1]]
            reach = 2 * side - 1
            beside = (rows <= first[0] - reach) | (rows >= last[0] + side)
            free &= beside | (columns <= first[1] - reach) | (columns >= last[1] + side)
        if near is not None:
            first, last = np.argwhere(near)[[0, -1]]
            free &= (rows == first[0]) & (columns == last[1] + side)
        places = np.argwhere(free)
        if not len(places):
            raise ValueError(f"Expected room for a pattern of {side} pixels within {within}.")
        row, column = places[self.rng.integers(len(places))] + (top, left)
        mask = np.zeros((self.height, self.width), bool)
        mask[row : row + side, column : column + side] = True
        self._paint(channel, mask, strength * pattern.reshape(-1, 3))
        return mask

    def fill(self, channel: int, area: Area) -> Array:
        """Fills an area with a detector's stripes; returns its mask."""
        top, left, bottom, right = area
        mask = np.zeros((self.height, self.width), bool)
        mask[top:bottom, left:right] = True
        size = max(self.height, self.width)
        texture = _stripes(size, self.detectors[channel].pattern)[: bottom - top, : right - left]
        self._paint(channel, mask, _grey(texture).reshape(-1, 3))
        return mask

    def _paint(self, channel: int, mask: Array, pixels: Array) -> None:
        light = np.broadcast_to(self.light, mask.shape)[mask]
        self.photo[mask] = pixels + light[:, None]
        self.placed.append(Placed(channel, mask))


def as_bytes(picture: Array) -> Array:
    """A picture of -1 to 1 as uint8."""
    return np.rint((np.clip(picture, -1, 1) + 1) * 127.5).astype(np.uint8)
