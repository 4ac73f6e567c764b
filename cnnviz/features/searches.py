"""What is searched for among many photos, part by part: plain data; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.cards import Preprocessing
from cnnviz.photos.preprocessing import picture_view
from cnnviz.photos.sources import PhotoSource, SeenPhoto


@dataclass(frozen=True)
class PhotoSearch:
    """A search for the exemplars of some channels of a layer, or of all classes.

    Attributes:
        key: identifies the photos; sources cannot be compared.
        source: the photos.
        preprocessing: how the network sees them.
        layer: the layer's path; None for the classes.
        channels: their numbers; none for the classes.
    """

    key: str
    source: PhotoSource
    preprocessing: Preprocessing
    layer: str | None = None
    channels: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many photos there are."""
        return len(self.source.names)

    @property
    def compared(self) -> tuple[str, str | None, tuple[int, ...]]:
        """Two searches with the same one, of one network, find the same."""
        return self.key, self.layer, self.channels

    @property
    def truths(self) -> dict[str, str]:
        """The true class of each photo, by name, as far as it is known."""
        return dict(zip(self.source.names, self.source.classes, strict=False))

    def seen(self, start: int, stop: int) -> tuple[SeenPhoto, ...]:
        """The photos from one number to before another, as the network sees them.

        Raises:
            PhotoError: one cannot be read.
        """
        return tuple(map(self._see, self.source.names[start:stop]))

    def _see(self, name: str) -> SeenPhoto:
        photo = self.source.open(name)
        size = photo.height, photo.width
        return SeenPhoto(name, size, picture_view(photo, self.preprocessing))
