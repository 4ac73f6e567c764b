"""Where exactly a class is, on the page of class activation maps, and the person's own box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import chelsea

import cnnviz
from cnnviz.attribution.ground_truth import box_overlap, region_overlap
from cnnviz.cards import Preprocessing
from cnnviz.photos.encoding import encode_png
from cnnviz.results import Box
from cnnviz.serving import workers
from cnnviz.serving.model_files import model_file
from cnnviz.settings import ROOT
from cnnviz.ui.components import located
from cnnviz.ui.components.located import Located, box_in_photo

PAGE = "class_activation_map"
OWN = Box(100, 20, 300, 220)


def share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


@pytest.fixture(scope="module")
def cam() -> Any:
    file = model_file(ROOT / "models" / "imagenet_efficientnet_lite0.keras")
    return workers.explain(file, chelsea(), method="cam").maps[0]


@pytest.fixture(scope="module")
def preprocessing() -> Preprocessing:
    file = model_file(ROOT / "models" / "imagenet_efficientnet_lite0.keras")
    return workers.outline(file).card.preprocessing


def test_the_numbers_are_those_of_the_api(
    visit: Any, cam: Any, preprocessing: Preprocessing
) -> None:
    link = {"box": "100,20,300,220", "threshold": "60"}
    seen = visit(PAGE, model="imagenet_efficientnet_lite0", **link).fine()
    parts = cnnviz.find_parts(cam.values, 300, 451, preprocessing, 0.6)
    assert len(parts) > 1
    box = parts[0].box
    assert f"The map is above 60 % of its largest value in {len(parts)} parts." in seen.text
    size = f"{box.right - box.left} × {box.bottom - box.top} pixels"
    place = f"x {box.left} to {box.right} and y {box.top} to {box.bottom}"
    assert f"{size}**, {place}" in seen.text
    best = box_overlap(box, OWN)
    assert f"Your box and the map's box overlap by **{share(best)} (IoU)**" in seen.text
    of_region = region_overlap(parts[0].cells, OWN)
    assert f"the region inside the white line by {share(of_region)}." in seen.text
    # Cells of 37.5 pixels, from x = 94.25 and y = 18.75.
    row, column = np.unravel_index(cam.values.argmax(), (7, 7))
    x, y = 94.25 + 37.5 * (column + 0.5), 18.75 + 37.5 * (row + 0.5)
    hit = 100 <= x < 300 and 20 <= y < 220
    assert f"{'inside' if hit else 'outside'} your box: a {'hit' if hit else 'miss'}" in seen.text
    assert "of 37.5 × 37.5 pixels" in seen.text
    seen.choose("Parts of the region", "all").fine()
    overlaps = [box_overlap(part.box, OWN) for part in parts]
    best = max(overlaps)
    expected = f"box {overlaps.index(best) + 1}, which fits best, overlap by **{share(best)} (IoU)"
    assert expected in seen.text
    for part in parts[:6]:
        assert f"x {part.box.left} to {part.box.right}" in seen.text
    assert seen.app.query_params["parts"] == "all"
    seen.choose("Threshold", 20).fine()
    assert "threshold" not in seen.app.query_params
    assert "above 20 % of its largest value" in seen.text
    # Another photo has another box: none.
    seen.upload("black.png", encode_png(np.zeros((60, 80, 3), np.uint8))).fine()
    assert "box" not in seen.app.query_params
    assert "(IoU)" not in seen.text


def test_a_box_is_given_by_numbers(visit: Any) -> None:
    seen = visit(PAGE, model="imagenet_efficientnet_lite0").fine()
    assert "Drag a box over the photo" in seen.text
    for side, value in (("Left", 100), ("Top", 20), ("Right", 300), ("Bottom", 20)):
        number(seen, side).set_value(value)
    seen.run(seen.widget("Take this box").click())
    assert "bottom more than top" in seen.text
    assert "box" not in seen.app.query_params
    number(seen, "Bottom").set_value(220)
    seen.run(seen.widget("Take this box").click()).fine()
    assert seen.app.query_params["box"] == "100,20,300,220"
    assert "(IoU)" in seen.text
    seen.run(seen.widget("Remove your box").click()).fine()
    assert "box" not in seen.app.query_params
    assert "Drag a box over the photo" in seen.text


def number(seen: Any, side: str) -> Any:
    (field,) = [one for one in seen.app.number_input if one.label == f"{side} (pixels)"]
    return field


def test_a_map_against_its_class_has_no_box(visit: Any) -> None:
    link = {"model": "mnist_cnn", "sample": "digit-0", "method": "grad-cam", "box": "2,2,9,9"}
    seen = visit(PAGE, **link).fine()
    assert "There is no box. The evidence for the class is less than a fifth" in seen.text
    assert "nothing to compare your box with" in seen.text


@pytest.mark.parametrize(
    "box", ["1,2,3", "0,0,0,9", "0,0,999,9", "-1,0,5,5", "a,b,c,d", "1.5,2,3,4"]
)
def test_a_link_with_a_box_that_is_none_says_so(visit: Any, box: str) -> None:
    seen = visit(PAGE, model="mnist_cnn", box=box).fine()
    assert "names a box that is none of this photo" in seen.text
    assert "box" not in seen.app.query_params


def test_what_the_browser_reports_is_checked() -> None:
    photo = located.Picture("data:", 30, 40)
    shown = Located("a", photo, "", [], [], None)
    good = {"id": "a", "left": 1, "top": 2, "right": 40, "bottom": 30}
    assert located.drawn(good, shown) == Box(1, 2, 40, 30)
    for change in ({"id": "b"}, {"left": 1.5}, {"left": True}, {"right": 41}, {"top": None}):
        assert located.drawn(good | change, shown) is None
    assert located.drawn(None, shown) is None
    assert box_in_photo([5, 5, 5, 6], 30, 40) is None
