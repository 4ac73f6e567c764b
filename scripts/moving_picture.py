"""The moving picture of the walk: a photo on its way to the answer, then one cell's arithmetic.

The page's clock is stopped and put forward frame by frame, so that the picture moves evenly
however long the browser takes for each.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Browser, Page

from scripts.browse import settle

WIDTH, HEIGHT = 960, 540
LARGEST = 2_500_000
STEP = 80  # milliseconds of a frame
_ARROW = ((0, 0), (0, 17), (4, 13.5), (6.8, 19.5), (9.6, 18.2), (6.9, 12.4), (12, 12))


class _Reel:
    """Frames and how long each is shown; one that is like the last makes that longer."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations: list[int] = []
        self.mouse = (700.0, 575.0)

    def shoot(self, milliseconds: int = STEP) -> None:
        """Adds what the page shows now, with the mouse."""
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        ImageDraw.Draw(picture).polygon(
            [(self.mouse[0] + x, self.mouse[1] + y) for x, y in _ARROW],
            fill="#14202b",
            outline="#ffffff",
        )
        frame = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        if self.frames and not ImageChops.difference(self.frames[-1], frame).getbbox():
            self.durations[-1] += milliseconds
            return
        self.frames.append(frame)
        self.durations.append(milliseconds)

    def run(self, milliseconds: int) -> None:
        """Puts the page's clock forward by that, and shows it."""
        for _ in range(milliseconds // STEP):
            self.page.clock.run_for(STEP)
            self.shoot()

    def hold(self, milliseconds: int) -> None:
        """Shows what the page shows now for so long."""
        self.shoot(milliseconds)

    def move_to(self, x: float, y: float, steps: int = 8) -> None:
        """Moves the mouse there, slower at both ends."""
        left, top = self.mouse
        for number in range(1, steps + 1):
            share = number / steps
            eased = share * share * (3 - 2 * share)
            self.mouse = (left + eased * (x - left), top + eased * (y - top))
            self.page.mouse.move(*self.mouse)
            self.page.clock.run_for(STEP)
            self.shoot()

    def save(self, path: Path) -> int:
        """Writes the moving picture as good as its size allows; returns its bytes.

        Raises:
            RuntimeError: it is too large even at the lowest quality.
        """
        for quality in (80, 70, 60, 50, 40):
            data = io.BytesIO()
            self.frames[0].save(
                data,
                "WEBP",
                save_all=True,
                append_images=self.frames[1:],
                duration=self.durations,
                loop=0,
                quality=quality,
                method=4,
            )
            if data.tell() <= LARGEST:
                path.write_bytes(data.getvalue())
                return data.tell()
        raise RuntimeError(f"{path.name} has more than {LARGEST} bytes.")


def film(browser: Browser, url: str, path: Path) -> int:
    """Films the walk at that address; returns the bytes of the file."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.clock.install()
    page.goto(url)
    page.locator(".walk[data-painted]").wait_for()
    settle(page)
    page.wait_for_timeout(1000)
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    reel = _Reel(page)
    _play(reel)
    _open_cell(reel)
    context.close()
    return reel.save(path)


def _play(reel: _Reel) -> None:
    """The photo flows through, from the button to the answer."""
    button = reel.page.locator(".walk .player .play")
    reel.hold(900)
    reel.move_to(*_middle(reel.page, ".walk .player .play"))
    button.click()
    for _ in range(300):
        reel.run(STEP)
        if button.get_attribute("aria-label") == "Play":
            break
    reel.run(400)
    reel.hold(1800)


def _open_cell(reel: _Reel) -> None:
    """A click on a cell of the third column opens its arithmetic."""
    page = reel.page
    box = page.locator(".walk .area [role=grid]").nth(2).bounding_box()
    assert box is not None
    reel.move_to(box["x"] + 0.31 * box["width"], box["y"] + 0.37 * box["height"], 14)
    reel.hold(700)
    page.mouse.click(*reel.mouse)
    # The answer comes from the server, which has its own clock.
    for _ in range(100):
        page.clock.run_for(STEP)
        page.wait_for_timeout(50)
        if page.locator(".walk .f-arithmetic").count():
            break
    reel.run(640)
    reel.move_to(700, 575, 10)
    reel.hold(4500)


def _middle(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
