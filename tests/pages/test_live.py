"""The live camera: what the browser may send, and the answer to a frame."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import encode_jpeg
from cnnviz.serving.model_files import model_file
from cnnviz.settings import ROOT
from cnnviz.ui.components.live import LiveEvent, parse
from cnnviz.ui.page_parts.explore.live import explain_frame
from cnnviz.ui.scene import Scene

FRAME = encode_jpeg(np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8))
TEXT = base64.b64encode(FRAME).decode()


def test_a_frame_and_a_picture_that_is_taken() -> None:
    sent = {"action": "frame", "number": 3, "picture": TEXT, "target": "cat"}
    assert parse(sent) == LiveEvent("frame", 3, FRAME, "cat")
    assert parse({"action": "take", "number": 4, "picture": TEXT}) == LiveEvent("take", 4, FRAME)
    assert parse({"action": "stop"}) == LiveEvent("stop")


@pytest.mark.parametrize(
    "change",
    [
        {"action": "run"},
        {"number": -1},
        {"number": "1"},
        {"picture": 1},
        {"picture": "no base64!"},
        {"picture": "é"},
        {"picture": "A" * 3_000_004},
        {"target": 7},
    ],
)
def test_what_no_browser_sends_is_no_event(change: dict[str, Any]) -> None:
    assert parse({"action": "frame", "number": 1, "picture": TEXT} | change) is None
    assert parse("frame") is None


def test_the_answer_to_a_frame_is_that_of_the_library(visit: Any) -> None:
    visit()  # Starts the workers for this folder of models.
    path = ROOT / "models" / "cat_dog.keras"
    scene = Scene(model_file(path), photo=None)  # type: ignore[arg-type]
    answer = explain_frame(scene, LiveEvent("frame", 5, FRAME, "dog"))
    network, frame = cnnviz.load_model(path), open_photo(FRAME)
    expected = cnnviz.explain(network, frame, ["dog"])
    np.testing.assert_allclose(answer.values, expected.maps[0].values, atol=1e-4)
    assert (answer.number, answer.target, answer.problem) == (5, "dog", "")
    # Two classes keep their places, whichever of them is the likelier.
    assert [name for name, _ in answer.classes] == list(expected.prediction.labels)
    # Of 64 × 48 the square in the middle.
    assert answer.seen == pytest.approx((0.125, 0, 0.75, 1))
    # A class of the network before, which the browser still names.
    assert explain_frame(scene, LiveEvent("frame", 6, FRAME, "tench")).problem == ""
    broken = explain_frame(scene, LiveEvent("frame", 6, b"no picture"))
    assert "cannot be read as a photo" in broken.problem


def test_who_comes_back_to_the_page_finds_the_camera_off(visit: Any) -> None:
    seen = visit()
    seen.app.session_state["camera is on"] = True
    assert "walk" not in [one.key for one in seen.run().app.get("bidi_component")]
    seen.turn_to("network").turn_to("explore").fine()
    assert "walk" in [one.key for one in seen.app.get("bidi_component")]
