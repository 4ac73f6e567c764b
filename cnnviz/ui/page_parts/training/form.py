"""The form that starts a training."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz.errors import TrainingError
from cnnviz.serving import training_jobs
from cnnviz.serving.training_jobs import MOST_EPOCHS, MOST_PHOTOS, TrainingRequest
from cnnviz.settings import PACKAGE, read_settings
from cnnviz.training.recipes import RECIPES
from cnnviz.ui import parts, uploaders
from cnnviz.ui.page_parts.training import views
from cnnviz.ui.sidebar import own_models
from cnnviz.ui.text import plain

_DIGITS = PACKAGE / "samples" / "digits.npz"
_DIGITS_TITLE = "5,000 handwritten digits (MNIST)"
_DIGITS_SIDE = 28
_OWN = "Your photos, as a zip with a folder for each class"
_LONGEST_NAME = 40


def is_allowed() -> bool:
    """Whether people may train here: by the setting, else if the server listens on localhost."""
    setting = read_settings().training
    return own_models.is_local() if setting is None else setting


def draw(*, open_at_once: bool) -> None:
    """Draws the form."""
    with st.expander("Train a network", expanded=open_at_once, icon=":material/model_training:"):
        data, network, length = st.columns([3, 3, 2])
        with data:
            source = st.selectbox("Photos", [_DIGITS_TITLE, _OWN], key="training source")
            own = source == _OWN
        uploaded = _upload() if own else None
        with network:
            names = [name for name in RECIPES if own or _takes_digits(name)]
            architecture = st.selectbox(
                "Network",
                names,
                format_func=lambda name: RECIPES[name].title,
                key=f"training network {own}",
            )
        with length:
            epochs = st.number_input(
                "Epochs",
                1,
                MOST_EPOCHS,
                8,
                key="training epochs",
                help="How often the network goes through all the photos.",
            )
        st.caption(plain(RECIPES[architecture].about))
        busy = training_jobs.is_active()
        if busy:
            st.caption(
                "A training is going on: this server does one at a time, and everybody watches "
                "the same one. “Start” is available again when it is over."
            )
        disabled = busy or (own and uploaded is None)
        if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=disabled):
            _start(uploaded, architecture, int(epochs))
        if "training problem" in st.session_state:
            st.error(plain(st.session_state.pop("training problem")), icon=":material/error:")


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


def _start(uploaded: UploadedFile | None, architecture: str, epochs: int) -> None:
    """Starts a training of the uploaded zip, or of the digits if there is none."""
    what = Path(uploaded.name).stem if uploaded else "digits"
    # File names have a maximum length, in bytes.
    short = parts.file_stem(what)[:_LONGEST_NAME]
    number = training_jobs.count() + 1
    name = f"{short.replace('.', '-')}_{architecture.replace('-', '_')}_{number}"
    title = short if uploaded else _DIGITS_TITLE
    try:
        training_jobs.start(
            TrainingRequest(name, str(_DIGITS), title, architecture, epochs),
            uploaded.getbuffer() if uploaded else None,
        )
    except TrainingError as error:
        st.session_state["training problem"] = str(error)
    else:
        views.put(name)
    st.rerun()
