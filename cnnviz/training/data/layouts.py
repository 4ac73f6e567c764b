"""How the folders of photos are to be read: which are classes, and which are splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import PurePosixPath

from cnnviz.errors import DataError
from cnnviz.training.data.manifest import Split

_SPLITS: dict[str, Split] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
# What may follow the name of a split, as in training_set and test1.
_ENDING = re.compile(r"[ _-]?(set|data|images|[0-9]+)$")
# Names that a sentence lists.
_LISTED = 4


def is_split_name(name: str) -> bool:
    """Whether a folder of that name may hold the photos of a split."""
    return _split_of(name) is not None


def _split_of(name: str) -> Split | None:
    """The split that a folder's name stands for; None where it stands for none."""
    return _SPLITS.get(_ENDING.sub("", name.lower()))


@dataclass(frozen=True)
class Listing:
    """The photos of each class, as folders have them.

    Attributes:
        classes: for each class its photos, in order: paths inside the folder or zip, with slashes.
        splits: the split of each photo, where the folders give one; else empty.
        notes: what was assumed, in sentences.
        left_out: for each file that is not read the reason.
    """

    classes: dict[str, list[str]]
    splits: dict[str, Split] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class Folder:
    """A folder: the photos directly in it, the folders in it, and how many photos it has in all."""

    photos: list[str] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    count: int = 0

    def with_photos(self) -> dict[str, Folder]:
        """The folders in it that have photos in them or below them."""
        return {name: folder for name, folder in self.folders.items() if folder.count}

    def add_photo(self, name: str) -> None:
        """Adds a photo by its path below this folder."""
        folder = self
        folder.count += 1
        for part in PurePosixPath(name).parent.parts:
            folder = folder.folders.setdefault(part, Folder())
            folder.count += 1
        folder.photos.append(name)

    def add_folder(self, name: str) -> None:
        """Adds a folder, which may be empty, by its path below this one."""
        folder = self
        for part in PurePosixPath(name).parts:
            folder = folder.folders.setdefault(part, Folder())


# The folders of each class and split.
Grid = dict[tuple[str, Split], list[Folder]]


def sort_photos(source: str, photos: Iterable[str], folders: Iterable[str]) -> Listing:
    """Sorts photos into classes by their folders.

    A class is a folder, with everything below it. Folders around all classes are passed over, and
    so are those around the classes of one split, as in ``test_set/test_set/cats``. Where the
    folders train, validation and test hold a folder for each class, or each class holds
    these three, the photos have that split.

    Args:
        source: what the photos are in, for messages.
        photos: their paths, with slashes.
        folders: paths of further folders, which may be empty.

    Raises:
        DataError: folders have the names of splits and are none, or it cannot be decided which
            folders are the classes.
    """
    top, around = Folder(), [source]
    for name in folders:
        top.add_folder(name)
    for name in sorted(set(photos)):
        top.add_photo(name)
    while len(top.folders) == 1:
        name, only = next(iter(top.folders.items()))
        if not only.with_photos():
            break
        top = only
        around.append(name)
    place = "/".join(around)
    grid = _given_splits(place, top)
    if grid is None:
        classes = {label: [folder] for label, folder in top.folders.items()}
    else:
        classes = {label: [] for label, _ in grid}
        for (label, _), of_split in grid.items():
            classes[label] += of_split
    _check_classes(around, classes)
    return Listing(
        {label: sorted(_photos_of(classes[label])) for label in sorted(classes)},
        {name: split for (_, split), both in (grid or {}).items() for name in _photos_of(both)},
        ("The split is that of the folders.",) if grid else (),
    )


def _photos_of(folders: Iterable[Folder]) -> list[str]:
    """The photos in folders and below them."""
    photos, waiting = [], list(folders)
    while waiting:
        folder = waiting.pop()
        photos += folder.photos
        waiting += folder.folders.values()
    return photos


def _unwrap(folder: Folder) -> Folder:
    """The folder inside folders that hold one folder and no photos.

    A last folder without folders in it may be a class and is not entered, unless its name is that
    of a split.
    """
    while len(inner := folder.with_photos()) == 1 and not folder.photos:
        ((name, only),) = inner.items()
        if not only.with_photos() and not is_split_name(name):
            break
        folder = only
    return folder


