"""Photos collected one by one: names, limits, and that a network gets the same pixels."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.encoding import encode_jpeg, encode_png
from cnnviz.training.data import collecting
from cnnviz.training.data.collecting import Collection, read_photo
from cnnviz.training.data.photos import prepare_photos


def picture(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def filled(*counts: int) -> Collection:
    """A collection with so many photos in its classes."""
    found = Collection()
    for number, count in enumerate(counts, start=1):
        for seed in range(count):
            found = found.add_photo(number, read_photo(encode_png(picture(100 * number + seed))))
    return found


def names(found: Collection) -> list[str]:
    return [one.name for one in found.classes]


# --- Photos -------------------------------------------------------------------------------------


def test_a_photo_is_kept_as_its_largest_square() -> None:
    pixels = picture(1)
    kept = np.asarray(Image.open(io.BytesIO(read_photo(encode_png(pixels)).file)))
    np.testing.assert_array_equal(kept, pixels[:, 10:50])


def test_a_large_photo_is_kept_small() -> None:
    photo = read_photo(encode_jpeg(picture(2, 900, 1200)))
    kept = Image.open(io.BytesIO(photo.file))
    assert kept.size == (collecting.SIDE, collecting.SIDE) == (224, 224)
    # Noise is what a PNG packs worst.
    assert len(photo.file) <= 224 * 224 * 3 + 1000
    assert max(Image.open(io.BytesIO(photo.thumbnail)).size) <= 96


def test_a_file_that_is_no_photo_is_refused_as_everywhere() -> None:
    with pytest.raises(PhotoError, match="cannot be read as a photo"):
        read_photo(b"no photo")


def test_a_network_gets_the_pixels_that_it_gets_from_a_zip(tmp_path: Path) -> None:
    files = {
        f"{label}/{index}.jpg": encode_jpeg(picture(10 * number + index, 300, 410))
        for number, label in enumerate(("cat", "dog"))
        for index in range(3)
    }
    found = Collection().rename(1, "cat").rename(2, "dog")
    with zipfile.ZipFile(tmp_path / "direct.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            found = found.add_photo(1 if name.startswith("cat") else 2, read_photo(data))
    (tmp_path / "collected.zip").write_bytes(found.as_zip())
    direct, collected = (
        prepare_photos(tmp_path / f"{name}.zip", tmp_path / name, processes=1)
        for name in ("direct", "collected")
    )
    assert direct.labels == collected.labels == ("cat", "dog")
    for one, other in zip(direct.arrays(), collected.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)
    # The names of the person's files are not in it.
    assert collected.rows["cat"][0].file == "cat/001.png"
    assert collected.left_out == {}


def test_the_same_photos_are_the_same_zip() -> None:
    assert filled(2, 2).as_zip() == filled(2, 2).as_zip()


def test_a_photo_is_in_one_class_and_once() -> None:
    found = filled(1, 0)
    (photo,) = found.classes[0].photos
    with pytest.raises(DataError, match="This photo is in this class already"):
        found.add_photo(1, photo)
    with pytest.raises(DataError, match="is in the class “Class 1” already"):
        found.add_photo(2, photo)
    assert found.remove_photo(1, photo.key).add_photo(2, photo).count == 1


def test_photos_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST", 2)
    full = filled(1, 1)
    with pytest.raises(DataError, match="at most 2 photos here. Train on more with a zip"):
        full.add_photo(1, read_photo(encode_png(picture(9))))
    one, two = (one.photos[0] for one in full.classes)
    assert full.size == sum(len(file) for p in (one, two) for file in (p.file, p.thumbnail))


# --- Classes ------------------------------------------------------------------------------------


def test_classes_are_added_renamed_and_removed() -> None:
    found = filled(2, 3).rename(2, " Class 3 ")
    assert names(found) == ["Class 1", "Class 3"]
    # The new one has a name that no other has.
    found = found.add_class()
    assert names(found) == ["Class 1", "Class 3", "Class 4"]
    found = found.remove_class(1)
    assert [(one.name, len(one.photos)) for one in found.classes] == [
        ("Class 3", 3),
        ("Class 4", 0),
    ]
    assert found.rename(2, "class 3").classes[0].name == "class 3"


def test_classes_have_a_limit() -> None:
    found = Collection()
    for _ in range(collecting.MOST_CLASSES - 2):
        found = found.add_class()
    assert len(set(names(found))) == collecting.MOST_CLASSES
    with pytest.raises(DataError, match="at most 12 classes"):
        found.add_class()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        ("x" * 41, "at most 40 characters"),
        ("a\x00b", "all of which can be read"),
        ("a\u202eb", "all of which can be read"),
        ("a/b", "no / "),
        ("..", "does not begin with a full stop"),
        (".cat", "does not begin with a full stop"),
        ("C:", "no / "),
        ("a\\b", "no / "),
        ("__MACOSX", "does not begin"),
        ("CLASS 1", "There is a class “CLASS 1” already"),
    ],
)
def test_names_that_a_class_cannot_have(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Collection().rename(2, name)


@pytest.mark.parametrize("name", ["Öl", "été", "猫", "train", "salt & pepper", "100%", "x" * 40])
def test_names_that_it_can_have_are_those_of_the_data(name: str, tmp_path: Path) -> None:
    found = filled(2, 2).rename(2, name)
    (tmp_path / "a.zip").write_bytes(found.as_zip())
    prepared = prepare_photos(tmp_path / "a.zip", tmp_path / "data", size=16, processes=1)
    assert set(prepared.labels) == {"Class 1", name}


def test_names_of_splits_are_no_classes_beside_each_other() -> None:
    found = Collection().rename(1, "train")
    with pytest.raises(DataError, match="“test” beside “train” looks like a part of one data set"):
        found.rename(2, "test")


def test_one_name_in_two_encodings_is_one_name() -> None:
    found = Collection().rename(1, "e\u0301te")
    assert names(found)[0] == "\u00e9te"
    with pytest.raises(DataError, match="already"):
        found.rename(2, "\u00e9te")


# --- What is missing ----------------------------------------------------------------------------


def test_what_is_missing_is_said_with_its_number() -> None:
    none, one = filled(0, 1).missing()
    assert none.startswith("“Class 1” has no photos, and needs at least 2")
    assert none.endswith("Add 2 or more.")
    assert one.startswith("“Class 2” has 1 photo, and needs at least 2")
    assert one.endswith("Add 1 or more.")
    assert filled(2, 2).missing() == []
    assert "at least two. Add a class." in filled(2, 2).remove_class(2).missing()[0]
