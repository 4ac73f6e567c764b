"""Recipes: each can be built and requested, and data that does not fit is refused."""

from __future__ import annotations

from typing import get_args

import pytest

from cnnviz.cli import training
from cnnviz.errors import DataError
from cnnviz.training.recipes import RECIPES, check_input, find_recipe


def test_every_recipe_can_be_built_and_requested() -> None:
    from cnnviz.training.architectures import BUILDERS

    assert set(RECIPES) == set(BUILDERS) == set(get_args(training.Architecture))
    assert all(name == recipe.name for name, recipe in RECIPES.items())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_the_recommended_size_fits(recipe: object) -> None:
    check_input(recipe, (recipe.size, recipe.size), recipe.channels or 3)  # type: ignore[attr-defined,arg-type]


def test_an_unknown_architecture_lists_those_there_are() -> None:
    with pytest.raises(DataError, match="no architecture 'resnet'. Choose from lesson-mnist, less"):
        find_recipe("resnet")


@pytest.mark.parametrize(
    ("name", "side", "channels", "message"),
    [
        ("transfer", (128, 128), 3, "takes photos of 224 pixels a side, .* 128 × 128.*--size 224"),
        ("transfer", (224, 223), 3, "224 × 223"),
        ("transfer", (224, 224), 1, "3 channels, and this data has 1"),
        ("tiny-vgg", (15, 64), 3, "16 to 256 pixels a side, .* 15 × 64.*--size 64"),
        ("tiny-vgg", (64, 257), 3, "64 × 257"),
        ("lesson-mnist", (11, 11), 1, "12 to 64"),
        ("lesson-cam", (31, 31), 3, "32 to 512"),
    ],
)
def test_data_that_does_not_fit(
    name: str, side: tuple[int, int], channels: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_input(RECIPES[name], side, channels)


@pytest.mark.parametrize("name", ["lesson-mnist", "lesson-cam", "tiny-vgg"])
def test_grey_and_colour_and_both_ends_fit(name: str) -> None:
    for side in RECIPES[name].sides:
        for channels in (1, 3):
            check_input(RECIPES[name], (side, side), channels)
