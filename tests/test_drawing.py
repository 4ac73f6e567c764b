"""Overlays: the evidence of a network of pure brightness must be over what is bright."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnviz
from cnnviz.attribution.formulas import contrast_picture
from cnnviz.cards import Preprocessing
from cnnviz.colours import BLANK
from cnnviz.drawing import (
    SIGNED,
    Shading,
    activation_shading,
    colour_limits,
    common_limit,
    in_grey,
    map_shading,
    own_limit,
    picture_on_photo,
    shading,
)
from cnnviz.geometry import place_on_photo, seen_region
from cnnviz.results import ClassActivationMap

HOW = (
    {"fit": "crop"},
    {"fit": "crop", "crop_fraction": 0.875},
    {"fit": "stretch"},
    {"fit": "pad"},
)


@pytest.fixture(scope="module")
def brightness() -> Any:
    """Builds a network whose evidence for `light` is the mean brightness of 8×8 pixels."""
    import keras
    from keras import layers

    def build(**how: Any) -> Any:
        image = keras.Input((48, 64, 3))
        grey = layers.Conv2D(1, 1, use_bias=False, name="grey")
        x = layers.AveragePooling2D(8, name="blocks")(grey(image))
        scores = layers.Dense(2, "softmax", name="scores")
        model = keras.Model(image, scores(layers.GlobalAveragePooling2D()(x)))
        grey.set_weights([np.full((1, 1, 3, 1), 1 / 3, np.float32)])
        scores.set_weights([np.array([[1, -1]], np.float32), np.zeros(2, np.float32)])
        card = cnnviz.network(model).card
        seen = Preprocessing(height=48, width=64, scaling="unit", **how)
        return cnnviz.network(
            model, card.model_copy(update={"labels": ["light", "dark"], "preprocessing": seen})
        )

    return build


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (60, 64), (31, 47)])
def test_the_peak_is_over_the_bright_spot(
    brightness: Any, how: dict[str, Any], shape: tuple[int, int]
) -> None:
    """For spots all over what is seen, from the photo through the network to the overlay."""
    network = brightness(**how)
    preprocessing = network.card.preprocessing
    height, width = shape
    seen = seen_region(height, width, preprocessing)
    cell_height, cell_width = seen.height / 6, seen.width / 8
    for row_share in (0.3, 0.5, 0.7):
        for column_share in (0.3, 0.5, 0.7):
            y, x = row_share * height, column_share * width
            photo = np.full((height, width, 3), 20, np.uint8)
            rows = slice(int(y - cell_height / 4), int(y + cell_height / 4) + 1)
            columns = slice(int(x - cell_width / 4), int(x + cell_width / 4) + 1)
            photo[rows, columns] = 250
            cam = cnnviz.class_activation_map(network, photo, "light")
            assert cam.layer == "blocks"
            placed = place_on_photo(cam.values, height, width, preprocessing)
            peak_y, peak_x = np.unravel_index(np.nanargmax(placed), placed.shape)
            # A peak is in the middle of its cell, and that cell holds a part of the spot.
            assert abs(peak_y - (y - 0.5)) <= 0.75 * cell_height + 1
            assert abs(peak_x - (x - 0.5)) <= 0.75 * cell_width + 1

            picture = cnnviz.overlay(photo, cam, preprocessing)
            added = np.abs(picture.astype(int) - photo).sum(axis=-1)
            dark = np.abs(photo.astype(int) - 250).sum(axis=-1) > 0
            strongest = np.where(dark, np.nan_to_num(placed, nan=-1), -1)
            assert added[np.unravel_index(strongest.argmax(), added.shape)] > 0


def test_the_centre_of_the_evidence_is_that_of_the_spot(brightness: Any) -> None:
    """Half-pixel placing, to a tenth of a cell: a spot on four cells' common corner."""
    for how in HOW:
        network = brightness(**how)
        preprocessing = network.card.preprocessing
        seen = seen_region(240, 320, preprocessing)
        y, x = seen.top + seen.height / 2, seen.left + seen.width / 2
        photo = np.zeros((240, 320, 3), np.uint8)
        photo[int(y) - 10 : int(y) + 10, int(x) - 10 : int(x) + 10] = 255
        cam = cnnviz.class_activation_map(network, photo, "light")
        placed = np.nan_to_num(place_on_photo(cam.values, 240, 320, preprocessing))
        middle_y = (placed.sum(axis=1) * (np.arange(240) + 0.5)).sum() / placed.sum()
        middle_x = (placed.sum(axis=0) * (np.arange(320) + 0.5)).sum() / placed.sum()
        assert middle_y == pytest.approx(y, abs=0.1 * seen.height / 6)
        assert middle_x == pytest.approx(x, abs=0.1 * seen.width / 8)


