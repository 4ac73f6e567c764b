"""Questions to the networks: asked of a worker once, then kept by what was asked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from cnnviz.errors import WorkerError
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.results import Explanation, Filters, Floats, Outline
from cnnviz.serving import workers
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui.sidebar.photos import Photo
from cnnviz.ui.text import plain


def outline(model: ModelFile) -> Outline:
    """What there is to see in a network."""
    return _ask("Loading the network", "outline", model)


def first_look(model: ModelFile, name: str) -> Outline:
    """What there is to see in a model that may be refused; it is asked for once only."""
    answer: Outline = _answer("outline", model, (), (), None, f"Inspecting {plain(name)}")
    return answer


def filters(model: ModelFile, layer: str) -> Filters:
    """A convolution's kernels, biases and statistics."""
    return _ask("Reading the filters", "filters", model, layer)


def activations(model: ModelFile, photo: Photo, layer: str) -> Floats:
    """A layer's output for a photo: (h, w, K), or (K,)."""
    maps = _ask("Running the photo through the network", "activations", model, photo, (layer,))
    return maps[layer]


def explanation(
    model: ModelFile,
    photo: Photo,
    targets: tuple[str, ...] = (),
    method: str | None = None,
    layer: str | None = None,
) -> Explanation:
    """The prediction for a photo, and a map for each target or for the predicted class."""
    text = "Looking for the evidence in the photo"
    return _ask(text, "explain", model, photo, targets, method=method, layer=layer)


@st.cache_resource(show_spinner=False, max_entries=48)
def view(model: ModelFile, key: str, _photo: Photo) -> NetworkView:
    """A photo as a network sees it; ``key`` is the photo's own."""
    preprocessing = outline(model).card.preprocessing
    pixels = picture_view(_photo.image, preprocessing)
    pixels.setflags(write=False)
    return NetworkView(pixels, preprocessing)


def _ask(text: str, function: str, model: ModelFile, *args: Any, **kwargs: Any) -> Any:
    # The cache knows a photo by its key; the photo goes along unseen.
    photo = next((arg for arg in args if isinstance(arg, Photo)), None)
    known = tuple(arg.key if isinstance(arg, Photo) else arg for arg in args)
    question = (function, model, known, tuple(kwargs.items()), photo)
    try:
        return _answer(*question, text)
    except WorkerError as error:
        if not error.again:
            raise
        st.warning(plain(str(error)), icon=":material/restart_alt:")
    return _answer(*question, "Starting a new process, which takes a few seconds")


@st.cache_data(show_spinner=False, max_size="128MB")
def _answer(
    function: str,
    model: ModelFile,
    args: tuple[Any, ...],
    kwargs: tuple[tuple[str, Any], ...],
    _photo: Photo | None,
    _text: str,
) -> Any:
    # With a photo the first argument is its key: it stands for the photo in the cache.
    rest = args if _photo is None else (view(model, _photo.key, _photo), *args[1:])
    with st.spinner(f"{_text} …", show_time=True):
        return workers.call(function, model, *rest, **dict(kwargs))
