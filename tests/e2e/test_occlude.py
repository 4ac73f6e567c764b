"""The page Occlude in a browser: a stroke, and the network's answer to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import cnnviz
from cnnviz.photos.masking import enlarged
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from tests.e2e.conftest import pixels


def shares(tab: Any) -> list[float]:
    """The class's probabilities for the whole photo, and for the changed one, in percent."""
    row = tab.page.locator(".paint .class[aria-pressed=true]").get_attribute("aria-label")
    return [float(number) for number in re.findall(r"([\d.]+) %", row)]


@contextmanager
def answered(tab: Any) -> Iterator[None]:
    """Waits until the answer to what is painted inside is on the screen."""
    before = tab.page.locator(".paint").get_attribute("data-painted")
    yield
    tab.page.locator(f".paint[data-painted]:not([data-painted='{before}'])").wait_for()


def test_cells_are_painted_by_mouse_and_keys_and_the_answer_is_the_librarys(tab: Any) -> None:
    tab.page.set_viewport_size({"width": 1280, "height": 720})
    tab.open("/occlude?model=imagenet_efficientnet_lite0&sample=chelsea&filling=grey&tool=cells")
    grid = tab.page.locator(".paint [role=grid]")
    box = grid.bounding_box()

    def at(row: int, column: int) -> tuple[float, float]:
        side = box["width"] / 7
        return box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side

    # Six rows of the face go in one stroke, and a cell by the keyboard.
    with answered(tab):
        tab.page.mouse.move(*at(0, 0))
        tab.page.mouse.down()
        for row in range(6):
            for column in (0, 6) if row % 2 == 0 else (6, 0):
                tab.page.mouse.move(*at(row, column), steps=7)
        # It is seen before the pointer is lifted.
        middle = pixels(grid.screenshot())[int(box["height"] / 14), int(box["width"] / 2)]
        assert abs(middle.astype(int) - 128).max() <= 2
        tab.page.mouse.up()
    grid.press("ArrowRight")
    with answered(tab):
        grid.press(" ")
    assert tab.page.locator(".paint .row").inner_text().startswith("Row 1, column 2: not painted")
    cells = np.zeros((7, 7), bool)
    cells[:6] = True
    cells[0, 1] = False
    network = cnnviz.load_model(ROOT / "models" / "imagenet_efficientnet_lite0.keras")
    photo = cnnviz.open_photo(next(one.path for one in samples() if one.name == "chelsea"))
    view = cnnviz.occlude(photo, network.card.preprocessing, enlarged(cells, 224, 224), "grey")
    prediction = cnnviz.predict(network, view)
    expected = 100 * prediction.probabilities[cnnviz.predict(network, photo).index]
    assert abs(shares(tab)[1] - expected) < 0.2
    assert abs(expected - shares(tab)[0]) > 1
    # The painting is there again on the way back, and the last stroke of this visit can be undone.
    tab.turn_to("Network").turn_to("Occlude")
    assert abs(shares(tab)[1] - expected) < 0.2
