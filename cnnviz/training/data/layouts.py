"""How the folders of photos are to be read: which are classes, and which are splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
# Names that a sentence lists.
_LISTED = 4


def is_split_name(name: str) -> bool:
    """Whether a folder of that name may hold the photos of a split."""
    return name.lower() in _SPLITS


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

    A class is a folder, with everything below it. Folders around all classes are passed over.
    Where the folders train, validation and test hold a folder for each class, or each class holds
    these three, the photos have that split.

    Args:
        source: what the photos are in, for messages.
        photos: their paths, with slashes.
        folders: paths of further folders, which may be empty.

    Raises:
        DataError: folders have the names of splits and are none, or it cannot be told which
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
    _check_classes(place, classes)
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


def _given_splits(place: str, top: Folder) -> Grid | None:
    """The folders of each class and split; None where the folders give no split."""
    folders = top.with_photos()
    below = {name: folder.with_photos() for name, folder in folders.items()}
    named = [name for name in folders if is_split_name(name)]
    if len(named) > 1:
        if len(named) == len(folders):
            return _by_split(place, below)
        classes = {frozenset(below[name]) for name in named}
        if len(classes) == 1 and len(classes.pop()) > 1:
            others = _listed(set(folders) - set(named))
            raise DataError(
                f"{place} holds the splits {_listed(named)}, and {others} beside them, which would "
                f"be a class. Move {others} out."
            )
    return _by_class(place, folders, below)


def _by_split(place: str, below: Mapping[str, Mapping[str, Folder]]) -> Grid:
    """The classes in folders that are named as splits."""
    for name, classes in below.items():
        if not classes:
            raise DataError(
                f"{place}/{name} has the name of a split, and no folder for each class in it. "
                f"Sort its photos into folders such as {name}/cat and {name}/dog, or move it out."
            )
    grid: Grid = {}
    for name, classes in below.items():
        for label, folder in classes.items():
            grid.setdefault((label, _SPLITS[name.lower()]), []).append(folder)
    _check_grid(place, grid)
    return grid


def _by_class(
    place: str, folders: Mapping[str, Folder], below: Mapping[str, Mapping[str, Folder]]
) -> Grid | None:
    """The splits in the folder of each class; None where not all folders in them are splits."""
    names = {name for inner in below.values() for name in inner}
    is_split = bool(names) and all(is_split_name(name) for name in names)
    if not is_split or len(names) < 2 or any(folder.photos for folder in folders.values()):
        return None
    grid: Grid = {}
    for label, inner in below.items():
        for name, folder in inner.items():
            grid.setdefault((label, _SPLITS[name.lower()]), []).append(folder)
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


def _check_classes(place: str, classes: Mapping[str, list[Folder]]) -> None:
    """Raises ``DataError`` where the folders in the classes could be the classes as well."""
    level = {
        label: of_class
        for label, of_class in classes.items()
        if any(folder.count for folder in of_class)
    }
    below = _same_folders(level)
    while len(below) == 1:
        # A folder such as "images" in each.
        (name,) = below
        level = {label: [each.folders[name] for each in level[label]] for label in level}
        below = _same_folders(level)
    if len(level) < 2 or not below:
        return
    outer, inner = _listed(level), _listed(below)
    raise DataError(
        f"{place} holds no photos itself, only the folders {outer}, and each of them holds "
        f"{inner}. Which are the classes? If it is {inner}: take {place}/{min(level)} alone, "
        f"or name the folders {outer} train, validation and test. If it is {outer}: put their "
        "photos into them, without folders in between."
    )


def _same_folders(level: Mapping[str, list[Folder]]) -> frozenset[str]:
    """The names of the folders in each of these; empty where they differ, or photos are beside."""
    folders = [folder for of_class in level.values() for folder in of_class]
    names = {frozenset(folder.with_photos()) for folder in folders}
    if len(names) != 1 or any(folder.photos for folder in folders):
        return frozenset()
    return names.pop()


def _listed(names: Iterable[str]) -> str:
    """Names as a part of a sentence: "a, b and c"."""
    *first, last = sorted(names)
    if len(first) >= _LISTED:
        first, last = first[: _LISTED - 1], f"{len(first) - _LISTED + 2} more"
    return f"{', '.join(first)} and {last}" if first else last
