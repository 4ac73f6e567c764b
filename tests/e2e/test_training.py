"""Trainings: a class watches one, and a person collects the photos of one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import classes
from helpers import wait_until
from playwright.sync_api import Locator, expect

from cnnviz.photos.encoding import encode_png
from scripts.browse import HAS_RUN, SEEN_RUNS, Server, settle
from tests.e2e.conftest import Tab, pixels

_PATIENCE = 180_000
NETWORK = "digits tiny vgg 1"
NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def opened(tab: Tab, address: str = "training") -> Tab:
    """Goes to the page, which during a training is updated continuously."""
    tab.page.goto(f"{tab.url}/{address}")
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


def check_replay(tab: Tab, count: int) -> None:
    """Plays all epochs, steps, and wipes between two of them: without a word to the server."""
    page = tab.page
    player = page.locator(".epochs")
    caption, slider = player.locator("p.caption"), player.get_by_role("slider", name="Epoch")
    canvases = player.locator("canvas")

    def painted() -> list[np.ndarray]:
        page.evaluate(NEXT_FRAME)
        return [pixels(canvases.nth(at).screenshot()) for at in range(3)]

    def at_rest() -> bool:
        """Whether the pictures keep their sizes, which follow the window's a moment later."""
        before = [canvases.nth(at).bounding_box() for at in range(3)]
        page.wait_for_timeout(300)
        return before == [canvases.nth(at).bounding_box() for at in range(3)]

    page.get_by_role("radio", name="Replay").click()
    player.wait_for(timeout=_PATIENCE)
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=_PATIENCE)
    settle(page)
    last = f"Epoch {count - 1} of {count - 1}"
    expect(caption).to_contain_text(last)
    assert 2 <= int(slider.get_attribute("max") or 0) <= min(count - 1, 23)
    sent, begun = tab.sent, time.monotonic()
    page.set_viewport_size({"width": 1280, "height": 720})
    assert wait_until(at_rest)
    trained = painted()

    player.get_by_role("combobox", name="Speed").select_option("4 ×")
    player.get_by_role("button", name="Play", exact=True).click()
    expect(caption).to_contain_text("Untrained")
    expect(caption).to_contain_text("Epoch")
    player.get_by_role("button", name="Pause", exact=True).click()
    shown = caption.inner_text()
    assert slider.get_attribute("aria-valuetext") == shown
    page.wait_for_timeout(400)
    assert caption.inner_text() == shown
    slider.press("Home")
    expect(caption).to_contain_text("Untrained")
    untrained = painted()
    assert not any(np.array_equal(a, b) for a, b in zip(untrained, trained, strict=True))
    slider.press("ArrowRight")
    expect(caption).to_contain_text("Epoch")
    player.get_by_role("button", name="One epoch back").click()
    expect(caption).to_contain_text("Untrained")
    # Where motion is not wanted, ▶ is a step.
    page.emulate_media(reduced_motion="reduce")
    player.get_by_role("button", name="Play", exact=True).click()
    expect(caption).to_contain_text("Epoch")
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.emulate_media(reduced_motion="no-preference")

    # Before | after: at both ends of the slider the one and the other epoch.
    player.get_by_role("button", name="Before | after").click()
    expect(caption).to_contain_text("Untrained")
    expect(caption).to_contain_text(last)
    wipe = player.get_by_role("slider")
    for key, share, expected in (
        ("Home", "0 % before", trained),
        ("End", "100 % before", untrained),
    ):
        wipe.press(key)
        expect(wipe).to_have_attribute("aria-valuetext", share)
        for one, other in zip(painted(), expected, strict=True):
            # The edges of tiles are painted twice.
            assert np.abs(one.astype(int) - other).mean() < 1
    wipe.fill("50")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.querySelector('.stApp').scrollWidth <= 390")
    for part in (wipe, *(canvases.nth(at) for at in range(3))):
        box = part.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    # The page asks every five seconds whether there is another training.
    assert tab.sent - sent <= 1 + (time.monotonic() - begun) / 5
    page.set_viewport_size({"width": 1400, "height": 1000})
    player.get_by_role("button", name="Replay").click()


