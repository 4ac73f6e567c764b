"""A photo that the app has read, as the pages and their questions to the networks take it."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.figures.photos import Picture
from cnnviz.photos.decoding import DecodedPhoto


@dataclass(frozen=True)
class LoadedPhoto:
    """A decoded photo, and the smaller pictures that every run of a page needs.

    Attributes:
        image: all of its pixels; copying them takes as long as decoding, so no page copies them.
        shown: the picture for charts.
        thumbnail: the picture for the sidebar, as a data URI. A file that Streamlit serves is
            deleted once a page runs again, and a browser may request it later.
        name: its title or file name.
        origin: its source.
        key: identifies its pixels: the SHA-256 of its file.
    """

    image: DecodedPhoto
    shown: Picture
    thumbnail: str
    name: str
    origin: str
    key: str

    @property
    def size(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.image.height, self.image.width
