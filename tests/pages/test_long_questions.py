"""Methods of many runs on a page: their progress, Stop, and the map in the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers import wait_until

from cnnviz.attribution.series import SeriesQuestion
from cnnviz.errors import ModelError
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.samples import samples
from cnnviz.results import SeriesPart
from cnnviz.serving import workers
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.serving.series_jobs import SeriesJob, SeriesQueue
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.settings import ROOT
from cnnviz.ui import long_questions

LINK = {"model": "mnist_cnn", "sample": "digit-7", "method": "occlusion", "runs": "100"}
MODEL = model_file(ROOT / "models" / "mnist_cnn.keras")


class Server:
    """The queue of the app, whose parts run when the test lets them."""

    def __init__(self) -> None:
        # On this clock parts take no time: 1, 2, 4, 8 … runs.
        self.queue = SeriesQueue(lambda _: True, self.run_part, lambda: 0.0)
        self.parts = threading.Semaphore(0)
        self.begun = 0
        self.error: ModelError | None = None

    def run_part(self, *question: Any) -> SeriesPart:
        self.begun += 1
        assert self.parts.acquire(timeout=60)
        if self.error is not None:
            raise self.error
        return workers.run_part(*question)

    def run(self, parts: int) -> None:
        """Lets parts run; one more has begun afterwards, or none is left that runs."""
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


def progress(seen: Any) -> str:
    """The text of the line in the map's place; "" where there is none."""
    return "".join(one.proto.text for one in seen.app.get("progress"))


def has_map(seen: Any) -> bool:
    return "chart:map alone" in [one.key for one in seen.app.get("plotly_chart")]


def test_the_progress_then_the_map(visit: Any, server: Server) -> None:
    seen = visit("class_activation_map", **LINK).fine()
    assert progress(seen) == "Starting …"
    server.run(3)
    assert progress(seen.run()) == "7 of 100 runs of the network · about 1 s"
    assert not has_map(seen)
    # The rest of the page is there: what the score is made of.
    assert seen.table[-1][0] == "score (logit)"
    seen.run(seen.widget("Stop").click()).fine()
    # The part that had begun counts.
    server.run(1)
    assert progress(seen.run()) == "Stopped at 15 of 100 runs"
    seen.run(seen.widget("Go on").click())
    server.run(100)
    seen.run().fine()
    photo = open_photo(next(one.path for one in samples() if one.name == "digit-7"))
    how = {"method": "occlusion", "runs": 100}
    cam = workers.call(WorkerCall("explain", MODEL, None, (photo, ()), how)).maps[0]
    assert cam.values.shape == (10, 10)
    np.testing.assert_allclose(seen.values("map alone"), cam.values, atol=1e-4)
    np.testing.assert_allclose(seen.values("overlay"), cam.values, atol=1e-4)
    assert seen.title("map alone") == "10 × 10 cells of the photo"
    assert progress(seen) == ""
    # Nobody waits for it again, nor for another class, since that costs no more runs.
    begun = server.begun
    assert has_map(type(seen)("class_activation_map", **LINK).fine())
    likely = seen.widget("Class").options[1].split("**")[1]
    assert has_map(seen.choose_class(likely).fine())
    assert server.begun == begun


def test_another_choice_stops_it_and_the_first_one_goes_on(visit: Any, server: Server) -> None:
    seen = visit("class_activation_map", **LINK)
    server.run(3)
    seen.choose("Method", "grad-cam").fine()
    assert has_map(seen)
    server.run(1)
    assert not server.queue._jobs
    seen.choose("Method", "occlusion").fine()
    assert progress(seen).startswith("15 of 100 runs")
    seen.turn_to("filters").fine()
    server.run(1)
    assert not server.queue._jobs


def test_it_says_how_many_are_before(visit: Any, server: Server) -> None:
    other = ModelFile("other.keras", 0, 0, 0, trusted=True)
    for name in ("one", "two"):
        question = SeriesQuestion("occlusion", runs=4)
        server.queue.submit(SeriesJob(name, other, None, np.zeros((2, 2, 3), np.uint8), question))
    seen = visit("class_activation_map", **LINK).fine()
    assert progress(seen) == "2 people are before you"
    server.error = ModelError("There is no such file.")
    server.run(1)
    assert progress(seen.run()) == "1 person is before you"
    server.run(1)
    assert progress(seen.run()) == "Starting …"
    # An error of its own is shown, and asked about anew.
    server.run(1)
    seen.run()
    assert [one.value for one in seen.app.error] == ["There is no such file\\."]
    server.error = None
    seen.run(seen.widget("Try again").click()).fine()
    server.run(100)
    assert has_map(seen.run())
