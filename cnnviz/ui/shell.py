"""What surrounds every page: navigation, the sidebar, and the box for errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import StopException

from cnnviz.errors import CnnvizError
from cnnviz.figures.shading import data_uri
from cnnviz.results import Outline
from cnnviz.serving import training_jobs, workers
from cnnviz.serving.model_files import ModelFile
from cnnviz.settings import PACKAGE, ROOT, read_settings
from cnnviz.ui import (
    choices,
    long_questions,
    model_banner,
    notices,
    parts,
    share,
    terms,
    uploaders,
)
from cnnviz.ui.components import live, topbar
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, network_choice, own_models, photos
from cnnviz.ui.text import plain
from cnnviz.ui.web import uploads

Arguments = ParamSpec("Arguments")

# A picture of our own, within the page: the browser would look for a named icon on the internet.
ICON = data_uri((PACKAGE / "ui" / "icon.png").read_bytes(), "png")

# By what a person does there. Streamlit shows each group as a menu, once there are too many pages
# for their names side by side.
_GROUPS = {
    "Look": {
        "explore": "Explore",
        "network": "Network",
        "filters": "Filters",
        "activations": "Activations",
        "maximise": "Maximise",
    },
    "Ask": {
        "class_activation_map": "Class activation map",
        "compare": "Compare",
        "occlude": "Occlude",
    },
    "Learn": {"lessons": "Lessons", "training": "Training"},
}
_MOST_SIDE_BY_SIDE = 7

# The key of a container with what is as large as the window while it is presented; all else is
# enlarged.
PRESENTS_ITSELF = "presents-itself"

_STYLE = (PACKAGE / "ui" / "shell.css").read_text(encoding="utf-8")
# The name of the parameter in the address.
_PRESENT = "present"
# By how many pages a key turns.
_TURN = "turn"
_STEPS = {"next": 1, "previous": -1}

# What the sidebar of this run of the app has chosen. The sidebar's widgets belong to the script,
# since those of a page lose their state with it; None where Streamlit runs a page without it.
_scene: ContextVar[Scene | None] = ContextVar("scene", default=None)


def configure() -> StreamlitPage:
    """Sets up the window and the navigation, and returns the page that the address names."""
    st.set_page_config(page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
    groups = {
        group: [
            st.Page(page_path(name), title=title, default=name == "explore")
            for name, title in pages.items()
        ]
        for group, pages in _GROUPS.items()
    }
    pages = [page for group in groups.values() for page in group]
    return st.navigation(pages if len(pages) <= _MOST_SIDE_BY_SIDE else groups, position="top")


def presents_itself(page: StreamlitPage) -> bool:
    """Whether a page has a part that is as large as the window while it is presented."""
    # Only the first page, which has no path, and not while it shows the camera.
    return not page.url_path and not live.is_on()


def page_path(name: str) -> str:
    """The file of a page, for ``st.switch_page``."""
    return str(ROOT / "pages" / f"{name}.py")


def run(page: StreamlitPage) -> None:
    """Draws the sidebar, then the page; a ``CnnvizError`` becomes a box on it."""
    # First of all: the browser then has what draws styles before the page's own come.
    of_page = topbar.ITSELF if presents_itself(page) else topbar.ENLARGED
    st.html(f"<style>{_STYLE}{of_page}{_mark(page)}</style>")
    choices.start_run(_name(page))
    uploaders.start_run()
    long_questions.start_run()
    _report_losses()
    _turn_from(page)
    with _guarded():
        with st.sidebar:
            scene, title = _sidebar()
        bar = st.container(key="topbar")
        with bar:
            _draw_topbar(page, scene, title)
        scene = model_banner.complete(scene)
        # Who comes back to the first page, the only one without a path, finds the camera off.
        if page.url_path:
            live.switch_off()
        token = _scene.set(scene)
        try:
            page.run()
        finally:
            _scene.reset(token)
        # Only here: a page draws the photo before it waits for the network.
        if "outline" in vars(scene):
            with bar:
                topbar.add(title, _known(scene.outline))
        uploaders.free_unused()


def part(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A part of a page that runs alone after a choice in it, without the sidebar and the rest.

    It asks all of the page's long questions: another choice in it stops one that goes on. A
    ``CnnvizError`` becomes a box in its place.
    """

    @functools.wraps(draw)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        long_questions.start_run()
        with _guarded():
            draw(*args, **kwargs)

    return st.fragment(guarded)


