"""The form that starts a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz.errors import TrainingError
from cnnviz.serving import training_jobs
from cnnviz.serving.training_jobs import MOST_EPOCHS, MOST_PHOTOS, TrainingRequest
from cnnviz.settings import PACKAGE, read_settings
from cnnviz.training.recipes import RECIPES
from cnnviz.ui import choices, parts, uploaders
from cnnviz.ui.page_parts.training import collecting, views
from cnnviz.ui.sidebar import own_models
from cnnviz.ui.text import plain

_DIGITS = PACKAGE / "samples" / "digits.npz"
_DIGITS_TITLE = "5,000 handwritten digits (MNIST)"
_DIGITS_SIDE = 28
# Where the photos come from, as the address has it.
_SOURCES = {
    "digits": _DIGITS_TITLE,
    "collect": "Collect photos here",
    "zip": "Your photos, as a zip with a folder for each class",
}
# What is offered first for photos: it needs few of them, and little time.
_QUICK = "transfer-quick"
_SOURCE = "data"
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Upload:
    """Photos to train on.

    Attributes:
        title: their name on pages, and in that of the model.
        read: gives the zip of them.
        on_start: is called when a training of them has started.
    """

    title: str
    read: Callable[[], bytes | memoryview]
    on_start: Callable[[], None] = lambda: None


def is_allowed() -> bool:
    """Whether people may train here: by the setting, else if the server listens on localhost."""
    setting = read_settings().training
    return own_models.is_local() if setting is None else setting


def draw(*, open_at_once: bool) -> None:
    """Draws the form."""
    # Who collects photos goes on with it until they are trained on; then the training is in sight.
    named = st.query_params.get(_SOURCE) if choices.link_names(_SOURCE) else None
    if "collect" in (named, *choices.kept(_SOURCE)) and not collecting.is_trained_on():
        open_at_once = True
    with st.expander("Train a network", expanded=open_at_once, icon=":material/model_training:"):
        data, network, length = st.columns([3, 3, 2])
        with data:
            source = choices.choose(
                st.selectbox,
                "Photos",
                _SOURCE,
                list(_SOURCES),
                "digits",
                format_func=_SOURCES.__getitem__,
            )
        own = source != "digits"
        with network:
            names = [name for name in RECIPES if own or _takes_digits(name)]
            architecture = st.selectbox(
                "Network",
                names,
                index=names.index(_QUICK) if own else 0,
                format_func=lambda name: RECIPES[name].title,
                key=f"training network {own}",
                persist_state="session",
            )
        with length:
            epochs = st.number_input(
                "Epochs",
                1,
                MOST_EPOCHS,
                8,
                key="training epochs",
                persist_state="session",
                help="How often the network goes through all the photos.",
            )
        st.caption(plain(RECIPES[architecture].about))
        upload = _photos(source)
        busy = training_jobs.is_active()
        if busy:
            st.caption(
                "A training is going on: this server does one at a time, and everybody watches "
                "the same one. “Start” is available again when it is over."
            )
        disabled = busy or (own and upload is None)
        if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=disabled):
            _start(upload, architecture, int(epochs))
        if "training problem" in st.session_state:
            st.error(plain(st.session_state.pop("training problem")), icon=":material/error:")


def _photos(source: str) -> Upload | None:
    """Draws where photos of a person's own come from; None where there are not enough yet."""
    if source == "zip":
        file = _upload()
        return Upload(Path(file.name).stem, file.getbuffer) if file else None
    if source == "collect":
        collecting.draw()
        found = collecting.collection()
        if not found.missing():
            title = "-".join(one.name for one in found.classes)
            return Upload(title, found.as_zip, collecting.note_start)
    return None


def _upload() -> UploadedFile | None:
    return uploaders.file_uploader(
        "A zip file with a folder of photos for each class, such as cat and dog",
        type=["zip"],
        key="training zip",
        help=f"At most {MOST_PHOTOS:,} photos. Everybody who uses this "
        "server can see the training and some of its photos, until the server stops or "
        "others have trained after you.",
    )


def _takes_digits(name: str) -> bool:
    recipe = RECIPES[name]
    return recipe.sides[0] <= _DIGITS_SIDE <= recipe.sides[1] and recipe.channels in {0, 1}


def _start(upload: Upload | None, architecture: str, epochs: int) -> None:
    """Starts a training of a person's photos, or of the digits if there are none."""
    what = upload.title if upload else "digits"
    # File names have a maximum length, in bytes.
    short = parts.file_stem(what)[:_LONGEST_NAME]
    number = training_jobs.count() + 1
    name = f"{short.replace('.', '-')}_{architecture.replace('-', '_')}_{number}"
    title = short if upload else _DIGITS_TITLE
    try:
        training_jobs.start(
            TrainingRequest(name, str(_DIGITS), title, architecture, epochs),
            upload.read() if upload else None,
        )
    except TrainingError as error:
        st.session_state["training problem"] = str(error)
    else:
        views.put(name)
        if upload:
            upload.on_start()
    st.rerun()
