"""Cards: a round trip, and errors that name the file and the field."""

from __future__ import annotations

import copy
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from cnnviz import cards
from cnnviz.cards import ModelCard, read_card, write_card
from cnnviz.errors import CardError
from cnnviz.storage import card_path

CARD: dict[str, Any] = {
    "title": "Cats and dogs",
    "description": "Distinguishes cats from dogs.",
    "labels": ["cat", "dog"],
    "preprocessing": {
        "height": 224,
        "width": 160,
        "channels": 3,
        "fit": "crop",
        "crop_fraction": 0.875,
        "crop_at": (0.25, 1.0),
        "interpolation": "bicubic",
        "scaling": "tf",
    },
    "training": {
        "data": "25,000 photos",
        "split": "80% / 20%",
        "accuracy": [{"metric": "accuracy", "value": 0.98, "on": "the 20%"}],
        "calibration_error": {"metric": "calibration", "value": 0.01, "on": "the 20%"},
        "confusion": {"counts": [[2450, 50], [50, 2450]], "on": "the 20%"},
        "epochs": 8,
        "seconds": 612.5,
        "versions": {"keras": "3.15.1"},
    },
    "licence": "MIT",
    "source": "trained für cnnviz",
    "suggested_layers": {"filters": "conv", "activations": ["conv", "act"], "cam": "act"},
    "architecture": "LeNet-5",
    "output": "scores",
    "inferred": False,
}


def save(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    card = read_card(save(tmp_path / "a.json", CARD))
    assert card.model_dump() == CARD
    write_card(card, tmp_path / "b.json")
    assert read_card(tmp_path / "b.json") == card
    assert "trained für" in (tmp_path / "b.json").read_text(encoding="utf-8")


def test_what_may_be_left_out_has_plain_defaults() -> None:
    short = {name: CARD[name] for name in ("title", "description", "labels", "licence", "source")}
    short |= {
        "preprocessing": {"height": 28, "width": 28},
        "training": {"data": "digits", "split": "none"},
    }
    card = ModelCard.model_validate(short)
    assert card.preprocessing.model_dump() == {
        "height": 28,
        "width": 28,
        "channels": 3,
        "fit": "stretch",
        "crop_fraction": 1,
        "crop_at": (0.5, 0.5),
        "interpolation": "bilinear",
        "scaling": "none",
    }
    assert card.training.accuracy == []
    assert card.suggested_layers.cam is None
    assert not card.inferred


def test_a_card_cannot_be_changed_by_accident() -> None:
    card = ModelCard.model_validate(CARD)
    with pytest.raises(ValueError, match="frozen"):
        card.title = "Dogs and cats"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("model", "card"),
    [
        ("models/cat_dog.keras", "models/cat_dog.json"),
        ("a/b/old.h5", "a/b/old.json"),
        ("v1.2.keras", "v1.2.json"),
    ],
)
def test_a_card_is_beside_its_model(model: str, card: str) -> None:
    assert card_path(model) == Path(card)


MISSING = object()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", MISSING),
        ("labels", []),
        ("labels", ["cat", ""]),
        ("labels", ["cat", "crane", "crane"]),
        ("colour", "blue"),
        ("preprocessing.height", 0),
        ("preprocessing.height", 100_000),
        ("preprocessing.width", "wide"),
        ("preprocessing.channels", 2),
        ("output", 1),
        ("preprocessing.fit", "squash"),
        ("preprocessing.crop_fraction", 1.5),
        ("preprocessing.scaling", "imagenet"),
        ("preprocessing.zoom", 2),
        ("training.data", MISSING),
        ("training.accuracy.0.value", 98),
        ("training.accuracy.0.value", float("nan")),
        ("training.accuracy.0.on", ""),
        ("training.confusion", {"counts": [[1, 2]], "on": "photos"}),
        ("training.confusion", {"counts": [[1, 2], [3]], "on": "photos"}),
        ("training.confusion.counts", [[1, -2], [3, 4]]),
        ("training.confusion.counts", [[1, 0.5], [3, 4]]),
        ("training.confusion.on", MISSING),
        ("training.epochs", "many"),
        ("training.seconds", -1),
        ("training.seconds", float("inf")),
        ("training.versions", "new"),
        ("suggested_layers.activations", "conv"),
        ("licence", None),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, field: str, value: Any) -> None:
    data = copy.deepcopy(CARD)
    *way, last = field.split(".")
    part: Any = data
    for step in way:
        part = part[int(step)] if step.isdigit() else part[step]
    if value is MISSING:
        del part[last]
    else:
        part[last] = value
    with pytest.raises(CardError) as error:
        read_card(save(tmp_path / "cat_dog.json", data))
    assert str(error.value).startswith("The card cat_dog.json needs a correction.")
    assert f" {field}" in str(error.value)


