"""Which folders are classes and which are splits, and the names in zips that Windows made."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from corpus import classes

from cnnviz.errors import DataError
from cnnviz.training.data.layouts import sort_photos
from cnnviz.training.data.manifest import Row, in_several_splits, read_prepared
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.sources import list_photos


def inside(*folders: str) -> list[str]:
    """Two photos in each folder."""
    return [f"{folder}/{number}.jpg" for folder in folders for number in (1, 2)]


def grid(outer: Sequence[str], inner: Sequence[str]) -> list[str]:
    return inside(*(f"{one}/{other}" for one in outer for other in inner))


PETS = ("cats", "dogs")


# --- Splits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photos", "splits"),
    [
        (grid(["train", "validation", "test"], PETS), {"training", "validation", "test"}),
        (grid(["TRAIN", "Val"], PETS), {"training", "validation"}),
        (grid(["Training", "testing"], PETS), {"training", "test"}),
        (grid(["train", "val", "valid"], PETS), {"training", "validation"}),
        (grid(["all/data/train", "all/data/val"], PETS), {"training", "validation"}),
        ([*grid(["d/train", "d/val"], PETS), "d/chart.png"], {"training", "validation"}),
        (grid(PETS, ["train", "valid"]), {"training", "validation"}),
        (
            grid(["training_set/training_set", "test_set/test_set"], PETS),
            {"training", "test"},
        ),
        (grid(["Train-Images", "val/images", "test1"], PETS), {"training", "validation", "test"}),
        (grid(["train"], PETS), set()),
    ],
)
def test_folders_that_are_named_as_splits_are_no_classes(
    photos: list[str], splits: set[str]
) -> None:
    listing = sort_photos("x", photos, ())
    assert tuple(listing.classes) == PETS
    assert set(listing.splits.values()) == splits
    names = {"training": "train", "validation": "val", "test": "test"}
    for name, split in listing.splits.items():
        assert names[split] in name.lower()
    for label, of_class in listing.classes.items():
        assert of_class == sorted(name for name in photos if f"/{label}/" in f"/{name}")


@pytest.mark.parametrize(
    "photos",
    [
        inside("car", "plane", "train"),
        inside("cats/siamese", "cats/other", "dogs/husky"),
        grid(PETS, ["images"]),
        [*inside("cats/indoors", "cats/outdoors", "dogs/indoors"), "dogs/1.jpg"],
        inside("cats/a/deep/er", "cats/a/deep/est", "cats/b", "dogs"),
        grid(PETS, ["test"]),
    ],
)
def test_other_folders_in_a_class_and_a_class_named_train_are_allowed(photos: list[str]) -> None:
    listing = sort_photos("x", photos, ())
    assert listing.splits == {}
    assert set(listing.classes) == {name.split("/")[0] for name in photos}
    assert sum(map(len, listing.classes.values())) == len(photos)


@pytest.mark.parametrize(
    ("photos", "message"),
    [
        (
            grid(["fold1", "fold2"], PETS),
            "the folders fold1 and fold2 holds the folders cats and dogs.*take x/fold1 alone",
        ),
        (grid(["b/a", "b/c"], ["m", "n"]), "^In x/b each of the folders.*take x/b/a alone"),
        (grid(["f1/images", "f2/pictures"], PETS), "f1 and f2 holds the folders cats and dogs"),
        (
            [*grid(["lernen", "pruefen"], PETS), "lernen/loose.jpg"],
            "folders lernen and pruefen holds the folders cats and dogs.*take x/lernen alone",
        ),
        (
            [*grid(["a", "b"], PETS), *inside("a/owls", "b/cows", "other")],
            "folders a and b holds the folders cats and dogs.*take x/a alone",
        ),
        (grid(["train"], PETS) + inside("test1"), "x/test1 has.*no folder.*take x/train alone"),
        (
            grid(["train"], PETS) + inside("test/test"),
            "x/test has.*no folder for each class.*take x/train alone",
        ),
        (
            grid(["train"], PETS) + grid(["holdout"], [*PETS, "birds"]),
            "x/train has the name of a split and holds.*x also holds holdout. Take x/train alone",
        ),
        (
            grid(["training"], PETS) + inside("eval/cats"),
            "holds the folders cats and dogs, but x also holds eval. Take x/training alone",
        ),
        (grid(["train"], PETS) + inside("val/cats"), "for validation lack the class dogs"),
        (grid(["f1/train", "f1/val", "f2/train", "f2/val"], PETS), "folders f1 and f2.*x/f1 alone"),
        (
            grid(["train/a", "train/b", "val/a", "val/b"], PETS),
            "a and b holds.*take x/train/a alone",
        ),
        (grid(["train"], PETS) + inside("test"), "x/test has the name of a split, and no folder"),
        (
            grid(["train", "val"], PETS) + inside("new"),
            "x also holds new. Take x/train alone, or move new out",
        ),
        (grid(["train", "val"], PETS) + inside("train/owls"), "for validation lack the class owls"),
        (grid(["val", "test"], PETS), "none for training: a folder train is missing"),
        (grid(["a", "b"], "12345"), "holds the folders 1, 2, 3 and 2 more"),
    ],
)
def test_what_cannot_be_decided_is_refused_with_the_folder(photos: list[str], message: str) -> None:
    with pytest.raises(DataError) as refused:
        sort_photos("x", photos, ())
    assert re.search(message, str(refused.value)), refused.value


def test_very_deep_folders_are_no_obstacle() -> None:
    listing = sort_photos("x", ["a/" * 30_000 + f"{label}/1.png" for label in PETS], ())
    assert [len(names) for names in listing.classes.values()] == [1, 1]


@pytest.mark.parametrize("packed", [False, True])
def test_the_given_split_is_the_one_of_the_manifest(tmp_path: Path, packed: bool) -> None:
    source = tmp_path / "photos"
    for number, split in enumerate(("train", "validation", "test")):
        classes.write_photos(source / split, {"red": 3 - number, "green": 3}, 9)
    # The same photo for training and for the test.
    copied = (source / "train" / "red" / "000.png").read_bytes()
    (source / "test" / "red" / "000.png").write_bytes(copied)
    if packed:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in source.rglob("*.png"):
                archive.write(file, f"dataset/{file.relative_to(source)}")
        source = path
    prepared = prepare_photos(source, tmp_path / "data", size=8, processes=1)
    assert read_prepared(prepared.folder) == prepared
    assert prepared.given_split
    assert prepared.labels == ("green", "red")
    counts = {split: prepared.count(split) for split in ("training", "validation", "test")}
    assert counts == {"training": 6, "validation": 5, "test": 4}
    for rows in prepared.rows.values():
        for row in rows:
            names = {"training": "train", "validation": "validation", "test": "test"}
            assert f"/{names[row.split]}/" in f"/{row.file}"
    assert "The split is that of the folders." in prepared.notes
    assert "among the training photos too, such as" in prepared.notes[-1]


def test_a_given_test_leaves_the_validation_to_the_hash(tmp_path: Path) -> None:
    for split in ("train", "test"):
        classes.write_photos(tmp_path / "photos" / split, {"red": 5, "green": 5}, 9)
    prepared = prepare_photos(tmp_path / "photos", tmp_path / "data", size=8, processes=1)
    assert not prepared.given_split
    for rows in prepared.rows.values():
        splits = [(row.file.split("/")[0], row.split) for row in rows]
        assert splits.count(("test", "test")) == 5
        assert splits.count(("train", "validation")) == 1
        assert splits.count(("train", "training")) == 4


def test_a_class_in_a_given_split_may_be_a_link(tmp_path: Path) -> None:
    source = classes.write_photos(tmp_path / "photos" / "train", {"red": 2, "green": 2}).parent
    classes.write_photos(tmp_path / "elsewhere", {"red": 2, "green": 2})
    (source / "val").mkdir()
    for label in ("red", "green"):
        (source / "val" / label).symlink_to(tmp_path / "elsewhere" / label)
    listing = list_photos(source)
    assert {label: len(names) for label, names in listing.classes.items()} == {"red": 4, "green": 4}


def test_a_validation_photo_among_the_training_photos_is_found() -> None:
    rows = {"a": [Row("1", "x", 1, 1), Row("2", "x", 1, 1, "test"), Row("3", "y", 1, 1, "test")]}
    assert in_several_splits(rows) == ["2"]


# --- Names in zips --------------------------------------------------------------------------


def windows_zip(path: Path, names: Sequence[bytes], extra: Sequence[bytes] = ()) -> Path:
    """A zip of files with these very bytes as names, without the flag for UTF-8."""
    fill = [b"%c" % (65 + number) * len(name) for number, name in enumerate(names)]
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(fill):
            member = zipfile.ZipInfo(name.decode())
            member.create_system = 0
            member.extra = extra[number] if extra else b""
            archive.writestr(member, b"content %d" % number)
    data = path.read_bytes()
    for placeholder, name in zip(fill, names, strict=True):
        assert data.count(placeholder) == 2
        data = data.replace(placeholder, name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("codec", "labels"),
    [
        ("gbk", ["猫", "狗"]),
        ("gbk", ["汽车", "飞机", "轮船"]),
        ("cp866", ["кошки", "собаки"]),
        ("cp866", ["Птицы", "Рыбы"]),
        ("cp1251", ["кот", "собаки"]),
        ("cp932", ["猫", "犬"]),
        # The second byte of the first letter is that of a backslash.
        ("cp932", ["表", "裏"]),
        ("cp932", ["ネコ", "いぬ"]),
        ("cp949", ["고양이", "개"]),
        ("cp950", ["貓", "狗"]),
        ("cp437", ["Vögel", "Hunde"]),
        ("cp850", ["bjørn", "kat"]),
        ("cp1252", ["œuf", "été"]),
    ],
)
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_names_in_the_code_pages_of_windows_are_readable(
    tmp_path: Path, codec: str, labels: list[str], separator: str
) -> None:
    names = [f"{label}{separator}{label}.jpg" for label in labels]
    path = windows_zip(tmp_path / "a.zip", [name.encode(codec) for name in names])
    listing = list_photos(path)
    expected = {label: [f"{label}/{label}.jpg"] for label in sorted(labels)}
    assert listing.classes == expected
    (note,) = listing.notes
    assert "The names in a.zip are not in Unicode; they were read as" in note


def test_a_wrong_guess_is_told(tmp_path: Path) -> None:
    # These bytes are as good in GBK.
    path = windows_zip(tmp_path / "a.zip", [f"{bird}/1.jpg".encode("cp950") for bird in "鳥魚"])
    listing = list_photos(path)
    assert set(listing.classes) == {"尘", "辰"}
    assert (
        "read as GBK (simplified Chinese), such as 尘/1.jpg. If that is wrong" in listing.notes[0]
    )


def test_names_in_utf_8_need_no_guess(tmp_path: Path) -> None:
    names = [f"{label}/1.jpg".encode() for label in ("größe", "猫")]
    assert list_photos(windows_zip(tmp_path / "a.zip", names)).notes == ()
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in names:
            archive.writestr(name.decode(), b"")
    for file in ("a.zip", "b.zip"):
        listing = list_photos(tmp_path / file)
        assert (set(listing.classes), listing.notes) == ({"größe", "猫"}, ())


def unicode_path(name: str, header: bytes) -> bytes:
    """Info-ZIP's extra field for a name in Unicode, after another field."""
    content = struct.pack("<BL", 1, zlib.crc32(header)) + name.encode()
    return (
        struct.pack("<HH4s", 0x9999, 4, b"xxxx")
        + struct.pack("<HH", 0x7075, len(content))
        + content
    )


