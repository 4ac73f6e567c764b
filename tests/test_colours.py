"""Colour tables: perceptual, with zero in the middle of diverging ones."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.colours import (
    BLANK,
    DIVERGING,
    SEQUENTIAL,
    on_page,
    over_grey,
    plotly_scale,
    strength,
    table,
)


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (..., 3), 0 to 100."""
    scaled = rgb / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(np.maximum(luminance, 1e-4)) - 16


@pytest.mark.parametrize("name", [*SEQUENTIAL, "teal on dark"])
def test_sequential_scales_get_lighter_or_darker_all_the_way(name: str) -> None:
    values = lightness(table(name).astype(float))
    steps = np.diff(values) * np.sign(values[-1] - values[0])
    assert np.all(steps > -0.5)
    assert abs(values[-1] - values[0]) > 60


@pytest.mark.parametrize(
    ("name", "stops"),
    [
        ("teal", "eef3f5 b9dcdc 66b3b9 237f95 114a6b 0a2140"),
        ("teal on dark", "18222b 17465c 1a7286 3ea39d 86ceb0 dcf3cd"),
        ("blue-orange", "2a63d6 e8640a"),
        ("blue-orange on dark", "5b97ff ff8a2b"),
        ("orange", "ffffff e8640a"),
        ("orange on dark", "0e141a ff8a2b"),
    ],
)
def test_the_project_s_own_scales_pass_through_their_stops(name: str, stops: str) -> None:
    colours = table(name)
    places = np.linspace(0, 255, len(stops.split())).astype(int)
    assert [bytes(colours[at]).hex() for at in places] == stops.split()


def test_colours_between_the_stops_are_mixed_in_oklab() -> None:
    """Half of white and #e8640a, by the published sums in both directions."""
    half = table("blue-orange")[[191, 192]].astype(float).mean(axis=0)
    np.testing.assert_allclose(half, [249.7, 180.8, 149.0], atol=1)
    np.testing.assert_array_equal(table("blue-orange")[127:129], [[254, 254, 255], [255, 254, 254]])


def test_a_dark_page_has_tables_of_its_own() -> None:
    assert on_page("teal", dark=True) == "teal on dark"
    assert on_page("teal", dark=False) == "teal"
    assert on_page("viridis", dark=True) == "viridis"
    assert lightness(table("blue-orange on dark").astype(float))[127] < 10


@pytest.mark.parametrize("name", DIVERGING)
def test_diverging_scales_are_lightest_at_zero(name: str) -> None:
    values = lightness(table(name).astype(float))
    # Plotly's "balance" has an even number of stops: its lightest is just beside zero.
    assert values[127:129].min() > values.max() - 1.5
    assert np.all(np.diff(values[:116]) > -0.5)
    assert np.all(np.diff(values[140:]) < 0.5)
    assert abs(values[0] - values[-1]) < 25


def test_a_blank_scale_is_one_grey_that_does_not_cover_a_photo() -> None:
    grey = table(BLANK)
    assert (grey == grey[0]).all()
    assert np.ptp(grey[0].astype(int)) < 20
    assert not strength(BLANK).any()
    assert (over_grey(BLANK) == np.arange(256)[None, :, None]).all()


def test_viridis_has_its_published_ends() -> None:
    assert table("viridis")[[0, -1]].tolist() == [[68, 1, 84], [253, 231, 37]]


@pytest.mark.parametrize("name", [*SEQUENTIAL, *DIVERGING, BLANK])
def test_tables_are_shared_and_cannot_be_written(name: str) -> None:
    for colours, shape in ((table(name), (256, 3)), (over_grey(name), (256, 256, 3))):
        assert colours.shape == shape
        assert colours.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            colours[0] = 0


@pytest.mark.parametrize("name", ["orange", "blue-orange", "blue-orange on dark"])
def test_a_photo_shows_through_where_a_value_is_weak(name: str) -> None:
    drawn = over_grey(name).astype(int)
    zeros = [127, 128] if name != "orange" else [0]
    for step in zeros:
        np.testing.assert_array_equal(drawn[step], np.repeat(np.arange(256)[:, None], 3, axis=1))
    # The stronger, the farther from the grey; 1 of rounding.
    away = np.abs(drawn - drawn[zeros[-1]]).sum(axis=2)
    assert np.diff(away[zeros[-1] :], axis=0).min() >= -3
    assert away[255].min() > 150
    # Light stays light, and dark dark: details can be seen in the strongest evidence, too.
    assert np.diff(lightness(drawn[255].astype(float))).min() > -0.5
    assert np.ptp(lightness(drawn[255].astype(float))) > 30


def test_solidity_is_a_power_of_the_share_of_the_limit() -> None:
    assert strength("orange")[[0, 51, 255]].tolist() == [0, pytest.approx(0.2**0.85), 1]
    both = strength("blue-orange")
    np.testing.assert_array_equal(both, both[::-1])
    assert both[[127, 128, 255]].tolist() == [0, 0, 1]


def test_plotly_scale_by_hand() -> None:
    rgb = np.array([[0, 0, 4], [255, 128, 0], [1, 2, 3]], np.uint8)
    assert plotly_scale(rgb) == [[0.0, "rgb(0,0,4)"], [0.5, "rgb(255,128,0)"], [1.0, "rgb(1,2,3)"]]
    rgba = np.array([[0, 0, 0, 0], [9, 8, 7, 255]], np.uint8)
    assert plotly_scale(rgba) == [[0.0, "rgba(0,0,0,0.000)"], [1.0, "rgba(9,8,7,1.000)"]]
