"""Exemplars with their pictures: what is in them, and files that hold them, whole and damaged."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.features import kept_galleries
from cnnviz.features.galleries import class_picture, make_gallery
from cnnviz.figures.exemplars import class_sheet, contact_sheet, mark_in
from cnnviz.photos.encoding import as_picture
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import (
    Box,
    ChannelExemplars,
    ClassActivationMap,
    ClassExemplar,
    ClassExemplars,
    ClassGallery,
    Exemplar,
    Exemplars,
    Gallery,
)
from cnnviz.ui.page_parts.exemplars.channels import markup

FINGERPRINT = "f0" * 32
LEFT, RIGHT = Box(0, 0, 20, 30), Box(20, 0, 40, 30)


def colours(name: str) -> Any:
    """A photo whose left half is red and whose right half is blue; "small" is green."""
    if name == "small":
        return as_picture(np.full((6, 9, 3), (0, 255, 0), np.uint8))
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 255
    return as_picture(pixels)


@pytest.fixture
def gallery() -> Gallery:
    both = Exemplar("in/<b>both</b>", 5.5, 1.0, LEFT, Box(5, 10, 10, 15))
    right = Exemplar("in/<b>both</b>", 1.25, 0.5, RIGHT, None)
    small = Exemplar("small", -2.0, -3.0, Box(0, 0, 9, 6), Box(0, 0, 9, 6))
    nowhere = Exemplar("small", 0.0, 0.0, None, None)
    channels = (
        ChannelExemplars(3, (both, small), (small,)),
        ChannelExemplars(7, (right, nowhere), (nowhere,)),
    )
    source = PhotoSource("photos in a/b", ("in/<b>both</b>", "small"), colours)
    return make_gallery(source, Exemplars("block/conv", 2, channels), map)


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def test_the_pictures_are_the_parts_of_the_photos(gallery: Gallery) -> None:
    assert gallery.source == "2 photos in a/b"
    assert {name: photo.size for name, photo in gallery.photos.items()} == {
        "in/<b>both</b>": (30, 40),
        "small": (6, 9),
    }
    # Each part once; a part that is all of its photo, or none of it, has the photo's picture.
    assert [part.box for part in gallery.parts] == [LEFT, RIGHT]
    three, seven = gallery.channel(3), gallery.channel(7)
    assert three is not None
    assert seven is not None
    assert gallery.channel(4) is None
    pictures = gallery.pictures(three) | gallery.pictures(seven)
    red, blue = (pixels_of(pictures["in/<b>both</b>", box]) for box in (LEFT, RIGHT))
    assert red.shape == blue.shape == (30, 20, 3)
    assert (red == (255, 0, 0)).all()
    assert (blue == (0, 0, 255)).all()
    assert (pixels_of(pictures["small", None]) == (0, 255, 0)).all()
    assert pixels_of(pictures["small", Box(0, 0, 9, 6)]).shape == (6, 9, 3)


def test_a_cell_is_marked_where_the_part_is_larger() -> None:
    one = Exemplar("photo", 1, 1, LEFT, Box(5, 10, 10, 15))
    assert mark_in(one, LEFT) == (0.25, 1 / 3, 0.5, 0.5)
    assert mark_in(one, Box(8, 12, 18, 22)) == (0, 0, 0.2, 0.3)
    assert mark_in(one, Box(5, 10, 11, 16)) is None
    assert mark_in(one, RIGHT) is None


def test_the_contact_sheet_has_a_row_a_channel(gallery: Gallery) -> None:
    sheet = contact_sheet(gallery, "A network")
    rows = np.flatnonzero((sheet == (255, 0, 0)).all(axis=2).any(axis=1))
    blue = np.flatnonzero((sheet == (0, 0, 255)).all(axis=2).any(axis=1))
    assert len(rows)
    assert len(blue)
    assert rows.max() < blue.min()


def test_names_of_photos_are_no_markup(gallery: Gallery) -> None:
    channel = gallery.channel(3)
    assert channel is not None
    text = markup(gallery, channel, "most")
    assert "<b>both" not in text
    assert text.count("<li>") == 2
    assert ">5.5<" in text
    assert ">−2<" in text
    assert "left:25.00%;top:33.33%;width:25.00%;height:16.67%" in text
    assert "40 × 30 pixels" in text


def test_what_is_kept_is_found_again(gallery: Gallery, tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    path = kept_galleries.keep(model, FINGERPRINT, gallery)
    assert path.parent == tmp_path
    found = kept_galleries.find(model, FINGERPRINT, "block/conv")
    assert (found.galleries, found.problems) == ((gallery,), ())
    assert not kept_galleries.find(model, FINGERPRINT, "block").galleries
    before = kept_galleries.identities(model, FINGERPRINT, "block/conv")
    assert before
    assert before[0][0] == str(path)
    # The same source takes the place of the former.
    assert kept_galleries.keep(model, FINGERPRINT, gallery) == path
    assert kept_galleries.identities(model, FINGERPRINT, "block/conv") != before


@pytest.mark.parametrize("why", ["shipped", "not writable"])
def test_what_cannot_be_beside_the_model_is_in_the_cache(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "models" / "model.keras"
    if why == "shipped":
        monkeypatch.setattr(kept_galleries, "shipped", lambda: {"model.keras": FINGERPRINT})
    else:
        # In place of the folder.
        model.parent.write_text("a file")
    path = kept_galleries.keep(model, FINGERPRINT, gallery)
    assert path.parent == tmp_path / "cache"
    assert kept_galleries.find(model, FINGERPRINT, "block/conv").galleries == (gallery,)
    assert not kept_galleries.find(model, "ab" * 32, "block/conv").galleries
    path.parent.chmod(0o777)
    (problem,) = kept_galleries.find(model, FINGERPRINT, "block/conv").problems
    assert "Other users may write" in problem


def _set(*keys: Any, to: Any) -> Any:
    def change(content: Any) -> Any:
        place = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to
        return content

    return change


FIRST = ("gallery", "found", "channels", 0, "most", 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("fingerprint", to="00" * 32), "the model has changed"),
        (_set("format", to=2), "another version"),
        (_set("gallery", "found", "layer", to="other"), "damaged"),
        (_set(*FIRST, "value", to=float("nan")), "damaged"),
        (_set(*FIRST, "value", to="5; much"), "damaged"),
        (_set(*FIRST, "photo", to="elsewhere"), "damaged"),
        (_set(*FIRST, "box", "right", to=41), "damaged"),
        (_set(*FIRST, "box", "right", to=19), "damaged"),
        (_set(*FIRST, "cell", "left", to=-1), "damaged"),
        (_set("gallery", "photos", "small", "size", to=[0, 9]), "damaged"),
        (
            _set("gallery", "photos", "small", "picture", to=base64.b64encode(b"<svg>").decode()),
            "damaged",
        ),
        (_set("gallery", "parts", 0, "picture", to="no base64!"), "damaged"),
        (lambda content: [content] * 2, "damaged"),
    ],
)
def test_a_file_that_does_not_fit_is_named_and_not_shown(
    gallery: Gallery, tmp_path: Path, change: Any, reason: str
) -> None:
    model = tmp_path / "model.keras"
    path = kept_galleries.keep(model, FINGERPRINT, gallery)
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    found = kept_galleries.find(model, FINGERPRINT, "block/conv")
    assert found.galleries == ()
    (problem,) = found.problems
    assert path.name in problem
    assert reason in problem


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"[" * 10_000, b'{"format": 1}'])
def test_bytes_of_any_kind_are_refused(gallery: Gallery, tmp_path: Path, data: bytes) -> None:
    model = tmp_path / "model.keras"
    kept_galleries.keep(model, FINGERPRINT, gallery).write_bytes(data)
    (problem,) = kept_galleries.find(model, FINGERPRINT, "block/conv").problems
    assert "damaged" in problem


def test_a_file_may_not_be_too_large(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.keras"
    kept_galleries.keep(model, FINGERPRINT, gallery)
    monkeypatch.setattr(kept_galleries, "_MAX_BYTES", 100)
    (problem,) = kept_galleries.find(model, FINGERPRINT, "block/conv").problems
    assert "more than" in problem
    with pytest.raises(DataError, match="2 channels .* fewer of them"):
        kept_galleries.keep(model, FINGERPRINT, gallery)


@pytest.fixture
def of_classes() -> ClassGallery:
    """Two photos of a class, one of them an error; the map has evidence in its left half."""
    steps = Preprocessing(height=30, width=40, fit="stretch", interpolation="nearest")
    values = np.array([[2.0, 0.0]], np.float32)
    cam = ClassActivationMap(values, "cam", "conv", "cat", 1.0, 0.0)
    both = ClassExemplar("both", 0.9, "cat", 2.0)
    small = ClassExemplar("small", 0.6, "dog", 0.4)
    found = ClassExemplars("cat", 2, (both, small), (small, both), (small,))
    none = ClassExemplars("dog", 0, (), (), ())
    pictures = (
        class_picture("cat", "both", colours("both"), cam, steps),
        class_picture("cat", "small", colours("small"), None, steps),
    )
    return ClassGallery("2 photos in a/b", True, (found, none), pictures)


def test_the_pictures_of_a_class_are_the_photo_and_its_map(of_classes: ClassGallery) -> None:
    both, small = of_classes.pictures
    # Compressed with loss.
    np.testing.assert_allclose(pixels_of(both.picture)[5, 5], (255, 0, 0), atol=3)
    assert both.under_map is not None
    over = pixels_of(both.under_map).astype(int)
    # Orange where there is evidence, grey where there is none.
    assert over[15, 3, 0] > over[15, 3, 2] + 60
    assert np.ptp(over[15, 38]) < 30
    assert small.under_map is None
    assert of_classes.classes[0].photos == ("both", "small")
    sheet = class_sheet(of_classes, "A network")
    # The photo without a map is drawn as it is, in all three rows.
    assert (sheet == (0, 255, 0)).all(axis=2).any(axis=1).sum() == 3 * 6


def test_classes_that_are_kept_are_found_again(of_classes: ClassGallery, tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    assert kept_galleries.identities(model, FINGERPRINT, None) == ()
    path = kept_galleries.keep_classes(model, FINGERPRINT, of_classes)
    found = kept_galleries.find_classes(model, FINGERPRINT)
    assert (found.galleries, found.problems) == ((of_classes,), ())
    assert [name for name, _ in kept_galleries.identities(model, FINGERPRINT, None)] == [str(path)]
    # It is no gallery of a layer, and that is none of classes.
    assert not kept_galleries.find(model, FINGERPRINT, "conv").problems


CLASS = ("gallery", "classes", 0, "confident", 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("fingerprint", to="00" * 32), "the model has changed"),
        (_set(*CLASS, "photo", to="elsewhere"), "damaged"),
        (_set(*CLASS, "probability", to=1.5), "damaged"),
        (_set(*CLASS, "probability", to=float("nan")), "damaged"),
        (_set("gallery", "pictures", 0, "under_map", to=base64.b64encode(b"<svg>").decode()), "d"),
        (_set("gallery", "pictures", to=[]), "damaged"),
    ],
)
def test_classes_that_do_not_fit_are_named_and_not_shown(
    of_classes: ClassGallery, tmp_path: Path, change: Any, reason: str
) -> None:
    model = tmp_path / "model.keras"
    path = kept_galleries.keep_classes(model, FINGERPRINT, of_classes)
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    found = kept_galleries.find_classes(model, FINGERPRINT)
    assert found.galleries == ()
    (problem,) = found.problems
    assert reason in problem