def test_the_unicode_path_of_info_zip_counts(tmp_path: Path) -> None:
    headers = [b"??/1.jpg", b"dog/1.jpg", b"old/1.jpg"]
    extra = [
        unicode_path("猫\\1.jpg", headers[0]),
        unicode_path("狗/1.jpg", headers[1]),
        # Of another name: the member was renamed since.
        unicode_path("新/1.jpg", b"new/1.jpg"),
    ]
    path = windows_zip(tmp_path / "a.zip", headers, extra)
    assert set(list_photos(path).classes) == {"猫", "狗", "old"}
    assert list_photos(path).notes == ()


def test_backslashes_do_not_lead_out(tmp_path: Path) -> None:
    names = [
        *(f"set\\{label}\\{n}.png" for label in ("cat", "dog") for n in (1, 2)),
        "..\\cat\\3.png", "\\cat\\4.png", "C:\\cat\\5.png", "set\\cat\\..\\..\\6.png",
    ]  # fmt: skip
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("set\\cat\\", b"")
        for number, name in enumerate(names):
            archive.writestr(name, classes_png(number))
    prepared = prepare_photos(path, tmp_path / "data", size=8, processes=1)
    files = {label: [row.file for row in rows] for label, rows in prepared.rows.items()}
    assert files == {
        label: [f"set/{label}/1.png", f"set/{label}/2.png"] for label in ("cat", "dog")
    }
    outside = {"../cat/3.png", "/cat/4.png", "C:/cat/5.png", "set/cat/../../6.png"}
    assert set(prepared.left_out) == outside
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "data"]


def classes_png(number: int) -> bytes:
    from cnnviz.photos.encoding import encode_png

    return encode_png(np.full((9, 9, 3), number * 20, np.uint8))


def test_a_zip_of_lzma_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for label in ("cat", "dog"):
            for number in (1, 2):
                archive.writestr(f"{label}/{number}.png", classes_png(number))
    with pytest.raises(DataError, match="'cat' has no photos.*4, such as cat/1.png.*LZMA.*Deflate"):
        prepare_photos(path, tmp_path / "data", size=8, processes=1)
