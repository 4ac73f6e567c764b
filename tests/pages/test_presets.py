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
        assert seen.widget("Use these values").disabled
        assert seen.painted == []
    (question,) = seen.app.radio
    assert question.options == [
        "0 to 1",
        "−1 to 1",
        "−1 to 1, cropped in the middle",
        "ImageNet's mean and deviation, RGB",
        "ImageNet's mean taken off, BGR",
        "0 to 255, as they are",
    ]
    assert len(set(question.options)) == len(question.options)
    seen.pick_preset("teachable-machine").fine()
    photo = cnnviz.open_photo(picture)
    network = cnnviz.load_model(saved("flat"), preset="teachable-machine")
    best = cnnviz.predict(network, photo).top(1)[0]
    assert seen.answer == best.label
    cam = cnnviz.class_activation_map(network, photo)
    np.testing.assert_allclose(seen.walk["maps"][0], cam.values, atol=1e-5)
    # Photo, model and the pick are kept on the other pages.
    seen.turn_to("activations").fine()
    assert len(seen.app.radio) == 0
    assert "own.png" in seen.text


def test_what_needs_no_photo_is_shown_and_grey_networks_get_fewer_presets(
    visit: Any, models: Any
) -> None:
    (models("grey") / "grey.json").unlink()
    seen = visit("filters").fine()
    assert seen.app.get("plotly_chart")
    (question,) = seen.turn_to("explore").fine().app.radio
    assert question.options == [
        "0 to 1",
        "−1 to 1",
        "−1 to 1, cropped in the middle",
        "0 to 255, as they are",
    ]
