"""The game of the page Maximise: photos are picked with the mouse and with the keyboard."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.e2e.test_every_page import serious, too_wide

GAME = "/maximise?model=mnist_cnn&excite=game&layer=conv2&seed=4"


def test_a_game_is_played_with_mouse_and_keyboard(tab: Any) -> None:
    page = tab.page
    page.goto(tab.url + GAME)
    # The digits are searched first.
    page.get_by_text("Round 1 of 5").wait_for()
    photos = page.locator(".picture-tiles .tile")
    right = 0
    for at in range(5):
        expect(page.get_by_text(re.compile(f"Round {at + 1} of 5 · {right} right"))).to_be_visible()
        expect(page.locator(".picture-tiles button.tile")).to_have_count(9)
        if at % 2:
            photos.first.focus()
            page.keyboard.press(str(at + 1))
        else:
            photos.nth(at).click()
        # The one that excites the channel most is marked, and so is another guess.
        expect(page.locator(".picture-tiles li.right")).to_have_count(1)
        expect(page.locator(".picture-tiles button.tile")).to_have_count(0)
        values = [
            float(text.lstrip("✓✗ ").replace("−", "-"))
            for text in page.locator(".picture-tiles b").all_inner_texts()
        ]
        best = values.index(max(values))
        assert "right" in photos.nth(best).locator("..").get_attribute("class")
        guessed = best == at
        expect(page.get_by_text("That is right.")).to_have_count(int(guessed))
        expect(page.locator(".picture-tiles li.wrong")).to_have_count(int(not guessed))
        right += guessed
        if at == 0:
            assert serious(tab, "game") + too_wide(tab, "game") == []
        page.keyboard.press("n")
    expect(page.get_by_role("heading", name=f"{right} of 5")).to_be_visible()