def test_pixels_that_the_network_never_saw_are_grey(brightness: Any) -> None:
    network = brightness(fit="crop")
    photo = np.full((96, 400, 3), 180, np.uint8)
    photo[:40, 150:200] = 90
    cam = cnnviz.class_activation_map(network, photo, "light")
    picture = cnnviz.overlay(photo, cam, network.card.preprocessing, opacity=1)
    seen = seen_region(96, 400, network.card.preprocessing)
    left, right = round(seen.left), round(seen.left + seen.width)
    assert (left, right) == (136, 264)
    np.testing.assert_array_equal(picture[:, :left], photo[:, :left])
    np.testing.assert_array_equal(picture[:, right:], photo[:, right:])
    assert (picture[:, left:right] != photo[:, left:right]).any(axis=-1).all()


# --- Colours by hand ------------------------------------------------------------------------

BLUE, ORANGE = (0x2A, 0x63, 0xD6), (0xE8, 0x64, 0x0A)


def light(colour: Any) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def by_hand(grey: float, share: float) -> list[float]:
    """A pixel, value by value, as https://www.w3.org/TR/compositing-1 defines the blend modes.

    Args:
        grey: of the photo, 0 to 255.
        share: the value's share of the limit, below zero for evidence against.
    """
    end, alpha = (ORANGE if share > 0 else BLUE), abs(share) ** 0.85
    hued = [part + grey - light(end) for part in end]
    if min(hued) < 0:
        hued = [grey + (part - grey) * grey / (grey - min(hued)) for part in hued]
    if max(hued) > 255:
        hued = [grey + (part - grey) * (255 - grey) / (max(hued) - grey) for part in hued]
    once = [(1 - alpha) * grey + alpha * part for part in hued]
    return [
        (1 - 0.55 * alpha) * below + 0.55 * alpha * part
        for below, part in zip(once, end, strict=True)
    ]


STRETCH = Preprocessing(height=8, width=8)


def a_map(values: Any, **fields: Any) -> ClassActivationMap:
    values = np.array(values, np.float32)
    return ClassActivationMap(values, "cam", "conv", "cat", **{"score": 0.0, "bias": 0.0} | fields)


@pytest.mark.parametrize("grey", [0, 30, 100, 200, 255])
def test_one_pixel_a_cell_by_hand(grey: int) -> None:
    """Orange for the class, blue against it, and the photo where there is nothing."""
    photo = np.full((1, 5, 3), grey, np.uint8)
    shares = np.array([1, -1, 0, 85 / 255, -63 / 127])
    picture = cnnviz.overlay(photo, a_map([8 * shares]), STRETCH)
    for column, share in enumerate(shares):
        # A step of the scale is 1/127 of the limit, and has at most 255 × 1.55 / 127 of a colour.
        np.testing.assert_allclose(picture[0, column], by_hand(grey, share), atol=2.1)
    np.testing.assert_allclose(picture[0, 0], by_hand(grey, 1), atol=0.51)
    np.testing.assert_allclose(picture[0, 1], by_hand(grey, -1), atol=0.51)
    assert picture[0, 2].tolist() == [grey] * 3


def test_signed_colours_in_numbers() -> None:
    """Worked out with pencil and paper for a grey of 100 and the strongest of both."""
    photo = np.full((1, 3, 3), 100, np.uint8)
    picture = cnnviz.overlay(photo, a_map([[4.0, -4.0, 0.0]]), STRETCH)
    # Orange has a light of 129.7: less 29.7 it is (202, 70, -20), which is clipped to
    # (185, 75, 0); 0.55 of orange over it. Blue, of 94.55, plus 5.45: (47.45, 104.45, 219.45).
    assert picture[0].tolist() == [[211, 89, 6], [44, 101, 216], [100, 100, 100]]


