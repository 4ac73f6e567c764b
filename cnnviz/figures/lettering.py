"""Text in pictures that are files: a line, cut off where there is no room for it."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from PIL import ImageDraw, ImageFont

TEXT, QUIET, GROUND = "#14202b", "#566573", "#ffffff"
LARGE, NORMAL, SMALL = 24, 17, 14
REGULAR, BOLD = 400, 600


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    width: int,
    size: int = SMALL,
    weight: int = REGULAR,
    colour: str = TEXT,
) -> None:
    """Writes a line, cut off where there is no room for it."""
    letters = font(size, weight)
    # A line break, or a character that has no picture, would make it another line or a box.
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    if letters.getlength(text) > width:
        while text and letters.getlength(f"{text} …") > width:
            text = text[:-1].rstrip()
        text = f"{text} …"
    draw.text(place, text, fill=colour, font=letters)


@functools.cache
def font(size: int, weight: int) -> ImageFont.FreeTypeFont:
    """The pages' font, which Streamlit brings along; else Pillow's own, which has fewer letters."""
    path = _font_file()
    if path is None:
        # Pillow without FreeType has a font of one size; its letters are there all the same.
        return ImageFont.load_default(size)  # type: ignore[return-value]
    # The other layout sets letters of this font unevenly.
    letters = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    letters.set_variation_by_axes([weight])
    return letters


@functools.cache
def _font_file() -> Path | None:
    # Found without an import: this also runs where Streamlit must not.
    package = importlib.util.find_spec("streamlit")
    if package is None or package.origin is None:
        return None
    media = Path(package.origin).parent / "static" / "static" / "media"
    return next(iter(sorted(media.glob("SourceSansVF-Upright*.woff2"))), None)
