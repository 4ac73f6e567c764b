"""The walk's JavaScript on an empty page: what it paints, what it does, and what it reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from cnnviz.colours import table
from cnnviz.ui.components.focus import Asked, Failure, Frame
from tests.e2e.walk_page import (
    DROP,
    NOTE_FLIGHTS,
    REFUSE,
    SMALLEST_TYPE,
    THEME,
    Stage,
    a_walk,
    an_arithmetic,
    prepare,
)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    errors = prepare(page)
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def stage(page: Page) -> Stage:
    """A new walk in a wide, light window, where nothing moves."""
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.evaluate("events = []; delete document.documentElement.dataset.present")
    page.evaluate(THEME, False)
    page.mouse.move(0, 0)
    return Stage(page).show(a_walk())


def test_each_tile_has_its_colour_light_and_dark(stage: Stage) -> None:
    walk = a_walk()
    for dark in (False, True):
        stage.page.evaluate(THEME, dark)
        painted = stage.show(walk).pixels(stage.grid("4 × 4: 6 of 64"))
        colours = table("teal on dark" if dark else "teal")
        height, width, _ = painted.shape
        for tile in range(6):
            y, x = int((tile // 2 + 0.5) * height / 3), int((tile % 2 + 0.5) * width / 2)
            np.testing.assert_allclose(painted[y, x], colours[tile * 51], atol=2)


def test_without_motion_play_is_a_step_and_people_may_guess(stage: Stage) -> None:
    assert stage.text(".sentence") == "The end, cat."
    column = stage.grid("4 × 4: 6 of 64")
    full = stage.pixels(column)
    stage.button("Play").click()
    assert stage.text(".sentence") == "Maps of 8 × 8 cells."
    assert stage.text(".node.here .name") == "8 × 8"
    assert stage.text(".answer .headline") == "?"
    assert not stage.button("cat 86 %").is_visible()
    # 22 % of each colour on the page's white.
    np.testing.assert_allclose(stage.pixels(column), 255 + 0.22 * (full - 255), atol=3)
    for sentence in ("Maps of 4 × 4 cells.", "The end, cat."):
        stage.button("Play").click()
        assert stage.text(".sentence") == sentence
    assert stage.text(".answer .headline").split() == ["cat", "86.00", "%"]
    np.testing.assert_array_equal(stage.pixels(column), full)


def test_keys_and_nodes_step_but_not_while_one_types_elsewhere(stage: Stage) -> None:
    page = stage.page
    page.evaluate("document.activeElement.blur()")
    for key, sentence in (
        ("ArrowLeft", "Maps of 4 × 4 cells."),
        ("Home", "The start."),
        ("ArrowLeft", "The start."),
        ("ArrowRight", "Maps of 8 × 8 cells."),
        ("End", "The end, cat."),
    ):
        page.keyboard.press(key)
        assert stage.text(".sentence") == sentence
    # To step hides nothing that was there.
    stage.button("Step 1 of 3: 8 × 8").click()
    assert stage.text(".sentence") == "Maps of 8 × 8 cells."
    assert stage.text(".answer .label") == "cat"
    page.locator("#other").press("ArrowRight")
    assert stage.text(".sentence") == "Maps of 8 × 8 cells."


def test_a_chip_changes_all_that_depends_on_the_class(stage: Stage) -> None:
    before = stage.pixels(stage.find(".answer ~ .evidence .map"))
    assert stage.find(".term .number").all_inner_texts() == [
        *("+0.50", "+0.30", "−0.20"),
        # It adds up as it is shown: 0.50 + 0.30 - 0.20 + 1.26 = 1.86.
        *("+1.26", "1.86"),
    ]
    stage.button("dog 14 %").click()
    assert stage.find(".term .number").all_inner_texts() == [
        *("−0.40", "+0.30", "+0.10"),
        *("−0.25", "−0.25"),
    ]
    assert stage.text(".answer .label") == "dog"
    assert stage.text(".sentence") == "The end, dog."
    assert stage.text(".evidence .caption") == "Evidence for dog."
    after = stage.pixels(stage.find(".answer ~ .evidence .map"))
    height, width, _ = before.shape
    first, last = (height // 8, width // 4), (height * 7 // 8, width * 3 // 4)
    for at, orange, grey in ((first, before, after), (last, after, before)):
        assert orange[at][0] - orange[at][2] > 100
        np.testing.assert_allclose(grey[at], 120, atol=2)
    assert stage.events == []


def test_two_classes_are_compared_and_escape_leads_back(stage: Stage) -> None:
    stage.button("Compare cat | dog").click()
    assert stage.text(".sentence") == "Two answers."
    assert stage.find(".side .label").all_inner_texts() == ["cat", "dog"]
    rows = stage.find(".chart .line").evaluate_all("all => all.map(row => row.title)")
    assert rows == [
        "channel 3: +0.50 for cat, −0.40 for dog",
        "channel 5: +0.30 for cat, +0.10 for dog",
        "channel 9: −0.20 for cat, +0.30 for dog",
        "channel 5: +0.30 for cat, +0.10 for dog",
    ]
    widths = (
        stage.find(".chart .line")
        .first.locator(".bar")
        .evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    )
    assert widths[0] / widths[1] == pytest.approx(0.504 / 0.404, rel=0.01)
    stage.page.keyboard.press("Escape")
    assert not stage.find(".side").first.is_visible()
    assert stage.grid("8 × 8: 2 of 64").is_visible()
    stage.button("dog 14 %").click(modifiers=["Shift"])
    assert stage.find(".side").first.is_visible()
    assert stage.events == []


def test_a_cell_shows_its_value_and_field_and_opens(stage: Stage) -> None:
    # The second tile of a column of two, row 2, column 5.
    grid = stage.grid("8 × 8: 2 of 64")
    x, y = stage.point(grid, 5.5 / 8, 0.5 + 2.5 / 16 + 0.005)
    stage.page.mouse.move(x, y)
    assert stage.text(".tip").split("\n") == ["3", "channel 11, row 2, column 5"]
    field, photo = stage.find(".field").bounding_box(), stage.find(".photo .picture").bounding_box()
    assert field is not None
    assert photo is not None
    # Columns 9 to 13 and rows 3 to 7 of the 16 that the network saw of a photo of 252 × 189.
    assert field["x"] - photo["x"] == pytest.approx(252 * (0.125 + 0.75 * 9 / 16), abs=1)
    assert field["y"] - photo["y"] == pytest.approx(189 * 3 / 16, abs=1)
    assert field["width"] == pytest.approx(189 / 4, abs=1)
    stage.page.mouse.click(x, y)
    stage.page.mouse.click(*stage.point(stage.grid("Class weights"), 0.5, 0.5))
    stage.page.mouse.click(*stage.point(stage.grid("Where the photo speaks for cat"), 0.3, 0.9))
    stage.button("4 × 4").click()
    stage.button("A dog").click()
    stage.button("8 more").click()
    stage.button("Live").click()
    cell = {"action": "cell", "name": "path 8 × 8", "channel": 11, "row": 2, "column": 5}
    assert stage.events == [
        cell,
        {"action": "channel", "name": "path 4 × 4", "channel": 5},
        {"action": "map", "name": "cat", "row": 3, "column": 1},
        {"action": "stage", "name": "path 4 × 4"},
        {"action": "sample", "name": "dog"},
        {"action": "class"},
        {"action": "live"},
    ]


def test_the_keyboard_walks_through_a_grid_and_opens_the_strongest_cell(stage: Stage) -> None:
    grid = stage.grid("4 × 4: 6 of 64")
    grid.focus()
    places = {"ArrowRight": 1, "ArrowDown": 3, "ArrowLeft": 2, "End": 5, "ArrowUp": 3, "Home": 0}
    for key, tile in places.items():
        stage.page.keyboard.press(key)
        cell = grid.get_by_role("gridcell")
        assert cell.inner_text().startswith(f"Channel {10 + tile} of 4 × 4: strongest")
        assert cell.get_attribute("id") == grid.get_attribute("aria-activedescendant")
        assert cell.get_attribute("aria-colindex") == str(tile % 2 + 1)
    assert stage.text(".sentence") == "The end, cat."
    first = stage.grid("8 × 8: 2 of 64")
    first.focus()
    for key in ("Home", "Enter"):
        stage.page.keyboard.press(key)
    cell = {"action": "cell", "name": "path 8 × 8", "channel": 10, "row": 2, "column": 5}
    assert stage.events == [cell]


def test_the_part_that_is_seen_is_dragged(stage: Stage) -> None:
    page, handle = stage.page, stage.find(".handle")
    x, y = stage.point(handle, 0.5, 0.5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 15.75, y + 40)
    # Of 63 pixels that are free 31.5 were at its left.
    assert handle.get_attribute("aria-valuetext") == "75 %"
    assert stage.events == []
    page.mouse.up()
    handle.focus()
    page.keyboard.press("ArrowLeft")
    shares = [(one["action"], round(one["x"], 3), one["y"]) for one in stage.events]
    assert shares == [("crop", 0.75, 0.5), ("crop", 0.7, 0.5)]


def test_a_dropped_file_goes_through_the_uploader_of_the_page(stage: Stage) -> None:
    stage.page.evaluate(DROP)
    assert stage.text(".zone") == "Reading mine.jpg …"
    assert stage.page.evaluate("given") == ["mine.jpg"]
    stage.show(a_walk())
    assert stage.text(".zone") == "Drop a photo"


def test_why_a_file_is_refused_is_said_beside_the_zone(stage: Stage) -> None:
    stage.page.evaluate(DROP)
    stage.page.evaluate(REFUSE, "mine.jpg: It is damaged.")
    stage.find(".refused").get_by_text("mine.jpg: It is damaged.").wait_for()
    assert stage.text(".zone") == "Drop a photo"
    # The same words may stay in the sidebar while another file is read.
    stage.page.evaluate(DROP)
    assert stage.text(".zone") == "Reading mine.jpg …"
    stage.show(dataclasses.replace(a_walk(), sample="dog"))
    assert stage.text(".refused") == ""


def test_a_new_answer_keeps_class_and_step_and_another_photo_does_not(stage: Stage) -> None:
    walk = a_walk()
    stage.show(walk)
    stage.button("dog 14 %").click()
    stage.button("Step 1 of 3: 8 × 8").click()
    stage.show(dataclasses.replace(walk, classes=walk.classes[::-1], sample="dog"))
    assert stage.text(".answer .label") == "dog"
    assert stage.text(".sentence") == "Maps of 8 × 8 cells."
    stage.show(a_walk())
    assert stage.text(".answer .label") == "cat"
    assert stage.text(".sentence") == "The end, cat."


def test_what_the_server_opens_takes_the_place_of_the_wall(stage: Stage) -> None:
    frame = Frame(Asked("cell", "path 8 × 8", 10, 2, 5), "3", "No value", "", [])
    content = Failure(frame, 0, "It took too long.")
    stage.page.mouse.click(*stage.point(stage.grid("8 × 8: 2 of 64"), 0.5, 0.1))
    assert stage.text(".sentence") == "Computing …"
    assert stage.events[0]["action"] == "cell"
    stage.open(content)
    assert stage.text(".sentence") == "No value"
    assert stage.text(".f-problem") == "It took too long."
    assert not stage.grid("8 × 8: 2 of 64").is_visible()
    stage.page.keyboard.press("Escape")
    assert stage.grid("8 × 8: 2 of 64").is_visible()
    # It may come once more before the server knows.
    stage.open(content)
    assert stage.grid("8 × 8: 2 of 64").is_visible()
    assert stage.events[1:] == [{"action": "home"}]
    stage.open(None)


def test_a_clicked_tile_flies_to_its_place_but_not_without_motion(stage: Stage) -> None:
    page, grid = stage.page, stage.grid("8 × 8: 2 of 64")
    page.evaluate(NOTE_FLIGHTS)
    tile, flights = grid.bounding_box(), {}
    for motion in ("reduce", "no-preference"):
        page.emulate_media(reduced_motion=motion)
        page.mouse.click(*stage.point(grid, 0.5, 0.1))
        stage.open(an_arithmetic())
        flights[motion] = page.evaluate("flights.splice(0)")
        page.keyboard.press("Escape")
        stage.open(None)
    assert flights["reduce"] == []
    (start,) = flights["no-preference"]
    assert [start["x"], start["y"]] == pytest.approx([tile["x"], tile["y"]], abs=1)
    assert [start["width"], start["height"]] == pytest.approx([tile["width"]] * 2, abs=1)


def test_on_a_phone_the_wall_is_turned(stage: Stage) -> None:
    stage.page.set_viewport_size({"width": 390, "height": 844})
    stage.page.wait_for_function("root.querySelector('.walk').classList.contains('narrow')")
    assert stage.text(".sentence") == "The start."
    assert stage.page.evaluate("document.documentElement.scrollWidth") == 390
    first, second = stage.grid("8 × 8: 2 of 64"), stage.grid("4 × 4: 6 of 64")
    assert first.get_attribute("aria-colcount") == "2"
    assert second.get_attribute("aria-colcount") == "3"
    assert first.bounding_box()["y"] < second.bounding_box()["y"]
    # A finger does not hit a cell of a small tile: it opens the stage.
    tap = """grid => {
      const box = grid.getBoundingClientRect();
      const [clientX, clientY] = [box.x + 5, box.y + 5];
      grid.dispatchEvent(new PointerEvent('click', {clientX, clientY, pointerType: 'touch'}));
    }"""
    stage.page.set_viewport_size({"width": 190, "height": 844})
    stage.page.wait_for_function("root.querySelector('.grid').offsetWidth < 130")
    second.evaluate(tap)
    assert stage.events == [{"action": "stage", "name": "path 4 × 4"}]


def test_presented_all_type_is_large_and_keys_reveal_step_by_step(stage: Stage) -> None:
    page = stage.page
    page.evaluate("document.documentElement.dataset.present = '1'; document.activeElement.blur()")
    page.wait_for_function("root.querySelector('.walk').classList.contains('present')")
    assert page.evaluate(SMALLEST_TYPE) >= 24
    assert stage.text(".count") == "4 of 4"
    # There it has room for a third map, which a wide window does not show.
    assert stage.grid("8 × 8: 2 of 64").get_attribute("aria-rowcount") == "3"
    page.keyboard.press("ArrowLeft")
    assert stage.text(".count") == "3 of 4"
    assert stage.text(".answer .headline") == "?"


def test_it_plays_by_itself(stage: Stage) -> None:
    page = stage.page
    page.clock.install()
    page.emulate_media(reduced_motion="no-preference")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    assert stage.text(".sentence") == "The start."
    sentences = []
    for milliseconds in (650, 1250, 1300):
        page.clock.run_for(milliseconds)
        sentences.append(stage.text(".sentence"))
    assert sentences == ["Maps of 8 × 8 cells.", "Maps of 4 × 4 cells.", "The end, cat."]
    assert stage.text(".answer .label") == "cat"
    assert stage.button("Play").is_visible()
