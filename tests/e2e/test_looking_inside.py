"""Network, filters, activations and class maps: clicks, values under the mouse, files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from helpers import chelsea, wait_until
from PIL import Image

import cnnviz
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.series_runs import run_part
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from scripts.browse import Server, settle
from tests.e2e.conftest import Tab

# What Plotly has drawn is as clear as glass, and what was there before shows again.
_WITHOUT_PLOTLY = """
.js-plotly-plot {opacity: 0}
[class*=st-key]::before, [class*=st-key]::after {
  visibility: visible !important;
  transition: none !important;
}
"""
IMAGENET = "model=imagenet_efficientnet_lite0"


def choose_while_it_scrolls(tab: Any, kind: str, number: int) -> str:
    """Clicks on an option of a list of layers that scrolls, and returns the layer's path."""
    tab.page.get_by_test_id(kind).filter(has_text="Layer").last.locator("input").click()
    option = tab.page.get_by_role("option", selected=False).nth(number)
    layer = option.inner_text().partition(" ")[0]
    option.hover()
    with tab.run():
        tab.page.mouse.down()
        # As the wheel does; on a busy machine a scroll is also handled late.
        tab.page.get_by_role("listbox").evaluate(
            """list => new Promise(done => {
              list.addEventListener('scroll', () => requestAnimationFrame(done), {once: true});
              list.scrollTop += 1;
            })"""
        )
        tab.page.mouse.up()
    assert f"layer={layer}" in tab.page.url
    return layer


# --- Filters ----------------------------------------------------------------------------------


def test_a_filter_is_opened_by_mouse_keyboard_and_name(tab: Any) -> None:
    grid = tab.open(f"/filters?{IMAGENET}&filter=1").grid("all filters")
    assert grid.get_attribute("aria-label") == "32 filters of stem_conv, in colour"
    # Near its corners.
    for number, across, down in ((13, 0.42, 0.42), (17, -0.42, -0.42)):
        tab.click_tile("all filters", number, across, down)
        assert tab.page.url.endswith(f"filter={number}")
        assert tab.chosen("Filter") == f"#{number}"
        assert tab.title("one filter").startswith(f"Filter {number}")
        assert outlined(tab) == number
    # One that is chosen by name, then another tile.
    assert tab.choose("Filter", "#20").title("one filter").startswith("Filter 20")
    assert outlined(tab) == 20
    assert tab.click_tile("all filters", 1).chosen("Filter") == "#1"
    grid.focus()
    tab.page.keyboard.press("Home")
    columns = int(grid.get_attribute("aria-colcount"))
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        tab.page.keyboard.press(key)
    cell = grid.get_by_role("gridcell")
    assert cell.inner_text().startswith(f"Filter {columns + 2}")
    with tab.run():
        tab.page.keyboard.press("Enter")
    assert tab.chosen("Filter") == f"#{columns + 2}"
    # The keyboard is still where it was.
    assert cell.get_attribute("aria-selected") == "true"
    tab.page.keyboard.press("Home")
    assert cell.inner_text().startswith("Filter 0")
    layer = choose_while_it_scrolls(tab, "stSelectbox", 1)
    assert tab.grid("all filters").get_attribute("aria-label").startswith(f"16 filters of {layer}")


