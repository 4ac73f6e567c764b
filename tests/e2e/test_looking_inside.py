"""Network, filters, activations and class maps: clicks, values under the mouse, files."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from helpers import wait_until
from PIL import Image

IMAGENET = "model=imagenet_efficientnet_lite0"


@pytest.mark.parametrize(
    ("address", "charts"),
    [
        ("/", ["photo", "overlay", "scores"]),
        ("/network", ["architecture"]),
        ("/filters", ["filters:stem_conv", "one filter"]),
        ("/activations", ["activations:stem_act", "channel:stem_act"]),
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
    ("page", "kind"), [("activations", "stMultiSelect"), ("filters", "stSelectbox")]
)
def test_a_click_on_an_option_counts_while_the_list_scrolls(tab: Any, page: str, kind: str) -> None:
    tab.open(f"/{page}?{IMAGENET}")
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
    tab.open(f"/filters?{IMAGENET}")
    key, number = "filters:stem_conv", 13
    tiles = tab.tiles(key)
    pitch = tiles["x"][1] - tiles["x"][0]
    x, y = tiles["x"][number] + across * pitch, tiles["y"][number] + down * pitch
    tab.click(key, x, y)
    assert tab.page.url.endswith(f"filter={number}")
    assert tab.chosen("Filter") == f"#{number}"
    assert tab.title("one filter").startswith(f"Filter {number}")


def test_clicks_one_after_another_open_one_after_another(tab: Any) -> None:
    tab.open(f"/filters?{IMAGENET}")
    key = "filters:stem_conv"
    tiles = tab.tiles(key)
    for number in (3, 17, 3):
        tab.click(key, tiles["x"][number], tiles["y"][number])
        assert tab.chosen("Filter") == f"#{number}"
    # One that is chosen by name, then another tile.
    assert tab.choose("Filter", "#20").title("one filter").startswith("Filter 20")
    assert tab.click(key, tiles["x"][9], tiles["y"][9]).chosen("Filter") == "#9"


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


def test_another_layer_repaints_the_grid(tab: Any) -> None:
    tab.open(f"/filters?{IMAGENET}")
    tab.choose("Layer", "block1a_dwconv")
    assert tab.title("filters:block1a_dwconv").endswith("block1a_dwconv")
    assert "layer=block1a_dwconv" in tab.page.url


# --- Activations ------------------------------------------------------------------------------


def test_a_click_on_a_channel_opens_it_and_the_mouse_reads_its_values(tab: Any) -> None:
    tab.open(f"/activations?{IMAGENET}&sample=chelsea")
    key = "activations:stem_act"
    tiles = tab.tiles(key)
    channel = int(re.search(r"Channel (\d+)", tiles["hover"][6])[1])
    assert f"Channel {channel}" in tab.hover(key, tiles["x"][6], tiles["y"][6], says="peak")
    tab.click(key, tiles["x"][6], tiles["y"][6])
    assert tab.page.url.endswith(f"channel={channel}")
    assert tab.chosen("Channel").startswith(f"#{channel} ")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="This channel (.npy)").click()
    values = np.load(download.value.path())
    row, column = np.unravel_index(values.argmax(), values.shape)
    position = f"row {row}, column {column}"
    text = tab.hover("channel:stem_act", float(column), float(row), says=position)
    assert number_in(text) == pytest.approx(values.max(), rel=1e-3)


def test_another_layer_repaints_the_channels(tab: Any) -> None:
    tab.open(f"/activations?{IMAGENET}")
    tab.page.get_by_test_id("stMultiSelect").locator("input").fill("top_act")
    with tab.run():
        tab.page.get_by_role("option").filter(has_text="top_act").first.click()
    assert "1280 channels" in tab.title("activations:top_act")
    assert tab.painted("activations:top_act").std() > 10
    assert tab.chart("activations:stem_act").count() == 1


# --- Network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("button", "page", "widget"),
    [("Its filters", "Filters", "Layer"), ("Its activations", "Activations", None)],
)
def test_a_click_on_a_layer_leads_to_it(
    tab: Any, button: str, page: str, widget: str | None
) -> None:
    tab.open(f"/network?{IMAGENET}")
    key = "architecture"
    box = tab.chart(key).evaluate(
        """gd => {
          for (const trace of gd._fullData) {
            const at = [...trace.customdata].findIndex(item => item[0] === 'block3a_dwconv');
            if (at >= 0) return [trace.x[at], 0];
          }
        }"""
    )
    tab.click(key, *box)
    assert tab.page.get_by_role("heading", name="block3a_dwconv").is_visible()
    with tab.run():
        tab.page.get_by_role("button", name=button).click()
    tab.page.wait_for_function("title => document.title === title", arg=page)
    tab.settled()
    assert "layer=block3a_dwconv" in tab.page.url
    if widget:
        assert tab.chosen(widget).startswith("block3a_dwconv")


def test_a_click_on_a_row_of_the_table_chooses_the_layer(tab: Any) -> None:
    tab.open(f"/network?{IMAGENET}")
    table = tab.page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    # The box before the third row, under the header.
    with tab.run():
        tab.page.mouse.click(box["x"] + 18, box["y"] + 35 * 3.5)
    assert tab.page.get_by_role("heading", name="stem_conv").is_visible()
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
    tab.choose("Class", "lynx")
    assert "lynx" in tab.title("overlay")
    assert np.abs(tab.pixels("overlay") - before).mean() > 2
    tab.choose("Method", "Grad-CAM").choose("Layer", "block3b")
    assert "Grad-CAM" in tab.title("overlay")
    assert "28 × 28" in tab.title("map alone")


def number_in(text: str) -> float:
    """The value of a hover text: the last number of the line above the position."""
    line = text.split("row ")[0].replace("−", "-").replace("\u00a0", " ")
    value, prefix = re.findall(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(µ|m|n|k)?\s*$", line.strip())[-1]
    return float(value) * {"": 1, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "k": 1e3}[prefix]
