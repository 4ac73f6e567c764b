"""Makes the README's pictures from the running app: one of each page, one dark, one narrow.

python -m scripts.screenshots
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page

from cnnviz.settings import ROOT
from scripts.browse import chromium, running_app, settle

FOLDER = ROOT / "docs" / "images"
LARGEST = 600_000
CAT = "model=cat_dog&sample=chelsea"
DIGIT = "model=mnist_cnn&sample=digit-7"
_TRAINED = "It is in the sidebar"


@dataclass(frozen=True)
class Shot:
    """One picture: its name, its address in the app, and its window."""

    name: str
    address: str
    theme: Literal["light", "dark"] = "light"
    width: int = 1400
    # A page that is higher is cut off.
    tallest: int = 1400
    # A text that is on the page when it is complete.
    complete: str = "About this network"


SHOTS = (
    Shot("explore", f"?{CAT}"),
    # The small network of two convolutions shows best how maps shrink and multiply.
    Shot("network", f"network?{DIGIT}"),
    Shot("filters", f"filters?{CAT}&scale=symmetric&filter=13"),
    Shot("activations", f"activations?{CAT}&layer=stem_act"),
    Shot("class_activation_map", f"class_activation_map?{CAT}", tallest=980),
    Shot("dark", f"class_activation_map?{CAT}&class=dog&against=True", "dark", tallest=980),
    Shot("training", "training", complete=_TRAINED),
    Shot("narrow", f"?{CAT}", width=420, tallest=1900),
)


def take(browser: Browser, url: str, shot: Shot) -> Image.Image:
    """One picture of the app, as high as the page."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": 800}, color_scheme=shot.theme
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/{shot.address}")
    page.get_by_text(shot.complete).wait_for()
    settle(page)
    page.set_viewport_size({"width": shot.width, "height": min(_height(page), shot.tallest)})
    # Streamlit fits the charts to the new window a moment later.
    page.wait_for_timeout(500)
    settle(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return picture


def train(browser: Browser, url: str) -> None:
    """Trains a network on the digits, by the page."""
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(f"{url}/training")
    page.get_by_role("button", name="Start").click()
    page.get_by_text(_TRAINED).wait_for()
    page.close()


def save(picture: Image.Image, name: str) -> int:
    """Writes a picture as a PNG, with as many colours as the size allows; returns its bytes.

    Raises:
        RuntimeError: it is too large even with 4 bits a colour.
    """
    for bits in (8, 7, 6, 5, 4):
        levels = 2**bits - 1
        table = [round(round(value / 255 * levels) / levels * 255) for value in range(256)]
        data = io.BytesIO()
        picture.point(table * 3).save(data, "PNG", optimize=True)
        if data.tell() <= LARGEST:
            (FOLDER / f"{name}.png").write_bytes(data.getvalue())
            return data.tell()
    raise RuntimeError(f"{name}.png has more than {LARGEST} bytes, even with 4 bits a colour.")


def _height(page: Page) -> int:
    """The height of the page's content, without the empty space below it."""
    return int(
        page.evaluate(
            """() => {
              const main = '[data-testid="stMain"] ';
              const kinds = ['details', '.js-plotly-plot', '.stBidiComponent'];
              const parts = document.querySelectorAll(kinds.map(kind => main + kind).join());
              const inside = [...parts,
                document.querySelector('[data-testid="stSidebarUserContent"]')];
              const seen = inside.filter(part => part.getBoundingClientRect().right > 0);
              return Math.max(...seen.map(part => part.getBoundingClientRect().bottom)) + 40;
            }"""
        )
    )


def main() -> None:
    """Takes all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_app() as server, chromium() as browser:
        train(browser, server.url)
        for shot in SHOTS:
            size = save(take(browser, server.url, shot), shot.name)
            print(f"{shot.name}.png: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