def test_a_tap_opens_a_filter_and_a_swipe_scrolls(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(server, has_touch=True)
    tab.page.set_viewport_size({"width": 390, "height": 844})
    tab.open(f"/filters?{IMAGENET}")
    with tab.run():
        tab.page.touchscreen.tap(*tab.tile("all filters", 13))
    assert tab.page.url.endswith("filter=13")
    x, y = tab.tile("all filters", 20)
    touch = tab.page.context.new_cdp_session(tab.page)
    top = tab.grid("all filters").bounding_box()["y"]
    for kind, up in (("touchStart", 0), *(("touchMove", 20 * step) for step in range(1, 8))):
        points = {"type": kind, "touchPoints": [{"x": x, "y": y - up}]}
        touch.send("Input.dispatchTouchEvent", points)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert wait_until(lambda: tab.grid("all filters").bounding_box()["y"] < top - 50, 10)
    assert tab.chosen("Filter") == "#13"


def outlined(tab: Any) -> int:
    """The number of the filter that is outlined."""
    grid = tab.grid("all filters")
    columns, rows = (int(grid.get_attribute(f"aria-{one}count")) for one in ("col", "row"))
    mark = tab.page.locator(".st-key-all-filters .mark.selected").bounding_box()
    box = grid.bounding_box()
    across = (mark["x"] + mark["width"] / 2 - box["x"]) / box["width"]
    down = (mark["y"] + mark["height"] / 2 - box["y"]) / box["height"]
    return int(down * rows) * columns + int(across * columns)


def test_the_weights_that_are_downloaded_are_those_under_the_mouse(tab: Any) -> None:
    tab.open(f"/filters?{IMAGENET}&filter=5&input=1")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Kernels (.npy)").click()
    kernels = np.load(download.value.path())
    assert kernels.shape == (3, 3, 3, 32)
    for row, column in ((0, 0), (1, 2), (2, 1)):
        value = kernels[row, column, 1, 5]
        text = tab.hover("one filter", column, row, says=f"row {row}, column {column}")
        assert number_in(text) == pytest.approx(value, rel=1e-3, abs=1e-6)
    # The middle of a tile is the kernel's middle; its name is above it.
    text = tab.hover_tile("all filters", 7, down=0.1)
    assert text.splitlines()[1:3] == ["weight, row 1, column 1", "Filter 7"]
    value = float(text.splitlines()[0].replace("−", "-"))
    assert value == pytest.approx(kernels[1, 1, 1, 7], rel=5e-3)


# --- Activations ------------------------------------------------------------------------------


def test_a_click_on_a_channel_opens_it_and_the_mouse_reads_its_values(tab: Any) -> None:
    key = "activations 2"
    tab.open(f"/activations?{IMAGENET}&sample=chelsea")
    assert tab.grid(key).get_attribute("aria-label").startswith("8 channels of block4b_expand_act")
    hovered = tab.hover_tile(key, 6)
    channel = int(re.search(r"Channel (\d+)", hovered)[1])
    tab.click_tile(key, 6)
    assert tab.page.url.endswith(f"of=block4b_expand_act&channel={channel}")
    assert tab.chosen("Channel") == f"#{channel}"
    # In its own column alone.
    marks = [tab.grid(f"activations {column}").locator(".mark.selected") for column in range(4)]
    assert [mark.is_visible() for mark in marks] == [False, False, True, False]
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="This channel (.npy)").click()
    values = np.load(download.value.path())
    row, column = np.unravel_index(values.argmax(), values.shape)
    position = f"row {row}, column {column}"
    text = tab.hover("channel:block4b_expand_act", float(column), float(row), says=position)
    assert number_in(text) == pytest.approx(values.max(), rel=1e-3)
    # In the grid, too.
    row, column = (int(one) for one in re.search(r"row (\d+), column (\d+)", hovered).groups())
    shown = float(hovered.splitlines()[0].replace("−", "-"))
    assert shown == pytest.approx(values[row, column], rel=6e-3, abs=1e-6)


