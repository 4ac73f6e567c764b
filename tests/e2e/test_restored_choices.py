"""Choices: restored by a link, a reload, the way back, and after the death of a worker."""

from __future__ import annotations

import os
import signal
from typing import Any

from scripts.process_list import running

LESSON = "Cat or dog: the lesson's network"


def test_a_reload_and_a_link_restore_the_choices(tab: Any, context: Any) -> None:
    # A small network: each choice has its answer at once.
    tab.open("/filters").choose("Network", LESSON).choose("Sample picture", "A cow")
    tab.turn_to("Class activation map")
    other = other_class(tab)
    tab.choose_class(other).choose("Method", "Grad-CAM").choose("Layer", "conv3")
    expected = {
        "Network": LESSON,
        "Sample picture": "A cow",
        "Method": "Grad-CAM",
        "Layer": "conv3",
    }
    titles = tab.title("overlay"), tab.title("map alone")
    assert titles[0].startswith(f"Grad-CAM for “{other}”")
    assert "16 × 16" in titles[1]
    tab.page.reload()
    tab.settled()
    assert_choices(tab, expected, other, titles)
    second = type(tab)(context.new_page(), tab.url)
    second.open(tab.page.url.removeprefix(tab.url))
    assert_choices(second, expected, other, titles)
    second.page.close()
    assert second.errors == []


def other_class(tab: Any) -> str:
    """The class that the network does not answer with, of two."""
    return "dog" if tab.chosen_class().startswith("cat") else "cat"


def assert_choices(
    tab: Any, expected: dict[str, str], target: str, titles: tuple[str, str]
) -> None:
    assert tab.page.title() == "Class activation map"
    for label, option in expected.items():
        assert tab.chosen(label).startswith(option)
    assert tab.chosen_class().startswith(target)
    assert (tab.title("overlay"), tab.title("map alone")) == titles


def test_an_unknown_layer_is_reported_and_the_way_back_has_the_chosen_one(tab: Any) -> None:
    tab.open("/filters?layer=nowhere")
    tab.page.get_by_test_id("stToast").filter(has_text="nowhere").wait_for()
    assert tab.chosen("Layer").startswith("stem_conv")
    tab.choose("Layer", "block1a_dwconv").turn_to("Network")
    tab.page.go_back()
    tab.page.wait_for_function("() => document.title === 'Filters'")
    assert tab.settled().chosen("Layer").startswith("block1a_dwconv")


def test_a_killed_worker_costs_neither_photo_nor_choices(
    tab: Any, server: Any, photo: bytes
) -> None:
    tab.open("/class_activation_map?model=cat_dog_lesson").upload("rings.png", photo)
    other = other_class(tab)
    tab.choose_class(other)
    # The checks of the map are over: it is the next choice that misses the worker.
    tab.page.locator(".st-key-steadiness").get_by_test_id("stCaptionContainer").wait_for()
    for process in workers_of(server.process):
        os.kill(process, signal.SIGKILL)
    # No earlier answer is cached for this.
    tab.choose("Method", "Grad-CAM")
    warning = tab.page.get_by_test_id("stMain").get_by_test_id("stAlert").first
    assert "stopped before it answered" in warning.inner_text()
    assert "nothing of yours is lost" in warning.inner_text()
    assert "Grad-CAM" in tab.title("overlay")
    assert "rings.png" in tab.sidebar.inner_text()
    assert tab.chosen_class().startswith(other)
    assert tab.painted("overlay").std() > 10
    # The next choice is an ordinary one.
    tab.choose("Method", "Class activation map")
    assert tab.page.get_by_test_id("stMain").get_by_test_id("stAlert").count() == 0


def workers_of(parent: int) -> list[int]:
    """The worker processes of a server."""
    workers = [
        process.pid
        for process in running()
        if "LokyProcess" in process.command and process.parent == parent
    ]
    assert workers
    return workers
