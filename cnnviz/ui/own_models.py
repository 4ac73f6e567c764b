"""People's own models: uploaded, opened in a confined process, offered to their session alone."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from cnnviz import workers
from cnnviz.errors import CnnvizError, RefusedModelError, WorkerError
from cnnviz.model_files import ModelFile, model_file
from cnnviz.settings import read_settings
from cnnviz.ui import ask, choices
from cnnviz.ui.text import plain

_HDF5 = b"\x89HDF"
# On this server's disk at once, of all people together; the one used longest ago leaves.
_MOST_FILES = 8
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class _Store:
    """The files of all people's models, by content."""

    folder: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(prefix="cnnviz-models-")
    )
    lock: Any = field(default_factory=threading.Lock)


def allowed() -> bool:
    """Whether people may bring models: as the switch says, else where the server is local."""
    switched = read_settings().uploads
    return st.get_option("server.address") in _LOCAL if switched is None else switched


def models() -> dict[str, ModelFile]:
    """The models that this session has opened, by the names that their owner knows."""
    own: dict[str, ModelFile] = st.session_state.setdefault("own models", {})
    for name in [name for name, model in own.items() if not Path(model.path).exists()]:
        del own[name]
        st.session_state["model problem"] = (
            f"{name} was put away, because others needed the room. Upload it again."
        )
    return dict(own)


def pick() -> None:
    """Draws the sidebar's part for own models; one that opens becomes the chosen network."""
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
            _open(uploaded.name, _keep(uploaded.getbuffer()))
            # Another key is another, empty uploader: Streamlit lets go of the file.
            st.session_state["models taken"] = st.session_state.get("models taken", 0) + 1
            st.rerun()
        inside = st.session_state.get("model inside")
        if inside and st.button("Open the model inside", icon=":material/unarchive:"):
            name, model = st.session_state.pop("model inside")
            _open(f"{name} (inside)", replace(model, inner=True))
            st.rerun()
    if "model problem" in st.session_state:
        st.error(plain(st.session_state["model problem"]), icon=":material/block:")


def readable(text: str) -> str:
    """An error's text with the names that people know in the place of those on disk."""
    own: dict[str, ModelFile] = st.session_state.get("own models", {})
    for name, model in own.items():
        text = text.replace(Path(model.path).name, name)
    return text


def _keep(data: memoryview) -> ModelFile:
    """Puts a file on disk under a name made of its content; another copy of it is the same."""
    store = _store()
    ending = ".h5" if bytes(data[:4]) == _HDF5 else ".keras"
    path = Path(store.folder.name) / (hashlib.sha256(data).hexdigest() + ending)
    with store.lock:
        if not path.exists():
            _make_room(Path(store.folder.name))
            part = path.with_suffix(".part")
            part.write_bytes(data)
            part.replace(path)
        model = model_file(path)
        os.utime(path, ns=(time.time_ns(), model.modified))
    return model


def _make_room(folder: Path) -> None:
    kept = sorted(folder.iterdir(), key=lambda path: path.stat().st_atime_ns)
    for path in kept[: max(0, len(kept) + 1 - _MOST_FILES)]:
        workers.forget(model_file(path))
        path.unlink()


def _open(name: str, model: ModelFile) -> None:
    """Has a model inspected and loaded; a refused one leaves the network as it was."""
    st.session_state.pop("model problem", None)
    st.session_state.pop("model inside", None)
    try:
        ask.first_look(model, name)
    except CnnvizError as error:
        reason = str(error).replace(Path(model.path).name, name)
        code = f" ({error.code})" if isinstance(error, RefusedModelError) else ""
        named = reason if reason.startswith(name) else f"{name}: {reason}"
        st.session_state["model problem"] = named + code
        workers.forget(model)
        busy = isinstance(error, WorkerError) and not error.again
        if code == " (multi-gpu)":
            st.session_state["model inside"] = name, model
        elif not busy:
            _drop(model)
        return
    st.session_state.setdefault("own models", {})[name] = model
    choices.put("model", name)


def _drop(model: ModelFile) -> None:
    with _store().lock:
        Path(model.path).unlink(missing_ok=True)


@st.cache_resource(show_spinner=False, on_release=lambda store: store.folder.cleanup())
def _store() -> _Store:
    return _Store()