def test_opacity_is_between_the_grey_photo_and_the_full_colours() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (1, 3, 3), dtype=np.uint8)
    cam = a_map([[4.0, -1.0, 2.0]])
    none, half, full = (
        cnnviz.overlay(photo, cam, STRETCH, opacity=opacity).astype(float)
        for opacity in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(none, np.repeat(in_grey(photo)[..., None], 3, axis=2))
    np.testing.assert_allclose(half, (none + full) / 2, atol=1)


def test_a_photo_s_light_by_hand() -> None:
    photo = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 100, 200]]])
    # 0.30, 0.59 and 0.11 of 255; 3 + 59 + 22.
    assert in_grey(photo.astype(np.uint8)).tolist() == [[77, 150, 28, 255, 84]]


def test_evidence_alone_is_as_pale_as_it_is_weak_beside_what_is_against_it() -> None:
    """The scale ends at the largest absolute value, 9."""
    photo = np.full((1, 3, 3), 100, np.uint8)
    picture = cnnviz.overlay(photo, a_map([[3.0, 0.0, -9.0]]), STRETCH, signed=False)
    np.testing.assert_allclose(picture[0, 0], by_hand(100, 1 / 3), atol=0.51)
    np.testing.assert_array_equal(picture[0, 1:], photo[0, 1:])


def test_maps_of_several_classes_have_one_limit() -> None:
    maps = [a_map([[3.0, -1.0]]), a_map([[0.5, -6.0]]), a_map([[99.0, 99.0]])]
    # The last says nothing: it is the same everywhere.
    limit = common_limit(maps)
    assert limit == 6
    assert common_limit(maps[2:]) is None
    assert map_shading(maps[0], limit=limit) == Shading(SIGNED, -6, 6)
    assert map_shading(maps[0], limit=limit, signed=False) == Shading("orange", 0, 6)
    assert map_shading(maps[0], dark=True) == Shading("blue-orange on dark", -3, 3)
    photo = np.full((1, 2, 3), 100, np.uint8)
    picture = cnnviz.overlay(photo, maps[0], STRETCH, limit=limit)
    np.testing.assert_allclose(picture[0, 0], by_hand(100, 0.5), atol=2.1)


def test_a_map_of_pixels_is_drawn_up_to_its_99th_percentile() -> None:
    """Of 100 × 100 cells the largest hundred have the last colour, and keep their values."""
    values = np.linspace(-0.5, 1, 100 * 100).reshape(100, 100)
    values[0, 0] = -70
    fine = a_map(values)
    limit = own_limit(fine)
    assert limit == pytest.approx(0.985, abs=1e-3)
    assert common_limit([fine, a_map([[3.0, -1.0]])]) == 3
    assert map_shading(fine).limits == (-limit, limit)
    assert fine.values[0, 0] == -70
    # A few pixels alone, and no more cells than 64 × 64: the largest value.
    assert own_limit(a_map(np.where(values == -70, values, 0))) == 70
    assert own_limit(a_map(values[:64, :64])) == 70


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ([[3.0, 3.0]], {}),
        ([[-3.0, -3.0]], {}),
        ([[0.0, 0.0]], {}),
        ([[1e-9, -3e-9]], {}),
        ([[1e-4, -1e-4]], {"score": 1000.0}),
        ([[2.0, 1.0]], {"gradient": 0.0}),
        ([[2.0, 1.0]], {"saturated": True}),
        ([[np.nan, 1.0]], {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("signed", [False, True])
def test_a_map_that_says_nothing_is_not_drawn(
    values: Any, fields: dict[str, Any], signed: bool
) -> None:
    photo = np.full((1, 2, 3), 100, np.uint8)
    cam = a_map(values, **fields)
    before = cam.values.copy()
    assert map_shading(cam, signed).colours == BLANK
    picture = cnnviz.overlay(photo, cam, STRETCH, signed=signed)
    np.testing.assert_array_equal(picture, photo)
    np.testing.assert_array_equal(cam.values, before)


def test_evidence_against_shows_only_on_a_signed_overlay() -> None:
    photo = np.full((6, 6, 3), 100, np.uint8)
    against = a_map([[-3.0, -3.0], [-3.0, -2.0]])
    unsigned = cnnviz.overlay(photo, against, STRETCH, signed=False)
    np.testing.assert_array_equal(unsigned, photo)
    assert (cnnviz.overlay(photo, against, STRETCH) != photo).any()


@pytest.mark.parametrize("signed", [False, True])
def test_a_map_of_zeros_does_not_change_the_photo(signed: bool) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (9, 7, 1), dtype=np.uint8).repeat(3, axis=2)
    picture = cnnviz.overlay(photo, a_map(np.zeros((3, 3))), STRETCH, opacity=1, signed=signed)
    np.testing.assert_array_equal(picture, photo)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([(1, 1), (1, 5), (7, 7), (30, 30)]),
    st.sampled_from(["crop", "stretch", "pad"]),
    st.booleans(),
    st.sampled_from([0.0, 1.0, 1e-38, 3e38]),
)
def test_any_photo_takes_any_map(
    height: int, width: int, cells: tuple[int, int], fit: str, signed: bool, scale: float
) -> None:
    photo = np.full((height, width, 3), 77, np.uint8)
    values = np.random.default_rng(1).uniform(-1, 1, cells) * scale
    before = photo.copy()
    how = Preprocessing(height=8, width=8, fit=fit)
    picture = cnnviz.overlay(photo, a_map(values), how, signed=signed)
    assert picture.shape == photo.shape
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(photo, before)


