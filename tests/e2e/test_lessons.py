"""The page Lessons in a browser: a lesson is completed on a telephone."""

from __future__ import annotations

from typing import Any

_SCROLLED = "() => document.querySelector('[data-testid=\"stMain\"]').scrollTop"
_WIDTHS = (
    "() => [document.querySelector('[data-testid=\"stMain\"]').scrollWidth, "
    "document.documentElement.clientWidth]"
)


def test_a_lesson_is_completed_on_a_telephone(tab: Any) -> None:
    page = tab.page
    page.set_viewport_size({"width": 390, "height": 844})
    tab.open("/lessons?model=mnist_cnn&lesson=pooling")
    answers = [
        ("7", "9", "8", "4"),
        ("3.75", "4.25", "4.75", "2.5"),
        "3.81",
        "Yes, the same",
        "A quarter",
        "It stays the same",
    ]
    for step, answer in enumerate(answers, start=1):
        page.get_by_text(f"Pooling · {step} of 6").wait_for()
        assert page.get_by_text("All of them are right.").count() == 0
        if isinstance(answer, tuple):
            for place, number in zip(
                ("Top left", "Top right", "Bottom left", "Bottom right"), answer, strict=True
            ):
                page.get_by_label(place, exact=True).fill(number)
            with tab.run():
                page.get_by_role("button", name="Check").click()
            page.get_by_text("All of them are right.").wait_for()
        else:
            with tab.run():
                page.get_by_role("button", name=answer, exact=True).click()
            page.get_by_text("That is right.").wait_for()
        content, window = page.evaluate(_WIDTHS)
        assert content <= window
        page.mouse.move(195, 400)
        page.mouse.wheel(0, 2000)
        with tab.run():
            page.keyboard.press("n")
        # The next question is in sight, wherever the page was scrolled to.
        assert page.evaluate(_SCROLLED) == 0
    # The last step leads back to the first one.
    page.get_by_text("Pooling · 1 of 6").wait_for()
    assert tab.errors == []
