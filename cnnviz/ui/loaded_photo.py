"""A photo that the app has read, as the pages and their questions to the networks take it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cnnviz.cards import Preprocessing
from cnnviz.figures.photos import Picture
from cnnviz.photos.decoding import DecodedPhoto, open_picture

# A decoded photo takes at most 16 MB: 4 megapixels (`decoding.KEPT_PIXELS`) of 4 bytes.
_MOST_DECODED = 4


@dataclass(frozen=True)
class LoadedPhoto:
    """A photo that was decoded once, and the smaller pictures that every run of a page needs.

    It keeps its file and not its pixels, which would be most of the memory of a session.

    Attributes:
        file: the bytes of its file.
        height: its rows, as decoded.
        width: its columns, as decoded.
        shown: the picture for charts.
        thumbnail: the picture for the sidebar, as a data URI. A file that Streamlit serves is
            deleted once a page runs again, and a browser may request it later.
        name: its title or file name.
        origin: its source.
        key: identifies its pixels: the SHA-256 of its file.
        crop_at: where a network's crop of it is, as in ``Preprocessing``.
    """

    file: bytes
    height: int
    width: int
    shown: Picture
    thumbnail: str
    name: str
    origin: str
    key: str
    crop_at: tuple[float, float] = (0.5, 0.5)

    @property
    def seen_key(self) -> str:
        """Identifies what a network sees of it."""
        return f"{self.key} {self.crop_at}"

    def seen_by(self, preprocessing: Preprocessing) -> Preprocessing:
        """How this photo becomes a network's input: with the crop where it is of this photo."""
        return preprocessing.model_copy(update={"crop_at": self.crop_at})

    @property
    def size(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.height, self.width

    def decode(self) -> DecodedPhoto:
        """All of its pixels; they must not be changed."""
        return decoded(self.key, self.file)


@st.cache_resource(show_spinner=False, max_entries=_MOST_DECODED)
def decoded(key: str, _file: bytes) -> DecodedPhoto:
    """The pixels of a photo's file, which must not be changed; kept for the last few photos.

    A new photo is decoded for the screen, and right after that for a network.

    Raises:
        PhotoError: the file is damaged, of an unknown kind, or too large.
    """
    return open_picture(_file)
