"""The planted networks are as they say, and the benchmark's tables are made of them."""

from __future__ import annotations

import dataclasses
import functools
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from corpus import planted_networks
from corpus.planted import KINDS, planted_cases
from corpus.planted_case import PlantedCase, mistakes
from corpus.planted_patterns import ALIKE, Scene, glyphs

import cnnviz
from benchmarks.planted import Score, score_maps, summary, table
from cnnviz.attribution.methods import METHODS

TABLES = Path(__file__).resolve().parents[2] / "docs" / "tables" / "planted.md"

# The first network of each is built here; the benchmark checks all of every kind.
CHECKED = (
    "a gap",
    "two together",
    "either of two",
    "raises all logits",
    "weighed places",
    "light",
    "nested",
    "normalised",
    "one sigmoid",
    "crop and border",
)


@functools.cache
def photos_of(kind: str) -> list[PlantedCase]:
    """Two photos of the first network."""
    return list(islice(planted_cases([kind]), 2))


def first(kind: str) -> PlantedCase:
    return photos_of(kind)[0]


# --- Patterns -------------------------------------------------------------------------------


def test_a_glyph_is_silent_for_others_and_for_parts_of_its_own() -> None:
    detectors = glyphs(2, np.random.default_rng(3), 5)
    for shown, asked in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pattern, kernel = detectors[shown].pattern, detectors[asked].kernel
        for down in range(-4, 5):
            for right in range(-4, 5):
                picture = np.zeros((13, 13, 3))
                picture[4 + down : 9 + down, 4 + right : 9 + right] = pattern
                answer = np.sum(picture[4:9, 4:9] * kernel)
                if (shown, down, right) == (asked, 0, 0):
                    assert answer == pytest.approx(1)
                else:
                    assert answer < ALIKE


def test_light_that_rises_evenly_changes_no_answer() -> None:
    (detector,) = glyphs(1, np.random.default_rng(3), strength=0.5)
    y, x = np.mgrid[:7, :7]
    lit = detector.pattern + (0.3 + 0.05 * y - 0.02 * x)[..., None]
    assert np.sum(lit * detector.kernel) == pytest.approx(1)


def test_no_filter_reads_two_patterns_of_a_photo() -> None:
    rng = np.random.default_rng(0)
    scene = Scene(glyphs(1, rng), rng, 48, 64)
    masks = [scene.add(0) for _ in range(4)]
    for row in range(48 - 6):
        for column in range(64 - 6):
            seen = [mask[row : row + 7, column : column + 7].any() for mask in masks]
            assert sum(seen) <= 1


def test_where_there_is_no_room_nothing_is_placed() -> None:
    rng = np.random.default_rng(0)
    scene = Scene(glyphs(1, rng), rng, 20, 20)
    scene.add(0, (6, 6, 13, 13))
    with pytest.raises(ValueError, match="room for a pattern of 7 pixels"):
        scene.add(0)


# --- Cases ----------------------------------------------------------------------------------


def test_there_are_enough_kinds_networks_and_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planted_networks, "build", lambda *_: object())
    cases = list(planted_cases())
    photos_of: dict[object, set[bytes]] = {}
    for case in cases:
        photos_of.setdefault(case.network, set()).add(case.photo.tobytes())
        assert case.photo.shape == case.background.shape == (*case.truth.shape, 3)
        assert case.photo.dtype == case.background.dtype == np.uint8
        assert case.note.endswith(".")
        assert case.truth.any() or case.against is not None
        assert case.against is None or (
            case.against.any() and not (case.against & case.truth).any()
        )
    assert {case.kind for case in cases} == set(KINDS)
    assert len(KINDS) >= 15
    assert len(photos_of) >= 50
    assert {len(photos) for photos in photos_of.values()} == {3}


def test_a_kind_is_the_same_by_itself_and_other_for_another_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planted_networks, "build", lambda *_: object())
    both = [case for case in planted_cases(["wide", "light"]) if case.kind == "light"]
    alone, other = (list(planted_cases(["light"], seed)) for seed in (0, 1))
    assert all(np.array_equal(a.photo, b.photo) for a, b in zip(both, alone, strict=True))
    assert not any(np.array_equal(a.photo, b.photo) for a, b in zip(alone, other, strict=True))


