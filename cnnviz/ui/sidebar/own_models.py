"""People's own models: uploaded, opened in a confined process, offered to their session alone."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from cnnviz.errors import CnnvizError, RefusedModelError
from cnnviz.serving import temporary_folders, workers
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import read_settings
from cnnviz.storage import replace_file
from cnnviz.ui import ask, choices
from cnnviz.ui.text import plain

_HDF5 = b"\x89HDF"
# On this server's disk at once, of all people together; the one used longest ago leaves.
_MOST_FILES = 8
LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class _Store:
    """The files of all people's models, by content.

    Attributes:
        folder: where they lie.
        lock: for the other two, and for what happens in the folder.
        opening: how many are opening a file just now.
        opened: the files that somebody has opened.
    """

    folder: TemporaryDirectory[str]
    lock: Any = field(default_factory=threading.RLock)
    opening: Counter[str] = field(default_factory=Counter)
    opened: set[str] = field(default_factory=set)


def allowed() -> bool:
    """Whether people may bring models: as the switch says, else where the server is local."""
    switched = read_settings().uploads
    return is_local() if switched is None else switched


def is_local() -> bool:
    """Whether this server can be reached from this machine alone."""
    return st.get_option("server.address") in LOCAL


def models() -> dict[str, ModelFile]:
    """The models that this session has opened, by the names that their owner knows."""
    return dict(_own())


def pick() -> None:
    """Draws the sidebar's part for own models; one that opens becomes the chosen network."""
    _look_after_files()
    with st.expander("Your own model", icon=":material/upload_file:"):
        uploaded = st.file_uploader(
            "A saved Keras model",
            type=["keras", "h5", "hdf5"],
            key=f"uploaded model {st.session_state.get('models taken', 0)}",
            max_upload_size=min(
                read_settings().upload_mb, int(st.get_option("server.maxUploadSize"))
            ),
            help="It is inspected before it is opened, and runs in a process of its own. "
            "Nobody else sees it; it is deleted when others need the room.",
        )
        if uploaded is not None:
            # Another key is another, empty uploader: Streamlit lets go of the file.
            st.session_state["models taken"] = st.session_state.get("models taken", 0) + 1
            _take(uploaded.name, uploaded.getbuffer())
            st.rerun()
        inside = st.session_state.get("model inside")
        if inside and st.button("Open the model inside", icon=":material/unarchive:"):
            name, model = st.session_state.pop("model inside")
            _open(f"{name} (inside)", replace(model, inner=True))
            _drop_unless_used(Path(model.path))
            st.rerun()
    if "model problem" in st.session_state:
        st.error(plain(st.session_state["model problem"]), icon=":material/block:")


def forget_problem(network: str) -> None:
    """Takes the reason of a refusal away once another network is chosen."""
    if st.session_state.get("network before", network) != network:
        st.session_state.pop("model problem", None)
    st.session_state["network before"] = network


def _own() -> dict[str, ModelFile]:
    return st.session_state.setdefault("own models", {})


def _look_after_files() -> None:
    """Keeps the files of this session young, and says which one had to leave."""
    for name, model in list(_own().items()):
        try:
            os.utime(model.path, ns=(time.time_ns(), model.modified))
        except FileNotFoundError:
            del _own()[name]
            choices.forget("model")
            st.session_state["model problem"] = (
                f"{name} was put away, because others needed the room. Upload it again."
            )


def _take(name: str, data: memoryview) -> None:
    st.session_state.pop("model problem", None)
    _, left = st.session_state.pop("model inside", (None, None))
    if left is not None:
        _drop_unless_used(Path(left.path))
    store = _store()
    path = Path(store.folder.name) / (hashlib.sha256(data).hexdigest() + _ending(data))
    with store.lock:
        store.opening[str(path)] += 1
    try:
        _open(name, _keep(path, data))
    except OSError as error:
        st.session_state["model problem"] = f"{name} cannot be kept: {error.strerror}."
    finally:
        with store.lock:
            store.opening[str(path)] -= 1
        _drop_unless_used(path)


def _ending(data: memoryview) -> str:
    return ".h5" if bytes(data[: len(_HDF5)]) == _HDF5 else ".keras"


def _keep(path: Path, data: memoryview) -> ModelFile:
    """Puts a file on disk under a name made of its content; another copy of it is the same."""
    with _store().lock:
        if not path.exists():
            _make_room(path.parent)
            replace_file(path, data)
        return model_file(path)


def _make_room(folder: Path) -> None:
    """Lets the files go that no session has looked at for longest, and nobody waits for."""
    opening = _store().opening
    kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_atime_ns)
    idle = [
        path for path in kept if not opening[str(path)] and not workers.is_busy(model_file(path))
    ]
    for path in idle[: max(0, len(kept) + 1 - _MOST_FILES)]:
        workers.forget(model_file(path))
        path.unlink()
        _store().opened.discard(str(path))


def _open(name: str, model: ModelFile) -> None:
    """Has a model inspected and loaded; a refused one leaves the network as it was."""
    st.session_state.pop("model problem", None)
    named = replace(model, title=name)
    try:
        ask.first_look(named, name)
    except CnnvizError as error:
        reason = str(error).replace(Path(model.path).name, name)
        code = f" ({error.code})" if isinstance(error, RefusedModelError) else ""
        reason = reason if reason.startswith(name) else f"{name}: {reason}"
        st.session_state["model problem"] = reason + code
        if code == " (multi-gpu)":
            st.session_state["model inside"] = name, model
        return
    with _store().lock:
        _store().opened.add(model.path)
    free, number = name, 2
    while free in _own() and _own()[free] != named:
        free, number = f"{name} ({number})", number + 1
    _own()[free] = named
    choices.put("model", free)


def _drop_unless_used(path: Path) -> None:
    """Deletes a file that nobody has opened, is opening, or is offered the inside of."""
    store = _store()
    with store.lock:
        _, offered = st.session_state.get("model inside", (None, None))
        waits = offered is not None and offered.path == str(path)
        used = store.opening[str(path)] or str(path) in store.opened or waits
        if path.exists() and not used:
            workers.forget(model_file(path))
            path.unlink()


@st.cache_resource(show_spinner=False, on_release=lambda store: store.folder.cleanup())
def _store() -> _Store:
    return _Store(temporary_folders.make("models"))
