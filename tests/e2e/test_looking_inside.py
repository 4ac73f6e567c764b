"""Network, filters, activations and class maps: clicks, values under the mouse, files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import wait_until
from PIL import Image

from scripts.browse import Server
from tests.e2e.conftest import Tab

IMAGENET = "model=imagenet_efficientnet_lite0"


@pytest.mark.parametrize(
    ("address", "charts"),
    [
        ("/", ["photo", "overlay", "scores"]),
        ("/network", ["maps"]),
        ("/filters", ["all filters", "one filter"]),
        ("/activations", ["activations 0", "activations 3", "channel:stem_act"]),
        ("/class_activation_map", ["overlay", "map alone", "side by side"]),
    ],
)
def test_every_page_paints_its_figures(tab: Any, address: str, charts: list[str]) -> None:
    tab.open(address)
    for key in charts:
        painted = tab.painted(key)
        # Not one colour, and not a few letters on one colour.
        assert painted.std() > 10, key
        assert len(np.unique(painted.reshape(-1, 3), axis=0)) > 50, key


@pytest.mark.parametrize(
    ("page", "kind"),
    [("activations?layer=stem_act&", "stMultiSelect"), ("filters?", "stSelectbox")],
)
def test_a_click_on_an_option_counts_while_the_list_scrolls(tab: Any, page: str, kind: str) -> None:
    tab.open(f"/{page}{IMAGENET}")
    tab.page.get_by_test_id(kind).filter(has_text="Layer").last.locator("input").click()
    option = tab.page.get_by_role("option", selected=False).nth(4)
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


def test_full_screen_and_escape_leave_a_figure_as_it_was(tab: Any) -> None:
    """Pictures, whose cells are square, would stay small: they have no such button."""
    lengths = "chart => ['xaxis', 'yaxis'].map(axis => chart._fullLayout[axis]._length)"
    tab.open(f"/?{IMAGENET}")
    for key in ("photo", "overlay"):
        tab.chart(key).hover()
        assert not tab.chart(key).locator("[data-title=Fullscreen]").is_visible()
    bars = tab.chart("scores")
    before = bars.evaluate(lengths)
    bars.hover()
    bars.locator("[data-title=Fullscreen]").click()
    tab.page.wait_for_function("window.document.querySelector('[data-title=\"Close fullscreen\"]')")
    tab.page.keyboard.press("Escape")
    bars.locator("[data-title=Fullscreen]").wait_for(state="attached")
    assert wait_until(lambda: bars.evaluate(lengths) == before, 10), bars.evaluate(lengths)


# --- Filters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("across", "down"), [(0.42, 0.42), (-0.42, -0.42)])
def test_a_click_near_a_filters_corner_opens_it(tab: Any, across: float, down: float) -> None:
    tab.open(f"/filters?{IMAGENET}").click_tile("all filters", 13, across, down)
    assert tab.page.url.endswith("filter=13")
    assert tab.chosen("Filter") == "#13"
    assert tab.title("one filter").startswith("Filter 13")


def test_clicks_and_choices_one_after_another_move_the_outline(tab: Any) -> None:
    tab.open(f"/filters?{IMAGENET}")
    for number in (3, 17, 3):
        tab.click_tile("all filters", number)
        assert tab.chosen("Filter") == f"#{number}"
        assert outlined(tab) == number
    # One that is chosen by name, then another tile.
    assert tab.choose("Filter", "#20").title("one filter").startswith("Filter 20")
    assert outlined(tab) == 20
    assert tab.click_tile("all filters", 9).chosen("Filter") == "#9"


def test_the_keyboard_opens_a_filter(tab: Any) -> None:
    grid = tab.open(f"/filters?{IMAGENET}&filter=1").grid("all filters")
    assert grid.get_attribute("aria-label") == "32 filters of stem_conv, in colour"
    grid.focus()
    columns = int(grid.get_attribute("aria-colcount"))
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
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
    mark = tab.page.locator(".st-key-all-filters .mark.selected").bounding_box()
    middle = mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2
    places = [tab.tile("all filters", number) for number in range(32)]
    return int(np.argmin([np.hypot(x - middle[0], y - middle[1]) for x, y in places]))


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


def test_another_layer_repaints_the_grid(tab: Any) -> None:
    tab.open(f"/filters?{IMAGENET}")
    tab.choose("Layer", "block1a_dwconv")
    assert tab.grid("all filters").get_attribute("aria-label").endswith("block1a_dwconv")
    assert "layer=block1a_dwconv" in tab.page.url


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
    tab.page.get_by_test_id("stMultiSelect").locator("input").fill("top_act")
    with tab.run():
        tab.page.get_by_role("option").filter(has_text="top_act").first.click()
    assert tab.painted("activations 1").std() > 10
    assert tab.grid("activations 0").count() == 1
    tab.choose("Channels shown", "all 1,280 of top_act")
    grid = tab.grid("activations 1")
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


@pytest.mark.parametrize(
    ("button", "page", "widget"),
    [("Its filters", "Filters", "Layer"), ("Its activations", "Activations", None)],
)
def test_a_click_on_a_layer_leads_to_it(
    tab: Any, button: str, page: str, widget: str | None
) -> None:
    tab.open(f"/network?{IMAGENET}")
    tile = tab.page.get_by_role("button", name="block3a_dwconv, DepthwiseConv2D")
    with tab.run():
        tile.click()
    assert tile.get_attribute("aria-pressed") == "true"
    assert tab.chosen("Layer").startswith("block3a_dwconv")
    # The next layers by keyboard, and back.
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"):
        tab.page.keyboard.press(key)
    with tab.run():
        tab.page.keyboard.press("Enter")
    assert "layer=block3a_dwconv" in tab.page.url
    card = tab.page.locator(".st-key-maps [role=grid]").bounding_box()
    assert card["y"] + card["height"] < 1000
    with tab.run():
        tab.page.get_by_role("button", name=button).click()
    tab.page.wait_for_function("title => document.title === title", arg=page)
    tab.settled()
    assert "layer=block3a_dwconv" in tab.page.url
    if widget:
        assert tab.chosen(widget).startswith("block3a_dwconv")


def test_a_click_on_a_row_of_the_table_chooses_the_layer(tab: Any) -> None:
    tab.open(f"/network?{IMAGENET}&layer=top_conv")
    table = tab.page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    # The box before the third row, under the header.
    with tab.run():
        tab.page.mouse.click(box["x"] + 18, box["y"] + 35 * 3.5)
    assert tab.chosen("Layer").startswith("stem_conv")
    assert "864 parameters" in tab.page.get_by_test_id("stMain").inner_text()


# --- Class activation map ---------------------------------------------------------------------


def test_the_map_that_is_downloaded_is_the_one_under_the_mouse(tab: Any) -> None:
    tab.open(f"/class_activation_map?{IMAGENET}&sample=chelsea&class=tabby+cat")
    assert "tabby cat" in tab.title("overlay")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Raw map (.npy)").click()
    values = np.load(download.value.path())
    assert values.shape == (7, 7)
    for row, column in ((0, 0), (3, 1), (6, 5)):
        position = f"row {row}, column {column}"
        text = tab.hover("map alone", column, row, says=position)
        assert number_in(text) == pytest.approx(values[row, column], rel=1e-3)
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Overlay (.png)").click()
    assert download.value.suggested_filename.endswith(".png")
    with Image.open(io.BytesIO(download.value.path().read_bytes())) as picture:
        assert picture.size == (451, 300)


def test_the_overlay_has_the_raw_value_under_the_mouse_where_the_network_looked(tab: Any) -> None:
    tab.open(f"/class_activation_map?{IMAGENET}&sample=chelsea")
    values = tab.chart("map alone").evaluate("gd => gd.calcdata[0][0].z.map(row => [...row])")
    # The crop of Chelsea (451 × 300): 0.875 of the middle square, 7 × 7 cells.
    side = 0.875 * 300
    left, top = (451 - side) / 2, (300 - side) / 2
    for row, column in ((0, 0), (3, 1), (6, 6)):
        x, y = left + (column + 0.5) * side / 7, top + (row + 0.5) * side / 7
        text = tab.hover("overlay", x, y, says=f"row {row}, column {column}")
        assert number_in(text) == pytest.approx(values[row][column], rel=1e-3)


def test_another_class_and_method_repaint_the_map(tab: Any) -> None:
    tab.open(f"/class_activation_map?{IMAGENET}&sample=chelsea")
    before = tab.pixels("overlay").astype(int)
    tab.choose_class("lynx")
    assert "lynx" in tab.title("overlay")
    assert tab.chosen_class().startswith("lynx")
    # A class without a chip gets one.
    tab.choose_class("coffee mug")
    assert tab.chosen_class().startswith("coffee mug")
    assert np.abs(tab.pixels("overlay") - before).mean() > 2
    tab.choose("Method", "Grad-CAM").choose("Layer", "block3b")
    assert "Grad-CAM" in tab.title("overlay")
    assert "28 × 28" in tab.title("map alone")


def number_in(text: str) -> float:
    """The value of a hover text: the last number of the line above the position."""
    line = text.split("row ")[0].replace("−", "-").replace("\u00a0", " ")
    value, prefix = re.findall(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(µ|m|n|k)?\s*$", line.strip())[-1]
    return float(value) * {"": 1, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "k": 1e3}[prefix]
