"""Uploaded models: opened in a confined process, offered in the session of their owner alone."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from cnnviz.errors import CnnvizError, RefusedModelError
from cnnviz.serving import temporary_folders, worker_pools
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import read_settings
from cnnviz.storage import HDF5_SIGNATURE, replace_file
from cnnviz.ui import ask, uploaders
from cnnviz.ui.sidebar import network_choice
from cnnviz.ui.text import plain
from cnnviz.ui.web.uploads import LOCAL

# On this server's disk at once, of all sessions; the one used longest ago is deleted.
MOST_FILES = 8


@dataclass(frozen=True)
class UploadedFiles:
    """The uploaded files of all sessions, named by their content.

    Attributes:
        folder: holds the files.
        lock: for the other two, and for changes of the folder.
        opening: how many sessions are opening a file at this moment.
        opened: the files that a session has opened.
    """

    folder: TemporaryDirectory[str]
    lock: threading.RLock = field(default_factory=threading.RLock)
    opening: Counter[str] = field(default_factory=Counter)
    opened: set[str] = field(default_factory=set)


def allowed() -> bool:
    """Whether models may be uploaded: as the setting says, else if the server is local."""
    setting = read_settings().uploads
    return is_local() if setting is None else setting


def is_local() -> bool:
    """Whether this server can only be reached from this machine."""
    return st.get_option("server.address") in LOCAL


def models() -> dict[str, ModelFile]:
    """The models that this session has opened, by the names of the uploaded files."""
    return dict(_own())


def pick() -> None:
    """Draws the upload of a model; one that can be opened becomes the chosen network."""
    _refresh_files()
    # The bar over the header finds it by this name.
    own = st.container(key="own model")
    with own, st.expander("Your own model", icon=":material/upload_file:"):
        # Files of any kind: what is no model gets an answer that says what it is.
        uploaded = uploaders.file_uploader(
            "A saved Keras model",
            key=f"uploaded model {st.session_state.get('models taken', 0)}",
            max_upload_size=min(
                read_settings().upload_mb, int(st.get_option("server.maxUploadSize"))
            ),
            help="A .keras or .h5 file, or a .zip file with one of these and perhaps a labels.txt. "
            "It is inspected before it is opened, and runs in a process of its own. "
            "Only you see it; it is deleted when others need the disk space.",
        )
        if uploaded is not None:
            # Another key makes another, empty uploader, and the file is freed.
            st.session_state["models taken"] = st.session_state.get("models taken", 0) + 1
            _take(uploaded.name, uploaded.getbuffer())
            st.rerun()
        inside = st.session_state.get("model inside")
        if inside and st.button("Open the model inside", icon=":material/unarchive:"):
            name, model = st.session_state.pop("model inside")
            _open(f"{name} (inside)", replace(model, inner=True))
            _delete_unless_used(Path(model.path))
            st.rerun()
    if "model problem" in st.session_state:
        st.error(plain(st.session_state["model problem"]), icon=":material/block:")


def forget_problem(network: str) -> None:
    """Removes the reason of a refusal once another network is chosen."""
    if st.session_state.get("network before", network) != network:
        st.session_state.pop("model problem", None)
    st.session_state["network before"] = network


def _own() -> dict[str, ModelFile]:
    return st.session_state.setdefault("own models", {})


def _refresh_files() -> None:
    """Marks the files of this session as used now, and reports those that were deleted."""
    for name, model in list(_own().items()):
        try:
            os.utime(model.path, ns=(time.time_ns(), model.modified))
        except FileNotFoundError:
            del _own()[name]
            network_choice.reset()
            st.session_state["model problem"] = (
                f"{name} was deleted, because others needed the disk space. Upload it again."
            )


def _take(name: str, data: memoryview) -> None:
    st.session_state.pop("model problem", None)
    _, offered = st.session_state.pop("model inside", (None, None))
    if offered is not None:
        _delete_unless_used(Path(offered.path))
    uploads = uploaded_files()
    path = Path(uploads.folder.name) / (hashlib.sha256(data).hexdigest() + _ending(name, data))
    with uploads.lock:
        uploads.opening[str(path)] += 1
    try:
        _open(name, _keep(path, data))
    except OSError as error:
        st.session_state["model problem"] = f"{name} cannot be kept: {error.strerror}."
    finally:
        with uploads.lock:
            uploads.opening[str(path)] -= 1
        _delete_unless_used(path)


def _ending(name: str, data: memoryview) -> str:
    """The ending for the kept file: of its format, else that of its name, which may tell it."""
    if bytes(data[: len(HDF5_SIGNATURE)]) == HDF5_SIGNATURE:
        return ".h5"
    ending = Path(name).suffix.lower()
    # With the ending of a card the file would be its own card.
    return ending if re.fullmatch(r"\.[a-z]{2,12}", ending) and ending != ".json" else ".keras"


def _keep(path: Path, data: memoryview) -> ModelFile:
    """Stores a file under a name made of its content, so that a copy is stored once."""
    with uploaded_files().lock:
        if not path.exists():
            _make_room(path.parent)
            replace_file(path, data)
        return model_file(path)


def _make_room(folder: Path) -> None:
    """Deletes the files that were used longest ago, except those that a session waits for."""
    opening = uploaded_files().opening
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_atime_ns)
    idle = [path for path in files if not opening[str(path)] and not _is_waited_for(path)]
    for path in idle[: max(0, len(files) + 1 - MOST_FILES)]:
        worker_pools.close_idle(model_file(path))
        path.unlink()
        uploaded_files().opened.discard(str(path))


def _is_waited_for(path: Path) -> bool:
    pool = worker_pools.find(model_file(path))
    return pool is not None and pool.waiting > 0


def _open(name: str, model: ModelFile) -> None:
    """Has a model inspected and loaded; after a refusal the chosen network stays the same."""
    st.session_state.pop("model problem", None)
    try:
        ask.first_outline(model, name)
    except CnnvizError as error:
        reason = str(error).replace(Path(model.path).name, name)
        code = f" ({error.code})" if isinstance(error, RefusedModelError) else ""
        reason = reason if reason.startswith(name) else f"{name}: {reason}"
        st.session_state["model problem"] = reason + code
        if code == " (multi-gpu)":
            st.session_state["model inside"] = name, model
        return
    with uploaded_files().lock:
        uploaded_files().opened.add(model.path)
    free, number = name, 2
    while free in _own() and _own()[free] != model:
        free, number = f"{name} ({number})", number + 1
    _own()[free] = model
    network_choice.put(free)


def _delete_unless_used(path: Path) -> None:
    """Deletes a file that no session has opened, is opening, or can still open the inside of."""
    uploads = uploaded_files()
    with uploads.lock:
        _, offered = st.session_state.get("model inside", (None, None))
        inside = offered is not None and offered.path == str(path)
        used = uploads.opening[str(path)] or str(path) in uploads.opened or inside
        if path.exists() and not used:
            worker_pools.close_idle(model_file(path))
            path.unlink()


@st.cache_resource(show_spinner=False, on_release=lambda uploads: uploads.folder.cleanup())
def uploaded_files() -> UploadedFiles:
    """The uploaded files of this server."""
    return UploadedFiles(temporary_folders.make("models"))
