"""A class watches one training: two people, from the start to the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from scripts.browse import HAS_RUN, SEEN_RUNS, Server, running_app, settle
from tests.e2e.conftest import Tab

_PATIENCE = 180_000
NETWORK = "digits tiny vgg 1"


@pytest.fixture
def own_server(models: Path) -> Iterator[Server]:
    """A server without any job."""
    with running_app(CNNVIZ_MODELS=str(models), CNNVIZ_TRUST="on") as server:
        yield server
        assert "Traceback" not in server.log.read_text(errors="replace")


def opened(tab: Tab) -> Tab:
    """Goes to the page, which during a training is updated continuously."""
    tab.page.goto(f"{tab.url}/training")
    tab.page.get_by_role("heading", name="How does a network learn?").wait_for()
    return tab


@contextmanager
def run(tab: Tab) -> Iterator[None]:
    """Waits until an action inside the block has made the app run."""
    before = tab.page.evaluate(SEEN_RUNS)
    yield
    tab.page.wait_for_function(HAS_RUN, arg=before)
    settle(tab.page)


def button(tab: Tab, name: str) -> Locator:
    return tab.page.get_by_role("button", name=name).first


def points(tab: Tab, key: str) -> list[list[float]]:
    """The values of a chart's curves."""
    read = "gd => gd._fullData.map(trace => [...trace.y])"
    return tab.chart(key).first.evaluate(read)


def wait_for_epochs(tab: Tab, count: int) -> None:
    """Waits until the curves have that many points."""
    tab.chart("training loss").first.wait_for(timeout=_PATIENCE)
    tab.page.wait_for_function(
        """count => {
          const gd = document.querySelector('.st-key-training-loss .js-plotly-plot');
          return gd && gd._fullData && gd._fullData[0].y.length >= count;
        }""",
        arg=count,
        timeout=_PATIENCE,
    )


def epoch_shown(tab: Tab) -> float:
    """The epoch that is marked in the curves."""
    read = "gd => gd._fullLayout.shapes.find(one => one.line.dash === 'dot').x0"
    return float(tab.chart("training loss").first.evaluate(read))


def test_a_class_watches_one_training(
    own_server: Server, new_tab: Callable[..., Tab], tmp_path: Path
) -> None:
    teacher = opened(new_tab(own_server))
    student = opened(new_tab(own_server))
    main = teacher.page.get_by_test_id("stMain")
    main.get_by_role("combobox", name="Network").fill("Tiny")
    with run(teacher):
        teacher.page.get_by_role("option", name="Tiny VGG").click()
    epochs = main.get_by_role("spinbutton", name="Epochs")
    epochs.fill("60")
    with run(teacher):
        epochs.press("Enter")
    button(teacher, "Start").click()
    button(teacher, "Stop for everybody").wait_for(timeout=_PATIENCE)

    # The student, who has done nothing, sees it too, and cannot start another.
    button(student, "Stop for everybody").wait_for(timeout=_PATIENCE)
    student.page.get_by_text("Train a network", exact=True).click()
    expect(button(student, "Start")).to_be_disabled()
    wait_for_epochs(student, 1)

    # The curves grow, and the three pictures are shown.
    wait_for_epochs(teacher, 2)
    teacher.chart("training overlay").first.wait_for()
    for key in ("training filters", "training activations"):
        teacher.grid(key).first.wait_for()
    before = len(points(teacher, "training loss")[0])
    wait_for_epochs(teacher, before + 1)

    # Reloaded, the page shows the running training.
    opened(teacher)
    button(teacher, "Stop for everybody").wait_for(timeout=_PATIENCE)
    wait_for_epochs(teacher, before + 1)

    button(teacher, "Stop for everybody").click()
    for tab in (teacher, student):
        tab.page.get_by_text("The network was stopped.").wait_for(timeout=_PATIENCE)
        tab.page.get_by_text(re.compile("It is in the sidebar")).wait_for()
    settle(teacher.page)
    losses, measured = points(teacher, "training loss")
    assert len(losses) == len(measured) < 60
    assert losses[-1] < losses[0]

    # Back to the first epoch: other filters' activations, another mark.
    assert epoch_shown(teacher) == len(losses)
    last = teacher.painted("training activations")
    slider = teacher.page.get_by_role("slider")
    slider.focus()
    with run(teacher):
        slider.press("Home")
    teacher.page.wait_for_function(
        """() => document.querySelector('.st-key-training-loss .js-plotly-plot')
          ._fullLayout.shapes.find(one => one.line.dash === 'dot').x0 === 1"""
    )
    settle(teacher.page)
    assert "epoch=1" in teacher.page.url
    first = teacher.painted("training activations")
    assert first.shape != last.shape or not np.array_equal(first, last)

    # The model and its card can be saved.
    saved = {}
    for name in ("Save the model", "Save its description"):
        with teacher.page.expect_download() as download:
            button(teacher, name).click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    assert saved["Save the model"].name == "digits_tiny_vgg_1.keras"
    assert saved["Save the model"].read_bytes()[:2] == b"PK"
    card: dict[str, Any] = json.loads(saved["Save its description"].read_text(encoding="utf-8"))
    assert card["labels"] == list("0123456789")
    best = max(points(teacher, "training accuracy")[1])
    assert card["training"]["accuracy"][0]["value"] == pytest.approx(best, abs=1e-4)

    # Everybody can choose it.
    student.turn_to("Explore")
    student.choose("Network", NETWORK)
    assert student.chosen("Network") == NETWORK
    # Whatever the prediction for a photo without a digit is.
    assert re.match(r"\d [<>\d]", student.answer)
    assert student.picture("map").std() > 10
    assert teacher.errors == []
    assert student.errors == []
