"""The viewer's JavaScript on an empty page: what it paints, and what it reports."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route

from cnnviz.arrays import resize
from cnnviz.colours import table
from cnnviz.ui.components import comparison, modules, scenes, viewer
from cnnviz.ui.components.comparison import Board, Column, MapCell, Row, ShownPhoto
from cnnviz.ui.components.scenes import Legend, Region, Scene, Tiles, buffer, pack

# As Streamlit does: the code as a module from a blob, in a shadow root with the theme's variables.
_HOST = "http://viewer.test/"
_START = """async ([js, css, dark]) => {
  document.body.innerHTML = '<div id="host" style="width: 400px"></div>';
  document.body.style = `margin: 0; background: ${dark ? '#0e141a' : '#ffffff'}`;
  const host = document.getElementById('host');
  host.style.setProperty('--st-background-color', dark ? '#0e141a' : '#ffffff');
  host.style.setProperty('--st-text-color', dark ? '#eaf0f4' : '#14202b');
  window.root = host.attachShadow({mode: 'open'});
  root.append(Object.assign(document.createElement('style'), {textContent: css}));
  const code = new Blob([js], {type: 'text/javascript'});
  window.module = await import(URL.createObjectURL(code));
  window.events = [];
}"""
_SHOW = """([text, parentElement]) => {
  module.default({
    data: Uint8Array.from(atob(text), letter => letter.charCodeAt(0)),
    parentElement: parentElement ?? root,
    setTriggerValue: (name, value) => events.push([name, value]),
  });
}"""


class Stage:
    """An empty page with a viewer, 400 pixels wide."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def start(
        self,
        *,
        dark: bool = False,
        module: str = "viewer.js",
        styles: Sequence[str] = viewer.STYLES,
    ) -> Stage:
        code = [modules.code(module), modules.style(*styles)]
        self.page.evaluate(_START, [*code, dark])
        return self

    def show(self, scene: Scene | bytes) -> Stage:
        packed = scene if isinstance(scene, bytes) else pack(scene, "key")
        self.page.evaluate(_SHOW, [base64.b64encode(packed).decode(), None])
        return self

    def select(self, scene: str, index: int) -> Stage:
        """As ``viewer.select`` does, by a message of its own, to an element of its own."""
        header = {"kind": "selection", "of": "key", "scene": scene, "item": "tiles", "index": index}
        self.page.evaluate(_SHOW, [base64.b64encode(buffer(header, [])).decode(), {}])
        return self

    def pixels(self, region: int = 0) -> np.ndarray:
        """The painted pixels (h, w, 3) of a region."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
        picture = self.page.locator(".region").nth(region).screenshot()
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

    @property
    def events(self) -> list[Any]:
        return self.page.evaluate("events")

    @property
    def grid(self) -> Locator:
        return self.page.get_by_role("grid")


@pytest.fixture
def stage(browser: Browser) -> Iterator[Stage]:
    page = browser.new_page(viewport={"width": 500, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{_HOST}**", answer)
    page.goto(_HOST)
    yield Stage(page)
    page.close()
    assert errors == []


def answer(route: Route) -> None:
    """As the server does: an empty page, and the modules."""
    if route.request.url.endswith(modules.address()):
        route.fulfill(body=modules.joined(), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def a_grid(maps: Any, colours: str = "teal", **options: Any) -> Scene:
    count = np.shape(maps)[-1]
    options = {
        "scene": "a layer",
        "limits": (0.0, 6.0),
        "sentences": [f"Channel {k}\nits numbers" for k in range(count)],
    } | options
    legend = Legend("activation", colours, 0.0, 6.0, ("0", "6"))
    maps = np.asarray(maps, np.float32)
    return scenes.grid(maps, title="Maps", legend=legend, unit="activation", **options)


# --- Grids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_each_cell_has_its_colour(stage: Stage, dark: bool) -> None:
    maps = np.linspace(0, 6, 12).reshape(2, 2, 3)
    maps[0, 0, 2] = np.nan
    stage.start(dark=dark).show(a_grid(maps))
    painted = stage.pixels()
    name = "teal on dark" if dark else "teal"
    columns, box = int(stage.grid.get_attribute("aria-colcount")), stage.grid.bounding_box()
    assert columns == 3
    pitch = (box["width"] + 10) / 3
    for tile in range(3):
        for row in range(2):
            for column in range(2):
                x = tile * pitch + (column + 0.5) * (pitch - 10) / 2
                y = (row + 0.5) * box["height"] / 2
                expected = (
                    table(name)[round(maps[row, column, tile] / 6 * 255)]
                    if np.isfinite(maps[row, column, tile])
                    else np.array([14, 20, 26] if dark else [255, 255, 255])
                )
                np.testing.assert_allclose(painted[int(y), int(x)], expected, atol=1)


def test_sixteen_bits_arrive_as_the_numbers_they_were(stage: Stage) -> None:
    maps = np.zeros((40, 40, 4), np.float32)
    maps[20, 20] = [5.25, -0.125, 3e-4, 0]
    maps[0, 0] = 6.0
    stage.start().show(a_grid(maps, limits=(-6.0, 6.0)))
    box = stage.grid.bounding_box()
    columns = int(stage.grid.get_attribute("aria-colcount"))
    assert columns == 4
    for tile, text in enumerate(("5.25", "−0.125", "3.00e−4", "0")):
        x = box["x"] + (tile + 20.5 / 40) * (box["width"] + 10) / 4 - 10 * 20.5 / 40
        stage.page.mouse.move(x, box["y"] + box["height"] * 20.5 / 40)
        lines = stage.page.locator(".tip").inner_text().splitlines()
        assert lines == [text, "activation, row 20, column 20", f"Channel {tile}", "its numbers"]
    stage.page.mouse.move(450, 800)
    assert not stage.page.locator(".tip").is_visible()


def test_tiles_of_three_colours(stage: Stage) -> None:
    kernels = np.zeros((1, 1, 2, 3), np.float32)
    kernels[0, 0] = [[1, 0, -1], [-1, 0, 1]]
    tiles = Tiles(
        "tiles", kernels, (-1.0, 1.0), "gray", "Kernels", "weight", ["a filter"], columns=1
    )
    tiles = Tiles(**{**vars(tiles), "at": (0, 0, 200, 100)})
    stage.start().show(Scene("s", [Region([tiles], (400, 100))]))
    painted = stage.pixels()
    np.testing.assert_allclose(painted[50, 50], [255, 128, 0], atol=1)
    np.testing.assert_allclose(painted[50, 150], [0, 128, 255], atol=1)
    stage.page.mouse.move(150, 50)
    assert stage.page.locator(".tip").inner_text().startswith("−1 · 0 · 1\nweight, row 0, column 1")


def test_a_click_is_one_event_with_its_cell(stage: Stage) -> None:
    stage.start().show(a_grid(np.ones((4, 4, 6))))
    box = stage.grid.bounding_box()
    # The last of three tiles in a row, its third row, its first column.
    assert stage.grid.get_attribute("aria-colcount") == "3"
    side = (box["width"] - 20) / 3
    stage.page.mouse.click(box["x"] + 2 * (side + 10) + side / 8, box["y"] + side * 5 / 8)
    event = {"scene": "a layer", "item": "tiles", "index": 2, "row": 2, "column": 0}
    assert stage.events == [["event", event]]
    assert stage.grid.locator(".mark.selected").is_visible()


def test_tiles_that_do_not_open_report_nothing(stage: Stage) -> None:
    stage.start().show(a_grid(np.ones((4, 4, 6)), opens=False))
    stage.grid.click()
    stage.grid.press("Enter")
    assert stage.events == []


def test_the_keyboard_moves_and_opens(stage: Stage) -> None:
    stage.start().show(a_grid(np.ones((4, 4, 30))))
    columns = int(stage.grid.get_attribute("aria-colcount"))
    stage.grid.focus()
    steps = ["ArrowLeft", "ArrowDown", "ArrowRight", "End", "ArrowRight", "ArrowUp", "Home"]
    places = [0, columns, columns + 1, 29, 29, 29 - columns, 0]
    for step, place in zip(steps, places, strict=True):
        stage.page.keyboard.press(step)
        cell = stage.grid.get_by_role("gridcell")
        assert cell.inner_text() == f"Channel {place}\nits numbers".replace("\n", " ")
        assert cell.get_attribute("id") == stage.grid.get_attribute("aria-activedescendant")
        row = stage.grid.get_by_role("row").get_attribute("aria-rowindex")
        assert (int(row), int(cell.get_attribute("aria-colindex"))) == (
            place // columns + 1,
            place % columns + 1,
        )
    stage.page.keyboard.press("ArrowRight")
    stage.page.keyboard.press("Enter")
    assert stage.events == [["event", {"scene": "a layer", "item": "tiles", "index": 1}]]
    stage.page.keyboard.press("+")
    assert int(stage.grid.get_attribute("aria-colcount")) < columns


def test_keys_of_a_scene_are_reported(stage: Stage) -> None:
    scene = a_grid(np.ones((4, 4, 6)))
    stage.start().show(Scene(**{**vars(scene), "keys": ["Escape"]}))
    stage.grid.press("Escape")
    stage.grid.press("q")
    assert stage.events == [["event", {"scene": "a layer", "key": "Escape"}]]


def test_new_data_keep_the_elements_and_the_place_of_the_keyboard(stage: Stage) -> None:
    stage.start().show(a_grid(np.ones((4, 4, 6))))
    stage.grid.focus()
    stage.page.keyboard.press("ArrowRight")
    stage.grid.evaluate("grid => { grid.mine = true; }")
    before = stage.pixels()
    stage.show(a_grid(np.full((4, 4, 6), 5)))
    assert np.abs(stage.pixels() - before).max() > 50
    assert stage.grid.evaluate("grid => grid.mine && grid.getRootNode().activeElement === grid")
    assert stage.grid.get_by_role("gridcell").inner_text().startswith("Channel 1")


def test_a_selection_is_for_its_scene_alone_and_shows_hidden_tiles(stage: Stage) -> None:
    stage.start().show(a_grid(np.ones((7, 7, 1280))))
    mark = stage.grid.locator(".mark.selected")
    rows = int(stage.grid.get_attribute("aria-rowcount"))
    assert not stage.select("another layer", 3).grid.locator(".mark.selected").is_visible()
    stage.select("a layer", 1279)
    assert int(stage.grid.get_attribute("aria-rowcount")) > rows
    assert mark.is_visible()
    # A viewer that comes after its selection has it, too.
    stage.page.evaluate(
        "() => { root.querySelector('.viewer').remove(); root.viewer = undefined; }"
    )
    stage.show(a_grid(np.ones((7, 7, 1280))))
    assert mark.is_visible()


# --- Evidence -----------------------------------------------------------------------------------

EVIDENCE = np.array([[0, 0, 4], [0, 0, 0], [-4, 0, 2]], np.float32)
# Paints a map over the middle of a grey photo of 400 × 300, or over nothing.
_EVIDENCE = """async ([address, values, limit, contours, grey, colours]) => {
  const modules = (await import(`/${address}`)).default;
  const { evidence, paintEvidence, paintGrey } = modules.evidence;
  const { pixelTable } = modules.pixels;
  document.body.innerHTML = '<canvas class="region" width="400" height="300"></canvas>';
  document.body.style = 'margin: 0; background: #fff';
  const context = document.querySelector('canvas').getContext('2d');
  if (grey !== null) {
    const photo = Object.assign(document.createElement('canvas'), { width: 4, height: 3 });
    const pixels = photo.getContext('2d');
    pixels.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
    pixels.fillRect(0, 0, 4, 3);
    paintGrey(context, photo, [0, 0, 400, 300]);
  }
  const [h, w] = [values.length, values[0].length];
  const table = pixelTable({ values: Uint8Array.from(colours) });
  const drawn = { values: Float32Array.from(values.flat()), h, w, limit, table, contours };
  paintEvidence(context, evidence({ ...drawn, size: [300, 300] }), [50, 0, 300, 300], 1);
}"""


def painted_map(
    stage: Stage, *, contours: Sequence[float] = (), grey: int | None = 120
) -> np.ndarray:
    """The pixels (300, 400, 3) of the map, over a photo of one grey if there is one."""
    colours = table("blue-orange").ravel().tolist()
    drawn = [EVIDENCE.tolist(), 4.0, contours, grey, colours]
    stage.page.evaluate(_EVIDENCE, [modules.address(), *drawn])
    return stage.pixels()


def test_zero_is_transparent_and_evidence_has_its_side_s_colour(stage: Stage) -> None:
    painted = painted_map(stage)
    np.testing.assert_allclose(painted[150, 200], 120, atol=1)
    np.testing.assert_allclose(painted[150, 20], 120, atol=1)
    strong, weak, against = painted[50, 300], painted[250, 300], painted[250, 100]
    assert strong[0] > strong[1] > strong[2]
    assert against[2] > against[1] > against[0]
    assert 0 < weak[0] - weak[2] < strong[0] - strong[2]
    # Its colour in the photo's light, then 0.55 of it: by hand for the solid cell, whose colour
    # before was the fill's hue at the grey's luminosity.
    fill = table("blue-orange")[255].astype(float)
    light = fill @ [0.3, 0.59, 0.11]
    tinted = np.clip(fill + 120 - light, 0, 255)
    np.testing.assert_allclose(strong, 0.45 * tinted + 0.55 * fill, atol=6)


def test_half_the_limit_has_the_alpha_of_its_power(stage: Stage) -> None:
    """Without a photo below, on white: 1 − (1 − a) (1 − 0.55 a) of the fill."""
    painted = painted_map(stage, grey=None)
    alpha = 0.5**0.85
    share = 1 - (1 - alpha) * (1 - 0.55 * alpha)
    fill = table("blue-orange")[255]
    np.testing.assert_allclose(painted[250, 300], 255 + share * (fill - 255.0), atol=3)


def test_between_cells_a_map_is_where_a_slower_interpolation_is(stage: Stage) -> None:
    painted = painted_map(stage)
    between = resize(EVIDENCE, 300, 300)[100, 250]
    assert between > 0
    assert painted[100, 300][0] - painted[100, 300][2] > 20


def test_contours_are_white_lines(stage: Stage) -> None:
    white = (painted_map(stage, contours=(0.2, 0.4, 0.6)).min(axis=2) > 190).sum()
    assert 300 < white < 4000
    assert (painted_map(stage).min(axis=2) > 190).sum() == 0


# --- Scenes -------------------------------------------------------------------------------------


def test_tiles_have_another_place_in_a_narrow_viewer(stage: Stage) -> None:
    maps = np.linspace(0, 6, 8, dtype=np.float32).reshape(8, 1, 1).repeat(3, 1).repeat(3, 2)
    column = Tiles(
        "stage",
        maps,
        (0.0, 6.0),
        "teal",
        "A stage",
        "activation",
        [f"Channel {k}" for k in range(8)],
        at=(200, 0, 98, 198),
        columns=2,
        narrow=(0, 0, 398, 98),
        narrow_columns=4,
        gap=2,
    )
    scene = Scene("walk", [Region([column], (400, 200), (400, 200))])
    stage.start().page.evaluate("document.getElementById('host').style.width = '800px'")
    stage.page.set_viewport_size({"width": 900, "height": 900})
    stage.show(scene)
    stage.page.wait_for_timeout(100)
    wide = stage.pixels()
    assert wide.shape == (400, 800, 3)
    for tile in range(8):
        y, x = 50 + 100 * (tile // 2), 450 + 100 * (tile % 2)
        np.testing.assert_allclose(wide[y, x], table("teal")[round(tile / 7 * 255)], atol=2)
    # Narrow: the other place, with the other number of columns.
    stage.page.evaluate("document.getElementById('host').style.width = '400px'")
    stage.page.wait_for_timeout(100)
    narrow = stage.pixels()
    assert narrow.shape == (200, 400, 3)
    for tile in range(8):
        y, x = 24 + 50 * (tile // 4), 50 + 100 * (tile % 4)
        np.testing.assert_allclose(narrow[y, x], table("teal")[round(tile / 7 * 255)], atol=2)
    assert stage.grid.get_attribute("aria-colcount") == "4"


# --- Comparisons --------------------------------------------------------------------------------


def a_board() -> Board:
    """A grey photo of 40 × 30: a network that saw all of it, and one that saw its middle half."""
    file = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 120, np.uint8)).save(file, "PNG")
    wide = np.array([[1, 2, 3, 4], [-5, 6, 7, 8]], np.float32)
    middle = np.array([[10, 20], [30, 40]], np.float32)
    return Board(
        "board",
        [ShownPhoto(file.getvalue(), (30, 40), pixelated=False)],
        [Column("CAM", "logit", ("−40", "+40"))],
        [
            Row("cat", "75.0 %", ["A"], 0, (0, 0, 1, 1)),
            Row("cat", "1 %", ["B"], 0, (0.25, 0, 0.5, 1)),
        ],
        [
            [MapCell(wide, 40.0, ["Largest +8"], "CAM of A: x")],
            [MapCell(middle, 40.0, [], "CAM of B: y")],
        ],
    )


def test_the_mouse_over_one_map_marks_the_same_place_in_all(stage: Stage) -> None:
    stage.start(module="comparison.js", styles=comparison.STYLES).show(comparison.pack(a_board()))
    page = stage.page
    first, second = page.locator(".picture").all()
    box, other = first.bounding_box(), second.bounding_box()
    assert other["x"] > box["x"] + box["width"]

    def values() -> list[str]:
        return page.locator(".value").all_inner_texts()

    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.75 * box["height"])
    assert values() == ["+6", "+30"]
    # The mark is the map's own cell: a quarter of the width, and of the middle half one half.
    marks = [one.bounding_box() for one in page.locator(".mark").all()]
    for mark, left, whole in zip(marks, (0.25, 0.25), (box, other), strict=True):
        assert mark["width"] == pytest.approx(whole["width"] / 4, abs=2)
        assert mark["x"] - whole["x"] == pytest.approx(left * whole["width"], abs=2)
        assert mark["y"] - whole["y"] == pytest.approx(whole["height"] / 2, abs=2)
    # The second network did not look at the right edge.
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.25 * box["height"])
    assert values() == ["+4", "not seen"]
    page.mouse.move(450, 800)
    assert not page.locator(".value").first.is_visible()
    second.focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".told").inner_text() == "Row 0, column 0: CAM of A +2, CAM of B +10"
    second.click()
    assert stage.events == [["event", {"id": "board", "row": 1, "column": 0}]]
