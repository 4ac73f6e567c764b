"""What stands around every page: navigation, the sidebar, and the box for errors."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from cnnviz.errors import CnnvizError
from cnnviz.figures.shading import data_uri
from cnnviz.serving import training_jobs, workers
from cnnviz.serving.model_files import ModelFile
from cnnviz.settings import PACKAGE, ROOT, read_settings
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import card, library, own_models, photos
from cnnviz.ui.sidebar.photos import Photo
from cnnviz.ui.text import plain

# A picture of our own, within the page: the browser would look for a named icon on the internet.
ICON = data_uri((PACKAGE / "ui" / "icon.png").read_bytes(), "png")

_PAGES = {
    "explore": ("Explore", ":material/travel_explore:"),
    "network": ("Network", ":material/account_tree:"),
    "filters": ("Filters", ":material/grid_on:"),
    "activations": ("Activations", ":material/blur_on:"),
    "class_activation_map": ("Class activation map", ":material/center_focus_strong:"),
    "training": ("Training", ":material/model_training:"),
}


def pages() -> list[StreamlitPage]:
    """The pages for ``st.navigation``, the first one first."""
    return [
        st.Page(page_path(name), title=title, icon=icon, default=name == "explore")
        for name, (title, icon) in _PAGES.items()
    ]


def page_path(name: str) -> str:
    """The file of a page, for ``st.switch_page``."""
    return str(ROOT / "pages" / f"{name}.py")


def run(page: StreamlitPage) -> None:
    """Draws the sidebar, then the page; an error of ours becomes a box on it."""
    try:
        with st.sidebar:
            st.session_state["scene"] = _sidebar()
        page.run()
    except CnnvizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.button("Try again", icon=":material/refresh:")


def enter(title: str, lead: str) -> Scene:
    """Draws a page's heading and gives what it is about.

    A page that Streamlit runs by itself, as the first thing that a new server is asked for,
    turns to ``app.py``, which draws everything around it.
    """
    if "scene" not in st.session_state:
        st.set_page_config(page_icon=ICON, layout="wide")
        st.navigation(pages())
        st.rerun()
    model, photo = st.session_state.pop("scene")
    st.title(title, anchor=False)
    st.markdown(lead)
    # Columns below one another need not keep the distance that they have side by side.
    st.html(f"<style>@media {parts.NARROW} {{.stHorizontalBlock {{row-gap: 1rem}}}}</style>")
    return Scene(model, photo)


def _sidebar() -> tuple[ModelFile, Photo]:
    """The choice of network and photo, and for a network without a card what a card would say."""
    offered = library.models()
    workers.start(offered)
    above = st.container()
    if own_models.allowed():
        own_models.pick()
    by_name = {**library.by_name([*offered, *training_jobs.models()]), **own_models.models()}
    if not by_name:
        raise CnnvizError(
            f"There is no saved model in the folder {read_settings().models}. Put a .keras or "
            ".h5 file there and reload the page."
        )
    titles = library.titles(by_name)
    with above:
        name = choices.choose(
            st.selectbox,
            "Network",
            "model",
            list(by_name),
            next(iter(by_name)),
            format_func=titles.__getitem__,
        )
    own_models.forget_problem(name)
    model = by_name[name]
    photo = photos.pick(model)
    return card.pick(model, photo), photo