def test_a_class_watches_one_training(
    server: Server, new_tab: Callable[..., Tab], tmp_path: Path
) -> None:
    teacher = opened(new_tab(server))
    student = opened(new_tab(server))
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
    # Before an epoch is over: the batches, and photos of the last one.
    student.page.get_by_text("as the network got them").first.wait_for(timeout=_PATIENCE)
    expect(student.page.locator(".batches figure")).to_have_count(8)
    wait_for_epochs(student, 1)

    # The curves grow, and the three pictures are shown.
    wait_for_epochs(teacher, 2)
    teacher.chart("training overlay").first.wait_for()
    for key in ("training filters", "training activations"):
        teacher.grid(key).first.wait_for()
    before = len(points(teacher, "training loss")[0])

    # Reloaded, the page shows the training, which goes on.
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
    assert losses[0] is None
    assert losses[-1] < losses[1]

    # Back to the untrained network: other filters' activations, another mark.
    assert epoch_shown(teacher) == len(losses) - 1
    last = teacher.painted("training activations")
    slider = teacher.page.get_by_role("slider")
    slider.focus()
    with run(teacher):
        slider.press("Home")
    teacher.page.wait_for_function(
        """() => document.querySelector('.st-key-training-loss .js-plotly-plot')
          ._fullLayout.shapes.find(one => one.line.dash === 'dot').x0 === 0"""
    )
    settle(teacher.page)
    assert "epoch=0" in teacher.page.url
    first = teacher.painted("training activations")
    assert first.shape != last.shape or not np.array_equal(first, last)

    check_replay(teacher, len(losses))

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


def test_a_network_learns_from_photos_collected_in_the_page(
    server: Server, new_tab: Callable[..., Tab]
) -> None:
    tab = opened(new_tab(server), "training?data=collect")
    page = tab.page
    for number, name in enumerate(("red", "green"), start=1):
        field = page.get_by_role("textbox", name="Class").nth(number - 1)
        field.fill(name)
        with run(tab):
            field.press("Enter")
        photos = [
            {
                "name": f"{index}.png",
                "mimeType": "image/png",
                "buffer": encode_png(classes.picture(number - 1, index)),
            }
            for index in range(10 if name == "red" else 9)
        ]
        page.locator(f".st-key-photos-of-class-{number} input[type=file]").set_input_files(photos)
        page.locator(f".st-key-collected-{number} .photo").nth(len(photos) - 1).wait_for()
    # The tenth one is taken by the camera.
    page.get_by_role("button", name="Camera for green").click()
    hold = page.get_by_role("button", name="Hold to take photos")
    page.wait_for_function(_FILMS)
    hold.press("Enter")
    expect(page.locator(".st-key-collected-2 .count")).to_have_text("10 photos · 10 are enough")
    page.get_by_role("button", name="Stop the camera").click()
    with run(tab):
        page.get_by_role("button", name="Remove photo 10 of red").click()
    expect(page.locator(".st-key-collected-1 .count")).to_have_text("9 photos · 10 are enough")

    # The page loads the network of each epoch: a few epochs are soon shown.
    epochs = page.get_by_role("spinbutton", name="Epochs")
    epochs.fill("4")
    with run(tab):
        epochs.press("Enter")
    button(tab, "Start").click()
    # The page may still show an earlier training, whose model can be tried.
    button(tab, "Stop for everybody").wait_for(timeout=_PATIENCE)
    page.get_by_text("Try it: choose a photo").wait_for(timeout=_PATIENCE)
    settle(page)
    page.locator(".st-key-try-on-explore button").click()
    tab.upload("new.png", encode_png(classes.picture(1, 99, 48)))
    assert "model=red-green_transfer_quick" in page.url
    assert tab.answer.startswith("green")
    assert tab.errors == []


# Whether a camera's picture has come.
_FILMS = """() => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
  .some(one => one.shadowRoot?.querySelector('video')?.videoWidth > 0)"""
