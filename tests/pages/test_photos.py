"""The photo: an upload is explained and kept, also when the next file cannot be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnviz.photos.decoding import open_photo
from cnnviz.serving import model_files, workers


@pytest.fixture(autouse=True)
def folder(models: Any) -> Any:
    return models("flat", "two_classes")


def test_an_uploaded_photo_is_explained(visit: Any, folder: Any, picture: bytes) -> None:
    seen = visit().upload("mine.png", picture).fine()
    assert "mine.png" in seen.text
    assert "Your photo" in seen.text
    file = model_files.model_file(folder / "flat.keras")
    answer = workers.explain(file, open_photo(picture))
    assert seen.answer == answer.prediction.label
    np.testing.assert_allclose(seen.walk["maps"][0], answer.maps[0].values, atol=1e-4)


def test_the_photo_is_seen_in_the_sidebar(visit: Any, picture: bytes) -> None:
    (seen,) = visit().upload("mine.png", picture).pictures
    pixels = open_photo(picture)
    times = seen.shape[0] // pixels.shape[0]
    np.testing.assert_array_equal(seen, pixels.repeat(times, axis=0).repeat(times, axis=1))


def test_the_photo_stays_on_every_page_and_with_every_network(visit: Any, picture: bytes) -> None:
    seen = visit().upload("mine.png", picture)
    for page in ("network", "filters", "activations", "class_activation_map", "explore"):
        assert "mine.png" in seen.turn_to(page).fine().text
    assert "mine.png" in seen.choose("Network", "two_classes").fine().text


def test_a_bad_file_is_reported_and_the_photo_kept(visit: Any, picture: bytes) -> None:
    seen = visit().upload("mine.png", picture)
    before = seen.walk["maps"][0]
    # The browser takes the old file away first.
    seen.take_away()
    seen.upload("broken.png", b"not a picture")
    assert "broken.png: This file cannot be read as a photo" in seen.text
    assert "mine.png" in seen.app.sidebar.caption[0].value.replace("\\", "")
    np.testing.assert_array_equal(seen.walk["maps"][0], before)
    # The next good one is read, and the message is gone.
    seen.upload("other.png", picture).fine()
    assert "other.png" in seen.text
    assert "broken.png" not in seen.text


def test_a_bad_first_file_keeps_the_sample(visit: Any) -> None:
    seen = visit(sample="coffee").upload("broken.png", b"not a picture")
    assert "broken.png: This file cannot be read as a photo" in seen.text
    assert "A cup of espresso" in seen.text
    assert seen.app.exception == []


def test_a_photo_taken_away_gives_the_sample_back(visit: Any, picture: bytes) -> None:
    seen = visit(sample="coffee").upload("mine.png", picture)
    seen.take_away()
    assert "mine.png" not in seen.fine().text
    assert "A cup of espresso" in seen.text


def test_a_photo_can_be_forgotten(visit: Any, picture: bytes) -> None:
    seen = visit().upload("mine.png", picture)
    assert seen.app.image[0].proto.imgs[0].alt == "mine.png"
    other = visit(sample="chelsea")
    seen.choose("Forget my photo", True)
    assert "mine.png" not in seen.fine().text
    assert "Chelsea, a cat" in seen.text
    assert seen.app.file_uploader[1].value is None
    # Nothing is left that its file could come back from, and other people see no difference.
    assert "photo set aside" not in seen.app.session_state
    assert "Forget my photo" not in [one.label for one in seen.run().app.button]
    assert other.run().fine().walk["sample"] == "chelsea"
    np.testing.assert_array_equal(seen.walk["maps"], other.walk["maps"])


def test_a_chosen_sample_replaces_the_photo(visit: Any, picture: bytes) -> None:
    seen = visit().upload("mine.png", picture).choose("Sample picture", "coffee")
    assert "mine.png" not in seen.fine().text
    assert "A cup of espresso" in seen.text
    assert seen.app.query_params["sample"] == "coffee"


def test_a_photo_takes_the_sample_out_of_the_address(visit: Any, picture: bytes) -> None:
    seen = visit(sample="coffee").upload("mine.png", picture)
    assert "sample" not in seen.app.query_params


def test_a_camera_picture_is_explained(visit: Any, picture: bytes) -> None:
    seen = visit().choose("Switch the camera on", True)
    seen.run(seen.app.camera_input[0].set_value(("camera.jpg", picture, "image/jpeg")))
    assert "Taken just now" in seen.fine().text


def test_a_sample_has_its_origin(visit: Any) -> None:
    assert "photo by Stéfan van der Walt" in visit(sample="chelsea").text
    assert "CC0 1.0" in visit(sample="chelsea").text


def test_a_file_name_is_text_and_never_markup(visit: Any, picture: bytes) -> None:
    seen = visit().upload("![a](https://evil.example/b.png).png", picture).fine()
    assert "evil.example" in seen.text
    assert "![a](" not in seen.raw
    seen.upload("<b>[x](https://evil.example).png", b"not a picture")
    assert "[x](" not in seen.raw
    assert "<b>" not in seen.raw.replace("\\<", "")
