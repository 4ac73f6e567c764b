"""The photos that a network takes for a class: surest, least sure, and surest though wrong."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.errors import CnnvizError, LayerError
from cnnviz.features import kept_galleries
from cnnviz.features.galleries import class_picture
from cnnviz.features.kept_galleries import KeptClassGalleries
from cnnviz.figures.shading import data_uri
from cnnviz.numerals import percent
from cnnviz.photos.encoding import FEW_PIXELS
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import (
    ClassExemplar,
    ClassExemplars,
    ClassGallery,
    ClassPicture,
    Exemplars,
)
from cnnviz.serving.model_files import ModelFile
from cnnviz.storage import FileIdentity
from cnnviz.ui import ask, long_questions
from cnnviz.ui.components import picture_tiles
from cnnviz.ui.components.picture_tiles import Group, PictureTiles, Tile
from cnnviz.ui.page_parts.exemplars import photos
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Small pictures that are kept, of some 10 kB each.
_PICTURES = 512
_ACROSS, _BESIDE = 9, 3


def show(scene: Scene, label: str) -> None:
    """Draws the section: the photos of a class, each with its map, and a choice of the photos."""
    st.subheader(f"Which photos does it take for {plain(_quoted(label))}?", anchor=False)
    found = _find(scene, label)
    if found is None:
        return
    gallery, of_class, source = found
    # Of few photos the same ones are at both ends.
    unsure = tuple(one for one in of_class.doubtful if one not in of_class.confident)
    groups = {
        "Surest": of_class.confident,
        "Least sure": unsure,
        "Surest, but wrong": of_class.wrong,
    }
    _tiles(scene, gallery, groups, label, source, key="photos of a class")
    st.caption(plain(_said(gallery, of_class, can_open=source is not None)))


def show_best(scene: Scene, label: str) -> None:
    """Draws those photos of a class of which the network is surest, in a narrow column."""
    st.subheader("It is surest of these", anchor=False)
    found = _find(scene, label)
    if found is None:
        return
    gallery, of_class, source = found
    groups = {"": of_class.confident}
    _tiles(scene, gallery, groups, label, source, key="surest photos", maps=False)
    st.caption(
        plain(
            f"The photos that it takes for {_quoted(label)} with the highest probability, of "
            f"{gallery.source}."
        )
    )


def _find(
    scene: Scene, label: str
) -> tuple[ClassGallery, ClassExemplars, PhotoSource | None] | None:
    """Where a class was looked for, what was found, and the photos; None, and why, if nothing."""
    gallery, source = _gallery_of(scene, label)
    if gallery is None:
        return None
    of_class = _of(gallery, label)
    if of_class is None or not of_class.count:
        st.caption(plain(f"It takes none of {gallery.source} for {_quoted(label)}."))
        return None
    return gallery, of_class, source


def _said(gallery: ClassGallery, of_class: ClassExemplars, *, can_open: bool) -> str:
    shown = len(of_class.confident)
    text = (
        f"It takes {of_class.count:,} of {gallery.source} for {_quoted(of_class.label)}; at most "
        f"{max(shown, _ACROSS)} of each kind are here. The map below a photo is in orange where it "
        "speaks for the class, and blue against it, on a scale of its own."
    )
    if not gallery.truths:
        text += " What is true is not known of these photos, so no errors are listed."
    elif not of_class.wrong:
        text += " None of them is an error."
    if can_open:
        return f"{text} Click on one to make it the photo of all pages."
    return f"{text} Only small pictures of these photos are kept, so they cannot be opened."


def _quoted(label: str) -> str:
    return f"“{label}”"


def _of(gallery: ClassGallery, label: str) -> ClassExemplars | None:
    return next((one for one in gallery.classes if one.label == label), None)


def _tiles(
    scene: Scene,
    gallery: ClassGallery,
    groups: dict[str, tuple[ClassExemplar, ...]],
    label: str,
    source: PhotoSource | None,
    *,
    key: str,
    maps: bool = True,
) -> None:
    """The photos side by side; a click on one opens it, where its source is known."""
    pictures = {one.photo: one for one in gallery.pictures if one.label == label}
    drawn = [
        Group(heading, tuple(_tile(pictures[one.photo], one, label, maps) for one in exemplars))
        for heading, exemplars in groups.items()
        if exemplars
    ]
    names = [one.photo for exemplars in groups.values() for one in exemplars]
    tiles = PictureTiles(
        f"{scene.model.name} {gallery.source} {label}",
        drawn,
        columns=_ACROSS if maps else _BESIDE,
        opens=source is not None,
    )

    def opened(index: int) -> None:
        if source is not None:
            photos.open_photo(scene, source, names[index])

    picture_tiles.show(tiles, key, opened)


def _tile(picture: ClassPicture, one: ClassExemplar, label: str, maps: bool) -> Tile:
    small = [data_uri(picture.picture, "webp")]
    if maps and picture.under_map is not None:
        small.append(data_uri(picture.under_map, "webp"))
    name = one.photo.rpartition("/")[2]
    truth = f"is {one.truth}" if one.truth not in {"", label} else ""
    few = max(picture.size) <= FEW_PIXELS
    return Tile(tuple(small), percent(one.probability), truth or name, one.photo, pixels=few)


def _gallery_of(scene: Scene, label: str) -> tuple[ClassGallery | None, PhotoSource | None]:
    """The exemplars of a class, and where their photos can be opened; None as long as none are."""
    kept = _kept(scene)
    offered = photos.searchable(scene)
    chosen = photos.pick(list(kept), offered, f"class exemplars of {scene.model.name}")
    if chosen is None:
        return None, None
    if chosen in kept:
        return kept[chosen], None
    source = offered[chosen]
    try:
        return _searched(scene, source, label), source
    except CnnvizError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return None, None


def _searched(scene: Scene, source: PhotoSource, label: str) -> ClassGallery | None:
    search = photos.search(scene, source)
    found = long_questions.search(scene, search)
    if found is None or isinstance(found, Exemplars):
        return None
    of_class = next(one for one in found if one.label == label)
    with st.spinner("Looking for the evidence in the photos …"):
        pictures = tuple(
            _picture(scene.model, _card_key(scene), search.key, label, name, scene, source)
            for name in of_class.photos
        )
    text = f"{search.count:,} {source.title}"
    return ClassGallery(text, bool(search.source.classes), (of_class,), pictures)


def _card_key(scene: Scene) -> str:
    return "" if scene.card is None else scene.card.model_dump_json()


@st.cache_data(show_spinner=False, max_entries=_PICTURES)
def _picture(
    model: ModelFile,
    card: str,
    key: str,
    label: str,
    name: str,
    _scene: Scene,
    _source: PhotoSource,
) -> ClassPicture:
    photo = _source.open(name)
    own = _scene.outline.card.preprocessing
    steps = _source.steps(own)
    # Its pixels are those of these steps; a network takes only views of its own.
    seen = NetworkView(picture_view(photo, steps), own)
    try:
        (cam,) = ask.explain_view(_scene.model, _scene.card, seen, (label,)).maps
    except LayerError:
        cam = None
    return class_picture(label, name, photo, cam, steps)


def _kept(scene: Scene) -> dict[str, ClassGallery]:
    """The exemplars of classes that are kept with the model, by what they were chosen from."""
    model = scene.model
    if not photos.keeps_files(model):
        return {}
    path, fingerprint = Path(model.path), photos.fingerprint(model)
    found = _read(path, fingerprint, kept_galleries.identities(path, fingerprint, None))
    for problem in found.problems:
        st.warning(plain(problem), icon=":material/warning:")
    return {one.source: one for one in found.galleries}


@st.cache_resource(show_spinner=False, max_entries=8)
def _read(
    model: Path, fingerprint: str, files: tuple[tuple[str, FileIdentity], ...]
) -> KeptClassGalleries:
    return kept_galleries.find_classes(model, fingerprint)
