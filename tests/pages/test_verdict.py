"""The verdict on the page of class activation maps."""

from __future__ import annotations

from typing import Any


def test_a_map_of_a_digit_holds_with_its_numbers(visit: Any) -> None:
    seen = visit("class_activation_map", model="mnist_cnn", sample="digit-3").answered().fine()
    texts = [one.value for kind in ("markdown", "caption") for one in seen.app.get(kind)]
    assert ":green-badge[:material/check_circle: The map holds]" in texts
    assert any("covering the photo costs “3” clearly more than elsewhere" in one for one in texts)
    assert any(one.startswith("“3” comes first in all 8 slightly shifted") for one in texts)
    assert any(one.startswith("One square of the photo after the other") for one in texts)
    assert seen.title("Loss where covered") == "Loss where covered"
    # A map of chance on the same photo does not.
    seen.choose("Method", "random").answered().fine()
    texts = [one.value for one in seen.app.markdown]
    assert any("The map says nothing" in one for one in texts)