# --- The rule of colours and limits -----------------------------------------------------------


def test_evidence_for_a_class_has_a_sequential_scale_that_begins_at_zero() -> None:
    values = np.array([[-8.0, 2.0], [np.nan, 4.0]], np.float32)
    assert shading(values, signed=False) == Shading("orange", 0, 8)
    assert shading(-values, signed=False, colours="viridis") == Shading("viridis", 0, 8)
    assert shading(np.maximum(values, 0), signed=False) == Shading("orange", 0, 4)
    assert shading(np.full((2, 2), -3.0), signed=False) == Shading("orange", 0, 3)
    assert shading(np.full((2, 2), np.nan), signed=False) == Shading("orange", 0, 1)


def test_signed_values_have_a_diverging_scale_centred_on_zero() -> None:
    values = np.array([[-8.0, 2.0], [np.nan, 4.0]], np.float32)
    assert shading(values, signed=True) == Shading("blue-orange", -8, 8)
    assert shading(np.zeros((2, 2)), signed=True) == Shading("blue-orange", -1, 1)


def test_other_values_have_limits_of_their_own() -> None:
    values = np.array([-1.0, 3.0, np.nan])
    assert colour_limits(values, centred=False) == (-1, 3)
    assert colour_limits(values, centred=True) == (-3, 3)
    assert colour_limits(values, (-5, 6), centred=False) == (-5, 6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2], Shading("viridis", 0, 2)),
        ([1, np.nan, 2], Shading("viridis", 0, 2)),
        ([-1, 0, np.nan, np.inf, 2], Shading(SIGNED, -2, 2)),
        ([0, 0], Shading("viridis", 0, 1)),
    ],
)
def test_activations_below_zero_get_a_scale_centred_on_zero(
    values: list[float], expected: Shading
) -> None:
    assert activation_shading(np.array(values, np.float32), "viridis") == expected


def test_the_8_bit_picture_of_a_map_that_says_nothing_is_black() -> None:
    how = Preprocessing(height=8, width=8, fit="stretch")
    evidence = np.array([[0.0, 4.0], [-3.0, 1.0]], np.float32)
    drawn = picture_on_photo(a_map(evidence), contrast_picture, 20, 30, how)
    assert drawn.shape == (20, 30)
    assert (drawn[4, 22], drawn[15, 7]) == (255, 0)
    same = a_map(np.full((2, 2), 2, np.float32))
    assert not picture_on_photo(same, contrast_picture, 20, 30, how).any()
