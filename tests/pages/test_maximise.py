"""The page Maximise: a search as it goes on, what it finds, and what is said of it."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import wait_until

from cnnviz.errors import ModelError
from cnnviz.features.objectives import (
    OF_CHANNELS,
    OF_CLASSES,
    AscentState,
    Maximised,
    Objective,
    PictureCheck,
)
from cnnviz.photos.decoding import open_photo
from cnnviz.serving import workers
from cnnviz.serving.series_jobs import SeriesQueue
from cnnviz.ui import long_questions
from cnnviz.ui.page_parts.maximise import words

LINK = {"model": "mnist_cnn", "class": "3", "seed": "2"}


class Server:
    """The queue of the app, whose parts run when the test lets them: 1, 2, 4, 8 … steps."""

    def __init__(self) -> None:
        self.queue = SeriesQueue(lambda _: True, clock=lambda: 0.0, ascend=self.ascend)
        self.parts = threading.Semaphore(0)
        self.begun = 0
        self.states: list[AscentState] = []
        self.error: ModelError | None = None

    def ascend(self, *question: Any) -> AscentState:
        self.begun += 1
        assert self.parts.acquire(timeout=60)
        if self.error is not None:
            raise self.error
        self.states.append(workers.ascend(*question))
        return self.states[-1]

    def run(self, parts: int) -> None:
        """Lets parts run; one more has begun afterwards, or all steps are done."""
        done = self.begun + parts
        self.parts.release(parts)
        assert wait_until(lambda: self.begun >= done or not self.queue._lanes)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setattr(long_questions, "_queue", lambda: server.queue)
    yield server
    server.parts.release(1000)
    assert wait_until(lambda: not server.queue._lanes)


def drawn(seen: Any) -> list[np.ndarray]:
    text = "".join(one.proto.body for one in seen.app.get("html"))
    found = re.findall(r'<figure><img src="data:image/\w+;base64,([^"]+)"', text)
    return [open_photo(base64.b64decode(one)) for one in found]


def progress(seen: Any) -> str:
    bars = seen.app.get("progress")
    return bars[0].proto.text if bars else ""


def test_a_picture_appears_as_it_comes(visit: Any, server: Server) -> None:
    seen = visit("maximise", **LINK).fine()
    assert "people learnt more about a channel from natural photos" in seen.text
    assert (seen.chosen("Class"), drawn(seen)) == ("3", [])
    seen.run(seen.widget("Start").click()).fine()
    assert progress(seen).startswith("Starting TensorFlow")
    server.run(2)
    assert progress(seen.run()) == "Step 3 of 120"
    (picture,) = drawn(seen)
    np.testing.assert_array_equal(picture[..., :1], server.states[-1].pictures[0])
    seen.run(seen.widget("Stop").click())
    # The part that had begun counts.
    server.run(1)
    assert wait_until(lambda: progress(seen.run()) == "Stopped at step 7 of 120")
    seen.run(seen.widget("Go on").click())
    server.run(100)
    seen.run().run().fine()
    assert progress(seen) == ""
    (picture,) = drawn(seen)
    assert server.states[-1].step == 120
    np.testing.assert_array_equal(picture[..., :1], server.states[-1].pictures[0])
    assert "the network says 3 with > 99.9 % at least" in seen.text
    assert "principal components of 5,000 handwritten digits" in seen.text
    curve = seen.figure("ascent")["data"][0]
    assert len(curve["x"]) == 120
    # Another choice has no picture yet; the first one's is kept.
    assert drawn(seen.choose("Class", "4").fine()) == []
    (kept,) = drawn(seen.choose("Class", "3").fine())
    np.testing.assert_array_equal(kept, picture)
    seen.run(seen.widget("Another seed").click()).fine()
    assert seen.app.query_params["seed"] == "3"
    assert progress(seen).startswith("Starting TensorFlow")
    # An error is said once, and the search can be asked for again.
    server.error = ModelError("There is no such file.")
    server.run(1)
    seen.run()
    assert [one.value for one in seen.app.error] == ["There is no such file\\."]
    server.error = None
    seen.run(seen.widget("Start").click()).fine()
    assert progress(seen).startswith("Starting TensorFlow")
    # Another page stops it.
    seen.turn_to("filters").fine()
    server.run(1)
    assert not server.queue._jobs


def maximised(
    objective: Objective, values: list[float], checked: list[float], label: str = ""
) -> Maximised:
    check = PictureCheck(np.array([checked], np.float32), (label,) if label else ())
    ascent = OF_CLASSES if objective.layer is None else OF_CHANNELS
    picture = np.zeros((4, 4, 3), np.uint8)
    return Maximised((objective,), (ascent,), (picture,), (np.array(values, np.float32),), check)


def test_what_is_said_of_a_picture() -> None:
    dog, channel = Objective(None, 1), Objective("conv", 7)

    def said(one: Maximised, *, rectified: bool = False) -> str:
        return words.verdict(one, "dog", "dog", rectified=rectified)

    lasting = said(maximised(dog, [0, 9], [0.995, 0.9999, 0.998], "dog"))
    assert "says dog with 99.5 % at least (the middle value is 99.8 %)." in lasting
    assert "does not last" not in lasting
    assert "does not last" in said(maximised(dog, [0, 9], [0.97, 0.999], "dog"))
    lost = said(maximised(dog, [0, 9], [0.1, 0.2, 0.3], "cat"))
    assert "no longer says dog" in lost
    assert "dog gets 20.0 % (the middle value), and cat gets the most" in lost
    assert "stayed silent" in said(maximised(channel, [0, 0, 0], [0, 0]))
    text = said(maximised(channel, [-0.5, -0.25], [-0.3, -0.3]), rectified=True)
    assert "before its activation function, went from −0.5 at the start to −0.25" in text
    assert "may leave nothing" in text
