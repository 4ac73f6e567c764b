"""Colour tables: perceptual, with zero in the middle of diverging ones."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.colours import BLANK, DIVERGING, SEQUENTIAL, overlay_table, plotly_scale, table


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (..., 3), 0 to 100."""
    scaled = rgb / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(np.maximum(luminance, 1e-4)) - 16


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_sequential_scales_get_lighter_all_the_way(name: str) -> None:
    values = lightness(table(name).astype(float))
    assert np.all(np.diff(values) > -0.5)
    assert values[-1] - values[0] > 60


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
    assert not overlay_table(BLANK)[:, 3].any()


def test_viridis_has_its_published_ends() -> None:
    assert table("viridis")[[0, -1]].tolist() == [[68, 1, 84], [253, 231, 37]]


@pytest.mark.parametrize("name", [*SEQUENTIAL, *DIVERGING, BLANK])
def test_tables_are_shared_and_cannot_be_written(name: str) -> None:
    for colours, channels in ((table(name), 3), (overlay_table(name), 4)):
        assert colours.shape == (256, channels)
        assert colours.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            colours[0] = 0


@pytest.mark.parametrize("name", SEQUENTIAL + DIVERGING)
def test_an_overlay_shows_the_photo_where_there_is_no_evidence(name: str) -> None:
    colours = overlay_table(name)
    alpha = colours[:, 3].astype(int)
    np.testing.assert_array_equal(colours[:, :3], table(name))
    assert alpha[-1] == 255
    if name in DIVERGING:
        assert alpha[0] == 255
        assert max(alpha[127], alpha[128]) <= 16
        assert np.all(np.diff(alpha[128:]) >= 0)
        np.testing.assert_array_equal(alpha, alpha[::-1])
    else:
        assert alpha[0] == 0
        assert np.all(np.diff(alpha) >= 0)


def test_plotly_scale_by_hand() -> None:
    rgb = np.array([[0, 0, 4], [255, 128, 0], [1, 2, 3]], np.uint8)
    assert plotly_scale(rgb) == [[0.0, "rgb(0,0,4)"], [0.5, "rgb(255,128,0)"], [1.0, "rgb(1,2,3)"]]
    rgba = np.array([[0, 0, 0, 0], [9, 8, 7, 255]], np.uint8)
    assert plotly_scale(rgba) == [[0.0, "rgba(0,0,0,0.000)"], [1.0, "rgba(9,8,7,1.000)"]]
