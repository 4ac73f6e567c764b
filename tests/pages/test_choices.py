"""Choices are kept when the page changes, and restored from a link."""

from __future__ import annotations

from typing import Any

import pytest

IMAGENET = "imagenet_efficientnet_lite0"


@pytest.fixture(autouse=True)
def two_networks(models: Any) -> None:
    models("flat", "two_classes")


def test_choices_are_kept_over_a_change_of_page(visit: Any) -> None:
    seen = visit("filters", model="two_classes", sample="coffee")
    seen.choose("Layer", "conv2").choose("Filter", 3).choose("Scale", "raw")
    seen.turn_to("class_activation_map").choose("Class", "dog").choose("Method", "grad-cam")
    seen.turn_to("explore").turn_to("filters").fine()
    assert seen.chosen("Network") == "two_classes"
    assert seen.chosen("Sample picture") == "coffee"
    assert seen.chosen("Layer") == "conv2"
    assert seen.chosen("Filter") == 3
    assert seen.chosen("Scale") == "raw"
    assert seen.title("one filter").startswith("Filter 3")
    seen.turn_to("class_activation_map")
    assert seen.chosen("Class") == "dog"
    assert seen.chosen("Method") == "grad-cam"


def test_a_widget_is_told_its_choice_in_two_runs(visit: Any) -> None:
    # The browser may take the second run's message alone.
    def is_told() -> bool:
        seen.run()
        assert seen.chosen("Layer") == "conv2"
        return bool(seen.widget("Layer").proto.set_value)

    seen = visit("filters", model="two_classes", layer="conv2")
    assert seen.widget("Layer").proto.set_value
    # Told later, it would undo what a person chooses meanwhile.
    assert [is_told(), is_told()] == [True, False]
    # What a person has chosen it is not told at all.
    seen = visit("filters", model="two_classes").choose("Layer", "conv2")
    assert not seen.widget("Layer").proto.set_value
    assert [is_told(), is_told()] == [False, False]


def test_another_network_has_choices_of_its_own(visit: Any) -> None:
    seen = visit("filters", model="flat").choose("Layer", "conv2")
    seen.choose("Network", "two_classes")
    assert seen.chosen("Layer") == "conv1"
    seen.choose("Network", "flat")
    assert seen.chosen("Layer") == "conv2"


def test_the_address_names_what_was_chosen_and_nothing_else(visit: Any) -> None:
    seen = visit("filters")
    assert seen.app.query_params == {}
    seen.choose("Network", "two_classes").choose("Layer", "conv2").choose("Filter", 4)
    assert seen.app.query_params == {"model": "two_classes", "layer": "conv2", "filter": "4"}
    seen.choose("Layer", "conv1")
    assert seen.app.query_params == {"model": "two_classes"}


def test_the_address_of_the_next_page_has_the_choices_that_apply_to_it(visit: Any) -> None:
    seen = visit("explore", model="two_classes", sample="coffee").turn_to("network")
    assert seen.app.query_params == {"model": "two_classes", "sample": "coffee"}


@pytest.mark.parametrize(
    ("page", "link", "chosen"),
    [
        ("explore", {"sample": "rocket"}, {"Sample picture": "rocket"}),
        (
            "filters",
            {"layer": "conv2", "filter": "2", "input": "3"},
            {"Filter": 2, "Layer": "conv2"},
        ),
        ("activations", {"layer": ["conv2", "pool"]}, {"Layers": ["conv2", "pool"]}),
        ("activations", {"layer": "pool", "channel": "1", "order": "mean"}, {"Channel": 1}),
        (
            "class_activation_map",
            {"class": "dog", "rival": "cat"},
            {"Class": "dog", "Against": "cat"},
        ),
        (
            "class_activation_map",
            {"class": "dog", "method": "grad-cam", "layer": "conv1", "against": "False"},
            {"Class": "dog", "Layer": "conv1", "Show evidence against it": False},
        ),
    ],
)
def test_a_link_restores_the_choices(
    visit: Any, page: str, link: dict[str, Any], chosen: dict[str, Any]
) -> None:
    seen = visit(page, model="two_classes", **link).fine()
    assert seen.chosen("Network") == "two_classes"
    for label, option in chosen.items():
        assert seen.chosen(label) == option
    # The address is the same link.
    assert seen.app.query_params == {"model": "two_classes", **link}


def test_a_link_wins_over_what_was_chosen_before(visit: Any) -> None:
    seen = visit("filters").choose("Layer", "conv2").choose("Filter", 4)
    seen.turn_to("filters", layer="conv1", filter="1")
    assert (seen.chosen("Layer"), seen.chosen("Filter")) == ("conv1", 1)


@pytest.mark.parametrize(
    ("page", "link", "label", "usual"),
    [
        ("explore", {"model": "nowhere"}, "Network", "flat"),
        ("explore", {"sample": "nowhere"}, "Sample picture", "chelsea"),
        ("filters", {"layer": "nowhere"}, "Layer", "conv1"),
        ("filters", {"filter": "999"}, "Filter", 0),
        ("filters", {"filter": "-1"}, "Filter", 0),
        ("activations", {"layer": "nowhere"}, "Layers", ["conv1", "conv2"]),
        ("class_activation_map", {"method": "nowhere"}, "Method", "cam"),
    ],
)
def test_an_unknown_name_in_a_link_is_reported_and_the_default_used(
    visit: Any, page: str, link: dict[str, str], label: str, usual: Any
) -> None:
    seen = visit(page, **link).fine()
    assert seen.chosen(label) == usual
    (value,) = link.values()
    assert [one.value for one in seen.app.toast if value in one.value] != []


def test_an_unknown_class_in_a_link_falls_back_to_the_predicted_one(visit: Any) -> None:
    usual = visit("class_activation_map").chosen("Class")
    seen = visit("class_activation_map", **{"class": "unicorn"}).fine()
    assert seen.chosen("Class") == usual
    assert "unicorn" in seen.text


def test_a_link_cannot_put_markup_on_the_page(visit: Any) -> None:
    seen = visit("filters", layer="![x](https://evil.example/x.png)").fine()
    assert "evil.example" in seen.text
    assert "![x](" not in seen.raw
    assert "https://" not in "".join(one.value for one in seen.app.toast)
