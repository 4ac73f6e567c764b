"""Explore: what a person does in the walk, on one page of the running app, and what it answers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import wait_until
from playwright.sync_api import BrowserContext

import cnnviz
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from scripts.browse import Server
from tests.e2e.conftest import Tab

SAMPLES = {one.name: one for one in samples()}
# Onto the sign in the page; the sidebar with the uploader is closed.
_DROP = """([name, text]) => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, {type: 'image/png'}));
  const [host] = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')]
    .filter(one => one.shadowRoot.querySelector('.zone'));
  const options = {bubbles: true, cancelable: true, composed: true, dataTransfer};
  host.shadowRoot.querySelector('.zone').dispatchEvent(new DragEvent('drop', options));
}"""
# The camera's stream, and the number of the last frame that was answered.
_FIND_CAMERA = """() => {
  const hosts = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')];
  window.live = hosts.map(one => one.shadowRoot.live).find(Boolean);
  window.camera = live.stream;
}"""
_ANSWERED = "least => (live.answer?.number ?? 0) >= least"
_IS_GREEN = """() => {
  const {width, height} = live.picture;
  const [red, green] = live.picture.getContext('2d').getImageData(width / 2, height / 8, 1, 1).data;
  return green > red + 30;
}"""
_CAMERA_STATES = "camera.getTracks().map(track => track.readyState)"


@pytest.fixture(scope="module")
def explore(context: BrowserContext, server: Server) -> Iterator[Tab]:
    """A page that the tests of this file go on with; at the end its console must hold no error."""
    tab = Tab(context.new_page(), server.url)
    tab.page.set_viewport_size({"width": 1280, "height": 720})
    tab.requests = []
    tab.page.on("request", lambda request: tab.requests.append(request.url))
    tab.open("/?model=cat_dog")
    yield tab
    tab.page.close()
    assert tab.errors == []


def show(tab: Tab, name: str) -> Tab:
    """Has the walk show a sample."""
    if not tab.walk(".samples").is_visible():
        tab.page.keyboard.press("Escape")
    sample = tab.walk(f".samples [title='{SAMPLES[name].title}']")
    if sample.get_attribute("aria-pressed") != "true":
        with tab.run():
            sample.click()
    assert tab.shows(SAMPLES[name].path.read_bytes())
    return tab


def test_a_sample_of_the_strip_is_explained(explore: Tab) -> None:
    show(explore, "chelsea")
    assert re.fullmatch(r"cat > 99.99 %|cat 9\d\.\d\d %", explore.answer)
    before = explore.picture("map")
    show(explore, "dog")
    assert explore.answer.startswith("dog ")
    assert "sample=dog" in explore.page.url
    after = explore.picture("map")
    assert before.shape != after.shape or np.abs(before - after).mean() > 10
    # All of it is in sight.
    for part in (".photo", ".samples", ".zone", ".wall", ".player", ".answer", ".evidence"):
        box = explore.walk(part).bounding_box()
        assert box["y"] > 0, part
        assert box["y"] + box["height"] < 720, part


def test_a_cell_s_arithmetic_is_that_of_the_api(explore: Tab) -> None:
    page = show(explore, "dog").page
    network = cnnviz.load_model(ROOT / "models" / "cat_dog.keras")
    photo = cnnviz.open_photo(SAMPLES["dog"].path)
    stage = cnnviz.explain_stages(network, photo).stages[2]
    height, width = stage.maps.shape[:2]
    grid = page.get_by_role("grid", name=re.compile(f"^{height} × {width}: "))
    box, columns = grid.bounding_box(), int(grid.get_attribute("aria-colcount"))
    # In the first tile, a little beside its middle.
    place = box["x"] + 0.56 * box["width"] / columns, box["y"] + 0.52 * box["width"] / columns
    page.mouse.move(*place)
    value, cell = explore.walk(".tip").inner_text().split("\n")
    channel, row, column = (int(one) for one in re.findall(r"\d+", cell))
    assert channel == stage.order[0]
    assert explore.walk(".field").is_visible()
    trace = cnnviz.trace_value(network, photo, stage.path, row, column, channel)
    assert number(value) == pytest.approx(trace.value, rel=6e-3)
    with explore.run():
        page.mouse.click(*place)
    total = explore.walk(".f-result.f-last .f-value").inner_text()
    assert number(total) == pytest.approx(trace.value, abs=6e-4)
    assert explore.walk(".f-head h2").inner_text() == f"Where does {trace.value:.3g} come from?"
    (term,) = trace.terms
    for name, numbers in (
        ("Patch", term.inputs),
        ("Kernel", term.weights),
        ("Products", term.inputs * term.weights),
    ):
        cells = page.get_by_role("grid", name=f"{name}, ").get_by_role("gridcell")
        shown = [number(text) for text in cells.all_inner_texts()]
        np.testing.assert_allclose(shown, numbers.ravel(), atol=0.0051, err_msg=name)
    # One layer back.
    inner = int(np.abs(term.inputs).argmax())
    down, across = divmod(inner, len(term.columns))
    back = term.rows[down], term.columns[across]
    before = cnnviz.trace_value(network, photo, term.layer, *back, term.channel)
    with explore.run():
        page.get_by_role("grid", name="Patch, ").get_by_role("gridcell").nth(inner).click()
    total = explore.walk(".f-result.f-last .f-value").inner_text()
    assert number(total) == pytest.approx(before.value, abs=6e-4)
    assert len(explore.page.locator(".f-trail > *").all_inner_texts()) == 3
    # The keyboard: back to the wall, and through the steps.
    page.keyboard.press("Escape")
    assert grid.is_visible()
    explore.settled()
    said = explore.walk(".sentence")
    last = said.inner_text()
    page.keyboard.press("Home")
    start = said.inner_text()
    page.keyboard.press("ArrowRight")
    assert len({last, start, said.inner_text()}) == 3
    page.keyboard.press("ArrowLeft")
    assert said.inner_text() == start
    page.keyboard.press("End")
    assert said.inner_text() == last
    assert not explore.walk(".f-head").is_visible()


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("+", ""))


def test_the_part_that_is_dragged_is_explained(explore: Tab) -> None:
    page = show(explore, "kitten").page
    answer, evidence = explore.answer, explore.picture("map")
    box = explore.walk(".handle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with explore.run():
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 15, y)
        page.mouse.move(x - 150, y)
        page.mouse.up()
    assert "crop=0%2C" in page.url
    assert explore.walk(".handle").bounding_box()["x"] < box["x"] - 5
    assert explore.answer != answer
    assert np.abs(explore.picture("map") - evidence).mean() > 5
    # What the browser shows is what the library says of that part.
    network = cnnviz.load_model(ROOT / "models" / "cat_dog.keras")
    kitten = cnnviz.open_photo(SAMPLES["kitten"].path)
    height, width = kitten.shape[:2]
    left = cnnviz.predict(network, kitten[:, : width - (width - height)])
    share = max(left.probabilities)
    assert explore.answer.startswith(left.labels[int(np.argmax(left.probabilities))])
    assert float(re.findall(r"[\d.]+", explore.answer)[-1]) == pytest.approx(100 * share, abs=2)


def test_a_photo_that_is_dropped_on_the_page_is_explained(explore: Tab, photo: bytes) -> None:
    show(explore, "dog")
    sidebar = explore.page.get_by_test_id("stSidebar")
    assert sidebar.get_attribute("data-collapsed") == "true"
    with explore.run():
        data = base64.b64encode(photo).decode()
        explore.page.evaluate(_DROP, ["rings.png", data])
        assert explore.walk(".zone").inner_text() == "Reading rings.png …"
        explore.page.wait_for_url("**photo=own**")
    assert explore.shows(photo)
    assert explore.walk(".zone").inner_text() == "Drop a photo"
    assert explore.walk(".samples [aria-pressed=true]").count() == 0
    network = cnnviz.load_model(ROOT / "models" / "cat_dog.keras")
    (best,) = cnnviz.predict(network, cnnviz.open_photo(photo)).top(1)
    assert explore.answer.startswith(f"{best.label} ")
    # The server keeps no picture that a browser has to ask for: it might be gone by then.
    assert [url for url in explore.requests if url.startswith(f"{explore.url}/media/")] == []


def test_the_camera_answers_gives_a_picture_and_is_off(explore: Tab) -> None:
    page = show(explore, "dog").page
    explore.walk(".intake .live").click()
    sign = page.locator(".live .sign.on")
    sign.wait_for()
    assert sign.inner_text() == "Camera on"
    dot = sign.evaluate("sign => getComputedStyle(sign, '::before').backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", dot))
    assert red > 150 > 60 > max(green, blue)
    page.evaluate(_FIND_CAMERA)
    page.wait_for_function(_ANSWERED, arg=1)
    page.wait_for_function(_ANSWERED, arg=3)
    assert page.evaluate(_CAMERA_STATES) == ["live"]
    classes = page.locator(".live .chips button").all_inner_texts()
    assert sorted(text.split()[0] for text in classes) == ["cat", "dog"]
    # The first pictures of a camera, a false one's too, are black; its later ones are green.
    page.wait_for_function(_IS_GREEN)
    with explore.run():
        page.get_by_role("button", name="Use this picture").click()
    explore.walk(".photo").wait_for()
    assert page.evaluate(_CAMERA_STATES) == ["ended"]
    assert page.locator(".live .sign").count() == 0
    assert wait_until(lambda: is_green(explore.picture("photo")), 10)
    assert "photo=own" in page.url
    assert "Taken just now" in explore.sidebar.inner_text()


def is_green(pixels: np.ndarray) -> bool:
    return bool(pixels[..., 1].mean() > pixels[..., 0].mean() + 30)


def test_names_full_of_markup_are_only_text(tab: Any) -> None:
    requests: list[str] = []
    tab.page.on("request", lambda request: requests.append(request.url))
    for page in ("", "network", "class_activation_map"):
        tab.open(f"/{page}?model=zz_markup&sample=digit-7")
        tab.page.get_by_text("About this network").click()
        tab.page.get_by_text("https://evil.example").first.wait_for()
        about = tab.page.get_by_test_id("stExpander").filter(has_text="About this network")
        assert about.locator("[data-testid=stMarkdown] [data-testid=stIconMaterial]").count() == 0
        assert tab.page.locator("a[href*='evil'], img[src*='evil'], svg a, .katex").count() == 0
        assert "bold</b>" in tab.page.get_by_test_id("stMain").inner_text()
    assert [url for url in requests if "evil" in url] == []