def test_all_wrong_fields_are_named_at_once(tmp_path: Path) -> None:
    data = CARD | {"title": "", "labels": []}
    with pytest.raises(CardError, match=r"title: .*; labels: "):
        read_card(save(tmp_path / "a.json", data))


def test_a_confusion_matrix_has_a_row_for_each_label(tmp_path: Path) -> None:
    counts = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    training = CARD["training"] | {"confusion": {"counts": counts, "on": "photos"}}
    with pytest.raises(CardError, match="the confusion matrix has 3 rows for 2 labels"):
        read_card(save(tmp_path / "a.json", CARD | {"training": training}))


def test_a_label_that_appears_twice_is_named_in_the_error(tmp_path: Path) -> None:
    data = CARD | {"labels": ["Crane", "cat", "Crane"]}
    with pytest.raises(CardError, match="labels: every class needs.*'Crane' appears 2 times"):
        read_card(save(tmp_path / "a.json", data))


# Each number's field with the values at the ends of its range, and the nearest ones beyond.
BOUNDS: dict[str, tuple[list[Any], list[Any]]] = {
    "preprocessing.height": ([1, 4096], [0, 4097]),
    "preprocessing.width": ([1, 4096], [0, 4097]),
    "preprocessing.channels": ([1, 3, 4], [0, 2, 5]),
    "preprocessing.crop_fraction": ([5e-324, 1], [0, math.nextafter(1, 2)]),
    "training.accuracy.0.value": ([0, 1], [-5e-324, math.nextafter(1, 2)]),
    "training.confusion.counts.1.1": ([0, 2**63], [-1]),
    "training.seconds": ([0, 1.7e308, None], [-5e-324, math.inf]),
}


def with_value(field: str, value: Any) -> dict[str, Any]:
    """The card with another value in a field such as ``training.accuracy.0.value``."""
    data = copy.deepcopy(CARD)
    data["preprocessing"]["scaling"] = "unit"
    *path, last = [int(step) if step.isdigit() else step for step in field.split(".")]
    holder: Any = data
    for step in path:
        holder = holder[step]
    holder[last] = value
    return data


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, (accepted, _) in BOUNDS.items() for value in accepted],
)
def test_a_number_at_the_end_of_its_range_is_accepted(
    tmp_path: Path, field: str, value: Any
) -> None:
    data = with_value(field, value)
    assert read_card(save(tmp_path / "a.json", data)).model_dump() == data


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, (_, refused) in BOUNDS.items() for value in refused],
)
def test_a_number_beyond_the_end_of_its_range_is_refused(
    tmp_path: Path, field: str, value: Any
) -> None:
    with pytest.raises(CardError, match=f" {field}: "):
        read_card(save(tmp_path / "a.json", with_value(field, value)))


def test_one_letter_and_one_class_are_enough(tmp_path: Path) -> None:
    data = CARD | {"title": "x", "labels": ["y"], "output": None}
    data["training"] = CARD["training"] | {"confusion": None}
    assert read_card(save(tmp_path / "a.json", data)).model_dump() == data


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("scaling", ["torch", "caffe"])
def test_colour_scaling_of_other_channels_is_refused(
    tmp_path: Path, scaling: str, channels: int
) -> None:
    grey = CARD["preprocessing"] | {"channels": channels, "scaling": scaling}
    with pytest.raises(CardError, match=f"preprocessing: scaling '{scaling}' needs 3 channels"):
        read_card(save(tmp_path / "a.json", CARD | {"preprocessing": grey}))


@pytest.mark.parametrize("content", [b"", b"{", b"title: x", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_not_json_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.raises(CardError, match=r"broken\.json is not valid JSON"):
        read_card(tmp_path / "broken.json")


@pytest.mark.parametrize("data", [[], "text", 3, None])
def test_json_of_another_kind_is_refused(tmp_path: Path, data: Any) -> None:
    with pytest.raises(CardError, match=r"odd\.json needs a correction. the whole card:"):
        read_card(save(tmp_path / "odd.json", data))


def test_a_card_that_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"none\.json cannot be read: No such file"):
        read_card(tmp_path / "none.json")
    with pytest.raises(CardError, match="cannot be read"):
        read_card(tmp_path)


def test_a_card_that_is_a_pipe_or_has_no_end_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(CardError, match=r"pipe\.json cannot be read: it is no file"):
        read_card(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    with pytest.raises(CardError, match="it is no file"):
        read_card(tmp_path / "device.json")
    (tmp_path / "large.json").write_bytes(bytes((1 << 20) + 1))
    monkeypatch.setattr(cards, "MAX_CARD_BYTES", 1 << 20)
    with pytest.raises(CardError, match="it has more than 1 MB"):
        read_card(tmp_path / "large.json")