def _given_splits(place: str, top: Folder) -> Grid | None:
    """The folders of each class and split; None where the folders give no split."""
    folders = top.with_photos()
    below = {name: _unwrap(folder).with_photos() for name, folder in folders.items()}
    named = {name: split for name in folders if (split := _split_of(name))}
    if len(named) > 1 and len(named) == len(folders):
        return _by_split(place, below, named)
    take = _folder_to_take(below, named)
    if take is not None:
        others = _listed(set(top.folders) - set(named))
        raise DataError(
            f"{place}/{take} has the name of a split and holds the folders {_listed(below[take])}, "
            f"but {place} also holds {others}. Take {place}/{take} alone, or move {others} out. "
            f"Splits are named train, validation and test; if {take} is a class, give it another "
            "name."
        )
    return _by_class(place, folders)


def _folder_to_take(
    below: Mapping[str, Mapping[str, Folder]], named: Mapping[str, Split]
) -> str | None:
    """The folder named as a split that has classes in it, one for training before others."""
    with_classes = [name for name in named if len(below[name]) > 1]
    return min(with_classes, key=lambda name: (named[name] != "training", name), default=None)


def _by_split(
    place: str, below: Mapping[str, Mapping[str, Folder]], named: Mapping[str, Split]
) -> Grid:
    """The classes in folders that are named as splits."""
    take = _folder_to_take(below, named)
    for name, classes in below.items():
        if not classes:
            raise DataError(
                f"{place}/{name} has the name of a split, and no folder for each class in it. "
                f"Sort its photos into folders such as {name}/cat and {name}/dog, or move it out"
                + (f", or take {place}/{take} alone." if take else ".")
            )
    grid: Grid = {}
    for name, classes in below.items():
        for label, folder in classes.items():
            grid.setdefault((label, named[name]), []).append(folder)
    _check_grid(place, grid)
    return grid


def _by_class(place: str, folders: Mapping[str, Folder]) -> Grid | None:
    """The splits in the folder of each class; None where not all folders in them are splits."""
    below = {label: folder.with_photos() for label, folder in folders.items()}
    named = {name: _split_of(name) for inner in below.values() for name in inner}
    if len(named) < 2 or any(folder.photos for folder in folders.values()):
        return None
    grid: Grid = {}
    for label, inner in below.items():
        for name, folder in inner.items():
            split = named[name]
            if split is None:
                return None
            grid.setdefault((label, split), []).append(folder)
    _check_grid(place, grid)
    return grid


def _check_grid(place: str, grid: Grid) -> None:
    """Raises ``DataError`` where a split lacks a class, or where nothing is for training."""
    labels, splits = ({key[index] for key in grid} for index in (0, 1))
    if "training" not in splits:
        raise DataError(
            f"{place} holds photos for {_listed(splits)} alone, and none for training: a folder "
            "train is missing."
        )
    for split in sorted(splits):
        missing = {label for label in labels if (label, split) not in grid}
        if missing:
            raise DataError(
                f"In {place} the photos for {split} lack the class {_listed(missing)}, which other "
                "splits have. Each split needs the same classes."
            )


def _check_classes(around: list[str], classes: Mapping[str, list[Folder]]) -> None:
    """Raises ``DataError`` where the folders in the classes could be the classes as well.

    Args:
        around: the source and the folders around all classes.
        classes: the folders of each class.
    """
    below = {
        label: {name for folder in of_class for name in _unwrap(folder).with_photos()}
        for label, of_class in classes.items()
    }
    below = {label: names for label, names in below.items() if len(names) > 1}
    for one, other in combinations(below, 2):
        shared = below[one] & below[other]
        if len(shared) > 1:
            break
    else:
        return
    with_shared = [label for label, names in below.items() if shared <= names]
    outer, inner = _listed(with_shared), _listed(shared)
    take = _path_of(around, min(with_shared), classes[min(with_shared)])
    raise DataError(
        f"In {'/'.join(around)} each of the folders {outer} holds the folders {inner}. Which are "
        f"the classes? If it is {inner}: take {take} alone, or name the folders {outer} "
        f"train, validation and test. If it is {outer}: put their photos into them, without "
        "folders in between."
    )


def _path_of(around: list[str], label: str, of_class: Iterable[Folder]) -> str:
    """The path of a class; where it has a folder in each split, of that with the most photos."""
    photo = _photos_of([max(of_class, key=lambda folder: folder.count)])[0]
    parts = PurePosixPath(photo).parts
    return "/".join([around[0], *parts[: parts.index(label, len(around) - 1) + 1]])


def _listed(names: Iterable[str]) -> str:
    """Names as a part of a sentence: "a, b and c"."""
    *first, last = sorted(names)
    if len(first) >= _LISTED:
        first, last = first[: _LISTED - 1], f"{len(first) - _LISTED + 2} more"
    return f"{', '.join(first)} and {last}" if first else last
