"""Questions of many runs on a page: their progress, Stop, and the map or the verdict in the end."""

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
from cnnviz.photos.encoding import encode_png
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
        self.asked: list[str] = []
        self.error: ModelError | None = None

    @property
    def begun(self) -> int:
        return len(self.asked)

    def run_part(self, *question: Any) -> SeriesPart:
        self.asked.append(question[2].series)
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
    # No run of a page waits: its parts are here.
    monkeypatch.setattr(long_questions, "SHORT", 0.0)
    yield server
    server.parts.release(1000)
    assert wait_until(lambda: not server.queue._lanes)


def progress(seen: Any) -> str:
    """The text of the line in the map's place; "" where there is none."""
    return "".join(one.proto.text for one in seen.app.get("progress"))


def texts(seen: Any) -> str:
    """The badge of the verdict, and what is said below it and about the prediction."""
    return "\n".join(one.value for kind in ("markdown", "caption") for one in seen.app.get(kind))


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
    server.run(100)
    assert progress(seen.answered()) == ""
    # Nobody waits for it again, nor for another class, since that costs no more runs.
    begun = server.asked.count("occlusion")
    assert has_map(type(seen)("class_activation_map", **LINK).fine())
    likely = seen.widget("Class").options[1].split("**")[1]
    assert has_map(seen.choose_class(likely).fine())
    assert server.asked.count("occlusion") == begun


def test_another_choice_stops_it_and_the_first_one_goes_on(visit: Any, server: Server) -> None:
    seen = visit("class_activation_map", **LINK)
    server.run(3)
    seen.choose("Method", "grad-cam").fine()
    assert has_map(seen)
    server.run(1)
    assert [one.question.series for one in server.queue._jobs] == ["covered-squares"]
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


# --- The verdict --------------------------------------------------------------------------------

PAGE = {"model": "mnist_cnn", "sample": "digit-3"}


def test_the_map_comes_before_its_verdict_whose_runs_serve_all_classes(
    visit: Any, server: Server
) -> None:
    seen = visit("class_activation_map", **PAGE).fine()
    assert has_map(seen)
    assert "Checking the map …" in texts(seen)
    server.run(3)
    # Another class asks for the same runs, which go on.
    (job,) = server.queue._jobs
    likely = seen.widget("Class").options[1].split("**")[1]
    assert has_map(seen.choose_class(likely).fine())
    assert server.queue._jobs == [job]
    server.run(100)
    seen.choose_class("3").answered().fine()
    assert ":green-badge[:material/check_circle: The map holds]" in texts(seen)
    assert "“3” comes first in all 8 slightly shifted" in texts(seen)
    # For all classes squares of the photo were covered once, and the photo was shifted once; only
    # the maps of the shifted copies are each class's own.
    server.parts.release(100)
    for label in "80":
        said = texts(seen.choose_class(label).answered().fine())
        assert f"“{label}” comes first in " in said
    shared = [one for one in server.asked if one != "copied-maps"]
    asked = [one for at, one in enumerate(shared) if one != (["", *shared])[at]]
    assert asked in (
        ["covered-squares", "shifted-copies", "covered-halves"],
        ["covered-squares", "shifted-copies"],
    )


def test_another_photo_ends_the_check_of_the_first_one(visit: Any, server: Server) -> None:
    seen = visit("class_activation_map", **PAGE).fine()
    (first,) = server.queue._jobs
    seen.upload("white.png", encode_png(np.full((28, 28, 3), 255, np.uint8))).fine()
    (second,) = server.queue._jobs
    assert second is not first
    seen.turn_to("filters").fine()
    assert not server.queue._jobs


def test_a_check_can_be_stopped_and_comes_before_the_scores(visit: Any, server: Server) -> None:
    seen = visit("class_activation_map", **PAGE).fine()
    server.run(3)
    seen.run(seen.widget("Stop").click())
    assert "Not checked" in texts(seen.run().fine())
    assert not server.queue._jobs
    seen.run(seen.widget("Measure this map").click()).fine()
    seen.run(seen.widget("Go on").click()).fine()
    server.run(2)
    scores, check = sorted(server.queue._jobs, key=lambda one: one.question.shown is None)
    assert check.question.series == "covered-squares"
    # The first run of the scores says how many they are.
    assert (check.done, scores.done) == (15, 1)
    server.run(3)
    assert check.is_finished
    assert scores.done == 1


def test_a_comparison_says_that_its_verdicts_were_stopped(visit: Any, server: Server) -> None:
    seen = visit("compare", **PAGE, methods=["cam", "random"], classes=["3", "8"]).fine()

    def verdicts() -> set[str]:
        cells = seen.viewer("comparison")["cells"]
        return {cell["lines"][0] for row in cells for cell in row}

    assert verdicts() == {"Verdict: …"}
    server.run(3)
    seen.run(seen.widget("Stop").click())
    seen.run().fine()
    assert verdicts() == {"Verdict: stopped"}
    assert progress(seen).startswith("Checking the maps: Stopped at ")
    seen.run(seen.widget("Go on").click())
    assert verdicts() == {"Verdict: …"}
    server.parts.release(1000)
    seen.answered().fine()
    assert verdicts() == {"Verdict: cannot tell", "Verdict: says nothing"}
