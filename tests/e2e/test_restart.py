"""A restart of the server: an open page, a reload and a link say what is gone."""

from __future__ import annotations

from typing import Any

import pytest
from corpus import models

from scripts.browse import free_port, open_page, running_app


@pytest.mark.slow
def test_a_page_says_after_a_restart_that_photo_and_model_are_gone(
    new_tab: Any, photo: bytes
) -> None:
    port = free_port()
    with running_app(port) as server:
        tab = new_tab(server).open("/network?model=mnist_cnn").upload("rings.png", photo)
        case = next(case for case in models.CASES if case.expected == models.LOADS)
        name = f"mine{case.suffix}"
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": case.make()}
        tab.sidebar.get_by_text("Your own model").click()
        tab.page.locator("[class*=st-key-uploaded-model] input[type=file]").set_input_files([file])
        tab.page.wait_for_url(f"**model={name}**")
        tab.settled()
    with running_app(port) as server:
        # An open page, at the next choice of its person.
        with tab.page.expect_websocket():
            pass
        open_page(tab.page, "Filters")
        says(tab, "Photos and models that you gave to this page are gone")
        tab.settled()
        assert "rings.png" not in tab.sidebar.inner_text()
        assert "Chelsea, a cat" in tab.sidebar.inner_text()
        # A reload.
        tab.upload("rings.png", photo)
        assert "photo=own" in tab.page.url
        tab.page.reload()
        says(tab, "The photo of this page is gone, and a sample is shown instead")
        assert "photo=own" not in tab.settled().page.url
        # Links.
        # A message goes after some seconds, which the checks of a map may take, too.
        tab.page.goto(f"{tab.url}/filters?model={name}")
        says(tab, f"network '{name}'")
        tab.settled()
        tab.page.goto(f"{tab.url}/class_activation_map?model=mnist_cnn&class=unicorn")
        says(tab, "class 'unicorn'")
        tab.settled()
        assert not server.tracebacks(), server.tracebacks()


def says(tab: Any, text: str) -> None:
    """Waits for a message."""
    tab.page.get_by_test_id("stToast").filter(has_text=text).wait_for()
