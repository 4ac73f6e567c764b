"""A new server, whose first request may be for any page; and what a first visitor finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.photos.samples import samples
from scripts.browse import Server, running_app

PAGES = {
    "": ("Explore", "Answer"),
    "network": ("Network", "How is the network built?"),
    "filters": ("Filters", "What does a layer look for?"),
    "activations": ("Activations", "What does each layer answer?"),
    "maximise": ("Maximise", "What excites it most?"),
    "class_activation_map": ("Class activation map", "Where is the evidence for a class?"),
    "occlude": ("Occlude", "What does the network need?"),
    "compare": ("Compare", "How do the maps differ?"),
    "lessons": ("Lessons", "What do you want to find out?"),
    "training": ("Training", "How does a network learn?"),
}


def test_a_link_to_a_page_can_be_the_first_request_to_a_new_server(new_tab: Any) -> None:
    with running_app() as server:
        tab = new_tab(server)
        tab.page.goto(f"{server.url}/filters")
        title, heading = PAGES["filters"]
        tab.page.get_by_role("heading", name=heading).wait_for()
        groups = tab.page.get_by_test_id("stTopNavSection").all_inner_texts()
        assert groups == ["Look", "Ask", "Learn"]
        assert tab.page.title() == title
        tab.sidebar.get_by_text("Your photo").wait_for()
        assert tab.errors == []


def test_a_first_visitor_finds_a_sample_explained(new_tab: Any, server: Server) -> None:
    tab = new_tab(server).open()
    assert tab.page.title() == "Explore"
    assert tab.answer.startswith("cat ")
    evidence = " ".join(tab.walk(".evidence .caption").inner_text().split())
    assert evidence.startswith("Evidence for cat, cell by cell.")
    assert tab.walk(".sentence").inner_text().startswith("Each of the 1,280 last maps speaks")
    # The photo on the screen is the sample, and the map is painted over part of it.
    chelsea = next(one.path for one in samples() if one.name == "chelsea")
    assert tab.shows(chelsea.read_bytes())
    plain, explained = tab.picture("photo"), tab.picture("map")
    assert explained.shape == plain.shape
    grey = (plain @ [0.3, 0.59, 0.11])[..., None]
    height, width = plain.shape[:2]
    changed = np.abs(explained - grey).mean(axis=-1)
    middle = changed[height // 3 : -height // 3, width // 3 : -width // 3]
    assert middle.mean() > 20
    # The network never saw the left and the right edge.
    edge = changed[height // 4 : -height // 4, 2 : width // 20]
    assert edge.mean() < 5
    tab.page.get_by_role("button", name="Can this map be believed?").click()
    tab.page.get_by_role("heading", name=PAGES["class_activation_map"][1]).wait_for()
    tab.page.get_by_text("Cannot tell").wait_for()
    assert tab.errors == []