def test_another_layer_repaints_the_channels(tab: Any) -> None:
    tab.open(f"/activations?{IMAGENET}&layer=stem_act")
    choose_while_it_scrolls(tab, "stMultiSelect", 4)
    tab.page.get_by_test_id("stMultiSelect").locator("input").fill("top_act")
    with tab.run():
        tab.page.get_by_role("option").filter(has_text="top_act").first.click()
    # Beside the two that were there.
    assert tab.painted("activations 2").std() > 10
    assert tab.grid("activations 0").count() == 1
    tab.choose("Channels shown", "all 1,280 of top_act")
    grid = tab.grid("activations 2")
    assert "1280 channels" in grid.get_attribute("aria-label")
    # The first of them are large enough to be told apart; all are shown on demand, or larger.
    rows, columns = (int(grid.get_attribute(f"aria-{one}count")) for one in ("row", "col"))
    assert rows * columns < 1280
    assert grid.bounding_box()["width"] / columns >= 24
    tab.page.get_by_role("button", name="Show all 1,280").click()
    assert int(grid.get_attribute("aria-rowcount")) == -(-1280 // columns)
    tab.page.get_by_role("button", name="Larger tiles").click()
    assert int(grid.get_attribute("aria-colcount")) < columns


# --- Network ----------------------------------------------------------------------------------


def test_a_click_on_a_layer_leads_to_it(tab: Any) -> None:
    tab.open(f"/network?{IMAGENET}")
    table = tab.page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    # The box before the fourth row, under the header.
    with tab.run():
        tab.page.mouse.click(box["x"] + 18, box["y"] + 35 * 4.5)
    assert tab.chosen("Layer").startswith("stem_bn")
    tile = tab.page.get_by_role("button", name="block3a_dwconv, DepthwiseConv2D")
    with tab.run():
        tile.click()
    assert tile.get_attribute("aria-pressed") == "true"
    assert tab.chosen("Layer").startswith("block3a_dwconv")
    assert "3,600 parameters" in tab.page.get_by_test_id("stMain").inner_text()
    # The next layers by keyboard, and back.
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        tab.page.keyboard.press(key)
    with tab.run():
        tab.page.keyboard.press("Enter")
    assert "layer=block3a_dwconv" in tab.page.url
    card = tab.page.locator(".st-key-maps [role=grid]").bounding_box()
    assert card["y"] + card["height"] < 1000
    for page in ("Activations", "Filters"):
        with tab.run():
            tab.page.get_by_role("button", name=f"Its {page.lower()}").click()
        tab.page.wait_for_function("title => document.title === title", arg=page)
        tab.settled()
        assert "layer=block3a_dwconv" in tab.page.url
        if page == "Activations":
            tab.turn_to("Network")
            assert tab.chosen("Layer").startswith("block3a_dwconv")
    assert tab.chosen("Layer").startswith("block3a_dwconv")


# --- Class activation map ---------------------------------------------------------------------


@pytest.fixture
def map_page(tab: Tab) -> Tab:
    """The page as the test before has left it, or opened."""
    if f"class_activation_map?{IMAGENET}" not in tab.page.url:
        tab.open(f"/class_activation_map?{IMAGENET}&sample=chelsea&class=tabby+cat")
    return tab


def test_the_map_that_is_downloaded_is_the_one_under_the_mouse(map_page: Tab) -> None:
    tab = map_page
    assert "tabby cat" in tab.title("overlay")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Raw map (.npy)").click()
    values = np.load(download.value.path())
    assert values.shape == (7, 7)
    # The crop of Chelsea (451 × 300): 0.875 of the middle square, 7 × 7 cells.
    side = 0.875 * 300
    left, top = (451 - side) / 2, (300 - side) / 2
    for row, column in ((0, 0), (3, 1), (6, 5)):
        x, y = left + (column + 0.5) * side / 7, top + (row + 0.5) * side / 7
        for chart, place in (("map alone", (column, row)), ("overlay", (x, y))):
            text = tab.hover(chart, *place, says=f"row {row}, column {column}")
            assert number_in(text) == pytest.approx(values[row, column], rel=1e-3)
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Overlay (.png)").click()
    assert download.value.suggested_filename.endswith(".png")
    with Image.open(io.BytesIO(download.value.path().read_bytes())) as picture:
        assert picture.size == (451, 300)


def test_the_overlay_is_there_before_plotly_and_its_opacity_needs_no_server(
    map_page: Tab,
) -> None:
    tab = map_page
    for width in (420, 1400):
        tab.page.set_viewport_size({"width": width, "height": 1000})
        settle(tab.page)
        expected = tab.pixels("overlay").astype(int)
        tab.page.add_style_tag(content=_WITHOUT_PLOTLY)
        actual = tab.pixels("overlay")
        tab.page.evaluate("document.head.lastElementChild.remove()")
        # Plotly's is smaller by a fraction of a pixel, and has a line around what the network saw.
        assert np.abs(actual - expected).mean() < 6, width
    tab.chart("overlay").hover()
    # Full screen would leave a picture, whose cells are square, small.
    assert not tab.chart("overlay").locator("[data-title=Fullscreen]").is_visible()
    chelsea = next(one.path for one in samples() if one.name == "chelsea")
    size = expected.shape[1::-1]
    grey = np.asarray(Image.open(chelsea).convert("L").resize(size), int)[..., None]
    strengths = []
    sent = tab.sent
    assert sent > 0
    for share in (0.0, 0.5, 1.0):
        rail = tab.chart("overlay").locator(".slider-rail-touch-rect")
        box = rail.bounding_box()
        tab.page.mouse.click(box["x"] + 8 + share * (box["width"] - 16), box["y"] + 12)
        label = f"Opacity: {share:.0%}".replace("%", " %")
        tab.chart("overlay").get_by_text(label).wait_for()
        strengths.append(np.abs(tab.pixels("overlay") - grey).mean())
    assert tab.sent == sent
    assert strengths[0] < 6
    assert strengths[1] > strengths[0] + 5
    assert strengths[2] > strengths[1] + 5


def test_a_box_is_dragged_over_the_photo(map_page: Tab) -> None:
    """From a tenth of the photo, 451 × 300, to a half; a click changes nothing."""
    tab = map_page
    photo = tab.page.locator(".located svg")
    photo.scroll_into_view_if_needed()
    place = photo.bounding_box()
    mouse = tab.page.mouse

    def to(across: float, down: float) -> None:
        mouse.move(place["x"] + across * place["width"], place["y"] + down * place["height"])

    for end in (0.5, 0.1):
        to(0.1, 0.1)
        mouse.down()
        to(end, end)
        mouse.up()
        tab.page.get_by_text("Your box and the map's box overlap by").wait_for()
    tab.page.wait_for_url("**box=*")
    (box,) = parse_qs(urlsplit(tab.page.url).query)["box"]
    assert [int(side) for side in box.split(",")] == pytest.approx([45, 30, 226, 150], abs=1.5)


def test_another_class_repaints_the_map(map_page: Tab) -> None:
    tab = map_page
    before = tab.pixels("overlay").astype(int)
    tab.choose_class("lynx")
    assert "lynx" in tab.title("overlay")
    assert tab.chosen_class().startswith("lynx")
    # A class without a chip gets one.
    tab.choose_class("coffee mug")
    assert tab.chosen_class().startswith("coffee mug")
    assert np.abs(tab.pixels("overlay") - before).mean() > 2


def test_a_method_of_many_runs_is_stopped_and_goes_on(tab: Any) -> None:
    tab.open("/class_activation_map?model=cat_dog&sample=chelsea&method=occlusion&runs=400")
    line = tab.page.get_by_text(re.compile(r"of 400 runs"))
    tab.page.get_by_role("button", name="Stop").click()
    tab.page.get_by_text("Stopped at").wait_for()
    tab.settled()
    stopped = line.inner_text()
    assert re.fullmatch(r"Stopped at \d+ of 400 runs", stopped)
    # Nothing moves on, and the rest of the page is there.
    tab.page.get_by_text("What makes").wait_for()
    assert line.inner_text() == stopped
    tab.page.get_by_role("button", name="Go on").click()
    tab.page.get_by_text("20 × 20 cells of the photo").wait_for()
    tab.settled()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Raw map (.npy)").click()
    values = np.load(download.value.path())
    assert values.shape == (20, 20)
    network = cnnviz.load_model(ROOT / "models" / "cat_dog.keras")
    question = SeriesQuestion("occlusion", runs=400)
    # Rows from before and after the stop.
    for row in (0, 19):
        part = run_part(network, chelsea(), question, 20 * row, 20 * row + 20)
        np.testing.assert_allclose(values[row], part.values[0, row], atol=1e-3)


def number_in(text: str) -> float:
    """The value of a hover text: the last number of the line above the position."""
    line = text.split("row ")[0].replace("−", "-").replace("\u00a0", " ")
    value, prefix = re.findall(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(µ|m|n|k)?\s*$", line.strip())[-1]
    return float(value) * {"": 1, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "k": 1e3}[prefix]
