"""A network whose file does not show which values it takes: no class until a preset is picked."""

from __future__ import annotations

from typing import Any

import numpy as np

import cnnviz


def test_no_class_is_shown_until_a_preset_is_picked(
    visit: Any, models: Any, saved: Any, picture: bytes
) -> None:
    (models("flat") / "flat.json").unlink()
    seen = visit().fine()
    seen.upload("own.png", picture).fine()
    for page in ("activations", "class_activation_map", "explore"):
        seen.turn_to(page).fine()
        assert "does not show which values of the pixels" in seen.text
        assert "class 0" not in seen.text
        assert "No class is shown until you have chosen" in seen.app.info[0].value
        assert seen.app.get("plotly_chart") == []
        assert "walk" not in [one.key for one in seen.app.get("bidi_component")]
    question = seen.widget("Values of the pixels")
    assert question.value is None
    assert [option.partition(" · ")[0] for option in question.options] == [
        "0 to 1",
        "−1 to 1",
        "−1 to 1, cropped in the middle",
        "ImageNet's mean and deviation, RGB",
        "ImageNet's mean taken off, BGR",
        "0 to 255, as they are",
    ]
    # Names alone are kept, and still no class is shown.
    seen.app.text_area[0].set_value("lion\ntiger\nbear")
    seen.run(seen.widget("Use these").click()).fine()
    assert seen.app.get("plotly_chart") == []
    seen.pick_preset("teachable-machine").fine()
    photo = cnnviz.open_photo(picture)
    network = cnnviz.load_model(saved("flat"), preset="teachable-machine")
    best = cnnviz.predict(network, photo).index
    assert seen.answer == ["lion", "tiger", "bear"][best]
    cam = cnnviz.class_activation_map(network, photo)
    np.testing.assert_allclose(seen.walk["maps"][0], cam.values, atol=1e-5)
    # Photo, model and the pick are kept on the other pages.
    seen.turn_to("activations").fine()
    assert "own.png" in seen.text
    assert seen.widget("Values of the pixels").value == "teachable-machine"


def test_what_needs_no_photo_is_shown_and_grey_networks_get_fewer_presets(
    visit: Any, models: Any
) -> None:
    (models("grey") / "grey.json").unlink()
    seen = visit("filters").fine()
    assert seen.app.get("plotly_chart")
    question = seen.turn_to("explore").fine().widget("Values of the pixels")
    assert [option.partition(" · ")[0] for option in question.options] == [
        "0 to 1",
        "−1 to 1",
        "−1 to 1, cropped in the middle",
        "0 to 255, as they are",
    ]
