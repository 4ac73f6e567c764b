"""The photos that a person collects on the page, class by class; they are in the session alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz.errors import CnnvizError, DataError
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.photos.decoding import EXTENSIONS
from cnnviz.training.data.collecting import CollectedClass, Collection, read_photo
from cnnviz.ui import uploaders
from cnnviz.ui.components import collect
from cnnviz.ui.text import plain
from cnnviz.ui.web import uploads

_COLLECTION = "collection"
_TRAINED = "collection in training"
# The files that were read, whose uploader may not have been emptied yet.
_READ = "collected files"
# By the number of a class what could not be done, in sentences; 0 is for all classes.
_PROBLEMS = "problems of the collection"
_ALL = 0
_COLUMNS = 2
# Sentences that are shown of a class.
_MOST_SHOWN = 5


def collection() -> Collection:
    """What this session has collected."""
    return st.session_state.setdefault(_COLLECTION, Collection())


def note_start() -> None:
    """Notes that a training of what is collected now has started."""
    st.session_state[_TRAINED] = collection()


def is_trained_on() -> bool:
    """Whether a training of just these photos was started."""
    return st.session_state.get(_TRAINED) == collection()


def draw() -> None:
    """Draws the classes and their photos, and takes what a person adds."""
    st.caption(
        "These photos are in your session alone until you press Start. From then on everybody who "
        "uses this server can watch the training and see some of them, until the server stops or "
        "others have trained after you."
    )
    classes = collection().classes
    for first in range(0, len(classes), _COLUMNS):
        row = classes[first : first + _COLUMNS]
        for column, one in zip(st.columns(_COLUMNS, gap="large"), row, strict=False):
            with column:
                _draw_class(one)
    with st.container(horizontal=True):
        st.button(
            "Add a class", icon=":material/add:", on_click=_change, args=(Collection.add_class,)
        )
        if collection().count:
            st.button("Forget these photos", icon=":material/delete:", on_click=_forget)
    _draw_problems(_ALL)
    for sentence in collection().missing():
        st.caption(plain(sentence))


def _draw_class(one: CollectedClass) -> None:
    field, key = f"class name {one.number}", f"photos of class {one.number}"
    st.session_state.setdefault(field, one.name)
    # Side by side on a phone, too.
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Class", key=field, on_change=_rename, args=(one.number,))
        st.button(
            "Remove",
            key=f"remove class {one.number}",
            on_click=_remove,
            args=(one.number,),
            help="Removes this class and its photos.",
        )
    files = uploaders.files_uploader(
        f"Photos of {plain(one.name)}",
        key=key,
        type=list(EXTENSIONS),
        max_upload_size=MAX_BYTES >> 20,
        label_visibility="collapsed",
    )
    if files:
        _read(one.number, files)
        # Empty, it takes the next photos, and these files are freed.
        uploaders.renew(key)
        st.rerun()
    view = f"collected {one.number}"
    collect.show(one, view, functools.partial(_handle, one.number, view))
    _draw_problems(one.number)


def _read(number: int, files: list[UploadedFile]) -> None:
    """Adds new files to a class; one that a run before this has read is passed over."""
    read: set[str] = st.session_state.setdefault(_READ, set())
    new = [file for file in files if file.file_id not in read]
    if len(new) == len(files):
        _problems().pop(number, None)
    progress = st.progress(0.0)
    for index, file in enumerate(new):
        progress.progress(index / len(new), f"Reading photo {index + 1} of {len(new)}")
        _add(number, file.name, file.getvalue())
        read.add(file.file_id)


def _handle(number: int, view: str) -> None:
    event = collect.take(view)
    if event is None:
        return
    if event.action == "remove":
        _change(lambda before: before.remove_photo(number, event.photo))
        return
    _problems().pop(number, None)
    for index, picture in enumerate(event.pictures, start=1):
        _add(number, f"Photo {index} of the camera", picture)


def _add(number: int, name: str, data: bytes) -> None:
    """Adds a photo to a class, or notes why not."""
    try:
        photo = read_photo(data)
        after = collection().add_photo(number, photo)
        refusal = uploads.refusal_of(after.size - collection().size)
        if refusal is not None:
            raise DataError(refusal)
    except CnnvizError as error:
        _note(number, f"{name}: {error}")
    else:
        _put(after)


def _rename(number: int) -> None:
    field = f"class name {number}"
    _change(lambda before: before.rename(number, st.session_state[field]), number)
    (name,) = [one.name for one in collection().classes if one.number == number]
    st.session_state[field] = name


def _remove(number: int) -> None:
    """Removes a class; the next one may get its number."""
    _change(lambda before: before.remove_class(number), number)
    st.session_state.pop(f"class name {number}", None)
    uploaders.renew(f"photos of class {number}")


def _change(change: Callable[[Collection], Collection], number: int = _ALL) -> None:
    """Changes the collection, or notes why that cannot be."""
    for known in (number, _ALL):
        _problems().pop(known, None)
    try:
        _put(change(collection()))
    except CnnvizError as error:
        _note(number, str(error))


def _put(after: Collection) -> None:
    st.session_state[_COLLECTION] = after
    uploads.keep(after.size)


def _forget() -> None:
    """Removes the photos, what was said of them, and the names of their classes."""
    for one in collection().classes:
        uploaders.renew(f"photos of class {one.number}")
        st.session_state.pop(f"class name {one.number}", None)
    for name in (_PROBLEMS, _READ, _TRAINED):
        st.session_state.pop(name, None)
    _put(Collection())


def _problems() -> dict[int, list[str]]:
    return st.session_state.setdefault(_PROBLEMS, {})


def _note(number: int, sentence: str) -> None:
    _problems().setdefault(number, []).append(sentence)


def _draw_problems(number: int) -> None:
    sentences = _problems().get(number, [])
    if sentences:
        st.warning("  \n".join(map(plain, _shown(sentences))), icon=":material/info:")


def _shown(sentences: list[str]) -> Iterable[str]:
    yield from sentences[:_MOST_SHOWN]
    if len(sentences) > _MOST_SHOWN:
        yield f"And {len(sentences) - _MOST_SHOWN} more."
