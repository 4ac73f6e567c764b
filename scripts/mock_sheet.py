"""Puts pictures of the running app beside those of its mock, to see where the two differ.

    python -m scripts.mock_sheet MOCK SHEET

``MOCK`` is a folder with the mock's pictures, named as ``STATES``; ``SHEET`` is the file to write,
with a row for each of them: the mock at the left, the app in the same state at the right.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from scripts.browse import chromium, running_app
from scripts.screenshots import Shot, click, open_page, picture_of

_SPACE = 40
_GROUND, _TEXT = "#808080", "#ffffff"


def _cell(page: Page) -> None:
    """Clicks on a cell of channel 81 at 14 × 14, on the wall."""
    grid = page.get_by_role("grid", name="14 × 14:")
    grid.focus()
    while not grid.get_by_role("gridcell").inner_text().startswith("Channel 81 "):
        page.keyboard.press("ArrowRight")
    tile = grid.locator(".cursor").bounding_box()
    assert tile is not None
    # Row 3, column 4.
    page.mouse.click(tile["x"] + tile["width"] * 4.5 / 14, tile["y"] + tile["height"] * 3.5 / 14)
    page.locator(".walk .f-arithmetic").wait_for()
    page.mouse.move(0, 0)


@dataclass(frozen=True)
class _State:
    """One picture of the mock: the address of the same state, what is done there, the theme."""

    address: str
    act: Callable[[Page], None] | None = None
    dark: bool = False


_KITTEN = "?model=cat_dog&sample=kitten"
STATES = {
    "walk_1280_light": _State(_KITTEN),
    "walk_1280_dark": _State(_KITTEN, dark=True),
    "walk_390": _State(_KITTEN),
    "arithmetic_1280": _State(_KITTEN, _cell),
    "compare_1280": _State("?model=cat_dog&sample=cat-and-dog", click(".walk .compare")),
    "mnist_1280": _State("?model=mnist_cnn&sample=digit-3", click(".walk [aria-label$=' Dense']")),
    "presenter_1280": _State(f"{_KITTEN}&present=1"),
}


def take(browser: Browser, url: str, name: str, size: tuple[int, int]) -> Image.Image:
    """The app in the state of that name, in a window of (width, height) pixels."""
    state = STATES[name]
    shot = Shot(
        name,
        state.address,
        act=state.act,
        theme="dark" if state.dark else "light",
        width=size[0],
        height=size[1],
        complete=".walk[data-painted]",
    )
    page = open_page(browser, url, shot)
    picture = picture_of(page).resize(size, Image.Resampling.LANCZOS)
    page.context.close()
    return picture


def sheet(rows: dict[str, tuple[Image.Image, Image.Image]]) -> Image.Image:
    """Pairs of pictures of one size, below one another, each with its name."""
    widest = max(mock.width for mock, _ in rows.values())
    height = sum(mock.height + _SPACE for mock, _ in rows.values())
    made = Image.new("RGB", (2 * widest + _SPACE, height), _GROUND)
    draw = ImageDraw.Draw(made)
    top = 0
    for name, (mock, app) in rows.items():
        draw.text((8, top + 8), f"{name}: the mock", _TEXT, font_size=22)
        draw.text((widest + _SPACE, top + 8), f"{name}: the app", _TEXT, font_size=22)
        made.paste(mock, (0, top + _SPACE))
        made.paste(app, (widest + _SPACE, top + _SPACE))
        top += mock.height + _SPACE
    return made


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description="Put the app's pictures beside its mock's.")
    parser.add_argument("mock", type=Path, help="the folder with the mock's pictures")
    parser.add_argument("sheet", type=Path, help="the file to write, .png or .webp")
    given = parser.parse_args()
    rows = {}
    with running_app() as server, chromium() as browser:
        for name in STATES:
            mock = Image.open(given.mock / f"{name}.png").convert("RGB")
            rows[name] = mock, take(browser, server.url, name, mock.size)
    sheet(rows).save(given.sheet)


if __name__ == "__main__":
    main()
