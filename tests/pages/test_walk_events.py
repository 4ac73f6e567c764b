"""The walk: what a person does in it, as its handlers take it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from cnnviz.figures.photos import picture
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.samples import Sample
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, crops
from cnnviz.ui.components.walk import WalkEvent, parse
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.explore import page
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library

PIXELS = np.zeros((30, 50, 3), np.uint8)
MODEL = ModelFile("models/net.keras", 0, 0, 0)


@pytest.fixture
def scene() -> Scene:
    """A model and a photo whose crop is in the middle; nothing is loaded."""
    st.session_state.clear()
    st.query_params.clear()
    shown = picture(PIXELS)
    photo = LoadedPhoto(encode_png(PIXELS), 30, 50, shown, shown.source, "zeros", "", "key")
    return Scene(MODEL, photo)


def crop_after(scene: Scene, *events: WalkEvent) -> tuple[float, float]:
    for event in events:
        page.handle(scene, event)
    return crops.apply(scene.photo).crop_at


def test_a_crop_is_moved_along_the_axis_that_is_free(scene: Scene) -> None:
    walk = f"{MODEL.name} {scene.photo.seen_key}"
    assert crop_after(scene, WalkEvent(walk, "crop", x=0.75)) == (0.75, 0.5)
    assert crop_after(scene, WalkEvent(walk, "crop", y=0.2)) == (0.5, 0.2)


def test_a_crop_of_another_photo_or_model_is_late(scene: Scene) -> None:
    late = [f"{MODEL.name} other (0.5, 0.5)", f"other {scene.photo.seen_key}", ""]
    events = [WalkEvent(walk, "crop", x=0.75, y=0.75) for walk in late]
    assert crop_after(scene, *events) == (0.5, 0.5)


@pytest.mark.parametrize(
    "change",
    [
        {"action": "run"},
        {"scene": None},
        {"name": 7},
        {"name": "a" * 10_001},
        {"name": "\ud800"},
        {"channel": -1},
        {"channel": True},
        {"row": 1.0},
        {"column": "1"},
        {"x": 1.5},
        {"y": float("nan")},
        {"x": True},
    ],
)
def test_what_no_browser_sends_is_no_event(change: dict[str, object]) -> None:
    sent = {"scene": "walk", "action": "cell", "name": "conv", "channel": 1, "row": 2, "column": 3}
    assert parse(sent) == WalkEvent("walk", "cell", "conv", 1, 2, 3)
    assert parse(sent | change) is None
    assert parse([sent]) is None


def test_another_sample_does_not_get_the_crop_of_the_last_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [
        Sample(name, name, "", "", (), Path(name), Path(name)) for name in ("first", "second")
    ]
    monkeypatch.setattr(library, "samples", lambda model: samples)
    walk = f"{MODEL.name} {scene.photo.seen_key}"
    assert crop_after(scene, WalkEvent(walk, "crop", x=0.75)) == (0.75, 0.5)
    assert st.query_params["crop"] == "0.75,0.5"
    page.handle(scene, WalkEvent(walk, "sample", "third"))
    assert st.query_params["crop"] == "0.75,0.5"
    page.handle(scene, WalkEvent(walk, "sample", "second"))
    assert "crop" not in st.query_params
    assert crops.apply(replace(scene.photo, key="second")).crop_at == (0.5, 0.5)
    assert crops.apply(scene.photo).crop_at == (0.75, 0.5)


def test_all_that_is_known_of_a_photo_can_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = {
        name: one for name, one in vars(ask).items() if callable(one) and hasattr(one, "clear")
    }
    keyed = {name for name, one in cached.items() if "key" in inspect.signature(one).parameters}
    # Those are of the samples.
    of_photos = keyed - {"_exemplars"}
    assert len(of_photos) >= 6
    cleared = set()
    for name, one in cached.items():
        monkeypatch.setattr(one, "clear", lambda name=name: cleared.add(name))
    ask.forget_photos()
    assert cleared == of_photos