@pytest.mark.parametrize("kind", CHECKED)
def test_the_evidence_is_where_it_was_planted(kind: str) -> None:
    for case in photos_of(kind):
        assert mistakes(case) == []


@pytest.mark.parametrize(("kind", "change"), [("two together", -4), ("either of two", 0)])
def test_both_patterns_are_needed_or_one_suffices(kind: str, change: float) -> None:
    case = first(kind)
    for placed in case.placed:
        one = np.where(placed.mask[..., None], case.background, case.photo)
        logits = [
            cnnviz.class_activation_map(case.network, photo, "A", method="hires-cam").score
            for photo in (case.photo, one)
        ]
        assert logits[1] - logits[0] == pytest.approx(change, abs=1e-3)


def test_what_raises_all_logits_changes_no_probability() -> None:
    case = first("raises all logits")
    alone = np.where(case.truth[..., None], case.photo, case.background)
    probabilities = [
        cnnviz.predict(case.network, photo).probabilities for photo in (case.photo, alone)
    ]
    np.testing.assert_allclose(*probabilities, atol=1e-5)


def test_what_was_not_planted_is_noticed() -> None:
    case = first("nested")
    moved = dataclasses.replace(case, truth=np.roll(case.truth, 20, axis=0))
    assert len(mistakes(moved)) == 2
    unsaid = dataclasses.replace(case, placed=case.placed[:1])
    assert mistakes(unsaid) == ["detector 1 answers where its pattern is not"]
    swapped = [dataclasses.replace(one, channel=1 - one.channel) for one in case.placed]
    assert len(mistakes(dataclasses.replace(case, placed=tuple(swapped)))) == 4


# --- Methods --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "method", "energy"),
    [
        ("raises all logits", "cam", 4 / 7),
        ("raises all logits", "contrastive-cam", 1),
        ("raises all logits", "hires-cam", 4 / 7),
        ("weighed places", "grad-cam", 1 / 2),
        ("weighed places", "hires-cam", 1),
        ("either of two", "hires-cam", np.nan),
        ("one sigmoid", "grad-cam", 1),
    ],
)
def test_the_energy_inside_is_what_the_weights_say(kind: str, method: str, energy: float) -> None:
    scores = {score.method: score for score in score_maps(first(kind))}
    assert scores[method].energy == pytest.approx(energy, abs=1e-4, nan_ok=True)


def test_a_method_that_does_not_fit_has_no_score() -> None:
    methods = {score.method for score in score_maps(first("weighed places"))}
    assert "grad-cam" in methods
    assert "cam" not in methods


def test_means_are_of_maps_that_say_something() -> None:
    nothing = float("nan")
    assert summary([]) == "–"
    assert summary([nothing, nothing]) == "empty"
    assert summary([0.5, 1.0]) == "75"
    assert summary([0.2, nothing, 0.4]) == "30 (1 of 3 empty)"


def test_a_table_has_a_row_for_each_kind() -> None:
    scores = [
        Score("b", "cam", 0.5, 1.0, 0.9),
        Score("a", "hires-cam", 1.0, 0.0, 0.8),
        Score("b", "cam", 0.25, 0.0, 0.7),
    ]
    columns = [None, *METHODS]
    rows = [dict(zip(columns, row, strict=True)) for row in table(scores, "energy")]
    assert [row[None] for row in rows] == ["b", "a"]
    assert [row["cam"] for row in rows] == ["38", "–"]
    assert rows[1]["hires-cam"] == "100"
    assert [row[1] for row in table(scores, "pointing")] == ["50", "–"]


def test_the_tables_have_every_kind_and_every_method() -> None:
    text = TABLES.read_text(encoding="utf-8")
    outdated = "run `python -m benchmarks.planted > docs/tables/planted.md`"
    assert text.count(f"| kind | {' | '.join(METHODS)} |") == 3, outdated
    for kind in KINDS:
        assert text.count(f"\n| {kind} |") == 4, outdated
