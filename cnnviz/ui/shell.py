"""What surrounds every page: navigation, the sidebar, and the box for errors."""

from __future__ import annotations

from contextvars import ContextVar

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from cnnviz.errors import CnnvizError
from cnnviz.figures.shading import data_uri
from cnnviz.serving import training_jobs, workers
from cnnviz.settings import PACKAGE, ROOT, read_settings
from cnnviz.ui import choices, model_banner, notices, parts, uploaders
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, network_choice, own_models, photos
from cnnviz.ui.text import plain
from cnnviz.ui.web import uploads

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

# Columns below one another need less distance than columns side by side. A list of options ignores
# the mouse for at least 300 ms after it has scrolled, so that a click on an option is lost. A
# viewer's selection is a message only. What is beside a grid stays in sight while that is scrolled.
_STYLE = f"""
@media {parts.NARROW} {{.stHorizontalBlock {{row-gap: 1rem}}}}
[role=listbox] > [role=presentation] {{pointer-events: auto !important}}
[class*=st-key-selection-of] {{display: none}}
.stColumn:has([class*=st-key-beside]) {{position: sticky; top: 4rem; align-self: flex-start}}
"""

# What the sidebar of this run of the app has chosen. The sidebar's widgets belong to the script,
# since those of a page lose their state with it; None where Streamlit runs a page without it.
_scene: ContextVar[Scene | None] = ContextVar("scene", default=None)


def pages() -> list[StreamlitPage]:
    """The pages for ``st.navigation``, the default page first."""
    return [
        st.Page(page_path(name), title=title, icon=icon, default=name == "explore")
        for name, (title, icon) in _PAGES.items()
    ]


def page_path(name: str) -> str:
    """The file of a page, for ``st.switch_page``."""
    return str(ROOT / "pages" / f"{name}.py")


def run(page: StreamlitPage) -> None:
    """Draws the sidebar, then the page; a ``CnnvizError`` becomes a box on it."""
    # First of all: the browser then has what draws styles before the page's own come.
    st.html(f"<style>{_STYLE}</style>")
    choices.start_run()
    uploaders.start_run()
    _report_losses()
    try:
        with st.sidebar:
            scene = _sidebar()
        token = _scene.set(model_banner.complete(scene))
        try:
            page.run()
        finally:
            _scene.reset(token)
        uploaders.free_unused()
    except CnnvizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.button("Try again", icon=":material/refresh:")


def _report_losses() -> None:
    """Says which files of the person are not, or no longer, on the server."""
    refusal = uploads.take_refusal()
    if refusal is not None:
        notices.show(refusal)
    if uploaders.lost_session() and "loss reported" not in st.session_state:
        st.session_state["loss reported"] = True
        notices.show(
            "Photos and models that you gave to this page are gone: the server was restarted, or "
            "the page was disconnected for too long. Give them again to go on with them."
        )


def enter(title: str, lead: str, *, runs_photo: bool = False) -> Scene:
    """Draws a page's heading and returns the model and the photo of the page.

    Args:
        title: the heading.
        lead: the text below it.
        runs_photo: whether the page runs the network on the photo; it then stops with a question
            where the values that the network takes are not known.

    If the first request to a new server is for a page, Streamlit runs the page without
    ``app.py``. After ``st.navigation`` the same request is run again through that.
    """
    scene = _scene.get()
    if scene is None:
        st.set_page_config(page_icon=ICON, layout="wide")
        st.navigation(pages())
        st.rerun()
    if title:
        st.title(title, anchor=False)
        st.markdown(lead)
    if runs_photo and scene.needs_preset:
        model_banner.ask_for_values()
        parts.about(scene)
        st.stop()
    return scene


def _sidebar() -> Scene:
    """The choice of network and photo."""
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
    with above:
        name = network_choice.choose(library.titles(by_name))
    own_models.forget_problem(name)
    model = by_name[name]
    return Scene(model, photos.pick(model))
