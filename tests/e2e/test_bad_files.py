"""Bad files through the real uploader: each refused in words, and nothing lost."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from corpus import models, photos

# Damage, and code; the tests of the gate have all.
MODELS = ("not-a-model", "lambda-code")
PHOTOS = ("half.jpg", "zero.jpg")


def first_case(code: str) -> models.Case:
    return next(case for case in models.CASES if case.expected == code)


def bad_photos() -> list[photos.Case]:
    """A damaged one, and no photo at all: the tests of photos have all."""
    return [next(case for case in photos.CASES if case.name == name) for name in PHOTOS]


def test_bad_models_are_refused_and_the_network_stays(tab: Any) -> None:
    tab.open().sidebar.get_by_text("Your own model").click()
    before, network = tab.picture("map"), tab.chosen("Network")
    for number, code in enumerate(MODELS):
        case = first_case(code)
        name = f"bad-{number}{case.suffix}"
        field = tab.page.locator("[class*=st-key-uploaded-model] input[type=file]")
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": case.make()}
        field.set_input_files([file])
        alert = tab.sidebar.get_by_test_id("stAlert").filter(has_text=name)
        alert.wait_for()
        assert f"({code})" in alert.inner_text()
        tab.settled()
    assert tab.chosen("Network") == network
    np.testing.assert_array_equal(tab.picture("map"), before)
    tab.turn_to("Filters")
    assert tab.chosen("Network") == network


def test_bad_photos_are_refused_and_the_photo_stays(tab: Any, photo: bytes) -> None:
    tab.open().upload("rings.png", photo)
    assert tab.shows(photo)
    before = tab.picture("map")
    for case in bad_photos():
        tab.upload(f"{case.name}.png", case.make())
        alert = tab.sidebar.get_by_test_id("stAlert")
        assert re.search(rf"{re.escape(case.name)}\.png: [A-Z].*\.$", alert.inner_text())
    # Above the uploader, which shows the file's name: in sight on a small screen, too.
    size = tab.page.viewport_size
    tab.page.set_viewport_size({"width": 1280, "height": 720})
    tab.page.get_by_test_id("stSidebarContent").evaluate("element => element.scrollTo(0, 0)")
    box = alert.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 720
    uploader = tab.sidebar.get_by_test_id("stFileUploader").last.bounding_box()
    assert uploader is not None
    assert box["y"] + box["height"] <= uploader["y"]
    tab.page.set_viewport_size(size)
    tab.settled()
    caption = tab.sidebar.get_by_test_id("stCaptionContainer").first
    assert "rings.png" in caption.inner_text()
    np.testing.assert_array_equal(tab.picture("map"), before)
    # It stays when the page and the network change, until it is to be forgotten.
    tab.turn_to("Network")
    assert "rings.png" in caption.inner_text()
    tab.turn_to("Explore").choose("Network", "ImageNet")
    assert "rings.png" in caption.inner_text()
    with tab.run():
        tab.page.get_by_role("button", name="Forget my photo").click()
    assert "Chelsea, a cat" in caption.inner_text()
    assert "rings.png" not in tab.sidebar.inner_text()


def test_good_models_become_the_network_of_every_page(tab: Any) -> None:
    tab.open("/network").sidebar.get_by_text("Your own model").click()
    field = tab.page.locator("[class*=st-key-uploaded-model] input[type=file]")
    for ending in (".h5", ".keras"):
        good = (case for case in models.CASES if case.expected == models.LOADS)
        case = next(case for case in good if case.suffix == ending)
        name = f"good{ending}"
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": case.make()}
        field.set_input_files([file])
        tab.page.wait_for_url(f"**model={name}**")
        tab.settled()
        assert tab.chosen("Network") == name
    tab.turn_to("Filters")
    assert tab.chosen("Network") == name
    tab.turn_to("Explore")
    main = tab.page.get_by_test_id("stMain")
    assert "does not show which values of the pixels" in main.inner_text()
    tab.select("Values of the pixels").locator("input").click()
    tab.page.get_by_role("option").filter(has_text="most lessons").click()
    with tab.run():
        main.get_by_role("button", name="Use these").click()
    assert main.get_by_text("Class names, as you set them").is_visible()
    assert re.match(r"class \d+ [<>\d]", tab.answer)
