"""Batches for training: every photo once an epoch, and reproducible by the seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpus import classes

from cnnviz import open_photo
from cnnviz.photos.preprocessing import network_input
from cnnviz.training import pipelines
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.recipes import RECIPES, Augmentation, Recipe

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]

STILL = Augmentation()
TINY = RECIPES["tiny-vgg"]


def recipe(augmentation: Augmentation = STILL, **changes: Any) -> Recipe:
    return dataclasses.replace(TINY, augmentation=augmentation, **changes)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """13 red pictures and 8 green ones, of which 16 are for training and 5 for validation."""
    folder = tmp_path_factory.mktemp("colours")
    return prepare_pixels(classes.write_pixels(folder / "a.npz", [13, 8]), folder / "data")


@pytest.fixture(scope="module")
def colours_scaled(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The same with values of 0 to 1."""
    folder = tmp_path_factory.mktemp("scaled")
    path = classes.write_pixels(folder / "a.npz", [13, 8])
    return prepare_pixels(path, folder / "data", scale=True)


def epoch_of(*arguments: Any, **named: Any) -> list[Batch]:
    """The batches of one epoch: as ``epochs_of``."""
    (batches,) = epochs_of(1, *arguments, **named)
    return batches


def epochs_of(
    count: int,
    prepared: Prepared,
    used: Recipe,
    seed: int = 0,
    epoch: int = 1,
    batch: int = 5,
    weights: tuple[float, float] = (1, 1),
) -> list[list[Batch]]:
    """The batches of each of so many epochs of one data set, which is compiled once."""
    endless = pipelines.training_batches(prepared, used, list(weights), batch, seed, epoch)
    steps = -(-prepared.count("training") // batch)
    batches: list[Any] = [tuple(np.asarray(x) for x in one) for one in endless.take(count * steps)]
    return [batches[start : start + steps] for start in range(0, count * steps, steps)]


def same(one: list[Any], other: list[Any]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


def photos_of(batches: list[Any]) -> list[bytes]:
    return [photo.tobytes() for photos, *_ in batches for photo in photos]


# --- Training -------------------------------------------------------------------------------


def test_seed_and_epoch_decide_everything(colours: Prepared) -> None:
    changed = recipe(Augmentation(flip=True, turn=15, shift=0.1, zoom=(0.7, 1), contrast=0.2))
    first, second = epochs_of(2, colours, changed, seed=3, epoch=2)
    assert same(first, epoch_of(colours, changed, seed=3, epoch=2))
    assert not same(first, second)
    assert not same(first, epoch_of(colours, changed, seed=4, epoch=2))


def test_an_epoch_is_the_same_in_the_middle_of_a_training_and_at_its_start(
    colours: Prepared,
) -> None:
    changed = recipe(Augmentation(turn=15, brightness=0.1))
    _, *later = epochs_of(3, colours, changed, seed=7)
    for number, batches in enumerate(later, start=2):
        assert same(batches, epoch_of(colours, changed, seed=7, epoch=number))


def test_the_photos_that_are_shown_are_those_of_the_batch(colours: Prepared) -> None:
    changed = recipe(Augmentation(flip=True, turn=15, zoom=(0.7, 1), contrast=0.5, invert=0.5))
    show = pipelines.shown_photos(colours, changed, 5, 3, 3)
    batches = epoch_of(colours, changed, seed=3, epoch=2)
    assert [len(photos) for photos, *_ in batches] == [5, 5, 5, 1]
    for step, (photos, labels, _) in enumerate(batches, start=1):
        shown, names = show(2, step)
        assert shown.shape == (min(3, len(photos)), 16, 16, 3)
        # Whole numbers: half a step of 0 to 255, and a rounding.
        np.testing.assert_allclose(shown, photos[:3] * 255, atol=0.51)
        assert names == [colours.labels[label] for label in labels[:3]]


def test_every_photo_occurs_once_an_epoch_in_another_order(colours: Prepared) -> None:
    arrays = colours.arrays()
    expected = [
        (arrays[label][row] / np.float32(255), label) for label, row in colours.indices("training")
    ]
    expected_pairs = sorted((photo.tobytes(), int(label)) for photo, label in expected)
    orders = []
    for batches in epochs_of(2, colours, recipe()):
        assert [len(photos) for photos, *_ in batches] == [5, 5, 5, 1]
        # Changes of nothing may cost a rounding.
        batches_of_photos = [
            np.rint(photos * 255).astype(np.float32) / np.float32(255) for photos, *_ in batches
        ]
        labels = [int(label) for _, batch_labels, _ in batches for label in batch_labels]
        names = [photo.tobytes() for photos in batches_of_photos for photo in photos]
        assert sorted(zip(names, labels, strict=True)) == expected_pairs
        orders.append(names)
    assert orders[0] != orders[1]


def test_two_epochs_change_a_photo_in_different_ways(colours: Prepared) -> None:
    changed = recipe(Augmentation(brightness=0.3))
    both = [set(photos_of(batches)) for batches in epochs_of(2, colours, changed)]
    assert not both[0] & both[1]


def test_the_weights_are_those_of_the_classes_over_the_batch(colours: Prepared) -> None:
    for _, labels, shares in epoch_of(colours, recipe(), weights=(0.5, 2)):
        expected = np.where(labels == 0, 0.5, 2) / len(labels)
        np.testing.assert_allclose(shares, expected, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["none", "unit"])
def test_scaled_data_gives_the_same_batches(
    colours: Prepared, colours_scaled: Prepared, scaling: Any
) -> None:
    used = recipe(Augmentation(turn=10, contrast=0.2), scaling=scaling)
    batches = epoch_of(colours, used)
    assert same(batches, epoch_of(colours_scaled, used))
    most = max(photos.max() for photos, *_ in batches)
    assert most > 100 if scaling == "none" else 0.5 < most <= 1


# --- Measured -------------------------------------------------------------------------------


def test_measured_photos_occur_once_in_order_and_unchanged(
    colours: Prepared, colours_scaled: Prepared
) -> None:
    changed = recipe(Augmentation(flip=True, turn=90, invert=1))
    indices = colours.indices("validation")
    arrays = colours.arrays()
    expected = np.stack([arrays[label][row] for label, row in indices])
    for data in (colours, colours_scaled):
        batches = list(pipelines.measured_batches(data, changed, "validation", 2))
        assert [len(labels) for _, labels in batches] == [2, 2, 1]
        batches_of_photos = np.concatenate([photos for photos, _ in batches])
        np.testing.assert_array_equal(batches_of_photos, expected / np.float32(255))
        labels = np.concatenate([labels for _, labels in batches])
        np.testing.assert_array_equal(labels, indices[:, 0])


@pytest.mark.parametrize("scaling", ["none", "unit"])
@pytest.mark.parametrize("scale", [False, True])
def test_what_is_measured_is_what_the_app_gives_the_network(
    tmp_path: Path, scaling: Any, scale: bool
) -> None:
    folder = classes.write_photos(tmp_path / "photos", {"red": 5, "green": 5}, 40)
    data = prepare_photos(folder, tmp_path / "data", size=17, scale=scale, processes=1)
    used = recipe(scaling=scaling)
    ((photos, labels),) = pipelines.measured_batches(data, used, "training", 64)
    card = data.preprocessing.model_copy(update={"scaling": scaling})
    for photo, (label, row) in zip(photos, data.indices("training"), strict=True):
        file = data.rows[data.labels[label]][row].file
        np.testing.assert_array_equal(photo, network_input(open_photo(folder / file), card)[0])
    assert set(labels.numpy()) == {0, 1}


# --- Augmentation --------------------------------------------------------------------------------


def changed(pixels: Any, augmentation: Augmentation, seed: int = 0) -> np.ndarray:
    """Photos (N, h, w) of one channel, changed."""
    photos = tf.constant(np.asarray(pixels, np.float32)[..., None])
    return np.asarray(pipelines.augment(photos, augmentation, tf.constant([5, seed], tf.int64)))[
        ..., 0
    ]


RAMP = np.arange(20, dtype=np.float32).reshape(4, 5) * 12


def test_no_change_leaves_the_photo() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (6, 9, 7, 3)).astype(np.float32)
    augmented = pipelines.augment(tf.constant(noise), STILL, tf.constant([1, 2], tf.int64))
    np.testing.assert_allclose(augmented, noise, atol=1e-4)


def test_a_flip_mirrors_about_half_of_the_photos() -> None:
    augmented = changed(np.stack([RAMP] * 200), Augmentation(flip=True))
    mirrored = [np.allclose(photo, RAMP[:, ::-1], atol=1e-4) for photo in augmented]
    same = [np.allclose(photo, RAMP, atol=1e-4) for photo in augmented]
    assert sum(mirrored) + sum(same) == 200
    assert 70 < sum(mirrored) < 130


def test_inverting_turns_the_values_around() -> None:
    np.testing.assert_allclose(changed([RAMP], Augmentation(invert=1))[0], 255 - RAMP, atol=1e-4)
    augmented = changed(np.stack([RAMP] * 300), Augmentation(invert=1 / 3))
    inverted = sum(np.allclose(photo, 255 - RAMP, atol=1e-4) for photo in augmented)
    assert 70 < inverted < 130


def test_a_shift_moves_by_a_share_of_the_sides() -> None:
    # One lit pixel spreads over four, and their centre of mass is its new position.
    dot = np.zeros((11, 21), np.float32)
    dot[5, 10] = 200
    augmented = changed(np.stack([dot] * 300), Augmentation(shift=0.2, border="constant"))
    np.testing.assert_allclose(augmented.sum(axis=(1, 2)), 200, rtol=1e-4)
    rows, columns = np.mgrid[:11, :21]
    down = (augmented * rows).sum(axis=(1, 2)) / 200 - 5
    across = (augmented * columns).sum(axis=(1, 2)) / 200 - 10
    for moved, most in ((down, 0.2 * 11), (across, 0.2 * 21)):
        assert 0.9 * most < moved.max() <= most + 1e-3
        assert -most - 1e-3 <= moved.min() < -0.9 * most
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.2


def test_a_turn_goes_around_the_middle() -> None:
    dot = np.zeros((21, 21), np.float32)
    dot[10, 18] = 200
    augmented = changed(np.stack([dot] * 300), Augmentation(turn=30, border="constant"))
    rows, columns = np.mgrid[:21, :21] - 10
    weight = augmented.sum(axis=(1, 2))
    down = (augmented * rows).sum(axis=(1, 2)) / weight
    across = (augmented * columns).sum(axis=(1, 2)) / weight
    np.testing.assert_allclose(np.hypot(down, across), 8, atol=0.3)
    angles = np.degrees(np.arctan2(down, across))
    assert 25 < angles.max() < 32
    assert -32 < angles.min() < -25


def test_a_zoom_keeps_a_part_of_the_sides() -> None:
    ramp = np.tile(np.arange(21, dtype=np.float32) * 10, (21, 1))
    augmented = changed(ramp[None], Augmentation(zoom=(0.5, 0.5)))[0]
    # Half of the side around the middle, which has 100.
    np.testing.assert_allclose(augmented[10], 100 + (np.arange(21) - 10) * 5, atol=1e-2)


@pytest.mark.parametrize("border", ["reflect", "constant"])
def test_all_moves_at_once_are_one_projective_transform(border: Any) -> None:
    augmentation = Augmentation(flip=True, turn=40, shift=0.3, zoom=(0.6, 1.7), border=border)
    photos = np.random.default_rng(2).uniform(0, 255, (40, 23, 31, 3)).astype(np.float32)
    seed = tf.constant([9, 4], tf.int64)
    draws = tf.random.stateless_uniform([8, 40], seed, -1, 1).numpy().astype(float)
    matrices = []
    for flip, turn, across, down, zoom in draws[:5].T:
        angle = np.radians(40 * turn)
        turned = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        scale = 1.15 + 0.55 * zoom
        linear = scale * np.array(turned) @ np.diag([-1 if flip < 0 else 1, 1])
        middle = np.array([15, 11])
        to = middle - linear @ middle + [0.3 * 31 * across, 0.3 * 23 * down]
        matrices.append([*linear[0], to[0], *linear[1], to[1], 0, 0])
    expected = tf.raw_ops.ImageProjectiveTransformV3(
        images=photos,
        transforms=tf.constant(matrices, tf.float32),
        output_shape=[23, 31],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=border.upper(),
    )
    augmented = pipelines.augment(tf.constant(photos), augmentation, seed)
    np.testing.assert_allclose(augmented, expected, atol=0.02)


def test_outside_is_the_mirror_image_or_black() -> None:
    white = np.full((1, 9, 9), 200, np.float32)
    assert changed(white, Augmentation(zoom=(2, 2), border="constant"))[0, 0, 0] == 0
    np.testing.assert_allclose(changed(white, Augmentation(zoom=(2, 2)))[0], 200, atol=1e-3)


def test_contrast_and_brightness_by_hand() -> None:
    flat = np.stack([np.full((4, 4), 100, np.float32)] * 300)
    brighter = changed(flat, Augmentation(brightness=0.2))
    steps = brighter[:, 0, 0] - 100
    assert 45 < steps.max() <= 51
    assert -51 <= steps.min() < -45
    np.testing.assert_allclose(brighter - 100, steps[:, None, None] * np.ones((4, 4)), atol=1e-4)
    two = np.stack([np.array([[80, 120], [120, 80]], np.float32)] * 300)
    augmented = changed(two, Augmentation(contrast=0.5))
    np.testing.assert_allclose(augmented.mean(axis=(1, 2)), 100, atol=1e-3)
    spread = augmented[:, 0, 1] - augmented[:, 0, 0]
    assert 20 - 1e-3 <= spread.min() < 23
    assert 57 < spread.max() <= 60 + 1e-3


def test_values_stay_between_0_and_255() -> None:
    two = np.stack([np.array([[0, 255], [255, 0]], np.float32)] * 50)
    augmented = changed(two, Augmentation(contrast=1, brightness=0.5, invert=0.5))
    assert augmented.min() == 0
    assert augmented.max() == 255
