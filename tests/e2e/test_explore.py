"""Explore: a photo dropped in is explained, and a bad one is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from scripts.browse import settle

# What Plotly has drawn is as clear as glass, and what was there before shows again.
_WITHOUT_PLOTLY = """
.js-plotly-plot {opacity: 0}
[class*=st-key]::before, [class*=st-key]::after {
  visibility: visible !important;
  transition: none !important;
}
"""
# The first pictures of a camera, a false one's too, are black.
_VIDEO_RUNS = """() => {
  const video = document.querySelector('video');
  if (!video || video.readyState < 2) return false;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [8, 8];
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 8, 8);
  return context.getImageData(4, 4, 1, 1).data[1] > 50;
}"""


def test_a_dropped_photo_is_explained_with_nothing_else_to_press(tab: Any, photo: bytes) -> None:
    requests: list[str] = []
    tab.page.on("request", lambda request: requests.append(request.url))
    tab.open("/?sample=chelsea")
    before = tab.pixels("overlay")
    tab.upload("rings.png", photo)
    shown = tab.pixels("photo")
    rings = Image.open(io.BytesIO(photo)).resize(shown.shape[1::-1])
    assert np.abs(shown - np.asarray(rings, int)).mean() < 12
    assert before.shape != tab.pixels("overlay").shape
    assert tab.page.get_by_role("heading", level=3).inner_text().startswith("The network")
    assert "Your photo" in tab.sidebar.get_by_test_id("stCaptionContainer").first.inner_text()
    # The server keeps no picture that a browser has to ask for: it might be gone by then.
    assert [url for url in requests if url.startswith(f"{tab.url}/media/")] == []


def test_the_opacity_changes_the_picture_without_a_message_to_the_server(tab: Any) -> None:
    tab.open("/?sample=chelsea")
    grey = (tab.pixels("photo") @ [0.3, 0.59, 0.11])[..., None]
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
    assert strengths[0] < 3
    assert strengths[1] > strengths[0] + 5
    assert strengths[2] > strengths[1] + 5


def test_a_telephone_shows_the_map_right_after_the_photo(tab: Any) -> None:
    tab.open("/?sample=chelsea")
    photo, overlay = _picture(tab, "photo"), _picture(tab, "overlay")
    # Side by side, at the same height and of the same size, with the bars below them.
    assert photo["x"] + photo["width"] < overlay["x"]
    for side in ("y", "width", "height"):
        assert abs(photo[side] - overlay[side]) < 2, side
    assert tab.chart("scores").bounding_box()["y"] > _bottom(overlay)
    tab.page.set_viewport_size({"width": 420, "height": 900})
    tab.open("/?sample=chelsea")
    photo, overlay = _picture(tab, "photo"), _picture(tab, "overlay")
    titles = [tab.chart(key).locator(".gtitle").bounding_box() for key in ("photo", "overlay")]
    assert 0 <= photo["y"] - _bottom(titles[0]) < 20
    assert 0 <= titles[1]["y"] - _bottom(photo) < 60
    assert tab.chart("scores").bounding_box()["y"] > _bottom(overlay)
    # The model's name opens the sidebar, whose parts are in sight and with nothing over them; a
    # choice in it closes it again.
    uploader = tab.sidebar.locator(".st-key-uploaded-photo")
    uploader.get_by_role("button", name="Upload").last.click(trial=True)
    tab.choose("Sample picture", "A cow")
    tab.page.locator(".stSidebar[data-collapsed=true]").wait_for(state="attached")


def test_the_pictures_are_there_before_plotly_and_do_not_move(tab: Any) -> None:
    tab.open("/?sample=chelsea")
    for width in (1400, 420):
        tab.page.set_viewport_size({"width": width, "height": 900})
        settle(tab.page)
        for key in ("photo", "overlay"):
            expected = tab.pixels(key).astype(int)
            tab.page.add_style_tag(content=_WITHOUT_PLOTLY)
            actual = tab.pixels(key)
            tab.page.evaluate("document.head.lastElementChild.remove()")
            # Plotly's are smaller by a fraction of a pixel.
            assert np.abs(actual - expected).mean() < 4, (width, key)


def _picture(tab: Any, key: str) -> dict[str, float]:
    """The position on the page of the photo in a chart."""
    return tab.chart(key).locator(".layer-below .imagelayer image, image").first.bounding_box()


def _bottom(box: dict[str, float]) -> float:
    return box["y"] + box["height"]


def test_a_bad_file_is_refused_and_the_photo_stays(tab: Any, photo: bytes) -> None:
    tab.open().upload("rings.png", photo)
    before = tab.pixels("overlay")
    tab.upload("broken.png", b"this is no picture")
    alert = tab.sidebar.get_by_test_id("stAlert")
    assert "broken.png: This file cannot be read as a photo" in alert.inner_text()
    assert "rings.png" in tab.sidebar.get_by_test_id("stCaptionContainer").first.inner_text()
    np.testing.assert_array_equal(tab.pixels("overlay"), before)


def test_the_photo_stays_when_the_page_and_the_network_change(tab: Any, photo: bytes) -> None:
    tab.open().upload("rings.png", photo)
    caption = tab.sidebar.get_by_test_id("stCaptionContainer").first
    for title in ("Activations", "Network", "Explore"):
        tab.turn_to(title)
        assert "rings.png" in caption.inner_text()
    tab.choose("Network", "ImageNet")
    assert "rings.png" in caption.inner_text()
    with tab.run():
        tab.page.get_by_role("button", name="Forget my photo").click()
    assert "Chelsea, a cat" in caption.inner_text()
    assert "rings.png" not in tab.sidebar.inner_text()


def take_picture(tab: Any) -> np.ndarray:
    """Presses the camera's button, and returns the pixels of the photo on the page."""
    tab.page.wait_for_function(_VIDEO_RUNS)
    take = tab.page.get_by_role("button", name="Take Photo")
    with tab.run():
        # A press is lost where the camera has just no picture: a person presses again.
        while take.is_visible():
            take.click()
            tab.page.wait_for_timeout(2000)
    return tab.pixels("photo").astype(int)


def test_a_picture_from_the_camera_is_explained(tab: Any) -> None:
    tab.open()
    tab.sidebar.get_by_text("Take a picture").click()
    with tab.run():
        tab.page.get_by_text("Switch the camera on").click()
    for _ in range(3):
        shown = take_picture(tab)
        if shown.mean() > 10:
            break
        # On a busy machine Chromium's false camera now and then gives a black picture.
        tab.page.get_by_role("button", name="Clear photo").click()
    assert "Taken just now" in tab.sidebar.inner_text()
    # Chromium's false camera is green, not a cat.
    assert shown[..., 1].mean() > shown[..., 0].mean() + 30


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