@contextmanager
def _guarded() -> Iterator[None]:
    """A ``CnnvizError`` becomes a box; long questions that were not asked inside are stopped."""
    try:
        yield
    except CnnvizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.button("Try again", icon=":material/refresh:")
    except StopException:
        long_questions.end_run()
        raise
    long_questions.end_run()


def _mark(page: StreamlitPage) -> str:
    """CSS that marks the group of the page in the header, and says there which page it is."""
    name = _name(page)
    (at,) = (at for at, pages in enumerate(_GROUPS.values(), start=1) if name in pages)
    group = f'.stAppHeader nav > :nth-child({at}) [data-testid="stTopNavSection"]'
    # Within it, so that the group's name for screen readers stays as it is.
    said = f'"{page.title}" / ""'
    return f"{group} {{ --here: var(--accent); }} {group} p::after {{ content: {said}; }}"


def _name(page: StreamlitPage) -> str:
    """The name of a page's file; the first page has no path."""
    return page.url_path or "explore"


def _known(outline: Outline) -> str:
    """What the bar says of a network, beside its title."""
    layers = f"{len(outline.layers):,} layers"
    name = outline.card.architecture
    return f"{name}, {layers}" if name else layers


def _turn_from(page: StreamlitPage) -> None:
    """Goes on to the next page, or the one before, if a key has asked for it."""
    step = st.session_state.pop(_TURN, 0)
    names = [name for group in _GROUPS.values() for name in group]
    at = names.index(_name(page)) + step
    if step and 0 <= at < len(names):
        st.switch_page(page_path(names[at]))


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
        lead: the text below it, without markup; the terms in it are explained.
        runs_photo: whether the page runs the network on the photo; it then stops with a question
            where the values that the network takes are not known.

    If the first request to a new server is for a page, Streamlit runs the page without
    ``app.py``. After ``st.navigation`` the same request is run again through that.
    """
    scene = _scene.get()
    if scene is None:
        configure()
        st.rerun()
    if title:
        st.title(title, anchor=False)
        st.html(f'<p class="lead">{terms.explained(lead)}</p>')
    if runs_photo and scene.needs_preset:
        model_banner.ask_for_values()
        parts.about(scene)
        st.stop()
    return scene


def _draw_topbar(page: StreamlitPage, scene: Scene, title: str) -> None:
    """The bar over the header, and the dialog that it opens."""
    if choices.link_names(_PRESENT):
        st.session_state["presenting"] = st.query_params[_PRESENT] == "1"
    presenting = st.session_state.get("presenting", False)
    if presenting:
        choices.write_address(_PRESENT, ["1"])
    else:
        choices.forget_address(_PRESENT)
    topbar.show(
        title,
        choice=f"{page.url_path} {title} {scene.photo.key}",
        may_open=own_models.allowed(),
        presenting=presenting,
        on_action=_act,
    )
    if st.session_state.pop("share", False):
        share.dialog()


def _act(action: str) -> None:
    """Notes what a button of the bar asks for, before the run that follows."""
    if action == "share":
        st.session_state["share"] = True
    elif action in _STEPS:
        st.session_state[_TURN] = _STEPS[action]
    else:
        st.session_state["presenting"] = action == "present"


def networks() -> dict[str, ModelFile]:
    """The networks that this session can choose, by their names in addresses."""
    offered = [*library.models(), *training_jobs.models()]
    return {**library.by_name(offered), **own_models.models()}


def _sidebar() -> tuple[Scene, str]:
    """The choice of network and photo, and the title of the network in the list."""
    offered = library.models()
    workers.start(offered)
    above = st.container()
    if own_models.allowed():
        own_models.pick()
    by_name = networks()
    if not by_name:
        raise CnnvizError(
            f"There is no saved model in the folder {read_settings().models}. Put a .keras or "
            ".h5 file there and reload the page."
        )
    titles = library.titles(by_name)
    with above:
        name = network_choice.choose(titles)
    own_models.forget_problem(name)
    model = by_name[name]
    return Scene(model, photos.pick(model)), titles[name]
